"""Hand-written wordings: enough of them, all different, all with their places to fill, none about the demo company."""

import re
from pathlib import Path

import pytest

from data.generator.attribute import Attribute
from data.generator.demo import Demo
from data.generator.wording import comparisons, policies, procedures, support
from data.generator.wording.errors import ERROR_ATTRIBUTES
from data.generator.wording.mess import BROKEN_SENTENCES, DECOYS
from data.generator.wording.products import PRODUCT_ATTRIBUTES

WORDING = Path(__file__).parents[2] / "data" / "generator" / "wording"
POLICY_ATTRIBUTES = tuple(a for attributes in policies.POLICIES.values() for a in attributes)
PROCEDURE_ATTRIBUTES = (procedures.TIME, procedures.RHYTHM, procedures.PERSON, procedures.tool(procedures.HAND_TOOLS))
ALL = (*PRODUCT_ATTRIBUTES, *ERROR_ATTRIBUTES, *POLICY_ATTRIBUTES, *PROCEDURE_ATTRIBUTES)


@pytest.mark.parametrize("attribute", ALL, ids=lambda attribute: attribute.name)
def test_enough_different_wordings_with_their_places(attribute: Attribute) -> None:
    assert len(set(attribute.questions)) == len(attribute.questions) >= 6
    assert len(set(attribute.statements)) == len(attribute.statements) >= 3
    assert all("{s}" in question and "{v}" not in question for question in attribute.questions)
    assert all(statement.count("{v}") == 1 for statement in attribute.statements)
    assert len(set(attribute.values)) >= 4


def test_several_hundred_sentence_patterns() -> None:
    patterns = {text for attribute in ALL for text in (*attribute.questions, *attribute.statements)}
    patterns |= {*support.UNKNOWN_ABOUT_COMPANY, *procedures.STEP_QUESTIONS, *procedures.AFTER_QUESTIONS}
    patterns |= {text for texts in support.UNKNOWN_ABOUT_PRODUCT.values() for text in texts}
    assert len(patterns) >= 900


def test_policies_and_procedures_are_many() -> None:
    assert len(policies.POLICIES) >= 12
    assert len({attribute.name for attribute in POLICY_ATTRIBUTES}) == len(POLICY_ATTRIBUTES) >= 36
    assert len(procedures.PROCEDURES) >= 16
    assert min(len(procedures.STEP_QUESTIONS), len(procedures.AFTER_QUESTIONS)) >= 6


@pytest.mark.parametrize("phrase", procedures.PROCEDURES)
def test_steps_are_short_and_differ(phrase: str) -> None:
    _, slots = procedures.PROCEDURES[phrase]
    steps = [step for slot in slots for step in slot]
    assert 4 <= len(slots) <= len(procedures.ORDINALS)
    assert all(len(slot) >= 3 for slot in slots)
    assert len(set(steps)) == len(steps)
    assert all(len(step.split()) <= 9 and step[0].islower() for step in steps)


@pytest.mark.parametrize("name", comparisons.COMPARISONS)
def test_comparisons_belong_to_attributes_with_numbers(name: str) -> None:
    attribute = next(a for a in PRODUCT_ATTRIBUTES if a.name == name)
    assert all(value.split()[0].isdigit() for value in attribute.values)
    for patterns in comparisons.COMPARISONS[name].values():
        assert len(set(patterns)) == len(patterns) >= 6
        assert all("{a}" in pattern and "{b}" in pattern for pattern in patterns)
    more, less = (set(comparisons.COMPARISONS[name][direction]) for direction in ("more", "less"))
    assert not more & less


def test_unanswerable_patterns() -> None:
    attributes = support.UNKNOWN_ABOUT_PRODUCT
    assert len(set(support.UNKNOWN_ABOUT_COMPANY)) == len(support.UNKNOWN_ABOUT_COMPANY) >= 40
    assert all("{s}" in pattern for pattern in support.UNKNOWN_ABOUT_COMPANY)
    assert all("{s}" in pattern for patterns in attributes.values() for pattern in patterns)
    assert not set(attributes) & {attribute.name for attribute in PRODUCT_ATTRIBUTES}
    assert support.REFUSAL not in support.REFUSAL_VARIANTS


def test_texts_used_as_mess_are_there() -> None:
    assert len(BROKEN_SENTENCES) >= 6
    assert set(DECOYS) <= {"mojibake", "html", "card", "phone", "email", "ip"}
    assert all(len(pairs) >= 4 for pairs in support.OTHER_LANGUAGES.values())


def test_no_wording_names_a_demo_product(demo: Demo) -> None:
    texts = "\n".join(path.read_text(encoding="utf-8") for path in WORDING.glob("*.py"))
    for product in demo.products:
        assert not re.search(rf"\b{product.name}\b", texts), product.name
    assert demo.name not in texts
