"""Serial and folded designs in `hwq report` and in what is said before a tool starts: measured numbers, and no predicted ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_runs import fake, make_run, prove, real

from hwq import boards
from hwq.design.target import Target, Work
from hwq.events import Events
from hwq.flow import synth as flow
from hwq.flow.report import gather
from hwq.run.directory import RunDir

BOARD = boards.load("xcvu9p")


@pytest.mark.parametrize(("fold", "interval"), [pytest.param("mac", 12, marks=pytest.mark.slow), ("serial", 24)])
def test_the_report_shows_what_was_measured(fold: str, interval: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWQ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HWQ_YOSYS", str(fake(tmp_path, "yosys", real("yosys"))))
    run, store = make_run(tmp_path / "run"), tmp_path / "s.sqlite"
    prove(run, BOARD.name, fold=fold, interval=interval)
    said: list[str] = []
    target = Target.of(BOARD, tool="yosys", fold=fold, interval=interval)
    _, (found,) = flow.synth(run, target, store_path=store, work=Work(events=Events(point=lambda _, what: said.append(what))))
    assert found.measurement is not None and found.measurement.resources.lut
    (row,) = gather(run, store_path=store).rows
    assert (row.lut, row.ff) == (found.measurement.resources.lut, found.measurement.resources.ff)
    assert row.latency_cycles == row.latency_predicted is not None and row.mismatches == 0
    assert row.lut_predicted is None and row.ff_predicted is None  # no model knows such designs
    (told,) = [text for text in said if text.startswith("expecting")]
    assert ("LUT and FF unknown (nothing predicts mac:" in told) == (fold == "mac") and "0 LUT of" not in told
    assert not any("far" in text or "expected" in text for text in said)
    # another form of the same point is another row, and the one before is still known
    assert gather(run, store_path=store).warnings == () and RunDir.open(run).synthesised() is not None
