"""The recipe: what is allowed, what is refused and how the refusal reads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ftlib.errors import UserError
from ftlib.recipe import Recipe

ROOT = Path(__file__).parents[1]
RECIPES = sorted((ROOT / "data" / "recipes").glob("*.yaml"))


def write(folder: Path, **sections) -> Path:
    values = {"name": "t", "data": {"path": "rows.jsonl"}, "model": {"base": "some/model"}} | sections
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    return file


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_committed_recipes_load(file):
    recipe = Recipe.load(file)
    assert recipe.name == file.stem
    assert all(path.is_absolute() for path in recipe.paths().values())


def test_paths_are_relative_to_the_recipe_and_overrides_to_the_root(tmp_path):
    (tmp_path / "recipes").mkdir()
    file = write(tmp_path / "recipes", data={"path": "../rows.jsonl"})
    recipe = Recipe.load(file, {"data.test_path": "other/test.jsonl"}, root=tmp_path / "project")
    assert Path(recipe.data.path) == tmp_path / "rows.jsonl"
    assert Path(recipe.data.test_path) == tmp_path / "project" / "other" / "test.jsonl"


def test_what_is_not_beside_the_recipe_is_looked_for_elsewhere(tmp_path):
    came, mine = tmp_path / "package" / "recipes", tmp_path / "project" / "recipes"
    came.mkdir(parents=True)
    file = write(came, data={"path": "../rows.jsonl"}, model={"base": "../models/a"})
    (came.parent / "rows.jsonl").touch()
    recipe = Recipe.load(file, elsewhere=mine)
    assert Path(recipe.data.path) == tmp_path / "package" / "rows.jsonl"
    assert recipe.model.base == str(tmp_path / "project" / "models" / "a"), "in neither: where it is to be put"
    (came.parent / "models" / "a").mkdir(parents=True)
    assert Recipe.load(file, elsewhere=mine).model.base == str(came.parent / "models" / "a")


def test_a_hub_name_stays_a_name_and_a_folder_becomes_absolute(tmp_path):
    assert Recipe.load(write(tmp_path)).model.base == "some/model"
    assert "model.base" not in Recipe.load(write(tmp_path)).paths()
    (tmp_path / "base").mkdir()
    assert Recipe.load(write(tmp_path, model={"base": "base"})).model.base == str(tmp_path / "base")
    assert Recipe.load(write(tmp_path, data={"path": "gone.jsonl"})).paths()["data.path"] == tmp_path / "gone.jsonl"
    assert Recipe.load(write(tmp_path, model={"base": "./nowhere"})).model.base == str(tmp_path / "nowhere")


def test_resolved_recipe_loads_again_from_anywhere(tmp_path):
    recipe = Recipe.load(write(tmp_path), {"train.learning_rate": "3e-3", "data.columns.question": "q"})
    (tmp_path / "elsewhere").mkdir()
    copy = tmp_path / "elsewhere" / "recipe.yaml"
    copy.write_text(recipe.dump(), encoding="utf-8")
    assert Recipe.load(copy) == recipe
    assert recipe.train.learning_rate == 0.003
    assert recipe.data.columns.question == "q"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ({"train.epoch": 1}, ["train.epoch", "did you mean epochs?"]),
        ({"train.epochs": -1}, ["train.epochs", "greater than 0", "-1"]),
        ({"lora.r": "many"}, ["lora.r", "integer", "many"]),
        ({"data.format": "csv"}, ["data.format", "'alpaca'", "csv"]),
        ({"quantization": 3}, ["quantization", "3"]),
        ({"modle.base": "x"}, ["modle", "did you mean model?"]),
        ({"seed.x": 1}, ["seed", "integer"]),
        ({"lora.r": 0, "seed": "a"}, ["seed", "1 more to mend"]),
        ({"review.pair": ["base", "gone"]}, ["review.pair", "base, few_shot, rag", "'gone'"]),
        ({"evaluate.systems": ["rag"]}, ["evaluate.systems", "the question alone", "'rag' belongs to notebook 05"]),
        ({"systems.rag.promt": "few_shot"}, ["systems.rag.promt", "did you mean prompt?"]),
    ],
)
def test_a_wrong_value_names_field_value_and_what_is_allowed(tmp_path, override, words):
    with pytest.raises(UserError) as caught:
        Recipe.load(write(tmp_path), override)
    message = str(caught.value)
    assert message.startswith("override ")
    for part in ["expected:", "found:", "to do:", *words]:
        assert part in message


def test_one_field_of_one_system_is_overridden_and_the_others_stay(tmp_path):
    recipe = Recipe.load(write(tmp_path), {"systems.rag.label": "search", "systems.mine.adapter": "./adapter"})
    assert recipe.systems["rag"].label == "search" and recipe.systems["rag"].prompt == "retrieved"
    assert list(recipe.systems)[-1] == "mine" and Path(recipe.systems["mine"].adapter).is_absolute()
    assert recipe.systems["base"] == Recipe.load(write(tmp_path)).systems["base"]


def test_a_systems_name_may_hold_a_dot(tmp_path):
    file = write(tmp_path, systems={"base": {}, "finetuned": {}, "model-4.1": {"adapter": "./adapter"}})
    assert Recipe.load(file).paths() == {
        "data.path": tmp_path / "rows.jsonl",
        "systems.model-4.1.adapter": tmp_path / "adapter",
    }


def test_an_unknown_field_in_the_file_names_the_file(tmp_path):
    file = write(tmp_path, lora={"rank": 8})
    with pytest.raises(UserError) as caught:
        Recipe.load(file)
    assert f"{file}, field lora.rank" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: [unclosed", ["line 1"]),
        ("just a sentence", ["str", "demo.yaml"]),
        ("", ["NoneType"]),
        ("name: x\nmodel: {base: a/b}\n", ["field data", "nothing"]),
        ("name: a b\ndata: {path: x}\nmodel: {base: a/b}\n", ["field name", "a b"]),
    ],
)
def test_a_broken_file_is_one_clear_error(tmp_path, text, words):
    file = tmp_path / "recipe.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        Recipe.load(file)
    for part in [str(file), *words]:
        assert part in str(caught.value)


def test_a_misspelt_field_is_named_also_where_its_right_name_is_missed(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("name: x\ndata: {paht: rows.jsonl}\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"(?s)field data.paht.*did you mean path\?"):
        Recipe.load(path)


def test_a_missing_file_and_a_binary_file(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        Recipe.load(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="UTF-8"):
        Recipe.load(tmp_path / "binary.yaml")


def test_remote_code_is_off_unless_the_recipe_says_so():
    for file in RECIPES:
        assert "trust_remote_code" not in file.read_text(encoding="utf-8")
        assert Recipe.load(file).model.trust_remote_code is False


def test_loading_a_recipe_needs_no_heavy_library():
    code = (
        "import sys; from ftlib.recipe import Recipe; Recipe.load('data/recipes/demo.yaml');"
        "print([name for name in ('torch', 'transformers', 'matplotlib', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_bare_off_is_what_yaml_reads_as_false(tmp_path):
    file = tmp_path / "bare.yaml"
    file.write_text("name: x\ndata: {path: rows.jsonl, checks: {language: off}}\nmodel: {base: m}\n", encoding="utf-8")
    assert Recipe.load(file).data.checks.language == "off"
    with pytest.raises(UserError, match=r"data\.checks\.language"):
        Recipe.load(file, {"data.checks.language": "never"})
