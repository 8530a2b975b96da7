"""What the checks do with a row: off, flag, reject."""

import numpy as np
import pytest

from ftlib.data import habits
from ftlib.data.checks import Checker, Overhead
from ftlib.data.habits import Habits
from ftlib.data.table import Entry
from ftlib.errors import UserError
from ftlib.recipe import DataRecipe
from tests.data import made

ENGLISH = Habits(language="en")
CUT = "You will find the screws of the pump and the"
GERMAN = "Die Garantie gilt zwei Jahre, und der Versand ist für Sie kostenlos."


def judged(question, answer, usual=ENGLISH, count=1, **data):
    checker = Checker(DataRecipe(path="none", **data), usual, lambda texts: np.full(len(texts), count), Overhead(0, 0))
    (found,) = checker.judged([Entry(made.row("r", question, answer))])
    return found, checker


@pytest.mark.parametrize(
    ("check", "answer"),
    [("truncated", CUT), ("language", GERMAN), ("boilerplate", "We will get back to you soon."), ("empty", "n/a")],
)
def test_each_check_is_off_flags_or_rejects(check, answer):
    by_answer = {
        does: judged("How do I mount it?", answer, checks={check: does})[0] for does in ("off", "flag", "reject")
    }
    assert (by_answer["off"].reason, list(by_answer["off"].flags)) == ("", [])
    assert (by_answer["flag"].reason, [name for name, _ in by_answer["flag"].flags]) == ("", [check])
    assert (by_answer["reject"].reason, list(by_answer["reject"].flags)) == (check, [])


def test_a_row_may_have_several_flags():
    found, _ = judged("How do I mount it?", "Die Schrauben liegen in der Schachtel bei der Pumpe und der,")
    assert [name for name, _ in found.flags] == ["truncated", "language"]


def test_what_may_be_an_answer_is_never_rejected():
    assert judged("Describe it.", "None")[0][1:] == ("", "", [("empty", "answer, perhaps")])
    assert judged("How many moons has Venus?", "None")[0][1:] == ("", "", [])


def test_overlong_rows_and_how_long_they_are():
    words = "word " * 200
    found, checker = judged("How long?", words, count=600)
    assert (found.reason, checker.tokens) == ("overlong", [600])
    assert judged("How long?", words, count=600, checks={"overlong": "off"})[0].reason == ""
    found, checker = judged("How long?", "word " * 100_000, count=600)
    assert found.reason == "overlong" and checker.tokens[0] > 10_000  # estimated from the beginning


def test_only_what_is_named_is_mended():
    said = "Hi team, <b>cafÃ©</b>  one."
    assert judged("Which one is it?", said, mend=["encoding"])[0].entry.row.answer == "Hi team, <b>café</b>  one."
    assert judged("Which one is it?", said)[0].entry.row.answer == "Hi team, café one."
    everything = judged("Which one is it?", said, mend=["encoding", "html", "whitespace", "boilerplate"])[0]
    assert everything.entry.row.answer == "café one."


def test_tags_stay_where_the_question_or_the_data_is_about_them():
    answer = "<ul><li>one</li></ul>"
    assert judged("Which tags make a list?", answer)[0].entry.row.answer == answer
    assert judged("Make a list.", answer, usual=Habits(markup=True))[0].entry.row.answer == answer
    assert judged("Make a list.", answer)[0].entry.row.answer == "one"


def test_a_translation_is_not_foreign():
    assert judged("Translate this into German: The warranty ...", GERMAN)[0].flags == []
    assert judged("What about the warranty?", GERMAN)[0].flags == [("language", "answer in de, not en")]


def test_habits_are_those_of_most_rows():
    rows = [made.row(str(n), f"Wie geht es der Pumpe {n}?", GERMAN) for n in range(30)]
    rows += [made.row("e", "Make a list with the tag ul.", "<ul><li>one</li></ul>")] * 6
    found = habits.learn_habits(rows, len(rows), DataRecipe(path="none"))
    assert (found.language, found.markup) == ("de", True)
    assert habits.learn_habits(rows, len(rows), DataRecipe(path="none", language=None)).language is None


def test_an_unknown_language_is_the_users_error():
    with pytest.raises(UserError, match=r"data\.language"):
        judged("How?", "So.", language="xx")
