"""Stand-ins for real models: a family's architecture, its special tokens and a chat template built as its own is.

The templates are written here, shaped like those that the families publish: which markers, what happens to a system
message, to the order of roles, to dates and thoughts. No published text is in them.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tests.families import FAMILIES, TEXTS

ROUNDS = "{% for m in messages %}{% set text = m['content'] | trim %}"
# A header before every turn; a system turn that always opens, with today's date in it.
LLAMA3 = (
    "{{ bos_token }}{% set first = messages[0]['role'] == 'system' %}"
    "{{ '<|start_header_id|>system<|end_header_id|>\n\nToday: ' + (date_string or strftime_now('%d %b %Y')) + '\n\n' }}"
    "{{ messages[0]['content'] | trim if first else '' }}{{ '<|eot_id|>' }}"
    "{% for m in messages %}{% if not (loop.first and first) %}"
    "{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'] | trim + '<|eot_id|>' }}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
_CHATML = "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
# A system message of its own where there is none.
QWEN2 = (
    "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nBe of help.<|im_end|>\n' }}{% endif %}"
    "{% for m in messages %}" + _CHATML + "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SMOLLM2 = QWEN2.replace("Be of help.", "You are small.")
# Thoughts of earlier answers are dropped, the last answer has a block for them, and switched off an empty one is
# written in the answer's place.
QWEN3 = (
    "{% for m in messages %}{% if m['role'] == 'assistant' %}"
    "{% set said = m['content'].split('</think>')[-1].lstrip('\n') %}"
    "{{ '<|im_start|>assistant\n' + ('<think>\n\n</think>\n\n' if loop.last else '') + said + '<|im_end|>\n' }}"
    "{% else %}" + _CHATML + "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and not enable_thinking %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
)
_STRICT = (
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate user/assistant/user/assistant') }}{% endif %}"
)
# The system message stands in the last turn if that is a question, and nowhere if an answer follows (as in
# training); roles must alternate; no mark before an answer.
MISTRAL = (
    "{{ bos_token }}{% set first = messages[0]['role'] == 'system' %}"
    "{% set system = messages[0]['content'] if first else '' %}"
    "{% for m in (messages[1:] if first else messages) %}"
    + _STRICT
    + "{% if m['role'] == 'user' %}{{ '[INST] ' + (system + '\n\n' if loop.last and system else '') + m['content'] "
    "+ '[/INST]' }}{% else %}{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}"
)
_TURN = (
    "{{ '<start_of_turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\n' + text + '<end_of_turn>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
# A system message is an error, and so are roles that do not alternate.
GEMMA2 = (
    "{{ bos_token }}"
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    + ROUNDS
    + _STRICT
    + _TURN
)
# The system message opens the first question.
GEMMA3 = (
    "{{ bos_token }}{% set first = messages[0]['role'] == 'system' %}"
    "{% for m in (messages[1:] if first else messages) %}{% set text = m['content'] | trim %}"
    + _STRICT
    + "{% if loop.first and first %}{% set text = messages[0]['content'] + '\n\n' + text %}{% endif %}"
    + _TURN
)


class StandIn(NamedTuple):
    """What of a published model a stand-in has."""

    family: str  # of `FAMILIES`
    template: str | None
    special: dict[str, str]  # the tokenizer's named tokens
    markers: list[str]  # further special tokens
    stops: list[str]  # the generation config's end-of-sequence tokens


HEADERS = ["<|start_header_id|>", "<|end_header_id|>"]
IM = {"pad_token": "<|endoftext|>", "eos_token": "<|im_end|>"}
GEMMA = {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>"}
TURNS = ["<start_of_turn>", "<end_of_turn>"]
HF = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
BEGIN = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}
STAND_INS = {
    "meta-llama/Llama-2-7b-chat-hf": StandIn("llama", None, HF, [], ["</s>"]),
    "meta-llama/Llama-3.1-8B-Instruct": StandIn("llama", LLAMA3, BEGIN, HEADERS, ["<|eot_id|>"]),
    "meta-llama/Llama-3.2-1B-Instruct": StandIn("llama", LLAMA3, BEGIN, HEADERS, ["<|eot_id|>"]),
    "Qwen/Qwen2.5-0.5B-Instruct": StandIn("qwen2", QWEN2, IM, ["<|im_start|>"], ["<|im_end|>", "<|endoftext|>"]),
    "Qwen/Qwen2.5-7B-Instruct": StandIn("qwen2", QWEN2, IM, ["<|im_start|>"], ["<|im_end|>", "<|endoftext|>"]),
    "Qwen/Qwen2.5-32B-Instruct": StandIn("qwen2", QWEN2, IM, ["<|im_start|>"], ["<|im_end|>", "<|endoftext|>"]),
    "Qwen/Qwen3-4B": StandIn(
        "qwen3", QWEN3, IM, ["<|im_start|>", "<think>", "</think>"], ["<|im_end|>", "<|endoftext|>"]
    ),
    "mistralai/Mistral-7B-Instruct-v0.3": StandIn("mistral", MISTRAL, HF, ["[INST]", "[/INST]"], ["</s>"]),
    "google/gemma-2-2b-it": StandIn("gemma2", GEMMA2, GEMMA, TURNS, ["<eos>", "<end_of_turn>"]),
    "google/gemma-3-1b-it": StandIn("gemma3", GEMMA3, GEMMA, TURNS, ["<eos>", "<end_of_turn>"]),
    "HuggingFaceTB/SmolLM2-1.7B-Instruct": StandIn(
        "llama",
        SMOLLM2,
        {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>"},
        [],
        ["<|im_end|>"],
    ),
    "google/flan-t5-base": StandIn("t5", None, {"pad_token": "<pad>", "eos_token": "</s>"}, [], ["</s>"]),
}


def save_stand_in(model: StandIn, folder: Path, seed: int = 0) -> Path:
    """Write the small model with random weights as the real one is published; returns the folder."""
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    tokenizer = stand_in_tokenizer(model)
    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    ids = {name: getattr(tokenizer, name) for name in names}
    config = FAMILIES[model.family]({"vocab_size": len(tokenizer), **ids})
    if config.is_encoder_decoder:
        config.decoder_start_token_id = tokenizer.pad_token_id
    auto = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = auto.from_config(config)
    made.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids(model.stops)
    made.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def stand_in_tokenizer(model: StandIn):
    """Byte-level BPE of 400 tokens at most, with the model's special tokens and template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(dict.fromkeys([*model.special.values(), *model.markers])),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, **model.special, additional_special_tokens=model.markers, padding_side="left"
    )
    fast.chat_template = model.template
    return fast
