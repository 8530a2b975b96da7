"""Lengths, packing, coverage, shortcuts, bias."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftlib.data import askers, audit, tokens
from ftlib.data.prompts import Renderer
from ftlib.recipe import BiasRecipe
from tests.data import made


def row(question="q", answer="a", row_id="r", **meta):
    return made.row(row_id, question, answer, **meta)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 32), min_size=1, max_size=60))
def test_packing_is_between_its_bounds(lengths):
    sequences = tokens.pack(np.array(lengths), 32)
    least = -(-sum(lengths) // 32)
    large = sum(length > 16 for length in lengths)
    assert max(least, large) <= sequences <= max(1, int(np.ceil(11 / 9 * max(least, large) + 6 / 9)) + large)
    assert sequences <= len(lengths)


def test_packing_exact_values():
    assert tokens.pack(np.array([16] * 7), 32) == 4
    assert tokens.pack(np.array([10] * 3), 32) == 1
    assert tokens.pack(np.array([20, 12, 20, 12, 5]), 32) == 3


def test_forecast_exact_values():
    found = tokens.forecast(np.array([10, 20, 10, 20]), 30, 2)
    assert found["grouped"] == 1.0 and found["packed"] == 1.0
    assert found["padded"] in (1.0, 0.75)
    assert tokens.forecast(np.array([]), 30, 2)["packed"] == 0.0


def test_coverage_counts_words_and_tokens(tokenizer):
    found = tokens.coverage(["Heron Heron", "zzzzqq"], tokenizer)
    ids = [tokenizer(f" {word}", add_special_tokens=False)["input_ids"] for word in ("Heron", "Heron", "zzzzqq")]
    assert found["words"] == 3
    assert found["tokens_per_word"] == pytest.approx(sum(map(len, ids)) / 3, abs=1e-3)
    assert tokens.coverage([], tokenizer) == {"words": 0}


def test_lengths_are_those_of_the_renderer(tokenizer):
    renderer = Renderer("tokenizer", tokenizer)
    whole, trained = audit.lengths([row("How heavy?", "340 g")], renderer)
    example = renderer.example(row("How heavy?", "340 g"))
    assert whole.tolist() == [len(example.input_ids)]
    assert trained.tolist() == [sum(label != -100 for label in example.labels)]


def test_label_leakage_exact_values():
    rows = [
        row("Is it red or blue?", "blue", source="chat"),
        row("What colour?", "blue", source="chat"),
        row("What weight?", "340 g", source="mail"),
        row("What weight?", "340 g", source="mail"),
        row("What size?", "5 cm", source="mail"),
    ]
    found = audit.label_leakage(rows, ["source"])
    assert found["answer_in_question"] == {"share": 0.2, "n": 5}
    assert found["majority_answer"]["share"] == 0.4
    assert found["by_source"] == {"share": 0.8, "values": 2, "n": 5}


def test_bias_counts_groups_with_tones():
    rows = [row("She is angry."), row("He is happy."), row("A woman asked."), row("nothing good here")]
    found = audit.bias(rows, BiasRecipe())
    assert found["women"] == {"rows": 2, "positive": 0, "negative": 1, "terms": {"she": 1, "woman": 1}}
    assert found["men"]["positive"] == 1
    assert found["(all)"] == {"rows": 4, "positive": 2, "negative": 1, "terms": {}}


def test_english_lists_are_not_asked_about_rows_in_another_language():
    rows, lists = [row("Wie oft gießt man den Ginkgo?")], BiasRecipe()
    assert audit.bias(rows, lists)["men"]["rows"] == 1  # the pronoun
    assert lists.spoken_in("en") is lists.spoken_in(None) is lists
    assert list(audit.bias(rows, lists.spoken_in("de"))) == ["(all)"]
    assert askers.counterfactuals(rows, lists.spoken_in("de"), 0) == []
    own = BiasRecipe(groups={"Ältere": ["senioren"]}, personas=[("Ich bin 25.", "Ich bin 75.")]).spoken_in("de")
    assert list(own.groups) == ["Ältere"] and len(own.personas) == 1 and own.positive == []


def test_counterfactual_pairs_differ_only_in_the_persona():
    rows = [row(f"question {n}", row_id=f"t{n}") for n in range(10)]
    pairs = askers.counterfactuals(rows, BiasRecipe(pairs=4), 0)
    assert len(pairs) == 8 and pairs == askers.counterfactuals(rows, BiasRecipe(pairs=4), 0)
    for a, b in zip(pairs[::2], pairs[1::2], strict=True):
        assert a.meta["pair"] == b.meta["pair"] and a.meta["persona"] != b.meta["persona"]
        assert a.question.removeprefix(a.meta["persona"]) == b.question.removeprefix(b.meta["persona"])
        assert (a.id, b.id) == (f"{a.meta['pair']}/a", f"{a.meta['pair']}/b")
    assert askers.counterfactuals([], BiasRecipe(), 0) == []


def test_balance_counts_values():
    found = audit.balance([row(kind="x"), row(kind="x"), row()], ["kind"])
    assert found["kind"] == {"values": 2, "top": {"x": 2, "(none)": 1}}


def test_every_column_of_few_values_divides_the_rows():
    """Finding 5: the audit looked at three columns of the demo alone."""
    rows = [row(kind="ab"[n % 2], number=n, item=f"item {n // 2}", tags=["x"], empty=None) for n in range(200)]
    assert audit.dividing_columns(rows, [None, "item", "absent"]) == ["item", "kind", "tags"]
    assert audit.dividing_columns([], ["item"]) == []


def test_counterfactual_pairs_keep_history_and_context_and_pass_over_texts():
    text = made.row("t")._replace(turns=())
    asked = made.row("q", "And now?", "a", "A list.", [("user", "Hm?"), ("assistant", "Yes.")])
    one, other = askers.counterfactuals([text, asked], BiasRecipe(), 0)
    assert one.history == other.history == asked.history and one.context == "A list."
    assert askers.counterfactuals([text], BiasRecipe(), 0) == []
