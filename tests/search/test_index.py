"""The index ranks as BM25 is defined, keeps its promises on ties, and takes any text as a query."""

import math
import re
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftlib.errors import UserError
from ftlib.recipe import ColumnsRecipe
from ftlib.rows import row_of
from ftlib.search import index as module
from ftlib.search.index import Index, fuse_ranks
from ftlib.search.retrieval import retrieve, search_quality

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


CHINESE = {
    "退货": ("# 退货\n\n客户可以在三十天内退货，运费由客户承担。", "买来的东西不满意，多少天之内可以退货？"),
    "保修": ("# 保修\n\n所有仪器的保修期是两年，电池除外。", "仪器的保修期有多长？"),
    "电池": ("# 电池\n\n电池充满电需要四个小时，可以使用三天。", "电池充电要几个小时？"),
    "校准": ("# 校准\n\n温度传感器每年应当校准一次。", "温度传感器隔多久校准？"),
    "密码": ("# 密码\n\n忘记密码时，请按住复位按钮十秒钟。", "忘记密码怎么办？"),
    "价格": ("# 价格\n\n标准型的价格是二百六十元，不含税。", "标准型的价格是多少元？"),
    "地址": ("# 地址\n\n公司总部的地址在北京市朝阳区。", "公司总部在哪个城市？"),
    "发票": ("# 发票\n\n电子发票会在付款之后一天内发送到邮箱。", "付款以后什么时候能收到电子发票？"),
    "颜色": ("# 颜色\n\n外壳有灰色和蓝色两种颜色。", "外壳有哪些颜色？"),
    "重量": ("# 重量\n\n整机重量为三百四十克，包括支架。", "整机的重量是多少克？"),
    "安装": ("# 安装\n\n安装支架需要四颗螺丝和一把扳手。", "安装支架要用几颗螺丝？"),
    "网络": ("# 网络\n\n设备只支持无线网络，不支持蓝牙。", "设备支持蓝牙吗？"),
}


@pytest.mark.parametrize("language", [None, "zh", "zh-Hans", "en"])
def test_a_script_without_spaces_is_searched_by_its_words_whatever_the_recipe_says(tmp_path, language):
    documents = [{"id": key, "text": text} for key, (text, _) in CHINESE.items()]
    index = Index.build(tmp_path / "kb", documents, language=language)
    rows = [
        row_of({"id": key, "question": question, "answer": "x", "meta": {"articles": [key]}})
        for key, (_, question) in CHINESE.items()
    ]
    quality = search_quality(rows, retrieve(index, rows, 3), 3, ColumnsRecipe(documents="articles"))
    assert quality.hits[0].mean >= 0.9


def test_without_a_language_nothing_is_assumed_of_it(tmp_path):
    texts = {"a": "pomiar the", "b": "die Messungen laufen", "c": "泵九号很重"}
    index = Index.build(tmp_path / "kb", [{"id": k, "text": t} for k, t in texts.items()], language=None)
    found = {query: [key for key, _ in index.search(query)] for query in ("the", "Messung", "MESSUNGEN", "很重吗")}
    assert found == {"the": ["a"], "Messung": [], "MESSUNGEN": ["b"], "很重吗": ["c"]}, "no stop words, no stemming"


def versions(path):
    return [each for each in path.iterdir() if each.is_dir()]


def test_every_search_succeeds_while_the_index_is_built_again_and_again(tmp_path):
    path, done, failed = tmp_path / "kb", threading.Event(), []
    documents = [corpus(), [{**document, "text": document["text"] + " heron"} for document in corpus()]]
    opened = Index.build(path, documents[0])
    before = opened.search("heron", 3)

    def rebuild():
        for number in range(6):
            Index.build(path, documents[number % 2])
        done.set()

    def search():
        count = 0
        while not done.is_set() or count < 60:
            try:
                assert len(Index.open(path).search("heron", 3)) == 3
                assert opened.search("heron", 3) == before, "what is open stays as it is"
            except Exception as error:
                failed.append(error)
            count += 1
        return count

    with ThreadPoolExecutor(5) as pool:
        counts = [pool.submit(search) for _ in range(4)]
        pool.submit(rebuild).result()
        assert sum(count.result() for count in counts) >= 240
    assert not failed
    Index.build(path, documents[0])
    assert len(versions(path)) == 2, "the last one and the one that is open"


KILLED = """
import os, signal, sys
from ftlib.search import index
step, path = sys.argv[1:]
whole = getattr(index, step)
def killed(*arguments, **options):
    if "before" in os.environ: os.kill(os.getpid(), signal.SIGKILL)
    whole(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(index, step, killed)
index.Index.build(path, [{"id": "new", "text": "heron"}])
"""


@pytest.mark.parametrize(
    ("step", "moment", "old", "new"),
    [
        ("write_table", "before", "old", None),
        ("write_table", "after", "old", None),
        ("write_json", "before", "old", None),
        ("write_json", "after", "new", "new"),
        ("_sweep", "after", "new", "new"),
    ],
)
def test_a_kill_between_any_two_steps_leaves_the_old_index_or_the_new(tmp_path, step, moment, old, new):
    Index.build(tmp_path / "kb", [{"id": "old", "text": "heron"}])
    for path, expected in ((tmp_path / "kb", old), (tmp_path / "first", new)):
        environment = {"PATH": "", "HOME": str(tmp_path), "PYTHONPATH": ":".join(p for p in sys.path if p)}
        command = [sys.executable, "-c", KILLED, step, str(path)]
        made = subprocess.run(command, env=environment | ({"before": "1"} if moment == "before" else {}), timeout=120)
        assert made.returncode == -9
        assert Index.exists(path) == bool(expected)
        if expected:
            assert [key for key, _ in Index.open(path).search("heron")] == [expected]
        again = Index.build(path, [{"id": "again", "text": "heron"}])
        assert again.search("heron")[0][0] == "again" and len(versions(path)) == 1, "and what was left is swept"


def test_two_builders_at_once_do_not_collide(tmp_path):
    contents = [[{"id": f"{name}{i}", "text": "heron"} for i in range(20)] for name in "abcd"]
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda documents: Index.build(tmp_path / "kb", documents), contents))
    assert all(len({key[0] for key, _ in index.search("heron", 20)}) == 1 for index in made), "none is a mixture"
    assert Index.open(tmp_path / "kb").size == 20
    del made


def test_an_index_of_an_earlier_version_is_named_and_built_again(tmp_path):
    (tmp_path / "kb").mkdir()
    module.write_json(tmp_path / "kb" / "index.json", {"format": 1, "mode": "bm25", "documents": 1, "embedding": ""})
    with pytest.raises(UserError, match="format 1"):
        Index.open(tmp_path / "kb")
    assert Index.build(tmp_path / "kb", corpus()).search("heron")


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
    assert fuse_ranks([[("x", 9.0), ("y", 8.0)], [("y", 0.1)]]) == [("y", 1 / 62 + 1 / 61), ("x", 1 / 61)]


def test_hybrid_finds_what_either_finds(tmp_path):
    texts = {"words": "bbb zebra", "vector": "aaaa", "other": "cccc"}
    documents = [{"id": key, "text": text} for key, text in texts.items()]
    index = Index.build(tmp_path / "kb", documents, mode="hybrid", embed=letters, embed_name="letters")
    assert {key for key, _ in index.search("zebra a", 2)} == {"words", "vector"}
