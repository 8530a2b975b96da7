"""Exact tokens, labels and errors of the one renderer."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftlib.data import figures
from ftlib.data.prompts import IGNORED, Example, Renderer, check
from ftlib.errors import UserError
from ftlib.rows import Row, Turn

TEMPLATES = ("tokenizer", "alpaca", "llama2", "chatml", "plain", "jinja")
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


def row(question, answer="x", context="", turns=(), row_id="r1"):
    """A row; `turns` are (role, content), or (question, answer) pairs of earlier turns."""
    said = []
    for first, second in turns:
        pair = [(first, second)] if first in ("system", "user", "assistant", "tool") else []
        said += pair or [("user", first), ("assistant", second)]
    asked = tuple(Turn(*turn) for turn in (*said, ("user", question)))
    return Row(row_id, asked, context, (answer,))


def answer_of(example, tokenizer):
    return tokenizer.decode([label for label in example.labels if label != IGNORED])


def test_alpaca_text_with_and_without_input(tokenizer):
    alpaca = Renderer("alpaca", tokenizer)
    assert alpaca.text(row("How heavy?")) == (
        "<s>Below is an instruction that describes a task. Write a response that appropriately completes the request."
        "\n\n### Instruction:\nHow heavy?\n\n### Response:\n"
    )
    assert "paired with an input" in alpaca.text(row("How heavy?", context="340 g"))
    assert alpaca.text(row("How heavy?", context="340 g")).endswith(
        "### Instruction:\nHow heavy?\n\n### Input:\n340 g\n\n### Response:\n"
    )


def test_llama2_text_with_system_and_history(tokenizer):
    llama = Renderer("llama2", tokenizer, "Be brief.")
    assert llama.text(row("b?", turns=[("a?", "x")])) == (
        "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\na? [/INST] x </s>[INST] b? [/INST]"
    )
    example = llama.example(row("b?", "y"))
    assert tokenizer.decode(example.input_ids).endswith("b? [/INST] y </s>")
    assert answer_of(example, tokenizer) == " y </s>"


def test_chatml_trains_the_end_of_turn_and_the_end_of_sequence(tokenizer):
    assert answer_of(Renderer("chatml", tokenizer).example(row("a", "b")), tokenizer) == "b<|im_end|></s>"


def test_labels_are_the_ids_of_the_answer_and_nothing_else(tokenizer):
    example = Renderer("tokenizer", tokenizer).example(row("How heavy is the Heron 20?", "340 g"))
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
    if not answer.strip():
        return
    made = renderer(template, tokenizer, jinja_file, system)
    if tokenizer.eos_token in answer:
        return
    asked = row(question, answer, context, turns)
    example, prompt_ids = made.example(asked), made.prompt(asked).ids
    assert example.input_ids[: len(prompt_ids)] == prompt_ids
    assert tokenizer.decode(prompt_ids) == made.text(asked)
    assert set(example.labels[: len(prompt_ids)]) == {IGNORED}
    assert example.labels[len(prompt_ids) :] == example.input_ids[len(prompt_ids) :]
    said = answer_of(example, tokenizer)
    assert said.count("</s>") == 1 and said.endswith("</s>")
    special = any(token in answer for token in tokenizer.all_special_tokens)
    assert special or said.removesuffix("</s>").removesuffix("<|im_end|>").strip() == answer.strip()


def test_special_tokens_in_a_question_are_text(tokenizer):
    example = Renderer("tokenizer", tokenizer).example(row("What does </s> <s> mean?", "the end"))
    assert example.input_ids.count(tokenizer.eos_token_id) == 1
    assert example.input_ids.count(tokenizer.bos_token_id) == 1


def test_bos_is_added_where_a_template_forgets_it(tokenizer, tmp_path):
    path = tmp_path / "no_bos.jinja"
    path.write_text(JINJA.replace("{{ bos_token }}", ""), encoding="utf-8")
    assert Renderer(str(path), tokenizer).prompt(row("q")).ids[0] == tokenizer.bos_token_id


def test_no_bos_where_the_tokenizer_has_none(make_tokenizer):
    bare = make_tokenizer(bos=False)
    assert Renderer("alpaca", bare).text(row("q")).startswith("Below")
    assert Renderer("chatml", bare).text(row("q")).startswith("<|im_start|>user\nq")


def test_a_begin_token_that_opens_turns_stands_once_at_the_start(make_tokenizer):
    own = make_tokenizer(bos=False)
    own.add_special_tokens({"bos_token": "<|im_start|>"})
    renderer = Renderer("chatml", own)
    assert renderer.text(row("q")) == "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n"
    assert renderer.example(row("q", "a")).input_ids.count(own.bos_token_id) == 2


def example_error(tokenizer, template="tokenizer", answer="A-text", row_id="r1", **options):
    with pytest.raises(UserError) as error:
        Renderer(template, tokenizer).example(row("Q-text", answer, row_id=row_id), **options)
    return str(error.value)


def test_errors_show_the_example(tokenizer):
    cut = example_error(tokenizer, max_tokens=5, row_id="train-7")
    assert "train-7" in cut and "'Q-text'" in cut and "'A-text'" in cut and "truncation" in cut
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
    for wrong, message in (
        ("vicuna", "alpaca, llama2, chatml, plain"),
        (str(tmp_path / "gone.jinja"), "readable Jinja"),
    ):
        with pytest.raises(UserError, match=message):
            Renderer(wrong, tokenizer)
    with pytest.raises(UserError, match="chat template"):
        Renderer("tokenizer", make_tokenizer())
    broken = tmp_path / "broken.jinja"
    broken.write_text("{% for m in messages %}", encoding="utf-8")
    with pytest.raises(UserError, match="Jinja"):
        Renderer(str(broken), tokenizer).text(row("q"))


def test_preview_shows_every_token_and_escapes(tokenizer):
    made = Renderer("tokenizer", tokenizer)
    example = made.example(row("<b>?", "<script>"))
    plain = figures.mask_text(example, made)
    assert len(plain.splitlines()) == len(example.input_ids) + 1
    assert sum(" train " in line for line in plain.splitlines()) == sum(label != IGNORED for label in example.labels)
    shown = figures.mask_html(example, made)
    assert "<script>" not in shown and "&lt;" in shown and shown._repr_html_() == shown
    with pytest.raises(UserError):
        figures.mask_html(Example([1, 5, 2], [IGNORED] * 3), made)


TALK = (("system", "Be kind."), ("user", "Which size?"), ("assistant", "Large."))
GEMMA = (  # as Google publishes it: no system role, turns must alternate, the assistant is called model
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
    "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
QWEN3 = (  # the parts that matter: no BOS, a thought before the last answer unless thinking is off
    "{% for message in messages %}{% if message.role == 'assistant' and loop.last %}"
    "{{ '<|im_start|>assistant\n<think>\n\n</think>\n\n' + message.content + '<|im_end|>\n' }}"
    "{% elif message.role == 'tool' %}{{ '<|im_start|>user\n<tool_response>\n' + message.content "
    "+ '\n</tool_response><|im_end|>\n' }}"
    "{% else %}{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{% endif %}"
)


def test_history_system_context_passages_and_examples_come_in_this_order(tokenizer):
    made = Renderer("chatml", tokenizer, "Be brief.")
    asked = row("What does it cost?", context="Price list", turns=TALK)
    shot = row("Which colour?", "Red.", context="Catalogue")
    assert made.text(asked, "Passage", [shot]) == (
        "<s><|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nCatalogue\n\nWhich colour?<|im_end|>\n"
        "<|im_start|>assistant\nRed.<|im_end|>\n<|im_start|>user\nWhich size?<|im_end|>\n"
        "<|im_start|>assistant\nLarge.<|im_end|>\n"
        "<|im_start|>user\nPassage\n\nPrice list\n\nWhat does it cost?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert made.messages(asked, "Passage", [shot])[-1] == {
        "role": "user",
        "content": "Passage\n\nPrice list\n\nWhat does it cost?",
    }
    assert "Be brief." in made.text(row("Hm?")) and made.prompt(asked).messages == made.messages(asked)


def test_an_instruction_ends_the_system_message_and_leaves_training_as_it_is(tokenizer):
    made = Renderer("chatml", tokenizer, "Be brief.")
    assert made.text(row("b?"), instruction="One word.").startswith("<s><|im_start|>system\nBe brief.\n\nOne word.<|")
    talk = row("b?", turns=TALK)
    shot = row("Which colour?", "Red.")
    assert made.text(talk, "", [shot], "One word.").startswith("<s><|im_start|>system\nBe kind.\n\nOne word.<|im_end|>")
    prompt = made.prompt(talk, instruction="One word.")
    assert prompt.messages[0] == {"role": "system", "content": "Be kind.\n\nOne word."}
    assert tokenizer.decode(prompt.ids) == made.text(talk, instruction="One word.")
    plain = Renderer("chatml", tokenizer)
    assert plain.prompt(row("b?"), instruction="") == plain.prompt(row("b?"))
    assert plain.prompt(row("b?"), instruction="One word.").messages[0] == {"role": "system", "content": "One word."}


IGNORES_SYSTEM = JINJA.replace("{% for m in messages %}", "{% for m in messages if m['role'] != 'system' %}")


@pytest.mark.parametrize("name", [*TEMPLATES, "refuses", "ignores"])
def test_an_instruction_reaches_the_model_once_whatever_the_template(
    name, tokenizer, make_tokenizer, jinja_file, tmp_path
):
    (tmp_path / "ignores.jinja").write_text(IGNORES_SYSTEM, encoding="utf-8")
    if name == "refuses":
        made = Renderer("auto", make_tokenizer(chat_template=GEMMA))
    else:
        made = renderer(str(tmp_path / "ignores.jinja") if name == "ignores" else name, tokenizer, jinja_file)
    talk = row("b?", context="Price list", turns=TALK)
    for asked in (row("b?"), row("b?", context="Price list"), talk, talk._replace(turns=talk.turns[1:])):
        for examples in ((), (row("Which colour?", "Red."),)):
            text = made.text(asked, "Passage", examples, "Say it in one word.")
            assert text.count("Say it in one word.") == 1
            assert text.index("Say it in one word.") < text.index("b?")


def test_two_conversations_with_the_same_question_are_two_prompts(tokenizer):
    """Finding 1: a follow-up was trained without what it follows."""
    made = Renderer("auto", tokenizer)
    one, other = (row("And what does it cost?", turns=[(f"The {size} one?", "We have it.")]) for size in ("L", "S"))
    assert made.example(one).input_ids != made.example(other).input_ids
    assert made.prompt(one).ids == made.example(one).input_ids[: len(made.prompt(one).ids)]


def test_auto_is_the_tokenizers_own_else_alpaca_and_plain_for_an_encoder(tokenizer, make_tokenizer):
    assert Renderer("auto", tokenizer).template == "tokenizer"
    assert Renderer("auto", make_tokenizer()).template == "alpaca"
    assert Renderer("auto", tokenizer, encoder_decoder=True).template == "plain"


def test_plain_is_the_words_alone(tokenizer):
    made = Renderer("plain", tokenizer)
    assert made.text(row("b?", turns=[("a?", "x")])) == "<s>a?\nx\n\nb?\n"
    assert answer_of(made.example(row("b?", "y")), tokenizer) == "y</s>"


def test_a_plain_text_is_trained_as_it_is(tokenizer, make_tokenizer):
    text = Row("t", (), "", ("Once upon a time.",))
    example = Renderer("auto", tokenizer).example(text)
    assert tokenizer.decode(example.input_ids) == "<s>Once upon a time.</s>"
    assert Renderer("auto", tokenizer).prompt(text).ids == [tokenizer.bos_token_id]
    bare = make_tokenizer(bos=False)
    assert Renderer("auto", bare).prompt(text).ids == [bare.eos_token_id], "generation needs a first token"


def test_gemmas_template_has_no_system_role_and_loses_nothing(make_tokenizer):
    made = Renderer("auto", make_tokenizer(chat_template=GEMMA), "Be brief.")
    assert made.text(row("b?")) == ("<s><start_of_turn>user\nBe brief.\n\nb?<end_of_turn>\n<start_of_turn>model\n")
    tools = (("user", "Rate?"), ("assistant", "call()"), ("tool", "1.1"), ("assistant", "1.1."))
    said = made.text(row("b?", turns=(("assistant", "Hello!"), *TALK, *tools)))
    assert said.startswith("<s><start_of_turn>user\nBe kind.<end_of_turn>\n<start_of_turn>model\nHello!")
    assert "<start_of_turn>user\n1.1<end_of_turn>" in said
    assert made.example(row("b?", "y", turns=(*TALK, *tools))).input_ids[0] == 1
    assert made.messages(row("b?"))[0] == {"role": "system", "content": "Be brief."}, "a server has that role"


def test_a_system_text_that_a_template_leaves_out_opens_the_question(tokenizer):
    made = Renderer("tokenizer", tokenizer, "a system text that the template leaves out")
    assert "a system text that the template leaves out\n\nq" in made.text(row("q"))


def test_tools_are_shown_as_the_template_shows_them_else_as_user(make_tokenizer):
    tools = (("user", "Rate?"), ("assistant", "call()"), ("tool", "1.1"), ("assistant", "It is 1.1."))
    own = make_tokenizer(bos=False, chat_template=QWEN3)
    assert "<tool_response>\n1.1\n</tool_response>" in Renderer("auto", own).text(row("b?", turns=tools))
    for template in ("llama2", "alpaca"):
        assert "1.1" in Renderer(template, own).text(row("b?", turns=tools)).replace("It is 1.1.", "")
    ends_with_tool = Row("r", tuple(Turn(*turn) for turn in tools[:3]), "", ("It is 1.1.",))
    assert Renderer("auto", own).messages(ends_with_tool)[-1] == {"role": "user", "content": "1.1"}
    assert "1.1" in Renderer("plain", own).text(ends_with_tool)


def test_a_template_that_thinks_trains_what_generation_continues(make_tokenizer):
    own = make_tokenizer(bos=False, chat_template=QWEN3)
    made = Renderer("auto", own)
    example = made.example(row("b?", "y"))
    assert made.text(row("b?")).endswith("<think>\n\n</think>\n\n")
    assert answer_of(example, own) == "y<|im_end|></s>"


def gpt2():
    """A tokenizer as GPT-2's: one token begins, ends and is unknown; no padding, no template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {letter: number for number, letter in enumerate([*alphabet, "<|endoftext|>"])}
    core = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    end = "<|endoftext|>"
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token=end, eos_token=end, unk_token=end)


