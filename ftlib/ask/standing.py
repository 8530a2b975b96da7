"""What of a run can be used as it stands: its recipe, its adapter, its search index."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from ftlib import atomic, fingerprint
from ftlib.errors import UserError
from ftlib.evaluate.declining import DecliningRule
from ftlib.experiment import Place
from ftlib.recipe import Recipe
from ftlib.run import Run
from ftlib.search.documents import KnowledgeBase, learn, load_documents
from ftlib.search.index import Index
from ftlib.search.lance import Embedder
from ftlib.stage import NOTEBOOKS, read_manifest

ADAPTER = "02_train/adapter"
# Fields on which it depends what an adapter says; how it was trained is told by its weights.
READ_BY_ADAPTER = ["model", "prompt.template", "prompt.system", "quantization"]
_OF_RAG = ("documents_path", "passage_words", "mode", "embedding_model", "document_prefix")
READ_BY_INDEX = ["data.language", *(f"rag.{field}" for field in _OF_RAG)]


def open_run(run_dir: str | Path) -> Run:
    """A run as it stands, with the recipe that lies in it; nothing is written.

    Raises:
        UserError: the folder is no run, or its recipe is of another version.
    """
    path = Path(run_dir).resolve()
    if not (file := path / "recipe.yaml").is_file():
        fix = "check the path; `ftlib run` makes one"
        raise UserError.of(str(run_dir), "a run directory", "no recipe.yaml in it", fix)
    return Run(Place(path, {}), Recipe.load(file), file)


def trained_adapter(run: Run) -> Path:
    """The adapter that a run has trained.

    Raises:
        UserError: there is none yet, it is not what the training wrote, or the base, its storage or the prompt are
            others by now, so that it would be used in another way than it was trained. Data and source may have
            changed since, or be gone.
    """
    folder = run.path / ADAPTER
    manifest = read_manifest(folder.parent)
    if not manifest.get("finished") or not folder.is_dir():
        raise run.missing(ADAPTER)
    again = f"run notebooks/{NOTEBOOKS['02_train']}.ipynb again with this recipe"
    if field := changed_field(run, "02_train", READ_BY_ADAPTER):
        expected = "the base and the prompt that it was trained with"
        raise UserError.of(str(folder), expected, f"the recipe's {field}, or what it names, changed", again)
    for name, digest in manifest["outputs"].items():
        if (run.path / "02_train" / name).is_relative_to(folder) and fingerprint.sha256(folder.parent / name) != digest:
            raise UserError.of(str(folder.parent / name), "the file that the training wrote", "another", again)
    return folder


def declining_rules(run: Run) -> dict[str, DecliningRule]:
    """By system, when notebook 05 has found that it is to decline; empty where that notebook has not been run."""
    folder = run.path / "05_compare"
    if not read_manifest(folder).get("finished"):
        return {}
    rules = atomic.read_json(folder / "comparison.json").get("rules", ())
    never = {"threshold": -math.inf}  # JSON has no infinity
    return {each["system"]: DecliningRule(**each | ({} if each["threshold"] is not None else never)) for each in rules}


def changed_field(run: Run, stage: str, reads: Iterable[str]) -> str | None:
    """The first of the recipe's fields, among those that `reads` covers, that a finished stage was made with otherwise.

    Fields that were not there yet at that time have not changed; a file or folder has where its content has.
    """
    key, paths = read_manifest(run.path / stage)["key"], run.recipe.paths()
    now = fingerprint.recipe_fields(run.recipe, reads)
    plain = {field: value for field, value in key["recipe"].items() if field in now}
    hub = {field: named["name"] for field, named in key.get("hub", {}).items() if field in now}
    changed = [field for field, value in (plain | hub).items() if now[field] != value]
    files = {field: digest for field, digest in key["files"].items() if field.split("[")[0] in now}
    changed += [field for field, digest in files.items() if _digest(paths.get(field)) != digest]
    return next(iter(changed), None)


def open_knowledge(run: Run) -> KnowledgeBase:
    """What the run's retrieving systems search: notebook 05's index where it is of these articles, else one of its own.

    That one lies in the run's folder `index`, under a digest of all that it depends on, and is built once.

    Raises:
        UserError: the recipe names no articles, or they are not there.
    """
    folder = run.recipe.rag.documents_path
    if folder is None:
        fix = "name one in the recipe, or ask without passages"
        raise UserError.of("recipe field rag.documents_path", "a folder of articles to search", "none", fix)
    documents, reads = load_documents(folder), READ_BY_INDEX
    source, made = fingerprint.source_sha256("search"), read_manifest(run.path / "05_compare")
    path = run.path / "05_compare" / "index"
    same = made.get("finished") and made["key"]["source"].get("search") == source and Index.exists(path)
    if not same or changed_field(run, "05_compare", reads):
        made_of = [fingerprint.recipe_fields(run.recipe, reads), documents, source]
        path = run.path / "index" / fingerprint.sha256_json(made_of)[:16]
        path.parent.mkdir(exist_ok=True)
    return learn(path, documents, run.recipe, Embedder.of(run.recipe))


def _digest(path: Path | None) -> str | None:
    return None if path is None else fingerprint.sha256(path)
