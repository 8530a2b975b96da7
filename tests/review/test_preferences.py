"""What ratings say: the report, the preferred system, pairs for preference training."""

import json

import pytest

from ftlib.review.preferences import preference_pairs, preferred_share, ratings_report
from ftlib.review.schema import Shown
from ftlib.review.store import Store, current_ratings
from ftlib.rows import Turn


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "reviews.sqlite")


def shown(item, before="blue", after="340 g"):
    history = (Turn("user", "I have the kettle."), Turn("assistant", "Ask me."))
    return Shown(item, "How heavy?", history, "", ("340 g",), {"few_shot": before, "rag": after})


def test_report_of_two_reviewers(store):
    for item, ada, ben in (
        ("t1", "rag", "rag"),
        ("t2", "few_shot", "few_shot"),
        ("t3", "rag", "both_wrong"),
        ("t4", "unsure", "few_shot"),
    ):
        store.rate(
            shown(item), "ada", ada, first_system="few_shot", categories={"few_shot": "other" if item == "t1" else ""}
        )
        store.rate(
            shown(item), "ben", ben, first_system="rag", categories={"few_shot": "near_miss" if item == "t3" else ""}
        )
    automatic = {(f"t{i}", system): "other" for i in range(1, 5) for system in ("few_shot", "rag")}
    found = ratings_report(list(current_ratings(store.history()).values()), automatic)
    assert (found["ratings"], found["items"], found["reviewers"], found["unsure"]) == (8, 4, ["ada", "ben"], 1)
    assert found["verdict_alpha"]["n"] == 3
    assert [pair["reviewers"] for pair in found["verdict_kappa_by_pair"]] == [["ada", "ben"]]
    assert found["categories"]["n"] == 2 and found["categories"]["agreement"]["mean"] == 0.5
    assert found["categories"]["disagreements"] == [{"people": "near_miss", "rules": "other", "count": 1}]
    json.dumps(found, allow_nan=False)


def test_report_without_ratings():
    found = ratings_report([], {})
    assert found["ratings"] == 0 and found["verdict_alpha"]["value"] is None and found["categories"]["kappa"] is None


def test_preferences_need_a_majority_and_two_answers(store):
    for item, verdicts in {
        "t1": ["rag", "rag", "few_shot"],
        "t2": ["few_shot", "rag"],
        "t3": ["both_right"],
        "t4": ["few_shot"],
    }.items():
        for number, verdict in enumerate(verdicts):
            store.rate(shown(item), f"r{number}", verdict, first_system="few_shot")
    store.rate(shown("t5", before="same", after="same"), "r0", "few_shot", first_system="few_shot")
    ratings = list(current_ratings(store.history()).values())
    found = preference_pairs(ratings, store.shown())
    assert [(pair["id"], pair["chosen"], pair["rejected"]) for pair in found] == [
        ("t1", "340 g", "blue"),
        ("t4", "blue", "340 g"),
    ]
    assert (found[0]["votes_for"], found[0]["votes_against"], found[0]["chosen_system"]) == (2, 1, "rag")
    assert found[0]["history"] == [
        {"role": "user", "content": "I have the kettle."},
        {"role": "assistant", "content": "Ask me."},
    ]
    share = preferred_share(ratings, "rag")
    assert (share.mean, share.n) == (3 / 7, 7)
    assert preferred_share([], "rag") is None
