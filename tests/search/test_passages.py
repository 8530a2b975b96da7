"""Articles are cut where their structure says, within the limit, and no word is lost or said twice."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftlib.errors import UserError
from ftlib.search.documents import load_documents
from ftlib.search.index import Index
from ftlib.search.passages import _WORD, count_words, cut_article, cut_articles, shorten, unspaced_share


def document(text, title="Pump 9", key="pump"):
    return {"id": key, "title": title, "text": text}


def bodies(passages):
    assert all(p["text"].startswith(p["breadcrumb"]) for p in passages)
    return [p["text"].removeprefix(p["breadcrumb"]) for p in passages]


def words(count, stem="w"):
    return " ".join(f"{stem}{i}" for i in range(count))


# Pieces of Markdown, some of them broken, in any order and nesting.
_word = st.text("abcXYZ019.!?,:*_`[]()<>|#-~=é你。", min_size=1, max_size=7)
_line = st.lists(_word, min_size=1, max_size=12).map(" ".join)
_sentences = st.lists(_line, min_size=1, max_size=4).map(lambda lines: ". Then ".join(lines) + ".")
_piece = st.one_of(
    st.tuples(st.integers(1, 6), _line).map(lambda pair: "#" * pair[0] + " " + pair[1]),
    _line.map(lambda line: f"{line}\n==="),
    _sentences,
    st.lists(_line, min_size=1, max_size=5).map(lambda lines: "\n".join(f"- {line}\n  - {line}" for line in lines)),
    st.lists(_line, min_size=1, max_size=5).map(
        lambda lines: "\n".join(f"{n}. {x}\n\n   {x}" for n, x in enumerate(lines))
    ),
    st.lists(_line, min_size=1, max_size=6).map(lambda lines: "```\n" + "\n".join(lines) + "\n```"),
    st.lists(_line, min_size=1, max_size=6).map(
        lambda lines: "| a | b |\n|---|---|\n" + "\n".join(f"| {x} | 1 |" for x in lines)
    ),
    st.lists(_line, min_size=1, max_size=4).map(lambda lines: "\n".join(f"> {line}" for line in lines)),
    _line.map(lambda line: f"<div>\n{line}\n</div>"),
    st.just("[ref]: https://example.com"),
    st.text(max_size=30),
)
_markdown = st.lists(_piece, min_size=1, max_size=14).flatmap(
    lambda pieces: st.sampled_from(["\n\n", "\n", "\r\n\r\n"]).map(lambda gap: gap.join(pieces).strip())
)


@settings(max_examples=400, deadline=None)
@given(_markdown, st.integers(1, 60), st.sampled_from(["Pump 9", "", "a title of a good many words that goes on"]))
def test_every_word_stands_in_one_passage_in_order_and_none_is_longer_than_the_limit(text, limit, title):
    passages = cut_article(document(text, title), limit)
    cut_words = [word for body in bodies(passages) for word in _WORD.findall(body)]
    assert cut_words == _WORD.findall(text)
    assert "".join("".join(bodies(passages)).split()) == "".join(text.split())
    assert all(count_words(passage["text"]) <= limit for passage in passages)
    assert len({passage["id"] for passage in passages}) == len(passages)
    assert all(body.strip() for body in bodies(passages)) or not text
    assert [again for passage in passages for again in cut_article(passage, limit)] == passages


@settings(max_examples=50, deadline=None)
@given(_markdown)
def test_a_short_document_stays_as_it_is(text):
    passages = cut_article(document(text), max(1, count_words(text)))
    assert passages == [{**document(text), "document": "pump", "breadcrumb": ""}]


def test_a_long_document_is_numbered_and_names_its_document():
    passages = cut_article(document(words(25), title="", key="deep/pump"), 10)
    assert [p["id"] for p in passages] == ["deep/pump#1", "deep/pump#2", "deep/pump#3"]
    assert {p["document"] for p in passages} == {"deep/pump"}
    assert bodies(passages)[1] == " ".join(f"w{i}" for i in range(10, 20))


def test_headings_are_cut_first_and_go_with_what_follows():
    text = f"# Pump 9\n\n## Care\n\n### Oil\n\n{words(12)}\n\n### Belt\n\n{words(3)}\n\n## Codes\n\n{words(30)}"
    passages = cut_article(document(text), 30)
    assert [body.splitlines()[0] for body in bodies(passages)] == [
        "# Pump 9",
        "## Codes",
        "w23 w24 w25 w26 w27 w28 w29",
    ]
    assert "### Belt" in passages[0]["text"], "small neighbours stay together"
    assert [p["breadcrumb"] for p in passages] == ["", "# Pump 9\n\n", "# Pump 9 > Codes\n\n"]


def test_a_section_that_was_cut_is_not_mixed_with_the_next():
    text = f"# Pump 9\n\n{words(3)}\n\n## Long\n\n{words(16)}\n\n{words(6)}\n\n## Short\n\n{words(3)}"
    assert [body.split("\n")[0] for body in bodies(cut_article(document(text), 24))] == [
        "# Pump 9",
        "## Long",
        words(6),
        "## Short",
    ]


def test_paragraphs_then_items_then_sentences_then_words():
    sentences = "We ask Dr. Dell, e.g. Ann. He says it is 3.5 mm. So be it!"
    text = f"{words(8)}\n\n- {words(6, 'a')}\n- {words(6, 'b')}\n\n{sentences}\n\n{words(13, 'x')}"
    assert bodies(cut_article(document(text, title=""), 8)) == [
        words(8),
        "- " + words(6, "a"),
        "- " + words(6, "b"),
        "We ask Dr. Dell, e.g. Ann.",
        "He says it is 3.5 mm.",
        "So be it!",
        " ".join(words(13, "x").split()[:8]),
        " ".join(words(13, "x").split()[8:]),
    ]


def test_code_and_tables_are_torn_only_where_they_do_not_fit():
    code = "```sh\n# not a heading\n\nrun 1\nrun 2\n```"
    rows = "\n".join(f"| E{n} | fault |" for n in range(9))
    text = f"# Pump 9\n\n{words(6)}\n\n{code}\n\n| code | means |\n|---|---|\n{rows}"
    whole, torn = cut_article(document(text), 60), cut_article(document(text), 24)
    assert whole[0]["text"] == text[: text.index("| code")].strip() and whole[1]["text"].count("\n| E") == 9
    assert any(code in body for body in bodies(torn)), "the code fits"
    of_table = [p for p in torn if "| E" in p["text"]]
    assert len(of_table) > 1 and all("| code | means |\n|---|---|\n| E" in p["text"] for p in of_table)
    assert "".join("".join(bodies(torn)).split()) == "".join(text.split()), "the column names are said again, not moved"


def test_the_breadcrumb_takes_at_most_half_and_keeps_the_title_and_the_nearest_heading():
    text = f"# Pump 9\n\n## {words(9, 'far')}\n\n### Near\n\n{words(60)}"
    assert cut_article(document(text), 20)[-1]["breadcrumb"] == "# Pump 9 > Near\n\n"
    assert cut_article(document(text, title=words(30, "t")), 20)[-1]["breadcrumb"] == f"# {words(9, 't')}\n\n"
    assert cut_article(document(text), 1)[-1]["breadcrumb"] == ""


def test_a_title_that_is_no_heading_is_said_before_every_passage():
    passages = cut_article(document("Intro.\n\n" + words(20), title="notes/pump"), 12)
    assert {p["breadcrumb"] for p in passages} == {"# notes/pump\n\n"}
    closed = cut_article(document(f"# Pump 9 #\n\n{words(20)}", title="Pump 9 #"), 15)
    assert [p["breadcrumb"] for p in closed] == ["", "# Pump 9\n\n"]


def test_scripts_without_spaces_are_counted_by_character_and_cut_at_their_full_stops():
    text = "泵九号很重。" * 10
    passages = cut_article(document(text, title=""), 20)
    assert count_words(text) == 60 and bodies(passages) == ["泵九号很重。" * 3] * 3 + ["泵九号很重。"]
    assert count_words("x" * 250) == 3, "a run of signs without a space does not count as one word"


def test_the_share_of_scripts_without_spaces():
    assert unspaced_share(["泵九号", "很重"]) == 1 and unspaced_share(["a pump", "b"]) == 0 == unspaced_share([])
    assert unspaced_share(["Pump 泵九"]) == pytest.approx(2 / 3)


def test_a_passage_is_shortened_at_a_sentence_or_else_at_a_word():
    text = "# Pump 9\n\nIt is red. It has a belt of rubber that lasts long. " + words(9)

    def fit(limit):
        return shorten(text, lambda part: len(part) <= limit)

    assert fit(999) == text.rstrip()
    assert fit(70) == "# Pump 9\n\nIt is red. It has a belt of rubber that lasts long."
    assert fit(45) == "# Pump 9\n\nIt is red. It has a belt of rubber", "the sentence ends too early to be worth it"
    assert fit(9) == "" == fit(0), "a heading without a word below it says nothing"
    assert shorten("泵九号很重。它是红色的。", lambda part: len(part) <= 8) == "泵九号很重。"


@settings(max_examples=200, deadline=None)
@given(_markdown, st.integers(0, 200))
def test_what_is_shortened_fits_and_is_a_beginning(text, limit):
    short = shorten(text, lambda part: len(part) <= limit)
    assert text.startswith(short) and len(short) <= max(limit, 0)


def test_what_was_cut_is_found_by_its_own_words_and_its_breadcrumb(tmp_path):
    (tmp_path / "kb").mkdir()
    (tmp_path / "kb" / "pump.md").write_text(f"# Pump 9\n\n## Oil\n\n{words(40)}\n\n## Belt\n\nReplace the strap.")
    (tmp_path / "kb" / "lamp.md").write_text("# Lamp 3\n\nReplace the bulb.")
    passages = cut_articles(load_documents(tmp_path / "kb"), 30)
    assert [p["id"] for p in passages] == ["lamp", "pump#1", "pump#2", "pump#3"]
    index = Index.build(tmp_path / "index", passages)
    assert index.search("replace the strap of the Pump 9", 1)[0][0] == "pump#3"


def test_an_article_named_like_a_passage_is_a_user_error(tmp_path):
    passages = cut_articles([document(words(30)), document("short", key="pump#1")], 10)
    with pytest.raises(UserError, match="'pump#1' again"):
        Index.build(tmp_path / "index", passages)
