"""A person's way in: JupyterLab in a real browser runs a notebook of ours from its first cell to its last."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

WAIT_MS = 240_000
CELLS = [
    "from ftlib import jsonl, plots\nfrom ftlib.progress import progress\nfrom ftlib.run import Run",
    "run = Run.open({out!r}, {recipe!r}, interactive=True)",
    "stage = run.begin('01_data')",
    "rows = list(progress(range(40), desc='counting rows', interactive=run.interactive))",
    "jsonl.write(stage.path / 'train.jsonl', [{{'n': n}} for n in rows])",
    "stage.figure(plots.histogram(rows, title='Rows'), 'rows', caption='The rows.')",
    "stage.finish()\nprint('finished', run.is_complete('01_data'))",
]


def test_a_notebook_runs_in_jupyterlab(lab, chromium, tiny_recipe, tmp_path):
    out = tmp_path / "run"
    notebook = lab.write("small", [cell.format(out=str(out), recipe=str(tiny_recipe)) for cell in CELLS])
    page = chromium.new_page(viewport={"width": 1200, "height": 1000})
    page.set_default_timeout(WAIT_MS)
    lab.run_all(page, notebook)
    _ended(page).wait_for()
    assert page.locator("[data-mime-type='application/vnd.jupyter.error']").all_inner_texts() == []
    assert "finished True" in page.locator(".jp-OutputArea").last.inner_text()
    assert page.locator(".jp-OutputArea [data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    assert page.locator(".jp-Notebook .jp-RenderedImage img").count() == 1  # shown once, not twice
    assert (out / "01_data" / "figures" / "rows.png").is_file()


def _ended(page):
    """What is on the page when no cell runs any more: the last one's output, or an error."""
    return page.get_by_text("finished True").or_(page.locator("[data-mime-type='application/vnd.jupyter.error']")).first
