"""Each kind of wrong set-up is the real renderer, model or trainer with one thing broken, and must be told."""

from __future__ import annotations

import pytest
import torch

from ftlib import rows as row_files
from ftlib.cli import main
from ftlib.core import layout, lora, shared_beginning, train
from ftlib.core.batches import PaddingCollator
from ftlib.core.layout import Layout
from ftlib.core.load import load_base
from ftlib.core.loss import summed_loss
from ftlib.core.preflight import CHECKS, check_all, findings_text, limits, make_case, require_sound
from ftlib.core.trainer import TokenTrainer
from ftlib.data.prompts import Example, Renderer
from ftlib.errors import UserError
from ftlib.recipe import PreflightRecipe
from ftlib.rows import Row, Turn
from tests.conftest import CHAT_TEMPLATE
from tests.families import IN_EVERY_RUN, save_family

CHATML = CHAT_TEMPLATE.replace("### Instruction:\\n", "<|im_start|>user\\n").replace("### R", "<|im_start|>r")
THINKING = CHAT_TEMPLATE.replace("### Response:\\n' + m", "### Response:\\n<think>\\n\\n</think>\\n\\n' + m")
THINKS_WHEN_ASKED = THINKING.replace("{{ '### Response:\\n' }}", "{{ '### Response:\\n<think>\\n\\n</think>\\n\\n' }}")
TOLD_LAST = "{{ bos_token }}Q: {{ messages[-1 if add_generation_prompt else -2]['content'] }} A: " + (
    "{% if not add_generation_prompt %}{{ messages[-1]['content'] + eos_token }}{% endif %}"
)


def _rows() -> list[Row]:
    answers = ["red as a brick", "blue and grey", "white", "I don't have that information.", "green or black, mostly"]
    asked = [f"What colour is the Heron {n}, and why is it {'so ' * n}loud?" for n in range(10)]
    made = [Row(f"r{n}", (Turn("user", q),), "", (answers[n % 5],)) for n, q in enumerate(asked)]
    said = (Turn("system", "Be brief."), Turn("user", "Look it up."), Turn("assistant", "One moment."))
    looked_up = (*said, Turn("tool", '{"colour": "grey"}'), Turn("user", "Well?"))
    return [
        *made,
        Row("tool", looked_up, "", ("It is grey.",)),
        Row("context", (Turn("user", "Which?"),), "A lamp.", ("x y",)),
    ]


@pytest.fixture
def recipe(make_recipe):
    return make_recipe(lora={"r": 4, "alpha": 8, "dropout": 0.1})


@pytest.fixture
def case_of(adapted, recipe):
    """A function: what to break in the renderer (a subclass), a chat template, a recipe -> the case."""

    def make(kind=Renderer, template=None, wanted=recipe, rows=None):
        model, tokenizer = adapted(wanted)
        if template:
            tokenizer.chat_template = template
        return make_case(model, tokenizer, kind("auto", tokenizer), rows or _rows(), _rows()[:3], wanted)

    return make


def _broken(change):
    """A renderer whose examples are changed on their way out: (example, tokenizer) -> example."""

    class Broken(Renderer):
        def example(self, row, *, max_tokens=None):
            return Example(*change(super().example(row, max_tokens=max_tokens), self.tokenizer))

    return Broken


def _first_label(example: Example) -> int:
    return example.labels.count(-100)


def _without_end(example, tokenizer):
    return example.input_ids[:-1], example.labels[:-1]


def _end_masked(example, tokenizer):
    return example.input_ids, [*example.labels[:-1], -100]


def _other_end(example, tokenizer):
    return [*example.input_ids[:-1], tokenizer.pad_token_id], [*example.labels[:-1], tokenizer.pad_token_id]


def _two_beginnings(example, tokenizer):
    return [tokenizer.bos_token_id, *example.input_ids], [-100, *example.labels]


def _no_mask(example, tokenizer):
    return example.input_ids, [-100] * len(example.labels)


def _mask_late(example, tokenizer):
    at = _first_label(example)
    return example.input_ids, [*[-100] * (at + 1), *example.labels[at + 1 :]]


