"""Room 01 on bad input: every case ends with its rows or with one clear message, soon, in little memory, and tidily.

The cases run one after the other in a process of their own, which this file is when it is called as a script: pipes
and endless devices must not hold up the tests, and memory is measured.
"""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))
import bad_inputs

CASES = {case.name: case for case in bad_inputs.CASES}
READABLE = {  # cases that their author takes for errors, and why they are none
    **dict.fromkeys(("content_all_russian", "content_all_right_to_left"), "data.language: auto takes any one language"),
    "content_two_rows": "one row to train and one to validate with are few, but the recipe's own limit",
}
SECONDS, BYTES = 60, 2_000_000_000  # that a case may take


def attempt(case, folder: Path, base: str) -> dict:
    """What becomes of a case: an error's kind and text, or rows, and what is left behind."""
    from made import prepare

    from ftlib import jsonl
    from ftlib.errors import UserError
    from ftlib.run import Run

    (folder / "in").mkdir()
    path = case.make(folder / "in")
    recipe = {
        "name": "bad",
        "data": {"path": str(path), "split": {"val_fraction": 0.2}, "language": None},
        "model": {"base": base},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    before = listing(folder / "in")
    try:
        signal.alarm(SECONDS)
        stage = prepare(Run.open(folder / "run", folder / "recipe.yaml", bad_inputs.overrides(case, folder / "in")))
    except Exception as error:
        left = sorted(listing(folder / "run") - {"recipe.yaml", "manifest.json", ".01_data.lock"})
        user = isinstance(error, UserError)
        return {"error": "UserError" if user else type(error).__name__, "said": str(error), "left": left}
    finally:
        signal.alarm(0)
    report = json.loads((stage / "audit.json").read_text(encoding="utf-8"))
    rejected = sum(1 for _ in jsonl.iterate(stage / "rejected.jsonl"))
    assert report["rows"]["in"] == report["rows"]["kept"] + rejected
    left = sorted(listing(folder / "in") ^ before) + sorted(name for name in listing(folder / "run") if "work" in name)
    return {"rows": report["rows"]["in"] - report["load"]["unreadable"], "left": left}


def listing(folder: Path) -> set[str]:
    """All names in a folder, none where it is not there."""
    return {
        os.path.join(parent[len(str(folder)) + 1 :], name) for parent, _, names in os.walk(folder) for name in names
    }


def peak() -> int:
    """Most bytes that this process has held since the last call (where the system tells, else since its start)."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    held = int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024
    Path("/proc/self/clear_refs").write_text("5")
    return held


def main(base: str, names: list[str]) -> None:
    """Runs cases and prints a JSON line for each."""

    def ring(*_):
        raise TimeoutError(f"not done after {SECONDS} s")

    signal.signal(signal.SIGALRM, ring)
    resource.setrlimit(resource.RLIMIT_AS, (24 * BYTES, 24 * BYTES))
    for name in names:
        folder = Path(tempfile.mkdtemp(prefix="bad-"))
        try:
            peak()
            outcome = attempt(CASES[name], folder, base) | {"bytes": peak()}
            print(json.dumps({"name": name} | outcome), flush=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def outcomes(request, tmp_path_factory, tokenizer):
    """Case -> what became of it, of all cases that are asked for."""
    base = tmp_path_factory.mktemp("base")
    tokenizer.save_pretrained(base)
    asked = [item.callspec.params["name"] for item in request.session.items if item.fspath == request.fspath]
    command = [sys.executable, __file__, str(base), *asked]
    quiet = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, env=quiet, capture_output=True, text=True, timeout=850)
    found = {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}
    missing = [name for name in asked if name not in found]
    return found | {name: {"error": "the process ended", "said": done.stderr[-2000:]} for name in missing}


@pytest.mark.parametrize("name", CASES)
def test_a_bad_input_gives_its_rows_or_one_clear_message(name, outcomes):
    if "permission" in name and os.geteuid() == 0:
        pytest.skip("root may read everything")
    case, found = CASES[name], outcomes[name]
    assert found.get("error", "UserError") == "UserError", found
    assert found["bytes"] < BYTES and not found["left"], found
    if "rows" in found:
        assert case.expect != "error" or name in READABLE, found
        assert found["rows"] == case.rows or (
            case.rows is None and found["rows"] >= (2 if name in READABLE else bad_inputs.N)
        ), found
        return
    assert case.expect != "rows", found
    said = found["said"].splitlines()
    assert [line.split(":")[0].strip() for line in said[1:]] == ["expected", "found", "to do"], found
    assert max(map(len, said)) < 600, found
    assert any(word in found["said"] for word in case.says), (case.says, found["said"])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
