"""hwq.compile: one object that predicts, simulates its own C++ and writes its files."""

from __future__ import annotations

import copy
import pickle
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_runs import fake, real
from networks import random_network

import hwq
from hwq.boards import load
from hwq.codegen.build import build
from hwq.cost.features import features
from hwq.cost.predict import price_for
from hwq.errors import BoardError, DataError, MismatchError, ModelError, ToolMissingError, UsageError
from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.flow.codesign.fit_to_budget import CompiledPrice
from hwq.ir import Constant, Graph, make_node, text, verify
from hwq.measure.store import Store
from hwq.passes.lower import lower
from hwq.passes.pipeline import levels_for, pipeline
from hwq.sim.reference import predict
from hwq.units import Period


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWQ_CACHE", str(tmp_path / "cache"))


def rows(count: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 6)) * 4


@pytest.mark.parametrize("style", ["multiply", "adders"])
def test_a_graph(style: str, tmp_path: Path) -> None:
    graph = random_network(3, (6, 5, 4))
    made = hwq.compile(graph, board="zcu104", clock="300MHz", style=style)
    x = rows(100)
    want = predict(graph, x)
    assert (made.predict(x) == want).all() and (made.csim(x) == want).all()
    folder = made.write(tmp_path / "out")
    assert (folder / "rtl" / "hwq_top.v").is_file() and ("adders" in style) == (
        "shared adder graph" in (folder / "hls" / "hwq_top.cpp").read_text()
    )
    summary = made.summary()
    assert "zcu104" in summary and "300 MHz" in summary and f"latency {made.build.plan.latency_cycles} cycles" in summary


def test_a_file(tmp_path: Path) -> None:
    graph = random_network(3, (6, 5, 4))
    (tmp_path / "graph.hwq").write_text(text(graph))
    x = rows(10)
    design = hwq.compile(tmp_path / "graph.hwq")
    want = predict(graph, x)
    assert (design.predict(x) == want).all()
    for again in (pickle.loads(pickle.dumps(design)), copy.deepcopy(design)):  # after the emulator was loaded
        assert (again.predict(x) == want).all() and again.target == design.target
    with pytest.raises(DataError, match="do not fit the design's 6 inputs") as caught:
        design.predict(x[0])
    assert caught.value.hint == "of one row x: x[None]"


def test_a_twin_of_keras() -> None:
    """In a process of its own: the trained twin, frozen by hand, answers what the design answers."""
    program = """
import keras, numpy as np
import hwq
from hwq.errors import ModelError
from hwq.conversion.freeze import freeze
keras.utils.set_random_seed(0)
rows = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)
model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(6, activation="relu"), keras.layers.Dense(3)])
twin = hwq.quantize(model, data=rows)
made = hwq.compile(twin, data=rows)
want = keras.ops.convert_to_numpy(freeze(twin, rows, 1.125, "float64")(rows.astype(np.float64)))
assert (made.predict(rows) == want.reshape(300, 3)).all()
for wrong in (lambda: hwq.compile(twin), lambda: hwq.compile(model)):
    try:
        wrong()
    except ModelError as error:
        assert error.hint
    else:
        raise SystemExit(1)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_what_cannot_be_meant_is_refused() -> None:
    graph = random_network(3, (6, 5, 4))
    with pytest.raises(ModelError, match="cannot compile a list"):
        hwq.compile([1, 2])
    with pytest.raises(ModelError, match="cannot read"):
        hwq.compile("no/such/graph.hwq")
    with pytest.raises(BoardError):
        hwq.compile(graph, board="zcu9999")
    with pytest.raises(UsageError):
        hwq.compile(graph, clock="fast")
    with pytest.raises(DataError):
        hwq.compile(graph).predict(np.full((3, 6), np.nan))
    with pytest.raises(DataError, match="at least one row"):
        hwq.compile(graph).csim(np.zeros((0, 6)))


def test_what_holds_a_graph_prints_itself_in_a_line() -> None:
    made = hwq.compile(random_network(3, (6, 5, 4)))
    for held in (made, made.graph, made.build, made.build.plan, made.build.circuit):
        assert 10 < len(repr(held)) < 500, repr(held)[:600]
    assert "latency" in repr(made) and "xcvu9p" in repr(made)


def test_the_summary_predicts_with_an_error() -> None:
    told = hwq.compile(random_network(3, (6, 5, 4))).summary()
    assert len(told.splitlines()) < 10
    assert re.search(r"predicted, not measured: \d+ LUT \+-[\d.]+%, \d+ FF \+-[\d.]+% \(.*yosys", told), told
    assert "nothing has been measured" in hwq.compile(random_network(3, (6, 5, 4)), board="vck190").summary()


@pytest.mark.parametrize("clock", ["200MHz", 200e6, 200_000_000, Period(5.0), "5ns"])
def test_a_clock_may_be_given_in_many_ways(clock: object) -> None:
    assert hwq.compile(random_network(3, (6, 5, 4)), clock=clock).period == Period(5.0)


@pytest.mark.parametrize("clock", [200, 5.0, 0, -1e9, float("nan"), True, [200e6], b"200MHz"])
def test_a_clock_that_cannot_be_meant_is_refused(clock: object) -> None:
    with pytest.raises(UsageError) as raised:
        hwq.compile(random_network(3, (6, 5, 4)), clock=clock)
    assert "Hz" in str(raised.value.hint)


def binary_network(seed: int) -> Graph:
    """Two layers of weights -1, 0, 1 between bits, whose functions of few bits become tables."""
    rng = np.random.default_rng(seed)
    bit = TypeArray.of(0, np.full(16, 1), 0, Rounding.TRN, Overflow.SAT)
    nodes = [make_node("x", "input", type=bit)]
    for k in range(2):
        weights = rng.choice([-1, 1], (16, 16)) * (rng.random((16, 16)) > 0.7)
        kernel = Constant(weights, TypeArray.of(1, np.where(weights == 0, 0, 2), 0))
        bias = Constant(np.zeros(16, np.int64), TypeArray.of(0, np.zeros(16), 0))
        nodes.append(make_node(f"d{k}", "dense", [nodes[-1]], attrs={"kernel": kernel, "bias": bias}))
        if not k:
            nodes.append(make_node("q", "quantize", [nodes[-1]], type=bit))
    return verify(Graph(tuple(nodes), ("x",), (nodes[-1].name,)))


def test_one_predictor_for_training_and_landing() -> None:
    """Both compile the graph as the build does: functions of few bits as tables, too."""
    board = load("xcvu9p")
    price = price_for("xcvu9p", None)
    compiled = CompiledPrice(price.model, board, board.default_clock)
    levels = levels_for(board.default_clock.ns, board.adder_level_ns, board.overhead_ns)
    tables_matter = 0
    for seed in range(3):
        graph = binary_network(seed)
        found, made = compiled(graph), build(graph, board)
        assert price(graph) == found.lut == price.model.value(features(made.graph, made.circuit))
        assert found.latency_cycles == made.circuit.latency
        plain = pipeline(lower(made.graph), levels)
        tables_matter += price.model.value(features(made.graph, plain)) != found.lut
    assert tables_matter


def test_a_design_is_estimated_measured_and_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a graph to a stored measurement without a run; the second time no tool starts."""
    monkeypatch.setenv("HWQ_YOSYS", str(fake(tmp_path, "yosys", real("yosys"))))
    design = hwq.compile(random_network(3, (6, 5, 4)), "pynq-z2", "200MHz")
    store = tmp_path / "s.sqlite"
    assert design.report(store) == []
    found = design.synth(store_path=store, folder=tmp_path / "designs")
    guess = design.estimate(store)
    assert guess.lut is not None and guess.lut == pytest.approx(
        found.resources.lut, abs=12
    )  # a tiny design: its models are for larger ones
    assert guess.latency_cycles == found.latency.max_cycles == design.build.plan.latency_cycles
    assert (
        str(guess).startswith("predicted, not measured")
        and hwq.predict_cost(design.graph, "pynq-z2", "200MHz") == design.estimate()
    )
    monkeypatch.setenv("HWQ_YOSYS", str(fake(tmp_path, "yosys", "exit 1")))
    assert design.synth(store_path=store) == found and design.report(store) == [found]
    assert f"latency {guess.latency_cycles} cycles" in design._repr_html_()


