"""Where the sockets of a kernel live."""

from pathlib import Path

import nbformat
import papermill

from ftlib import execute


def test_a_kernels_sockets_stay_out_of_the_working_folder(tmp_path, monkeypatch):
    cell = nbformat.v4.new_code_cell("import os\nprint(sorted(os.listdir('.')))")
    notebook = nbformat.v4.new_notebook(cells=[cell])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    work, sockets = tmp_path / "work", tmp_path / "s"
    work.mkdir()
    sockets.mkdir()
    monkeypatch.chdir(work)
    nbformat.write(notebook, tmp_path / "in.ipynb")
    monkeypatch.setattr(execute, "SECONDS_BETWEEN_LINES", 0)
    lines = []
    papermill.execute_notebook(
        tmp_path / "in.ipynb",
        tmp_path / "out.ipynb",
        progress_bar=False,
        config=execute._private_transport(sockets),
        on_cell_execute=execute._cell_lines("t", 1, lines.append),
    )
    output = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells[0].outputs[0]
    assert output.text.strip() == "[]"
    assert list(work.iterdir()) == []
    assert [line.partition(",")[0] for line in lines] == ["t: cell 1/1"]


def test_long_folders_fall_back_to_the_loopback(tmp_path):
    assert not execute._private_transport(Path("/" + "x" * 200))
    assert execute._private_transport(Path("/tmp/s")).KernelManager.transport == "ipc"
