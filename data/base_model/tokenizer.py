"""The tokenizer of the embedded base model: byte-level BPE, learned from generated text about other companies."""

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from data.generator.reading import Reader
from data.generator.wording.support import REFUSAL

PAD, BOS, EOS = "<pad>", "<s>", "</s>"
USER, ANSWER = "### Instruction:\n", "\n\n### Response:"
MAX_VOCABULARY = 4096
MIN_FREQUENCY = 8
N_DIALOGUES = 12_000
MAX_POSITIONS = 1024
# Fixed, so that a further kind of dialogue leaves the tokenizer as it is.
KINDS = ("lookup", "article", "articles", "recall", "comparison", "gaps")

# An answer starts with a space, so that its first word is the token that stands in running text.
ALPACA = (
    "{{ bos_token }}{% set ns = namespace(system='') %}{% for m in messages %}"
    "{% if m['role'] == 'system' %}{% set ns.system = m['content'] + '\\n\\n' %}"
    "{% elif m['role'] == 'user' %}{{ '### Instruction:\\n' + ns.system + m['content'] + '\\n\\n### Response:' }}"
    "{% set ns.system = '' %}"
    "{% else %}{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}"
)
LLAMA2 = (
    "{{ bos_token }}{% set ns = namespace(system='') %}{% for m in messages %}"
    "{% if m['role'] == 'system' %}{% set ns.system = '<<SYS>>\\n' + m['content'] + '\\n<</SYS>>\\n\\n' %}"
    "{% elif m['role'] == 'user' %}{{ '[INST] ' + ns.system + m['content'] + ' [/INST]' }}{% set ns.system = '' %}"
    "{% else %}{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}"
)


def texts(reader: Reader, seed: int) -> Iterator[str]:
    """Text to learn the merges from: contexts, questions and answers of dialogues of these ``KINDS``."""
    rng = Random(seed)
    for _ in range(N_DIALOGUES):
        dialogue = reader.sample(rng, rng.choice(KINDS))
        yield dialogue.context
        for question, answer in dialogue.turns:
            yield f"{question} {answer} {REFUSAL}"


def learn(reader: Reader, seed: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE of at most MAX_VOCABULARY tokens; the markers of a turn are tokens of their own."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(
        texts(reader, seed),
        trainers.BpeTrainer(
            vocab_size=MAX_VOCABULARY,
            min_frequency=MIN_FREQUENCY,
            show_progress=False,
            special_tokens=[PAD, BOS, EOS],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
    bpe.add_tokens([USER, ANSWER])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        model_max_length=MAX_POSITIONS,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = {"default": ALPACA, "llama2": LLAMA2}
    return tokenizer


def learn_to(folder: Path, reader: Reader, seed: int) -> PreTrainedTokenizerFast:
    """Learns and saves the tokenizer unless ``folder`` already holds it; returns it either way."""
    if not (folder / "tokenizer.json").exists():
        learn(reader, seed).save_pretrained(folder)
    return PreTrainedTokenizerFast.from_pretrained(folder)


def describe(tokenizer: PreTrainedTokenizerFast) -> str:
    """One line for the log."""
    return json.dumps({"vocabulary": len(tokenizer), "bos": tokenizer.bos_token_id, "eos": tokenizer.eos_token_id})
