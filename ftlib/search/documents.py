"""The knowledge base: a folder of Markdown or text articles, one document per file, and what is searched of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ftlib.data.language import spoken
from ftlib.errors import UserError
from ftlib.search.index import Index
from ftlib.search.passages import cut_articles

if TYPE_CHECKING:
    from ftlib.recipe import Recipe

SUFFIXES = (".md", ".txt")


class KnowledgeBase(NamedTuple):
    """The passages of the articles as they stand at one time, and the index over them."""

    texts: dict[str, str]  # by passage id
    index: Index
    documents: dict[str, str]  # passage id to the id of its article


def load_documents(folder: str | Path) -> list[dict]:
    """Reads every `*.md` and `*.txt` file (UTF-8) of a folder and its subfolders, sorted by id.

    Returns:
        Documents `{id, title, text}`: the id is the path inside the folder without its suffix,
        the title is the first Markdown heading, else the id.

    Raises:
        UserError: no such folder, no article in it, an article that is not UTF-8, or two files with one id.
    """
    folder = Path(folder)
    if not folder.is_dir():
        wanted = "a folder of articles (.md or .txt)"
        raise UserError.of("recipe field rag.documents_path", wanted, f"{folder}: no folder", "name an existing one")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not paths:
        raise UserError.of(str(folder), "at least one .md or .txt file", "none", "put one article per file into it")
    documents = [_document(path, folder) for path in paths]
    ids = [document["id"] for document in documents]
    if twice := next((key for at, key in enumerate(ids) if key in ids[:at]), None):
        found = f"two files named {twice}.*"
        raise UserError.of(str(folder), "one file per article name", found, "rename one of them")
    return sorted(documents, key=lambda document: document["id"])


def overlay(documents: Iterable[Mapping], newer: Iterable[Mapping]) -> list[dict]:
    """One knowledge base: the documents with `newer` in place of those that have the same id, sorted by id."""
    merged = {document["id"]: dict(document) for document in documents}
    merged.update((document["id"], dict(document)) for document in newer)
    return [merged[key] for key in sorted(merged)]


def learn(path: str | Path, documents: Sequence[Mapping], recipe: Recipe, embed: Any = None) -> KnowledgeBase:
    """Cuts the articles and builds the index that `recipe.rag` describes, or opens it where it stands.

    Args:
        path: folder of the index; one that stands there was built from the same documents (the stage sees to that).
        documents: the articles.
        recipe: whose sections `rag` and `data` count.
        embed: from `ftlib.search.lance.Embedder.of`.
    """
    named = {"embed": embed, "embed_name": getattr(embed, "name", "")}
    passages = cut_articles(documents, recipe.rag.passage_words)
    if Index.exists(path):
        index = Index.open(path, **named)
    else:
        # An article may be in another language than the questions.
        language = spoken(recipe.data.language, (passage["text"] for passage in passages))
        index = Index.build(path, passages, language=language, mode=recipe.rag.mode, **named)
    texts = {passage["id"]: passage["text"] for passage in passages}
    return KnowledgeBase(texts, index, {passage["id"]: passage["document"] for passage in passages})


def join_context(texts: Sequence[str], order: str = "best_last") -> str:
    """The articles or passages (best first) as the prompt shows them, joined by blank lines.

    `best_last` puts the best one next to the question, `best_first` at the top.
    """
    return "\n\n".join(text.strip() for text in (texts if order == "best_first" else reversed(texts)))


def _document(path: Path, folder: Path) -> dict:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        where, fix = f"{path}, byte {error.start}", "save the article as UTF-8"
        raise UserError.of(where, "text in UTF-8", error.reason, fix) from None
    key = path.relative_to(folder).with_suffix("").as_posix()
    heading = next((line.lstrip("# ").strip() for line in text.splitlines() if line.startswith("#")), "")
    return {"id": key, "title": heading or key, "text": text.strip()}
