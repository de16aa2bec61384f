"""The one way from finished steps to the store: all of them or none, with their scope, and what is odd about them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwq import boards
from hwq.errors import ReportError
from hwq.measure.measurement import Key, Measurement
from hwq.measure.store import Store
from hwq.posttraining.operation_costs import OPERATOR
from hwq.reports.types import Latency, Resources, Timing
from hwq.synthesis import storing
from hwq.synthesis.storing import PlanFolder, Ran, store_all
from hwq.toolchains.manifest import Manifest
from hwq.toolchains.plan import TOP
from hwq.toolchains.registry import steps_for
from hwq.toolchains.runner import Record, record_path

BOARD = boards.load("ulx3s-85f")
STEPS = steps_for("nextpnr-ecp5", "route", BOARD, TOP, 20.0)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlanFolder:
    """Finished steps whose reports are of 100 LUTs; a file `bad-STEP` makes one that nobody can believe."""

    def measure(step: object, record: Record, folder: Path, *_: object) -> tuple[Measurement, dict[str, bytes]]:
        if (folder / f"bad-{record.step}").exists():
            raise ReportError(folder / "report", "no report")
        key = Key("d" * 16, "p" * 16, "whole", BOARD.name, record.tool, record.version, record.stage, "")
        return Measurement(key, BOARD.family, Resources(lut=100.0), Timing(), Latency()), {}

    monkeypatch.setattr(storing, "measure", measure)
    for step in STEPS:
        path = record_path(tmp_path, step.name)
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}")
    return PlanFolder(tmp_path, BOARD, Manifest("d" * 16, "p" * 16, BOARD.name, TOP, 20.0, 1, {}), OPERATOR)


def ran(version: str = "0.9") -> list[Ran]:
    records = [
        Record(s.name, s.stage, "p", "tool", version, 0, 0.0, 1.0, None, "here", "log", {}, dict.fromkeys(s.outputs, ""))
        for s in STEPS
    ]
    return [Ran(step, record, "") for step, record in zip(STEPS, records, strict=True)]


def test_every_step_that_measures_is_stored_with_its_scope(place: PlanFolder) -> None:
    store = Store.open(place.folder / "s.sqlite")
    stored = store_all(ran(), place, store)
    assert [m.key.stage for m in stored.measurements] == ["synth", "route"] and stored.doubts == ()
    assert sorted(m.key.stage for m in store.find()) == ["route", "synth"] and {m.key.scope for m in store.find()} == {OPERATOR}


@pytest.mark.parametrize("again", [True, False])
def test_all_are_stored_or_none(again: bool, place: PlanFolder) -> None:
    store, last = Store.open(place.folder / "s.sqlite"), STEPS[-1].name
    (place.folder / f"bad-{last}").touch()
    with pytest.raises(ReportError, match="no report"):
        store_all(ran(), place, store, again=again)
    assert store.find() == []
    # the record of what was refused goes, so that its step runs again; what another machine made stays as it came
    kept = [step.name for step in STEPS if record_path(place.folder, step.name).exists()]
    assert kept == [step.name for step in STEPS if not again or step.name != last]


def test_a_report_of_another_version_is_said(place: PlanFolder) -> None:
    (place.folder / "yosys").mkdir()
    (place.folder / "yosys/stat.json").write_text('{"creator": "Yosys 0.60 (git)"}')
    (doubt,) = store_all(ran("0.70"), place, Store.open(place.folder / "s.sqlite")).doubts
    assert "written by 0.60" in doubt
