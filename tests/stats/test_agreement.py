"""Agreement against scikit-learn's kappa and NLTK's alpha, and its limits by simulated coverage."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from ftlib.stats.agreement import LEAST_ITEMS, Coefficient, cohen_kappa, krippendorff_alpha

labels = st.sampled_from("abc")


@given(st.lists(st.tuples(labels, labels), min_size=1, max_size=30))
@settings(deadline=None, max_examples=50)
def test_kappa_is_scikit_learns(pairs):
    a, b = zip(*pairs, strict=True)
    found = cohen_kappa(a, b)
    if found.value is None:
        assert len({*a, *b}) == 1
    else:
        assert found.value == pytest.approx(cohen_kappa_score(a, b), abs=1e-12)
        assert -1 <= found.value <= 1
        assert found.n == len(pairs)


@given(st.lists(st.lists(labels, min_size=1, max_size=4), min_size=1, max_size=20))
@settings(deadline=None, max_examples=50)
def test_alpha_is_nltks(items):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NLTK's own imports
        from nltk.metrics.agreement import AnnotationTask

    pairable = [item for item in items if len(item) > 1]
    found = krippendorff_alpha(items)
    assert found.n == len(pairable)
    if len({label for item in pairable for label in item}) < 2:
        assert found.value is None
        return
    data = [
        (str(coder), str(number), label) for number, item in enumerate(pairable) for coder, label in enumerate(item)
    ]
    assert found.value == pytest.approx(AnnotationTask(data=data).alpha(), abs=1e-9)


def test_a_worked_case():
    # Two raters, ten items, agreeing on 4 "a" and 3 "b": p_o = 0.7; "a" in 5 of 10 and 6 of 10 labels: p_e = 0.5.
    a = ["a"] * 4 + ["b"] * 3 + ["a"] + ["b"] * 2
    b = ["a"] * 4 + ["b"] * 3 + ["b"] + ["a"] * 2
    assert cohen_kappa(a, b).value == pytest.approx((0.7 - 0.5) / 0.5)
    # 20 labels, 11 "a" and 9 "b", three of ten items disagree: D_o = 6/20, D_e = 2 * 11 * 9 / (20 * 19).
    assert krippendorff_alpha(list(zip(a, b, strict=True))).value == pytest.approx(1 - (6 / 20) / (198 / 380))


def test_limits_hold_the_value_and_shrink():
    few = cohen_kappa("aabbabab" * 4, "aabbaabb" * 4)
    many = cohen_kappa("aabbabab" * 36, "aabbaabb" * 36)
    for found in (few, many):
        assert found.low < found.value < found.high
    assert many.high - many.low < (few.high - few.low) / 2


def test_three_of_three_agreeing_is_no_certainty():
    found = krippendorff_alpha([("a", "a"), ("b", "b"), ("a", "a")])
    assert found == Coefficient(1.0, None, None, 3)
    assert cohen_kappa("aba", "aba") == Coefficient(1.0, None, None, 3)


def test_few_items_or_hardly_any_second_label_have_no_limits():
    assert cohen_kappa("ab" * 14, "ab" * 14).low is None
    assert cohen_kappa("ab" * (LEAST_ITEMS // 2), "ab" * (LEAST_ITEMS // 2)).low is not None
    assert cohen_kappa("a" * 95 + "b" * 5, "a" * 95 + "b" * 5).low is None


def test_perfect_agreement_of_many_still_has_a_width():
    found = cohen_kappa("ab" * 20, "ab" * 20)
    assert found.value == found.high == 1.0
    assert 0.75 < found.low < 0.9


def test_where_nothing_can_be_said_nothing_is():
    assert cohen_kappa([], []) == krippendorff_alpha([]) == (None, None, None, 0)
    assert cohen_kappa("aaa", "aaa").value is None
    assert krippendorff_alpha([("a",), ("b",)]).n == 0
    with pytest.raises(ValueError, match="same items"):
        cohen_kappa("ab", "a")


def rated(rng, n, agreement, shares, raters=2):
    """Labels of raters who copy one truth with probability sqrt(agreement) each and else draw at random."""
    truth = rng.choice(len(shares), n, p=shares)
    copies = rng.random((raters, n)) < agreement**0.5
    return np.where(copies, truth, rng.choice(len(shares), (raters, n), p=shares))


@pytest.mark.parametrize(
    ("n", "agreement", "shares"),
    [(30, 0.8, (0.5, 0.5)), (30, 0.95, (0.5, 0.5)), (60, 0.95, (0.5, 0.5)), (30, 0.95, (0.4, 0.3, 0.2, 0.1))],
)
def test_the_limits_of_kappa_cover_the_truth(n, agreement, shares):
    """Percentile and BCa bootstraps cover .51-.66 of .95 where raters agree in .95 of the cases and n is 30."""
    rng = np.random.default_rng(n)
    found = [cohen_kappa(*rated(rng, n, agreement, shares).tolist()) for _ in range(400)]
    known = [each for each in found if each.low is not None]
    assert len(known) > 380
    assert 0.92 <= np.mean([each.low <= agreement <= each.high for each in known]) <= 0.985


@pytest.mark.parametrize("agreement", [0.5, 0.9])
def test_the_limits_of_alpha_with_three_raters_cover_the_truth(agreement):
    rng = np.random.default_rng(3)
    found = [krippendorff_alpha(rated(rng, 40, agreement, (0.5, 0.3, 0.2), 3).T.tolist()) for _ in range(300)]
    assert 0.92 <= np.mean([each.low <= agreement <= each.high for each in found]) <= 0.985
