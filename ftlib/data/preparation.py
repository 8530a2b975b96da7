"""The room from end to end: one method a step, in the order in which notebook 01 takes them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from ftlib import atomic, rows
from ftlib.data import askers, audit, decontaminate, duplicates, habits, leakage, load, refusals, reviewed, split, truth
from ftlib.data.candidates import sketch_table
from ftlib.data.judgement import judge_rows
from ftlib.data.ledger import Ledger
from ftlib.data.paraphrases import embedder
from ftlib.data.prompts import Renderer
from ftlib.data.table import NAMES, TEST, TRAIN, VAL, Watch, WorkingTable, each, fetch
from ftlib.data.tokens import load_tokenizer
from ftlib.data.vocabulary import Lexicon
from ftlib.progress import progress
from ftlib.recipe import Recipe
from ftlib.rows import Row

STEPS = ("load", "clean", "deduplicate", "split", "check_leakage", "limit_refusals", "save", "audit")
_AUDITED = 20_000  # training rows that the audit looks at, at most


class Preparation(AbstractContextManager):
    """One data set on its way through the room.

    Each step is a method, reads what earlier ones left, and returns a summary to look at; what can't go on raises
    UserError. Rows stay in Arrow files; what is held in memory are numbers per row. Use it as a context manager, so
    that the working files go.

    Attributes:
        raw: the rows as loaded, see `ftlib.data.table`.
        rows: WorkingTable of the rows that passed the checks, mended.
        test: the test rows.
        followed: people's decisions by what became of them.
        overlong: tokens of the rows that had too many.
        lengths: int arrays (training rows,): tokens of each rendered row, and how many of them are trained.
        report: what goes to audit.json, as far as it is known.
    """

    def __init__(self, recipe: Recipe, folder: Path, *, interactive: bool = False):
        self.recipe, self.folder, self.interactive = recipe, Path(folder), interactive
        self._work = self.folder / "work"
        shutil.rmtree(self._work, ignore_errors=True)
        self._work.mkdir(parents=True)
        self.renderer = Renderer.of(recipe, load_tokenizer(recipe.model))
        self.ledger = Ledger(self.folder)
        self.copies: dict[str, str] = {}  # id of a rejected copy -> id of the row that stays
        self.report: dict[str, Any] = {"rows_per_second": {}}
        self.leaks: dict[str, Any] = {"policy": recipe.data.leakage}
        self.test: list[Row] = []
        self.language: str | None = None  # of most rows, or as the recipe has it
        path = recipe.data.decisions_path
        self.decisions = reviewed.read_decisions(path) if path else {}
        duplicates.require_dates(recipe.data)

    def __exit__(self, *error: object) -> None:
        self.close()

    def before(self, step: str, folder: Path) -> Preparation:
        """The work as it was before `step` (of STEPS), so that a notebook can be run from any section on.

        Where the step has not been taken yet that is this object; else a new one that takes all earlier steps again.
        `folder` is where the stage's files are now, which was renamed if it has been sealed.
        """
        if step not in self.report["rows_per_second"] and self.raw is not None and self.folder == Path(folder):
            return self
        self.close()
        anew = Preparation(self.recipe, folder, interactive=self.interactive)
        for earlier in STEPS[: STEPS.index(step)]:
            getattr(anew, earlier)()
        return anew

    def close(self) -> None:
        """Removes the working files; the rows can't be read any more."""
        self.ledger.close()
        self.raw = self.rows = None
        shutil.rmtree(self._work, ignore_errors=True)

    def load(self) -> dict[str, Any]:
        """Reads `data.path` (and `data.test_path`): rows, unreadable, formats, notes, columns, test_rows."""
        data = self.recipe.data
        with self._timed("load") as done:
            loaded = load.load(data.path, self._work / "loaded.arrow", data, watch=self._watch("read"))
            self.raw, columns = loaded.table, loaded.columns
            if data.test_path:
                self.test, of_test = load.frozen_rows(data.test_path, self._work / "test.arrow", data)
                columns = columns | of_test
            load.require_columns(data, columns)
            self.ledger.rows_in = done["rows"] = len(loaded.table) + len(loaded.bad)
            for judged in loaded.bad:
                self.ledger.reject(judged)
        summary = {"rows": self.ledger.rows_in, "unreadable": len(loaded.bad), "formats": dict(loaded.formats)}
        self.report["load"] = summary | {"notes": dict(loaded.notes), "test_rows": len(self.test)}
        return self.report["load"] | {"columns": sorted(loaded.columns)}

    def clean(self) -> dict[str, Any]:
        """Mends, masks and checks every row: changed, pii, learned (habits of the data), rejected (by reason)."""
        data, count = self.recipe.data, len(self.raw)
        with self._timed("learn habits", count):
            said = (entry.row for entry in each(self.raw, ["turns", "references"]))
            usual = habits.learn_habits(self._watch("learn habits", count)(said), count, data)
            self.language = usual.language
        with self._timed("clean", count):
            noted = (self.decisions, self.ledger, self._work / "checked.arrow", self._watch("clean", count))
            done = judge_rows(self.raw, usual, self.recipe, self.renderer, *noted)
            self.rows = WorkingTable(done.table, self.ledger)
            self.followed, self.overlong = done.followed, done.overlong
        if not len(self.rows):
            self.ledger.stop("the checks", "at least one row")
        phrases = sorted(usual.phrases.opening | usual.phrases.closing)
        learned = {"phrases": phrases, "full_stops": usual.ends.punctuated}
        self.report["clean"] = {"changed": dict(self.ledger.changed), "pii": dict(done.pii), "learned": learned}
        counts = {"flagged": dict(self.ledger.flagged), "rejected": dict(self.ledger.rejected)}
        self.report["decisions"] = dict(self.followed)
        return self.report["clean"] | counts

    def deduplicate(self) -> dict[str, Any]:
        """Finds rows that ask the same, copies and contradictions among them; the recipe says what becomes of them."""
        data, table, count = self.recipe.data, self.rows.table, len(self.rows)
        self.lexicon = Lexicon(self.language)
        with self._timed("sketch", count):
            watch = self._watch("sketch", count)
            self.sketches = sketch_table(table, data.near_duplicate_similarity, self.lexicon, watch)
        with self._timed("deduplicate", count):
            found = duplicates.resolve(table, self.sketches, data, self.lexicon)
            self.asking = found.asking
            rejected, flagged = duplicates.decide(found, data.checks)
            involved = {*rejected, *(n for _, n in rejected.values()), *(n for f in flagged.values() for _, n in f)}
            ids = {number: entry.row.id for number, entry in fetch(table, sorted(involved - {-1}), ["id"]).items()}
            self.rows.flag({n: [(check, ids[other]) for check, other in what] for n, what in flagged.items()})
            self.rows.reject({n: (reason, ids.get(instead, "")) for n, (reason, instead) in rejected.items()})
            self.copies |= {ids[n]: ids[instead] for n, (_, instead) in rejected.items() if instead >= 0}
        show = partial(self.rows.shown, beside=data.columns.created)
        self.report["duplicates"] = duplicates.summary(found, show, data.contradictions)
        return self.report["duplicates"] | {"rejected": dict(self.ledger.rejected)}

    def split(self) -> dict[str, Any]:
        """Gives every row its side, the test set its rows where no file does: rows by side, and strata."""
        data, working, from_file = self.recipe.data, self.rows, self.recipe.data.test_path is not None
        with self._timed("split", len(working)):
            options = (data.split, self.recipe.seed, from_file, data.columns.created)
            working.sides = split.assign(working.table, working.alive, self.asking, *options)
            self.test = self.test if from_file else list(working.on(TEST))
        counts = {name: working.count(at) for at, name in enumerate(NAMES)}
        self.report["split"] = {"rows": counts | {"test": len(self.test)}, "method": data.split.method}
        if data.split.stratify_by:
            self.report["split"]["strata"] = split.strata(working.table, working.sides, data.split.stratify_by)
        working.require("the split")
        return self.report["split"]

    def check_leakage(self, policy: str | None = None) -> dict[str, Any]:
        """Compares training with validation and test rows, and with evaluation files: overlaps by pair of sets.

        Another `policy` (`block`, `warn` or `drop`) than the recipe's is a trial, not noted for leakage.json.
        """
        data = self.recipe.data
        trial, policy = policy is not None, policy or data.leakage
        found: dict[str, Any] = {"policy": policy, "similarity": data.near_duplicate_similarity}
        with self._timed("check_leakage", int(self.rows.alive.sum())):
            inside = (TRAIN, VAL) if data.test_path else (TRAIN,)
            model = self.recipe.rag.embedding_model
            beside = {"lexicon": self.lexicon, "embed": embedder(model) if model else None}
            compare = partial(leakage.between, self.rows, self.sketches, data=data, policy=policy, **beside)
            found["train_and_test"] = compare(inside, self.test, "train and test")
            val = list(self.rows.on(VAL))  # after the test set: what leaked there is gone
            found["train_and_val"] = compare((TRAIN,), val, "train and val")
            for path in filter(None, [*data.decontaminate, self.recipe.evaluate.choices_path]):
                name, n = f"train_and_{Path(path).name}", data.decontaminate_ngram
                found[name] = decontaminate.against(path, self.rows, n, policy)
        self.rows.require("the leakage check")
        self.leaks = self.leaks if trial else found
        return found

    def limit_refusals(self) -> dict[str, Any]:
        """Leaves out training rows that refuse, where `data.refusal_share` bounds them.

        Returns:
            Of the training rows `rows`, `refusing` and `left_out`; `refusing_val`, `refusing_test` of the others.
        """
        recipe, working = self.recipe, self.rows
        most, refusal = recipe.data.refusal_share, recipe.prompt.refusal
        on_train = ((n, entry.row) for n, entry in enumerate(each(working.table)) if working.sides[n] == TRAIN)
        with self._timed("limit_refusals", working.count(TRAIN)):
            going = refusals.surplus(on_train, refusal, most, recipe.seed) if most is not None else ()
            working.reject({number: ("refusal", "") for number in going})
            sides = {"": working.on(TRAIN), "_val": working.on(VAL), "_test": self.test}
            refusing = {
                f"refusing{name}": sum(refusals.refuses(row, refusal) for row in side) for name, side in sides.items()
            }
        working.require("data.refusal_share")
        left_out = self.ledger.rejected["refusal"]
        self.report["refusals"] = {"rows": working.count(TRAIN), "left_out": left_out} | refusing
        return self.report["refusals"]

    def save(self) -> dict[str, int]:
        """Writes train.jsonl, val.jsonl, test.jsonl and leakage.json; returns rows by file."""
        kept = int((self.rows.sides >= 0).sum())
        with self._timed("save", kept):
            written = {"test": rows.write(self.folder / "test.jsonl", self.test)}
            for side in (TRAIN, VAL):
                name = NAMES[side]
                watch = self._watch(f"save {name}", self.rows.count(side))
                written[name] = rows.write(self.folder / f"{name}.jsonl", watch(self.rows.on(side)))
            self.ledger.balance(kept)
            atomic.write_json(self.folder / "leakage.json", self.leaks)
        counts = {"in": self.ledger.rows_in, "kept": kept, "rejected": dict(self.ledger.rejected)}
        told = {"losses": self.ledger.losses(), "flags": self.ledger.flags(), "files": written}
        self.report["rows"] = counts | told | {"advice": self.ledger.advice(self.recipe.data.max_tokens, self.overlong)}
        self.report["flags"] = self.ledger.examples
        return written

    def audit(self) -> dict[str, Any]:
        """Measures what was made, and the detectors where the truth is known; writes audit.json and counterfactuals."""
        recipe, report = self.recipe, self.report
        train = list(islice(self.rows.on(TRAIN), _AUDITED))
        with self._timed("audit", len(train)):
            words = recipe.data.bias.spoken_in(self.language)
            found, self.lengths = audit.audit_rows(train, self.test, self.renderer, recipe, words)
            heard = askers.openings(train, recipe.prompt.refusal)
            pairs = askers.counterfactuals(self.test, words, recipe.seed, heard)
            rows.write(self.folder / "counterfactuals.jsonl", pairs)
            report |= {"openings": [opening._asdict() for opening in heard[:20]]} | found
            if recipe.data.truth_path:
                self.ledger.close()
                entries = each(self.rows.table, ("id", "changes", "pii"))
                report["detectors"] = truth.detectors(recipe.data.truth_path, entries, self.folder, self.copies)
        atomic.write_json(self.folder / "audit.json", report)
        return report

    def _watch(self, what: str, total: int | None = None) -> Watch:
        return partial(progress, total=total, desc=what, interactive=self.interactive)

    @contextmanager
    def _timed(self, step: str, count: int = 0) -> Iterator[dict[str, int]]:
        """Notes how long a step took; the block may say later how many rows it was."""
        done, started = {"rows": count}, time.perf_counter()
        yield done
        seconds = time.perf_counter() - started
        speed = {"seconds": round(seconds, 3), "rows_per_second": round(done["rows"] / max(seconds, 1e-9))}
        self.report["rows_per_second"][step] = done | speed
