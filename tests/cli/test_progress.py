"""Progress where there is no terminal: few plain lines, with what a reader of a log wants to know; and phases that ended early."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from hwq.cli import common, progress
from hwq.cli.common import ToolLines
from hwq.cli.progress import Bar, Bars, Counted, elapsed
from hwq.events import Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the time."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    assert progress.time is common.time

    def to(seconds: float) -> None:
        now[0] = 1000.0 + seconds

    return to


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    found = capsys.readouterr()
    assert found.out == ""
    return found.err.splitlines()


def test_one_line_every_ten_seconds(clock: Callable[[float], None], capsys: pytest.CaptureFixture[str]) -> None:
    with Bar() as bar:
        for step in range(1, 301):
            clock(step * 0.5)
            bar(Progress("bits", step, 300, 0.9 - abs(step - 100) / 1000, 5000.0 - step, 1e-5, 3))
    told = lines(capsys)
    assert len(told) == 15
    assert told[0] == "  bits 20/300, best validation accuracy 0.8200, 4980 EBOPs, 10 s"
    assert told[-1] == "  bits 300/300, best validation accuracy 0.9000, 4700 EBOPs, 2:30"


def test_stopped_early_is_said(clock: Callable[[float], None], capsys: pytest.CaptureFixture[str]) -> None:
    with Bar() as bar:
        for step in range(41):
            bar(Progress("float", step, 200, 0.5 + step / 100))
        bar(Progress("bits", 1, 1))
        bar(Progress("finish", 1, 2))
        bar(Progress("finish", 2, 2))
    assert lines(capsys) == ["  float stopped early, after 40 of 200 steps, best validation accuracy 0.9000"]


def test_a_failure_is_not_called_early(clock: Callable[[float], None], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="broken"), Bar() as bar:
        bar(Progress("float", 3, 200, 0.5))
        raise ValueError("broken")
    assert lines(capsys) == []


def test_a_note_amid_a_phase_ends_nothing(clock: Callable[[float], None], capsys: pytest.CaptureFixture[str]) -> None:
    bars = Bars()
    bars(Progress("bits", 1, 20, 0.5, of="hgq, seed 0"))
    bars.stop()
    clock(11)
    bars(Progress("bits", 2, 20, 0.4, of="hgq, seed 0"))
    bars(Progress("bits", 1, 20, 0.3, of="shift, seed 0"))
    assert lines(capsys) == [
        "  hgq, seed 0: bits 2/20, best validation accuracy 0.5000, 11 s",
        "  hgq, seed 0: bits stopped early, after 2 of 20 steps, best validation accuracy 0.5000",
    ]


def test_a_program_s_output_for_all_points_together(clock: Callable[[float], None], capsys: pytest.CaptureFixture[str]) -> None:
    shown = ToolLines()
    for second in range(41):
        clock(second)
        for point in ("0001", "0002", "0003"):
            shown(point, f"line {second}\n")
    assert lines(capsys) == [f"    0001: line {s} ({s} s)" for s in (10, 20, 30, 40)]


def test_designs_are_counted_and_failures_always_told(clock: Callable[[float], None], capsys: pytest.CaptureFixture[str]) -> None:
    tell = Counted(60)
    for number in range(30):
        clock(number)
        tell(f"d{number}", "synthesising")
        tell(f"d{number}", "failed: no licence" if number == 3 else "done")
    assert lines(capsys) == [
        "  4/60 d3: failed: no licence",
        "  10/60 d10: synthesising, 10 s",
        "  20/60 d20: synthesising, 20 s",
    ]


def test_in_a_terminal_there_are_bars(clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Bar() as bar:
        bar(Progress("bits", 1, 2, 0.5))
        assert bar.bars is not None and len(bar.tasks) == 1
    assert bar.bars is None


@pytest.mark.parametrize(("seconds", "told"), [(0.4, "0 s"), (59.9, "59 s"), (61, "1:01"), (3725, "1:02:05")])
def test_elapsed(seconds: float, told: str) -> None:
    assert elapsed(seconds) == told
