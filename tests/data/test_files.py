"""Data sets of the hub, as far as they can be had without a network."""

import os
import subprocess
import sys

import pyarrow
import pyarrow.parquet
import pytest

from ftlib.data import files
from ftlib.errors import UserError


def hub_folder(path):
    """A data set as the hub keeps it: Parquet by split, and a README that says so."""
    (path / "data").mkdir(parents=True)
    for split, prefix in (("train", "q"), ("test", "held-out-")):
        rows = [{"question": f"{prefix}{n}", "answer": f"a{n}"} for n in range(3)]
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path / "data" / f"{split}-00000-of-00001.parquet")
    files_of = "".join(f"  - split: {split}\n    path: data/{split}-*\n" for split in ("train", "test"))
    readme = f"---\nconfigs:\n- config_name: default\n  data_files:\n{files_of}---\n# A data set\n"
    (path / "README.md").write_text(readme, encoding="utf-8")


def test_a_data_set_in_the_hubs_layout_gives_its_training_split_only(tmp_path):
    hub_folder(tmp_path / "set")
    assert [record.value for record in files.records(tmp_path / "set")] == [
        {"question": f"q{n}", "answer": f"a{n}"} for n in range(3)
    ]
    held_out = [record.value["question"] for record in files.records(f"{tmp_path / 'set'}:test")]
    assert held_out == ["held-out-0", "held-out-1", "held-out-2"]
    with pytest.raises(UserError, match=r"data\.path"):
        list(files.records(f"{tmp_path / 'set'}:validation"))


def test_a_name_that_is_nowhere_is_one_clear_error():
    code = "from ftlib.data import files\ntry: list(files.records('nobody/no-such-set'))\n"
    code += "except Exception as error: print(repr(error))"
    offline = os.environ | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=offline, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("UserError") and "data.path = nobody/no-such-set" in done.stdout
    assert "Traceback" not in done.stderr
