"""The knowledge base: a folder of Markdown or text articles, one document per file."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ftlib.recipe import UserError

SUFFIXES = (".md", ".txt")


def load_documents(folder: str | Path) -> list[dict]:
    """Reads every article of a folder (and its subfolders), sorted by id.

    Args:
        folder: holds ``*.md`` or ``*.txt`` files in UTF-8.

    Returns:
        Documents ``{id, title, text}``: the id is the path inside the folder without its suffix,
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
    _refuse_doubles(documents, folder)
    return sorted(documents, key=lambda document: document["id"])


def overlay(documents: Iterable[Mapping], newer: Iterable[Mapping]) -> list[dict]:
    """The documents with ``newer`` in place of those that have the same id, sorted by id.

    Args:
        documents: the knowledge base as it was.
        newer: changed or additional documents.

    Returns:
        One knowledge base.
    """
    merged = {document["id"]: dict(document) for document in documents}
    merged.update((document["id"], dict(document)) for document in newer)
    return [merged[key] for key in sorted(merged)]


def join_context(ids: Sequence[str], texts: Mapping[str, str], order: str = "best_last") -> str:
    """The articles or passages as the prompt shows them, joined by blank lines.

    Args:
        ids: their ids, best first.
        texts: the text of each by id.
        order: ``best_last`` puts the best one next to the question, ``best_first`` at the top.

    Returns:
        The context; empty where ``ids`` is.
    """
    shown = list(ids) if order == "best_first" else list(reversed(ids))
    return "\n\n".join(texts[key].strip() for key in shown)


def _document(path: Path, folder: Path) -> dict:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError.of(
            f"{path}, byte {error.start}", "text in UTF-8", error.reason, "save the article as UTF-8"
        ) from None
    key = path.relative_to(folder).with_suffix("").as_posix()
    heading = next((line.lstrip("# ").strip() for line in text.splitlines() if line.startswith("#")), "")
    return {"id": key, "title": heading or key, "text": text.strip()}


def _refuse_doubles(documents: list[dict], folder: Path) -> None:
    seen: set[str] = set()
    for document in documents:
        if document["id"] in seen:
            raise UserError.of(
                str(folder), "one file per article name", f"two files named {document['id']}.*", "rename one of them"
            )
        seen.add(document["id"])
