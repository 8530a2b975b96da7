"""One set of versions, said once: pyproject.toml, constraints.txt, environment.yml and the Makefile agree."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import ftlib
from ftlib.stage import NOTEBOOKS

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.split("==") for line in lines if line.strip() and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pins}


def declared() -> list[Requirement]:
    return [Requirement(line) for line in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]]]


@pytest.mark.parametrize("requirement", declared(), ids=lambda requirement: requirement.name)
def test_every_dependency_is_pinned_to_an_allowed_version(requirement):
    pinned = constraints()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(pinned), f"{requirement} does not allow the pinned {pinned}"


def test_pins_are_exact_public_versions():
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9.!]+(\.post\d+)?", line), line
    assert not re.search(r"file:|@|://|\+cpu|\+cu", text)


def test_the_closure_of_the_dependencies_is_pinned():
    """Whatever our dependencies need in turn is pinned as well, so that two installations are the same."""
    pins, seen = constraints(), set()
    waiting = [requirement.name for requirement in declared()]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in seen:
            continue
        seen.add(name)
        for line in metadata.requires(name) or []:
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                waiting.append(needed.name)
    assert seen - set(pins) == set()


def test_every_imported_library_is_declared():
    """The modules that ftlib imports all belong to a declared dependency."""
    import ast

    owners = metadata.packages_distributions()
    extras = [Requirement(line) for lines in PROJECT["optional-dependencies"].values() for line in lines]
    names = {canonicalize_name(requirement.name) for requirement in [*declared(), *extras]}
    imported = set()
    for file in (ROOT / "ftlib").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add(node.module.split(".")[0])
    third_party = {name for name in imported if name in owners and name not in {"ftlib", "data"}}
    missing = {name for name in third_party if not names & {canonicalize_name(owner) for owner in owners[name]}}
    # what our declared libraries carry and hand out as part of their own interface
    carried = {"cycler", "IPython", "nbclient", "traitlets", "jupyter_core", "nbformat", "huggingface_hub"}
    assert missing - carried == set()


def test_conda_environment_installs_the_same():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    plain = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    (from_pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    python = next(Requirement(entry) for entry in plain if entry.startswith("python "))
    assert {entry.split()[0] for entry in plain} == {"python", "pip"}
    assert python.specifier.contains(PROJECT["requires-python"].removeprefix(">="))
    assert not python.specifier.contains("3.10")
    assert from_pip == ["-c constraints.txt", "-e .[test]"]


def test_the_reports_template_is_installed_with_the_package():
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]["ftlib"]
    installed = {file for pattern in patterns for file in (ROOT / "ftlib").glob(pattern)}
    assert installed == {file for file in (ROOT / "ftlib").rglob("*") if file.suffix in {".jinja", ".html", ".yaml"}}
    assert installed


def test_version_and_script():
    assert metadata.version("ftlib") == ftlib.__version__
    assert PROJECT["scripts"] == {"ftlib": "ftlib.cli:main"}


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("run", ["ftlib run --recipe data/recipes/demo.yaml --out runs/demo"]),
        ("real", ["ftlib run --recipe data/recipes/smollm2.yaml --out runs/smollm2"]),
        ("test", ["-m pytest", "chromium", "bin/ruff check .", "bin/mypy"]),
        ("test-lowest", ["--resolution lowest-direct", "-m pytest tests/test_recipe.py"]),
        ("test-latest", ["--resolution highest", "-m pytest tests/test_recipe.py"]),
        ("audit", ["pip-audit --requirement constraints.txt"]),
        ("licences", ["docs/licences.py"]),
        ("wheel", ["pip wheel"]),
        ("lab", ["jupyter lab", "--ip=127.0.0.1"]),
        ("bench", ["benchmarks/"]),
        ("clean", ["rm -rf runs"]),
    ],
)
def test_make_targets(target, words):
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for word in words:
        assert word in done.stdout


def test_make_installs_with_the_pins_and_only_once(tmp_path):
    """A second call does nothing: the stamp is newer than pyproject.toml and constraints.txt."""
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for name in ["Makefile", "pyproject.toml", "constraints.txt"]:
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / ".venv" / "bin" / "python").write_text("")

    def plan() -> str:
        return subprocess.run(["make", "-n", "run"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    assert "pip install" in plan()
    assert "-c constraints.txt" in plan()
    (tmp_path / ".venv" / ".installed").touch()
    assert "pip install" not in plan()
    later = (tmp_path / ".venv" / ".installed").stat().st_mtime + 10
    os.utime(tmp_path / "constraints.txt", (later, later))
    assert "pip install" in plan()


def test_make_lab_shows_the_notebooks_until_it_is_told_to_end(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {"ServerApp": {"port": port, "port_retries": 0}, "LabApp": {"open_browser": False}}
    (tmp_path / "jupyter_lab_config.json").write_text(json.dumps(own | {"IdentityProvider": {"token": "secret"}}))
    folders = {f"JUPYTER_{name}_DIR": str(tmp_path) for name in ("CONFIG", "DATA", "RUNTIME")}
    command = ["make", "lab", f"VENV={sys.prefix}", "LAB_ARGS=--allow-root", "-o", f"{sys.prefix}/.installed"]
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/api/contents", headers={"Authorization": "token secret"})
    with (tmp_path / "log").open("wb") as log:
        lab = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | folders, stdout=log, stderr=log, start_new_session=True
        )
    try:
        shown = _answer(asked, lab, tmp_path / "log")
    finally:
        os.killpg(lab.pid, signal.SIGTERM)
        lab.wait(60)
    assert {entry["name"] for entry in shown["content"]} >= {f"{name}.ipynb" for name in NOTEBOOKS.values()}
    with pytest.raises(urllib.error.URLError, match="refused"):
        urllib.request.urlopen(asked, timeout=10)


def _answer(asked: urllib.request.Request, server: subprocess.Popen, log: Path) -> dict:
    """What a server says as soon as it says anything."""
    ends = time.monotonic() + 240  # a busy machine is no failure
    while time.monotonic() < ends and server.poll() is None:
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.URLError:
            time.sleep(0.5)
    raise AssertionError(log.read_text()[-2000:])


def test_every_extra_is_pinned():
    for lines in PROJECT["optional-dependencies"].values():
        for requirement in map(Requirement, lines):
            pinned = constraints().get(canonicalize_name(requirement.name))
            assert pinned is None or requirement.specifier.contains(pinned), f"{requirement}: pinned is {pinned}"


def test_the_licence_of_every_dependency_is_listed():
    rows = (ROOT / "docs" / "LICENCES.md").read_text(encoding="utf-8").splitlines()
    listed = {canonicalize_name(row.split("|")[1].strip()): row.split("|")[3].strip() for row in rows if row[:1] == "|"}
    assert {canonicalize_name(each.name) for each in declared()} - set(listed) == set()
    assert not [
        name for name, licence in listed.items() if not licence or "AGPL" in licence or "unknown" in licence.lower()
    ]


def test_github_calls_the_same_script():
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))["jobs"]
    assert {"run": ".ci/run"} in jobs["test"]["steps"]
    for version in jobs["test"]["strategy"]["matrix"]["python"]:
        assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(version)
    for which in jobs["versions"]["strategy"]["matrix"]["which"]:
        assert subprocess.run(["make", "-n", f"test-{which}"], cwd=ROOT, capture_output=True).returncode == 0


def test_continuous_integration_calls_the_readme_command():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "make test" in script.read_text(encoding="utf-8")
    assert "make test" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert "make run" in (ROOT / "README.md").read_text(encoding="utf-8")
