"""All rows judged at once: what stays, what is counted, what the ledger holds."""

from ftlib import jsonl
from ftlib.data.habits import Habits
from ftlib.data.judgement import judge_rows
from ftlib.data.ledger import Ledger
from ftlib.data.prompts import Renderer
from ftlib.data.reviewed import Decided
from ftlib.data.table import each
from ftlib.data.tokens import load_tokenizer
from ftlib.recipe import Recipe
from tests.data import made

ROWS = [
    made.row("sound", "Which colour has the Heron?", "red"),
    made.row("masked", "I am anna@example.com. Which colour has the Tarn?", "blue"),
    made.row("long", "Which colour has the Otter?", "word " * 600),
    made.row("wrong", "Which colour has the Comet?", "grey"),
    made.row("odd", "Which colour has the Ember?", "none"),
    made.row("gone", "Which colour has the Drift?", "green"),
]
DECISIONS = {
    "wrong": Decided("mend", "black", was="grey"),
    "odd": Decided("keep", "", was="none"),
    "gone": Decided("drop", "", was="green"),
    "long": Decided("keep", "", was="word"),  # what a check rejects is not asked about
}


def test_checks_come_first_then_what_people_decided(tmp_path, tiny_model_dir):
    recipe = Recipe.model_validate({"name": "t", "data": {"path": "none"}, "model": {"base": str(tiny_model_dir)}})
    renderer = Renderer.of(recipe, load_tokenizer(recipe.model))
    watched = []

    def watch(entries):
        for entry in entries:
            watched.append(entry.row.id)
            yield entry

    with Ledger(tmp_path) as ledger:
        raw, file = made.table(ROWS, tmp_path), tmp_path / "checked.arrow"
        done = judge_rows(raw, Habits(), recipe, renderer, DECISIONS, ledger, file, watch)
    stays = {entry.row.id: entry for entry in each(done.table)}
    assert watched == [row.id for row in ROWS] and list(stays) == ["sound", "masked", "wrong", "odd"]
    assert stays["wrong"].row.references == ("black",) and "review" in stays["wrong"].changes
    assert "anna@example.com" not in stays["masked"].row.question
    assert done.pii["email"] == 1 and done.pii.total() == 1 and set(done.pii) == set(recipe.data.pii.kinds)
    assert done.followed == {"mended": 1, "kept": 1, "dropped": 1}
    assert len(done.overlong) == 1 and done.overlong[0] > recipe.data.max_tokens
    assert ledger.rejected == {"overlong": 1, "review": 1} and ledger.flagged == {}
    assert [line["id"] for line in jsonl.iterate(tmp_path / "rejected.jsonl")] == ["long", "gone"]
