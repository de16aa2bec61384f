"""hls4ml projects that hwq writes: their C++, compiled with g++, equals the integers; what hls4ml cannot express is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from every_op import MODES
from networks import random_constant, random_network

from hwq.errors import MismatchError, ModelError, UnsupportedLayerError, UsageError
from hwq.exporters import export_graph, hls4ml
from hwq.exporters.hls4ml_layers import constant_type, fixed, holding, layers_of
from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.ir import Graph, Node, make_node, verify

RNG = np.random.default_rng(0)


class Net:
    """Nodes in the order in which they are added."""

    def __init__(self, *shape: int, rounding: Rounding = Rounding.RND, overflow: Overflow = Overflow.SAT) -> None:
        self.rng = np.random.default_rng(0)
        self.x = make_node("x", "input", type=self.types(shape, rounding, overflow))
        self.nodes = [self.x]

    def types(self, shape: tuple[int, ...], rounding: Rounding, overflow: Overflow) -> TypeArray:
        """A type of its own for each element."""
        parts = (self.rng.random(shape) < 0.5, self.rng.integers(0, 6, shape), self.rng.integers(-1, 4, shape))
        return TypeArray.of(*parts, rounding, overflow)

    def add(self, op: str, *inputs: Node, name: str = "", type: TypeArray | None = None, **attrs: Any) -> Node:
        read = inputs or (self.nodes[-1],)
        self.nodes.append(make_node(name or f"{op}_{len(self.nodes)}", op, read, type=type, attrs=attrs, source=f"layer of {op}"))
        return self.nodes[-1]

    def quantize(self, source: Node, rounding: Rounding, overflow: Overflow) -> Node:
        return self.add("quantize", source, type=self.types(source.shape, rounding, overflow))

    def constant(self, *shape: int) -> Any:
        return random_constant(self.rng, shape, 4, 0.3)

    def conv(self, source: Node, groups: int, filters: int, **options: Any) -> Node:
        told = {"strides": (1, 1), "pads": (0, 0, 0, 0), "dilation": (1, 1), **options}
        kernel = self.constant(2, 3, source.shape[2] // groups, filters)
        return self.add("conv2d", source, kernel=kernel, bias=self.constant(filters), groups=groups, **told)

    def graph(self) -> Graph:
        read = {name for node in self.nodes for name in node.inputs}
        return verify(Graph(tuple(self.nodes), ("x",), tuple(n.name for n in self.nodes if n.name not in read)))


def every_layer() -> Graph:
    """All that hls4ml has a layer for."""
    net = Net(4, 5, 2)
    x = net.x
    net.quantize(net.add("relu", net.conv(x, 1, 3, strides=(1, 2), pads=(1, 0, 1, 1))), Rounding.RND_CONV, Overflow.WRAP)
    depthwise = net.conv(x, 2, 2, pads=(0, 1, 1, 0))
    codes = net.add("quantize", depthwise, type=TypeArray.of(1, np.full(depthwise.shape, 4), 2, Rounding.TRN, Overflow.SAT))
    net.add("table", codes, values=random_constant(net.rng, (1, 16), 6, 0.1), index=(0,) * codes.type.size)
    most = net.add("max_pool2d", x, size=(2, 2), strides=(2, 1), pads=(0, 0, 0, 0))
    net.add("sum_pool2d", x, size=(2, 3), strides=(1, 2), pads=(1, 0, 0, 1))
    slope = net.add("leaky_relu", x, shift=2)
    for op in ("add", "subtract", "multiply", "maximum", "minimum"):
        net.add(op, x, slope)
    net.add("permute", x, dims=(2, 0, 1))
    lines = [net.add("reshape", one, shape=(one.type.size,)) for one in (x, most)]
    net.add("concatenate", *lines, lines[0], axis=0)
    net.add("concatenate", x, slope, axis=2)
    net.add("scale", x, factor=net.constant(*x.shape))
    net.add("bias", x, bias=net.constant(*x.shape))
    net.add("pad", x, pads=(1, 0, 0, 2, 0, 0))
    net.add("dense", x, kernel=net.constant(2, 3), bias=net.constant(3))
    return net.graph()


@pytest.mark.slow
def test_csim_of_every_layer_equals_the_integers(tmp_path: Path) -> None:
    report = export_graph(every_layer(), tmp_path / "project", "hls4ml")
    assert [str(c) for c in report.comparisons] == ["reference = hls4ml: 600 rows, 0 mismatches"] and report.same_graph is None
    assert (tmp_path / "project" / "firmware" / "network.cpp").is_file() and any("one type" in text for text in report.drops)
    assert not list((tmp_path / "project").rglob("*.so")) and [p.name for p in tmp_path.iterdir()] == ["project"]


@pytest.mark.slow
@pytest.mark.parametrize(("rounding", "overflow"), MODES)
def test_csim_of_mixed_types_equals_the_integers(rounding: Rounding, overflow: Overflow, tmp_path: Path) -> None:
    graph = random_network(0, (6, 5, 4), rounding=rounding, overflow=overflow)
    assert [c.mismatches for c in export_graph(graph, tmp_path / "project", "hls4ml").comparisons] == [0]


@pytest.mark.slow
def test_a_wrong_project_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def narrow(types: TypeArray) -> str:
        return fixed(True, 2, 1)

    monkeypatch.setattr("hwq.exporters.hls4ml_layers.holding", narrow)
    with pytest.raises(MismatchError, match="hls4ml"):
        export_graph(random_network(0, (6, 5, 4)), tmp_path / "project", "hls4ml")
    assert not list(tmp_path.iterdir())


def test_one_type_holds_weights_of_every_width() -> None:
    mantissas = np.array([3, -5, 0, 40], np.int64)
    constant = random_constant(RNG, (4,), 4)
    told = constant.__class__(mantissas, TypeArray.of([0, 1, 0, 0], [2, 4, 0, 6], [4, 1, 0, 2]))
    assert constant_type(told) == "ap_fixed<9,5>"  # 3/16, -2.5, 0 and 10
    assert holding(TypeArray.of([0, 1, 0], [3, 5, 0], [5, 2, 0])) == "ap_fixed<8,3>"
    assert holding(TypeArray.of(0, [2, 3], [0, -1])) == "ap_ufixed<4,4>"


def test_a_port_of_one_type_rounds_and_saturates_itself() -> None:
    x = make_node("x", "input", type=TypeArray.of(1, np.full(3, 7), 3, Rounding.RND_CONV, Overflow.SAT_SYM))
    found = layers_of(verify(Graph((x, make_node("r", "relu", [x])), ("x",), ("r",))))
    assert [one["class_name"] for one in found.layers] == ["InputLayer", "Activation"]
    assert found.precision["x_row"]["result"] == "ap_fixed<7,4,AP_RND_CONV,AP_SAT_SYM>"


def test_every_element_has_its_own_type() -> None:
    net = Net(2)
    net.add("quantize", net.x, name="q", type=TypeArray.of([1, 0], [5, 0], [2, 0], Rounding.TRN, Overflow.WRAP))
    quantizer = next(one for one in layers_of(net.graph()).layers if one["name"] == "q_fixed")
    assert [part.tolist() for part in quantizer["mask_kbi"]] == [[[1, 0]], [[5, 0]], [[3, 0]]]  # type: ignore[attr-defined]
    assert (quantizer["RND"], quantizer["SAT"]) == ("TRN", "WRAP")


def einsum(net: Net) -> None:
    net.add("einsum", net.x, equation="abc,cd->abd", kernel=net.constant(2, 3), bias=net.constant(3, 4, 3))


def table(net: Net) -> None:
    net.add("table", net.x, values=random_constant(net.rng, (2, 64), 4), index=tuple(k % 2 for k in range(24)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (einsum, "einsum_1 (einsum) of layer 'layer of einsum': hls4ml has no such layer"),
        (table, "types and 2 functions; a table of hls4ml has one of each"),
        (lambda net: net.conv(net.x, 1, 2, dilation=(2, 1)), "it is dilated"),
        (lambda net: net.conv(net.x, 2, 4), "it has 2 groups"),
        (lambda net: net.add("max_pool2d", size=(2, 2), strides=(1, 1), pads=(1, 0, 0, 0)), "reach over the border"),
        (lambda net: net.add("pad", pads=(0, 0, 0, 0, 1, 0)), "pads another axis"),
        (lambda net: net.add("take", index=(3, -1), shape=(2,)), "take_1 (take)"),
    ],
)
def test_what_hls4ml_cannot_express_is_named(change: Any, message: str, tmp_path: Path) -> None:
    net = Net(3, 4, 2)
    change(net)
    with pytest.raises(UnsupportedLayerError) as caught:
        export_graph(net.graph(), tmp_path / "project", "hls4ml")
    assert message in caught.value.message and caught.value.hint and not list(tmp_path.iterdir())


def test_without_hls4ml_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hls4ml.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError) as caught:
        export_graph(random_network(0, (3, 2)), tmp_path / "project", "hls4ml")
    assert caught.value.hint == "pip install hls4ml"


def test_a_folder_of_something_else_stays(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("...")
    with pytest.raises(UsageError, match="no earlier export"):
        export_graph(random_network(0, (3, 2)), tmp_path, "hls4ml")
    with pytest.raises(UsageError, match="no earlier export"):
        export_graph(random_network(0, (3, 2)), tmp_path, "qonnx")
    assert (tmp_path / "thesis.tex").is_file()


def test_what_is_always_zero_has_no_bits() -> None:
    """ap_fixed asserts that a rounding bit lies within the number: a step beyond all numbers would end the simulation."""
    net = Net(2)
    net.add("quantize", net.x, name="q", type=TypeArray.of(1, [5, 1], [2, -24], Rounding.RND, Overflow.WRAP))
    quantizer = next(one for one in hls4ml._layers(net.graph()).layers if one["name"] == "q_fixed")
    assert quantizer["mask_kbi"][1].tolist()[0][1] == 0  # type: ignore[index]


def test_a_uniform_table_is_taken_even_if_its_elements_need_different_ranges() -> None:
    net = Net(2)
    codes = net.add("quantize", type=TypeArray.of(1, [4, 4], 1, Rounding.TRN, Overflow.SAT))
    net.add("table", codes, values=random_constant(net.rng, (1, 16), 5, 0), index=(0, 0))
    assert hls4ml._layers(net.graph()).layers[-1]["class_name"] == "UnaryLUT"
