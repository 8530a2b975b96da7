"""One renderer for prompts, in training as in inference: text, token ids, and the mask over the answer.

Everything that was said before the answer counts: a conversation's system message, its earlier turns, the context,
retrieved passages and few-shot examples. Only the answer and the end-of-sequence token are trained. The prompt's ids
at inference are a prefix of the ids in training, so that a model never meets a boundary it was not trained on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ftlib.data.templates import ChatTemplate, Said, joined
from ftlib.data.tokens import is_encoder_decoder, require_eos
from ftlib.errors import UserError
from ftlib.rows import Row, Turn

IGNORED = -100  # torch's cross entropy skips this label
_SHOWN = 200  # characters of a row quoted in an error


class Prompt(NamedTuple):
    """What one row asks: token ids up to where the answer starts, and the same as messages for a server."""

    id: str
    ids: list[int]
    messages: list[dict[str, str]]


class Example(NamedTuple):
    """A tokenized row: of a causal model two lists of one length, with labels of -100 where nothing is trained.

    Of an encoder-decoder, what the encoder reads and what the decoder is to write, each with end-of-sequence.
    """

    input_ids: list[int]
    labels: list[int]


class Renderer:
    """Turns rows into what the model reads.

    Args:
        template, tokenizer, encoder_decoder: as of `template_source`; the tokenizer has an end-of-sequence token.
        system: text of the system message for rows that bring none, or None.

    Attributes:
        template: the name of the one used; never `auto`.

    Raises:
        UserError: the template is unknown or broken, or the tokenizer has no end-of-sequence token.
    """

    def __init__(self, template: str, tokenizer, system: str | None = None, *, encoder_decoder: bool = False):
        require_eos(tokenizer)
        self.tokenizer, self.system, self.encoder_decoder = tokenizer, system, encoder_decoder
        self._template = ChatTemplate(template, tokenizer, encoder_decoder)
        self.template = self._template.name
        # The longest first, so that a token inside another is not broken twice.
        self._special = sorted(set(tokenizer.all_special_tokens), key=len, reverse=True)

    @classmethod
    def of(cls, recipe, tokenizer) -> Renderer:
        """The renderer that `recipe.prompt` and `recipe.model` ask for."""
        kind = is_encoder_decoder(recipe.model)
        return cls(recipe.prompt.template, tokenizer, recipe.prompt.system, encoder_decoder=kind)

    def messages(
        self, row: Row, passages: str = "", examples: Iterable[Row] = (), instruction: str = ""
    ) -> list[dict[str, str]]:
        """The conversation as every chat server takes it; arguments as of `text`."""
        return [
            {"role": "user" if said.role == "tool" else said.role, "content": said.message()["content"]}
            for said in self._said(row, passages, examples, instruction)
        ]

    def text(self, row: Row, passages: str = "", examples: Iterable[Row] = (), instruction: str = "") -> str:
        """Text up to where the answer starts, to the character, with the begin-of-sequence token written out.

        Args:
            row: whose answer is wanted; a plain text without turns is continued as it is, without a template.
            passages: retrieved text; it stands before the row's own context.
            examples: rows shown with their answers as earlier turns.
            instruction: how to answer, at the end of the system message; a plain text has no place for one.
        """
        if row.turns:
            text = self._template.render(self._said(row, passages, examples, instruction), True)
        else:  # generation needs at least one token to go on from
            begin = self.tokenizer.bos_token or ("" if self.encoder_decoder else self.tokenizer.eos_token)
            context = self._inert(joined(passages, row.context))
            text = begin + (context + "\n\n" if context else "")
        return text.rstrip() if self.encoder_decoder else text

    def prompt(self, row: Row, passages: str = "", examples: Iterable[Row] = (), instruction: str = "") -> Prompt:
        """Token ids of `text`, with the messages beside them.

        Without an instruction they are a prefix of `example`'s ids, or what the encoder reads.
        """
        asked = (row, passages, list(examples), instruction)
        return Prompt(row.id, self._encode(self.text(*asked)) + self._ending(), self.messages(*asked))

    def example(self, row: Row, *, max_tokens: int | None = None) -> Example:
        """Token ids and labels of a whole row; only the answer and the end-of-sequence token are trained.

        Raises:
            UserError: with the row, when nothing would be trained, the answer's start is not found, truncation to
                `max_tokens` would cut the answer, or BOS/EOS is missing or doubled.
        """
        question, answer = (text if len(text) <= _SHOWN else text[:_SHOWN] + "…" for text in (row.question, row.answer))
        where = f"row {row.id}: question {question!r}, answer {answer!r}"
        prompt = self.text(row)
        tail = self._answer_and_end(row, prompt, where)
        prompt_ids = self._encode(prompt)
        if self.encoder_decoder:
            example = Example(prompt_ids + self._ending(), self._encode(tail))
        else:
            ids = self._encode(prompt + tail)
            if ids[: len(prompt_ids)] != prompt_ids:  # a merge across the boundary, which inference can't produce
                ids = prompt_ids + self._encode(tail)
            example = Example(ids, [IGNORED] * len(prompt_ids) + ids[len(prompt_ids) :])
        check(example, self.tokenizer, max_tokens=max_tokens, where=where, encoder_decoder=self.encoder_decoder)
        return example

    def _said(self, row: Row, passages: str, examples: Iterable[Row], instruction: str = "") -> list[Said]:
        own = joined(*(turn.content for turn in row.turns if turn.role == "system"))
        system = joined(self._inert(own) or self.system or "", instruction)
        said = [Said("system", system)] if system else []
        for shown in examples:
            said += [*self._asked(shown, ""), Said("assistant", self._inert(shown.answer.strip()))]
        return said + self._asked(row, passages)

    def _asked(self, row: Row, passages: str) -> list[Said]:
        """The turns but for system messages, the last with the context."""
        spoken = [turn for turn in row.turns if turn.role != "system"] or [Turn("user", row.question)]
        said = [Said(turn.role, self._inert(turn.content.strip())) for turn in spoken]
        return [*said[:-1], said[-1]._replace(context=self._inert(joined(passages, row.context)))]

    def _inert(self, text: str) -> str:
        """Breaks special tokens that a row spells out: `</s>` in a question is text, not an end."""
        for token in self._special:
            if token in text:
                text = text.replace(token, token[0] + " " + token[1:])
        return text

    def _ending(self) -> list[int]:
        """What an encoder's input ends with; a causal model's prompt goes on with the answer."""
        return [self.tokenizer.eos_token_id] if self.encoder_decoder else []

    def _answer_and_end(self, row: Row, prompt: str, where: str) -> str:
        """The text after the prompt, cut after the end-of-sequence token, which is appended where it is missing."""
        answer, eos = row.answer.strip(), self.tokenizer.eos_token
        if not answer:
            raise UserError.of(where, "at least one trained token", "an empty answer", "drop the row or fill it in")
        if eos in answer:
            raise UserError.of(where, f"one {eos} after the answer", f"{eos} inside it", "remove it from the answer")
        answer = self._inert(answer)
        if not row.turns or self.encoder_decoder:
            return answer + eos
        whole = self._template.render([*self._said(row, "", ()), Said("assistant", answer)], False)
        tail = whole[len(prompt) :]
        if not whole.startswith(prompt) or not tail.lstrip().startswith(answer):
            wanted = f"the answer right after the prompt's end {prompt[-40:]!r}"
            fix = "make the template write the marker when add_generation_prompt is true, and the answer unchanged"
            raise UserError.of(where, wanted, f"{tail[:60]!r}: the response marker was not found", fix)
        if eos not in tail:
            return tail.rstrip() + eos
        answer_part, _, rest = tail.partition(eos)
        if eos in rest:
            raise UserError.of(where, f"one {eos} after the answer", "two", "write eos_token once in the template")
        return answer_part + eos

    def _encode(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]


def check(
    example: Example, tokenizer, *, max_tokens: int | None = None, where: str = "row", encoder_decoder: bool = False
) -> None:
    """Raises where training on `example` would teach something else than meant; `where` names the row.

    Raises:
        UserError: lengths differ, no trained token, more than `max_tokens`, BOS/EOS missing or doubled.
    """
    ids, labels = example
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    longest = max(len(ids), len(labels))
    trained = [label for label in labels if label != IGNORED]
    unequal, cut = not encoder_decoder and len(ids) != len(labels), max_tokens is not None and longest > max_tokens
    problems = (
        (unequal, "one label a token", f"{len(ids)} tokens and {len(labels)} labels"),
        (not trained, "at least one trained token", "every label is -100"),
        (cut, f"at most {max_tokens} tokens, so that truncation does not cut the answer", f"{longest} tokens"),
        (bos is not None and ids[:1] != [bos], f"{tokenizer.bos_token} first", "it is missing"),
        # Where one token is both, the second may be the end of an empty turn.
        (bos is not None and bos != eos and ids[:2] == [bos, bos], f"{tokenizer.bos_token} once", "it is doubled"),
        (encoder_decoder and ids[-1:] != [eos], f"{tokenizer.eos_token} after the prompt", "it is missing"),
        (trained[-1:] != [eos], f"a trained {tokenizer.eos_token} at the end", "it is missing"),
        (trained.count(eos) > 1, f"{tokenizer.eos_token} once in the answer", "it is doubled"),
    )
    for wrong, expected, found in problems:
        if wrong:
            raise UserError.of(where, expected, found, "look at the row with ftlib.data.figures.mask_text(...)")
