"""`hwq sim --trace`: the layers of a run's point, on its rows, in the terminal and in a file of the run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import good, refused
from fake_runs import ROWS, make_run

from hwq.errors import DataError, UsageError
from hwq.flow.trace import trace_points
from hwq.ir import parse
from hwq.run.directory import RunDir
from hwq.sim.reference import predict


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "run", 2)


def test_a_point_is_traced_into_the_run(run: Path) -> None:
    found = trace_points(run, point="1")[0]
    x, y = RunDir.open(run).vectors()
    answers = predict(parse(RunDir.open(run).point("0001").graph_text()), x)
    assert found.trace.rows == ROWS and found.integers == pytest.approx((answers.argmax(axis=1) == y).mean())
    assert found.floats is not None and found.file == run / "trace" / "0001.json"
    told = json.loads(found.file.read_text())
    assert [one["name"] for one in told["layers"]] == [one.name for one in found.trace.layers] and told["point"] == "0001"
    assert told["layers"][1]["weights"]["count"] == 30 and len(told["layers"][0]["histogram"]["float"]) == 16
    assert len(trace_points(run, point="all", rows=7)) == 2


def test_the_command_shows_a_table(run: Path) -> None:
    lines = good("sim", run, "--trace", "--rows", "20").splitlines()
    assert lines[0] == "point 0000, 20 rows" and lines[1].split()[:3] == ["node", "op", "bits"]
    assert [line.split()[0] for line in lines[2:4]] == ["x", "dense_0"]
    assert any(line.startswith("accuracy of these rows: ") for line in lines) and str(run / "trace" / "0000.json") in lines[-1]
    told = json.loads(good("sim", run, "--trace", "--json"))
    assert told[0]["point"] == "0000" and np.isfinite(told[0]["layers"][0]["error"]["rms"])


def test_wrong_options_are_errors(run: Path) -> None:
    assert refused(UsageError, "sim", run, "--trace", "--prove").hint
    with pytest.raises(DataError):
        trace_points(run, rows=0)