def _mask_early(example, tokenizer):
    at = _first_label(example) - 4
    return example.input_ids, [*[-100] * at, *example.input_ids[at:]]


def _hole(example, tokenizer):
    return example.input_ids, [*example.labels[:-2], -100, example.labels[-1]]


def _cut(example, tokenizer):
    return [*example.input_ids[:-3], example.input_ids[-1]], [*example.labels[:-3], example.labels[-1]]


def _misspelt(example, tokenizer):
    x = tokenizer("x", add_special_tokens=False)["input_ids"][0]
    at = _first_label(example)
    ids = [*example.input_ids[:at], x, *example.input_ids[at + 1 :]]
    return ids, [*example.labels[:at], x, *example.labels[at + 1 :]]


class _Splits(Renderer):
    def _encode(self, text):
        return self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]

    def example(self, row, *, max_tokens=None):
        ids = self._encode(self.text(row) + row.answer)
        return Example(ids, ids)


class _ShorterPrompt(Renderer):
    def prompt(self, row, *shown, **more):
        prompt = super().prompt(row, *shown, **more)
        return prompt._replace(ids=prompt.ids[:-1])


WRONG = {
    "tokens_trained": (_broken(_no_mask), None, "row r0: none (12 of 12 rows)"),
    "end_trained": (_broken(_end_masked), None, "row r0: the last trained token is "),
    "end_trained, end left out": (_broken(_without_end), None, "row r0: the last trained token is "),
    "end_stops": (_broken(_other_end), None, "row r0: ends with '<pad>', and generation stops on '</s>'"),
    "end_published": (_broken(_other_end), None, "row r0: ends with '<pad>', and the base's generation config"),
    "begin_once": (_broken(_two_beginnings), None, "'<s>' stands 2 times, first '<s><s>"),
    "special_whole": (_Splits, None, "'<s>' became several tokens"),
    "markers_whole": (Renderer, CHATML, "'<|im_start|>' is"),
    "prompt_same": (_ShorterPrompt, None, "row r0: token"),
    "mask_differs": (_broken(_mask_late), None, "belongs to the answer and is not trained"),
    "mask_differs, early": (_broken(_mask_early), None, "stand before the answer and are trained"),
    "mask_differs, hole": (_broken(_hole), None, "stands after the answer's start and is not trained"),
    "answer_whole": (_broken(_cut), None, "of the answer's"),
    "answer_spelled": (_broken(_misspelt), None, "'redasabrick' became 'x"),
    "turns_shown": (Renderer, TOLD_LAST, "row tool: a turn of role 'system' is missing"),
}


@pytest.mark.parametrize("name", WRONG)
def test_rows_that_are_rendered_wrong_are_told_with_row_and_token(name, case_of):
    kind, template, told = WRONG[name]
    check = CHECKS[name.split(",")[0]]
    assert check(case_of()).ok
    found = check(case_of(kind, template))
    assert not found.ok and told in found.told, found.told
    assert found.advice and found.name == check.__name__


@pytest.mark.parametrize(
    ("template", "told"),
    [
        (CHAT_TEMPLATE.replace("{{ bos_token }}", "{{ bos_token + bos_token }}"), "<s> once; found:    it is doubled"),
        (THINKING, "the response marker was not found"),
    ],
    ids=["two beginnings", "a thought before trained answers only"],
)
def test_templates_that_the_renderer_refuses_stop_and_nothing_else_is_looked_at(template, told, case_of):
    case = case_of(template=template)
    (found,) = check_all(case)
    assert found.name == "rendered" and found.stops and told in found.told
    with pytest.raises(UserError, match="preflight, rendered"):
        require_sound([found])


EVERY_MESSAGE = (
    "{% for message in messages %}{{ bos_token + message['role'] + ': ' + message['content'] }}"
    "{{ eos_token if message['role'] == 'assistant' }} {% endfor %}"
    "{{ bos_token + 'assistant: ' if add_generation_prompt }}"
)


