"""Intervals by simulated coverage, tests against scipy, and worked values."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference

from ftlib.stats import (
    Headline,
    Interval,
    few_ci95,
    holm,
    known_limits,
    linear,
    mcnemar,
    mean_ci95,
    needed_n,
    paired_difference,
    ratio_ci95,
    wilson,
)
from ftlib.stats.intervals import as_json
from ftlib.stats.proportions import tango
from ftlib.stats.resampling import sign_flip_p

binary = st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=40)


def coverage(draw, truth, rounds=400):
    """Share of simulated data sets whose interval holds the truth."""
    hits = 0
    for round_number in range(rounds):
        interval = draw(np.random.default_rng(round_number))
        hits += interval.low <= truth <= interval.high
    return hits / rounds


@given(st.integers(0, 50), st.integers(1, 50))
def test_wilson_equals_scipys(successes, n):
    successes = min(successes, n)
    expected = reference.binomtest(successes, n).proportion_ci(method="wilson")
    assert wilson(successes, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_of_nothing_right_still_has_a_width():
    assert wilson(0, 45)[0] == 0.0
    assert wilson(0, 45)[1] == pytest.approx(1.959964**2 / (45 + 1.959964**2), rel=1e-6)


@given(st.lists(st.sampled_from([(0, 0), (0, 1), (1, 0), (1, 1)]), min_size=1, max_size=60))
def test_mcnemar_equals_scipys_exact_binomial_test(pairs):
    a, b = zip(*pairs, strict=True)
    only_a, only_b = pairs.count((1, 0)), pairs.count((0, 1))
    expected = reference.binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    assert mcnemar(a, b) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_worked_by_hand():
    # 5 discordant pairs, all for a: 2 * (1/2)**5.
    assert mcnemar([1] * 5 + [1, 0], [0] * 5 + [1, 0]) == pytest.approx(2 / 32)


@pytest.mark.parametrize("p", [0.05, 0.5, 0.9])
def test_the_interval_of_an_accuracy_covers_the_truth(p):
    assert 0.93 <= coverage(lambda rng: mean_ci95(rng.random(60) < p), p) <= 0.985


def test_the_bootstrap_of_a_skewed_score_covers_the_truth():
    share = coverage(lambda rng: mean_ci95(rng.beta(0.5, 1.0, 60), samples=1000), 1 / 3)
    assert 0.92 <= share <= 0.975


@pytest.mark.parametrize("scores", ["accuracy", "f1"])
def test_clusters_keep_the_coverage_that_ignoring_them_loses(scores):
    def data(rng):
        easy = rng.random(40) if scores == "f1" else (rng.random(40) < 0.5).astype(float)
        kept = rng.random((40, 4)) < 0.9  # four wordings a fact, mostly alike
        return np.where(kept, easy[:, None], 0.5 if scores == "f1" else 1 - easy[:, None]).ravel()

    keys = np.repeat(np.arange(40), 4).tolist()
    clustered = coverage(lambda rng: mean_ci95(data(rng), keys, samples=600), 0.5)
    naive = coverage(lambda rng: mean_ci95(data(rng), samples=600), 0.5)
    assert 0.92 <= clustered <= 0.985
    assert naive < 0.8


def test_the_paired_interval_covers_the_truth_and_is_narrower_than_two_separate_ones():
    def draw(rng):
        hard = rng.normal(size=60)  # one difficulty for both systems
        a, b = hard + 0.3 + 0.3 * rng.normal(size=60), hard + 0.3 * rng.normal(size=60)
        return paired_difference(a, b, samples=600)

    assert 0.92 <= coverage(draw, 0.3) <= 0.98
    rng = np.random.default_rng(0)
    hard = rng.normal(size=60)
    paired = draw(np.random.default_rng(0))
    alone = mean_ci95(hard)
    assert paired.high - paired.low < (alone.high - alone.low) / 2


@pytest.mark.parametrize("clustered", [False, True])
def test_the_sign_flip_test_keeps_its_level(clustered):
    rng = np.random.default_rng(1)
    rejected = 0
    for _ in range(300):
        facts = rng.normal(size=30)
        gains = np.repeat(facts, 3) + 0.1 * rng.normal(size=90) if clustered else facts
        keys = np.repeat(np.arange(30), 3).tolist() if clustered else None
        rejected += paired_difference(gains, np.zeros_like(gains), keys, samples=400).p_value <= 0.05
    assert 0.015 <= rejected / 300 <= 0.09


def test_the_sign_flip_p_equals_scipys_exact_permutation_test():
    a, b = np.array([3.0, 1.5, 2.0, 5.0, 4.0, 2.5, 0.5]), np.array([2.0, 2.5, 1.0, 3.0, 1.0, 2.0, 0.0])
    expected = reference.permutation_test((a - b,), np.sum, permutation_type="samples", n_resamples=np.inf)
    assert paired_difference(a, b).p_value == pytest.approx(expected.pvalue)


def test_the_sign_flip_p_of_accuracies_is_mcnemars_however_small():
    for both, wins, losses in ((30, 20, 8), (0, 19, 0), (100, 400, 90)):
        a, b = [1] * wins + [0] * losses + [1] * both, [0] * wins + [1] * losses + [1] * both
        assert paired_difference(a, b, samples=1).p_value == pytest.approx(mcnemar(a, b), rel=1e-9)


def test_the_sign_flip_p_of_clustered_accuracies_counts_every_pattern():
    sums = np.array([2, -1, 1, 3, 1, -2, 2, 1, 1, -1, 2])
    patterns = np.array(list(itertools.product((1, -1), repeat=len(sums))))
    expected = (np.abs(patterns @ sums) >= abs(sums.sum())).mean()
    assert sign_flip_p(sums.astype(float), 1, 0) == pytest.approx(expected, rel=1e-9)


def test_the_sign_flip_p_does_not_depend_on_the_unit_of_the_scores():
    sums = np.random.default_rng(3).integers(-2, 4, size=60).astype(float)
    assert sign_flip_p(sums / 3, 1, 0) == pytest.approx(sign_flip_p(sums, 1, 0), rel=1e-9)


def test_the_drawn_sign_flip_p_agrees_with_every_pattern():
    sums = np.random.default_rng(3).normal(0.4, 1.0, size=14)
    patterns = np.array(list(itertools.product((1, -1), repeat=len(sums))))
    expected = (np.abs(patterns @ sums) >= abs(sums.sum())).mean()
    assert 0.01 < expected < 0.9 and sign_flip_p(sums, 20_000, 0) == pytest.approx(expected, abs=0.012)


@given(binary, st.integers(0, 5))
def test_paired_differences_change_sign_with_the_order(a, seed):
    b = list(np.random.default_rng(seed).permutation(a))
    forward, back = paired_difference(a, b, samples=50), paired_difference(b, a, samples=50)
    assert forward.difference == -back.difference
    assert (forward.wins, forward.losses) == (back.losses, back.wins)
    assert -1 <= forward.low <= forward.difference <= forward.high <= 1
    assert (forward.low, forward.high) == pytest.approx((-back.high, -back.low))
    assert 0 < forward.p_value <= 1


@given(binary)
def test_the_interval_of_an_accuracy_stays_within_0_and_1_and_holds_the_mean(values):
    interval = mean_ci95(values)
    assert 0 <= interval.low <= interval.mean <= interval.high <= 1
    assert interval.n == len(values)


def test_a_paired_difference_counts_wins_and_losses():
    paired = paired_difference([1, 1, 0, 1], [0, 1, 1, 0])
    assert paired.difference == 0.25
    assert (paired.n, paired.wins, paired.losses) == (4, 2, 1)


@pytest.mark.parametrize(
    ("wins", "losses", "n"), [(0, 0, 20), (1, 0, 12), (9, 2, 40), (30, 0, 30), (5, 5, 44), (0, 9, 30)]
)
def test_tangos_limits_are_where_the_score_test_just_rejects(wins, losses, n):
    def statistic(difference):  # the constrained likelihood is maximised on a fine grid, not by the closed form
        shares = np.linspace(max(0.0, -difference), (1 - difference) / 2, 400_001)
        with np.errstate(divide="ignore", invalid="ignore"):
            likelihood = (
                np.where(wins > 0, wins * np.log(shares + difference), 0)
                + np.where(losses > 0, losses * np.log(shares), 0)
                + np.where(n > wins + losses, (n - wins - losses) * np.log(1 - 2 * shares - difference), 0)
            )
        q = shares[np.nanargmax(likelihood)]
        return (wins - losses - n * difference) ** 2 / (n * (2 * q + difference * (1 - difference)))

    for limit in tango(wins, losses, n):
        if abs(limit) < 1 - 1e-9:
            assert statistic(limit) == pytest.approx(1.959964**2, rel=2e-3)


def test_tango_of_no_difference_is_wilsons_of_nothing_seen():
    assert tango(0, 0, 20) == pytest.approx((-wilson(0, 20)[1], wilson(0, 20)[1]))


@pytest.mark.parametrize(("gain", "loss"), [(0.05, 0.02), (0.3, 0.1), (0.7, 0.0)])
def test_the_interval_of_a_paired_gain_covers_the_truth(gain, loss):
    def draw(rng):
        gains = rng.choice([1, -1, 0], p=[gain, loss, 1 - gain - loss], size=45)
        return paired_difference(gains > 0, gains < 0, samples=1)

    assert 0.93 <= coverage(draw, gain - loss) <= 0.99


def test_the_interval_of_a_clustered_paired_gain_covers_the_truth():
    def draw(rng):
        facts = rng.choice([1, -1, 0], p=[0.3, 0.1, 0.6], size=40)
        gains = np.repeat(facts, 3) * (rng.random(120) < 0.9)
        return paired_difference(gains > 0, gains < 0, np.repeat(np.arange(40), 3).tolist(), samples=1)

    assert 0.93 <= coverage(draw, 0.18) <= 0.985


def test_where_nothing_differs_the_interval_is_not_a_point():
    paired = paired_difference([1] * 20, [1] * 20)
    assert paired.p_value == 1.0
    assert paired.low == -paired.high
    assert paired.high == pytest.approx(wilson(0, 20)[1])


def test_clusters_count_once_where_the_scores_show_no_spread():
    assert mean_ci95([0] * 40, list(range(10)) * 4).high == pytest.approx(wilson(0, 10)[1])


def test_a_cluster_says_more_about_itself_than_about_the_spread():
    alone = mean_ci95([0.5, 0.7, 0.6], ["same"] * 3)
    assert (alone.low, alone.high) == (-math.inf, math.inf)


def test_a_ratio_sums_before_it_divides():
    ratio = ratio_ci95([1, 9], [1, 3])
    assert ratio.mean == 2.5  # not the mean of 1 and 3
    assert ratio.low <= 2.5 <= ratio.high


def losses(rng, n, heavy=False):
    """Nats and tokens per row. Heavy: a trained model's, nine rows in ten nearly free, the tenth dear."""
    tokens = rng.geometric(0.12, n) + 1.0
    each = (
        np.where(rng.random(n) < 0.9, rng.exponential(0.05, n), rng.exponential(3, n))
        if heavy
        else rng.gamma(0.5, 1, n)
    )
    return each * tokens, tokens


