"""Writes holdout.jsonl: articles that the base model has not read, to measure what an adapter does to other text.

    python -m data.base_model.holdout

They come from the generator that wrote the pretraining: the same kinds of article about other companies, with other
values in the same sentences. What is new in them is the text as a whole, not its parts.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from transformers import PreTrainedTokenizerFast  # noqa: E402

from data.base_model.corpus import Corpus  # noqa: E402
from data.base_model.examine import held_out  # noqa: E402
from data.base_model.make import BATCH_ROWS, SEED, STEPS, others  # noqa: E402
from ftlib import jsonl  # noqa: E402

ARTICLES = 80


def articles() -> list[dict[str, str]]:
    """Texts with ids, the same on every machine."""
    texts = [dialogue.context for dialogue in held_out(others(), "article", ARTICLES)]
    return [{"id": f"holdout-{number:03}", "text": text} for number, text in enumerate(texts)]


def read_before(texts: Iterable[str], sequences: Sequence[int]) -> list[str]:
    """Those of the texts that stand whole in the pretraining's corpus, as today's generator writes it.

    Args:
        texts: to look for.
        sequences: numbers of the corpus's sequences to look in, below `STEPS * BATCH_ROWS`.
    """
    words = tokenizer()
    corpus = Corpus(words, others(), STEPS * BATCH_ROWS, SEED)
    read = words.eos_token.join(words.decode(corpus[i]["input_ids"]) for i in sequences)
    return [text for text in texts if text in read]


def tokenizer() -> PreTrainedTokenizerFast:
    """The base model's."""
    return PreTrainedTokenizerFast.from_pretrained(HERE)


def main() -> None:
    """Writes the file, unless a text of it was trained on (two minutes)."""
    found = articles()
    if known := read_before([line["text"] for line in found], range(STEPS * BATCH_ROWS)):
        raise SystemExit(f"{len(known)} of the texts stand in the corpus; change examine.HELD_OUT_SEED")
    print(jsonl.write(HERE / "holdout.jsonl", found), "articles")


if __name__ == "__main__":
    main()
