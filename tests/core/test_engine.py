"""Systems that answer: adapters on one base, and a server that speaks OpenAI's protocol."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
import torch

from ftlib.core.engine import Engine
from ftlib.core.finetuned import load_finetuned
from ftlib.core.generate import generate
from ftlib.core.load import load_base
from ftlib.core.lora import lora_layers
from ftlib.data.prompts import Prompt
from ftlib.errors import UserError
from ftlib.recipe import SystemRecipe
from ftlib.systems import System, adapter_path, colours, systems

PROMPTS = [Prompt(f"q{i}", [1, *ids], [{"role": "user", "content": f"question {i}"}]) for i, ids in enumerate(
    [[20, 30, 40], [25], [33, 44, 55, 66, 77], [9, 8]])]  # fmt: skip


@pytest.fixture
def adapters(make_recipe, adapted, random_adapter, tmp_path):
    """Two adapters of different ranks, saved as any PEFT adapter is."""
    for name, rank in (("first", 4), ("second", 2)):
        model, _ = adapted(make_recipe(lora={"r": rank, "alpha": 8}))
        random_adapter(model, seed=rank, size=0.3).save_pretrained(tmp_path / name, save_embedding_layers=False)
    return tmp_path / "first", tmp_path / "second"


@pytest.fixture
def open_run(make_recipe, adapters):
    """What the engine needs of a run, whose own adapter is the first."""

    def make(**fields):
        recipe = make_recipe(**{"prompt": {"template": "alpaca"}, **fields})
        return SimpleNamespace(recipe=recipe, need=lambda file: adapters[0])

    return make


def _systems(adapters) -> dict[str, System]:
    found = {"plain": None, "ours": "trained", "again": "trained", "other": str(adapters[1])}
    return {name: System(name, name, adapter, "question", None) for name, adapter in found.items()}


@pytest.mark.parametrize("storage", [{"gemm": "cached"}, {"gemm": "streamed"}, {"load_in_4bit": False}], ids=str)
def test_each_system_answers_as_if_it_were_alone(open_run, adapters, storage):
    run = open_run(quantization=storage)
    engine, wanted = Engine.load(run, _systems(adapters)), _systems(adapters)
    options = {"max_new_tokens": 12, "batch_rows": 2}
    ids = [prompt.ids for prompt in PROMPTS]
    alone = {
        "plain": load_base(run.recipe)[0],
        "ours": load_finetuned(run.recipe, adapters[0])[0],
        "other": load_finetuned(run.recipe, adapters[1])[0],
    }
    texts = {name: [a.text for a in generate(m, engine.tokenizer, ids, **options)] for name, m in alone.items()}
    texts["again"] = texts["ours"]
    assert len({tuple(answers) for answers in texts.values()}) == 3
    for name in ("plain", "ours", "other", "again", "plain", "other", "ours"):  # to and fro
        assert [a.text for a in engine.generate(wanted[name], PROMPTS, **options)] == texts[name], name


def test_adapters_share_one_copy_of_the_base(open_run, adapters):
    engine = Engine.load(open_run(), _systems(adapters))
    assert len(engine.model.peft_config) == 2  # "ours" and "again" are one
    assert all(len(layer.lora_A) == 2 for layer in lora_layers(engine.model))
    base, _ = load_base(open_run().recipe)
    frozen = [p.numel() for n, p in engine.model.named_parameters() if "lora_" not in n]
    assert sum(frozen) == sum(p.numel() for p in base.parameters())
    assert engine.window == 512 and not any(p.requires_grad for p in engine.model.parameters())


def test_using_a_system_ends_with_its_block_also_inside_anothers(open_run, adapters):
    wanted = _systems(adapters)
    engine = Engine.load(open_run(), wanted)
    ids = torch.tensor([[1, 20, 30]])

    def logits(model):
        with torch.no_grad():
            return model(ids).logits

    with engine.using(wanted["other"]) as model:
        outside = logits(model)
        with engine.using(wanted["plain"]) as inner:
            base = logits(inner)
        assert torch.equal(logits(model), outside) and not torch.equal(base, outside)
        with pytest.raises(KeyError), engine.using(wanted["ours"]):
            raise KeyError
        assert torch.equal(logits(model), outside)


@pytest.fixture
def whole(make_recipe, tmp_path):
    """A model of the base's shape with other weights, as a full fine-tuning leaves it."""
    model, tokenizer = load_base(make_recipe(quantization={"load_in_4bit": False}))
    generator = torch.Generator().manual_seed(4)
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
    model.save_pretrained(tmp_path / "whole")
    tokenizer.save_pretrained(tmp_path / "whole")
    return tmp_path / "whole"


