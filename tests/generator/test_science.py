"""The science questions follow ARC's schema and give no position away."""

from collections import Counter

from data.generator.science import science_records
from data.generator.wording.science import QUESTIONS


def test_schema_and_right_answers() -> None:
    records = science_records(20)
    right = {question[0]: question[1] for question in QUESTIONS}
    assert len(records) == len(right) >= 64
    for record in records:
        assert set(record) == {"id", "question", "choices", "answerKey"}
        labels, texts = record["choices"]["label"], record["choices"]["text"]
        assert labels == ["A", "B", "C", "D"]
        assert len(set(texts)) == 4
        assert texts[labels.index(record["answerKey"])] == right[record["question"]]


def test_positions_are_balanced_and_seeded() -> None:
    counts = Counter(record["answerKey"] for record in science_records(20))
    assert max(counts.values()) - min(counts.values()) <= 1
    assert science_records(20) == science_records(20) != science_records(21)


def test_the_right_answer_is_not_always_the_longest() -> None:
    longest = sum(len(right) > max(map(len, wrong)) for _, right, *wrong in QUESTIONS)
    assert longest / len(QUESTIONS) < 0.5
