"""Progress in logs: few lines, each true; silent when there is little to wait for."""

from __future__ import annotations

from ftlib.progress import LINE_MARK, progress


def test_short_work_is_silent(capsys):
    assert list(progress(range(5), desc="work", interactive=False)) == [0, 1, 2, 3, 4]
    assert capsys.readouterr().out == ""


def test_lines_come_at_intervals_and_say_what_is_done(capsys, monkeypatch):
    clock = iter(range(0, 10_000, 4))  # every look at the clock is four seconds later
    monkeypatch.setattr("tqdm.std.time", lambda: next(clock))
    with progress(total=6, desc="reading", interactive=False) as bar:
        for step in range(6):
            bar.set_postfix(loss=step)
            bar.update(1)
    lines = capsys.readouterr().out.splitlines()
    assert 2 <= len(lines) <= 4
    assert all(line.startswith(f"{LINE_MARK}reading ") for line in lines)
    assert "6/6" in lines[-1]
    assert "loss 5" in lines[-1]


def test_interactive_is_a_bar_with_the_same_interface(capsys):
    bar = progress(range(3), desc="work", interactive=True)
    assert [bar.set_postfix(seen=item) or item for item in bar] == [0, 1, 2]
    bar.close()


def test_no_line_is_said_twice(capsys, monkeypatch):
    clock = iter(range(0, 10_000, 40))  # every step is shown
    monkeypatch.setattr("tqdm.std.time", lambda: next(clock))
    with progress(total=2, desc="reading", interactive=False) as bar:
        bar.update(1)
        bar.update(1)
    done = [line.split(",")[0] for line in capsys.readouterr().out.splitlines()]
    assert done == [f"{LINE_MARK}reading 1/2", f"{LINE_MARK}reading 2/2"]