# Simulated at 400 replications, whose own error is about .011: what must lie in .93-.97 may show .915-.985.
@pytest.mark.parametrize(
    ("draw", "truth"),
    [
        pytest.param(
            lambda rng: ratio_ci95(1 + rng.lognormal(0, 0.5, 20), np.ones(20), 1000), 1 + math.exp(0.125), id="seconds"
        ),
        pytest.param(
            lambda rng: ratio_ci95(rng.normal(0.1, 0.4, 20) * 9, np.full(20, 9.0), 1000), 0.1, id="perplexity-ratio"
        ),
        pytest.param(lambda rng: ratio_ci95(rng.gamma(2, 0.5, 20) * 9, np.full(20, 9.0), 1000), 1.0, id="perplexity"),
        pytest.param(lambda rng: ratio_ci95(*losses(rng, 20), 1000), 0.5, id="loss"),
    ],
)
def test_the_interval_of_a_ratio_covers_the_truth(draw, truth):
    assert 0.915 <= coverage(draw, truth) <= 0.985


def test_a_heavy_tail_is_covered_far_better_than_by_percentiles():
    """At n = 100 .94, percentiles .83. On 20 rows it is .78 and .63: what no dear row shows, no method can see."""

    def percentile(rng):
        above, below = losses(rng, 100, heavy=True)
        drawn = rng.integers(100, size=(500, 100))
        low, high = np.quantile(above[drawn].sum(1) / below[drawn].sum(1), [0.025, 0.975])
        return Interval(0.345, low, high, 100)

    assert 0.915 <= coverage(lambda rng: ratio_ci95(*losses(rng, 100, heavy=True), 1000), 0.345) <= 0.985
    assert coverage(percentile, 0.345) < 0.88


