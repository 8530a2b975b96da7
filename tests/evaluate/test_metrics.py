"""The scorers against the official ones: SQuAD's definition worked by hand and re-derived, Google's rouge-score run."""

from __future__ import annotations

import collections
import re
import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from ftlib.evaluate.metrics import (
    exact_match,
    is_refusal,
    is_scorable,
    normalize,
    rouge_l,
    token_f1,
)

REFUSAL = "I don't have that information."
words = st.lists(
    st.sampled_from(["The", "a", "an", "340", "g", "kg.", "Alder", "alder", "20,", "don't", "é", "-"]), max_size=8
)
texts = st.one_of(words.map(" ".join), st.text(max_size=30))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  340 g.", "340 g"),
        ("An apple, a pear; the END", "apple pear end"),
        ("theatre", "theatre"),  # an article inside a word stays
        ("a-b", "ab"),  # the hyphen goes before articles are looked for, so no article is left alone
        ("don't", "dont"),
        ("\tRS-485\n(isolated) ", "rs485 isolated"),
        ("the", ""),
        ("Ä ß", "ä ß"),
    ],
)
def test_normalize_has_squads_exact_values(text, expected):
    assert normalize(text) == expected


@pytest.mark.parametrize(
    ("prediction", "references", "em", "f1"),
    [
        ("340 g", ["340 g"], 1.0, 1.0),
        ("The weight is 340 g.", ["340 g"], 0.0, 2 * (2 / 4) * 1 / (2 / 4 + 1)),
        ("340 g", ["12 kg", "340 g"], 1.0, 1.0),  # the best reference counts
        ("red red blue", ["red blue blue"], 0.0, 2 / 3),  # common tokens as a multiset: red once, blue once
        ("g 340", ["340 g"], 0.0, 1.0),  # F1 knows no order
        ("", [""], 1.0, 1.0),
        ("the", ["a"], 1.0, 1.0),  # both empty once normalized
        ("", ["340 g"], 0.0, 0.0),
        ("steel", ["aluminium"], 0.0, 0.0),
    ],
)
def test_squad_scores_worked_by_hand(prediction, references, em, f1):
    assert exact_match(prediction, references) == em
    assert token_f1(prediction, references) == f1


def squad_normalize(text):
    """The four published steps, one after the other, written from their description."""
    text = "".join(character for character in text.lower() if character not in set(string.punctuation))
    return " ".join(re.compile(r"\b(a|an|the)\b").sub(" ", text).split())


def squad_f1(prediction, reference):
    predicted, expected = squad_normalize(prediction).split(), squad_normalize(reference).split()
    if len(predicted) == 0 or len(expected) == 0:
        return int(predicted == expected)
    same = sum((collections.Counter(expected) & collections.Counter(predicted)).values())
    if same == 0:
        return 0
    precision, recall = 1.0 * same / len(predicted), 1.0 * same / len(expected)
    return (2 * precision * recall) / (precision + recall)


@given(texts, st.lists(texts, min_size=1, max_size=3))
def test_squad_scores_equal_the_rederived_definition(prediction, references):
    same = [squad_normalize(prediction) == squad_normalize(reference) for reference in references]
    assert exact_match(prediction, references) == float(any(same))
    assert token_f1(prediction, references) == max(squad_f1(prediction, reference) for reference in references)


@settings(deadline=None)
@given(texts, st.lists(texts, min_size=1, max_size=3))
@example("police killed the gunman", ["police kill the gunman", "the gunman kill police"])
@example("Straße 12", ["Strasse 12"])
def test_rouge_l_equals_googles_package_exactly(prediction, references):
    official = RougeScorer(["rougeL"]).score_multi(references, prediction)["rougeL"].fmeasure
    assert rouge_l(prediction, references) == official


def test_rouge_l_of_lins_example():
    # Lin (2004): "police kill the gunman" against "police killed the gunman" shares 3 of 4 words in order.
    assert rouge_l("police kill the gunman", ["police killed the gunman"]) == 0.75
    assert rouge_l("the gunman kill police", ["police killed the gunman"]) == 0.5


@given(texts, texts)
def test_scores_lie_between_0_and_1_and_a_copy_is_exact(prediction, reference):
    for metric in (exact_match, token_f1, rouge_l):
        assert 0.0 <= metric(prediction, [reference]) <= 1.0
    assert exact_match(reference, [reference]) == token_f1(reference, [reference]) == 1.0
    assert exact_match(prediction, [reference]) <= token_f1(prediction, [reference])


@pytest.mark.parametrize("metric", [exact_match, token_f1, rouge_l])
@pytest.mark.parametrize("references", [[], "340 g"])
def test_references_must_be_a_list_with_something_in_it(metric, references):
    with pytest.raises(ValueError, match=r"got none|got one string"):
        metric("340 g", references)


@pytest.mark.parametrize(
    ("prediction", "refused"),
    [
        (REFUSAL, True),
        ("i don\u2019t have that information", True),
        ("I don't have that information. Please ask the service desk.", True),
        ("I have that information.", False),
        ("340 g. I don't have that information.", False),  # an answer comes first
        ("", False),
        ("I don't have that", False),
    ],
)
def test_refusals_are_recognised(prediction, refused):
    assert is_refusal(prediction, REFUSAL) is refused


def test_refusal_phrases_of_the_recipe_count_and_an_empty_sentence_never_does():
    assert not is_refusal("I do not know.", REFUSAL)
    assert is_refusal("I do not know.", REFUSAL, also=["I do not know"])
    assert not is_refusal("anything", "")


@pytest.mark.parametrize("prediction", [None, "", " \n\t", "\ufffd\ufffd", "\x00\u200b", 3])
def test_what_holds_no_answer_is_not_scorable(prediction):
    assert not is_scorable(prediction)
    assert is_scorable(" 0 ")
