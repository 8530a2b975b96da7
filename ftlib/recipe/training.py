"""Sections `prompt`, `model`, `quantization`, `lora`, `train`, `sweep` and `prefer`: what is trained, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PositiveInt, model_validator

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
    """How the frozen base is stored, and what its matrix products run in.

    `load_in_8bit` is LLM.int8 (Dettmers et al. 2022): whole numbers with one scale a row, inputs beyond 6 in 16 bits.
    With neither, the base is what `model.dtype` says. `quant_type`, `block_size`, `double_quant` and `gemm` are of 4
    bits; `block_size` counts the weights that share a scale, `double_quant` stores these scales in 8 bits.
    """

    load_in_4bit: bool = True
    load_in_8bit: bool = False
    quant_type: Literal["nf4", "fp4"] = "nf4"
    block_size: Literal[64, 128, 256, 512, 1024, 2048, 4096] = 64
    double_quant: bool = True
    gemm: Literal["auto", "streamed", "cached"] = "auto"


class LoraRecipe(Section):
    """The adapter: W x + (alpha / r) B A x. `fused` computes it in fewer operations than PEFT, with equal results.

    `use_rslora` divides by the root of r (Kalajdzievski 2023), so that a larger r does not learn more slowly.
    `use_dora` learns the length of each row of W + B A beside its direction (Liu et al. 2024).
    """

    r: PositiveInt = 32
    alpha: float = Field(64, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    target_modules: str | list[str] = "all-linear"
    use_rslora: bool = False
    use_dora: bool = False
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
    packed: Level = "stop"  # packed rows equal padded ones
    shared: Level = "stop"  # a beginning that is read once a batch equals whole rows
    resume: Level = "stop"  # 1 + 1 steps with a checkpoint between equal 2


Explosion = Annotated[
    Literal["off", "not_finite", "sudden"], BeforeValidator(lambda value: "off" if value is False else value)
]


class TrainRecipe(Section):
    """Room 02: the optimisation. Rates are per optimiser step, lengths in tokens.

    `method: lora` trains an adapter (QLoRA where the base is in 4 bits). `full` trains every weight: the base may not
    be quantized, the weights are kept in float32 while they are trained, rates are to be some ten times lower, and
    what lies in 02_train/adapter afterwards is a whole model's folder.
    `optimizer` is a name of transformers' own, e.g. adamw_torch, adamw_8bit, paged_adamw_8bit, adafactor.
    `neftune_alpha` adds noise to the embeddings while training (Jain et al. 2023; 5 is usual, 0 is none).
    `lora_plus_ratio` is LoRA+ (Hayou et al. 2024): the rate of LoRA's B, which starts at zero, over that of A.
    `best_by` says which validation number chooses the adapter that is kept: the loss per token, or the share of
    answers that greedy decoding writes exactly. `early_stopping_patience` counts evaluations without a
    new best by more than `early_stopping_min_delta` (nats a token, or a share with `exact`); 0 never stops.
    `logits: labelled` computes the output layer only where a token is trained; `all` is the plain path.
    `compile: auto` compiles the decoder layers where training takes minutes and a short timing shows a gain.
    `packing` lays a batch's rows end to end in one row without padding; none sees another. It pays on a GPU with flash
    attention (`model.attention: flash_attention_2`); elsewhere rows of similar length are padded to each other.
    `share_beginning` reads what most rows begin with, a template and a system prompt, once a batch instead of once a
    row: the same loss and gradients for less work. `auto` does so where it saves a tenth of all tokens or more, and in
    the batches where it saves a quarter.
    `batch_tokens` fills packed batches by best fit, so that all are of one size.
    `activation_checkpointing` recomputes activations in the backward pass to save memory.
    `unknown_share` adds questions to be declined: training questions whose subject (`data.columns.subject`) has a name
    that is made up, another one each time. They take part in `context` as the training rows do.
    `replay_kl` is a weight: above 0 the loss of a replayed text is not that of its tokens, but at each of them this
    weight times KL(base || adapted), in nats. The base, which is the model with its adapter off, is the teacher, so
    any text does, whoever made the base; it costs one more forward pass over these texts.
    `monitor_every_seconds` is the time between two samples of the hardware in metrics.jsonl; 0 takes none.
    `report_to` names experiment trackers that the same numbers go to (`ftlib.core.trackers` says where they write).
    `stop_on_explosion: not_finite` ends a training whose loss or gradient is no finite number, with the rows of that
    step; `sudden` also one that rises far above the steps before (`core.explosion.ExplosionWatch`); `off` goes on.
    """

    context: ContextRecipe = ContextRecipe()
    preflight: PreflightRecipe = PreflightRecipe()
    unknown_share: float = Field(0.0, ge=0, le=1)  # questions an epoch, as a share of the training rows; 0: none
    replay_path: Path | None = None  # text of a kind not to be forgotten (JSON lines with `text`)
    replay_share: float = Field(0.0, ge=0, le=1)  # texts an epoch, as a share of the training rows
    replay_kl: float = Field(0.0, ge=0)
    seed: int | None = Field(None, ge=0, lt=2**32)  # of the training alone; None: the recipe's own
    method: Literal["lora", "full"] = "lora"
    epochs: float = Field(3.0, gt=0)
    optimizer: str = "adamw_torch_fused"
    learning_rate: float = Field(2e-4, gt=0)
    lora_plus_ratio: float = Field(1.0, ge=1)
    neftune_alpha: float = Field(0.0, ge=0)
    batch_rows: PositiveInt = 32
    accumulation: PositiveInt = 1
    max_length: PositiveInt = 512
    warmup_ratio: float = Field(0.03, ge=0, lt=1)
    scheduler: Literal["cosine", "linear", "constant"] = "cosine"
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    eval_every_steps: PositiveInt = 50
    early_stopping_patience: int = Field(3, ge=0)
    early_stopping_min_delta: float = Field(0.0, ge=0)
    best_by: Literal["loss", "exact"] = "loss"
    save_every_seconds: float = Field(60.0, gt=0)
    compile: Literal["auto"] | bool = "auto"
    packing: bool = False
    share_beginning: Literal["auto"] | bool = "auto"
    batch_tokens: PositiveInt | None = None  # of a packed batch, in the place of batch_rows
    loss_on: Literal["answers", "all"] = "answers"
    logits: Literal["labelled", "all"] = "labelled"
    activation_checkpointing: Literal["auto"] | bool = "auto"
    monitor_every_seconds: float = Field(5.0, ge=0)
    report_to: list[Literal["wandb", "trackio", "mlflow", "tensorboard"]] = []
    stop_on_explosion: Explosion = "not_finite"


Scalar = bool | int | float | str | None


class RangeRecipe(Section):
    """Numbers between two ends, which belong to it; with `log` each tenfold is as likely, with `whole` no fractions."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    @model_validator(mode="after")
    def _has_an_inside(self) -> RangeRecipe:
        if not self.low < self.high or (self.log and self.low <= 0):
            least = "above 0 and " if self.log else ""
            raise ValueError(f"a low end {least}below the high one, not {self.low:g} and {self.high:g}")
        return self


# A dotted field to its choices, e.g. {train.learning_rate: {low: 1.0e-5, high: 1.0e-3, log: true}, lora.r: [4, 8, 16]}.
SweepSpace = dict[str, RangeRecipe | Annotated[list[Scalar], Field(min_length=1)]]


class PreferRecipe(Section):
    """`ftlib prefer`: DPO (Rafailov et al. 2023) on pairs of answers, from the run's adapter.

    `beta` says how dear it is to move away from that adapter: more of it, less movement. A step reads `batch_rows`
    pairs. Questions in the share `held_out` are not trained; on their pairs it is counted how often the preferred
    answer is the likelier one, before and after.
    """

    beta: float = Field(0.1, gt=0)
    learning_rate: float = Field(2e-5, gt=0)
    epochs: float = Field(3.0, gt=0)
    batch_rows: PositiveInt = 8
    held_out: float = Field(0.2, ge=0, lt=1)