def test_a_model_trained_as_a_whole_answers_beside_base_and_adapters(open_run, adapters, whole, make_recipe):
    run = open_run(quantization={"load_in_4bit": False})
    tuned = System("whole", "whole", str(whole), "question", None)
    wanted = {**_systems(adapters), "whole": tuned, "twice": tuned._replace(name="twice")}
    engine, options = Engine.load(run, wanted), {"max_new_tokens": 12, "batch_rows": 2}
    ids = [prompt.ids for prompt in PROMPTS]
    alone = {"plain": load_base(run.recipe)[0], "ours": load_finetuned(run.recipe, adapters[0])[0]}
    alone |= {"whole": load_finetuned(run.recipe, whole)[0]}
    texts = {name: [a.text for a in generate(m, engine.tokenizer, ids, **options)] for name, m in alone.items()}
    assert len({tuple(answers) for answers in texts.values()}) == 3
    for name in ("whole", "plain", "ours", "whole", "plain"):
        assert [a.text for a in engine.generate(wanted[name], PROMPTS, **options)] == texts[name], name
    with engine.using(wanted["whole"]) as one, engine.using(wanted["twice"]) as other:
        assert one is other and not hasattr(one, "peft_config")
    only = Engine.load(run, {"whole": tuned})  # no base is loaded beside it
    with only.using(tuned) as model:
        assert model is only.model and only.dtype == "float32"
    with pytest.raises(UserError, match=r"systems\.whole\.adapter_scale"):
        Engine.load(run, {"whole": tuned._replace(adapter_scale=0.5)})


def test_a_base_alone_needs_no_adapter_and_an_unknown_system_is_refused(open_run, adapters):
    wanted = _systems(adapters)
    engine = Engine.load(open_run(), {"plain": wanted["plain"]})
    assert not hasattr(engine.model, "peft_config")
    with pytest.raises(ValueError, match="not among the systems"), engine.using(wanted["ours"]):
        pass


def test_an_adapter_that_fits_another_base_is_one_clear_error(open_run, narrow_model_dir, adapters):
    run = open_run(model={"base": str(narrow_model_dir), "dtype": "float32"})
    with pytest.raises(UserError, match="trained on this base"):
        Engine.load(run, {"ours": System("ours", "ours", "trained", "question", None)})
    missing = System("x", "x", str(narrow_model_dir), "question", None)
    with pytest.raises(UserError, match=r"adapter_model\.safetensors"):
        Engine.load(run, {"x": missing})


def test_a_prompt_that_the_model_cannot_read_is_named(open_run, adapters):
    wanted = _systems(adapters)
    engine = Engine.load(open_run(), {"plain": wanted["plain"]})
    long = Prompt("row-7", [5] * 512, [])
    with pytest.raises(UserError, match=r"row-7[\s\S]*512 tokens"):
        engine.generate(wanted["plain"], [*PROMPTS, long], max_new_tokens=4, batch_rows=2)
    assert engine.generate(wanted["plain"], [], max_new_tokens=4, batch_rows=2) == []


