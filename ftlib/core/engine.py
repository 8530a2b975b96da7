"""What answers: one base model with any number of adapters on it, and servers that speak OpenAI's protocol."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ftlib.core.generate import Generation, context_window, generate, generate_batch
from ftlib.core.lora import scaled
from ftlib.core.stream import Teller
from ftlib.data.prompts import Renderer
from ftlib.data.tokens import load_tokenizer
from ftlib.errors import UserError
from ftlib.progress import progress
from ftlib.systems import System, adapter_path

if TYPE_CHECKING:
    import torch

    from ftlib.data.prompts import Prompt
    from ftlib.run import Run

ENDPOINT_RETRIES = 5  # with growing pauses, where a server is busy
ENDPOINT_TIMEOUT_SECONDS = 120.0


class Engine:
    """Systems ready to answer; local ones share one copy of the base's weights, unless they were trained as a whole.

    Attributes:
        model: the base, with every adapter that a local system wants; where no system needs it, a whole model that
            one of them was trained to, and None where all systems are endpoints.
        tokenizer: the base's.
        renderer: makes the prompts.
    """

    def __init__(
        self,
        model: torch.nn.Module | None,
        tokenizer,
        renderer: Renderer,
        adapters: Mapping[str, str],
        whole: Mapping[str, torch.nn.Module] | None = None,
    ):
        self.model, self.tokenizer, self.renderer = model, tokenizer, renderer
        self._adapters = dict(adapters)  # system name -> its adapter's name in the PEFT model
        self._whole = dict(whole or {})  # system name -> a model that was trained as a whole

    @classmethod
    def load(cls, run: Run, systems: Mapping[str, System]) -> Engine:
        """Load the base once and put all adapters on it; where all systems are endpoints, only the tokenizer.

        Args:
            run: whose recipe names the base, and whose adapter "trained" stands for.
            systems: from `ftlib.systems.systems`.

        Raises:
            UserError: the base or an adapter is not there, or an adapter belongs to another base.
        """
        from ftlib.core.finetuned import attach_adapters
        from ftlib.core.load import load_base
        from ftlib.core.published import is_whole_model

        tokenizer = load_tokenizer(run.recipe.model)
        local = [system for system in systems.values() if cls.is_local(system)]
        paths = {s.name: str(path) for s in local if (path := adapter_path(s, run)) is not None}
        whole = _load_whole(run, {s.name: s for s in local if is_whole_model(paths.get(s.name, ""))}, paths, tokenizer)
        paths = {name: path for name, path in paths.items() if name not in whole}
        names = {path: f"adapter_{number}" for number, path in enumerate(dict.fromkeys(paths.values()))}
        model = next(iter(whole.values()), None)
        if len(local) > len(whole):
            model, _ = load_base(run.recipe, tokenizer=tokenizer)
            if names:
                model = attach_adapters(model, {name: path for path, name in names.items()}, run.recipe.lora.fused)
        adapters = {name: names[path] for name, path in paths.items()}
        return cls(model, tokenizer, Renderer.of(run.recipe, tokenizer), adapters, whole)

    @staticmethod
    def is_local(system: System) -> bool:
        """Whether the model in this process answers for the system."""
        return system.endpoint is None

    @property
    def dtype(self) -> str | None:
        """What the local model computes in, e.g. "bfloat16"; None where all systems are endpoints."""
        return None if self.model is None else str(self.model.dtype).removeprefix("torch.")

    @property
    def window(self) -> int | None:
        """Tokens that the local model reads at most, prompt and answer together; None where no limit is known."""
        return None if self.model is None else context_window(self.model)

    @contextmanager
    def using(self, system: System) -> Iterator[torch.nn.Module]:
        """The local model with that system's adapter switched on, or with none, or that system's own model.

        Args:
            system: one of those that `load` got.

        Yields:
            The torch model in eval mode.

        Raises:
            ValueError: an endpoint answers for the system.
        """
        if not self.is_local(system) or self.model is None:
            raise ValueError(f"{system.name!r} is answered by an endpoint: there is no model to use")
        if system.name in self._whole:
            yield self._whole[system.name].eval()
            return
        if system.adapter is not None and system.name not in self._adapters:
            raise ValueError(f"{system.name!r} is not among the systems that were loaded")
        self.model.eval()
        if not hasattr(self.model, "peft_config"):
            yield self.model
        elif system.name not in self._adapters:
            with self.model.disable_adapter():
                yield self.model
        else:
            before = self.model.active_adapter
            self.model.set_adapter(self._adapters[system.name], inference_mode=True)
            try:
                with scaled(self.model, self._adapters[system.name], system.adapter_scale):
                    yield self.model
            finally:
                self.model.set_adapter(before, inference_mode=True)

    def generate(
        self,
        system: System,
        prompts: Sequence[Prompt],
        *,
        max_new_tokens: int,
        batch_rows: int,
        desc: str = "",
        interactive: bool = False,
    ) -> list[Generation]:
        """Greedy answers of one system.

        Args:
            system: one of those that `load` got.
            prompts: from `renderer.prompt`.
            max_new_tokens: the longest answer.
            batch_rows: prompts in a batch; requests at a time where a server answers.
            desc: what the progress line says. interactive: a live bar.

        Returns:
            One answer a prompt, in the order given.

        Raises:
            UserError: a prompt is longer than the model reads, or the server does not answer.
        """
        shown = {"desc": desc or system.label, "interactive": interactive}
        if not self.is_local(system):
            return _ask_server(system, prompts, max_new_tokens, batch_rows, **shown)
        self._check_lengths(prompts)
        ids = [prompt.ids for prompt in prompts]
        with self.using(system) as model:
            return generate(model, self.tokenizer, ids, max_new_tokens=max_new_tokens, batch_rows=batch_rows, **shown)

    def stream(self, system: System, prompt: Prompt, *, max_new_tokens: int, say: Callable[[str], None]) -> Generation:
        """One answer, the same as `generate`'s, told while it is written; a server's is told when it is whole.

        Args:
            system: one of those that `load` got.
            prompt: from `renderer.prompt`.
            max_new_tokens: the longest answer.
            say: is given the answer's text piece by piece.

        Returns:
            The whole answer.

        Raises:
            UserError: as `generate`.
        """
        if not self.is_local(system):
            (whole,) = self.generate(system, [prompt], max_new_tokens=max_new_tokens, batch_rows=1)
            say(whole.text)
            return whole
        self._check_lengths([prompt])
        teller = Teller(self.tokenizer, say)
        with self.using(system) as model:
            (whole,) = generate_batch(model, self.tokenizer, [prompt.ids], max_new_tokens, teller)
        teller.end()
        return whole

    def _check_lengths(self, prompts: Sequence[Prompt]) -> None:
        longest = max(prompts, key=lambda prompt: len(prompt.ids), default=None)
        if self.window is not None and longest is not None and len(longest.ids) >= self.window:
            raise UserError.of(
                f"the prompt of row {longest.id}",
                f"fewer than the {self.window} tokens that the model reads",
                f"{len(longest.ids)} tokens",
                "show fewer passages or examples, shorten the row, or choose a model with a longer window",
            )


def _load_whole(run: Run, systems: Mapping[str, System], paths: Mapping[str, str], tokenizer) -> dict:
    """One model for each folder among these systems' paths, by the system's name."""
    from ftlib.core.finetuned import load_whole

    for system in systems.values():
        if system.adapter_scale != 1:
            expected, fix = "1: a model that was trained as a whole has no adapter to scale", "leave it out"
            raise UserError.of(f"systems.{system.name}.adapter_scale", expected, f"{system.adapter_scale:g}", fix)
    folders = dict.fromkeys(paths[name] for name in systems)
    models = {folder: load_whole(run.recipe, folder, tokenizer=tokenizer)[0] for folder in folders}
    return {name: models[paths[name]] for name in systems}


def _ask_server(
    system: System, prompts: Sequence[Prompt], max_new_tokens: int, at_a_time: int, *, desc: str, interactive: bool
) -> list[Generation]:
    """Chat completions at temperature 0, several requests at a time."""
    import openai

    endpoint = system.endpoint
    key = os.environ.get(endpoint.api_key_env or "") or "none"  # local servers want any
    client = openai.OpenAI(
        base_url=endpoint.url, api_key=key, max_retries=ENDPOINT_RETRIES, timeout=ENDPOINT_TIMEOUT_SECONDS
    )

    def ask(prompt: Prompt) -> Generation:
        started = time.perf_counter()
        messages = [{"role": message["role"], "content": message["content"]} for message in prompt.messages]
        answer = client.chat.completions.create(
            model=endpoint.model, messages=messages, temperature=0, max_tokens=max_new_tokens
        )
        text = (answer.choices[0].message.content or "").strip()
        tokens = answer.usage.completion_tokens if answer.usage else len(text.split())  # words where nobody counts
        told = answer.choices[0].logprobs  # not asked for: a server that has none to give would refuse the question
        likely = [token.logprob for token in (told.content if told else None) or ()]
        return Generation(text, tokens, time.perf_counter() - started, sum(likely) / len(likely) if likely else None)

    results = []
    pool = ThreadPoolExecutor(at_a_time)
    try:
        with client, progress(total=len(prompts), desc=desc, interactive=interactive) as bar:
            for result in pool.map(ask, prompts):
                results.append(result)
                bar.update(1)
    except openai.OpenAIError as error:
        raise UserError.of(
            f"systems.{system.name}.endpoint = {endpoint.url}",
            f"answers of the model {endpoint.model!r}",
            " ".join(str(error).split())[:300] or type(error).__name__,
            "start the server, or correct url, model and api_key_env",
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
    return results
