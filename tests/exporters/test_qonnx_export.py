"""QONNX files that hwq writes: executed to the same integers, read back as the same graph, refused where floats do not hold the numbers."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from every_op import MODES, ops_of_one_input, ops_of_two_inputs, quantisers
from export_cases import cases
from networks import random_constant
from random_graphs import extreme_graph

from hwq.errors import HwqError, MismatchError, ModelError, UnsupportedLayerError, UsageError
from hwq.exporters import export_graph, onnx_nodes
from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.importers import read
from hwq.ir import Graph, make_node, verify
from hwq.sim.compare import compare, mantissas_of
from hwq.sim.reference import evaluate, predict, quantize_inputs

onnx = pytest.importorskip("onnx", reason="the extra hwq[qonnx] is not installed")
HERE = Path(__file__).resolve().parents[1] / "fixtures" / "exports"


@pytest.mark.parametrize("name", cases())
def test_qonnx_executes_the_same_integers(name: str, tmp_path: Path) -> None:
    """The answers are of qonnx's own execution of the stored file, and hwq writes the same file today."""
    graph = cases()[name]
    with np.load(HERE / f"qonnx_{name}.npz") as stored:
        rows, answers = stored["x"], stored["y"]
    mine = evaluate(graph, quantize_inputs(graph, rows))
    assert str(compare(graph, "qonnx", mantissas_of(answers, graph), "reference", mine)).endswith("60 rows, 0 mismatches")
    export_graph(graph, tmp_path / "net.onnx")
    assert onnx.load(str(tmp_path / "net.onnx")).graph == onnx.load(str(HERE / f"qonnx_{name}.onnx")).graph


@pytest.mark.parametrize(("rounding", "overflow"), MODES)
def test_every_op_in_every_mode_comes_back_the_same(rounding: Rounding, overflow: Overflow, tmp_path: Path) -> None:
    report = export_graph(ops_of_one_input((rounding, overflow))[0], tmp_path / "net.onnx")
    assert [c.mismatches for c in report.comparisons] == [0, 0] and report.comparisons[0].samples == 1000
    assert report.same_graph, report
    two = export_graph(ops_of_two_inputs((rounding, overflow))[0], tmp_path / "two.onnx")
    assert [c.mismatches for c in two.comparisons] == [0] and two.same_graph is None  # a file of two inputs is not read


@pytest.mark.parametrize("rounding", Rounding)
def test_every_code_is_quantised_alike(rounding: Rounding, tmp_path: Path) -> None:
    graph, rows = quantisers(rounding)
    floats = np.ldexp(rows.astype(np.float64), -graph["x"].type.frac.astype(np.int64))
    report = export_graph(graph, tmp_path / "net.onnx", data=floats)
    assert report.same_graph, report


def test_random_graphs_come_back_the_same(tmp_path: Path) -> None:
    """Of graphs whose types have nothing in common; those whose numbers no float holds are refused, and no other ones."""
    kept = 0
    for seed in range(60):
        graph = extreme_graph(seed, 10, 8)
        if len(graph.inputs) > 1:
            continue
        try:
            report = export_graph(graph, tmp_path / "net.onnx")
        except UnsupportedLayerError as error:
            assert "bits" in error.message and error.hint
            continue
        kept += 1
        assert report.same_graph or any(node.op == "take" for node in graph.nodes), f"{seed}: {report}"
    assert kept > 12


def test_weights_stand_behind_a_quantiser_that_says_their_bits(tmp_path: Path) -> None:
    graph = cases()["network"]
    export_graph(graph, tmp_path / "net.onnx")
    found = onnx.load(str(tmp_path / "net.onnx")).graph
    values = {t.name: onnx.numpy_helper.to_array(t) for t in found.initializer}
    quants = {node.output[0]: node for node in found.node if node.op_type == "Quant"}
    node = quants["dense_0.kernel"]
    mantissas = values[node.input[0]] / values[node.input[1]]
    assert (mantissas == np.rint(mantissas)).all() and np.abs(mantissas).max() < 2.0 ** (values[node.input[3]] - 1)
    kernel = graph["dense_0"].constant("kernel")
    assert (values[node.input[0]] == np.ldexp(kernel.mantissas.astype(float), -kernel.types.frac.astype(int))).all()


def test_a_wrong_file_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = cases()["network"]
    (tmp_path / "net.onnx").write_text("before")

    def wrong(writer: Any, operation: Any) -> None:
        writer.node("Identity", list(operation.inputs), operation.name, operation.shape)

    monkeypatch.setitem(onnx_nodes.WRITERS, "relu", wrong)
    with pytest.raises(MismatchError, match="first at sample"):
        export_graph(graph, tmp_path / "net.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"] and (tmp_path / "net.onnx").read_text() == "before"


