"""Near-duplicates, their clusters, and contradictions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftlib.data import duplicates, similar
from tests.data import made

SIMILARITY = 0.7


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("How heavy is the Heron 20?", "how heavy is the  Heron 20 ??"),
        ("How heavy is the Heron 20?", "HOW HEAVY IS THE HERON 20?"),
        ("How heavy is the Heron 20?", "How haevy is the Heron 20?"),
        ("How heavy is the Heron 20?", "How heavvy is the the Heron 20, please?"),
        ("What is the Iron 75 built from?", "What is the Iron 75 biult from?"),
        ("What is the weight of it?", "What is teh weight of it?"),
    ],
)
def test_same_but_for_slips(a, b):
    assert similar.same(a, b, SIMILARITY) and similar.same(b, a, SIMILARITY)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("How heavy is the Heron 20?", "How heavy is the Heron 30?"),
        ("How heavy is the Heron 20?", "How heavy is the Merlin 20?"),
        ("What does the Marlin cost today?", "What does the Merlin cost today?"),
        ("What does error E41 mean?", "What does error E42 mean?"),
        ("What is the first step to mount it?", "What is the third step to mount it?"),
        ("Is it rated for -20 degrees?", "Is it rated for 20 degrees?"),
        ("Is the Heron 20 heavier than the Tarn 15?", "Is the Tarn 15 heavier than the Heron 20?"),
        ("Can I open the lid?", "Can I not open the lid?"),
        ("", "a"),
    ],
)
def test_different_although_alike(a, b):
    assert not similar.same(a, b, SIMILARITY) and not similar.same(b, a, SIMILARITY)


def test_long_texts_may_differ_in_one_word_in_twenty():
    text = " ".join(f"word{chr(97 + n % 26)}x" for n in range(60))
    assert similar.same(text, text.replace("wordcx", "entirely", 1), SIMILARITY)
    assert not similar.same(text, text.replace("wordcx", "7", 1), SIMILARITY)


@pytest.mark.parametrize(
    ("a", "b", "slip"),
    [
        ("weigh", "wiegh", True),
        ("cost", "costs", True),
        ("cost", "cosst", True),
        ("cost", "most", True),
        ("cost", "cost", False),
        ("price", "weight", False),
        ("abcd", "badc", False),
    ],
)
def test_is_slip_is_damerau_levenshtein_one(a, b, slip):
    assert similar.is_slip(a, b) is slip


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_normalize_is_idempotent_and_ignores_case_and_space(text):
    once = similar.normal_form(text)
    assert similar.normal_form(once) == once
    assert similar.normal_form(f"  {text}\n") == once


def test_estimated_similarity_is_near_the_exact_one():
    texts = [f"How heavy is the instrument number {n} in the long list?" for n in range(40)]
    sketches = similar.signatures(texts, len(texts))
    errors = [
        np.mean(sketches[i] == sketches[j]) - similar.jaccard(texts[i], texts[j]) for i in range(40) for j in range(i)
    ]
    # 64 permutations: standard error sqrt(s (1 - s) / 64) <= 0.0625 a pair
    assert abs(np.mean(errors)) < 0.03 and np.std(errors) < 0.08


def test_bands_find_similar_pairs_and_candidates_are_distinct():
    rng = np.random.default_rng(0)
    base = rng.integers(0, 2**32, size=(200, similar.PERMUTATIONS), dtype=np.uint32)
    twin = base.copy()
    changed = rng.random(base.shape) > 0.8  # 80 % of the signature stays
    twin[changed] = rng.integers(0, 2**32, size=changed.sum(), dtype=np.uint32)
    both = np.concatenate([base, twin])
    codes = np.zeros(400, dtype=np.uint64)

    def found(**options):
        blocks = similar.pairs(both, codes, 0.8, **options)
        return [pair for i, j in blocks for pair in zip(i.tolist(), j.tolist(), strict=True)]

    assert {(n, n + 200) for n in range(200)} <= set(found())
    across = found(first=200)
    assert len(across) == len(set(across)) and all(a < 200 <= b for a, b in across)
    codes[200:] = 1
    assert found(first=200) == []


def test_crowded_buckets_stay_linear():
    same = np.zeros((5000, similar.PERMUTATIONS), dtype=np.uint32)
    pairs = sum(len(i) for i, _ in similar.pairs(same, np.zeros(5000, dtype=np.uint64), 0.9))
    assert pairs <= 5000 * 20


def row(number, question, answer, day="2024-01-01", context="", history=()):
    return made.row(f"r{number}", question, answer, context, history, day=day)


def resolve(rows, tmp_path, policy="newest"):
    table = made.table(rows, tmp_path)
    found = duplicates.resolve(table, duplicates.sketch_table(table), SIMILARITY, policy, "day")
    ids = [r.id for r in rows]
    return {ids[n]: (v.reason, ids[v.instead] if v.instead >= 0 else None) for n, v in found.rejected.items()}, found


ROWS = [
    row(1, "How heavy is the Heron 20?", "340 g", "2024-01-01"),
    row(2, "HOW HEAVY IS THE HERON 20", "340 g", "2024-02-01"),
    row(3, "How haevy is the Heron 20?", "340 g", "2024-03-01"),
    row(4, "How heavy is the Heron 30?", "340 g", "2024-03-01"),
    row(5, "What does the Heron 20 cost?", "90 euros", "2024-01-01"),
    row(6, "What does the Heron 20 cost?", "80 euros", "2023-01-01"),
    row(7, "What does the Heron 20 cost?", "80 euros", "2023-06-01"),
]


def test_oldest_copy_stays_and_newest_answer_wins(tmp_path):
    rejected, found = resolve(ROWS, tmp_path)
    assert rejected == {
        "r2": ("exact_duplicate", "r1"),
        "r3": ("near_duplicate", "r1"),
        "r6": ("contradiction", "r5"),
        "r7": ("contradiction", "r5"),
    }
    assert len(found.clusters) == 1 and len(found.contradictions) == 1


@pytest.mark.parametrize(
    ("policy", "gone"),
    [("majority", {"r5", "r7"}), ("drop", {"r5", "r6", "r7"}), ("keep", {"r7"}), ("newest", {"r6", "r7"})],
)
def test_policies_for_contradictions(tmp_path, policy, gone):
    rejected, _ = resolve(ROWS[4:], tmp_path, policy)
    assert set(rejected) == gone


@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(len(ROWS))))
def test_what_stays_does_not_depend_on_the_order(order, tmp_path_factory):
    rejected, _ = resolve([ROWS[n] for n in order], tmp_path_factory.mktemp("order"))
    assert set(rejected) == {"r2", "r3", "r6", "r7"}


def test_the_same_question_about_two_contexts_is_no_duplicate(tmp_path):
    rows = [row(n, "When was it built?", "1900", context=context) for n, context in enumerate(("A mill.", "A bridge."))]
    assert resolve(rows, tmp_path)[0] == {}


def test_joined_rows_are_components():
    labels = similar.components(6, np.array([4, 2]), np.array([2, 5]))
    assert [group.tolist() for group in similar.members(labels)] == [[2, 4, 5]]
    assert similar.members(similar.components(3, np.array([], dtype=int), np.array([], dtype=int))) == []


def test_sixty_follow_ups_of_sixty_conversations_all_stay(tmp_path):
    """Finding 1: 60 chats with "And what does it cost?" lost 59 follow-ups."""
    rows = [
        row(
            n,
            "And what does it cost?",
            f"{n} euros",
            history=[("user", f"The model {n}?"), ("assistant", "We have it.")],
        )
        for n in range(60)
    ]
    assert resolve(rows, tmp_path)[0] == {}
    rejected, _ = resolve(
        [*rows, row(60, "And what does it cost", "7 euros", "2025-01-01", history=rows[7].history)], tmp_path
    )
    assert rejected == {"r60": ("exact_duplicate", "r7")}


def test_another_system_message_is_another_question(tmp_path):
    rows = [
        row(n, "Who are you?", f"A {who}.", history=[("system", f"You are a {who}.")]) for n, who in enumerate("ab")
    ]
    assert resolve(rows, tmp_path)[0] == {}
