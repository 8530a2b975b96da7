"""Bad input as people really bring it: named cases for `data.path` and the recipe's data fields. No tool is run here.

Written from the public interface alone. Every data set that is not bad as a whole holds `N` sound rows, enough for a
split. Run as a script it makes every case in a temporary folder and checks only that.

Whoever runs the cases needs a time limit and a memory limit: FIFOs and `/dev/zero` never end. Names with
"permission" mean nothing to root, names with "endless" may eat the memory, names with "hub" may use the network.
"""

import csv
import functools
import gzip
import io
import json
import os
import random
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq


class BadInput(NamedTuple):
    """One case. `fields` may hold `{folder}`, which `overrides` replaces by the folder that `make` wrote into."""

    name: str  # unique, telling, snake_case
    make: Callable[[Path], Path]  # writes what is needed into an empty folder, returns what data.path is set to
    fields: dict[str, Any] = {}  # noqa: RUF012 (never changed): overrides of recipe fields
    expect: str = "error"  # "error": refused with one clear message; "rows": read, nothing lost; "either": one of these
    says: tuple[str, ...] = ()  # if it is refused, at least one of these stands in the message
    rows: int | None = None  # if it is read, exactly so many rows before any cleaning; None: not clear


Maker = Callable[[Path], Path]
Content = bytes | str | Callable[[], bytes | str]
Outcome = tuple[str, int | None]  # expect, rows
N, MB = 120, 1_000_000
ERROR, EITHER, ROWS = ("error", None), ("either", None), ("rows", None)
ALL, MAYBE_ALL, ONE_MORE, MAYBE_ONE_MORE = ("rows", N), ("either", N), ("rows", N + 1), ("either", N + 1)
CASES: list[BadInput] = []


def add(name: str, make: Maker, outcome: Outcome = ERROR, says: str | Sequence[str] = (), **fields: Any) -> None:
    """Appends a case; in the names of `fields`, `__` stands for the dot and `data.` for the beginning."""
    dotted = {f"data.{key}".replace("__", "."): value for key, value in fields.items()}
    words = (says,) if isinstance(says, str) else tuple(says)
    CASES.append(BadInput(name, make, dotted, outcome[0], words, outcome[1]))


def overrides(case: BadInput, folder: Path) -> dict[str, Any]:
    """The fields of a case with `{folder}` filled in."""

    def fill(value: Any) -> Any:
        if isinstance(value, list):
            return [fill(item) for item in value]
        return value.replace("{folder}", str(folder)) if isinstance(value, str) else value

    return {key: fill(value) for key, value in case.fields.items()}


# Sound rows ----------------------------------------------------------------------------------------------------------

OPENERS, ADJECTIVES, NOUNS, VERBS, PLACES, REASONS = (
    words.split(",")
    for words in """\
Why does,How often does,When does,In which season does,For how long does,With whose help does
copper,narrow,silent,orange,wooden,frozen,bright,hollow,gentle,rusty,distant,folded,heavy,velvet
lamp,kettle,bridge,garden,violin,harbour,ladder,mirror,engine,carpet,window,basket,compass,chimney
warm,support,reach,cover,follow,measure,repair,carry,guard,empty,polish,replace,shelter,balance
the village,the old mill,the north hall,a quiet valley,the station,the library,a small museum
it rains,the owner asked for it,nobody else can,the law says so,it costs less,visitors like it""".splitlines()
)


def pair(seed: int) -> dict[str, Any]:
    """One plain English question and answer, unlike the others."""
    pick = random.Random(seed).choice
    one, other, does = f"{pick(ADJECTIVES)} {pick(NOUNS)}", f"{pick(ADJECTIVES)} {pick(NOUNS)}", pick(VERBS)
    return {
        "question": f"{pick(OPENERS)} the {one} {does} the {pick(NOUNS)} in {pick(PLACES)}?",
        "answer": f"After {seed % 89 + 2} days the {other} will {pick(VERBS)} it, as {pick(REASONS)}.",
    }


GOOD = [pair(seed) for seed in range(N)]
MORE = [pair(seed) for seed in range(5000, 5030)]
Q, A = pair(9001).values()
CHAT = [
    {"messages": [{"role": "user", "content": row["question"]}, {"role": "assistant", "content": row["answer"]}]}
    for row in GOOD
]
SHARE = [
    {"conversations": [{"from": "human", "value": row["question"]}, {"from": "gpt", "value": row["answer"]}]}
    for row in GOOD
]
ALPACA = [{"instruction": row["question"], "input": "", "output": row["answer"]} for row in GOOD]
PROMPTS = [{"prompt": row["question"], "completion": row["answer"]} for row in GOOD]


def said(answer: Any = A, **more: Any) -> dict[str, Any]:
    """A further row with this answer."""
    return {"question": Q, "answer": answer, **more}


def each(key: str, value: Callable[[int], Any]) -> list[dict[str, Any]]:
    """The sound rows with one more column."""
    return [{**row, key: value(number)} for number, row in enumerate(GOOD)]


def line(row: Any) -> bytes:
    """One line: bytes and text as they are, anything else as JSON."""
    return row if isinstance(row, bytes) else (row if isinstance(row, str) else json.dumps(row)).encode()


def jsonl(rows: Iterable[Any], end: bytes = b"\n") -> bytes:
    return b"".join(line(row) + end for row in rows)


def among(bad: Any, good: Sequence[Any] = GOOD) -> bytes:
    """A bad row as line 61 of sound ones."""
    return jsonl([*good[:60], bad() if callable(bad) else bad, *good[60:]])


def sheet(rows: Iterable[dict] = GOOD, sep: str = ",", head: str = "question,answer", end: str = "\r\n") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=sep, lineterminator=end).writerows([head.split(","), *(row.values() for row in rows)])
    return text.getvalue()


