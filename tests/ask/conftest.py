"""A small run with an adapter that was really trained, for this room's tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from ftlib import rows
from ftlib.run import Run
from tests.families import save_family

COLOURS = {"Heron": "red", "Basalt": "blue", "Drift": "green", "Tarn": "grey"}
WORDINGS = [
    "What colour is the {p}?",
    "Which colour has the {p}?",
    "The {p}: what colour?",
    "Tell me the {p}'s colour.",
]
TOLD = "Name the colour."


def finish_training(run: Run, made: list[rows.Row]) -> None:
    """Notebook 02's stage, by really training on these rows."""
    from ftlib.core.load import load_base
    from ftlib.core.lora import for_training
    from ftlib.core.train import train
    from ftlib.data.prompts import Renderer

    stage = run.begin("02_train")
    model, tokenizer = load_base(run.recipe)
    renderer = Renderer.of(run.recipe, tokenizer)
    examples = [renderer.example(row) for row in made]
    result = train(for_training(model, run.recipe), tokenizer, examples, examples[:4], stage.path, run.recipe)
    assert result.best_loss < result.base_loss - 1
    stage.finish()


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose notebook 02 is finished: four products' colours, learned by a tiny model."""
    from ftlib.evaluate.instructions import Choice, write_choices

    folder = tmp_path_factory.mktemp("asked")
    (folder / "articles").mkdir()
    for product, colour in COLOURS.items():
        (folder / "articles" / f"{product}.md").write_text(f"# {product}\n\nThe {product} is {colour}.\n")
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(_recipe(save_family("llama", folder / "base"))))
    run = Run.open(folder / "run", file)
    finish_training(run, _rows())
    (run.path / "01_data").mkdir()
    for name in ("train", "test"):
        rows.write(run.path / "01_data" / f"{name}.jsonl", _rows())
    (run.path / "03_evaluate").mkdir()
    write_choices(run.path / "03_evaluate" / "instructions.json", {"base": Choice("base", TOLD, {})})
    return run.path


@pytest.fixture(scope="session")
def asker(run_dir: Path):
    """Base and adapter, ready to answer."""
    from ftlib.ask.asker import Asker

    return Asker.of(run_dir, compare=True)


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """For commands in a process of their own: no network, the repository's package."""
    return os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(Path(__file__).parents[2])}


def _recipe(base: Path) -> dict:
    return {
        "name": "asked",
        "seed": 7,
        "data": {"path": "unused.jsonl", "columns": {"question": "Frage"}, "language": "en"},
        "model": {"base": str(base), "dtype": "float32"},
        "quantization": {"load_in_4bit": False},
        "lora": {"r": 16, "alpha": 32},
        "train": {
            "epochs": 40,
            "learning_rate": 0.003,
            "lora_plus_ratio": 16,
            "batch_rows": 16,
            "eval_every_steps": 20,
            "compile": False,
        },
        "evaluate": {"max_new_tokens": 6, "batch_rows": 2},
        "rag": {"documents_path": "articles", "few_shot": 2},
    }


def _rows() -> list[rows.Row]:
    asked = [(wording.format(p=product), colour) for wording in WORDINGS for product, colour in COLOURS.items()]
    return [rows.row_of({"id": f"r{n}", "question": q, "answer": a}) for n, (q, a) in enumerate(asked)]
