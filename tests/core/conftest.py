"""Small models and rows for this room's tests."""

from __future__ import annotations

import json
import os
import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ftlib.recipe import Recipe

TOLERANCES = {"float32": {"rtol": 1e-4, "atol": 1e-5}, "bfloat16": {"rtol": 5e-2, "atol": 2e-2}}


@pytest.fixture(params=TOLERANCES)
def dtype(request: pytest.FixtureRequest) -> str:
    """Each dtype that a machine may compute in; bfloat16 is emulated where there is no hardware for it."""
    return request.param


@pytest.fixture
def tolerance(dtype: str) -> dict[str, float]:
    """How far two ways to compute the same numbers may be apart in that dtype."""
    return TOLERANCES[dtype]


@pytest.fixture(scope="session")
def make_recipe(tiny_model_dir: Path):
    """A recipe on the tiny model; keyword arguments are dotted fields with __ for the dot.

    It computes in float32 where a test says nothing else, so that exact figures are the same on every machine.
    """

    def make(**fields) -> Recipe:
        values = {
            "name": "t",
            "seed": 3,
            "data": {"path": "unused"},
            "model": {"base": str(tiny_model_dir), "dtype": "float32"},
            "lora": {"r": 4, "alpha": 8},
            "train": {"epochs": 2, "learning_rate": 0.01, "batch_rows": 4, "eval_every_steps": 4, "compile": False},
        }
        for name, value in fields.items():
            section, _, field = name.partition("__")
            if field:
                values[section] = values.get(section, {}) | {field: value}
            else:
                values[section] = value
        return Recipe.model_validate(values)

    return make


@pytest.fixture(scope="session")
def narrow_model_dir(tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose matrices have rows of 96 and 160 numbers: no multiple of a block of 64."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("narrow_model")
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=96, intermediate_size=160, num_hidden_layers=1, num_attention_heads=4
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def rows() -> list[dict[str, list[int]]]:
    """24 rows of 6 to 14 tokens; the answer repeats the question's first token, so it can be learned."""
    rng = random.Random(5)
    made = []
    for _ in range(24):
        prompt = [1] + [rng.randrange(10, 60) for _ in range(rng.randint(3, 9))]
        answer = [prompt[1]] * rng.randint(1, 3) + [2]
        made.append({"input_ids": prompt + answer, "labels": [-100] * len(prompt) + answer})
    return made


@pytest.fixture
def adapted(make_recipe):
    """A function: recipe -> (model with a fresh adapter, or to be trained as a whole; tokenizer)."""
    from ftlib.core.load import load_base
    from ftlib.core.lora import for_training

    def make(recipe: Recipe | None = None):
        recipe = recipe or make_recipe()
        model, tokenizer = load_base(recipe)
        return for_training(model, recipe), tokenizer

    return make


@pytest.fixture
def random_adapter():
    """A function that gives an adapter's B matrices values, so that it does something."""

    def fill(model: torch.nn.Module, seed: int = 1, size: float = 0.05) -> torch.nn.Module:
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                with torch.no_grad():
                    parameter.copy_(torch.randn(parameter.shape, generator=generator) * size)
        return model

    return fill


@pytest.fixture(scope="session")
def train_together(rows, tmp_path_factory):
    """A function: recipes by name, trainings for `together.py` -> its folder, and the trainings' exit statuses."""

    def run(recipes: dict[str, Recipe], trainings: list[dict]) -> tuple[Path, list[list[int]]]:
        folder = tmp_path_factory.mktemp("together")
        (folder / "rows.json").write_text(json.dumps(rows))
        for name, recipe in recipes.items():
            (folder / name).write_text(recipe.model_dump_json())
        asked = [{"processes": 1, "environment": {}, "die_at": None} | training for training in trainings]
        command = [sys.executable, str(Path(__file__).with_name("together.py")), str(folder), json.dumps(asked)]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr[-3000:]
        statuses = json.loads(done.stdout.strip().splitlines()[-1])
        survived = [each for asked_for, each in zip(asked, statuses, strict=True) if asked_for["die_at"] is None]
        assert not any(map(any, survived)), done.stderr[-5000:]
        return folder, statuses

    return run


class Stories:
    """A real pretrained Llama of 260,032 parameters as a transformers model, with its own decoder."""

    def __init__(self, folder: Path, checkpoint: Path, tokens: Path):
        self.folder = folder
        self.pieces = self._read_pieces(tokens.read_bytes())
        self.model = self._read_model(checkpoint.read_bytes())
        self.model.save_pretrained(folder)

    def decode(self, ids: list[int]) -> bytes:
        """Bytes of a generated text; the space behind the begin-of-sequence token is dropped."""
        text = b""
        before = 1
        for token in ids:
            piece = self.pieces[token]
            if len(piece) == 6 and piece.startswith(b"<0x"):
                piece = bytes([int(piece[3:5], 16)])
            text += piece[1:] if before == 1 and piece.startswith(b" ") else piece
            before = token
        return text

    @staticmethod
    def _read_pieces(data: bytes) -> list[bytes]:
        at, pieces = 4, []
        while at < len(data):
            _, length = struct.unpack_from("<fi", data, at)
            pieces.append(data[at + 8 : at + 8 + length])
            at += 8 + length
        return pieces

    @staticmethod
    def _read_model(data: bytes):
        from transformers import LlamaConfig, LlamaForCausalLM

        dim, hidden, layers, heads, kv_heads, vocab, length = struct.unpack_from("<7i", data)
        values = torch.frombuffer(bytearray(data[28:]), dtype=torch.float32)
        at = 0

        def take(*shape: int) -> torch.Tensor:
            nonlocal at
            size = torch.Size(shape).numel()
            at += size
            return values[at - size : at].view(shape)

        size = dim // heads
        kv_dim = size * kv_heads
        names = {
            "input_layernorm": (dim,), "self_attn.q_proj": (dim, dim), "self_attn.k_proj": (kv_dim, dim),
            "self_attn.v_proj": (kv_dim, dim), "self_attn.o_proj": (dim, dim), "post_attention_layernorm": (dim,),
            "mlp.gate_proj": (hidden, dim), "mlp.down_proj": (dim, hidden), "mlp.up_proj": (hidden, dim),
        }  # fmt: skip
        state = {"model.embed_tokens.weight": take(vocab, dim)}
        for name, shape in names.items():
            for layer, weight in enumerate(take(layers, *shape)):
                if name.endswith(("q_proj", "k_proj")):  # interleaved rotary pairs -> two halves
                    weight = weight.view(-1, size // 2, 2, dim).transpose(1, 2).reshape(-1, dim)
                state[f"model.layers.{layer}.{name}.weight"] = weight
        state["model.norm.weight"] = take(dim)
        config = LlamaConfig(
            vocab_size=vocab, hidden_size=dim, intermediate_size=hidden, num_hidden_layers=layers,
            num_attention_heads=heads, num_key_value_heads=kv_heads, max_position_embeddings=length,
            rms_norm_eps=1e-5, tie_word_embeddings=True, bos_token_id=1, eos_token_id=2, pad_token_id=0,
        )  # fmt: skip
        model = LlamaForCausalLM(config)
        missing, unexpected = model.load_state_dict(state, strict=False)
        assert set(missing) <= {"lm_head.weight"} and not unexpected
        return model.eval()


@pytest.fixture(scope="session")
def stories(material: Path, tmp_path_factory: pytest.TempPathFactory) -> Stories:
    """The real model from the shared material, converted; skips where that is not there."""
    folder = tmp_path_factory.mktemp("stories")
    return Stories(folder, material / "stories260K.bin", material / "tok512.bin")