def test_a_target_says_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the loose options do, tool and stage included; nothing may stand beside it, and a stream is no design in Python."""
    graph = random_network(3, (6, 5, 4))
    target = hwq.Target.of("pynq-z2", "200MHz", tool="yosys", stage="synth", interval=2, registered_inputs=True)
    design = hwq.compile(graph, target)
    loose = hwq.compile(graph, "pynq-z2", "200MHz", tool="yosys", stage="synth", interval=2, registered_inputs=True)
    assert design.target == loose.target == target and (design.board, design.period) == (target.board, target.clock)
    assert (
        design.build.plan.digest == loose.build.plan.digest != hwq.compile(graph, "pynq-z2", "200MHz", interval=2).build.plan.digest
    )
    asked: list[tuple[str, str | None]] = []

    def choose(tool: str, board: object, stage: str | None, **_: object) -> None:
        asked.append((tool, stage))
        raise ToolMissingError("none here")

    monkeypatch.setattr("hwq.design.compiled.choose", choose)
    for given in ({}, {"tool": "vivado"}, {"stage": "route"}):
        with pytest.raises(ToolMissingError):
            design.synth(**given, store_path=tmp_path / "s.sqlite")  # type: ignore[arg-type]
    assert asked == [("yosys", "synth"), ("vivado", None), ("yosys", "route")]
    with pytest.raises(UsageError, match="a target says its clock itself"):
        hwq.compile(graph, target, "100MHz")
    with pytest.raises(UsageError, match="a target says its interval itself"):
        hwq.compile(graph, target, interval=3)
    for board in ("pynq-z2", target):
        with pytest.raises(TypeError, match="a target has no 'speed'; it has tool, stage"):
            hwq.compile(graph, board, speed=3)  # type: ignore[call-arg]
    with pytest.raises(UsageError, match="io='stream' is no design in Python"):
        hwq.compile(graph, hwq.Target.of("pynq-z2", io="stream"))


def test_a_design_that_computes_something_else_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWQ_YOSYS", str(fake(tmp_path, "yosys", real("yosys"))))
    design = hwq.compile(random_network(3, (6, 5, 4)), "pynq-z2")
    name = "rtl/hwq_top.v"
    wrong = design.build.plan.files[name].replace(" + ", " - ")
    assert wrong != design.build.plan.files[name]
    plan = replace(design.build.plan, files={**design.build.plan.files, name: wrong})
    with pytest.raises(MismatchError, match="rtl"):
        replace(design, build=replace(design.build, plan=plan)).synth(store_path=tmp_path / "s.sqlite", folder=tmp_path / "designs")
    assert Store.open(tmp_path / "s.sqlite").find() == []


def test_public_names_are_there_and_found() -> None:
    assert set(hwq.__all__) <= set(dir(hwq))
    for name in hwq.__all__:
        assert getattr(hwq, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        hwq.nothing  # noqa: B018


@pytest.mark.parametrize("board", [None, 3])
def test_what_is_no_board_is_refused(board: Any) -> None:
    with pytest.raises(BoardError, match="is no board"):
        hwq.compile(random_network(3, (6, 5, 4)), board)
