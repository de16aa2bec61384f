"""Functions that wait for a quantiser, and differ from element to element, move with the numbers: answers are those of ONNX's own evaluator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwq.errors import ModelError, UnsupportedLayerError
from hwq.fixed import FixedType
from hwq.importers import keras_layers, read
from hwq.importers.builder import Builder, Signal, uniform
from hwq.importers.fixed_point import Fixed
from hwq.importers.hgq_tables import READERS
from hwq.importers.keras_files import StoredLayer
from hwq.ir import Graph, verify
from hwq.sim.reference import predict

onnx = pytest.importorskip("onnx", reason="the extra hwq[qonnx] is not installed")
Net = Callable[["Network", str], str]


class Network:
    """Nodes and constants of an ONNX file while it is written."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.random = np.random.default_rng(3)

    def const(self, value: Any, dtype: Any = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(onnx.numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def add(self, op: str, *sources: str, **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(onnx.helper.make_node(op, list(sources), [name], name=f"n{len(self.nodes)}", **attributes))
        return name

    def quantised(self, x: str, step: float = 0.125, low: int = -128, high: int = 127) -> str:
        scale, zero = self.const(step), self.const(0, np.int8)
        codes = self.add("QuantizeLinear", x, scale, zero)
        if high < 127:
            codes = self.add("Clip", codes, self.const(low, np.int8), self.const(high, np.int8))
        return self.add("DequantizeLinear", codes, scale, zero)

    def norm(self, x: str, channels: int) -> str:
        r = self.random
        parts = (r.uniform(0.5, 2, channels), r.normal(size=channels), r.normal(size=channels), r.uniform(0.5, 2, channels))
        return self.add("BatchNormalization", x, *(self.const(p) for p in parts))

    def shape(self, *row: int) -> str:
        return self.const([0, *row], np.int64)


def written(path: Path, shape: tuple[int, ...], net: Net) -> Path:
    made = Network()
    y = net(made, "x")
    value = onnx.helper.make_tensor_value_info
    ends = [value("x", onnx.TensorProto.FLOAT, ["n", *shape])], [value(y, onnx.TensorProto.FLOAT, None)]
    graph = onnx.helper.make_graph(made.nodes, "net", *ends, made.constants)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 19)], ir_version=9), str(path))
    return path


def matches(path: Path, shape: tuple[int, ...]) -> None:
    from onnx.reference import ReferenceEvaluator

    rows = (np.random.default_rng(5).normal(size=(100, *shape)) * 3).astype(np.float32)
    want = ReferenceEvaluator(str(path)).run(None, {"x": rows})[0]
    assert len(np.unique(want)) > 12
    got = np.asarray(predict(read(path).graph, rows))
    assert (got.reshape(want.shape) == want).all()


def then_moved(op: str, channels: int, *more: Any, **attributes: Any) -> Net:
    """A normalisation, a move and a quantiser."""

    def net(n: Network, x: str) -> str:
        read = [n.shape(*each) for each in more]
        return n.quantised(n.add(op, n.norm(n.quantised(x), channels), *read, **attributes))

    return net


def two_moves(n: Network, x: str) -> str:
    """A factor, a transposition, an offset along another axis, and a flattening; functions lie between the moves."""
    x = n.add("Mul", n.quantised(x), n.const([[0.3], [1.7], [-0.9]]))
    x = n.add("Transpose", x, perm=[0, 2, 1])
    x = n.add("Sigmoid", n.add("Add", x, n.const([[0.11], [-0.7], [1.3], [0.2]])))
    x = n.add("Mul", n.add("Flatten", x), n.const(n.random.normal(size=12)))
    return n.quantised(x, 1 / 64)


def codes_as_channels(n: Network, x: str) -> str:
    """As many codes (four of two bits) as channels."""
    return n.quantised(n.add("Reshape", n.norm(n.quantised(x, 0.5, -2, 1), 4), n.shape(4, 4)))


def pooled(n: Network, x: str) -> str:
    """Means over the whole image, a normalisation, a flattening: the end of many networks for images."""
    x = n.norm(n.add("GlobalAveragePool", n.quantised(x)), 3)
    return n.add("MatMul", n.quantised(n.add("Flatten", x)), n.const(n.random.integers(-7, 8, (3, 2)) * 0.25))


