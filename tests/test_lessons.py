"""What notebooks 01 and 03 build in view gives what the library gives, on more than the cases that they show."""

from __future__ import annotations

import ast
import json
import string
from collections import Counter
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from ftlib import jsonl, stats
from ftlib.data import similar
from ftlib.data.prompts import Renderer
from ftlib.data.vocabulary import Lexicon
from ftlib.evaluate import metrics, scores
from ftlib.rows import row_of

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
ASCII_TEXT = st.text(st.sampled_from(string.ascii_letters + string.digits + string.punctuation + "   "), max_size=30)
SMALL_TEXT = st.lists(st.sampled_from(["a", "The", "1", "kg", "kg.", "or", "2"]), max_size=6).map(" ".join)


def definitions(notebook: str, text: str) -> str:
    """The functions of the one code cell that holds `text`; what it does with them needs a run."""
    cells = json.loads((NOTEBOOKS / f"{notebook}.ipynb").read_text(encoding="utf-8"))["cells"]
    (found,) = [source for cell in cells if cell["cell_type"] == "code" and text in (source := "".join(cell["source"]))]
    kept = [node for node in ast.parse(found).body if isinstance(node, ast.FunctionDef)]
    return ast.unparse(ast.Module(kept, []))


@pytest.fixture(scope="module")
def by_hand() -> dict[str, Any]:
    names: dict[str, Any] = {"string": string, "Counter": Counter}
    exec(definitions("03_evaluate", "def exact_match("), names)
    return names


@settings(max_examples=400, deadline=None)
@given(reply=ASCII_TEXT | SMALL_TEXT, right=ASCII_TEXT | SMALL_TEXT)
def test_exact_match_and_f1_by_hand_are_the_official_ones(by_hand, reply, right):
    assert by_hand["exact_match"](reply, right) == metrics.exact_match(reply, [right])
    assert by_hand["f1"](reply, right) == metrics.token_f1(reply, [right])


@pytest.mark.parametrize(("wins", "losses"), [(9, 2), (10, 1), (5, 5), (1, 0), (0, 7), (30, 12)])
def test_mcnemar_is_a_throw_of_coins(wins, losses):
    coins = wins + losses
    uneven = [k for k in range(coins + 1) if abs(k - coins / 2) >= abs(wins - coins / 2)]
    found = stats.mcnemar([1] * wins + [0] * losses, [0] * wins + [1] * losses)
    assert found == pytest.approx(sum(comb(coins, k) for k in uneven) / 2**coins, rel=1e-12)


def test_nine_to_two_is_not_below_five_per_cent_and_ten_to_one_is():
    """Notebook 03 says so in prose."""
    nine, ten = (stats.mcnemar([1] * w + [0] * (11 - w), [0] * w + [1] * (11 - w)) for w in (9, 10))
    assert ten < 0.05 < nine


def test_more_questions_make_the_interval_narrower_as_the_prose_says():
    widths = []
    for n in (10, 100, 1000):
        found = stats.mean_ci95([1] * (9 * n // 10) + [0] * (n // 10))
        widths.append(found.high - found.low)
    assert widths[0] > 10 * widths[2], "a hundred times as many, more than ten times narrower"
    assert 0.5 < stats.mean_ci95([1] * 9 + [0]).low < 0.6, "right little more than half of the time"


def test_ten_of_ten_leave_room_where_the_plain_bootstrap_sees_none():
    assert stats.mean_ci95([1] * 10).low < 0.75
    hundred = np.repeat([1, 0], [90, 10])
    drawn = hundred[np.random.default_rng(0).integers(0, 100, (2000, 100))].mean(axis=1)
    ours = stats.mean_ci95(hundred.tolist())
    assert np.abs(np.quantile(drawn, [0.025, 0.975]) - [ours.low, ours.high]).max() < 0.025, "nearly agree"


@pytest.mark.parametrize(("gain", "differ"), [(0.05, 0.25), (0.10, 0.25), (0.20, 0.25), (0.10, 0.5)])
def test_needed_n_gives_about_eighty_per_cent_power(gain, differ):
    n, generator = stats.needed_n(gain, differ), np.random.default_rng(5)
    differing = generator.binomial(n, differ, 1500)
    won = generator.binomial(differing, (differ + gain) / (2 * differ))
    p_values = {
        key: binomtest(*key).pvalue for key in set(zip(won.tolist(), differing.tolist(), strict=True)) if key[1]
    }
    shown = [p_values.get(key, 1.0) < 0.05 for key in zip(won.tolist(), differing.tolist(), strict=True)]
    assert 0.65 < np.mean(shown) < 0.9


def test_a_slip_costs_more_similarity_than_another_number():
    """The trap of notebook 01's toy."""
    lexicon = Lexicon("en")
    row, slip, number, word = (
        f"How {w} is the Quokka {n}?" for w, n in (("heavy", 20), ("haevy", 20), ("heavy", 30), ("heady", 20))
    )
    scores = [similar.jaccard(row, other, lexicon) for other in (slip, word, number)]
    assert scores == sorted(scores) and len(set(scores)) == 3
    assert [similar.same(row, other, 0.7, lexicon) for other in (slip, word, number)] == [True, False, False]


def test_what_the_toy_of_notebook_03_says_of_its_seven_replies():
    """Half for a wrong number, nothing for a second value, and the right value in another unit."""
    toy = row_of({"id": "toy", "question": "What does a litre of water weigh?", "answer": "1 kg"})
    found = {
        reply: scores.score_answer(toy, reply, "I don't know.", ())
        for reply in ("1 kg", "The 1 kg.", "It weighs 1000 g.", "1 kg or 2 kg", "1 g", "")
    }
    assert [found[reply]["em"] for reply in ("1 kg", "The 1 kg.", "It weighs 1000 g.", "1 g")] == [1, 1, 0, 0]
    assert [found[reply]["value"] for reply in ("It weighs 1000 g.", "1 kg or 2 kg", "1 g")] == [1, 0, 0]
    assert found["1 g"]["f1"] == 0.5 and found["1 kg or 2 kg"]["f1"] == pytest.approx(4 / 7)
    assert found[""]["em"] is None and not found[""]["scored"]


def test_the_markers_of_other_templates_cost_several_tokens_here():
    """Notebook 01 says so of Llama-2's and ChatML's, and docs/EXERCISES.md counts the demo's own and Alpaca's."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(NOTEBOOKS.parent / "data" / "base_model")
    row = row_of({"id": "r", "question": "How heavy is the Hazel 30?", "answer": "860 g"})
    alone = len(tokenizer("How heavy is the Hazel 30? 860 g", add_special_tokens=False)["input_ids"])
    names = ("tokenizer", "llama2", "chatml", "alpaca")
    around = {name: len(Renderer(name, tokenizer).example(row).input_ids) - alone for name in names}
    assert list(around.values()) == sorted(around.values()) and (around["tokenizer"], around["alpaca"]) == (4, 45)
    assert all(len(tokenizer(mark, add_special_tokens=False)["input_ids"]) > 1 for mark in ("[INST]", "<|im_start|>"))


def test_the_demo_declines_about_a_quarter_of_its_questions():
    raw = NOTEBOOKS.parent / "data" / "company" / "raw"
    answers = [line["output"] for line in jsonl.iterate(raw / "alpaca.jsonl")]
    answers += [line["messages"][-1]["content"] for line in jsonl.iterate(raw / "messages.jsonl")]
    assert 0.2 < np.mean([answer.startswith("I don't have that information") for answer in answers]) < 0.3
