"""Agreement against scikit-learn's kappa and NLTK's alpha; preferences from ratings."""

import json
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from ftlib.review.agreement import cohen_kappa, krippendorff_alpha, preferences, preferred, report
from ftlib.review.store import Shown, Store, current

labels = st.sampled_from("abc")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "reviews.sqlite")


def shown(item, base="blue", finetuned="340 g"):
    return Shown(item, "How heavy?", "", ("340 g",), base, finetuned)


@given(st.lists(st.tuples(labels, labels), min_size=1, max_size=30))
@settings(deadline=None, max_examples=50)
def test_kappa_is_scikit_learns(pairs):
    a, b = zip(*pairs, strict=True)
    found = cohen_kappa(a, b, samples=20)
    if found.value is None:
        assert len({*a, *b}) == 1
    else:
        assert found.value == pytest.approx(cohen_kappa_score(a, b), abs=1e-12)
        assert -1 <= found.value <= 1 and found.n == len(pairs)


@given(st.lists(st.lists(labels, min_size=1, max_size=4), min_size=1, max_size=20))
@settings(deadline=None, max_examples=50)
def test_alpha_is_nltks(items):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NLTK's own imports
        from nltk.metrics.agreement import AnnotationTask

    pairable = [item for item in items if len(item) > 1]
    found = krippendorff_alpha(items, samples=20)
    assert found.n == len(pairable)
    if len({label for item in pairable for label in item}) < 2:
        assert found.value is None
        return
    data = [(str(coder), str(number), label)
            for number, item in enumerate(pairable) for coder, label in enumerate(item)]
    assert found.value == pytest.approx(AnnotationTask(data=data).alpha(), abs=1e-9)


def test_a_worked_case():
    # Two raters, ten items, agreeing on 4 "a" and 3 "b": p_o = 0.7; "a" in 5 of 10 and 6 of 10 labels: p_e = 0.5.
    a = ["a"] * 4 + ["b"] * 3 + ["a"] + ["b"] * 2
    b = ["a"] * 4 + ["b"] * 3 + ["b"] + ["a"] * 2
    assert cohen_kappa(a, b).value == pytest.approx((0.7 - 0.5) / 0.5)
    # 20 labels, 11 "a" and 9 "b", three of ten items disagree: D_o = 6/20, D_e = 2 * 11 * 9 / (20 * 19).
    assert krippendorff_alpha(list(zip(a, b, strict=True))).value == pytest.approx(1 - (6 / 20) / (198 / 380))


def test_intervals_hold_the_value_and_shrink():
    few = cohen_kappa("aabbabab", "aabbaabb")
    many = cohen_kappa("aabbabab" * 30, "aabbaabb" * 30)
    assert few.low <= few.value <= few.high and many.low < many.value < many.high
    assert many.high - many.low < (few.high - few.low) / 3
    assert cohen_kappa("aabbabab", "aabbaabb") == few, "the same seed, the same interval"


def test_where_nothing_can_be_said_nothing_is():
    assert cohen_kappa([], []) == krippendorff_alpha([]) == (None, None, None, 0)
    assert cohen_kappa("aaa", "aaa").value is None
    assert krippendorff_alpha([("a",), ("b",)]).n == 0
    with pytest.raises(ValueError, match="same items"):
        cohen_kappa("ab", "a")


def test_report_of_two_reviewers(store):
    for item, ada, ben in (("t1", "finetuned", "finetuned"), ("t2", "base", "base"), ("t3", "finetuned", "both_wrong"),
                           ("t4", "unsure", "base")):
        store.rate(shown(item), "ada", ada, first_arm="base", category_base="other" if item == "t1" else "")
        store.rate(shown(item), "ben", ben, first_arm="finetuned", category_base="near_miss" if item == "t3" else "")
    automatic = {(f"t{i}", arm): "other" for i in range(1, 5) for arm in ("base", "finetuned")}
    found = report(list(current(store.history()).values()), automatic)
    assert (found["ratings"], found["items"], found["reviewers"], found["unsure"]) == (8, 4, ["ada", "ben"], 1)
    assert found["verdict_alpha"]["n"] == 3
    assert [pair["reviewers"] for pair in found["verdict_kappa_by_pair"]] == [["ada", "ben"]]
    assert found["categories"]["n"] == 2 and found["categories"]["agreement"]["mean"] == 0.5
    assert found["categories"]["disagreements"] == [{"people": "near_miss", "rules": "other", "count": 1}]
    json.dumps(found, allow_nan=False)


def test_report_without_ratings():
    found = report([], {})
    assert found["ratings"] == 0 and found["verdict_alpha"]["value"] is None and found["categories"]["kappa"] is None


def test_preferences_need_a_majority_and_two_answers(store):
    for item, verdicts in {"t1": ["finetuned", "finetuned", "base"], "t2": ["base", "finetuned"], "t3": ["both_right"],
                           "t4": ["base"]}.items():
        for number, verdict in enumerate(verdicts):
            store.rate(shown(item), f"r{number}", verdict, first_arm="base")
    store.rate(shown("t5", base="same", finetuned="same"), "r0", "base", first_arm="base")
    ratings = list(current(store.history()).values())
    found = preferences(ratings, store.shown())
    assert [(pair["id"], pair["chosen"], pair["rejected"]) for pair in found] == [
        ("t1", "340 g", "blue"), ("t4", "blue", "340 g")]
    assert (found[0]["votes_for"], found[0]["votes_against"], found[0]["chosen_arm"]) == (2, 1, "finetuned")
    share = preferred(ratings)
    assert (share.mean, share.n) == (3 / 7, 7)
    assert preferred([]) is None
