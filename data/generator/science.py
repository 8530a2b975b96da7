"""The multiple-choice science questions in ARC's schema."""

from random import Random

from data.generator.wording.science import QUESTIONS

LABELS = ("A", "B", "C", "D")


def science_records(seed: int) -> list[dict]:
    """Every question with its choices in random order; each position holds the right answer equally often."""
    rng = Random(f"{seed}/science")
    positions = [i % len(LABELS) for i in range(len(QUESTIONS))]
    rng.shuffle(positions)
    return [
        _record(rng, f"science_{i:03d}", position, *question)
        for i, (position, question) in enumerate(zip(positions, QUESTIONS, strict=True), 1)
    ]


def _record(rng: Random, key: str, position: int, question: str, right: str, *wrong: str) -> dict:
    choices = rng.sample(wrong, len(wrong))
    choices.insert(position, right)
    return {
        "id": key,
        "question": question,
        "choices": {"text": choices, "label": list(LABELS)},
        "answerKey": LABELS[position],
    }
