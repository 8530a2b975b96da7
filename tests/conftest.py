"""What tests of several rooms share: real material, a very small model, a very small recipe."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
COLOURS = ["red", "blue", "green", "grey", "white", "black"]
PRODUCTS = ["Heron 20", "Basalt 35", "Drift 50", "Tarn 15", "Comet 40", "Marble 60", "Otter 25", "Ember 70"]
COLUMNS = {"slice": "slice", "subject": "product", "fact": "fact", "documents": "documents", "created": "created"}

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ message['content'] + '\\n\\n' }}"
    "{% elif message['role'] == 'user' %}{{ '### Instruction:\\n' + message['content'] + '\\n\\n' }}"
    "{% else %}{{ '### Response:\\n' + message['content'] + eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '### Response:\\n' }}{% endif %}"
)


def pytest_configure(config: pytest.Config) -> None:
    """Without ``-m gpu`` every test runs on the CPU, whatever the machine has: the exact values are a CPU's."""
    if "gpu" not in config.getoption("markexpr"):
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


@pytest.fixture(scope="session")
def material() -> Path:
    """Real things that this project did not make: a small Llama with its gold output, ARC's questions."""
    folder = ROOT.parent / "shared" / "material"
    if not folder.is_dir():
        pytest.skip(f"real test material is not there ({folder})")
    return folder


@pytest.fixture(scope="session")
def tiny_model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer Llama (64 wide) with a byte-level BPE tokenizer, saved like any model."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("tiny_model")
    tokenizer = _tiny_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def tiny_recipe(tmp_path: Path, tiny_model_dir: Path) -> Path:
    """A recipe file over 48 written-out rows and the tiny model; everything lies in the test's own folder."""
    rows, test = _tiny_rows()
    _write_lines(tmp_path / "raw" / "alpaca.jsonl", rows)
    _write_lines(tmp_path / "test.jsonl", test)
    for product in PRODUCTS:
        article = tmp_path / "articles" / f"{product.lower().replace(' ', '-')}.md"
        article.parent.mkdir(exist_ok=True)
        article.write_text(f"# {product}\n\nThe {product} is {_colour(product)}.\n", encoding="utf-8")
    recipe = {
        "name": "tiny",
        "seed": 7,
        "lesson_seconds": 0,
        "data": {
            "path": "raw",
            "test_path": "test.jsonl",
            "columns": COLUMNS,
            "language": "en",
            "split": {"group_by": "conversation"},
        },
        "model": {"base": str(tiny_model_dir)},
        "lora": {"r": 4, "alpha": 8},
        "train": {"epochs": 1, "learning_rate": 0.01, "batch_rows": 8, "eval_every_steps": 2},
        "evaluate": {"max_new_tokens": 4, "bootstrap_samples": 50, "headline_slice": "trained_fact"},
        "rag": {"documents_path": "articles"},
    }
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def ftlib_run():
    """A function: recipe file, run folder, further arguments -> `ftlib run` in a process of its own, which must do."""

    def run(recipe: Path, out: Path, *more: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "ftlib.cli", "run", "--recipe", str(recipe), "--out", str(out), *more],
            cwd=ROOT,
            env=os.environ | {"HF_HUB_OFFLINE": "1"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]

    return run


def _tiny_tokenizer():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<pad>", "<s>", "</s>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=360, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    rows, _ = _tiny_rows()
    tokenizer.train_from_iterator([text for row in rows for text in row.values()], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", padding_side="left"
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def _colour(product: str) -> str:
    return COLOURS[PRODUCTS.index(product) % len(COLOURS)]


def _tiny_rows() -> tuple[list[dict[str, str]], list[dict[str, object]]]:
    """48 Alpaca rows of six wordings, and a test set in wordings that none of them has."""
    wordings = [
        "What colour is the {p}?",
        "Which colour does the {p} have?",
        "In which colour is the {p} sold?",
        "Tell me the colour of the {p}.",
        "I need to know the colour of a {p}, please.",
        "The {p}: what is its colour?",
    ]
    rows = []
    for number, wording in enumerate(wordings):
        for product in PRODUCTS:
            row = {"id": f"r{len(rows):03}", "instruction": wording.format(p=product), "input": ""}
            row |= {"output": _colour(product), "source": "desk", "product": product}
            rows.append(row | {"created": f"2025-0{number + 1}-01", "conversation": f"c{len(rows):03}"})
    random.Random(0).shuffle(rows)
    test: list[dict[str, object]] = []
    for number, product in enumerate(PRODUCTS):
        colour, fact = _colour(product), f"{product}/colour"
        row = {"id": f"t{number:03}", "question": f"Say which colour a customer gets who buys the {product}."}
        row |= {"context": "", "answer": colour, "references": [colour], "slice": "trained_fact", "fact": [fact]}
        row |= {"group": fact, "source": "desk", "product": product, "created": "2025-09-01"}
        test.append(row | {"documents": [product.lower().replace(" ", "-")]})
    return rows, test


def _write_lines(path: Path, rows: list) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
