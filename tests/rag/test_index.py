"""The index ranks as BM25 is defined, keeps its promises on ties, and takes any text as a query."""

import math
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftlib.rag.index import Index, fuse
from ftlib.recipe import UserError

# No stop words and no word that a stemmer changes, so that the reference needs neither.
WORDS = ["heron", "basalt", "drift", "tarn", "granit", "comet", "falcon", "volt", "watt", "kilo", "lamp", "red", "blue"]


def corpus(count: int = 60) -> list[dict]:
    rng = np.random.default_rng(4)
    return [{"id": f"d{i:02}", "text": " ".join(rng.choice(WORDS, rng.integers(3, 25)))} for i in range(count)]


def brute_force(documents: list[dict], query: str) -> list[tuple[str, float]]:
    """Okapi BM25 as written in its definition, k1 = 1.2, b = 0.75."""
    bags = {d["id"]: Counter(re.findall(r"\w+", d["text"].lower())) for d in documents}
    mean = sum(sum(bag.values()) for bag in bags.values()) / len(bags)
    scores = {}
    for key, bag in bags.items():
        for word in query.split():
            df = sum(word in other for other in bags.values())
            idf = math.log(1 + (len(bags) - df + 0.5) / (df + 0.5))
            norm = 1.2 * (0.25 + 0.75 * sum(bag.values()) / mean)
            if bag[word]:
                scores[key] = scores.get(key, 0.0) + idf * bag[word] * 2.2 / (bag[word] + norm)
    return sorted(scores.items(), key=lambda item: (-round(item[1], 5), item[0]))


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return Index.build(tmp_path_factory.mktemp("index") / "kb", corpus())


@pytest.mark.parametrize("query", ["heron", "heron volt", "tarn tarn lamp", "red blue watt kilo"])
def test_ranking_and_scores_are_bm25(index, query):
    expected = brute_force(corpus(), query)
    found = index.search(query, 10)
    assert [key for key, _ in found] == [key for key, _ in expected[:10]]
    assert [score for _, score in found] == pytest.approx([score for _, score in expected[:10]], abs=2e-5)


def test_ties_are_broken_by_id_at_every_cut(tmp_path):
    documents = [{"id": f"same{i:03}", "text": "alpha beta"} for i in range(80)]
    documents.append({"id": "zz-best", "text": "alpha alpha"})
    index = Index.build(tmp_path / "kb", reversed(documents))
    expected = ["zz-best", *(f"same{i:03}" for i in range(80))]
    for k in (1, 2, 5, 40, 81, 200):
        assert [key for key, _ in index.search("alpha", k)] == expected[:k]


def test_reopening_finds_the_same_and_building_again_replaces(index, tmp_path):
    assert Index.open(index.path).search("heron volt", 7) == index.search("heron volt", 7)
    Index.build(tmp_path / "kb", corpus())
    again = Index.build(tmp_path / "kb", [{"id": "only", "text": "heron"}])
    assert again.size == 1 and [key for key, _ in again.search("heron")] == ["only"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kb"]


def test_an_index_can_be_moved(tmp_path):
    Index.build(tmp_path / "a", corpus())
    (tmp_path / "a").rename(tmp_path / "b")
    assert Index.open(tmp_path / "b").search("heron")


INJECTIONS = [
    "", "   ", "\x00", "'", '"', "\\", "heron' OR '1'='1", "'; DROP TABLE documents; --", "text:heron", "heron AND NOT",
    "(((", "*", "~", "^2", "heron~2", "[a TO b]", "{!lucene}", "日本語", "🦩", "\ud800", "a" * 100_000, "\n\t\r", "%_",
]  # fmt: skip


@pytest.mark.parametrize("query", INJECTIONS, ids=range(len(INJECTIONS)))
def test_no_query_is_syntax(index, query):
    found = index.search(query, 3)
    assert ("heron" in re.findall("[a-z]+", query)) == bool(found)
    assert index.size == 60


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=60), st.integers(1, 8))
def test_any_text_gives_sorted_unique_documents(index, query, k):
    found = index.search(query, k)
    assert len(found) <= k and len({key for key, _ in found}) == len(found)
    assert found == sorted(found, key=lambda hit: (-hit[1], hit[0]))