def packed(files: dict[str, bytes | str]) -> bytes:
    """A real zip file, which is also what an Excel sheet is."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return whole.getvalue()


def parquet(columns: dict[str, Any] | pa.Table | None = None, **options: Any) -> bytes:
    """A Parquet file of the sound rows, with these columns added or put in place."""
    whole = io.BytesIO()
    sound = {key: [row[key] for row in GOOD] for key in GOOD[0]}
    table = columns if isinstance(columns, pa.Table) else pa.table({**sound, **(columns or {})})
    pq.write_table(table, whole, **options)
    return whole.getvalue()


def arrow() -> bytes:
    whole = io.BytesIO()
    feather.write_feather(pa.table({"question": ["a"], "answer": ["b"]}), whole)
    return whole.getvalue()


def not_utf8() -> pa.Array:
    """A text column whose bytes are Latin-1, which Arrow does not check."""
    text = pa.array([b"caf\xe9 au lait"] * N, pa.binary())
    return pa.Array.from_buffers(pa.string(), N, text.buffers())


# Makers --------------------------------------------------------------------------------------------------------------


def write(path: Path, content: Content) -> Path:
    made = content() if callable(content) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(made if isinstance(made, bytes) else made.encode())
    return path


def one(name: str, content: Content) -> Maker:
    """One file, which is data.path."""
    return lambda folder: write(folder / name, content)


def rows_of(*rows: Any) -> Maker:
    return one("data.jsonl", lambda: jsonl(rows))


def many(files: dict[str, Content], path: str = "") -> Maker:
    """Several files; data.path is their folder, or the one named."""

    def make(folder: Path) -> Path:
        for name, content in files.items():
            write(folder / name, content)
        return folder / path

    return make


def beside(files: dict[str, Content]) -> Maker:
    """`data.jsonl`, which is sound and is data.path, and other files that fields name."""
    return many({"data.jsonl": jsonl(GOOD), **files}, "data.jsonl")


def path_to(name: str) -> Maker:
    """A path, and nothing else, beside a sound `data.jsonl`."""
    return lambda folder: write(folder / "data.jsonl", jsonl(GOOD)).parent / name


def special(do: Callable[[Path], Any], inside: bool) -> Maker:
    """Something that is no plain file, made by `do`, as data.path or in a folder beside a sound file."""

    def make(folder: Path) -> Path:
        if inside:
            write(folder / "sound.jsonl", jsonl(GOOD))
        do(folder / "strange.jsonl")
        return folder if inside else folder / "strange.jsonl"

    return make


def locked(path: str, lock: str) -> Maker:
    """Sound files, one of them or a folder with no rights at all."""

    def make(folder: Path) -> Path:
        many({"all/one.jsonl": jsonl(GOOD[:60]), "all/sub/two.jsonl": jsonl(GOOD[60:])})(folder)
        (folder / lock).chmod(0)
        return folder / path

    return make


def loop_of_folders(path: Path) -> None:
    (path.parent / "sub").mkdir()
    (path.parent / "sub" / "up").symlink_to(path.parent, target_is_directory=True)


# Nothing in it, or something else than its name says -----------------------------------------------------------------

KINDS = ("jsonl", "ndjson", "json", "csv", "tsv", "parquet", "txt", "md")
NOTHING = {"empty": b"", "bom_only": b"\xef\xbb\xbf", "blank": b" \n\t\r\n\n"}
for kind, (what, nothing) in product(KINDS, NOTHING.items()):
    add(f"{what}_{kind}", one(f"data.{kind}", nothing), says=f"data.{kind}")
add("empty_gz_of_no_bytes", one("data.jsonl.gz", b""), says="data.jsonl.gz")
add("empty_file_in_gz", one("data.jsonl.gz", lambda: gzip.compress(b"")), says="data.jsonl.gz")
add("million_blank_lines", one("data.jsonl", lambda: b"\n" * MB), says="data.jsonl")
add("zeros_60_mb_parquet", one("data.parquet", lambda: bytes(60 * MB)), says="data.parquet")
add("zeros_60_mb_jsonl", one("data.jsonl", lambda: bytes(60 * MB)), says="data.jsonl")

FOREIGN = {
    "excel": lambda: packed({"[Content_Types].xml": "<Types/>", "xl/workbook.xml": "<workbook/>"}),
    "zip": lambda: packed({"data.jsonl": jsonl(GOOD)}),
    "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<</Type/Catalog>>\nendobj\n%%EOF\n",
    "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0\x90wS\xde",
    "sqlite": b"SQLite format 3\0" + bytes(4096),
    "html_login": "<!DOCTYPE html>\n<html><head><title>Sign in</title></head>\n<body>Please, log in</body></html>\n",
    "git_lfs_pointer": f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0f' * 32}\nsize 123456\n",
    "parquet": parquet,
    "torn_gzip": lambda: gzip.compress(jsonl(GOOD))[:300],
}
for (what, content), kind in product(FOREIGN.items(), ("jsonl", "json", "csv")):
    add(f"{what}_called_{kind}", one(f"data.{kind}", content), EITHER if what == "parquet" else ERROR, f"data.{kind}")
for what in ("excel", "html_login", "git_lfs_pointer"):
    add(f"{what}_called_parquet", one("data.parquet", FOREIGN[what]), says="data.parquet")
for name, file, content, outcome in (
    ("pretty_array_called_jsonl", "data.jsonl", lambda: json.dumps(GOOD, indent=2), MAYBE_ALL),
    ("array_in_one_line_called_jsonl", "data.jsonl", lambda: json.dumps(GOOD), MAYBE_ALL),
    (
        "pretty_objects_called_jsonl",
        "data.jsonl",
        lambda: "\n".join(json.dumps(row, indent=1) for row in GOOD),
        MAYBE_ALL,
    ),
    ("jsonl_called_json", "data.json", jsonl(GOOD), MAYBE_ALL),
    ("csv_called_json", "data.json", sheet(), MAYBE_ALL),
    ("csv_called_jsonl", "data.jsonl", sheet(), MAYBE_ALL),
    ("jsonl_called_csv", "data.csv", jsonl(GOOD), MAYBE_ALL),
    ("jsonl_called_txt", "data.txt", jsonl(GOOD), EITHER),
    ("jsonl_called_parquet", "data.parquet", jsonl(GOOD), MAYBE_ALL),
    ("jsonl_in_capitals", "DATA.JSONL", jsonl(GOOD), ALL),
    ("jsonl_without_extension", "data", jsonl(GOOD), MAYBE_ALL),
    ("jsonl_called_bak", "data.jsonl.bak", jsonl(GOOD), MAYBE_ALL),
    ("excel_by_its_own_name", "data.xlsx", FOREIGN["excel"], ERROR),
    ("zip_by_its_own_name", "data.zip", FOREIGN["zip"], MAYBE_ALL),
    ("gzip_without_gz", "data.jsonl", lambda: gzip.compress(jsonl(GOOD)), MAYBE_ALL),
    ("plain_text_called_gz", "data.jsonl.gz", jsonl(GOOD), MAYBE_ALL),
    ("gz_without_inner_name", "data.gz", lambda: gzip.compress(jsonl(GOOD)), MAYBE_ALL),
    ("gz_twice", "data.jsonl.gz", lambda: gzip.compress(gzip.compress(jsonl(GOOD))), MAYBE_ALL),
    ("gz_torn_in_the_middle", "data.jsonl.gz", lambda: gzip.compress(jsonl(GOOD))[:900], ERROR),
    (
        "gz_torn_at_a_row_end",
        "data.jsonl.gz",  # whole rows come out of it, only the end mark is missing
        lambda: (z := zlib.compressobj(wbits=31)).compress(jsonl(GOOD)) + z.flush(zlib.Z_FULL_FLUSH),
        ERROR,
    ),
    ("gz_wrong_checksum", "data.jsonl.gz", lambda: gzip.compress(jsonl(GOOD))[:-8] + b"\1" * 8, ERROR),
    ("gz_rubbish_behind", "data.jsonl.gz", lambda: gzip.compress(jsonl(GOOD)) + b"rubbish", MAYBE_ALL),
    ("gz_zeros_behind", "data.jsonl.gz", lambda: gzip.compress(jsonl(GOOD)) + bytes(512), MAYBE_ALL),
    (
        "gz_two_members",
        "data.jsonl.gz",
        lambda: b"".join(map(gzip.compress, (jsonl(GOOD[:60]), jsonl(GOOD[60:])))),
        ALL,
    ),
    ("gz_csv", "data.csv.gz", lambda: gzip.compress(sheet().encode()), ALL),
    ("gz_json", "data.json.gz", lambda: gzip.compress(json.dumps(GOOD).encode()), ALL),
    ("gz_parquet", "data.parquet.gz", lambda: gzip.compress(parquet()), MAYBE_ALL),
):
    add(name, one(file, content), outcome, file)
BEYOND = "Crème brûlée – “naïve” 価格"  # with characters of the encoding; the others have a part of it
for code, (kind, text) in product(
    ("utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252", "shift_jis", "gb18030"),
    {
        "jsonl": "\n".join(json.dumps(row, ensure_ascii=False) for row in [*GOOD, said(f"{BEYOND}. {A}")]),
        "json": json.dumps([*GOOD, said(f"{BEYOND}. {A}")], ensure_ascii=False),
        "csv": sheet([*GOOD, said(f"{BEYOND}. {A}")]),
    }.items(),
):
    content = text.encode(code, "ignore")
    add(
        f"{kind}_in_{code.replace('-', '_')}",
        one(f"data.{kind}", content),
        ONE_MORE if code == "utf-8-sig" else MAYBE_ONE_MORE,
        f"data.{kind}",
    )

# Paths, names, folders -----------------------------------------------------------------------------------------------

for name, path, says in (
    ("missing_file", "nowhere.jsonl", "nowhere.jsonl"),
    ("missing_folder", "no/where", "where"),
    ("file_as_folder", "data.jsonl/part", "data.jsonl"),
    ("name_too_long", "x" * 300, ""),
    ("nul_in_path", "a\0b.jsonl", "path"),
    ("misspelt_extension", "data.josnl", "data.josnl"),
    ("home_sign_of_nobody", "~nobody/x.jsonl", "nobody"),
):
    add(f"path_{name}", path_to(path), says=says or "path")
add(
    "path_hub_name_unknown",
    lambda _: Path("no-such-owner-of-data/no-such-set"),
    says="no-such-owner-of-data/no-such-set",
)
add("path_glob", path_to("*.jsonl"), MAYBE_ALL, "*.jsonl")
for what, do in {
    "fifo": os.mkfifo,
    "socket": lambda path: os.mknod(path, stat.S_IFSOCK | 0o600),
    "endless_device": lambda path: path.symlink_to("/dev/zero"),
    "dev_null": lambda path: path.symlink_to("/dev/null"),
    "link_to_itself": lambda path: path.symlink_to(path),
    "folder_with_a_files_name": Path.mkdir,
    "dangling_link": lambda path: path.symlink_to("gone.jsonl"),
}.items():
    add(f"path_{what}", special(do, inside=False), says="strange.jsonl")
    add(f"folder_holds_{what}", special(do, inside=True), MAYBE_ALL, "strange.jsonl")
add("folder_holds_loop_of_folders", special(loop_of_folders, inside=True), MAYBE_ALL, ("sub", "up"))


def linked(folder: Path) -> Path:
    (folder / "link.jsonl").symlink_to(write(folder / "a" / "data.jsonl", jsonl(GOOD)))
    return folder / "link.jsonl"


add("path_link_to_sound_file", linked, ALL)
for name, path, lock in (
    ("file", "all/one.jsonl", "all/one.jsonl"),
    ("file_in_folder", "all", "all/one.jsonl"),
    ("folder", "all", "all"),
    ("subfolder", "all", "all/sub"),
):
    add(f"permission_{name}", locked(path, lock), says=("permission", "Permission", "may not be read"))

for what, name in {
    "space": "my data.jsonl",
    "newline": "a\nb.jsonl",
    "unicode": "Fragen_質問_вопрос.jsonl",
    "emoji": "😀.jsonl",
    "minus": "-p.jsonl",
    "glob_signs": "[a]*?.jsonl",
    "yaml_signs": "a: b # c.jsonl",
    "quotes": "'\".jsonl",
    "percent": "100%s.jsonl",
    "brace": "{0}.jsonl",
    "dollar": "$HOME.jsonl",
}.items():
    add(f"file_name_with_{what}", one(name, jsonl(GOOD)), ALL, name)
add("file_name_not_utf8_in_folder", many({os.fsdecode(b"caf\xe9.jsonl"): jsonl(GOOD)}), MAYBE_ALL, "caf")

for what, names in {
    "no_file": "",
    "pictures_only": "a.png b.pdf",
    "hidden_files_only": ".a.jsonl .DS_Store",
    "empty_files_only": "a.jsonl b.jsonl",
    "file_without_extension_only": "LICENSE",
}.items():
    add(
        f"folder_with_{what}",
        many({f"in/{name}": b"" for name in names.split()} or {"out.jsonl": jsonl(GOOD)}, "in")
        if names
        else lambda folder: (folder / "empty").mkdir() or folder / "empty",
        says=("in", "empty", "folder"),
    )
for name in (
    ".data.jsonl.swp",
    "~$x.csv",
    ".~lock.data.csv#",
    ".DS_Store",
    "__MACOSX/._x.json",
    "._data.jsonl",
    "data.jsonl~",
    "#data.jsonl#",
    "Thumbs.db",
    ".git/config.json",
    "data.jsonl.tmp",
):
    add(
        "folder_litter_" + "".join(c if c.isalnum() else "_" for c in name.lower()),
        many({"data.jsonl": jsonl(GOOD), name: b"b0VIM 8.2\0\0\x10\xff\0{not data"}),
        ALL,
        name.split("/")[-1],
    )
for name, files, outcome in (
    (
        "copy_of_notebook_checkpoint",
        {"a.jsonl": jsonl(GOOD), ".ipynb_checkpoints/a-checkpoint.jsonl": jsonl(GOOD)},
        ALL,
    ),
    ("readme_beside", {"a.jsonl": jsonl(GOOD), "README.md": "# Our data\n\nMade in spring.\n"}, MAYBE_ALL),
    ("dataset_info_beside", {"a.jsonl": jsonl(GOOD), "dataset_info.json": '{"features": {}, "splits": []}'}, MAYBE_ALL),
    ("one_empty_file", {"a.jsonl": jsonl(GOOD), "b.jsonl": b""}, MAYBE_ALL),
    ("one_torn_file", {"a.jsonl": jsonl(GOOD), "b.jsonl": b'{"question": "Wh'}, ERROR),
    ("subfolder", {"a.jsonl": jsonl(GOOD[:60]), "sub/deep/b.jsonl": jsonl(GOOD[60:])}, MAYBE_ALL),
    ("only_subfolder", {"sub/a.jsonl": jsonl(GOOD)}, MAYBE_ALL),
    ("three_formats", {"a.jsonl": jsonl(GOOD[:40]), "b.csv": sheet(GOOD[40:80]), "c.json": json.dumps(GOOD[80:])}, ALL),
    ("chat_and_alpaca", {"a.jsonl": jsonl(CHAT[:60]), "b.jsonl": jsonl(ALPACA[60:])}, MAYBE_ALL),
    ("excel_beside_csv", {"a.csv": sheet(), "b.xlsx": FOREIGN["excel"]}, MAYBE_ALL),
    ("train_and_test_files", {"train.jsonl": jsonl(GOOD), "test.jsonl": jsonl(MORE)}, ("either", N + len(MORE))),
    ("two_thousand_files", {f"{i % 50}/{i}.json": json.dumps([pair(i)]) for i in range(2000)}, ("either", 2000)),
):
    add(f"folder_{name}", many(files), outcome, [*files, "folder"][1:])

# One bad row among sound ones: each with on_bad_row fail and reject --------------------------------------------------

MUST = {  # no reader can take these for a question and an answer
    "torn": '{"question": "What is',
    "prose": "What is the price?",
    "html_line": "<br>",
    "single_quotes": "{'question': 'Is it?', 'answer': 'Yes.'}",
    "python_repr": "{'question': 'Is it?', 'answer': None}",
    "python_true": '{"question": "Is it?", "answer": True}',
    "slash_comment": "// more",
    "hash_comment": "# more",
    "trailing_comma": line(said())[:-1] + b",}",
    "comma_behind": line(said()) + b",",
    "unquoted_keys": '{question: "a"}',
    "two_in_a_line": line(said()) * 2,
    "bad_escape": '{"question": "\\x41?", "answer": "b"}',
    "latin1_bytes": '{"question": "Où?", "answer": "Là."}'.encode("latin-1"),
    "merge_conflict": "<<<<<<< HEAD",
    "surrogate_bytes": b'{"question": "\xed\xa0\x80?", "answer": "b"}',
    "nul_bytes": bytes(50),
    "number": 42,
    "string": '"What is it?"',
    "null": None,
    "true": True,
    "empty_list": [],
    "list_of_texts": [Q, A],
    "list_of_row": [said()],
    "empty_object": {},
    "no_answer": {"question": Q},
    "no_question": {"answer": A},
    "foreign_keys": {"Frage": Q, "Antwort": A},
    "answer_object": said({"text": A}),
    "answer_objects": said([{"text": A}]),
    "question_object": {"question": {"text": Q}, "answer": A},
    "question_list": {"question": [Q, Q], "answer": A},
    "same_key_twice": json.dumps({"question": "Who?"})[:-1].encode() + b", " + line(said())[1:],
    "brackets_100_000": lambda: b'{"question": "a", "answer": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "objects_100_000_deep": lambda: b'{"question":' * 100_000 + b"1" + b"}" * 100_000,
    "line_50_mb_not_json": lambda: b"x" * (50 * MB),
}
MAY = {  # taken, cleaned away with a reason, or refused
    "answer_null": said(None),
    "question_null": {"question": None, "answer": A},
    "answer_empty": said(""),
    "question_empty": {"question": "", "answer": A},
    "both_empty": {"question": "", "answer": ""},
    "answer_blank": said(" \t\n"),
    "answer_invisible": said("\u200b\ufeff\u2060"),
    "answer_number": said(42),
    "answer_true": said(True),
    "answer_texts": said([A, "Soon."]),
    "answer_empty_list": said([]),
    "answer_nan": '{"question": "How many are there?", "answer": NaN}',
    "answer_infinity": '{"question": "How many are there?", "answer": -Infinity}',
    "answer_1e999": b'{"question": "a", "answer": 1e999}',
    "answer_10_000_digits": lambda: b'{"question": "How many?", "answer": ' + b"7" * 10_000 + b"}",
    "lone_surrogate": {"question": f"\ud800 {Q}", "answer": A},
    "lone_surrogate_in_other_column": said(note="\udfff"),
    "lone_surrogate_in_a_key": said(**{"\ud800": 1}),
    "escaped_nul": said("a\0b " + A),
    "control_characters": said(f"\x01\x02\x1b[31m\x7f {A}"),
    "raw_tab": line(said("TAB")).replace(b"TAB", b"a\tb"),
    "bom_before": b"\xef\xbb\xbf" + line(said()),
    "keys_in_capitals": {"Question": Q, "ANSWER": A},
    "keys_with_spaces": {"question ": Q, " answer": A},
    "emoji_only": {"question": "🤔❓", "answer": "👍🏽"},
    "right_to_left": {"question": "מה השעה? ‮abc‬", "answer": "الساعة الآن الخامسة"},
    "line_50_mb": lambda: said("word " * (10 * MB)),
    "answer_5_mb": lambda: said("Every lamp is warm. " * 250_000),
    "keys_200_000": lambda: said(**{f"k{i}": i for i in range(200_000)}),
}
CHAT_MUST = {
    "no_assistant": [("user", Q)],
    "only_system": [("system", "Be kind.")],
    "empty": [],
    "null": None,
    "text": "hello",
    "number": 7,
    "one_turn_no_list": {"role": "user", "content": Q},
    "turns_are_texts": [Q, A],
    "a_turn_is_null": [("user", Q), None],
    "role_unknown": [("user", Q), ("narrator", A)],
    "role_missing": [{"content": Q}, ("assistant", A)],
    "role_number": [(1, Q), (2, A)],
    "content_missing": [("user", Q), {"role": "assistant"}],
    "content_object": [("user", Q), ("assistant", {"a": A})],
    "image_part": [
        ("user", [{"type": "image_url", "image_url": {"url": "x.png"}}, {"type": "text", "text": Q}]),
        ("assistant", A),
    ],
    "image_only": [("user", [{"type": "image"}]), ("assistant", A)],
}
CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]}
CHAT_MAY = {
    "assistant_only": [("assistant", A)],
    "assistant_first": [("assistant", "Hello."), ("user", Q), ("assistant", A)],
    "two_users": [("user", "Well."), ("user", Q), ("assistant", A)],
    "two_assistants": [("user", Q), ("assistant", A), ("assistant", "Yes.")],
    "user_last": [("user", Q), ("assistant", A), ("user", "Thanks.")],
    "system_last": [("user", Q), ("assistant", A), ("system", "Be kind.")],
    "system_twice": [("system", "Be kind."), ("system", "Be brief."), ("user", Q), ("assistant", A)],
    "as_json_text": json.dumps(CHAT[0]["messages"]),
    "role_in_capitals": [("User", Q), ("ASSISTANT", A)],
    "role_developer": [("developer", "Be kind."), ("user", Q), ("assistant", A)],
    "content_null": [("user", Q), ("assistant", None)],
    "content_empty": [("user", Q), ("assistant", "")],
    "content_number": [("user", Q), ("assistant", 42)],
    "text_parts": [("user", [{"type": "text", "text": Q}]), ("assistant", [{"type": "text", "text": A}])],
    "parts_empty": [("user", Q), ("assistant", [])],
    "tool_call_last": [("user", Q), CALL],
    "tool_answer": [("user", Q), CALL, {"role": "tool", "tool_call_id": "1", "content": "5"}, ("assistant", A)],
    "function_role": [("user", Q), {"role": "function", "name": "f", "content": "5"}, ("assistant", A)],
    "list_in_list": [[("user", Q), ("assistant", A)]],
    "turns_100_000": [("user", "More?"), ("assistant", "Yes, more.")] * 50_000,
}


def turns(value: Any, role: str, content: str) -> Any:
    """The short form of a conversation, (role, content), written out."""
    if isinstance(value, tuple):
        return {role: value[0], content: value[1]}
    return [turns(item, role, content) for item in value] if isinstance(value, list) else value


def both_ways(prefix: str, bad_rows: dict[str, Any], good: list[Any], outcome: Outcome) -> None:
    for name, bad in bad_rows.items():
        make = one("data.jsonl", functools.partial(among, bad, good))
        add(f"{prefix}_{name}_fail", make, outcome, "line 61", on_bad_row="fail")
        add(f"{prefix}_{name}_reject", make, ALL if outcome == ERROR else ROWS, on_bad_row="reject")


both_ways("row", MUST, GOOD, ERROR)
both_ways("row", MAY, GOOD, EITHER)
both_ways("chat", {name: {"messages": turns(bad, "role", "content")} for name, bad in CHAT_MUST.items()}, CHAT, ERROR)
both_ways("chat", {name: {"messages": turns(bad, "role", "content")} for name, bad in CHAT_MAY.items()}, CHAT, EITHER)
SHARE_MUST = {
    "value_missing": [{"from": "human", "value": Q}, {"from": "gpt"}],
    "from_missing": [{"value": Q}, {"value": A}],
    "empty": [],
    "from_unknown": [("human", Q), ("parrot", A)],
    "keys_mixed": [{"from": "human", "value": Q}, {"role": "gpt", "value": None}],
}
SHARE_MAY = {"gpt_first": [("gpt", "Hello."), ("human", Q), ("gpt", A)], "value_null": [("human", Q), ("gpt", None)]}
for table, outcome in ((SHARE_MUST, ERROR), (SHARE_MAY, EITHER)):
    both_ways(
        "sharegpt",
        {name: {"conversations": turns(bad, "from", "value")} for name, bad in table.items()},
        SHARE,
        outcome,
    )
both_ways(
    "alpaca", {"output_missing": {"instruction": Q}, "output_object": {"instruction": Q, "output": {}}}, ALPACA, ERROR
)
both_ways(
    "alpaca",
    {
        "input_null": {"instruction": Q, "input": None, "output": A},
        "instruction_empty": {"instruction": "", "input": Q, "output": A},
    },
    ALPACA,
    EITHER,
)
both_ways(
    "prompt",
    {"completion_missing": {"prompt": Q}, "completion_of_numbers": {"prompt": Q, "completion": [1]}},
    PROMPTS,
    ERROR,
)
for name, bad in {"all_bad": [None] * 30, "all_foreign_keys": [{"Frage": Q, "Antwort": A}] * 30}.items():
    for way in ("fail", "reject"):
        add(f"rows_{name}_{way}", rows_of(*bad), says="data.jsonl", on_bad_row=way)

# JSON and JSONL as a whole -------------------------------------------------------------------------------------------

NAMED = {"train_and_test": "train", "two_lists_named": "spring"}
SQUAD = [
    {
        "title": "T",
        "paragraphs": [
            {
                "context": f"Listen. {row['answer']}",
                "qas": [
                    {
                        "id": str(i),
                        "question": row["question"],
                        "answers": [{"text": row["answer"], "answer_start": 8}],
                        "is_impossible": False,
                    }
                ],
            }
        ],
    }
    for i, row in enumerate(GOOD)
]
for name, content, outcome in (
    ("null", "null", ERROR),
    ("text", '"data"', ERROR),
    ("number", "17", ERROR),
    ("empty_list", "[]", ERROR),
    ("empty_object", "{}", ERROR),
    ("list_of_empty_objects", "[{}, {}]", ERROR),
    ("torn_list", json.dumps(GOOD)[:-50], ERROR),
    ("list_of_texts", json.dumps([Q, A]), ERROR),
    ("list_of_numbers", "[1, 2]", ERROR),
    ("list_of_pairs", json.dumps([[Q, A]]), EITHER),
    ("rubbish_behind", json.dumps(GOOD) + " rubbish", ERROR),
    ("two_lists", json.dumps(GOOD[:60]) + json.dumps(GOOD[60:]), MAYBE_ALL),
    ("trailing_comma", json.dumps(GOOD)[:-1] + ",]", ERROR),
    ("comments", "// ours\n" + json.dumps(GOOD), ERROR),
    ("python_repr", repr(GOOD), ERROR),
    ("javascript", "const data = " + json.dumps(GOOD) + ";", ERROR),
    ("deep_brackets", b"[" * 100_000 + b"]" * 100_000, ERROR),
    ("json_in_a_text", json.dumps(json.dumps(GOOD)), MAYBE_ALL),
    ("train_and_test", json.dumps({"train": GOOD, "test": MORE}), ERROR),
    ("two_lists_named", json.dumps({"spring": GOOD, "autumn": MORE}), ERROR),
    ("data_and_empty", json.dumps({"data": GOOD, "errors": []}), MAYBE_ALL),
    ("data", json.dumps({"version": 1, "data": GOOD}), MAYBE_ALL),
    ("data_rows_nested", json.dumps({"data": {"rows": GOOD}}), MAYBE_ALL),
    ("hub_rows", json.dumps({"rows": [{"row_idx": i, "row": row} for i, row in enumerate(GOOD)]}), MAYBE_ALL),
    ("by_id", json.dumps({f"q{i}": row for i, row in enumerate(GOOD)}), MAYBE_ALL),
    ("column_lists", json.dumps({key: [row[key] for row in GOOD] for key in GOOD[0]}), MAYBE_ALL),
    ("column_objects", json.dumps({key: {i: row[key] for i, row in enumerate(GOOD)} for key in GOOD[0]}), MAYBE_ALL),
    (
        "pandas_split",
        json.dumps({"columns": ["question", "answer"], "data": [list(row.values()) for row in GOOD]}),
        MAYBE_ALL,
    ),
    ("squad", json.dumps({"version": "2.0", "data": SQUAD}), MAYBE_ALL),
):
    add(f"json_{name}", one("data.json", content), outcome, NAMED.get(name, "data.json"))
PARTED = line(json.dumps(said(f"{A}\u2028\u2029\x85{A}"), ensure_ascii=False)) + b"\n"  # one line, not four
BOTH = [{**chat, **row} for chat, row in zip(CHAT, GOOD[1:] + GOOD[:1], strict=True)]  # which do not agree
for name, content, outcome, says in (
    ("without_last_newline", jsonl(GOOD)[:-1], ALL, ()),
    ("windows_ends", jsonl(GOOD, b"\r\n"), ALL, ()),
    ("mixed_ends", jsonl(GOOD[:60], b"\r\n") + jsonl(GOOD[60:]), ALL, ()),
    ("mac_ends", jsonl(GOOD, b"\r"), MAYBE_ALL, "data.jsonl"),
    ("blank_lines_between", jsonl(GOOD, b"\n\n \n"), ALL, ()),
    ("comma_at_every_end", jsonl(GOOD, b",\n"), MAYBE_ALL, "line 1"),
    ("brackets_on_own_lines", b"[\n" + jsonl(GOOD, b",\n")[:-2] + b"\n]\n", MAYBE_ALL, "line 1"),
    ("no_newlines_at_all", jsonl(GOOD, b""), MAYBE_ALL, "line 1"),
    ("record_separators", b"\x1e" + jsonl(GOOD, b"\n\x1e"), MAYBE_ALL, "line 1"),
    ("line_separators_in_texts", PARTED + jsonl(GOOD), ONE_MORE, "line"),
    ("torn_at_the_end", jsonl(GOOD) + b'{"question": "Wh', ERROR, "line 121"),
    ("zeros_at_the_end", jsonl(GOOD) + bytes(4096), ERROR, "line 121"),
    (
        "boms_where_files_were_joined",
        b"\xef\xbb\xbf".join((b"", jsonl(GOOD[:60]), jsonl(GOOD[60:]))),
        MAYBE_ALL,
        "line 61",
    ),
    ("rows_as_json_texts", jsonl(json.dumps(json.dumps(row)) for row in GOOD), MAYBE_ALL, "line 1"),
    ("alpaca_then_chat", jsonl(ALPACA[:60] + CHAT[60:]), MAYBE_ALL, "line 61"),
    ("question_and_messages", jsonl(BOTH), MAYBE_ALL, ("messages", "question")),
    (
        "column_changes_type",
        jsonl(each("note", lambda i: [i, "x", None, {"a": i}, [i], 1.5, True][i % 7])),
        ALL,
        "note",
    ),
    ("column_comes_late", jsonl(GOOD[:110] + each("note", str)[110:]), ALL, "note"),
):
    add(f"jsonl_{name}", one("data.jsonl", content), outcome, says)

# CSV and TSV ---------------------------------------------------------------------------------------------------------

HEAD, FIRST, REST = "question,answer\r\n", sheet(GOOD[:60]), sheet(GOOD[60:]).split("\r\n", 1)[1]
WORDS_OF_PANDAS = ("None", "NA", "null", "nan", "007", "1e5", "=1+1", "TRUE")  # answers that must stay what they are
for name, content, outcome, says in (
    ("semicolons", sheet(sep=";"), MAYBE_ALL, ";"),
    ("tabs", sheet(sep="\t"), MAYBE_ALL, "tab"),
    ("pipes", sheet(sep="|"), MAYBE_ALL, "|"),
    ("excel_sep_line", "sep=;\r\n" + sheet(sep=";"), MAYBE_ALL, "sep="),
    ("title_above_header", "Our data,\r\n" + sheet(), ERROR, "Our data"),
    ("header_only", HEAD, ERROR, "data.csv"),
    ("no_header", sheet().split("\r\n", 1)[1], ERROR, "question"),
    ("blank_header", ",\r\n" + REST, ERROR, "question"),
    ("header_doubled", sheet([{**row, "z": Q} for row in GOOD], head="question,answer,answer"), ERROR, "answer"),
    ("header_repeated_below", FIRST + HEAD + REST, EITHER, "line"),
    ("one_column", sheet([{"q": Q}] * N, head="question"), ERROR, "answer"),
    ("header_case_differs", sheet(head="Question,ANSWER"), MAYBE_ALL, "Question"),
    ("header_spaces", sheet(head=" question ,answer "), MAYBE_ALL, "answer "),
    (
        "columns_differ_by_case",
        sheet([{**row, "z": Q} for row in GOOD], head="question,answer,Answer"),
        MAYBE_ALL,
        "Answer",
    ),
    ("foreign_header", sheet(head="Frage,Antwort"), ERROR, "Frage"),
    ("pandas_index", sheet([{"i": i, **row} for i, row in enumerate(GOOD)], head=",question,answer"), ALL, ()),
    ("comma_at_every_end", sheet([{**row, "z": ""} for row in GOOD], head="question,answer,"), ALL, ()),
    ("blank_lines", sheet(end="\r\n\r\n"), ALL, ()),
    ("mixed_ends", FIRST + REST.replace("\r\n", "\n"), ALL, ()),
    ("mac_ends", sheet(end="\r"), MAYBE_ALL, "data.csv"),
    ("quote_in_the_middle", FIRST + 'What is a "lamp" for?,It gives "light" at night.\r\n' + REST, ONE_MORE, ()),
    ("newlines_in_cells", FIRST + '"What\r\nis it?","A\nlamp, ""bright""."\r\n' + REST, ONE_MORE, ()),
    ("cell_200_kb", FIRST + f"{Q},{'warm ' * 40_000}\r\n" + REST, ONE_MORE, ()),
    ("nul_in_a_cell", FIRST + f"{Q},a\0b\r\n" + REST, MAYBE_ONE_MORE, "line"),
    ("zeros_at_the_end", sheet() + "\0" * 4096, ERROR, "data.csv"),
    ("quote_never_closed", FIRST + f'"{Q},{A}\r\n' + REST, ERROR, ("line 62", "line 63")),
    ("words_of_pandas", sheet([*GOOD, *map(said, WORDS_OF_PANDAS)]), ("rows", N + 8), ()),
    ("cell_60_mb", lambda: FIRST + f'{Q},"{"warm lamp, " * (5 * MB + MB // 2)}"\r\n' + REST, MAYBE_ONE_MORE, "line"),
    (
        "columns_200_000",
        lambda: sheet(
            [{**row, **dict.fromkeys(range(200_000), "")} for row in GOOD[:3]], head="question,answer" + ",c" * 200_000
        ),
        EITHER,
        "c",
    ),
):
    add(f"csv_{name}", one("data.csv", content), outcome, says)
add("tsv_with_commas", one("data.tsv", sheet()), MAYBE_ALL, "data.tsv")
add(
    "csv_foreign_header_named",
    one("data.csv", sheet(head="Frage,Antwort")),
    ALL,
    columns={"question": "Frage", "answer": "Antwort"},
)
for name, bad in {"cell_too_many": f"{Q},{A},more", "cell_missing": Q, "quote_reopened": f'{Q},"a" b "c'}.items():
    for way in ("fail", "reject"):
        outcome = EITHER if name == "quote_reopened" else ERROR if way == "fail" else ALL
        add(f"csv_{name}_{way}", one("data.csv", f"{FIRST}{bad}\r\n{REST}"), outcome, "line 62", on_bad_row=way)

# Parquet -------------------------------------------------------------------------------------------------------------

QUESTIONS, ANSWERS = ([row[key] for row in GOOD] for key in ("question", "answer"))
TWICE = pa.Table.from_arrays(
    [pa.array(QUESTIONS), pa.array(ANSWERS), pa.array(QUESTIONS)], names=["question", "answer", "answer"]
)
for name, content, outcome, says in (
    ("torn", lambda: parquet()[:-20], ERROR, "data.parquet"),
    ("magic_only", b"PAR1PAR1", ERROR, "data.parquet"),
    ("is_arrow", arrow, ERROR, "data.parquet"),
    ("damaged_page", lambda: (b := parquet())[:60] + b"\xff" * 400 + b[460:], ERROR, "data.parquet"),
    (
        "no_rows",
        lambda: parquet(pa.table({"question": pa.array([], pa.string()), "answer": pa.array([], pa.string())})),
        ERROR,
        "data.parquet",
    ),
    ("no_columns", lambda: parquet(pa.table({})), ERROR, "data.parquet"),
    ("one_column", lambda: parquet(pa.table({"question": QUESTIONS})), ERROR, "answer"),
    ("column_twice", lambda: parquet(TWICE), ERROR, "answer"),
    ("not_utf8", lambda: parquet({"answer": not_utf8()}), ERROR, ("row", "answer", "UTF-8")),
    ("all_null", lambda: parquet({"answer": pa.nulls(N)}), ERROR, "answer"),
    ("struct", lambda: parquet({"answer": [{"text": a} for a in ANSWERS]}), ERROR, "answer"),
    ("lists", lambda: parquet({"answer": [[a] for a in ANSWERS]}), MAYBE_ALL, "answer"),
    ("binary", lambda: parquet({"answer": [a.encode() for a in ANSWERS]}), MAYBE_ALL, "answer"),
    ("timestamps", lambda: parquet({"answer": pa.array(range(N), pa.timestamp("us", "UTC"))}), MAYBE_ALL, "answer"),
    (
        "timestamp_of_no_python_date",
        lambda: parquet({"note": pa.array([2**62] * N, pa.timestamp("us"))}),
        MAYBE_ALL,
        "note",
    ),
    ("dictionary", lambda: parquet({"answer": pa.array(ANSWERS).dictionary_encode()}), ALL, ()),
    ("large_string", lambda: parquet({"answer": pa.array(ANSWERS, pa.large_string())}), ALL, ()),
    ("some_null", lambda: parquet({"answer": [None, *ANSWERS[1:]]}), EITHER, ("row", "answer")),
    ("map_column", lambda: parquet({"note": pa.array([[("a", 1)]] * N, pa.map_(pa.string(), pa.int64()))}), ALL, ()),
    ("decimal_column", lambda: parquet({"note": pa.array([1] * N, pa.decimal128(5))}), ALL, ()),
    ("many_row_groups", lambda: parquet(row_group_size=1), ALL, ()),
    ("chat", lambda: parquet(pa.table({"messages": [row["messages"] for row in CHAT]})), ALL, ()),
):
    add(f"parquet_{name}", one("data.parquet", content), outcome, says)

# Ids, groups, columns ------------------------------------------------------------------------------------------------

for name, value, outcome in (
    ("all_the_same", lambda _: "x", EITHER),
    ("one_twice", lambda i: str(max(i, 1)), EITHER),
    ("numeric", int, ALL),
    ("null", lambda _: None, EITHER),
    ("some_missing", lambda i: None if i % 3 else str(i), EITHER),
    ("empty", lambda _: "", EITHER),
    ("list", lambda i: [i], EITHER),
    ("number_and_its_text", lambda i: i // 2 if i % 2 else str(i // 2), EITHER),
):
    add(f"id_{name}", rows_of(*each("id", value)), outcome, "id", columns__id="id")
for name, value, outcome in (
    ("some_missing", lambda i: None if i < 3 else str(i // 3), EITHER),
    ("all_null", lambda _: None, EITHER),
    ("all_the_same", lambda _: "x", ERROR),
    ("list", lambda i: [i], EITHER),
    ("number", int, ALL),
):
    add(f"group_{name}", rows_of(*each("talk", value)), outcome, ("talk", "group"), split__group_by="talk")
    add(
        f"stratum_{name}",
        rows_of(*each("talk", value)),
        ALL if name == "all_the_same" else EITHER,
        ("talk", "strat"),
        split__stratify_by="talk",
    )
COLUMNS = "id question answer context references messages slice subject fact documents created"
for column, way in product(COLUMNS.split(), ("fail", "reject")):
    add(
        f"column_{column}_absent_{way}",
        rows_of(*GOOD),
        says="nirgends",
        on_bad_row=way,
        **{f"columns__{column}": "nirgends"},
    )
for by, way in product(("group_by", "stratify_by"), ("fail", "reject")):
    add(f"{by}_absent_{way}", rows_of(*GOOD), says="nirgends", on_bad_row=way, **{f"split__{by}": "nirgends"})
ODD = {"null": None, "number": 7, "object": {"a": [1]}, "list_in_list": [[]]}
for column, (kind, value) in product([*COLUMNS.split()[6:], "references", "context"], ODD.items()):
    add(
        f"column_{column}_holds_{kind}",
        rows_of(*each("x", lambda _, value=value: value)),
        EITHER,
        ("x", column),
        **{f"columns__{column}": "x"},
    )
add(
    "column_question_and_answer_the_same",
    rows_of(*GOOD),
    EITHER,
    "question",
    columns={"question": "question", "answer": "question"},
)
DAY, EARLY, LATE = {"columns__created": "day"}, "2030-01-01", "2031-01-01"
for name, created, more in (
    ("no_created", None, {}),
    ("nonsense", "soon", DAY),
    ("all_one_day", "2024-01-01", DAY),
    ("all_before", "2024-01-01", DAY | {"split__val_from": EARLY, "split__test_from": LATE}),
    ("test_before_val", "2024-01-01", DAY | {"split__val_from": LATE, "split__test_from": EARLY}),
):
    add(
        f"temporal_{name}",
        rows_of(*each("day", lambda _, created=created: created)),
        says=("created", "day", "val_from", "test_from", "temporal"),
        split__method="temporal",
        **more,
    )

# Recipe fields -------------------------------------------------------------------------------------------------------

DOUBTFUL = (  # a tool may know what they mean
    ("columns.question", ""),
    ("split.group_by", ""),
    ("split.stratify_by", ""),
    ("split.val_from", ""),
    ("max_tokens", None),
    ("split.val_fraction", 0),
    ("pii.allow", ["["]),
    ("bias.personas", [["only one"]]),
)
for field, values in {
    "path": ("", None, 5, ["data.jsonl"], {}),
    "test_path": (5, "{folder}/nowhere.jsonl", "{folder}", "{folder}/data.jsonl"),
    "truth_path": ([], "{folder}/nowhere.jsonl", "{folder}"),
    "decontaminate": ("x", ["{folder}/nowhere.jsonl"], [3], ["{folder}/void"]),
    "decontaminate_ngram": (0, -3, 2.5, "many"),
    "format": ("xml", "", None, 3, "messages", "alpaca"),
    "columns": ("question", ["question"], 3),
    "columns.question": (3, ["question"], ""),
    "columns.slice": ({"a": "b"},),
    "columns.questoin": ("question",),
    "conversation_turns": ("all", 2),
    "language": (7, "zz", "english", ["en"]),
    "max_tokens": (0, -1, "many", None, 1.5),
    "on_bad_row": ("ignore", None, True),
    "contradictions": ("newst", None),
    "near_duplicate_similarity": (1.5, -0.1, "high", float("nan"), float("inf")),
    "leakage": ("allow", None),
    "split": ("hash", 0.1),
    "split.method": ("random", None),
    "split.val_fraction": (0, -0.1, 0.7, 1, "a tenth", float("nan")),
    "split.test_fraction": (-0.1, 0.99, "a tenth", float("nan")),
    "split.group_by": (3, ""),
    "split.stratify_by": (3, ""),
    "split.val_from": (7, "2024-13-45", "soon", ""),
    "split.test_from": (7, "2024-02-30", "soon"),
    "split.seed": (1,),
    "pii": ("mask", True),
    "pii.action": ("hide", None),
    "pii.kind": (["email"],),
    "pii.actions": ("mask", {"email": "hide"}, {"name": "mask"}),
    "pii.kinds": ("email", ["name"]),
    "pii.phone_regions": (["ZZZZ"], "DE", [49]),
    "pii.allow": ("x", [5], ["["]),
    "bias.groups": ("a", {"a": 3}, {"a": [1]}),
    "bias.positive": (3, "good"),
    "bias.negative": (3,),
    "bias.personas": (3, [3], [["only one"]]),
    "bias.pairs": (-1, "many"),
    "pth": ("data.jsonl",),
    "colums": ({"question": "question"},),
    "on_bad_rows": ("reject",),
}.items():
    for value in values:
        what = re.sub(r"\W+", "_", f"{field}_{type(value).__name__}_{value}").strip("_").lower()
        outcome = EITHER if (field, value) in DOUBTFUL else ERROR
        says = [field.split(".")[-1], *([value.split("/")[-1]] if isinstance(value, str) and value else [])]
        add(f"field_{what}", beside({"void/a.png": b""}), outcome, says, **{field: value})
add("field_unknown_section", beside({}), says="dta")
CASES[-1].fields["dta.path"] = "data.jsonl"

# Other files, and sound form with hopeless content -------------------------------------------------------------------

OTHER = "{folder}/other.jsonl"
for field, (what, content) in product(
    ("test_path", "truth_path", "decontaminate"),
    {
        "empty": b"",
        "torn": jsonl(MORE)[:-30],
        "png": FOREIGN["png"],
        "no_objects": b"1\n2\n",
        "foreign_keys": jsonl([{"Frage": Q, "Antwort": A}] * 9),
    }.items(),
):
    outcome = EITHER if field == "decontaminate" and what == "foreign_keys" else ERROR  # texts they are, after all
    add(
        f"{field}_{what}",
        beside({"other.jsonl": content}),
        outcome,
        "other.jsonl",
        **{field: [OTHER] if field == "decontaminate" else OTHER},
    )
for name, rows, outcome, more in (
    ("same_rows", GOOD, ERROR, {"leakage": "block"}),
    ("same_rows_dropped", GOOD, ERROR, {"leakage": "drop"}),
    ("one_row", MORE[:1], EITHER, {}),
    ("all_empty", [said("")] * 5, ERROR, {}),
    ("of_chats", [{"messages": turns([("user", Q), ("assistant", A)], "role", "content")}], EITHER, {}),
):
    add(
        f"test_path_{name}",
        beside({"other.jsonl": jsonl(rows)}),
        outcome,
        ("other.jsonl", "test", "leak"),
        test_path=OTHER,
        **more,
    )
add(
    "decontaminate_by_itself",
    beside({}),
    says=("decontaminate", "data.jsonl", "no row"),
    decontaminate=["{folder}/data.jsonl"],
)
HEBREW = "מה השעה עכשיו בעיר הגדולה? "
RUSSIAN = "Сколько стоит большая деревянная лампа в старом магазине? "
for name, rows, outcome in (
    ("one_row", GOOD[:1], ERROR),
    ("two_rows", GOOD[:2], ERROR),
    ("all_the_same", [said()] * N, ERROR),
    ("all_empty", [{"question": "", "answer": ""}] * N, ERROR),
    ("all_blank", [said(" \n")] * N, ERROR),
    ("all_over_long", [said(f"{i} " + A * 400) for i in range(N)], ERROR),
    ("all_russian", [{"question": RUSSIAN + str(i), "answer": RUSSIAN} for i in range(N)], ERROR),
    ("all_right_to_left", [{"question": HEBREW + str(i), "answer": HEBREW} for i in range(N)], ERROR),
    ("all_emoji", [{"question": "🤔" * i, "answer": "👍" * i} for i in range(1, N + 1)], EITHER),
    ("all_control_characters", [{"question": "\x01\x02" * i, "answer": "\x7f" * i} for i in range(1, N + 1)], ERROR),
    ("all_one_question", [{**row, "question": Q} for row in GOOD], EITHER),
    ("all_one_answer", [{**row, "answer": "Yes."} for row in GOOD], EITHER),
    ("all_answers_are_the_question", [{**row, "answer": row["question"]} for row in GOOD], EITHER),
    ("all_html", [{key: f"<p><b>{text}</b></p>" for key, text in row.items()} for row in GOOD], EITHER),
    ("all_numbers", [{"question": i, "answer": i * i} for i in range(N)], EITHER),
):
    add(
        f"content_{name}",
        rows_of(*rows),
        outcome,
        ("data.jsonl", "row", "language", "max_tokens"),
        language="en",
        max_tokens=512,
    )
BOTH_LANGUAGES = [{"question": row["question"] + RUSSIAN, "answer": RUSSIAN + row["answer"]} for row in GOOD]
add("content_all_russian_any_language", rows_of(*BOTH_LANGUAGES), ALL, language=None)


def main() -> None:
    """Makes every case, alone in a folder, and checks the table itself."""
    import tempfile
    import time
    from collections import Counter

    twice = [name for name, times in Counter(case.name for case in CASES).items() if times > 1]
    assert not twice, twice
    assert len({row["question"] for row in GOOD + MORE}) == len(GOOD + MORE)
    for case in CASES:
        assert case.name.replace("_", "").isalnum() and case.name == case.name.lower(), case.name
        assert case.expect in ("error", "rows", "either") and (case.says or case.expect == "rows"), case.name
        with tempfile.TemporaryDirectory() as name:
            folder, start = Path(name, "in"), time.perf_counter()
            folder.mkdir()
            path = case.make(folder)
            seconds = time.perf_counter() - start
            size = 0
            for place, _, files in os.walk(folder):
                size += sum(os.lstat(os.path.join(place, file)).st_size for file in files)
            assert seconds < 5 and size <= 65 * MB, (case.name, seconds, size)
            assert isinstance(path, Path) and "{folder}" not in str(overrides(case, folder)), case.name
            for locked_path in folder.rglob("*") if "permission" in case.name else ():
                locked_path.chmod(0o700)
            if seconds > 1 or size > 10 * MB:
                print(f"{case.name}: {seconds:.1f} s, {size / MB:.0f} MB")
    print(len(CASES), Counter(case.expect for case in CASES))


if __name__ == "__main__":
    main()
