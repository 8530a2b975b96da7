"""Multiple-choice questions and any other task of lm-eval, scored by lm-eval itself on the model in memory.

A local file holds questions in ARC's schema and is asked as lm-eval asks ARC: the prompt is `Question: ...\\nAnswer:`,
each choice is scored as its continuation; `acc` takes the likeliest, `acc_norm` the likeliest per character.
Other tasks are named (`evaluate.tasks`) and come from the hub, or are files in lm-eval's own YAML.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ftlib.data import files
from ftlib.errors import UserError
from ftlib.progress import progress
from ftlib.stats import Headline, mcnemar, mean_ci95, paired_difference

CHOICES = "choices"  # what the task of the local file is called
FEWSHOT_SEED = 1234  # lm-eval's own default
_SCHEMA = '{"id", "question", "choices": {"text": [...], "label": [...]}, "answerKey"}'
_ARC = {
    "task": CHOICES,
    "test_split": "test",
    "output_type": "multiple_choice",
    "doc_to_text": "Question: {{question}}\nAnswer:",
    "doc_to_target": "{{choices.label.index(answerKey)}}",
    "doc_to_choice": "{{choices.text}}",
    "metric_list": [{"metric": name, "aggregation": "mean", "higher_is_better": True} for name in ("acc", "acc_norm")],
    "metadata": {},
}


def load_questions(path: str | Path, limit: int | None = None) -> list[dict[str, Any]]:
    """The questions of a JSON lines, JSON or parquet file in ARC's schema: the first `limit`, or all, in their order.

    Raises:
        UserError: the file can't be read, holds no question, or a row does not fit the schema.
    """
    questions = []
    for record in files.records(path):
        if record.value is None:
            raise UserError.of(record.place, _SCHEMA, record.problem, "mend or remove the row")
        questions.append(_question(record.value, record.place))
    if not questions:
        raise UserError.of(str(path), "one or more questions", "none", "check evaluate.choices_path")
    return questions[:limit]


def chance(questions: Sequence[Mapping[str, Any]]) -> float:
    """The accuracy of guessing: the mean of 1 / number of choices."""
    return sum(1 / len(question["choices"]["text"]) for question in questions) / len(questions)


def score_questions(
    model: Any, tokenizer: Any, questions: Sequence[Mapping[str, Any]], *, batch_rows: int, **shown: Any
) -> list[dict[str, Any]]:
    """Score a model in memory, causal or encoder-decoder, on questions from `load_questions`.

    Args:
        model, tokenizer: whichever adapter is on counts.
        batch_rows: choices per forward pass.
        shown: `desc` and `interactive` of the progress line.

    Returns:
        One dict a question, in order: `{"id", "log_likelihoods", "acc", "acc_norm"}`.
    """
    if not questions:
        return []
    from datasets import Dataset

    with _quiet():
        from lm_eval.api.task import ConfigurableTask

        config = _ARC | {"custom_dataset": lambda **_: {"test": Dataset.from_list(list(questions))}}
        task = ConfigurableTask(config=config)
    samples = _evaluate(model, tokenizer, {CHOICES: task}, None, batch_rows, **shown)[CHOICES]
    return [
        {
            "id": question["id"],
            "log_likelihoods": [each[0] for each in sample["filtered_resps"]],
            "acc": float(sample["acc"]),
            "acc_norm": float(sample["acc_norm"]),
        }
        for question, sample in zip(questions, samples, strict=True)
    ]


def load_tasks(names: Sequence[str]) -> dict[str, Any]:
    """Tasks of lm-eval by name (see `lm_eval ls tasks`), groups taken apart, or by the path of a file in its YAML.

    Returns:
        Name -> lm-eval's task, ready to be scored; the data sets of named ones are downloaded if need be.

    Raises:
        UserError: a name is unknown, or its data set can't be had.
    """
    if not names:
        return {}
    with _quiet():
        from lm_eval.tasks import TaskManager

        manager = TaskManager(include_defaults=any(Path(name).suffix not in (".yaml", ".yml") for name in names))
        tasks: dict[str, Any] = {}
        for name in names:
            try:
                tasks |= manager.load([name])["tasks"]
            except Exception as error:  # of a dozen kinds: no such task, no network, no such data set
                first = (str(error) or type(error).__name__).splitlines()[0][:200]
                expected = "a task of lm-eval (`lm_eval ls tasks`) whose data set can be loaded"
                fix = "correct the name, or download its data set while there is a network"
                raise UserError.of(f"evaluate.tasks: {name}", expected, first, fix) from None
        for task in tasks.values():
            task.set_fewshot_seed(seed=FEWSHOT_SEED)
    return tasks


def score_tasks(
    model: Any, tokenizer: Any, tasks: Mapping[str, Any], *, limit: int | None, batch_rows: int, **shown: Any
) -> dict[str, list[dict[str, Any]]]:
    """Score a model on tasks from `load_tasks`: the first `limit` questions of each, or all; else as `score_questions`.

    Returns:
        Task -> one dict a question, in order: `{"id", measure: value, ...}` with every measure that lm-eval gives
        question by question; those of a filter other than the first are named `measure_filter`.
    """
    found = {}
    for name, samples in (_evaluate(model, tokenizer, tasks, limit, batch_rows, **shown) if tasks else {}).items():
        rows: dict[int, dict[str, Any]] = {}
        first = samples[0]["filter"] if samples else ""
        for sample in samples:
            row = rows.setdefault(sample["doc_id"], {"id": str(sample["doc_id"])})
            end = "" if sample["filter"] == first else f"_{sample['filter']}"
            values = {measure: sample.get(measure) for measure in sample["metrics"]}
            row |= {f"{m}{end}": float(v) for m, v in values.items() if isinstance(v, int | float)}
        found[name] = list(rows.values())
    return found


def choice_table(results: Mapping[str, Sequence[Mapping[str, Any]]], samples: int, seed: int) -> dict[str, Any]:
    """Every measure with intervals, and its paired change against the first system.

    Args:
        results: system -> its results over the same questions in the same order, from `score_questions` or one task
            of `score_tasks`; the first is compared with.
        samples, seed: of the bootstrap.

    Returns:
        `{measure: {"systems": {name: Interval}, "changes": {name: Paired}, "mcnemar_p": {name: p}}}`; McNemar's where
        all values are 0 or 1.

    Raises:
        ValueError: the systems were not scored on the same questions.
    """
    first, *others = results
    identities = [[row["id"] for row in rows] for rows in results.values()]
    if any(ids != identities[0] for ids in identities):
        raise ValueError("the systems answered different questions; score them on the same list")
    table: dict[str, Any] = {}
    for measure in [key for key, value in results[first][0].items() if isinstance(value, float)]:
        values = {name: [row[measure] for row in rows] for name, rows in results.items()}
        exact = all(value in (0.0, 1.0) for each in values.values() for value in each)
        changes = {n: paired_difference(values[n], values[first], samples=samples, seed=seed) for n in others}
        table[measure] = {
            "systems": {name: mean_ci95(each, samples=samples, seed=seed) for name, each in values.items()},
            "changes": changes,
            "mcnemar_p": {name: mcnemar(values[name], values[first]) for name in others} if exact else {},
        }
    return table


def choice_headlines(task: str, table: Mapping[str, Any]) -> list[Headline]:
    """A task's measures (a `choice_table`) for the summary: one headline a system, and one a change.

    Keys are `choices_accuracy_*` and `choices_accuracy_norm_*` of the local file (`CHOICES`), `<task>_<measure>_*` of a
    named task; they end in `_change` where there are two systems, else in `_change_<system>`.
    """
    found = []
    for measure, numbers in table.items():
        key = f"{task}_{measure.replace('acc', 'accuracy', 1) if task == CHOICES else measure}"
        found += Headline.compared(key, numbers["systems"], "change", numbers["changes"])
    return found


def _question(row: Mapping[str, Any], where: str) -> dict[str, Any]:
    """One row in ARC's schema; labels may be letters or digits."""
    try:
        texts, labels = list(row["choices"]["text"]), [str(label) for label in row["choices"]["label"]]
        question, key, identity = row["question"], str(row["answerKey"]), str(row["id"])
    except (KeyError, TypeError) as error:
        fix = f"bring the row into ARC's schema ({type(error).__name__}: {error})"
        raise UserError.of(where, _SCHEMA, repr(dict(row))[:120], fix) from None
    if not isinstance(question, str) or not all(isinstance(text, str) and text.strip() for text in texts):
        raise UserError.of(where, "a question and choices that are text", repr(dict(row))[:120], "mend the row")
    if len(texts) < 2 or len(texts) != len(labels) or labels.count(key) != 1:
        expected = "two or more choices, as many labels, and answerKey one of them"
        raise UserError.of(where, expected, f"labels {labels}, answerKey {key!r}, {len(texts)} texts", "mend the row")
    return {"id": identity, "question": question, "choices": {"text": texts, "label": labels}, "answerKey": key}


