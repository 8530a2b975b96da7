"""Texts that a base writes itself: what keeps an adapter to it where nobody has the text that it was trained on."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import torch

from ftlib import jsonl
from ftlib.core.load import load_base
from ftlib.core.loss import autocast, has_encoder
from ftlib.errors import UserError
from ftlib.progress import progress
from ftlib.recipe import Recipe

_BATCH = 48  # texts at once
_LEAST = 20  # characters; what is shorter teaches nothing
_TOP_P = 0.95  # the unlikely rest of each distribution is noise


@torch.no_grad()
def own_texts(model: torch.nn.Module, tokenizer, count: int, *, tokens: int = 128, seed: int = 0) -> list[str]:
    """Samples texts from nothing but the token that begins one (Huang et al. 2024, arXiv 2403.01244, rehearse so).

    Args:
        model: a causal base, without an adapter.
        tokenizer: its begin token comes first; where it has none, its end token.
        count: texts, no two alike. tokens: of a text at most. seed: of the sampling.

    Returns:
        The texts, without special tokens.

    Raises:
        UserError: the model writes the same few texts again and again, or too short ones.
    """
    torch.manual_seed(seed)
    model.eval()
    first = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    start = torch.full((_BATCH, 1), first, device=next(model.parameters()).device)
    config = copy.deepcopy(model.generation_config)
    config.update(do_sample=True, num_beams=1, temperature=1.0, top_p=_TOP_P, top_k=0)
    config.update(max_length=None, max_new_tokens=tokens, pad_token_id=tokenizer.pad_token_id)
    texts: dict[str, None] = {}
    with progress(total=count, desc="writing texts", interactive=False) as bar:
        while len(texts) < count:
            with autocast(model):
                rows = model.generate(start, attention_mask=torch.ones_like(start), generation_config=config)
            written = tokenizer.batch_decode(rows[:, 1:], skip_special_tokens=True)
            before = len(texts)
            texts |= dict.fromkeys(text.strip() for text in written if len(text.strip()) >= _LEAST)
            if len(texts) == before:
                found = f"{before}, and no others in {len(written)} more"
                fix = f"allow more tokens than {tokens} a text, or ask for fewer texts"
                raise UserError.of("the base's own texts", f"{count} of {_LEAST} characters or more", found, fix)
            bar.update(min(len(texts), count) - before)
    return list(texts)[:count]


def write_own_texts(recipe: Recipe, path: Path, count: int, tokens: int, say: Callable[[str], object]) -> None:
    """The same of a recipe's base into JSON lines for `train.replay_path`.

    Raises:
        UserError: the file is there, or the base is an encoder-decoder, which begins nothing by itself.
    """
    if path.exists():
        raise UserError.of(f"--out {path}", "a new file", "one that is there", "delete it, or name another")
    model, tokenizer = load_base(recipe)
    if has_encoder(model):
        fix = "name a file of any general text as train.replay_path"
        raise UserError.of("model.base", "a causal model, which goes on from nothing", "an encoder-decoder", fix)
    path.parent.mkdir(parents=True, exist_ok=True)  # before minutes of writing, not after
    texts = own_texts(model, tokenizer, count, tokens=tokens, seed=recipe.training_seed)
    jsonl.write(path, [{"id": f"own-{number:04}", "text": text} for number, text in enumerate(texts)])
    say(f"{len(texts)} texts of the base's own in {path}, for train.replay_path")