@pytest.mark.parametrize(
    ("shape", "net"),
    [
        pytest.param((3, 3, 3), then_moved("Transpose", 3, perm=[0, 3, 2, 1]), id="transposed-to-the-same-shape"),
        pytest.param((3, 2, 4), then_moved("Transpose", 3, perm=[0, 2, 3, 1]), id="transposed-in-a-circle"),
        pytest.param((3, 2, 4), then_moved("Flatten", 3), id="flattened"),
        pytest.param((4, 2, 2), then_moved("Reshape", 4, (4, 4)), id="reshaped"),
        pytest.param((4, 1, 1), then_moved("Reshape", 4, (1, 4, 1)), id="reshaped-by-ones"),
        pytest.param((4, 2, 2), codes_as_channels, id="codes-as-channels"),
        pytest.param((3, 4), two_moves, id="two-moves"),
        pytest.param((3, 3, 3), pooled, id="pooled"),
    ],
)
def test_a_function_moves_with_its_numbers(shape: tuple[int, ...], net: Net, tmp_path: Path) -> None:
    matches(written(tmp_path / "net.onnx", shape, net), shape)


def row_scales(n: Network, x: str) -> str:
    return n.quantised(n.add("Mul", n.quantised(x), n.const([[0.3, 1.7], [0.9, 0.4]])))


def row_signs(n: Network, x: str) -> str:
    return n.add("Add", n.quantised(n.add("Flatten", x)), n.quantised(x))


@pytest.mark.parametrize(
    ("shape", "net", "told"),
    [((2,), row_scales, "constant for each of 2 rows"), ((2, 2), row_signs, "rows of shapes (4,) and (2, 2)")],
)
def test_what_lines_up_with_the_batch_is_refused(shape: tuple[int, ...], net: Net, told: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedLayerError) as caught:
        read(written(tmp_path / "net.onnx", shape, net))
    assert told in caught.value.message and caught.value.hint


def test_a_quantiser_for_each_row_of_a_batch_is_refused() -> None:
    steps = Fixed(*(np.asarray(v) for v in ([[1, 1], [1, 1]], [[2, 2], [3, 3]], [[1, 1], [1, 1]])))
    with pytest.raises(UnsupportedLayerError, match="each of 2 rows"):
        steps.types((2,), "q")


@pytest.mark.parametrize("move", ["permute", "reshape", "spread"])
def test_tables_of_hgq_with_a_factor_for_each_element_move_too(move: str) -> None:
    shape = (3, 3) if move == "permute" else (3, 1)
    random = np.random.default_rng(2)
    scale, bias = (random.normal(size=(3, shape[1])).astype(np.float32) for _ in range(2))
    builder = Builder(shape, uniform(FixedType(True, 6, 3), shape))
    told = {"activation": "tanh", "enable_iq": False, "enable_oq": False}
    layer = StoredLayer("f", "QAffinedUnaryFunctionLUT", told, ("x",), {"vars/0": scale, "vars/1": bias})
    value = READERS[layer.kind](builder, layer, [builder.start()])
    if move == "permute":
        value = keras_layers.READERS["Permute"](builder, StoredLayer("p", "Permute", {"dims": [2, 1]}, ("f",)), [value])
    else:
        value = builder.reshape("r", value, (1, 3)) if move == "reshape" else builder.spread("s", value, (3, 4))
    out = Fixed(np.ones((), np.int64), np.zeros((), np.int64), np.full((), 7))
    last = builder.quantize("q", value, out)
    graph = verify(Graph(tuple(builder.nodes), ("x",), (builder.node("q", last).name,)))
    rows = random.integers(-32, 32, (200, *shape)) / 8
    want = np.tanh((rows * scale + bias).astype(np.float32))
    want = {"permute": lambda: want.swapaxes(1, 2), "reshape": lambda: want.reshape(-1, 1, 3), "spread": lambda: want.repeat(4, 2)}[
        move
    ]()
    got = np.asarray(predict(graph, rows)).reshape(want.shape)
    assert (np.abs(got - out.values(want)) <= 2**-7).all() and (got == out.values(want)).mean() > 0.99  # NumPy's tanh is not Keras'


def test_constants_of_another_shape_than_the_numbers_are_an_error() -> None:
    builder = Builder((1,), uniform(FixedType(True, 2, 0), (1,)))
    value = Signal(builder.start().node, function=lambda x: x * np.ones(4, np.float32))
    with pytest.raises(ModelError, match="constants of another shape"):
        builder.quantize("q", value, Fixed(np.ones((), np.int64), np.ones((), np.int64), np.ones((), np.int64)))
