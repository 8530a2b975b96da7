"""The written files: the same bytes for the same seed, truth for every row, test wording nowhere but in leaks."""

import re
import runpy
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from rapidfuzz import fuzz

from data.generator import mess
from data.generator.demo import Demo
from data.generator.export import export
from data.generator.questions import wordings
from data.generator.wording.support import REFUSAL
from ftlib import jsonl

COMPANY = Path(__file__).parents[2] / "data" / "company"


def files(folder: Path) -> dict[str, bytes]:
    found = [path for path in folder.rglob("*") if path.suffix in (".md", ".jsonl")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def plain(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum())


def test_same_seed_same_bytes(exported, tmp_path: Path) -> None:
    export(tmp_path, 20)
    assert files(tmp_path) == files(exported.folder)


def test_committed_files_are_what_the_script_writes(exported, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["make.py", "--out", str(tmp_path)])
    runpy.run_path(str(COMPANY / "make.py"), run_name="__main__")
    committed = files(COMPANY)
    del committed["README.md"]
    assert files(tmp_path) == committed
    assert "facts" in capsys.readouterr().out


def test_counts_of_the_embedded_company(exported) -> None:
    assert len(exported.raw) >= 4000
    assert 700 <= exported.counts["facts"] <= 1000
    assert exported.counts["articles"] == len(list((exported.folder / "articles").glob("*.md"))) >= 60
    sizes = Counter(row["slice"] for row in exported.test)
    assert sizes == {
        "trained_fact": 240,
        "untrained_fact": 60,
        "unanswerable": 60,
        "procedure": 45,
        "policy": 45,
        "comparison": 45,
        "reworded_fact": 152,
    }


def test_reworded_questions_are_in_no_patterns_words(exported) -> None:
    """They name product and code, hold no answer, ask for trained facts, and no pattern's question is like them."""
    demo, reworded = Demo.sample(20), [row for row in exported.test if row["slice"] == "reworded_fact"]
    of_fact = {
        fact.id: [*wordings(demo, article, fact, test=True), *wordings(demo, article, fact, test=False)]
        for article in demo.articles
        for fact in article.facts
    }
    trained = {fact for row in exported.truth.values() for fact in row["fact"]}
    assert len({row["fact"][0] for row in reworded}) == len({row["question"] for row in reworded}) == len(reworded)
    for row in reworded:
        code = re.match(r"error-(e\d+)-", row["fact"][0])
        assert row["product"] in row["question"] and (code is None or code[1].upper() in row["question"])
        assert row["answer"].lower() not in row["question"].lower() and row["fact"][0] in trained
        assert max(fuzz.ratio(row["question"], each) for each in of_fact[row["fact"][0]]) < 85


def test_readme_names_the_counts(exported) -> None:
    readme = (COMPANY / "README.md").read_text(encoding="utf-8").replace(",", "")
    for name in ("facts", "facts never trained", "articles", "raw answers", "science questions"):
        assert str(exported.counts[name]) in readme, name


def test_truth_covers_every_answer_and_every_planted_defect(exported) -> None:
    assert {row[0] for row in exported.raw} == set(exported.truth)
    assert len(exported.raw) == len(exported.truth)
    planted = Counter(defect["kind"] for row in exported.truth.values() for defect in row["defects"])
    for plant, count in (mess.MENDABLE | mess.SPOILING).items():
        assert planted[plant.__name__] == count
    assert {
        "exact_duplicate",
        "near_duplicate",
        "contradiction",
        "wrong_language",
        "leak_exact",
        "leak_near",
        "boilerplate_only",
        "boilerplate_around",
    } <= set(planted)


def test_rows_without_a_defect_are_clean(exported, demo: Demo) -> None:
    facts = (*demo.facts, *(fact for article in demo.archived for fact in article.facts))
    values = {fact.id: fact.value for fact in facts}
    for key, question, _, answer in exported.raw:
        truth = exported.truth[key]
        if truth["defects"]:
            continue
        assert "<" not in question or truth["decoy"] == "html"
        if truth["slice"] == "unanswerable" or not truth["fact"]:
            assert answer == REFUSAL
        elif len(truth["fact"]) == 1:
            assert answer == values[truth["fact"][0]]


def test_defects_refer_to_rows_that_exist(exported) -> None:
    texts = {key: (question, answer) for key, question, _, answer in exported.raw}
    tests = {row["id"]: row for row in exported.test}
    for key, row in exported.truth.items():
        for defect in row["defects"]:
            if "of" in defect:
                assert not exported.truth[defect["of"]]["defects"]
                assert exported.truth[defect["of"]]["fact"] == row["fact"]
            if "right" in defect:
                assert texts[defect["of"]] == (texts[key][0], defect["right"])
            if "test_id" in defect:
                assert texts[key][1] == tests[defect["test_id"]]["answer"]
            if defect["kind"] == "leak_exact":
                assert texts[key][0] == tests[defect["test_id"]]["question"]


def test_a_contradicting_answer_is_older_than_the_right_one(exported) -> None:
    raw = exported.folder / "raw"
    created = {line["id"]: line["created"] for path in raw.iterdir() for line in jsonl.read(path)}
    defects = [(key, defect) for key, row in exported.truth.items() for defect in row["defects"]]
    pairs = [(key, defect["of"]) for key, defect in defects if defect["kind"] == "contradiction"]
    assert pairs
    assert all(created[older] < created[newer] for older, newer in pairs)


def test_test_wording_appears_only_in_leaks(exported) -> None:
    asked = {plain(row["question"]) for row in exported.test} | {plain(row["question"]) for row in exported.updates}
    for key, question, _, _ in exported.raw:
        kinds = {defect["kind"] for defect in exported.truth[key]["defects"]}
        if not kinds & {"leak_exact", "leak_near"}:
            assert plain(question) not in asked, question


def test_untrained_facts_are_told_nowhere(exported, demo: Demo) -> None:
    assert not any(demo.untrained & set(row["fact"]) for row in exported.truth.values())
    assert not any(context for _, _, context, _ in exported.raw)


def test_archived_facts_are_told_nowhere(exported, demo: Demo) -> None:
    archived = {fact.id for article in demo.archived for fact in article.facts}
    told = (*exported.truth.values(), *exported.test, *exported.updates)
    assert not archived & {fact for row in told for fact in row["fact"]}
    written = {path.stem for path in (exported.folder / "articles").iterdir()}
    assert not written & {article.id for article in demo.archived}


def test_each_trained_fact_is_told_in_at_least_four_wordings(exported, demo: Demo) -> None:
    told: dict[str, set[str]] = defaultdict(set)
    harmless = {"html", "mojibake", "boilerplate_around", "email", "phone", "card", "iban", "ip"}
    for key, question, context, _ in exported.raw:
        row = exported.truth[key]
        if {defect["kind"] for defect in row["defects"]} <= harmless and len(row["fact"]) == 1 and not context:
            told[row["fact"][0]].add(question)
    assert set(told) == {fact.id for fact in demo.trained}
    assert min(map(len, told.values())) >= 4


def test_sound_questions_are_asked_once(exported) -> None:
    sound = Counter(question for key, question, _, _ in exported.raw if not exported.truth[key]["defects"])
    assert [question for question, count in sound.items() if count > 1] == []


def test_test_rows_name_what_holds_the_answer(exported, demo: Demo) -> None:
    texts, trained = demo.texts(), {fact.id for fact in demo.trained}
    for row in exported.test:
        if row["slice"] == "unanswerable":
            assert (row["documents"], row["answer"]) == ([], REFUSAL)
            continue
        assert (set(row["fact"]) <= trained) == (row["slice"] != "untrained_fact")
        assert row["answer"] == row["references"][0]
        assert any(row["answer"] in texts[key] for key in row["documents"])
    assert len({row["question"] for row in exported.test}) == len(exported.test)


def test_compared_pairs_of_the_test_are_not_in_training(exported) -> None:
    trained = {tuple(sorted(row["fact"])) for row in exported.truth.values() if row["slice"] == "comparison"}
    tested = {tuple(sorted(row["fact"])) for row in exported.test if row["slice"] == "comparison"}
    assert tested
    assert not trained & tested


@pytest.mark.parametrize(("name", "low", "high"), [("unanswerable", 0.22, 0.28), ("comparison", 0.03, 0.06)])
def test_shares_of_the_export(exported, name: str, low: float, high: float) -> None:
    share = sum(row["slice"] == name for row in exported.truth.values()) / len(exported.truth)
    assert low <= share <= high


def test_some_conversations_have_several_turns(exported) -> None:
    lines = jsonl.read(exported.folder / "raw" / "messages.jsonl")
    assert sum(len(line["messages"]) > 2 for line in lines) >= 30
    assert all(
        [m["role"] for m in line["messages"]] == ["user", "assistant"] * (len(line["messages"]) // 2) for line in lines
    )
