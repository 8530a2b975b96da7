"""Several processes that train together, one a GPU: what each has to know of the others; `sharding` splits the model.

accelerate and torch do the work; without `accelerate launch` or `torchrun` there is one process, and nothing here acts.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch

from ftlib.core.batches import batches_that_fit, row_tokens
from ftlib.core.device import tokens_that_fit
from ftlib.core.loss import LogLikelihood, has_encoder, log_likelihood, loss_summary
from ftlib.errors import UserError


def launched() -> int:
    """Processes that were launched together; 1 where nothing launched them."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def group() -> Any:
    """accelerate's PartialState: this process's place among those that train together."""
    from accelerate import PartialState

    return PartialState() if PartialState._shared_state else PartialState(cpu=not torch.cuda.is_available())


def is_main() -> bool:
    """Whether this process is the one that writes."""
    return launched() == 1 or group().is_main_process


def wait_for_all() -> None:
    """Go on when all processes have come here."""
    if launched() > 1:
        group().wait_for_everyone()


def decided_by_first(flag: bool) -> bool:
    """What the first process says; clocks differ, and all have to save at the same step."""
    if launched() == 1:
        return flag
    from accelerate.utils import broadcast_object_list

    return broadcast_object_list([flag])[0]


def sum_over_all(count: int) -> int:
    """The sum of every process's count."""
    if launched() == 1:
        return count
    from accelerate.utils import gather_object

    return sum(gather_object([count]))


def share_of(accumulation: int) -> int:
    """Micro-batches that one process takes of a step, so that a recipe's step is the same on any number of GPUs.

    Raises:
        UserError: they can't be divided evenly.
    """
    processes = launched()
    if accumulation % processes:
        raise UserError.of(
            "train.accumulation",
            f"a multiple of {processes}, the number of processes, which share the micro-batches of a step",
            str(accumulation),
            f"-p train.accumulation={-(-accumulation // processes) * processes} and fewer train.batch_rows, so that "
            "their product stays; or launch fewer processes",
        )
    return accumulation // processes


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor that is split among the processes put together, for which all have to ask at once; others as is."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor  # torch's DTensor has it


class Through:
    """A model that is called through the wrapper which averages gradients, and is itself in all else."""

    def __init__(self, wrapper: torch.nn.Module, model: torch.nn.Module):
        self._wrapper, self._model = wrapper, model

    def __call__(self, *args, **kwargs):
        """The wrapper's forward."""
        return self._wrapper(*args, **kwargs)

    def __getattr__(self, name: str):
        return getattr(self._model, name)


def log_likelihood_together(model: torch.nn.Module, tokenizer, examples: Sequence) -> list[LogLikelihood]:
    """`loss.log_likelihood`, each process scoring its share; all have the whole afterwards, in the order given.

    Args:
        model, tokenizer, examples: as there. A model that is split has to be called by all processes at once: they
            take their batches in turn, and who has none left takes the last one again.
    """
    processes = launched()
    if processes == 1:
        return log_likelihood(model, tokenizer, examples)
    from accelerate.utils import gather_object

    tokens = min(gather_object([tokens_that_fit(model)]))
    lengths = [row_tokens(example, has_encoder(model)) for example in examples]
    batches = batches_that_fit(lengths, tokens, -(-len(examples) // processes))
    found: dict[int, LogLikelihood] = {}
    for turn in range(0, len(batches), processes):
        mine = batches[min(turn + group().process_index, len(batches) - 1)]
        chosen = [examples[number] for number in mine]
        found |= dict(zip(mine, log_likelihood(model, tokenizer, chosen, most_tokens=tokens), strict=True))
    everywhere = dict(gather_object([(number, tuple(scored)) for number, scored in found.items()]))
    return [LogLikelihood(*everywhere[number]) for number in range(len(examples))]


def mean_loss_together(model: torch.nn.Module, tokenizer, examples: Sequence) -> dict[str, float]:
    """`loss.mean_loss`, each process scoring its share."""
    return loss_summary(log_likelihood_together(model, tokenizer, examples))
