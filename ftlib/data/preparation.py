"""The steps of the room, one method each, in the order in which notebook 01 takes them."""

import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from ftlib import jsonl
from ftlib.data import audit, checks, decontaminate, duplicates, files, leakage, load, split, tokens, truth
from ftlib.data.ledger import Ledger
from ftlib.data.load import Watch
from ftlib.data.prompts import Renderer
from ftlib.data.rows import Rows
from ftlib.data.saved import saved_row, test_row, test_rows
from ftlib.progress import progress
from ftlib.recipe import Recipe

_AUDITED = 100_000  # training rows that the audit looks at, at most
_AUDITED_COLUMNS = ("id", "question", "context", "answer", "slice", "source", "product")


class Preparation:
    """One data set on its way through the room.

    Each step is a method, reads what earlier ones left, and returns a summary to look at. Rows stay in Arrow files;
    what is held in memory are numbers per row. Use it as a context manager, so that the working files go.

    Args:
        recipe: the run's recipe.
        folder: where the stage's files go.
        interactive: whether to draw progress bars.

    Attributes:
        renderer: the prompt renderer.
        ledger: counts and reasons.
        raw: ``datasets.Dataset`` of the rows as loaded.
        rows: :class:`ftlib.data.rows.Rows` that passed the checks, mended.
        test: the test rows.
        lengths: int arrays (training rows,): tokens of each rendered row, and how many of them are trained.
        seconds: step -> (rows, seconds).
    """

    def __init__(self, recipe: Recipe, folder: Path, *, interactive: bool = False):
        self.recipe, self.folder, self.interactive = recipe, Path(folder), interactive
        self._work = self.folder / "work"
        shutil.rmtree(self._work, ignore_errors=True)
        self._work.mkdir(parents=True)
        self.renderer = Renderer.of(recipe, tokens.load_tokenizer(recipe.model))
        self.ledger = Ledger(self.folder / "rejected.jsonl")
        self.seconds: dict[str, tuple[int, float]] = {}
        self.copies: dict[str, str] = {}  # id of a rejected copy -> id of the row that stays
        self.report: dict[str, Any] = {}
        self.leaks: dict[str, Any] = {"policy": recipe.data.leakage}
        self.test: list[dict[str, Any]] = []

    def __enter__(self) -> "Preparation":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Removes the working files; the rows can't be read any more."""
        self.ledger.close()
        self.raw = self.rows = None
        shutil.rmtree(self._work, ignore_errors=True)

    def load(self) -> dict[str, Any]:
        """Reads ``data.path`` (and ``data.test_path``).

        Returns:
            rows, unreadable, formats, notes, test_rows.

        Raises:
            UserError: nothing to read, or a bad row where ``data.on_bad_row`` is ``fail``.
        """
        started, data = time.perf_counter(), self.recipe.data
        group_by = [data.split.group_by] if isinstance(data.split.group_by, str) else data.split.group_by
        loaded = load.load(
            data.path,
            self._work / "loaded.arrow",
            shape=data.format,
            columns=data.columns,
            group_by=[name for name in group_by if name != "none"],
            on_bad_row=data.on_bad_row,
            watch=self._watch("read"),
        )
        self.raw = loaded.table
        self.ledger.rows_in = len(loaded.table) + len(loaded.bad)
        for row in loaded.bad:
            self.ledger.reject(row, row["reason"], row["detail"])
        if data.test_path:
            self.test = test_rows(data.test_path, self._work / "test.arrow", data)
        self._timed("load", self.ledger.rows_in, started)
        summary = {"rows": self.ledger.rows_in, "unreadable": len(loaded.bad), "formats": loaded.formats}
        self.report["load"] = summary | {"notes": loaded.notes, "test_rows": len(self.test)}
        return self.report["load"]

    def clean(self) -> dict[str, Any]:
        """Mends, masks and checks every row; those that can't stay go to rejected.jsonl.

        Returns:
            changed: rows by change, pii: rows by kind, rejected: rows by reason.
        """
        started, count = time.perf_counter(), len(self.raw)
        usual = checks.habits(self._watch("learn habits", count)(load.each(self.raw, ["answer"])), count)
        self._timed("learn habits", count, started)
        started, data = time.perf_counter(), self.recipe.data
        counter = checks.token_counter(self.renderer.tokenizer)
        checker = checks.Checker(data, usual, counter, checks.template_overhead(self.renderer))
        pii: dict[str, int] = dict.fromkeys(data.pii.kinds, 0)
        kept = self._passed(checker.rows(self._watch("clean", count)(load.each(self.raw))), pii)
        self.rows = Rows(load.write(kept, self._work / "checked.arrow", checks.checked_schema()), self.ledger)
        self._timed("clean", count, started)
        learned = {"phrases": sorted(usual.phrases.opening | usual.phrases.closing), "full_stops": usual.punctuated}
        self.report["clean"] = {"changed": dict(self.ledger.changed), "pii": pii, "learned": learned}
        return self.report["clean"] | {"rejected": dict(self.ledger.rejected)}

    def _passed(self, checked: Iterator[dict[str, Any]], pii: dict[str, int]) -> Iterator[dict[str, Any]]:
        for row in checked:
            self.ledger.changed.update(row["changes"])
            for kind in row["pii"]:
                pii[kind] += 1
            if row["reason"]:
                self.ledger.reject(row, row["reason"], row["detail"])
            else:
                yield row

    def deduplicate(self) -> dict[str, Any]:
        """Finds rows that ask the same: copies go, contradictions are decided by ``data.contradictions``.

        Returns:
            clusters and their sizes, contradictions (counts), examples of both.
        """
        started, data = time.perf_counter(), self.recipe.data
        table = self.rows.table
        self.sketches = duplicates.sketch_table(table, self._watch("sketch", len(table)))
        self._timed("sketch", len(table), started)
        started = time.perf_counter()
        found = duplicates.resolve(table, self.sketches, data.near_duplicate_similarity, data.contradictions)
        involved = [*found.rejected, *(v.instead for v in found.rejected.values() if v.instead >= 0)]
        ids = {n: row["id"] for n, row in duplicates.fetch(table, involved, ["id"]).items()}
        self.rows.reject({n: (v.reason, ids.get(v.instead, "")) for n, v in found.rejected.items()})
        self.copies |= {ids[n]: ids[v.instead] for n, v in found.rejected.items() if v.instead >= 0}
        self._timed("deduplicate", len(table), started)
        self.report["duplicates"] = {
            "clusters": len(found.clusters),
            "sizes": {f"{size} rows": n for size, n in sorted(Counter(map(len, found.clusters)).items())},
            "contradictions": len(found.contradictions),
            "policy": data.contradictions,
            "examples": [self.rows.shown(cluster[:4]) for cluster in found.clusters[:10]],
            "to_decide": [[self.rows.shown(group[:1])[0] for group in groups] for groups in found.contradictions[:200]],
        }
        return self.report["duplicates"] | {"rejected": dict(self.ledger.rejected)}

    def split(self) -> dict[str, Any]:
        """Gives every row its side; the test set comes from the split where no file gives it.

        Returns:
            rows by side, and the strata with their validation shares.

        Raises:
            UserError: no row is left for training or validation.
        """
        started, recipe = time.perf_counter(), self.recipe.data.split
        from_file = self.recipe.data.test_path is not None
        rows = self.rows
        rows.sides = split.assign(rows.table, rows.alive, recipe, self.recipe.seed, test_from_file=from_file)
        if not from_file:
            self.test = [test_row(row) for row in rows.on(split.TEST)]
        self._timed("split", len(rows), started)
        counts = {name: rows.count(at) for at, name in enumerate(split.NAMES)}
        self.report["split"] = {"rows": counts | {"test": len(self.test)}, "method": recipe.method}
        if recipe.stratify_by != "none":
            self.report["split"]["strata"] = split.strata(rows.table, rows.sides, recipe.stratify_by)
        rows.require("the split")
        return self.report["split"]

    def check_leakage(self, policy: str | None = None) -> dict[str, Any]:
        """Compares training with validation and test rows, and with evaluation files.

        Args:
            policy: ``block``, ``warn`` or ``drop`` to try another than the recipe's; then nothing is noted for
                leakage.json.

        Returns:
            Overlaps by pair of sets, with counts and examples; of the recipe's policy, what goes to leakage.json.

        Raises:
            UserError: overlaps, where the policy is ``block``; or too few rows are left.
        """
        started, data = time.perf_counter(), self.recipe.data
        trial, policy = policy is not None, policy or data.leakage
        found: dict[str, Any] = {"policy": policy, "similarity": data.near_duplicate_similarity}
        test_of = [{name: row.get(name, "") for name in leakage.COLUMNS} for row in self.test]
        inside = (split.TRAIN, split.VAL) if data.test_path else (split.TRAIN,)
        compare = partial(leakage.between, self.rows, self.sketches, data=data, policy=policy)
        found["train_and_test"] = compare(inside, test_of, "train and test")
        val = list(self.rows.on(split.VAL, leakage.COLUMNS))  # after the test set: what leaked there is gone
        found["train_and_val"] = compare((split.TRAIN,), val, "train and val")
        for path in self._evaluation_files():
            entry = decontaminate.against(path, self.rows, data.decontaminate_ngram, policy)
            found[f"train_and_{path.name}"] = entry
        self._timed("leakage", int(self.rows.alive.sum()), started)
        self.rows.require("the leakage check")
        self.leaks = self.leaks if trial else found
        return found

    def save(self) -> dict[str, int]:
        """Writes train.jsonl, val.jsonl, test.jsonl and leakage.json.

        Returns:
            Rows by file.
        """
        started = time.perf_counter()
        written = {"test": jsonl.write(self.folder / "test.jsonl", self.test)}
        for side in (split.TRAIN, split.VAL):
            name = split.NAMES[side]
            rows = map(saved_row, self._watch(f"save {name}", self.rows.count(side))(self.rows.on(side)))
            written[name] = jsonl.write(self.folder / f"{name}.jsonl", rows)
        kept = int((self.rows.sides >= 0).sum())
        self.ledger.balance(kept)
        _write_json(self.folder / "leakage.json", self.leaks)
        self._timed("save", kept, started)
        rows = {"in": self.ledger.rows_in, "kept": kept, "rejected": dict(self.ledger.rejected)}
        self.report["rows"] = rows | {"files": written}
        return written

    def audit(self) -> dict[str, Any]:
        """Measures what was made, and the detectors where the truth is known; writes audit.json and counterfactuals.

        Returns:
            What goes to audit.json.
        """
        started, recipe = time.perf_counter(), self.recipe
        rows = list(islice(self.rows.on(split.TRAIN, _AUDITED_COLUMNS), _AUDITED))
        self.lengths = whole, trained = audit.lengths(rows, self.renderer)
        train = recipe.train
        self.report["lengths"] = audit.length_report(whole, trained, train.max_length, train.batch_rows, recipe.seed)
        self.report["vocabulary"] = tokens.coverage(
            (f"{row['question']} {row['context']} {row['answer']}" for row in rows), self.renderer.tokenizer
        )
        self.report["balance"] = {"train": audit.balance(rows), "test": audit.balance(self.test)}
        self.report["label_leakage"] = audit.label_leakage(rows)
        self.report["bias"] = audit.bias(rows, recipe.data.bias)
        pairs = audit.counterfactuals(self.test, recipe.data.bias, recipe.seed)
        jsonl.write(self.folder / "counterfactuals.jsonl", pairs)
        if recipe.data.truth_path:
            self.report["detectors"] = self._score()
        self._timed("audit", len(rows), started)
        self.report["rows_per_second"] = {
            step: {"rows": n, "seconds": round(s, 3), "rows_per_second": round(n / max(s, 1e-9))}
            for step, (n, s) in self.seconds.items()
        }
        _write_json(self.folder / "audit.json", self.report)
        return self.report

    def _score(self) -> dict[str, Any]:
        self.ledger.close()
        checked = load.each(self.rows.table, ("id", "changes", "pii"))
        rejected = list(jsonl.iterate(self.folder / "rejected.jsonl"))
        early = ({"id": r["id"], "changes": r.get("changes", []), "pii": r.get("pii", [])} for r in rejected)
        found = truth.flags((row for rows in (checked, early) for row in rows), rejected)
        return truth.score(truth.read(self.recipe.data.truth_path), found, self.copies)

    def _evaluation_files(self) -> list[Path]:
        arc = self.recipe.evaluate.arc_path
        return [Path(path) for path in self.recipe.data.decontaminate] + (
            [Path(arc)] if arc and files.find(arc) else []
        )

    def _watch(self, what: str, total: int | None = None) -> Watch:
        return partial(progress, total=total, desc=what, interactive=self.interactive)

    def _timed(self, step: str, rows: int, started: float) -> None:
        self.seconds[step] = (rows, time.perf_counter() - started)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1, default=str) + "\n", encoding="utf-8")
