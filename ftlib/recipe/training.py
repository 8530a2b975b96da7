"""Sections `prompt`, `model`, `quantization`, `lora` and `train`: what is trained, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PositiveInt

from ftlib.recipe.section import PathOrName, Section


class PromptRecipe(Section):
    """How a question becomes a prompt, in training and in inference alike.

    `template` is `auto` (the tokenizer's own chat template where it has one, else `alpaca`), `tokenizer`, `alpaca`,
    `llama2`, `chatml`, `plain` or a .jinja file. A conversation's own system message wins over `system`.
    """

    template: Annotated[str, PathOrName] = "auto"
    system: str | None = None
    refusal: str = "I don't have that information."


class ModelRecipe(Section):
    """The base model: a local folder or a name on the model hub.

    `dtype` is what is computed in; `auto` is bfloat16 where the machine has hardware for it, else float32.
    """

    base: Annotated[str, PathOrName]
    revision: str | None = None
    trust_remote_code: bool = False
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    attention: Literal["auto", "eager", "sdpa", "flash_attention_2"] = "auto"


class QuantizationRecipe(Section):
    """How the frozen base is stored, and what its matrix products run in."""

    load_in_4bit: bool = True
    quant_type: Literal["nf4", "fp4"] = "nf4"
    double_quant: bool = True
    gemm: Literal["auto", "streamed", "cached"] = "auto"


class LoraRecipe(Section):
    """The adapter: W x + (alpha / r) B A x. `fused` computes it in fewer operations than PEFT, with equal results."""

    r: PositiveInt = 32
    alpha: float = Field(64, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    target_modules: str | list[str] = "all-linear"
    fused: bool = True


class ContextRecipe(Section):
    """Training questions that are shown with passages of `rag.documents_path`, so that the model goes on reading.

    Every epoch draws others. A question whose answer the search finds is shown with that passage; in the share
    `exchanged` of them another value stands in passage and answer. In the share `beside` only passages without the
    answer are shown, and the answer is the one that was learned. A question that is to be declined is shown with the
    nearest passages found for it (in the share `nearest`) or with other ones, and goes on being declined.
    """

    share: float = Field(0.0, ge=0, le=1)  # of as many questions as there are training rows; 0: none
    after: float = Field(0.0, ge=0, lt=1)  # share of the epochs before the first of them
    passages: PositiveInt = 1  # shown with a question
    exchanged: float = Field(0.8, ge=0, le=1)
    beside: float = Field(0.08, ge=0, le=1)
    nearest: float = Field(0.7, ge=0, le=1)


# YAML 1.1 reads a bare `off` as false.
Level = Annotated[Literal["off", "warn", "stop"], BeforeValidator(lambda value: "off" if value is False else value)]


class PreflightRecipe(Section):
    """What is checked on the first real rows before a training begins.

    `off` does not look, `warn` shows what was found, `stop` ends there. What is surely wrong stops where nothing is
    said; what may be meant, or concerns others than this program, is a warning.
    """

    rendered: Level = "stop"  # every row becomes tokens, none longer than `train.max_length`
    tokens_trained: Level = "stop"  # every row trains at least one token
    end_trained: Level = "stop"  # the last trained token of every row ends a text
    end_stops: Level = "stop"  # generation stops on that token
    end_published: Level = "warn"  # so does the base's generation config, which other engines read
    begin_once: Level = "stop"  # the begin token stands first, once
    special_whole: Level = "stop"  # special tokens in the text are single tokens
    markers_whole: Level = "warn"  # so are the template's markers, if it is this base's
    prompt_same: Level = "stop"  # prompts in training and in inference are equal token by token
    mask_differs: Level = "stop"  # trained are the tokens that change with the answer, and its end
    answer_whole: Level = "stop"  # no answer is cut
    answer_spelled: Level = "warn"  # the vocabulary can write the answers
    turns_shown: Level = "warn"  # every earlier turn and the context stand in the prompt
    gradients: Level = "stop"  # every adapter tensor gets a gradient
    collated: Level = "stop"  # a batch trains the tokens that its rows train
    memory: Level = "stop"  # the longest batch and an evaluation fit
    adapter_acts: Level = "stop"  # the adapter changes the logits
    accumulation: Level = "stop"  # 1 x n rows equal n x 1, loss and gradients
    logits: Level = "stop"  # `train.logits: labelled` equals `all`
    fused: Level = "stop"  # the fused adapter equals PEFT's own
    padding: Level = "stop"  # padded left equals padded right
    resume: Level = "stop"  # 1 + 1 steps with a checkpoint between equal 2


class TrainRecipe(Section):
    """Room 02: the optimisation. Rates are per optimiser step, lengths in tokens.

    `lora_plus_ratio` is LoRA+ (Hayou et al. 2024): the rate of LoRA's B, which starts at zero, over that of A.
    `best_by` says which validation number chooses the adapter that is kept: the loss per token, or the share of
    answers that greedy decoding writes exactly. `early_stopping_patience` counts evaluations; 0 never stops.
    `logits: labelled` computes the output layer only where a token is trained; `all` is the plain path.
    `activation_checkpointing` recomputes activations in the backward pass to save memory.
    `replay_kl` is a weight: above 0 the loss of a replayed text is not that of its tokens, but at each of them this
    weight times KL(base || adapted), in nats. The base, which is the model with its adapter off, is the teacher, so
    any text does, whoever made the base; it costs one more forward pass over these texts.
    """

    context: ContextRecipe = ContextRecipe()
    preflight: PreflightRecipe = PreflightRecipe()
    replay_path: Path | None = None  # text of a kind not to be forgotten (JSON lines with `text`)
    replay_share: float = Field(0.0, ge=0, le=1)  # texts an epoch, as a share of the training rows
    replay_kl: float = Field(0.0, ge=0)
    seed: int | None = Field(None, ge=0, lt=2**32)  # of the training alone; None: the recipe's own
    epochs: float = Field(3.0, gt=0)
    learning_rate: float = Field(2e-4, gt=0)
    lora_plus_ratio: float = Field(1.0, ge=1)
    batch_rows: PositiveInt = 32
    accumulation: PositiveInt = 1
    max_length: PositiveInt = 512
    warmup_ratio: float = Field(0.03, ge=0, lt=1)
    scheduler: Literal["cosine", "linear", "constant"] = "cosine"
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    eval_every_steps: PositiveInt = 50
    early_stopping_patience: int = Field(3, ge=0)
    best_by: Literal["loss", "exact"] = "loss"
    save_every_seconds: float = Field(60.0, gt=0)
    compile: Literal["auto"] | bool = "auto"
    loss_on: Literal["answers", "all"] = "answers"
    logits: Literal["labelled", "all"] = "labelled"
    activation_checkpointing: Literal["auto"] | bool = "auto"
