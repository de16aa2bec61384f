"""What a finished step must show before its numbers are stored: a netlist that computes, a co-simulation that passed, one version."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import report_samples
from networks import random_network

from hwq import boards
from hwq.codegen.build import build
from hwq.errors import MismatchError, ReportError
from hwq.synthesis import step_measurement
from hwq.synthesis.step_measurement import require_mapped
from hwq.synthesis.step_reports import require_pass, version_doubt
from hwq.toolchains.plan import TOP
from hwq.toolchains.registry import steps_for
from hwq.toolchains.runner import Record, record_path

BOARD = boards.load("zcu104")


def record(step: str, version: str, *outputs: str) -> Record:
    return Record(step, "synth", "p", "yosys", version, 0, 0.0, 1.0, None, "here", "log", {}, dict.fromkeys(outputs, ""))


@pytest.mark.parametrize("wrong", [0, 1])
def test_a_netlist_must_compute_what_the_graph_says(wrong: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = build(random_network(3, (6, 5, 4)), BOARD)
    (tmp_path / "yosys").mkdir()
    (tmp_path / "yosys/netlist.v").write_text("")
    path = record_path(tmp_path, "yosys-synth")
    path.parent.mkdir()
    path.write_text("{}")

    def answers(_made: object, _folder: Path, inputs: np.ndarray) -> np.ndarray:
        found = step_measurement.evaluate(made.graph, inputs).copy()
        found[17, 2] += wrong
        return found

    monkeypatch.setattr(step_measurement, "evaluate_mapped", answers)
    if not wrong:
        require_mapped(made, tmp_path)
        return
    with pytest.raises(MismatchError, match="sample 17"):
        require_mapped(made, tmp_path)
    assert not path.exists()


def test_a_cosimulation_must_have_passed(tmp_path: Path) -> None:
    steps = steps_for("vitis", "cosim", BOARD, TOP, 5.0)
    step = steps[-1]
    name = f"hls_prj/sim/report/{TOP}_cosim.rpt"
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text(report_samples.cosim())
    require_pass(step, record(step.name, "", name), tmp_path)
    path.write_text(report_samples.cosim(("Fail", "13", "13", "14", "5", "5", "6")))
    with pytest.raises(ReportError):
        require_pass(step, record(step.name, "", name), tmp_path)


def test_a_report_of_another_version_is_doubted(tmp_path: Path) -> None:
    step = steps_for("yosys", "synth", BOARD, TOP, 5.0)[-1]
    (tmp_path / "yosys").mkdir()
    (tmp_path / "yosys/stat.json").write_text('{"creator": "Yosys 0.60 (git)"}')
    assert version_doubt(step, record(step.name, "0.60", "yosys/stat.json"), tmp_path) is None
    assert "written by 0.60" in (version_doubt(step, record(step.name, "0.70", "yosys/stat.json"), tmp_path) or "")