def test_the_interval_of_a_clustered_ratio_covers_the_truth():
    keys = np.repeat(np.arange(30), 3).tolist()

    def draw(rng, clusters):
        nats = np.repeat(rng.gamma(2, 0.5, 30), 3) * rng.uniform(0.8, 1.2, 90)
        return ratio_ci95(nats, np.ones(90), 800, clusters=clusters)

    assert 0.915 <= coverage(lambda rng: draw(rng, keys), 1.0) <= 0.985
    assert coverage(lambda rng: draw(rng, None), 1.0) < 0.85


@pytest.mark.parametrize("n", [20, 45])
@pytest.mark.parametrize("ends", [(0.6, 0.2), (0.05, 0.9), (0.9, 0.03)], ids=["mixed", "good", "bad"])
def test_the_interval_of_a_mean_f1_covers_the_truth(n, ends):
    nothing, whole = ends

    def draw(rng):
        u = rng.random(n)
        return mean_ci95(np.where(u < nothing, 0, np.where(u < nothing + whole, 1, rng.beta(2, 2, n))), samples=400)

    truth = whole + (1 - nothing - whole) / 2
    assert 0.92 <= coverage(draw, truth, rounds=1500) <= 0.98


@pytest.mark.parametrize("ties", [0.4, 0.7, 0.9])
def test_the_interval_of_a_paired_gain_in_f1_covers_the_truth(ties):
    """Percentiles cover .70 of .95 with nine ties in ten and n = 20: most samples hold hardly a difference."""

    def draw(rng):
        gains = np.where(rng.random(20) < ties, 0.0, rng.choice([-0.4, 0.3, 0.5, 0.8], 20))
        return paired_difference(0.5 + gains / 2, 0.5 - gains / 2, samples=400)

    assert coverage(draw, (1 - ties) * 0.3) >= 0.93


