from __future__ import annotations

import pytest

from ftlib.data.templates import NAMED
from ftlib.errors import UserError
from ftlib.export.ollama import Pieces, modelfile, read_pieces

TALKS = [
    [("user", "Who?")],
    [("system", "Be short."), ("user", "Who?")],
    [("user", "Who?"), ("assistant", "Ann."), ("user", "Where?")],
    [("system", "Be short."), ("user", "Who?"), ("assistant", "Ann."), ("user", "{{ Where }}?")],
]


def _render(template: str):
    from jinja2 import Environment

    compiled = Environment().from_string(template)

    def render(messages) -> str:
        full = [{"question": each["content"], "context": "", **each} for each in messages]
        return compiled.render(messages=full, bos_token="<s>", eos_token="</s>", add_generation_prompt=True)

    return render


def _messages(talk):
    return [{"role": role, "content": content} for role, content in talk]


@pytest.mark.parametrize("name", ["chatml", "llama2", "plain"])
@pytest.mark.parametrize("talk", TALKS, ids=["question", "system", "history", "both"])
def test_the_pieces_write_what_the_template_does(name, talk):
    render = _render(NAMED[name])
    assert read_pieces(render).render(_messages(talk)) == render(_messages(talk))


def test_a_begin_token_that_the_tokenizer_sets_is_left_out():
    pieces = read_pieces(_render(NAMED["chatml"]), "<s>")
    assert pieces.begin == pieces.begin_system.replace("system", "user") == "<|im_start|>user\n"


def test_the_go_template_is_written_around_the_roles():
    pieces = Pieces("<s>", "<sys>", "</sys>", "[/q]", " ", "</s>")
    assert pieces.go() == (
        '{{ range $i, $m := .Messages }}{{ if eq $m.Role "system" }}<sys>{{ $m.Content }}</sys>'
        '{{ else if eq $m.Role "assistant" }} {{ $m.Content }}</s>'
        "{{ else }}{{ if eq $i 0 }}<s>{{ end }}{{ $m.Content }}[/q]{{ end }}{{ end }}"
    )
    assert '{{ "{{" }}x' in Pieces("{{x", "", "", "", "", "").go()


def test_a_template_that_pieces_cannot_express_is_refused():
    twice = "{% for m in messages %}{{ m['content'] + m['content'] }}{% endfor %}"
    with pytest.raises(UserError, match="every turn once"):
        read_pieces(_render(twice))
    marked_late = (
        "{% for m in messages %}{{ m['content'] }}|{% endfor %}{% if add_generation_prompt %}ANSWER:{% endif %}"
    )
    with pytest.raises(UserError, match="same words"):
        read_pieces(_render(marked_late))


def test_the_modelfile_stops_and_decodes_greedily():
    text = modelfile(
        "m.gguf",
        Pieces("", "", "", "", "", ""),
        stops=["<|im_end|>", "</s>"],
        system="Be short.",
        window=64,
        max_new_tokens=8,
    )
    assert text.startswith("FROM ./m.gguf\n") and 'SYSTEM """Be short."""' in text
    parameters = dict(
        line.removeprefix("PARAMETER ").split(" ", 1) for line in text.splitlines() if "PARAMETER" in line
    )
    assert parameters == {
        "stop": '"</s>"',
        "temperature": "0",
        "top_k": "1",
        "repeat_penalty": "1.0",
        "num_ctx": "64",
        "num_predict": "8",
    }
    assert text.count("PARAMETER stop") == 2