def test_a_begin_token_that_opens_every_message_is_sound(case_of):
    """As in ChatML tokenizers whose begin token is <|im_start|>; some begin with a system turn of their own."""
    assert CHECKS["begin_once"](case_of(template=EVERY_MESSAGE)).ok
    assert CHECKS["begin_once"](case_of(template="{{ bos_token }}system\nBe kind.\n" + EVERY_MESSAGE)).ok


def test_an_answer_that_would_be_cut_is_refused_with_its_row(case_of, recipe):
    short = recipe.model_copy(update={"train": recipe.train.model_copy(update={"max_length": 60})})
    found = CHECKS["rendered"](case_of(wanted=short))
    assert not found.ok and "at most 60 tokens" in found.told and "row r" in found.told


@pytest.mark.parametrize("template", [None, THINKS_WHEN_ASKED], ids=["plain", "thinking"])
def test_a_sound_set_up_passes_every_check_and_is_left_as_it_was(template, case_of):
    case = case_of(template=template)
    numbers = {name: tensor.clone() for name, tensor in case.model.state_dict().items()}
    modules = {name: (type(module), dict(module.__dict__)) for name, module in case.model.named_modules()}
    random_state = torch.random.get_rng_state()
    findings = check_all(case)
    assert [each.name for each in findings] == list(CHECKS) == list(PreflightRecipe.model_fields)
    assert [each.told for each in findings if not each.ok and each.name != "markers_whole"] == []
    require_sound(findings)
    assert torch.equal(torch.random.get_rng_state(), random_state)
    assert all(torch.equal(numbers[name], tensor) for name, tensor in case.model.state_dict().items())
    for name, module in case.model.named_modules():
        kind, attributes = modules[name]
        assert type(module) is kind and module.__dict__.keys() == attributes.keys(), name
        assert all(module.__dict__[key] is value for key, value in attributes.items()), name
    assert all(parameter.grad is None for parameter in case.model.parameters())


def test_the_training_after_it_is_the_same_bit_for_bit(case_of, adapted, recipe, rows, tmp_path):
    case = case_of()
    check_all(case)
    fresh, tokenizer = adapted(recipe)
    for name, model in (("after", case.model), ("without", fresh)):
        train.train(model, tokenizer, rows[:8], rows[8:10], tmp_path / name, recipe)
    after, without = ((tmp_path / name / "adapter" / "adapter_model.safetensors") for name in ("after", "without"))
    assert after.read_bytes() == without.read_bytes()


@pytest.mark.parametrize("family", sorted(IN_EVERY_RUN))
def test_families_least_like_the_default_pass(family, make_recipe, tmp_path):
    wanted = make_recipe(model={"base": str(save_family(family, tmp_path)), "dtype": "float32"})
    model, tokenizer = load_base(wanted)
    case = make_case(
        lora.add_lora(model, wanted.lora, 1), tokenizer, Renderer.of(wanted, tokenizer), _rows(), _rows()[:3], wanted
    )
    assert [each.told for each in check_all(case) if each.stops] == []


METHODS = {
    "dora": {"lora": {"r": 4, "alpha": 8, "use_dora": True}},
    "int8": {"quantization": {"load_in_4bit": False, "load_in_8bit": True}},
    "full": {"quantization": {"load_in_4bit": False}, "train__method": "full"},
    "noise": {"train__neftune_alpha": 5.0},
}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_passes(method, case_of, make_recipe):
    found = check_all(case_of(wanted=make_recipe(**METHODS[method])))
    assert [each.told for each in found if each.stops] == []
    acts = next(each for each in found if each.name == "adapter_acts")
    assert ("there is none" in acts.told) is (method == "full")


# -- what is computed ----------------------------------------------------------------------
def test_a_padding_token_that_is_the_end_token_must_not_be_masked_away(case_of, monkeypatch):
    class MasksPadding(PaddingCollator):
        def _checked(self, row):
            ids, labels = super()._checked(row)
            return ids, [-100 if token == self.pad_token_id else token for token in labels]

    case = case_of()._replace(layout=Layout())
    case.tokenizer.pad_token = case.tokenizer.eos_token
    assert CHECKS["collated"](case).ok
    monkeypatch.setattr(layout, "PaddingCollator", MasksPadding)
    found = CHECKS["collated"](case)
    assert not found.ok and found.numbers["wanted"] == found.numbers["trained"] + 1 and "'</s>'" in found.told


