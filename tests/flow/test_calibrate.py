"""hwq calibrate with a Yosys that is a script: what is measured, stored, taken up again and refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fake_runs import fake, real
from networks import random_network

from hwq import boards
from hwq.cost.experiment import ExperimentDesign, trials
from hwq.cost.find import ModelSource, find_models, libraries, own_models
from hwq.errors import ToolError
from hwq.flow.calibrate import CalibrateOptions, calibrate
from hwq.measure.measurement import ROWS
from hwq.measure.store import Store


@pytest.fixture
def yosys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Yosys that notes its starts."""
    monkeypatch.setenv("HWQ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HWQ_YOSYS", str(fake(tmp_path, "yosys", real("yosys"))))
    monkeypatch.setattr("hwq.flow.calibrate.trials", small_trials)
    return tmp_path / "starts"


def small_trials(count: int) -> Iterator[ExperimentDesign]:
    """The experiment's groups and clocks, with networks that a tool makes in a second."""
    for number, trial in enumerate(trials(count)):
        yield replace(trial, graph=random_network(number, (3, 2 + number)))


def run(tmp_path: Path, designs: int, **options: object) -> object:
    places = {"store_path": tmp_path / "s.sqlite", "work": tmp_path / "work", "out": tmp_path / "models"}
    return calibrate("zcu104", CalibrateOptions(tool="yosys", designs=designs, jobs=2, **{**places, **options}))  # type: ignore[arg-type]


def starts(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_designs_are_measured_once_and_models_written(yosys: Path, tmp_path: Path) -> None:
    first = run(tmp_path, 3)
    assert first.measured == 3 and first.known == 0 and not first.failed  # type: ignore[attr-defined]
    assert starts(yosys) == 3
    rows = Store.open(tmp_path / "s.sqlite").find()
    assert len(rows) == 3 and {m.group for m in rows} == {"matrix", "network"}
    (library,) = libraries(tmp_path / "models")
    assert library.key.family == "xcup" and library.path.name == "xcup-yosys-synth-three.toml"
    assert library.models["latency_cycles", "compiled"].cv_error == pytest.approx(0)
    assert len(library.rows()) == 3
    # the same command goes on where it was, a longer one adds to it
    again = run(tmp_path, 4)
    assert (again.measured, again.known) == (1, 3) and starts(yosys) == 4  # type: ignore[attr-defined]
    found = find_models(boards.load("vcu118"), ModelSource("yosys", "0.70", "synth", ROWS), tmp_path / "models")
    assert found is not None and found.exact
    other = find_models(boards.load("vcu118"), ModelSource("yosys", "0.71", "synth", ROWS), tmp_path / "models")
    assert other is not None and not other.exact
    assert find_models(boards.load("vcu118"), ModelSource("yosys", "0.70", "synth"), tmp_path / "models") is None
    assert find_models(boards.load("pynq-z2"), ModelSource("yosys", "0.70", "synth", ROWS), tmp_path / "models") is None


def test_no_design_is_begun_after_the_budget(yosys: Path, tmp_path: Path) -> None:
    run(tmp_path, 3)
    found = run(tmp_path, 20, budget_minutes=0.0)
    assert found.measured == 0 and starts(yosys) == 3  # type: ignore[attr-defined]


def test_a_tool_that_always_fails_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWQ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HWQ_YOSYS", str(fake(tmp_path, "yosys", "echo 'ERROR: no licence'; exit 1")))
    monkeypatch.setattr("hwq.flow.calibrate.trials", small_trials)
    with pytest.raises(ToolError, match="yosys"):
        run(tmp_path, 8)
    assert starts(tmp_path / "starts") <= 5


def test_own_models_have_a_place_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWQ_COST_MODELS", str(tmp_path / "here"))
    assert own_models() == tmp_path / "here"
