"""Exact tokens, labels and errors of the one renderer."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftlib.data import preview
from ftlib.data.prompts import IGNORED, Example, Renderer, check
from ftlib.recipe import UserError

TEMPLATES = ("tokenizer", "alpaca", "llama2", "chatml", "jinja")
JINJA = (
    "{{ bos_token }}{% for m in messages %}<{{ m['role'] }}> {{ m['content'] }}"
    "{% if m['role'] == 'assistant' %}{{ eos_token }}{% endif %}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant> {% endif %}"
)


@pytest.fixture(scope="module")
def jinja_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("templates") / "own.jinja"
    path.write_text(JINJA, encoding="utf-8")
    return str(path)


def renderer(name, tokenizer, jinja_file, system=None):
    return Renderer(jinja_file if name == "jinja" else name, tokenizer, system)


def answer_of(example, tokenizer):
    return tokenizer.decode([label for label in example.labels if label != IGNORED])


def test_alpaca_text_with_and_without_input(tokenizer):
    alpaca = Renderer("alpaca", tokenizer)
    assert alpaca.prompt("How heavy?") == (
        "<s>Below is an instruction that describes a task. Write a response that appropriately completes the request."
        "\n\n### Instruction:\nHow heavy?\n\n### Response:\n"
    )
    assert "paired with an input" in alpaca.prompt("How heavy?", "340 g")
    assert alpaca.prompt("How heavy?", "340 g").endswith(
        "### Instruction:\nHow heavy?\n\n### Input:\n340 g\n\n### Response:\n"
    )


def test_llama2_text_with_system_and_history(tokenizer):
    llama = Renderer("llama2", tokenizer, "Be brief.")
    assert llama.prompt("b?", history=[("a?", "x")]) == (
        "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\na? [/INST] x </s>[INST] b? [/INST]"
    )
    example = llama.example("b?", "y")
    assert tokenizer.decode(example.input_ids).endswith("b? [/INST] y </s>")
    assert answer_of(example, tokenizer) == " y </s>"


def test_chatml_trains_the_end_of_turn_and_the_end_of_sequence(tokenizer):
    assert answer_of(Renderer("chatml", tokenizer).example("a", "b"), tokenizer) == "b<|im_end|></s>"


def test_labels_are_the_ids_of_the_answer_and_nothing_else(tokenizer):
    example = Renderer("tokenizer", tokenizer).example("How heavy is the Heron 20?", "340 g")
    answer = tokenizer("340 g</s>", add_special_tokens=False)["input_ids"]
    assert example.labels == [IGNORED] * (len(example.input_ids) - len(answer)) + answer
    assert example.input_ids[0] == tokenizer.bos_token_id
    assert example.input_ids.count(tokenizer.bos_token_id) == 1


words = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=30)


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("system", [None, "Be brief."])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    question=words,
    answer=words,
    context=st.one_of(st.just(""), words),
    turns=st.lists(st.tuples(words, words), max_size=2),
)
def test_render_tokenize_mask_round_trip(template, system, tokenizer, jinja_file, question, answer, context, turns):
    if (system and template == "tokenizer") or not answer.strip():
        return
    made = renderer(template, tokenizer, jinja_file, system)
    if tokenizer.eos_token in answer:
        return
    example = made.example(question, answer, context, turns)
    prompt_ids = made.prompt_ids(question, context, turns)
    assert example.input_ids[: len(prompt_ids)] == prompt_ids
    assert tokenizer.decode(prompt_ids) == made.prompt(question, context, turns)
    assert set(example.labels[: len(prompt_ids)]) == {IGNORED}
    assert example.labels[len(prompt_ids) :] == example.input_ids[len(prompt_ids) :]
    said = answer_of(example, tokenizer)
    assert said.count("</s>") == 1 and said.endswith("</s>")
    special = any(token in answer for token in tokenizer.all_special_tokens)
    assert special or said.removesuffix("</s>").removesuffix("<|im_end|>").strip() == answer.strip()


def test_special_tokens_in_a_question_are_text(tokenizer):
    example = Renderer("tokenizer", tokenizer).example("What does </s> <s> mean?", "the end")
    assert example.input_ids.count(tokenizer.eos_token_id) == 1
    assert example.input_ids.count(tokenizer.bos_token_id) == 1


def test_bos_is_added_where_a_template_forgets_it(tokenizer, tmp_path):
    path = tmp_path / "no_bos.jinja"
    path.write_text(JINJA.replace("{{ bos_token }}", ""), encoding="utf-8")
    assert Renderer(str(path), tokenizer).prompt_ids("q")[0] == tokenizer.bos_token_id


def test_no_bos_where_the_tokenizer_has_none(make_tokenizer):
    bare = make_tokenizer(bos=False)
    assert Renderer("alpaca", bare).prompt("q").startswith("Below")
    assert Renderer("chatml", bare).prompt("q").startswith("<|im_start|>user\nq")


def example_error(tokenizer, template="tokenizer", question="Q-text", answer="A-text", **options):
    with pytest.raises(UserError) as error:
        Renderer(template, tokenizer).example(question, answer, **options)
    return str(error.value)


def test_errors_show_the_example(tokenizer):
    cut = example_error(tokenizer, max_tokens=5, where="train.jsonl:7")
    assert "train.jsonl:7" in cut and "'Q-text'" in cut and "'A-text'" in cut and "truncation" in cut
    assert "empty answer" in example_error(tokenizer, answer="  ")
    assert "</s> inside it" in example_error(tokenizer, answer="a</s>b")


def test_error_where_the_response_marker_is_not_found(tokenizer, tmp_path):
    path = tmp_path / "no_marker.jinja"
    path.write_text(JINJA.replace("{% if add_generation_prompt %}<assistant> {% endif %}", ""), encoding="utf-8")
    assert "response marker was not found" in example_error(tokenizer, str(path))


def test_error_where_the_template_doubles_bos_or_eos(tokenizer, tmp_path):
    path = tmp_path / "double.jinja"
    path.write_text("{{ bos_token }}" + JINJA, encoding="utf-8")
    assert "<s> once" in example_error(tokenizer, str(path))
    path.write_text(JINJA.replace("{{ eos_token }}", "{{ eos_token }}{{ eos_token }}"), encoding="utf-8")
    assert "write eos_token once" in example_error(tokenizer, str(path))


@pytest.mark.parametrize(
    ("ids", "labels", "found"),
    [
        ([1, 5, 2], [IGNORED] * 3, "every label is -100"),
        ([5, 2], [5, 2], "missing"),
        ([1, 1, 5, 2], [IGNORED, IGNORED, 5, 2], "doubled"),
        ([1, 5], [IGNORED, 5], "missing"),
        ([1, 5, 2, 2], [IGNORED, 5, 2, 2], "doubled"),
        ([1, 5, 2], [IGNORED, 5], "3 tokens and 2 labels"),
    ],
)
def test_check_finds_wrong_masks(tokenizer, ids, labels, found):
    with pytest.raises(UserError, match=found):
        check(Example(ids, labels), tokenizer)


def test_unknown_templates_are_errors(tokenizer, make_tokenizer, tmp_path):
    for wrong, message in (("vicuna", "alpaca, llama2, chatml"), (str(tmp_path / "gone.jinja"), "readable Jinja")):
        with pytest.raises(UserError, match=message):
            Renderer(wrong, tokenizer)
    with pytest.raises(UserError, match="chat template"):
        Renderer("tokenizer", make_tokenizer())
    with pytest.raises(UserError, match=r"prompt\.system"):
        Renderer("tokenizer", tokenizer, "a system text that the template leaves out")
    broken = tmp_path / "broken.jinja"
    broken.write_text("{% for m in messages %}", encoding="utf-8")
    with pytest.raises(UserError, match="Jinja"):
        Renderer(str(broken), tokenizer).prompt("q")


def test_preview_shows_every_token_and_escapes(tokenizer):
    example = Renderer("tokenizer", tokenizer).example("<b>?", "<script>")
    plain = preview.text(example, tokenizer)
    assert len(plain.splitlines()) == len(example.input_ids) + 1
    assert sum(" train " in line for line in plain.splitlines()) == sum(label != IGNORED for label in example.labels)
    shown = preview.html(example, tokenizer)
    assert "<script>" not in shown and "&lt;" in shown and shown._repr_html_() == shown
    with pytest.raises(UserError):
        preview.html(Example([1, 5, 2], [IGNORED] * 3), tokenizer)