def test_what_is_the_same_everywhere_has_no_width_of_zero():
    for found in (mean_ci95([0.4] * 30), ratio_ci95([2.0] * 30, [3.0] * 30), paired_difference([0.7] * 30, [0.3] * 30)):
        assert known_limits(found) is None
        assert Headline.of("x", found).ci95 is None
        assert as_json(found)["low"] is None
    assert known_limits(mean_ci95([0.0] * 30)) == pytest.approx((0, wilson(0, 30)[1]))


def test_clusters_and_their_sums_give_the_same_ratio():
    rng = np.random.default_rng(0)
    above, below, keys = rng.random(40), rng.random(40) + 1, np.arange(40) // 4
    summed = ratio_ci95(np.bincount(keys, above), np.bincount(keys, below), 300, 1)
    assert ratio_ci95(above, below, 300, 1, clusters=keys.tolist()) == pytest.approx(summed._replace(n=40))


def test_holm_is_worked_by_hand():
    # .01 * 3 = .03, then .03 * 2 = .06, and .04 * 1 must not fall below that.
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})
    assert holm({}) == {}
    assert holm({"only": 0.2}) == pytest.approx({"only": 0.2})


def test_what_json_can_not_hold_becomes_null():
    assert as_json({"a": [float("inf"), 1.5], "b": (float("nan"), None, True)}) == {
        "a": [None, 1.5],
        "b": [None, None, True],
    }


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_the_same_seed_gives_the_same_interval(seed):
    values = np.random.default_rng(0).random(30)
    assert mean_ci95(values, seed=seed, samples=200) == mean_ci95(values, seed=seed, samples=200)
    assert mean_ci95(values, seed=seed, samples=200) != mean_ci95(values, seed=seed + 1, samples=200)


