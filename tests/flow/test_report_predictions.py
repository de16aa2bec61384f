"""`hwq report` of a run that was not synthesised: what its points would cost on a board, with the models' errors."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import invoked
from fake_runs import make_run, prove

from hwq import boards
from hwq.codegen.build import build
from hwq.cost.features import features
from hwq.cost.predict import design_models
from hwq.errors import BoardError
from hwq.flow.report import gather
from hwq.ir import parse
from hwq.run.directory import RunDir


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run", 2)


@pytest.mark.parametrize("name", [None, "ulx3s-85f"])
def test_points_are_predicted_as_the_build_would_be(run: Path, name: str | None) -> None:
    board = boards.load(name or "xcvu9p")
    found = gather(run, board=name)
    models = design_models(board)
    assert found.board is None and found.predicted_for.startswith(f"{board.name} at ") and len(found.cost_models) == 2
    for row, point in zip(found.rows, RunDir.open(run).points(), strict=True):
        made = build(parse(point.graph_text()), board)
        counted = features(made.graph, made.circuit)
        assert row.latency_predicted == made.plan.latency_cycles
        lut, ff = (models[target].predict(counted) for target in ("lut", "ff"))
        assert (row.lut_predicted, row.lut_error, row.lut_beyond) == (lut.value, lut.relative_error, lut.out_of_range)
        assert (row.ff_predicted, row.ff_error, row.ff_beyond) == (ff.value, ff.relative_error, ff.out_of_range)
        assert row.lut is None and row.ff is None and row.latency_cycles is None
    assert not (run / "synth").exists()


def test_a_family_without_models_has_a_latency_and_a_remedy(run: Path) -> None:
    assert design_models(boards.load("vck190")) == {}
    found = gather(run, board="vck190")
    assert found.rows[0].lut_predicted is None and found.rows[0].latency_predicted is not None
    assert "hwq calibrate --board vck190" in found.predicted_for


def test_another_board_than_that_of_the_synthesis(run: Path, tmp_path: Path) -> None:
    designs = prove(run, "ulx3s-85f")
    link = {
        "board": "ulx3s-85f",
        "kind": "yosys",
        "tool": "yosys",
        "version": "0.70",
        "stage": "synth",
        "period_ns": 10.0,
        "options": "",
    }
    folders = {d.point.id: d.folder.name for d in designs}
    RunDir.open(run).update(lambda record: replace(record, synth={**link, "folders": folders}))
    assert gather(run).board == "ulx3s-85f" and gather(run, board="ulx3s-85f").board == "ulx3s-85f"
    other = gather(run, board="xcvu9p")
    assert other.board is None and other.predicted_for.startswith("xcvu9p") and other.rows[0].mismatches is None
    with pytest.raises(BoardError):
        gather(run, board="nope")
    shutil.rmtree(run / "synth")
    assert "hwq synth makes it again" in gather(run).warnings[0]


def test_the_command_says_that_nothing_is_measured(run: Path) -> None:
    shown = " ".join(invoked("report", run, "--board", "zcu104").output.split())
    assert "predicted for" in shown and f"next: hwq synth {run} --board zcu104" in shown