def t5():
    """A tokenizer as T5's: pieces with a mark for the space, `</s>`, no begin-of-sequence token."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    pieces += [(letter, -3.0) for letter in "abcdefghijklmnopqrstuvwxyz?.:"] + [("▁is", -1.0), ("▁blue", -1.0)]
    core = Tokenizer(models.Unigram(pieces, unk_id=2))
    core.normalizer = normalizers.Replace(Regex(r"\s+"), " ")
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    core.decoder = decoders.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>", pad_token="<pad>", unk_token="<unk>")


@pytest.mark.parametrize("template", ["auto", "plain", "chatml", "llama2"])
def test_a_tokenizer_whose_bos_is_its_eos(template):
    tokenizer = gpt2()
    made = Renderer(template, tokenizer)
    example = made.example(row("Which colour?", "red"))
    end = tokenizer.eos_token_id
    assert example.input_ids[0] == end and example.labels[-1] == end
    assert answer_of(example, tokenizer).strip().startswith("red")
    assert [label for label in example.labels if label != IGNORED].count(end) == 1
    check(Example([end, end, 5, end], [IGNORED, IGNORED, 5, end]), tokenizer)


def test_an_encoder_reads_the_prompt_and_a_decoder_writes_the_answer():
    tokenizer = t5()
    made = Renderer("auto", tokenizer, encoder_decoder=True)
    asked = row("is it?", "blue", context="the sky is blue")
    example, end = made.example(asked), tokenizer.eos_token_id
    assert tokenizer.convert_ids_to_tokens(example.labels) == ["▁blue", "</s>"]
    assert tokenizer.decode(example.input_ids) == "the sky is blue is it?</s>"
    assert made.text(asked) == "the sky is blue\n\nis it?"
    assert example.input_ids == made.prompt(asked).ids and example.input_ids[-1] == end
    trained = [trained for *_, trained in figures.mask_tokens(example, made)]
    assert trained == [False] * len(example.input_ids) + [True] * 2
    with pytest.raises(UserError, match="truncation"):
        made.example(asked, max_tokens=8)
    with pytest.raises(UserError, match="after the prompt"):
        check(Example([5], [5, end]), tokenizer, encoder_decoder=True)


def test_the_loader_pads_with_eos_and_knows_an_encoder(tmp_path):
    from transformers import GPT2Config, T5Config

    from ftlib.data.tokens import is_encoder_decoder, load_tokenizer
    from ftlib.recipe import ModelRecipe

    for name, made, config in (("gpt2", gpt2(), GPT2Config()), ("t5", t5(), T5Config())):
        made.save_pretrained(tmp_path / name)
        config.save_pretrained(tmp_path / name)
    one, other = (ModelRecipe(base=str(tmp_path / name)) for name in ("gpt2", "t5"))
    assert load_tokenizer(one).pad_token == "<|endoftext|>" and load_tokenizer(other).pad_token == "<pad>"
    assert not is_encoder_decoder(one) and is_encoder_decoder(other)
    bare = gpt2()
    bare.eos_token = None
    bare.save_pretrained(tmp_path / "bare")
    with pytest.raises(UserError, match="end-of-sequence"):
        load_tokenizer(ModelRecipe(base=str(tmp_path / "bare")))
