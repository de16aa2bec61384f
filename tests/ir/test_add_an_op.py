"""What docs/how-to/add-an-op.md says, done: a file and a line in the registry take a new op through every evaluator, cost and stream."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
import toy_op
from networks import random_constant, random_rows

import hwq
from hwq import boards
from hwq.codegen.build import Form, build
from hwq.codegen.stream import build_stream
from hwq.conversion.graph_model import GraphModel
from hwq.cost.features import features
from hwq.errors import GraphError, UnsupportedLayerError
from hwq.fixed import Overflow, Rounding, TypeArray, to_float
from hwq.ir import OPS, Graph, make_node, parse, text, verify
from hwq.sim.compare import to_types
from hwq.sim.csim import csim
from hwq.sim.emulator import emulator
from hwq.sim.floats import evaluate_floats
from hwq.sim.reference import evaluate, evaluate_nodes
from hwq.sim.rtlsim import rtlsim
from hwq.styles.choice import build_at

BOARD = boards.load("xcvu9p")


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line in the registry."""
    for spec in toy_op.SPECS:
        monkeypatch.setitem(OPS, spec.name, spec)


def network() -> Graph:
    """Signed and unsigned elements, absent ones, and a product before and after."""
    rng = np.random.default_rng(0)
    x = make_node("x", "input", type=TypeArray.of([1, 0, 1, 1], [4, 3, 0, 5], [2, 0, 0, 1]))
    size = make_node("size", "absolute", [x], source="a layer")
    dense = make_node("dense", "dense", [x], attrs={"kernel": random_constant(rng, (4, 4)), "bias": random_constant(rng, (4,))})
    again = make_node("again", "absolute", [dense])
    total = make_node("total", "add", [size, again])
    narrow = make_node("narrow", "quantize", [total], type=TypeArray.of(0, [3, 4, 5, 6], [1, 0, 2, 1], Rounding.RND, Overflow.SAT))
    return verify(Graph((x, size, dense, again, total, narrow), ("x",), ("size", "narrow")))


def test_every_evaluator_agrees(tmp_path: Path) -> None:
    graph = network()
    assert parse(text(graph)) == graph
    x = random_rows(graph, 300)
    want = evaluate(graph, x)
    assert want[:, :4].min() == 0 and (want[:, 0] == np.abs(x[:, 0])).all()
    made = build(graph, BOARD)
    made.plan.write(tmp_path)
    for got in (emulator(made.graph, made.circuit).evaluate(x), csim(made, tmp_path, x), rtlsim(made, tmp_path, x)):
        assert (to_types(got, made.graph, graph) == want).all()
    floats = GraphModel.of(graph).logits(to_float(x, graph["x"].type.frac))
    steps = np.concatenate([graph[name].type.frac.ravel() for name in graph.outputs])
    assert (floats == to_float(want, steps)).all()


@pytest.mark.parametrize("fold", ["serial", "mac"])
def test_every_style_takes_it(fold: str, tmp_path: Path) -> None:
    graph = network()
    made = build_at(graph, BOARD, form=Form(fold=fold), interval=4)
    made.plan.write(tmp_path)
    x = random_rows(graph, 50)
    assert (to_types(rtlsim(made, tmp_path, x), made.graph, graph) == evaluate(graph, x)).all()


def test_it_is_counted_and_streamed() -> None:
    graph = network()
    made = build(graph, BOARD)
    bits = float(sum(made.graph[name].type.width.sum() for name in ("size", "again")))
    assert features(made.graph, made.circuit)["net_choice_bits"] == bits
    image = make_node("image", "input", type=TypeArray.of(1, np.full((3, 3, 2), 4), 1))
    stream = build_stream(verify(Graph((image, make_node("y", "absolute", [image])), ("image",), ("y",))), BOARD)
    assert "absolute value" in stream.plan.files["hls/hwq_top.cpp"]


def test_it_is_not_known_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the line it is refused by name: nothing but the registry has it."""
    graph = network()
    monkeypatch.delitem(OPS, "absolute")
    with pytest.raises(GraphError, match="unknown operation 'absolute'; known: add, "):
        verify(graph)


def test_a_trace_has_it_in_floats_too() -> None:
    """An operation that nobody wrote in floats is computed by its meaning on integers, of far finer steps."""
    graph = network()
    frac = np.concatenate([graph[name].type.frac.ravel() for name in graph.inputs])
    rows = random_rows(graph, 40)
    found = evaluate_floats(graph, to_float(rows, frac), {node.name for node in graph.nodes})
    wanted = evaluate_nodes(graph, rows)
    for node in graph.nodes:
        assert (found[node.name] == to_float(wanted[node.name], node.type.frac)).all(), node.name


@pytest.mark.parametrize("to", ["qonnx", "keras", "hls4ml"])
def test_no_format_leaves_it_out(to: str, tmp_path: Path) -> None:
    """What an exporter does not know it refuses by name."""
    with pytest.raises(UnsupportedLayerError, match="absolute"):
        hwq.export(network(), tmp_path / "out", to=to, data=np.zeros((4, 4), np.float32))


ROOT = Path(__file__).resolve().parents[2] / "hwq"
SPECIAL = {
    # where one op is treated apart: short cuts that another op can do without
    "passes/merge_rounding.py": {"quantize", "bias", "relu", "reshape"},
    "passes/narrow.py": {"quantize"},
    "passes/prune.py": {"quantize", "relu", "leaky_relu", "reshape"},
    "passes/stream.py": {"reshape"},
    "cost/features.py": {"quantize", "relu"},
    "posttraining/channels.py": {"quantize"},
    "posttraining/ranges.py": {"quantize"},
    "posttraining/sensitivity.py": {"quantize"},
    "sim/floats.py": {"quantize", "table", "max_pool2d"},
    "sim/trace.py": {"quantize"},
}
FORMATS = {"importers", "exporters"}  # a format of others has the operations that it has


def asked(source: str) -> set[str]:
    """The ops that `<node>.op` is compared with, but for the input, which is no operation."""
    tests = [
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Compare) and ast.unparse(node.left).endswith(".op")
    ]
    inner = [part for test in tests for place in test.comparators for part in ast.walk(place)]
    return {part.value for part in inner if isinstance(part, ast.Constant) and part.value in OPS} - {"input"}


def test_no_other_file_asks_which_op_a_node_is() -> None:
    files = [path for path in ROOT.rglob("*.py") if ROOT / "ir" / "ops" not in path.parents]
    files = [path for path in files if path.relative_to(ROOT).parts[0] not in FORMATS]
    found = {str(path.relative_to(ROOT)): asked(path.read_text()) for path in files}
    assert {name: ops for name, ops in found.items() if ops} == SPECIAL, "ask for a form of its OpSpec instead"