def _evaluate(
    model: Any, tokenizer: Any, tasks: Mapping[str, Any], limit: int | None, batch_rows: int, **shown: Any
) -> dict[str, list[dict[str, Any]]]:
    """lm-eval's samples of each task, in the order of its questions."""
    import torch

    with progress(**{"desc": "multiple choice", "interactive": False} | shown) as bar, _quiet():
        from lm_eval.evaluator import evaluate
        from lm_eval.models.huggingface import HFLM

        from ftlib.core.device import tokens_that_fit

        class InMemory(HFLM):
            def _model_call(self, inps: Any, *args: Any, **kwargs: Any) -> Any:
                bar.update(len(inps))
                return super()._model_call(inps, *args, **kwargs)

            def _loglikelihood_tokens(self, requests: Any, *args: Any, **kwargs: Any) -> Any:
                # lm-eval computes the logits of every place: a large vocabulary needs smaller batches
                longest = max((len(context) + len(choice) for _, context, choice in requests), default=1)
                self.batch_size_per_gpu = max(1, min(batch_rows, tokens_that_fit(model) // max(1, longest)))
                return super()._loglikelihood_tokens(requests, *args, **kwargs)

        precision = "bfloat16" if model.dtype == torch.bfloat16 else None  # as in training: adapters are float32
        options = {"softmax_dtype": "float32", "mixed_precision_dtype": precision, "batch_size": batch_rows}
        loaded = {"tasks": dict(tasks), "groups": {}, "group_map": {}}
        language_model = InMemory(pretrained=model, tokenizer=tokenizer, **options)
        results = evaluate(language_model, loaded, limit=limit, bootstrap_iters=0, log_samples=True)
    return {name: sorted(each, key=lambda sample: sample["doc_id"]) for name, each in results["samples"].items()}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """lm-eval's log lines, progress bars and deprecations kept out of the notebook."""
    logger = logging.getLogger("lm_eval")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
