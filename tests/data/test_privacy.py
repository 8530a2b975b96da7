"""Personal data is found, and numbers that only look like it are not."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftlib.data import privacy
from ftlib.data.boilerplate import Phrases
from ftlib.data.checks import Checker, Habits, Overhead
from ftlib.data.table import Entry
from ftlib.recipe_sections import DataRecipe
from tests.data import made

KINDS = ("email", "phone", "card", "iban", "ip", "secret")
REGIONS = ("US", "GB", "DE", "FR")


def masked(text, kinds=KINDS, **options):
    return privacy.mask(text, privacy.scan(text, kinds, REGIONS, **options))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail anna.k+x@mail.example.com now", "mail [email] now"),
        ("bob [at] example.org", "[email]"),
        ("call +49 30 23125 123 or (202) 555-0143", "call [phone] or [phone]"),
        ("+44 (0)20 7946 0123 today", "[phone] today"),
        ("0049 30 23125123", "[phone]"),
        ("card 4111 1111 1111 1111, 5555-5555-5555-4444.", "card [card], [card]."),
        ("DE89 3704 0044 0532 0130 00 PLEASE", "[iban] PLEASE"),
        ("GB82WEST12345698765432", "[iban]"),
        ("at 192.168.0.17, fe80::1ff:fe23:4567:890a and 2001:db8:1::2", "at [ip], [ip] and [ip]"),
        ("key sk-proj-abcdefghijklmnopqrst", "key [secret]"),
        ("AKIAIOSFODNN7EXAMPLE password: hunter22x", "[secret] password: [secret]"),
        ("https://anna:geheim1@example.org/x", "https://[secret]@example.org/x"),
    ],
)
def test_found(text, expected):
    assert masked(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "on 2024-05-12 at 10:30:15",
        "serial 340-2231-99, order 20240512-0001",
        "1,250.00 EUR, 10 000 samples, 12 345 678 units, 4-20 mA",
        "card 4111 1111 1111 1112",  # fails Luhn
        "DE88 3704 0044 0532 0130 00",  # fails the IBAN checksum
        "firmware 2.4.1.0 and version 10.0.0.1",
        "MAC 00:1A:2B:3C:4D:5E, ratio 3:4",
        "look at example.org",
        "0x1F E41 R14 RS-485",
    ],
)
def test_not_found(text):
    assert masked(text) == text


def test_kinds_and_allowed_texts_are_respected():
    text = "write to help@norvane.example.com or anna@example.com"
    assert masked(text, allow=("norvane.example.com",)) == "write to help@norvane.example.com or [email]"
    assert masked(text, kinds=("phone",)) == text


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(["a@example.com", "+49 30 23125 123", "4111111111111111", "1.2.3.4", " ", "x", "[", "5"])
    ).map("".join)
)
def test_masking_is_idempotent(text):
    once, kinds = privacy.redact(text, KINDS, REGIONS)
    assert privacy.redact(once, KINDS, REGIONS) == (once, [])
    assert once.count("[email]") == kinds.count("email")


def test_places_do_not_overlap_and_are_in_order():
    found = privacy.scan("x@example.com 192.168.0.1 4111111111111111", KINDS)
    assert [place.kind for place in found] == ["email", "ip", "card"]
    assert all(a.end <= b.start for a, b in pairwise(found))


def test_actions_by_kind():
    assert privacy.actions(["ip", "email"], "mask", {"ip": "report"}) == {"ip": "report", "email": "mask"}


def judged_with(meta, **data):
    """A row with these columns beside question and answer, as the checks leave it, and the reason why it goes."""
    recipe = DataRecipe.model_validate({"path": "none", "language": None, **data})
    usual = Habits(Phrases(frozenset(), frozenset()), punctuated=False)
    checker = Checker(recipe, usual, lambda texts: np.ones(len(texts), dtype=int), Overhead(5, 0))
    (found,) = checker.judged([Entry(made.row("r", "How heavy is it?", "340 g", **meta))])
    return found.entry.row.meta, found.entry.pii, found.reason


def test_personal_data_in_columns_that_play_no_part_is_masked():
    mail, phone = "anna@example.com", "+49 30 23125 123"
    meta = {"note": f"from {mail}", "tags": ["new", {"by": phone}], "votes": 7, "none": None, "sort": "  <b>as it is "}
    kept = {"note": "from [email]", "tags": ["new", {"by": "[phone]"}]}
    assert judged_with(meta) == (meta | kept, ["email", "phone"], "")
    assert judged_with({"note": "as it came"}) == ({"note": "as it came"}, [], "")
    assert judged_with(meta, pii={"kinds": ["phone"]})[0] == meta | {"tags": kept["tags"]}
    assert judged_with(meta, pii={"allow": ["example.com"]})[0]["note"] == meta["note"]


def test_columns_that_play_a_part_stay_as_they_are():
    """They are keys: masked, all rows of one customer would be in one group, slice or fact."""
    mail = "anna@example.com"
    parts = {part: part for part in ("slice", "subject", "fact", "documents", "created")}
    meta = dict.fromkeys([*parts, "customer", "kind"], mail)
    data = {"columns": parts, "split": {"group_by": ["customer"], "stratify_by": "kind"}}
    assert judged_with(meta | {"note": mail}, **data)[0] == meta | {"note": "[email]"}


def test_actions_count_for_columns_too():
    meta = {"note": "from anna@example.com"}
    assert judged_with(meta, pii={"action": "report"}) == (meta, ["email"], "")
    masked, _, reason = judged_with(meta, pii={"actions": {"email": "drop"}})
    assert reason == "pii_email" and masked == {"note": "from [email]"}, "a rejected row is written down, too"
