"""`hwq synth --io stream` and `hwq sim --io stream` on a small image network, from a run directory as training leaves it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import good
from networks import random_constant

from hwq.design.plans import plan
from hwq.design.target import Target
from hwq.errors import UsageError
from hwq.files import write_npz
from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.flow.synth import synth
from hwq.ir import Graph, make_node, text, verify
from hwq.run.directory import RunDir, write_point
from hwq.run.record import PointRecord, RunRecord
from hwq.sim.reference import predict


def network() -> Graph:
    rng = np.random.default_rng(0)
    x = make_node("image", "input", type=TypeArray.of(0, np.full((4, 5, 1), 3), 1, Rounding.RND, Overflow.SAT))
    conv = {"kernel": random_constant(rng, (3, 3, 1, 2), 3, 0.4), "bias": random_constant(rng, (2,), 3, 0.0)}
    place = {"strides": (1, 1), "pads": (1, 1, 1, 1), "dilation": (1, 1), "groups": 1}
    nodes = [x, make_node("conv", "conv2d", [x], attrs={**conv, **place})]
    nodes.append(make_node("relu", "relu", [nodes[-1]]))
    nodes.append(
        make_node("q", "quantize", [nodes[-1]], type=TypeArray.of(0, np.full((4, 5, 2), 4), 1, Rounding.RND, Overflow.SAT))
    )
    pool = {"size": (4, 5), "strides": (1, 1), "pads": (0, 0, 0, 0)}
    nodes.append(make_node("pool", "sum_pool2d", [nodes[-1]], attrs=pool))
    nodes.append(make_node("flat", "reshape", [nodes[-1]], attrs={"shape": (2,)}))
    dense = {"kernel": random_constant(rng, (2, 3), 3, 0.0), "bias": random_constant(rng, (3,), 3, 0.0)}
    nodes.append(make_node("logits", "dense", [nodes[-1]], attrs=dense))
    return verify(Graph(tuple(nodes), ("image",), ("logits",)))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    graph, path = network(), tmp_path / "run"
    x = np.random.default_rng(1).uniform(-1, 5, (60, 4, 5, 1)).astype(np.float32)
    logits = predict(graph, x)
    RunDir(path).save(RunRecord("trained"))
    write_npz(path / "vectors.npz", x=x, y=logits[:40].argmax(axis=1))
    write_point(path / "points" / "0001", text(graph), logits, PointRecord(1, 1.0, 100.0, 0.0, 1.0))
    return path


def test_a_stream_is_proven_and_measured(run: Path, tmp_path: Path) -> None:
    _, results = synth(run, Target.of("xcvu9p", tool="yosys", io="stream"), store_path=tmp_path / "store.sqlite")
    simulation, measurement = results[0].simulation, results[0].measurement
    assert simulation.mismatches == 0 and simulation.accuracy == 1.0
    assert [c.stage_b for c in simulation.comparisons] == ["keras", "csim", "rtl", "netlist"]
    assert measurement is not None and measurement.resources.lut and measurement.latency.interval == 20


def test_the_command_writes_the_plan_of_a_stream(run: Path, tmp_path: Path) -> None:
    good("synth", run, "--board", "xcvu9p", "--tool", "yosys", "--io", "stream", "--dry-run", "--out", tmp_path)
    assert "input  wire x_valid" in (tmp_path / "0001" / "rtl" / "hwq_top.v").read_text()


@pytest.mark.parametrize(
    ("board", "options", "why"),
    [
        ("ulx3s-85f", {"stage": "route"}, "does not go through placement by nextpnr"),
        ("xcvu9p", {"tool": "yosys", "style": "adders"}, "in the style adders"),
    ],
)
def test_what_a_stream_cannot_do_is_said(run: Path, board: str, options: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        plan(run, Target.of(board, io="stream", **options))
