"""Prompt templates: how a question, its context and earlier turns become the text a model reads.

Every template is a chat template in the Hugging Face sense: Jinja over `messages`, `bos_token`,
`eos_token` and `add_generation_prompt`. User messages carry two keys beside `content`
(`question` and `context`) for formats such as Alpaca's that set the context apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ftlib.errors import UserError

# The published prompt of Stanford's Alpaca: one opening line where the row has an input, another where not.
ALPACA = """{{ bos_token -}}
{%- if messages[0]['role'] == 'system' -%}
{{ messages[0]['content'] + '\\n\\n' -}}
{%- elif messages | selectattr('context', 'defined') | map(attribute='context') | select | list -%}
{{ 'Below is an instruction that describes a task, paired with an input that provides further context. ' -}}
{{ 'Write a response that appropriately completes the request.\\n\\n' -}}
{%- else -%}
{{ 'Below is an instruction that describes a task. ' -}}
{{ 'Write a response that appropriately completes the request.\\n\\n' -}}
{%- endif -%}
{%- for message in messages -%}
{%- if message['role'] == 'user' -%}
{{ '### Instruction:\\n' + message['question'] + '\\n\\n' -}}
{%- if message['context'] -%}{{ '### Input:\\n' + message['context'] + '\\n\\n' -}}{%- endif -%}
{{ '### Response:\\n' -}}
{%- elif message['role'] == 'assistant' -%}
{{ message['content'] + eos_token -}}
{%- endif -%}
{%- endfor -%}
"""

# Meta's format: the system text sits inside the first instruction. BOS opens the sequence once, not every turn.
LLAMA2 = """{{ bos_token -}}
{%- set first = 1 if messages[0]['role'] == 'system' else 0 -%}
{%- set system = '<<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n\\n' if first else '' -%}
{%- for message in messages -%}
{%- if message['role'] == 'user' -%}
{{ '[INST] ' + (system if loop.index0 == first else '') + message['content'] + ' [/INST]' -}}
{%- elif message['role'] == 'assistant' -%}
{{ ' ' + message['content'] + ' ' + eos_token -}}
{%- endif -%}
{%- endfor -%}
"""

# Some models' begin token is the marker that opens a turn: it stands there once.
CHATML = """{{ bos_token if bos_token and bos_token != '<|im_start|>' else '' -}}
{%- for message in messages -%}
{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' -}}{%- endif -%}
"""

# The words alone, for models that were trained on no format: system, questions and answers one below the other.
PLAIN = """{{ bos_token if bos_token else '' -}}
{%- for message in messages -%}
{{ message['content'] + ('\\n' if message['role'] == 'user' else '\\n\\n') -}}
{%- endfor -%}
"""

NAMED = {"alpaca": ALPACA, "llama2": LLAMA2, "chatml": CHATML, "plain": PLAIN}
# Some templates write today's date or an empty thought into every prompt: the first would make prompts differ from
# day to day, the second would stand before a trained answer and not before a generated one.
FIXED = {"enable_thinking": False, "date_string": "26 Jul 2024"}


class Said(NamedTuple):
    """One turn of a prompt; a question may have a context, which templates in Alpaca's manner set apart."""

    role: str
    text: str
    context: str = ""

    def message(self) -> dict[str, str]:
        """As templates and chat servers take it."""
        content = f"{self.context}\n\n{self.text}" if self.context else self.text
        return {"role": self.role, "content": content, "question": self.text, "context": self.context}


class ChatTemplate:
    """A chat template that loses nothing.

    What it has no place for stands where it has one: a system message opens the first question, a tool's output is
    shown as a user's turn, and where turns must alternate an empty question stands before an opening answer.

    Its `name` is `tokenizer`, one of NAMED or a path; never `auto`.

    Raises:
        UserError: the template is unknown (arguments as of `template_source`) or broken.
    """

    def __init__(self, template: str, tokenizer, encoder_decoder: bool = False):
        self.name, self._jinja = template_source(template, tokenizer, encoder_decoder)
        self._tokenizer = tokenizer
        self._written([Said("user", "question")], True)  # a broken template says so here
        # Mistral's own template shows the system message only while the question is the last turn: not in training.
        self._systemless = not (self._shows("system", "user") and self._shows("system", "user", "assistant"))
        self._toolless = not self._shows("user", "assistant", "tool")
        self._strict = not self._shows(*(["system"] * (not self._systemless)), "assistant", "user")

    def render(self, said: Sequence[Said], add_generation_prompt: bool) -> str:
        """The turns as text, with the begin-of-sequence token written out, and the mark of an answer if one follows."""
        said = list(said)
        if self._toolless:
            said = [turn._replace(role="user") if turn.role == "tool" else turn for turn in said]
        if self._systemless and said[0].role == "system":
            said = [said[0]._replace(role="user"), *said[1:]]
            if said[1].role == "user":
                said[:2] = [said[1]._replace(text=joined(said[0].text, said[1].text))]
        return self._written(_alternating(said) if self._strict else said, add_generation_prompt)

    def _shows(self, *roles: str) -> bool:
        """Whether the template shows a turn of each of these roles, in this order."""
        said = [Said(role, f"turn {number}") for number, role in enumerate(roles)]
        try:
            text = self._written(said, roles[-1] != "assistant")
        except UserError:
            return False
        return all(turn.text in text for turn in said)

    def _written(self, said: Sequence[Said], add_generation_prompt: bool) -> str:
        from jinja2.exceptions import TemplateError

        try:
            text = self._tokenizer.apply_chat_template(
                [turn.message() for turn in said],
                chat_template=self._jinja,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
                **FIXED,
            )
        except (TemplateError, TypeError) as error:
            wanted = "a Jinja chat template that renders user and assistant messages in turn"
            hint = "mend the template or choose another"
            raise UserError.of(f"prompt.template = {self.name}", wanted, str(error), hint) from error
        bos = self._tokenizer.bos_token
        return bos + text if bos and not text.startswith(bos) else text


def joined(*texts: str) -> str:
    """The texts that are not blank, stripped, with an empty line between them."""
    return "\n\n".join(text.strip() for text in texts if text.strip())


def _alternating(said: Sequence[Said]) -> list[Said]:
    """Neighbours of one role as one turn, and a question first."""
    out: list[Said] = []
    for turn in said:
        if turn.role == "assistant" and (not out or out[-1].role == "system"):
            out.append(Said("user", ""))
        if out and out[-1].role == turn.role:
            turn = turn._replace(text=joined(out.pop().text, turn.text))
        out.append(turn)
    return out


def template_source(template: str, tokenizer, encoder_decoder: bool = False) -> tuple[str, str]:
    """Name (never `auto`) and Jinja source of the chat template that a recipe's `prompt.template` stands for.

    `auto` is the tokenizer's own, else `alpaca`; of an encoder-decoder, for which no chat template is made, `plain`.
    Others are `tokenizer`, the names in `NAMED` and the path of a file that ends in `.jinja`.

    Raises:
        UserError: unknown name, unreadable file, or a tokenizer without a chat template.
    """
    if template == "auto":
        template = "plain" if encoder_decoder else "tokenizer" if tokenizer.chat_template else "alpaca"
    if template in NAMED:
        return template, NAMED[template]
    if template == "tokenizer":
        return template, _tokenizers_own(tokenizer)
    path = Path(template)
    if path.suffix in (".jinja", ".jinja2", ".j2"):
        try:
            return template, path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            wanted = "a readable Jinja file in UTF-8"
            raise UserError.of(f"prompt.template = {template}", wanted, str(error), "check the path") from error
    known = f"auto, tokenizer, {', '.join(NAMED)} or the path of a .jinja file"
    raise UserError.of("prompt.template", known, repr(template), "name one of these in the recipe")


def _tokenizers_own(tokenizer) -> str:
    own = tokenizer.chat_template
    own = own.get("default") if isinstance(own, dict) else own
    if not own:
        found = f"none in {tokenizer.name_or_path or 'this tokenizer'} (base models often have none)"
        fix = "choose prompt.template: auto, alpaca, llama2, chatml, plain or a .jinja file"
        raise UserError.of("prompt.template = tokenizer", "a tokenizer with a chat template", found, fix)
    return own
