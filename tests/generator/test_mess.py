"""Every planted defect is what it says, by the reference library where there is one."""

from random import Random

import ftfy
import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import iban as stdnum_iban
from stdnum import luhn

from data.generator import mess
from data.generator.rows import Row

ROW = Row("How heavy is the Tarn 15?", "340 g", "trained_fact", ("tarn-15/weight",), id="r1")
seeds = st.integers(0, 10_000)


@given(seeds)
def test_cards_pass_luhn_and_ibans_their_checksum(seed: int) -> None:
    _, card = mess.card(ROW, Random(seed))
    _, iban = mess.iban(ROW, Random(seed))
    assert luhn.is_valid(card["value"].replace(" ", "").replace("-", ""))
    assert stdnum_iban.is_valid(iban["value"])


@given(seeds)
def test_phone_numbers_are_possible_in_their_country(seed: int) -> None:
    _, defect = mess.phone(ROW, Random(seed))
    assert phonenumbers.is_valid_number(phonenumbers.parse(defect["value"], None))


@given(seeds)
def test_personal_data_stand_beside_the_question(seed: int) -> None:
    for plant in (mess.email, mess.phone, mess.card, mess.iban, mess.ip):
        row, defect = plant(ROW, Random(seed))
        assert defect["kind"] == plant.__name__
        assert defect["value"] in row.question
        assert defect["clean_question"] == ROW.question
        assert ROW.question in row.question
        assert row.answer == ROW.answer


@given(seeds)
def test_mojibake_can_be_undone(seed: int) -> None:
    row, defect = mess.mojibake(ROW, Random(seed))
    assert row.question != defect["clean_question"]
    assert row.question.encode("cp1252").decode("utf-8") == defect["clean_question"]
    assert ftfy.fix_text(row.question) == ftfy.fix_text(defect["clean_question"])


@given(seeds)
def test_html_wraps_the_text(seed: int) -> None:
    row, defect = mess.html(ROW, Random(seed))
    assert (row.question, row.answer) != (ROW.question, ROW.answer)
    assert ROW.question in row.question
    assert ROW.answer in row.answer
    assert (defect["clean_question"], defect["clean_answer"]) == (ROW.question, ROW.answer)


@given(seeds)
def test_duplicates_keep_answer_and_names(seed: int) -> None:
    exact, _ = mess.exact_duplicate(ROW, Random(seed))
    near, _ = mess.near_duplicate(ROW, Random(seed))
    assert " ".join(exact.question.lower().split()) == ROW.question.lower()
    assert near.question != ROW.question
    assert "Tarn 15" in near.question
    assert exact.answer == near.answer == ROW.answer


@given(seeds)
def test_spoiled_answers(seed: int) -> None:
    rng = Random(seed)
    assert not any(c.isdigit() for c in mess.empty(ROW, rng)[0].answer)
    assert len(mess.overlong(ROW, rng)[0].answer.split()) >= mess.OVERLONG_WORDS
    truncated = mess.truncated(ROW, rng)[0].answer
    assert len(truncated.split()) >= 8
    assert not truncated.endswith((".", "!", "?")) or truncated.endswith("...")
    only = mess.boilerplate_only(ROW, rng, "Acme")[0]
    assert ROW.answer not in only.answer
    assert "{" not in only.answer


@given(seeds)
def test_decoys_are_sound(seed: int) -> None:
    row = mess.decoy(ROW, Random(seed))
    assert row.decoy
    assert not row.defects
    assert ROW.question in row.question
    assert "{" not in row.question
    numbers = [word.strip(".") for word in row.question.split() if len(word.strip(".")) == 16]
    assert not any(luhn.is_valid(number) for number in numbers if number.isdigit())


@pytest.mark.parametrize(("digits", "check"), [("411111111111111", "1"), ("7992739871", "3"), ("424242424242424", "2")])
def test_luhn_digit_of_known_numbers(digits: str, check: str) -> None:
    assert mess.luhn_digit(digits) == check


def test_iban_check_of_the_standard_example() -> None:
    assert mess.iban_check("GB", "NWBK60161331926819") == "29"


def test_contradiction_remembers_the_right_answer() -> None:
    row, defect = mess.contradiction(ROW, Random(0), "20 g")
    assert (row.answer, defect["right"]) == ("20 g", "340 g")
