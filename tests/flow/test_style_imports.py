"""`hwq import` simulates the mapped netlist of serial and folded designs, and says that it does not simulate a stream's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_runs import make_run
from test_flow_stream import network
from test_plans import Server, one_bit, replace_output

from hwq.design.plans import plan
from hwq.design.target import Target
from hwq.errors import MismatchError
from hwq.files import write_npz
from hwq.ir import text
from hwq.measure.store import Store
from hwq.run.directory import RunDir, write_point
from hwq.run.record import PointRecord, RunRecord
from hwq.sim.reference import predict
from hwq.synthesis.importing import import_plan

BOARD, STEP, NETLIST = "xcvu9p", "yosys-synth", "yosys/netlist.v"


def image_run(path: Path) -> Path:
    graph = network()
    x = np.random.default_rng(1).uniform(-1, 5, (40, 4, 5, 1)).astype(np.float32)
    logits = predict(graph, x)
    RunDir(path).save(RunRecord("trained"))
    write_npz(path / "vectors.npz", x=x, y=logits.argmax(axis=1))
    write_point(path / "points" / "0001", text(graph), logits, PointRecord(1, 1.0, 100.0, 0.0, 1.0))
    return path


@pytest.mark.parametrize(("fold", "interval"), [pytest.param("mac", 12, marks=pytest.mark.slow), ("serial", 24)])
def test_a_changed_netlist_is_refused(fold: str, interval: int, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    (planned,) = plan(run, Target.of(BOARD, tool="yosys", interval=interval, fold=fold), out=tmp_path / "away")
    folder, server = planned.folder, Server(tmp_path / "server")
    done = server.run(folder, "yosys", "synth")
    assert done.returncode == 0, done.stderr
    made = sorted(p.name for p in folder.rglob("*"))
    back = import_plan(folder, run=run, store_path=tmp_path / "good.sqlite")
    assert back.measurements[-1].resources.lut and not back.warnings
    assert sorted(p.name for p in folder.rglob("*")) == made  # nothing of the plan's folder runs, nothing is written there
    whole, refused = (folder / NETLIST).read_text(), 0
    for which in (2, 0, 1):  # a table may be of a constant, and matter nowhere; not all of them are
        replace_output(folder, STEP, NETLIST, one_bit(whole, r"INIT\(\d+'h([0-9a-f])", which))
        place = tmp_path / f"{which}.sqlite"
        try:
            import_plan(folder, run=run, store_path=place)
        except MismatchError as error:
            refused += "reference = netlist" in error.message or "back to back" in error.message
            assert Store.open(place).find() == []
            break
    assert refused


def test_a_stream_says_that_its_netlist_was_not_simulated(tmp_path: Path) -> None:
    run = image_run(tmp_path / "run")
    (planned,) = plan(run, Target.of(BOARD, tool="yosys", io="stream"), out=tmp_path / "away")
    assert Server(tmp_path / "server").run(planned.folder, "yosys", "synth").returncode == 0
    back = import_plan(planned.folder, run=run, store_path=tmp_path / "s.sqlite")
    assert any("of a stream is not simulated" in text for text in back.warnings) and back.measurements