def test_numbers_that_no_float_holds_are_refused_by_node(tmp_path: Path) -> None:
    x = make_node("x", "input", type=TypeArray.of(1, [40], 8))
    square = make_node("square", "multiply", [x, x], source="power")
    graph = verify(Graph((x, square), ("x",), ("square",)))
    with pytest.raises(UnsupportedLayerError, match="node square of layer 'power' has numbers of 78 bits") as caught:
        export_graph(graph, tmp_path / "net.onnx")
    assert caught.value.hint and not list(tmp_path.iterdir())


@pytest.mark.parametrize(("to", "name"), [("tflite", "net.onnx"), (None, "net.pb")])
def test_an_unknown_format_is_an_error(to: str | None, name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        export_graph(cases()["network"], tmp_path / name, to)
    assert caught.value.hint and "qonnx" in caught.value.hint


def test_without_onnx_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.partition(".")[0] == "onnx":
            raise ImportError(name)
        return found(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModelError) as caught:
        export_graph(cases()["network"], tmp_path / "net.onnx")
    assert caught.value.hint == "pip install 'hwq[qonnx]'"


def test_a_wrapping_input_is_read_as_one(tmp_path: Path) -> None:
    x = make_node("x", "input", type=TypeArray.of([1, 0], [5, 4], [2, 3], Rounding.RND, Overflow.WRAP))
    graph = verify(Graph((x, make_node("y", "relu", [x])), ("x",), ("y",)))
    report = export_graph(graph, tmp_path / "net.onnx", data=np.array([[7.3, -2.1], [-9.0, 30.0]]))
    assert report.same_graph and read(tmp_path / "net.onnx").graph.nodes[0].type == x.type


def test_every_error_has_a_hint(tmp_path: Path) -> None:
    with pytest.raises(HwqError) as caught:
        export_graph(cases()["network"], tmp_path / "net.bin")
    assert caught.value.hint


@pytest.mark.parametrize(("groups", "pads"), [(1, (1, 0, 0, 2)), (2, (0, 0, 0, 0)), (4, (1, 1, 1, 1))])
def test_long_convolutions_are_exact_in_float64(groups: int, pads: tuple[int, ...], tmp_path: Path) -> None:
    """onnxruntime has none in float64: they become products of gathered windows."""
    rng = np.random.default_rng(0)
    x = make_node("x", "input", type=TypeArray.of(1, np.full((5, 6, 4), 14), 6, Rounding.RND, Overflow.SAT))
    kernel = random_constant(rng, (2, 3, 4 // groups, 4), 12, 0.1)
    attrs = {"kernel": kernel, "bias": random_constant(rng, (4,), 9, 0), "groups": groups, "pads": pads}
    y = make_node("y", "conv2d", [x], attrs={**attrs, "strides": (1, 2), "dilation": (2, 1)})
    z = make_node("z", "sum_pool2d", [y], attrs={"size": (2, 1), "strides": (1, 1), "pads": (0, 1, 0, 0)})
    report = export_graph(verify(Graph((x, y, z), ("x",), ("z",))), tmp_path / "net.onnx")
    assert [c.mismatches for c in report.comparisons] == [0, 0] and "float64" in report.notes[0] and report.same_graph, report
    assert "Conv" not in {node.op_type for node in onnx.load(str(tmp_path / "net.onnx")).graph.node}


@pytest.mark.parametrize(
    "change", [lambda told: told.replace("[1, 2]", "[2, 2]"), lambda told: "a convolution", lambda told: '{"image": 3}']
)
def test_what_a_file_says_of_a_window_is_checked(change: Any, tmp_path: Path) -> None:
    """Only the places themselves decide: a text that says something else changes no answer."""
    x = make_node("x", "input", type=TypeArray.of(1, np.full((4, 6, 1), 16), 6, Rounding.RND, Overflow.SAT))
    attrs = {"kernel": random_constant(np.random.default_rng(0), (2, 3, 1, 2), 12, 0), "groups": 1, "pads": (0, 0, 0, 0)}
    attrs |= {"bias": random_constant(np.random.default_rng(1), (2,), 4, 0), "strides": (1, 2), "dilation": (1, 1)}
    graph = verify(Graph((x, make_node("y", "conv2d", [x], attrs=attrs)), ("x",), ("y",)))
    assert export_graph(graph, tmp_path / "net.onnx").same_graph
    model = onnx.load(str(tmp_path / "net.onnx"))
    node = next(node for node in model.graph.node if node.op_type == "Einsum")
    node.doc_string = change(node.doc_string)
    onnx.save(model, str(tmp_path / "other.onnx"))
    back, rows = read(tmp_path / "other.onnx").graph, np.random.default_rng(2).normal(size=(50, 24))
    assert "conv2d" not in {node.op for node in back.nodes}
    assert (predict(back, rows) == predict(graph, rows)).all()
