"""Mending, and the reasons for which a row goes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftlib.data import boilerplate, clean, language
from ftlib.data.boilerplate import Phrases

PIECES = [
    "<p>",
    "</p>",
    "<br/>",
    "&amp;",
    "&lt;",
    "b&gt;",
    "&nbsp;",
    "Ã¤",
    "â€œ",
    "Â°C",
    "\u200b",
    "\r\n",
    "\t",
    "x < 5",
    "<b",
    ">",
    "text ",
]


@pytest.mark.parametrize(
    ("text", "mended", "changes"),
    [
        ("GerÃ¤t bei 30 Â°C", "Gerät bei 30 °C", ("encoding",)),
        ("<p>One<br/>two</p><ul><li>three</li></ul>", "One\ntwo\nthree", ("html", "whitespace")),
        ("It&#39;s &quot;on&quot;", 'It\'s "on"', ("html",)),
        ("a \u200b b\xa0\xa0c\r\n\r\n\r\n\r\nd", "a b c\n\nd", ("whitespace",)),
        ("x < 5, <serial number> and y > 3", "x < 5, <serial number> and y > 3", ()),
        ("naïve café, “quoted”, 20 °C", "naïve café, “quoted”, 20 °C", ()),
        ("<script>alert(1)</script>340 g", "340 g", ("html",)),
        ("AT&T; R&D", "AT&T; R&D", ()),
    ],
)
def test_repair_mends_and_names_what_it_did(text, mended, changes):
    assert clean.repair(text) == (mended, changes)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=12).map("".join)))
def test_repair_is_idempotent(text):
    once = clean.repair(text).text
    assert clean.repair(once) == (once, ())


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(["Hello team, ", "340 g. ", "Best regards,\nAnna", "\n\n", "Thanks!", "We care. "])).map(
        "".join
    )
)
def test_stripping_boilerplate_is_idempotent_and_leaves_something(text):
    phrases = Phrases(frozenset(), frozenset({"we care"}))
    once = boilerplate.strip(text, phrases)
    assert boilerplate.strip(once, phrases) == once
    assert bool(once) or not any(char.isalnum() for char in text)


@pytest.mark.parametrize("text", ["", " ", "-", "n/a", "None", "???", "..."])
def test_empty(text):
    assert clean.is_empty(text)


@pytest.mark.parametrize("text", ["5", "no", "é", "R14"])
def test_not_empty(text):
    assert not clean.is_empty(text)


@pytest.mark.parametrize(
    "text",
    ["It weighs 340...", "Open the", "first, then,", "see (page 4", 'he said "yes', "it is [cut]", "so we wait -"],
)
def test_truncated(text):
    assert clean.is_truncated(text)


@pytest.mark.parametrize("text", ["340 g", "put the lid on", "Yes.", "(a) 5", "look at", "RS-485", '"quoted"'])
def test_not_truncated(text):
    assert not clean.is_truncated(text)


def test_a_sentence_without_its_full_stop_is_cut_only_where_others_have_one():
    cut = "We had the same question last week in the team"
    assert clean.is_truncated(cut, punctuated=True) and not clean.is_truncated(cut)
    assert clean.ends_sentences(["This is a sentence."] * 30) and not clean.ends_sentences(["This is one too"] * 30)


def test_languages():
    foreign = language.detector("en")
    assert foreign("Wie schwer ist der Heron 20 und was kostet er?")
    assert foreign("¿Cuánto pesa el Heron 20 con la batería?")
    assert not foreign("How heavy is the Heron 20? 340 g")
    assert not foreign("Grüße aus Köln! What is the weight of the Heron 20?")
    assert not foreign("340 g")
    assert not foreign("Welche Größe hat das Ding? What is the weight of the Heron 20?")
    assert foreign("Der Sensor The North Face ist neu und kostet viel mehr als früher.")
    assert language.detector("de")("How heavy is the Heron 20 when it is full?")
    with pytest.raises(ValueError):
        language.detector("xx")


def test_boilerplate_is_learned_from_many_answers_and_content_is_not():
    answers = [f"{n} g.\n\nWe wish you happy measuring." for n in range(30)] + ["Open the cover."] * 30
    answers += [f"Take {n}. Open the cover." for n in range(30)]
    phrases = boilerplate.learn_phrases(answers, len(answers))
    assert phrases.closing == {"we wish you happy measuring"}
    assert boilerplate.strip("5 g.\n\nWe wish you happy measuring.", phrases) == "5 g."
    assert boilerplate.strip("Take 5. Open the cover.", phrases) == "Take 5. Open the cover."


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("Hi team, how heavy is it?", "how heavy is it?"),
        ("Good morning, Name the last step.", "Name the last step."),
        ("340 g\n\nKind regards,\nAnna", "340 g"),
        ("Hello!", "Hello!"),
        ("Thanks for what?", "Thanks for what?"),
    ],
)
def test_greetings_and_closings(text, rest):
    assert boilerplate.strip(text, Phrases(frozenset(), frozenset())) == rest


def test_answers_that_say_nothing():
    none = Phrases(frozenset(), frozenset())
    assert boilerplate.says_nothing("Thank you for contacting us. We will get back to you soon.", none)
    assert not boilerplate.says_nothing("340 g", none)
    assert not boilerplate.says_nothing("I don't have that information.", none)
