"""Writes the demo company's files: articles, raw exports in two shapes, test set, updates, truth."""

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random

from data.generator.demo import Demo
from data.generator.frozen import reworded_rows, test_record, test_rows, update_record, updated_articles, updates
from data.generator.raw import count_defects, raw_rows
from data.generator.rows import alpaca, messages, truth
from data.generator.science import science_records

ALPACA_SHARE = 0.6


def export(folder: Path, seed: int) -> dict[str, int]:
    """Generates everything and writes it below ``folder``.

    Args:
        folder: gets ``articles/``, ``updated_articles/``, ``raw/``, ``test.jsonl``, ``updates.jsonl``,
            ``truth.jsonl`` and ``arc.jsonl``; folders of articles are emptied first.
        seed: the same seed gives the same bytes.

    Returns:
        Counts by name, for a table.
    """
    demo = Demo.sample(seed)
    test = test_rows(demo)
    rows, conversations = raw_rows(demo, test)
    test += reworded_rows(demo, len(test) + 1)  # after the leaks were planted: of these there are none
    changes = updates(demo)
    rng = Random(f"{seed}/format")
    as_alpaca = {row.id for row in rows if rng.random() < ALPACA_SHARE}
    chats = [[row] for row in rows if row.id not in as_alpaca] + conversations
    rng.shuffle(chats)
    science = science_records(seed)

    write_texts(folder / "articles", demo.texts())
    write_texts(folder / "updated_articles", updated_articles(demo, changes))
    write_rows(folder / "raw" / "alpaca.jsonl", (alpaca(row) for row in rows if row.id in as_alpaca))
    write_rows(folder / "raw" / "messages.jsonl", (messages(turns) for turns in chats))
    write_rows(folder / "test.jsonl", map(test_record, test))
    write_rows(folder / "updates.jsonl", map(update_record, changes))
    answered = [*rows, *(row for turns in conversations for row in turns)]
    write_rows(folder / "truth.jsonl", map(truth, sorted(answered, key=lambda row: row.id)))
    write_rows(folder / "arc.jsonl", science)
    return {
        "facts": len(demo.facts),
        "facts never trained": len(demo.untrained),
        "articles": len(demo.articles),
        "raw answers": len(answered),
        "  as alpaca": len(as_alpaca),
        "  as messages (lines)": len(chats),
        "  without a planted defect": sum(not row.defects for row in answered),
        **{f"slice {name}": n for name, n in sorted(Counter(row.slice for row in answered).items())},
        **{f"defect {name}": n for name, n in sorted(count_defects(answered).items())},
        **{f"test {name}": n for name, n in Counter(row.slice for row in test).items()},
        "updated facts": len(changes),
        "science questions": len(science),
    }


def write_rows(path: Path, rows: Iterable[dict]) -> None:
    """JSON lines in UTF-8."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def write_texts(folder: Path, texts: Mapping[str, str]) -> None:
    """One Markdown file a text, in an emptied folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for stem, text in texts.items():
        (folder / f"{stem}.md").write_text(text + "\n", encoding="utf-8")