def test_titles_case_accents_and_word_forms_are_searched(tmp_path):
    documents = [
        {"id": "a", "title": "Heron 20", "text": "It weighs 340 g."},
        {"id": "b", "text": "Das Café liegt in Lyon; calibrated instruments."},
    ]
    index = Index.build(tmp_path / "kb", documents)
    for query, expected in [("HERON", "a"), ("weighing", "a"), ("cafe", "b"), ("calibrate", "b"), ("lyon?", "b")]:
        assert [key for key, _ in index.search(query)] == [expected], query


def test_languages_have_their_own_stemmer_or_none(tmp_path):
    german = Index.build(tmp_path / "de", [{"id": "a", "text": "Die Messungen laufen."}], language="de")
    assert german.search("Messung")
    polish = Index.build(tmp_path / "pl", [{"id": "a", "text": "pomiar the"}], language="pl")
    assert polish.search("the")  # no English stop words


def test_an_empty_knowledge_base_finds_nothing(tmp_path):
    assert Index.build(tmp_path / "kb", []).search("heron") == []


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ([{"text": "no id"}], "document 1"),
        ([{"id": "a", "text": "x"}, {"id": "a", "text": "y"}], "'a' again"),
        ([{"id": "a", "text": None}], "NoneType"),
        ([{"id": 7, "text": "x"}], "int"),
    ],
)
def test_wrong_documents_leave_the_old_index(tmp_path, documents, message):
    Index.build(tmp_path / "kb", [{"id": "old", "text": "heron"}])
    with pytest.raises(UserError, match=message):
        Index.build(tmp_path / "kb", documents)
    assert Index.open(tmp_path / "kb").search("heron")


def test_opening_nothing_or_a_stranger_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="build it first"):
        Index.open(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("do not delete")
    with pytest.raises(UserError, match="another place"):
        Index.build(tmp_path / "mine", corpus())
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_k_and_mode_are_checked(index, tmp_path):
    with pytest.raises(ValueError, match="at least 1"):
        index.search("heron", 0)
    with pytest.raises(ValueError, match="mode must be"):
        Index.build(tmp_path / "kb", [], mode="magic")
    with pytest.raises(ValueError, match="needs an embedding"):
        Index.build(tmp_path / "kb", [], mode="vector")


def letters(texts, is_query):
    """A toy embedding: the unit vector of the counts of a, b and c."""
    counts = np.array([[text.count(letter) + 1e-3 for letter in "abc"] for text in texts], dtype=np.float32)
    return counts / np.linalg.norm(counts, axis=1, keepdims=True)


def test_vector_search_ranks_by_cosine(tmp_path):
    documents = [{"id": key, "text": key} for key in ("aaa", "aab", "abb", "ccc")]
    index = Index.build(tmp_path / "kb", documents, mode="vector", embed=letters, embed_name="letters")
    expected = letters(["aa"], True) @ letters(["aaa", "aab", "abb", "ccc"], False).T
    found = dict(index.search("aa", 4))
    assert list(found) == ["aaa", "aab", "abb", "ccc"]
    assert list(found.values()) == pytest.approx(expected[0], abs=1e-4)
    with pytest.raises(UserError, match="build the index again"):
        Index.open(index.path, embed=letters, embed_name="other")


def test_hybrid_fuses_ranks():
    assert fuse([[("x", 9.0), ("y", 8.0)], [("y", 0.1)]]) == [("y", 1 / 62 + 1 / 61), ("x", 1 / 61)]


def test_hybrid_finds_what_either_finds(tmp_path):
    texts = {"words": "bbb zebra", "vector": "aaaa", "other": "cccc"}
    documents = [{"id": key, "text": text} for key, text in texts.items()]
    index = Index.build(tmp_path / "kb", documents, mode="hybrid", embed=letters, embed_name="letters")
    assert {key for key, _ in index.search("zebra a", 2)} == {"words", "vector"}
