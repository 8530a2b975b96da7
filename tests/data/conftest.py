"""A byte-level BPE tokenizer trained on the spot: exact, small, no files."""

from pathlib import Path

import pytest

TEXT = [
    "The Heron 20 weighs 340 g and speaks Modbus over RS-485.",
    "### Instruction:\nHow heavy is the Heron 20?\n\n### Response:\n340 g",
    "[INST] <<SYS>>\nYou are helpful.\n<</SYS>>\n\nHow long is the warranty? [/INST] 24 months",
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.",
] * 3


def _tokenizer(bos: bool = True, chat_template: str | None = None):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    special = ["<pad>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(TEXT, trainer)
    names = {"eos_token": "</s>", "pad_token": "<pad>"} | ({"bos_token": "<s>"} if bos else {})
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, additional_special_tokens=["<|im_start|>", "<|im_end|>"], **names
    )
    tokenizer.chat_template = chat_template
    return tokenizer


@pytest.fixture(scope="session")
def make_tokenizer():
    """A function (bos, chat_template) -> tokenizer."""
    return _tokenizer


@pytest.fixture(scope="session")
def tokenizer():
    """One with BOS, EOS and an Alpaca-style chat template."""
    own = (
        "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}### Instruction:\n{{ m['content'] }}\n\n"
        "### Response:\n{% elif m['role'] == 'assistant' %}{{ m['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
    )
    return _tokenizer(chat_template=own)


@pytest.fixture(scope="session")
def project_base():
    """The embedded default's folder, for its tokenizer."""
    return Path(__file__).parents[2] / "data" / "base_model"
