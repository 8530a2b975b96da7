"""The steps of the room, one method each, in the order in which notebook 01 takes them."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ftlib import jsonl
from ftlib.data import audit, checks, decontaminate, duplicates, files, leakage, load, split, tokens, truth
from ftlib.data.ledger import Ledger
from ftlib.data.prompts import Renderer
from ftlib.data.saved import saved_row, test_row, test_rows
from ftlib.progress import progress
from ftlib.recipe import Recipe, UserError

_AUDITED = 200_000  # training rows that the audit looks at, at most


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
        table: the rows that passed the checks, mended.
        alive: bool (n,), which rows of the table are still in.
        sides: int8 (n,), split.TRAIN, VAL, TEST or -1.
        test: the test rows.
        lengths: int arrays (training rows,): tokens of each rendered row, and how many of them are trained.
        seconds: step -> (rows, seconds).
    """

    def __init__(self, recipe: Recipe, folder: Path, *, interactive: bool = False):
        self.recipe, self.folder, self.interactive = recipe, Path(folder), interactive
        self._work = self.folder / "work"
        shutil.rmtree(self._work, ignore_errors=True)
        self._work.mkdir(parents=True)
        self.renderer = Renderer.of(recipe, tokens.load_tokenizer(recipe))
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
        self.raw = self.table = None
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
        )
        self.raw = self.table = loaded.table
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
        started, count = time.perf_counter(), len(self.table)
        usual = checks.habits(self.table)
        self._timed("learn habits", count, started)
        started, data = time.perf_counter(), self.recipe.data
        counter = checks.token_counter(self.renderer.tokenizer)
        checker = checks.Checker(data, usual, counter, checks.template_overhead(self.renderer))
        pii: dict[str, int] = dict.fromkeys(data.pii.kinds, 0)

        def keep() -> Iterator[dict[str, Any]]:
            rows = progress(load.each(self.table), total=count, desc="clean", interactive=self.interactive)
            for row in checker.rows(rows):
                self.ledger.changed.update(row["changes"])
                for kind in row["pii"]:
                    pii[kind] += 1
                if row["reason"]:
                    self.ledger.reject(row, row["reason"], row["detail"])
                else:
                    yield row

        self.table = load.write(keep(), self._work / "checked.arrow", checks.checked_schema())
        self.alive = np.ones(len(self.table), dtype=bool)
        self._timed("clean", count, started)
        learned = {"phrases": sorted(usual.phrases.opening | usual.phrases.closing), "full_stops": usual.punctuated}
        self.report["clean"] = {"changed": dict(self.ledger.changed), "pii": pii, "learned": learned}
        return self.report["clean"] | {"rejected": dict(self.ledger.rejected)}

    def deduplicate(self) -> dict[str, Any]:
        """Finds rows that ask the same: copies go, contradictions are decided by ``data.contradictions``.

        Returns:
            clusters, exact, near, contradictions (counts), examples of both.
        """
        started, data = time.perf_counter(), self.recipe.data
        self.sketches = duplicates.sketch_table(self.table)
        self._timed("sketch", len(self.table), started)
        started = time.perf_counter()
        found = duplicates.resolve(self.table, self.sketches, data.near_duplicate_similarity, data.contradictions)
        involved = [*found.rejected, *(v.instead for v in found.rejected.values() if v.instead >= 0)]
        ids = {n: row["id"] for n, row in duplicates.fetch(self.table, involved, ["id"]).items()}
        self._reject({n: (v.reason, ids.get(v.instead, "")) for n, v in found.rejected.items()})
        self.copies |= {ids[n]: ids[v.instead] for n, v in found.rejected.items() if v.instead >= 0}
        self._timed("deduplicate", len(self.table), started)
        self.report["duplicates"] = {
            "clusters": len(found.clusters),
            "largest_cluster": max(map(len, found.clusters), default=0),
            "contradictions": len(found.contradictions),
            "policy": data.contradictions,
            "examples": [self._shown(cluster[:4]) for cluster in found.clusters[:10]],
            "to_decide": [[self._shown(group[:1])[0] for group in groups] for groups in found.contradictions[:200]],
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
        self.sides = split.assign(self.table, self.alive, recipe, self.recipe.seed, test_from_file=from_file)
        if not from_file:
            self.test = [test_row(row) for row in self._rows_of(split.TEST)]
        self._timed("split", len(self.table), started)
        counts = {name: int((self.sides == at).sum()) for at, name in enumerate(split.NAMES)}
        self.report["split"] = {"rows": counts | {"test": len(self.test)}, "method": recipe.method}
        if recipe.stratify_by != "none":
            self.report["split"]["strata"] = split.strata(self.table, self.sides, recipe.stratify_by)
        self._enough("the split")
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
        test_of = [row | {"group": row.get("group", "")} for row in self.test]
        inside = (split.TRAIN, split.VAL) if data.test_path else (split.TRAIN,)
        self._compare(found, "train and test", inside, test_of, policy)
        self._compare(found, "train and val", (split.TRAIN,), self._rows_of(split.VAL), policy)
        self._decontaminate(found, policy)
        self._timed("leakage", int(self.alive.sum()), started)
        self._enough("the leakage check")
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
            rows = (saved_row(row) for row in self._iterate(side))
            written[name] = jsonl.write(self.folder / f"{name}.jsonl", rows)
        kept = int((self.sides >= 0).sum())
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
        rows = [row for row, _ in zip(self._iterate(split.TRAIN), range(_AUDITED), strict=False)]
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
        checked = load.each(self.table, ("id", "changes", "pii"))
        rejected = list(jsonl.iterate(self.folder / "rejected.jsonl"))
        early = ({"id": r["id"], "changes": r.get("changes", []), "pii": r.get("pii", [])} for r in rejected)
        found = truth.flags((row for rows in (checked, early) for row in rows), rejected)
        return truth.score(truth.read(self.recipe.data.truth_path), found, self.copies)

    def _compare(
        self, report: dict[str, Any], where: str, inside: tuple[int, ...], others: list[dict[str, Any]], policy: str
    ) -> None:
        similarity = self.recipe.data.near_duplicate_similarity
        train = np.flatnonzero(np.isin(self.sides, inside))
        found = leakage.overlaps(self.table, self.sketches, train, others, similarity)
        entry: dict[str, Any] = leakage.report(self.table, found, others)
        entry["answer_in_train"] = leakage.answers_in_train(self.table, train, others)
        report[where.replace(" ", "_")] = entry
        leakage.enforce(found, policy, where)
        if policy == "drop":
            kind = {o.row: (f"leak_{o.kind}", others[o.other]["id"]) for o in reversed(found)}
            self._reject(kind)

    def _decontaminate(self, report: dict[str, Any], policy: str) -> None:
        data = self.recipe.data
        paths = list(data.decontaminate)
        arc = self.recipe.evaluate.arc_path
        if arc and files.find(arc):
            paths.append(Path(arc))
        for path in paths:
            texts = decontaminate.evaluation_texts(path)
            found = decontaminate.contaminated(load.each(self.table), texts, data.decontaminate_ngram)
            hits = {row: text for row, text in found if self.sides[row] in (split.TRAIN, split.VAL)}
            shown = self._shown(list(hits)[:10])
            examples = [row | {"evaluation": texts[text]} for row, text in zip(shown, hits.values(), strict=False)]
            report[f"train_and_{Path(path).name}"] = {
                "ngram": data.decontaminate_ngram, "texts": len(texts), "train_rows": len(hits), "examples": examples
            }  # fmt: skip
            overlap = [leakage.Overlap("exact", row, text, 1.0) for row, text in hits.items()]
            leakage.enforce(overlap, policy, f"train and {path}")
            if policy == "drop":
                self._reject({row: ("leak_ngram", texts[text][:80]) for row, text in hits.items()})

    def _reject(self, verdicts: dict[int, tuple[str, str]]) -> None:
        """Takes rows out and notes why; a row that is out already stays so."""
        verdicts = {number: verdict for number, verdict in sorted(verdicts.items()) if self.alive[number]}
        numbers = list(verdicts)
        for start in range(0, len(numbers), load.BATCH_ROWS):
            block = numbers[start : start + load.BATCH_ROWS]
            for number, row in duplicates.fetch(self.table, block, self.table.column_names).items():
                self.ledger.reject(row, *verdicts[number])
                self.alive[number] = False
                if hasattr(self, "sides"):
                    self.sides[number] = -1

    def _enough(self, after: str) -> None:
        for at, name in ((split.TRAIN, "training"), (split.VAL, "validation")):
            if not (self.sides == at).any():
                raise UserError.of(
                    f"data after {after}",
                    f"at least one row for {name}",
                    f"none of {self.ledger.rows_in} rows in; rejected: {dict(self.ledger.rejected)}",
                    "look at rejected.jsonl's reasons; bring more rows or raise data.split.val_fraction",
                )

    def _iterate(self, side: int) -> Iterator[dict[str, Any]]:
        for row, at in zip(load.each(self.table), self.sides.tolist(), strict=True):
            if at == side:
                yield row

    def _rows_of(self, side: int) -> list[dict[str, Any]]:
        return list(self._iterate(side))

    def _shown(self, numbers: list[int]) -> list[dict[str, Any]]:
        rows = duplicates.fetch(self.table, numbers, ("id", "question", "answer", "created"))
        return [rows[int(number)] for number in numbers]

    def _timed(self, step: str, rows: int, started: float) -> None:
        self.seconds[step] = (rows, time.perf_counter() - started)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1, default=str) + "\n", encoding="utf-8")
