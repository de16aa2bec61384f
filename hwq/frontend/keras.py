"""A frozen quantised Keras model (`hwq.train.freeze`) to a Graph: every weight and bitwidth read as integers, nothing skipped silently."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hwq.errors import ModelError, UnsupportedLayerError
from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.fixed.types import bits_for
from hwq.frontend.report import ConversionReport
from hwq.ir import Constant, Graph, Node, make_node, verify

SUPPORTED = "InputLayer, Quantize, QDense, ReLU, Flatten, Reshape, Add"
_WIDEST_INPUT = 62


@dataclass(slots=True)
class _Reader:
    nodes: list[Node] = field(default_factory=list)
    known: dict[int, Node | None] = field(default_factory=dict)
    shapes: dict[int, tuple[int, ...]] = field(default_factory=dict)
    converted: list[tuple[str, str]] = field(default_factory=list)
    input_name: str = "x"

    def append(self, node: Node) -> Node:
        self.nodes.append(node)
        return node

    def name(self, wanted: str) -> str:
        """`wanted` with nothing but letters, digits and underscores, a letter first, and unlike every name before."""
        base = re.sub(r"\W", "_", wanted, flags=re.ASCII).strip("_") or "node"
        base = base if base[0].isalpha() else f"n_{base}"
        name, number = base, 1
        while name in {node.name for node in self.nodes}:
            number += 1
            name = f"{base}_v{number}"
        return name

    def tensor(self, tensor: Any) -> Node | None:
        """The node of a Keras tensor; None for the model's raw input, and for it reshaped: the first quantiser becomes the input node."""
        if id(tensor) not in self.known:
            self.known[id(tensor)] = self._read(tensor)
        return self.known[id(tensor)]

    def _read(self, tensor: Any) -> Node | None:
        layer, node_index, _ = tensor._keras_history
        kind = type(layer).__name__
        shape = tuple(int(n) for n in tensor.shape[1:])
        if kind == "InputLayer":
            self.input_name = layer.name
            return None
        inputs = [self.tensor(t) for t in layer._inbound_nodes[node_index].input_tensors]
        self.converted.append((layer.name, kind))
        if kind in ("Flatten", "Reshape"):
            return inputs[0] and self._reshape(layer.name, inputs[0], shape)
        if kind == "Quantize":
            return self._quantize(layer.name, layer, inputs[0])
        if kind == "QDense":
            return self._dense(layer, inputs[0])
        if any(node is None for node in inputs):
            raise ModelError(
                f"layer {layer.name!r} reads the input before it is quantised", hint="put a Quantize layer behind the input"
            )
        sources = [node for node in inputs if node is not None]
        if kind == "ReLU":
            return self.append(make_node(self.name(layer.name), "relu", sources, source=layer.name))
        if kind == "Add":
            return self.append(make_node(self.name(layer.name), "add", sources, source=layer.name))
        raise UnsupportedLayerError(f"layer {layer.name!r} is a {kind}, which has no integer form", hint=f"supported: {SUPPORTED}")

    def _reshape(self, name: str, source: Node, shape: tuple[int, ...]) -> Node:
        return self.append(make_node(self.name(name), "reshape", [source], attrs={"shape": shape}, source=name))

    def _quantize(self, name: str, quantizer: Any, source: Node | None) -> Node:
        types = quantizer_types(quantizer)
        if source is not None:
            return self.append(make_node(self.name(f"{name}_quantize"), "quantize", [source], type=types, source=name))
        if any(node.op == "input" for node in self.nodes):
            raise ModelError(
                "two layers quantise the model's input, each in its own way", hint="put one Quantize layer behind the input"
            )
        return self.append(make_node(self.name(self.input_name), "input", type=types, source=self.input_name))

    def _dense(self, layer: Any, source: Node | None) -> Node:
        x = self._quantize(layer.name, layer.quantizer, source)
        kernel = constant(np.asarray(layer.kernel, np.float64), np.asarray(layer.kernel_f))
        bias = constant(np.asarray(layer.bias, np.float64), np.asarray(layer.bias_f))
        return self.append(
            make_node(self.name(layer.name), "dense", [x], attrs={"kernel": kernel, "bias": bias}, source=layer.name)
        )


def quantizer_types(quantizer: Any) -> TypeArray:
    """The types of a Quantize layer: its fractional bits, and the width of its traced range."""
    f = np.round(np.asarray(quantizer.f, np.float64)).astype(np.int64)
    low, high = (np.asarray(v, np.float64).astype(object) for v in (quantizer.low, quantizer.high))
    width = np.array([bits_for(int(a), int(b)) for a, b in zip(low.ravel(), high.ravel(), strict=True)], np.int64).reshape(f.shape)
    if width.max(initial=0) > _WIDEST_INPUT:
        raise ModelError(f"an activation of {quantizer.name!r} needs {width.max()} bits", hint="fewer initial bits")
    signed = np.array([int(a) < 0 for a in low.ravel()]).reshape(f.shape)
    return TypeArray.of(signed, width, f, Rounding.RND, Overflow(quantizer.overflow))


def constant(values: np.ndarray, f: np.ndarray) -> Constant:
    """Weights that are already rounded to 2^-round(f), as integer mantissas with the narrowest types.

    Raises:
        ModelError: a weight that is no multiple of its step.
    """
    frac = np.round(f.astype(np.float64)).astype(np.int64)
    scaled = np.ldexp(values, frac)
    mantissas = np.rint(scaled).astype(np.int64)
    if (mantissas != scaled).any():
        raise ModelError("a weight is no multiple of its step", hint="freeze the model first (hwq.train.freeze)")
    return Constant(mantissas, TypeArray.enclosing(np.minimum(mantissas, 0), np.maximum(mantissas, 0), frac))


def from_keras(model: Any) -> tuple[Graph, ConversionReport]:
    """Read a frozen model.

    Raises:
        UnsupportedLayerError: a layer without an integer form, by name.
        ModelError: an input that is quantised in two ways, or not at all.
    """
    reader = _Reader()
    output = reader.tensor(model.outputs[0])
    if output is None:
        raise ModelError("the model has no quantised layer", hint="quantise it first (hwq.train.convert.quantize_model)")
    inputs = tuple(node.name for node in reader.nodes if node.op == "input")
    graph = verify(Graph(tuple(reader.nodes), inputs, (output.name,)))
    return graph, ConversionReport(tuple(reader.converted), ())
