"""Answers that are none."""

import pytest

from ftlib.data import unfinished
from ftlib.data.unfinished import Ends

WHAT, DO, SIGN = "How many moons has Venus?", "Describe the taste of an apple.", "Which operator joins strings?"


@pytest.mark.parametrize(
    "text",
    ["", " ", "-", "n/a", "N.A.", "TBD", "???", "...", "#REF!", "<p></p>", "&nbsp;", "\u200b", "see above", "[]"],
)
def test_surely_empty(text):
    assert unfinished.emptiness(text, DO) == "surely"


@pytest.mark.parametrize("text", ["None", "nan", "NULL", "Nil", "无"])
def test_what_may_be_an_answer_is_empty_only_perhaps(text):
    assert unfinished.emptiness(text, DO) == "perhaps"
    assert unfinished.emptiness(text, WHAT) == ""


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        ("5", DO), ("no", DO), ("é", DO), ("R14", DO), ("C", DO), ("0", DO), ("👍", DO), ("∅", DO), ("+", DO), ("-",
        SIGN),
        ("?", "Which wildcard matches one character?"), ("[]", "How is an empty list written in Python?"),
        ("N/A", 'What stands for "not applicable"?'), ("<br>", "Which tag breaks a line?"), ("<img src='a.png'>", DO),
    ],
)  # fmt: skip
def test_not_empty(answer, asked):
    assert unfinished.emptiness(answer, asked) == ""


ANSWERS = [f"The cover of the pump number {n} is held by the screws, and the lid by a ring." for n in range(200)]
ENDS = unfinished.learn_ends(ANSWERS)


def test_words_that_end_no_sentence_are_learned():
    assert {"the", "of", "is", "by"} <= ENDS.inner and "ring" not in ENDS.inner
    german = [f"Der Laden {n} fängt um acht Uhr an. Die Tür und das Tor sind dann auf." for n in range(200)]
    ends = unfinished.learn_ends(german)
    assert "und" in ends.inner and not {"an", "auf"} & ends.inner
    assert unfinished.truncation("Dann sind die Tür und", ends, "de")
    assert not unfinished.truncation("Der Laden am Markt fängt um 8 Uhr an", ends, "de")


@pytest.mark.parametrize(
    "text",
    [
        "Take off the cover and the", "Loosen both bolts first, then,", "First open the lid, see (page",
        'The manual says "never open',
        "For the members or the readers, it is [cut]", "Then the pump has to wait -",
        "Here:\n```python\nfor row in rows:",
        "1. Insert the stick\n2. Restart\n3.", "The steps are as follows:", "The ring is held by…",
        "Turn the knob of the lid thr",
        "在这首乐曲里，我们需要三样不同的乐器：萨克斯、",
    ],
)  # fmt: skip
def test_truncated(text):
    assert unfinished.truncation(text, ENDS, "en")


@pytest.mark.parametrize(
    "text",
    [
        "340 g", "put the lid on", "Yes.", "(a) 5", "look at", "RS-485", '"quoted"', "C++", "A+", '27"',
        '27" screen', "24 months",
        "https://github.com/python/cpython", "- Red\n- Yellow\n- Blue", "Man sagt dafür „Viel Glück“",
        "for (int i = 0; i < 3; i++) {", "x = (-b ± √(b² - 4ac)) / 2a",
        "Then the door opened, and nobody was there...",
        "Best regards,\nMaria Lopez", "Dear Ms Lund,", "The Quiet Labour of Bees", "edit, here, the, this, a",
        "6, 8, 10, 12,...",
        "Six plans with the Add-on", "What a day! #snacktime #homemade", "at a rate of 12% p.a",
    ],
)  # fmt: skip
def test_not_truncated(text):
    assert unfinished.truncation(text, ENDS, "en") == ""


def test_a_sentence_without_its_full_stop_is_cut_only_where_all_others_have_one():
    cut = "It is red. We had the same question last week about green lamps"
    assert unfinished.truncation(cut, Ends(punctuated=True)) and not unfinished.truncation(cut)
    assert unfinished.learn_ends(["It is red. It is big."] * 60).punctuated
    assert not unfinished.learn_ends(["It is red. It is big"] * 60).punctuated
