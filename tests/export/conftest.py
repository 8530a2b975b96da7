"""A small run with an adapter that was really trained, and its exports, for this room's tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from ftlib import jsonl, rows
from ftlib.ask.asker import Asker
from ftlib.export.folder import write_adapter, write_beside
from ftlib.export.golden import Golden, golden_prompts
from ftlib.export.merge import merge
from ftlib.export.opened import merged_player
from ftlib.export.parity import Verdict, hold_to_parity
from ftlib.run import Run
from ftlib.systems import System
from tests.ask.conftest import finish_training
from tests.families import save_family

MARGIN = 0.5  # 24 rows rule out no smaller loss
COLOURS = {"Heron": "red", "Basalt": "blue", "Drift": "green", "Tarn": "grey", "Comet": "white", "Otter": "black"}
WORDINGS = [
    "What colour is the {p}?",
    "Which colour has the {p}?",
    "The {p}: what colour?",
    "Tell me the {p}'s colour.",
]


class Merged(NamedTuple):
    """A run that is loaded, and its merged export with the base written in the same way."""

    asker: Asker
    system: System
    golden: list[Golden]
    base: Path
    folder: Path
    adapter: Path

    def judge(self, folder: Path) -> Verdict:
        """What is said of a folder in the export's place; the test set is asked only where the prompts pass."""
        opened = [lambda path=path: merged_player(self.asker, path) for path in (self.base, folder)]
        return hold_to_parity(self.asker, self.system, self.golden, *opened, margin=MARGIN)


@pytest.fixture(scope="session")
def make_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A function: dtype, `train` -> a run whose notebook 02 is finished: six colours, learned by a tiny model.

    An adapter on 4 bits, or with `method="full"` the model as a whole.
    """
    made: dict[tuple[str, str], Path] = {}

    def make(dtype: str, method: str = "lora") -> Path:
        if (dtype, method) not in made:
            made[dtype, method] = _train(tmp_path_factory.mktemp(f"exported_{dtype}_{method}"), dtype, method)
        return made[dtype, method]

    return make


@pytest.fixture(scope="session")
def run_dir(make_run: Callable[..., Path]) -> Path:
    """The one in float32."""
    return make_run("float32")


@pytest.fixture(scope="session", params=["float32", "bfloat16"])
def merged(request: pytest.FixtureRequest, make_run: Callable[..., Path], tmp_path_factory) -> Merged:
    """A merged export of the run in each dtype."""
    return _merged(make_run(request.param), tmp_path_factory.mktemp(f"merged_{request.param}"))


@pytest.fixture(scope="session")
def merged_float32(run_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Merged:
    """A merged export of the run in float32."""
    return _merged(run_dir, tmp_path_factory.mktemp("merged"))


def _merged(run_dir: Path, folder: Path) -> Merged:
    asker = Asker.of(run_dir, compare=True)
    system = list(asker.systems.values())[-1]
    write_adapter(asker, system, folder / "adapter")
    for name, adapter in (("base", None), ("tuned", folder / "adapter")):
        merge(asker.run.recipe, adapter, folder / name)
        write_beside(asker, folder / name)
    golden = golden_prompts(asker, system, 8)
    return Merged(asker, system, golden, folder / "base", folder / "tuned", folder / "adapter")


def _train(folder: Path, dtype: str, method: str) -> Path:
    texts = [f"The {product} is {colour}, and lamp {len(product)} is not." for product, colour in COLOURS.items()]
    jsonl.write(folder / "holdout.jsonl", [{"text": text} for text in texts])
    file = folder / "recipe.yaml"
    values = _recipe(save_family("llama", folder / "base"), dtype)
    if method == "full":
        values["quantization"] = {"load_in_4bit": False}
        values["train"] |= {"method": method, "learning_rate": 0.003, "lora_plus_ratio": 1}
    file.write_text(yaml.safe_dump(values))
    run = Run.open(folder / "run", file)
    finish_training(run, _rows())
    (run.path / "01_data").mkdir()
    rows.write(run.path / "01_data" / "test.jsonl", _rows())
    return run.path


def _recipe(base: Path, dtype: str) -> dict:
    return {
        "name": "colours",
        "seed": 7,
        "data": {"path": "unused.jsonl", "language": "en"},
        "prompt": {"system": "Name the colour."},
        "model": {"base": str(base), "dtype": dtype},
        "lora": {"r": 16, "alpha": 32},
        "train": {
            "share_beginning": False,  # so that these adapters are those that the bounds of the tests were met with
            "epochs": 25,
            "learning_rate": 0.005,
            "lora_plus_ratio": 16,
            "batch_rows": 8,
            "max_length": 160,
            "eval_every_steps": 25,
            "compile": False,
        },
        "evaluate": {
            "max_new_tokens": 6,
            "batch_rows": 8,
            "bootstrap_samples": 100,
            "holdout_path": "holdout.jsonl",
        },
    }


def _rows() -> list[rows.Row]:
    asked = [(wording.format(p=product), colour) for wording in WORDINGS for product, colour in COLOURS.items()]
    return [rows.row_of({"id": f"r{n}", "question": q, "answer": a}) for n, (q, a) in enumerate(asked)]
