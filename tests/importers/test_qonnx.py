"""QONNX networks: every answer of qonnx's own execution; steps that are no powers of two, and float weights, are refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwq
from hwq.errors import HwqError, ModelError, UnsupportedLayerError
from hwq.importers import read
from hwq.sim.compare import compare, mantissas_of
from hwq.sim.reference import evaluate, quantize_inputs

onnx = pytest.importorskip("onnx", reason="the extra hwq[qonnx] is not installed")
HERE = Path(__file__).resolve().parents[1] / "fixtures" / "imports"
NAMES = ["qonnx_bipolar", "qonnx_dense", "qonnx_image", "qonnx_qcdq"]


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_those_of_qonnx(name: str) -> None:
    graph = read(HERE / f"{name}.onnx").graph
    with np.load(HERE / f"{name}.npz") as stored:
        rows, answers = stored["x"], stored["y"]
    assert len(np.unique(answers)) > 15
    mine = evaluate(graph, quantize_inputs(graph, rows))
    assert str(compare(graph, "qonnx", mantissas_of(answers, graph), "reference", mine)).endswith("48 rows, 0 mismatches")
    design = hwq.compile(graph)
    assert (design.predict(rows) == answers).all()
    if name == "qonnx_bipolar":
        assert (design.csim(rows[:10]) == answers[:10]).all()


def test_the_report_tells_tables_and_what_is_left_out() -> None:
    report = read(HERE / "qonnx_image.onnx").report
    told = {layer.kind: layer.how for layer in report.layers}
    assert report.format == "QONNX" and told["Conv"] == "exactly" and told["Softmax"] == "left out"
    assert "as a table" in {layer.how for layer in report.layers if layer.kind == "Quant"}  # with the normalisation before it
    assert any("logits" in note for note in report.notes)


def changed(tmp_path: Path, name: str, change: Callable[[Any], None]) -> Path:
    model = onnx.load(str(HERE / f"{name}.onnx"))
    change(model.graph)
    target = tmp_path / "changed.onnx"
    onnx.save(model, str(target))
    return target


def first(graph: Any, op: str) -> Any:
    return next(node for node in graph.node if node.op_type == op)


def constant(op: str, place: int, value: float) -> Callable[[Any], None]:
    """Another value for a constant that the first node of an operation reads."""

    def change(graph: Any) -> None:
        name = first(graph, op).input[place]
        tensor = next(t for t in graph.initializer if t.name == name)
        kept = onnx.numpy_helper.to_array(tensor)
        tensor.CopyFrom(onnx.numpy_helper.from_array(np.full_like(kept, value), name))

    return change


def becomes(op: str, other: str) -> Callable[[Any], None]:
    def change(graph: Any) -> None:
        first(graph, op).op_type = other

    return change


def another_step(graph: Any) -> None:
    """The first DequantizeLinear by a step of its own."""
    graph.initializer.append(onnx.numpy_helper.from_array(np.array(0.5, np.float32), "other"))
    first(graph, "DequantizeLinear").input[1] = "other"


def unquantised(graph: Any) -> None:
    """The weights of the first product, without the Quant before them."""
    product = first(graph, "MatMul")
    source = next(node for node in graph.node if node.output[0] == product.input[1])
    product.input[1] = source.input[0]


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("qonnx_dense", constant("Quant", 1, 0.3), "has the step 0.3"),
        ("qonnx_dense", constant("Quant", 2, 1.0), "has a zero point"),
        ("qonnx_dense", constant("Quant", 3, 2.5), "has 2.5 bits"),
        ("qonnx_dense", becomes("Relu", "Resize"), "(Resize)"),
        ("qonnx_dense", unquantised, "constants that are not quantised"),
        ("qonnx_qcdq", another_step, "another step than the QuantizeLinear before it"),
        ("qonnx_qcdq", constant("Clip", 2, 20), "clips to"),
    ],
)
def test_what_has_no_exact_form_is_refused_by_name(name: str, change: Callable[[Any], None], message: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedLayerError) as caught:
        read(changed(tmp_path, name, change))
    assert message in caught.value.message and caught.value.hint


def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    whole = (HERE / "qonnx_dense.onnx").read_bytes()
    for length in (2, 40, 400, len(whole) - 30):
        (tmp_path / "cut.onnx").write_bytes(whole[:length])
        with pytest.raises(HwqError):
            read(tmp_path / "cut.onnx")


def test_weights_in_other_files_are_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "changed.onnx"
    for where in ("initializer", "constant"):
        model = onnx.load(str(HERE / "qonnx_dense.onnx"))
        tensor = model.graph.initializer[0]
        if where == "constant":
            model.graph.node.insert(0, onnx.helper.make_node("Constant", [], ["more"], value=tensor))
            tensor = model.graph.node[0].attribute[0].t
        tensor.data_location = onnx.TensorProto.EXTERNAL
        target.write_bytes(model.SerializeToString())
        with pytest.raises(ModelError, match="weights in other files"):
            read(target)


def test_a_table_is_read_at_whole_places_only(tmp_path: Path) -> None:
    """A cast cuts a fraction off, and a list has no entries before its first: what reads between or outside is refused."""
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    told = {"s": 0.5, "z": 0.0, "b": 4.0}
    for factor, offset, good in ((2.0, 8.0, True), (1.0, 8.0, False), (2.0, 7.0, False), (2.0, 9.0, False)):
        constants = {**told, "f": factor, "o": offset, "t": np.arange(16.0) ** 2 / 4}
        nodes = [
            helper.make_node("Quant", ["x", "s", "z", "b"], ["q"], domain="qonnx.custom_op.general", signed=1, narrow=0),
            helper.make_node("Mul", ["q", "f"], ["m"]),
            helper.make_node("Add", ["m", "o"], ["a"]),
            helper.make_node("Cast", ["a"], ["i"], to=7),
            helper.make_node("Gather", ["t", "i"], ["y"], axis=0),
        ]
        ends = [[helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 3])] for name in ("x", "y")]
        stored = [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()]
        graph = helper.make_graph(nodes, "table", *ends, initializer=stored)
        opsets = [helper.make_opsetid("", 13), helper.make_opsetid("qonnx.custom_op.general", 1)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(tmp_path / "table.onnx"))
        if good:
            assert (hwq.compile(read(tmp_path / "table.onnx").graph).predict([[-4.0, 0.0, 3.5]]) == [[0.0, 16.0, 56.25]]).all()
            continue
        with pytest.raises(UnsupportedLayerError, match="no entry for"):
            read(tmp_path / "table.onnx")