def test_the_needed_n_is_enough():
    n = needed_n(0.1, 0.3, power=0.8)
    rng = np.random.default_rng(0)
    seen = 0
    for _ in range(400):
        gains = rng.choice([1, -1, 0], p=[0.2, 0.1, 0.7], size=n)
        seen += mcnemar(gains > 0, gains < 0) < 0.05
    assert n == 234
    assert 0.7 <= seen / 400 <= 0.86  # the exact test is a little stricter than the formula's normal one


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_ci95([]), "got 0 values"),
        (lambda: mean_ci95([1.0, math.nan]), "finite"),
        (lambda: mean_ci95([1.0, 0.0], ["a"]), "2 values but 1 cluster keys"),
        (lambda: paired_difference([1], [1, 0]), "paired: 1 and 2"),
        (lambda: mcnemar([0.5], [1]), "0 or 1"),
        (lambda: wilson(3, 2), "successes"),
        (lambda: tango(3, 2, 4), "wins"),
        (lambda: ratio_ci95([1, 2], [1, 0]), "positive"),
        (lambda: needed_n(0.3, 0.1), "discordant"),
    ],
)
def test_what_can_not_be_computed_says_so(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_few_measurements_have_students_interval():
    values = [1.0, 1.5, 0.7, 1.1]
    expected = reference.t.interval(0.95, 3, np.mean(values), reference.sem(values))
    assert few_ci95(values) == pytest.approx((np.mean(values), *expected, 4))
    assert known_limits(few_ci95([2.0])) is None


def test_a_linear_sum_of_measured_values_adds_reaches_in_squares_side_by_side():
    a, b = Interval(10.0, 7.0, 12.0, 40), Interval(2.0, 1.0, 4.0, 9)
    assert linear((1, a), (2, b)) == pytest.approx((14, 14 - math.hypot(3, 2), 14 + math.hypot(2, 4), 9))
    assert linear((1, a), (-2, b)) == pytest.approx((6, 6 - math.hypot(3, 4), 6 + math.hypot(2, 2), 9))
    unknown = Interval(2.0, -math.inf, math.inf, 1)
    assert linear((1, a), (0, unknown)) == a and linear((1, a), (1, unknown)).low == -math.inf
    assert linear((1, a), plus=5.0) == (15, 12, 17, 40) and linear(plus=5.0) == (5, 5, 5, 0)


def test_the_interval_of_a_difference_of_means_covers_it():
    def draw(rng):
        a, b = rng.exponential(2.0, 30), rng.exponential(1.0, 50)
        return linear((1, mean_ci95(a, samples=400)), (-1, mean_ci95(b, samples=400)))

    assert 0.91 <= coverage(draw, 1.0, 300) <= 0.99
