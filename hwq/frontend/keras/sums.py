"""Readers of sums over axes and of products of two activations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hwq.frontend.keras.constants import constant, whole
from hwq.frontend.keras.reader import LayerReader, Reader, Source
from hwq.ir import Node

Inputs = list[Source]
Shape = tuple[int, ...]


def _reduce(reader: Reader, layer: Any, inputs: Inputs, shape: Shape) -> Node:
    """The axes that are joined come last; each line of theirs is a window."""
    x = reader.quantize(layer, layer.quantizer, inputs[0])
    joined = [int(axis) - 1 for axis in layer.axes]  # Keras counts from 1, the batch being 0
    order = tuple([axis for axis in range(len(x.shape)) if axis not in joined] + joined)
    if order != tuple(range(len(order))):
        x = reader.add(f"{layer.name}_order", "permute", [x], layer.name, dims=order)
    n = int(layer.count)
    kind = type(layer).__name__
    lines = reader.reshape(x, (x.type.size // n, n, 1), layer.name)
    if kind == "QMin":
        lines = _negative(reader, layer, lines)
    node = line_by_line(reader, layer.name, "max_pool2d" if kind in ("QMax", "QMin") else "sum_pool2d", lines)
    if kind == "QMin":
        node = _negative(reader, layer, node)
    if kind == "QMean":
        factor = constant(layer.factor.values.reshape(node.shape), layer.factor.f.reshape(node.shape))
        node = reader.add(f"{layer.name}_scale", "scale", [node], layer.name, factor=factor)
    return reader.reshape(node, shape, layer.name)


def line_by_line(reader: Reader, name: str, op: str, lines: Node) -> Node:
    """(lines, n, 1) to (lines, 1, 1): a pooling over each line."""
    n = lines.shape[1]
    return reader.add(name, op, [lines], name, size=(1, n), strides=(1, n), pads=(0, 0, 0, 0))


def _negative(reader: Reader, layer: Any, node: Node) -> Node:
    return reader.add(f"{layer.name}_negative", "scale", [node], layer.name, factor=whole(np.full(node.shape, -1.0)))


def _einsum(reader: Reader, layer: Any, inputs: Inputs, shape: Shape) -> Node:
    """Every product is wired out; those of one result are a line, which is summed."""
    first, second, result = layer.sides
    summed = [c for c in dict.fromkeys(first + second) if c not in result]
    letters = [*result, *summed]
    sizes = tuple(int(layer.sizes[c]) for c in letters)
    grid = dict(zip(letters, np.indices(sizes), strict=True))
    results, count = math.prod(sizes[: len(result)]), math.prod(sizes[len(result) :])
    wired = []
    for i, (side, quantizer, source) in enumerate(zip((first, second), layer.input_quantizers, inputs, strict=True)):
        x = reader.quantize(layer, quantizer, source, f"quantize_{i}")
        index = np.ravel_multi_index([grid[c] for c in side], x.shape).ravel()
        place = tuple(int(n) for n in index)
        wired.append(reader.add(f"{layer.name}_wires_{i}", "take", [x], layer.name, index=place, shape=(results, count, 1)))
    node = reader.add(f"{layer.name}_products", "multiply", wired, layer.name)
    return reader.reshape(line_by_line(reader, layer.name, "sum_pool2d", node) if summed else node, shape, layer.name)


READERS: dict[str, LayerReader] = {**dict.fromkeys(("QSum", "QMean", "QMax", "QMin"), _reduce), "QEinsum": _einsum}