def test_an_adapter_on_no_layer_is_told(case_of):
    case = case_of()
    case.model.requires_grad_(False)
    assert "on no layer" in CHECKS["gradients"](case).told
    case = case_of()
    case.model.disable_adapter_layers()
    assert CHECKS["adapter_acts"](case).numbers == {"largest": 0.0} and not CHECKS["adapter_acts"](case).ok


def test_a_layer_whose_adapter_is_passed_by_is_named(case_of):
    case = case_of()
    name, layer = next(pair for pair in case.model.named_modules() if pair[0].endswith("layers.1.mlp.up_proj"))
    layer.forward = layer.base_layer.forward
    found = CHECKS["gradients"](case)
    assert found.numbers["without"] == 2 and found.numbers["tensors"] == 28 and name in found.told


def test_a_mean_of_means_is_told(case_of, monkeypatch):
    def mean_of_means(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        return summed_loss(model, inputs) / len(inputs["targets"]) / self.args.gradient_accumulation_steps

    case = case_of()
    good = CHECKS["accumulation"](case)
    assert good.ok and max(good.numbers["loss"], good.numbers["gradients"]) <= 1e-5
    monkeypatch.setattr(TokenTrainer, "compute_loss", mean_of_means)
    found = CHECKS["accumulation"](case)
    assert not found.ok and found.numbers["gradients"] > 0.01


def test_an_output_layer_that_looks_at_other_tokens_is_told(case_of):
    case = case_of()
    head = case.model.get_output_embeddings()
    head.register_forward_pre_hook(lambda module, args: (args[0] - args[0].mean(1, keepdim=True),))
    found = CHECKS["logits"](case)
    assert not found.ok and "train.logits: all" in found.advice


def test_a_fused_adapter_with_a_wrong_gradient_is_told(case_of, monkeypatch):
    backward = lora.LowRankLinear.backward

    def wrong(ctx, grad):
        *others, a, b, last = backward(ctx, grad)
        return *others, 2 * a, b, last

    case = case_of()
    assert CHECKS["fused"](case).ok
    monkeypatch.setattr(lora.LowRankLinear, "backward", staticmethod(wrong))
    found = CHECKS["fused"](case)
    assert not found.ok and found.numbers["loss"] == 0 and found.numbers["layer"] > 0.4


def test_a_model_that_amplifies_rounding_is_not_taken_for_a_wrong_gradient(case_of, make_recipe, tmp_path):
    base = {"base": str(save_family("t5", tmp_path)), "dtype": "bfloat16"}  # T5's attention is not scaled
    found = CHECKS["fused"](case_of(wanted=make_recipe(model=base, lora={"r": 8})))
    assert found.ok and 0 < found.numbers["layer"] < 0.02


def test_packed_rows_that_see_each_other_are_told(case_of, recipe):
    wanted = recipe.model_copy(update={"train": recipe.train.model_copy(update={"packing": True})})
    case = case_of(wanted=wanted)
    found = CHECKS["packed"](case)
    assert found.ok and 0 < found.numbers["gradients"] < 1e-5

    def one_row(module, args, kwargs):
        places = torch.arange(kwargs["input_ids"].shape[1])
        return args, kwargs | {"position_ids": places.expand(kwargs["input_ids"].shape)}

    case.model.get_base_model().register_forward_pre_hook(one_row, with_kwargs=True)
    found = CHECKS["packed"](case)
    assert not found.ok and "train.packing: false" in found.advice


def test_rows_that_do_not_see_their_shared_beginning_are_told(case_of, recipe, monkeypatch):
    wanted = recipe.model_copy(update={"train": recipe.train.model_copy(update={"share_beginning": True})})
    case = case_of(wanted=wanted)
    assert case.layout.beginning
    found = CHECKS["shared"](case)
    assert found.ok and 0 < found.numbers["gradients"] < 1e-5
    seen = shared_beginning._seen
    monkeypatch.setattr(shared_beginning, "_seen", lambda sharing, *sizes: seen(sharing & False, *sizes))
    found = CHECKS["shared"](case)
    assert not found.ok and "train.share_beginning: false" in found.advice


def test_a_model_that_reads_padding_is_told(case_of):
    def unmasked(module, args, kwargs):
        return args, {key: value for key, value in kwargs.items() if key not in ("attention_mask", "position_ids")}

    case = case_of()
    case.model.get_base_model().register_forward_pre_hook(unmasked, with_kwargs=True)
    found = CHECKS["padding"](case)
    assert not found.ok and found.numbers["apart"] > 1e-3


def test_a_batch_that_does_not_fit_is_told_with_the_rows_that_would(case_of, monkeypatch):
    def two_fit(module, args, kwargs):
        if module.training and len(kwargs["input_ids"]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    case = case_of()._replace(layout=Layout())
    found = CHECKS["memory"](case)
    assert found.ok and found.numbers["rows"] == found.numbers["fit"] == 4
    case.model.register_forward_pre_hook(two_fit, with_kwargs=True)
    found = CHECKS["memory"](case)
    assert not found.ok and found.numbers["fit"] == 2 and "train.batch_rows: 2" in found.advice
    monkeypatch.setattr(limits, "available_bytes", lambda: 0)
    assert CHECKS["memory"](case_of()).numbers["fit"] < 4


def test_a_checkpoint_that_is_not_read_is_told(case_of, monkeypatch):
    case = case_of()
    assert CHECKS["resume"](case).numbers["apart"] == 0  # with dropout on
    monkeypatch.setattr(TokenTrainer, "_load_from_checkpoint", lambda self, folder, model=None: None)
    found = CHECKS["resume"](case)
    assert not found.ok and found.numbers["apart"] > 0


# -- levels --------------------------------------------------------------------------------
def test_a_level_says_whether_a_check_looks_tells_or_stops(case_of, recipe):
    def at(level):
        section = recipe.train.model_copy(update={"preflight": PreflightRecipe(**{"end_stops": level})})
        case = case_of(_broken(_other_end), wanted=recipe.model_copy(update={"train": section}))
        return {each.name: each for each in check_all(case)}

    assert "end_stops" not in at("off") and "resume" in at("off")
    warned, stopped = at("warn"), at("stop")
    require_sound(warned.values())
    assert "warn end_stops" in findings_text(warned.values()) and "resume" in warned
    assert "resume" not in stopped, "nothing is computed on rows that are wrong"
    with pytest.raises(UserError, match=r"(?s)end_stops.*row r0.*eos_token.*train.preflight.end_stops: warn"):
        require_sound(stopped.values())
    assert max(map(len, findings_text(stopped.values()).splitlines())) <= 110


# -- the command ---------------------------------------------------------------------------
def test_the_command_shows_all_checks_and_ends_with_2_where_one_stops(tiny_recipe, tmp_path, capsys):
    asked = ["preflight", "--recipe", str(tiny_recipe), "-p", "model.dtype=float32", "-p", "train.preflight.resume=off"]
    assert main(asked) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("46 training and 2 validation rows: the first of ")
    assert [line.split()[1] for line in told if line.startswith("ok  ")] == list(CHECKS)[:-1]

    data = tmp_path / "run" / "01_data"
    data.mkdir(parents=True)
    row_files.write(data / "train.jsonl", _rows())
    row_files.write(data / "val.jsonl", _rows()[:3])
    assert main([*asked, "--out", str(data.parent), "-p", "train.max_length=60"]) == 2
    shown = capsys.readouterr()
    assert f"12 training and 3 validation rows: those of {data}" in shown.out and "stop rendered" in shown.out
    assert shown.err.startswith("error: preflight, rendered\n  expected: The renderer takes every row, whole\n")
    assert "row context" in shown.err or "row r" in shown.err
    assert not (tmp_path / "run" / "recipe.yaml").exists(), "nothing is written"
