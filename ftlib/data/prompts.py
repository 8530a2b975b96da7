"""One renderer for prompts, in training as in inference: text, token ids, and the mask over the answer.

Only the answer and the end-of-sequence token are trained. The prompt's ids at inference are a prefix of
the ids in training, so that a model never meets a boundary it was not trained on.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ftlib.data import templates
from ftlib.recipe import UserError

IGNORED = -100  # torch's cross entropy skips this label
_SHOWN = 200  # characters of a row quoted in an error


class Example(NamedTuple):
    """A tokenized row. Both lists have the same length; ``labels`` is -100 where nothing is trained."""

    input_ids: list[int]
    labels: list[int]


class Renderer:
    """Turns questions, contexts and answers into what the model reads.

    Args:
        template: ``tokenizer``, ``alpaca``, ``llama2``, ``chatml`` or the path of a ``.jinja`` chat template.
        tokenizer: a Hugging Face tokenizer with an end-of-sequence token.
        system: text of the system message, or None.

    Raises:
        UserError: the template is unknown or broken, has no place for the system message, or the tokenizer has no
            end-of-sequence token.
    """

    def __init__(self, template: str, tokenizer, system: str | None = None):
        if tokenizer.eos_token_id is None:
            raise UserError.of(
                "model.base", "a tokenizer with an end-of-sequence token", "none", "set eos_token in its config"
            )
        self.template = template
        self.tokenizer = tokenizer
        self.system = system
        self._jinja = templates.find(template, tokenizer)
        # The longest first, so that a token inside another is not broken twice.
        self._special = sorted(set(tokenizer.all_special_tokens), key=len, reverse=True)
        if system and system.strip() not in self.prompt("question"):
            raise UserError.of(
                "prompt.system",
                f"a template that shows the system message; {template!r} leaves it out",
                repr(system[:80]),
                "choose another prompt.template or leave prompt.system out",
            )

    @classmethod
    def of(cls, recipe, tokenizer) -> "Renderer":
        """The renderer that ``recipe.prompt`` asks for."""
        return cls(recipe.prompt.template, tokenizer, recipe.prompt.system)

    def prompt(self, question: str, context: str = "", history: Sequence[tuple[str, str]] = ()) -> str:
        """Text up to where the answer starts.

        Args:
            question: what the user asks.
            context: text that comes before the question (Alpaca's input), or "".
            history: earlier turns as (question, answer) pairs, e.g. few-shot examples.

        Returns:
            The rendered prompt, with the begin-of-sequence token written out if the tokenizer has one.
        """
        return self._render(self._messages(question, context, history), add_generation_prompt=True)

    def prompt_ids(self, question: str, context: str = "", history: Sequence[tuple[str, str]] = ()) -> list[int]:
        """Token ids of :meth:`prompt`, a prefix of :meth:`example`'s ``input_ids``."""
        return self._encode(self.prompt(question, context, history))

    def example(
        self,
        question: str,
        answer: str,
        context: str = "",
        history: Sequence[tuple[str, str]] = (),
        *,
        max_tokens: int | None = None,
        where: str = "",
    ) -> Example:
        """Token ids and labels of a whole row; only the answer and the end-of-sequence token are trained.

        Args:
            question: what the user asks.
            answer: what the model is to say.
            context: text that comes before the question, or "".
            history: earlier turns as (question, answer) pairs.
            max_tokens: length after which the trainer would truncate, or None.
            where: the row's place (file, line or id) for error messages.

        Returns:
            Example.

        Raises:
            UserError: with the row, when nothing would be trained, the answer's start is not found, truncation
                would cut the answer, or BOS/EOS is missing or doubled.
        """
        shown = _shown(where, question, answer)
        prompt = self.prompt(question, context, history)
        tail = self._answer_and_end(question, answer, context, history, prompt, shown)
        prompt_ids = self._encode(prompt)
        ids = self._encode(prompt + tail)
        if ids[: len(prompt_ids)] != prompt_ids:  # a merge across the boundary, which inference can't produce
            ids = prompt_ids + self._encode(tail)
        example = Example(ids, [IGNORED] * len(prompt_ids) + ids[len(prompt_ids) :])
        check(example, self.tokenizer, max_tokens=max_tokens, where=shown)
        return example

    def _messages(self, question, context, history, answer: str | None = None) -> list[dict[str, str]]:
        messages = [{"role": "system", "content": self.system}] if self.system else []
        for asked, answered in history:
            messages.append(self._user(asked, ""))
            messages.append({"role": "assistant", "content": self._inert(answered.strip())})
        messages.append(self._user(question, context))
        if answer is not None:
            messages.append({"role": "assistant", "content": answer})
        return messages

    def _user(self, question: str, context: str) -> dict[str, str]:
        question, context = self._inert(question.strip()), self._inert(context.strip())
        content = f"{context}\n\n{question}" if context else question
        return {"role": "user", "content": content, "question": question, "context": context}

    def _inert(self, text: str) -> str:
        """Breaks special tokens that a row spells out: ``</s>`` in a question is text, not an end."""
        for token in self._special:
            if token in text:
                text = text.replace(token, token[0] + " " + token[1:])
        return text

    def _render(self, messages, add_generation_prompt: bool) -> str:
        from jinja2.exceptions import TemplateError

        try:
            text = self.tokenizer.apply_chat_template(
                messages,
                chat_template=self._jinja,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
            )
        except (TemplateError, TypeError) as error:
            raise UserError.of(
                f"prompt.template = {self.template}",
                "a Jinja chat template that renders system, user and assistant messages",
                str(error),
                "mend the template, choose another, or leave out prompt.system if it has no place for one",
            ) from error
        bos = self.tokenizer.bos_token
        return bos + text if bos and not text.startswith(bos) else text

    def _answer_and_end(self, question, answer, context, history, prompt: str, shown: str) -> str:
        """The text after the prompt, cut after the end-of-sequence token, which is appended where it is missing."""
        answer, eos = answer.strip(), self.tokenizer.eos_token
        if not answer:
            raise UserError.of(shown, "at least one trained token", "an empty answer", "drop the row or fill it in")
        if eos in answer:
            raise UserError.of(shown, f"one {eos} after the answer", f"{eos} inside it", "remove it from the answer")
        whole = self._render(self._messages(question, context, history, self._inert(answer)), False)
        tail = whole[len(prompt) :]
        if not whole.startswith(prompt) or not tail.lstrip().startswith(self._inert(answer)):
            raise UserError.of(
                shown,
                f"the answer right after the prompt's end {prompt[-40:]!r}",
                f"{tail[:60]!r}: the response marker was not found",
                "make the template write the marker when add_generation_prompt is true, and the answer unchanged",
            )
        if eos not in tail:
            return tail.rstrip() + eos
        answer_part, _, rest = tail.partition(eos)
        if eos in rest:
            raise UserError.of(shown, f"one {eos} after the answer", "two", "write eos_token once in the template")
        return answer_part + eos

    def _encode(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]


def check(example: Example, tokenizer, *, max_tokens: int | None = None, where: str = "example") -> None:
    """Raises where training on ``example`` would teach something else than meant.

    Args:
        example: ids and labels.
        tokenizer: the tokenizer that made them.
        max_tokens: length after which the trainer would truncate, or None.
        where: the row, for the message.

    Raises:
        UserError: lengths differ, no trained token, the answer is cut, BOS/EOS missing or doubled.
    """
    ids, labels = example
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    trained = [label for label in labels if label != IGNORED]
    problems = (
        (len(ids) != len(labels), "one label a token", f"{len(ids)} tokens and {len(labels)} labels"),
        (not trained, "at least one trained token", "every label is -100"),
        (
            max_tokens is not None and len(ids) > max_tokens,
            f"at most {max_tokens} tokens, so that truncation does not cut the answer",
            f"{len(ids)} tokens",
        ),
        (bos is not None and ids[:1] != [bos], f"{tokenizer.bos_token} first", "it is missing"),
        (bos is not None and ids[:2] == [bos, bos], f"{tokenizer.bos_token} once", "it is doubled"),
        (trained[-1:] != [eos], f"a trained {tokenizer.eos_token} at the end", "it is missing"),
        (trained.count(eos) > 1, f"{tokenizer.eos_token} once in the answer", "it is doubled"),
    )
    for wrong, expected, found in problems:
        if wrong:
            raise UserError.of(where, expected, found, "look at the row with ftlib.data.preview.text(...)")


def _shown(where: str, question: str, answer: str) -> str:
    def short(text: str) -> str:
        return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"

    return f"{where or 'row'}: question {short(question)!r}, answer {short(answer)!r}"
