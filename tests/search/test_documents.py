"""Articles are read whole, in a fixed order, and what cannot be read is said."""

import pytest

from ftlib.errors import UserError
from ftlib.search.documents import join_context, load_documents, overlay


def write(folder, **articles):
    for name, text in articles.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")


def test_documents_have_id_title_and_text_in_the_order_of_ids(tmp_path):
    write(tmp_path, zebra="# Zebra 20\n\nStriped.", ant="no heading")
    (tmp_path / "deep").mkdir()
    write(tmp_path / "deep", bee="## Bee\nhums")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    assert load_documents(tmp_path) == [
        {"id": "ant", "title": "ant", "text": "no heading"},
        {"id": "deep/bee", "title": "Bee", "text": "## Bee\nhums"},
        {"id": "zebra", "title": "Zebra 20", "text": "# Zebra 20\n\nStriped."},
    ]


def test_a_byte_order_mark_is_not_text(tmp_path):
    (tmp_path / "a.md").write_bytes("\ufeff# A".encode())
    assert load_documents(tmp_path)[0]["text"] == "# A"


def test_missing_empty_double_and_undecodable_are_user_errors(tmp_path):
    with pytest.raises(UserError, match=r"rag\.documents_path"):
        load_documents(tmp_path / "nowhere")
    with pytest.raises(UserError, match="at least one"):
        load_documents(tmp_path)
    write(tmp_path, a="one")
    (tmp_path / "a.txt").write_text("two")
    with pytest.raises(UserError, match=r"two files named a\."):
        load_documents(tmp_path)
    (tmp_path / "a.txt").unlink()
    (tmp_path / "b.md").write_bytes(b"ok \xff")
    with pytest.raises(UserError, match="byte 3"):
        load_documents(tmp_path)


def test_overlay_replaces_by_id_and_leaves_its_inputs_alone():
    old = [{"id": "a", "text": "1"}, {"id": "b", "text": "2"}]
    assert overlay(old, [{"id": "b", "text": "3"}, {"id": "0", "text": "4"}]) == [
        {"id": "0", "text": "4"},
        {"id": "a", "text": "1"},
        {"id": "b", "text": "3"},
    ]
    assert old[1]["text"] == "2"


def test_the_best_article_stands_where_the_recipe_wants_it():
    assert join_context(["A\n", "B"], "best_last") == "B\n\nA"
    assert join_context(["A\n", "B"], "best_first") == "A\n\nB"
    assert join_context([]) == ""