class _Server(BaseHTTPRequestHandler):
    """Chat completions as OpenAI's protocol has them; the answer tells what was asked."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, self.headers["Authorization"], asked))
        status, body = 200, {
            "id": "1", "object": "chat.completion", "created": 0, "model": asked["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "message": {
                "role": "assistant", "content": f" answer to {asked['messages'][-1]['content']} "}}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8},
        }  # fmt: skip
        if asked["messages"][-1]["content"] in ("question 0", "question 2"):
            tokens = [{"token": "a", "logprob": each, "top_logprobs": []} for each in (-1.0, -2.0)]
            body["choices"][0]["logprobs"] = {"content": tokens}
        if self.server.fails > 0:
            self.server.fails -= 1
            status, body = self.server.status, {"error": {"message": "not now"}}
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Server) as http:
        http.asked, http.fails, http.status = [], 0, 500
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield http
        http.shutdown()
        thread.join()


@pytest.fixture
def remote(make_recipe, server):
    """A recipe with a system that the server answers, its systems and the run."""
    endpoint = {"url": f"http://127.0.0.1:{server.server_port}/v1", "model": "big", "api_key_env": "TEST_KEY"}
    recipe = make_recipe(
        prompt={"template": "alpaca"},
        systems={
            "base": {},
            "finetuned": {"adapter": "trained"},
            "big": {"label": "the big one", "endpoint": endpoint},
        },
    )
    return SimpleNamespace(recipe=recipe, need=None), systems(recipe)


def test_an_endpoint_is_asked_in_chat_completions_at_temperature_0(remote, server, monkeypatch):
    monkeypatch.setenv("TEST_KEY", "secret")
    run, known = remote
    engine = Engine.load(run, {"big": known["big"]})
    assert engine.model is None and engine.window is None and engine.renderer is not None
    answers = engine.generate(known["big"], PROMPTS, max_new_tokens=7, batch_rows=3)
    assert [a.text for a in answers] == [f"answer to question {i}" for i in range(4)]
    assert all(a.tokens == 5 and a.seconds > 0 for a in answers)
    assert [a.log_probability for a in answers] == [-1.5, None, -1.5, None], "where the server tells it"
    assert {(path, key) for path, key, _ in server.asked} == {("/v1/chat/completions", "Bearer secret")}
    for _, _, asked in server.asked:
        assert (asked["model"], asked["temperature"], asked["max_tokens"]) == ("big", 0, 7)
    with pytest.raises(ValueError, match="endpoint"), engine.using(known["big"]):
        pass


def test_a_busy_server_is_asked_again(remote, server, monkeypatch):
    monkeypatch.delenv("TEST_KEY", raising=False)
    run, known = remote
    server.fails, server.status = 1, 503
    answers = Engine.load(run, {"big": known["big"]}).generate(
        known["big"], PROMPTS[:2], max_new_tokens=7, batch_rows=1
    )
    assert len(answers) == 2 and len(server.asked) == 3


def test_a_server_that_refuses_is_one_clear_error(remote, server):
    run, known = remote
    engine = Engine.load(run, {"big": known["big"]})
    server.fails, server.status = 99, 401
    with pytest.raises(UserError, match=r"systems\.big\.endpoint[\s\S]*not now"):
        engine.generate(known["big"], PROMPTS, max_new_tokens=7, batch_rows=2)


def test_systems_come_in_the_recipes_order_with_labels_and_lasting_colours(remote):
    run, known = remote
    assert list(known) == ["base", "finetuned", "big"]
    assert [s.label for s in known.values()] == ["base", "finetuned", "the big one"]
    some = systems(run.recipe, ["big", "base"])
    assert list(some) == ["base", "big"] and len(set(colours(known).values())) == 3
    assert colours(some) == {name: colours(known)[name] for name in some}
    with pytest.raises(UserError, match="nobody"):
        systems(run.recipe, ["nobody"])
    assert adapter_path(known["base"], run) is None
    trained = SimpleNamespace(need=lambda file: f"run/{file}")
    assert adapter_path(known["finetuned"], trained) == "run/02_train/adapter"
    assert SystemRecipe().adapter is None


def test_a_system_may_use_less_of_its_adapter(open_run, adapters):
    wanted = _systems(adapters)
    wanted["less"] = wanted["ours"]._replace(name="less", adapter_scale=0.5)
    engine, found = Engine.load(open_run(), wanted), {}
    for name in ("ours", "less", "again", "other"):
        with engine.using(wanted[name]) as model:
            used = model.active_adapter
            found[name] = [layer.scaling[used] for layer in lora_layers(model)]
    assert found["less"] == [0.5 * each for each in found["ours"]] and found["again"] == found["ours"]
    assert set(found["ours"]) == {8 / 4} and set(found["other"]) == {8 / 2}
