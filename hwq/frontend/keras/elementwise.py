"""Readers of the layers that work element by element: activations, tables, sums and products of several inputs, softmax."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from hwq.errors import UnsupportedLayerError
from hwq.frontend.keras.constants import constant, whole
from hwq.frontend.keras.reader import LayerReader, Named, Reader, Source, quantized
from hwq.ir import Node

Inputs = list[Source]
Shape = tuple[int, ...]


def _relu(reader: Reader, layer: Any, inputs: Inputs, shape: Shape) -> Node:
    if layer.max_value is not None or layer.threshold:
        raise UnsupportedLayerError(f"layer {layer.name!r} is a ReLU with max_value or threshold", hint="take QActivation")
    if layer.negative_slope:
        return _leaky(reader, layer, inputs, shape)
    return reader.add(layer.name, "relu", quantized(layer, inputs), layer.name)


def _leaky(reader: Reader, layer: Any, inputs: Inputs, shape: Shape) -> Node:
    mantissa, exponent = math.frexp(float(layer.negative_slope))
    if mantissa != 0.5 or exponent > 1:
        raise UnsupportedLayerError(
            f"layer {layer.name!r} has the slope {layer.negative_slope}", hint="take a power of two: 0.25, 0.125, ..."
        )
    return reader.add(layer.name, "leaky_relu", quantized(layer, inputs), layer.name, shift=1 - exponent)


def _joined(op: str) -> LayerReader:
    """The reader of a layer of several quantised inputs: a chain of `op`."""

    def read(reader: Reader, layer: Any, inputs: Inputs, shape: Shape) -> Node:
        pairs = enumerate(zip(layer.input_quantizers, inputs, strict=True))
        terms = [reader.quantize(layer, quantizer, source, f"quantize_{i}") for i, (quantizer, source) in pairs]
        terms = [_repeated(reader, layer, term, shape) for term in terms]
        return functools.reduce(lambda a, b: reader.add(layer.name, op, [a, b], layer.name), terms)

    return read


def _repeated(reader: Reader, layer: Any, node: Node, shape: Shape) -> Node:
    """`node` with every axis of length 1 repeated to that of `shape`: the same wires, read several times."""
    for axis, (have, want) in enumerate(zip(node.shape, shape, strict=True)):
        if have != want:
            node = reader.add(f"{layer.name}_repeat", "concatenate", [node] * want, layer.name, axis=axis)
    return node


def _average(reader: Reader, layer: Any, inputs: Inputs, shape: Shape) -> Node:
    total = _joined("add")(reader, layer, inputs, shape)
    factor = constant(layer.factor.values, layer.factor.f)
    return reader.add(f"{layer.name}_scale", "scale", [total], layer.name, factor=factor)


def _table(reader: Reader, layer: Any, inputs: Inputs, shape: Shape) -> Node:
    x = reader.quantize(layer, layer.quantizer, inputs[0])
    values = np.asarray(layer.table, np.float64)
    index = tuple(int(i) for i in np.asarray(layer.index).ravel())
    f = np.broadcast_to(np.round(np.asarray(layer.output_quantizer.f)), shape).ravel()
    steps = np.zeros((len(values), 1))
    steps[list(index), 0] = f  # one result type for each table: its elements share the types of input and result
    return reader.add(layer.name, "table", [x], layer.name, values=constant(values, steps), index=index)


def _softmax(reader: Reader, layer: Any, inputs: Inputs, shape: Shape) -> Node:
    """e = exp(x - max x); y = e * (1 / sum e). One number is brought to all elements of a row by a dense layer of ones."""
    name, n = layer.name, shape[-1]
    x = reader.quantize(layer, layer.quantizer, inputs[0])
    lines = math.prod(shape[:-1])
    image = reader.reshape(x, (lines, n, 1), name)
    top = reader.add(f"{name}_max", "max_pool2d", [image], name, size=(1, n), strides=(1, n), pads=(0, 0, 0, 0))
    top = _ones(reader, f"{name}_max_everywhere", reader.reshape(top, (*shape[:-1], 1), name), n, name)
    below = reader.add(f"{name}_below", "subtract", [x, top], name)
    e = _table(reader, Named(layer.exponential, f"{name}_exp"), [below], shape)
    total = _ones(reader, f"{name}_sum", e, 1, name)
    inverse = _table(reader, Named(layer.inverse, f"{name}_inverse"), [total], (*shape[:-1], 1))
    return reader.add(name, "multiply", [e, _ones(reader, f"{name}_inverse_everywhere", inverse, n, name)], name)


def _ones(reader: Reader, name: str, source: Node, outputs: int, layer: str) -> Node:
    """Each of `outputs` numbers is the sum over the last axis of `source`."""
    kernel = whole(np.ones((source.shape[-1], outputs)))
    return reader.add(name, "dense", [source], layer, kernel=kernel, bias=whole(np.zeros(outputs)))


def _prelu(reader: Reader, layer: Any, inputs: Inputs, shape: Shape) -> Node:
    """relu(x) - alpha relu(-x)."""
    x = reader.quantize(layer, layer.quantizer, inputs[0])
    above = reader.add(f"{layer.name}_above", "relu", [x], layer.name)
    below = reader.add(f"{layer.name}_below", "subtract", [above, x], layer.name)
    f = np.broadcast_to(np.broadcast_to(np.asarray(layer.kernel_f), tuple(layer.kernel.shape)), shape)
    slope = constant(np.broadcast_to(np.asarray(layer.kernel), shape), f)
    scaled = reader.add(f"{layer.name}_scale", "scale", [below], layer.name, factor=slope)
    return reader.add(layer.name, "subtract", [above, scaled], layer.name)


def _embedding(reader: Reader, layer: Any, inputs: Inputs, shape: Shape) -> Node:
    """Each code is read by a table for each weight of its row; codes beyond the last one have its row."""
    x = reader.quantize(layer, layer.quantizer, inputs[0])
    size = shape[-1]
    places = tuple(int(n) for n in np.repeat(np.arange(x.type.size), size))
    wired = reader.add(f"{layer.name}_codes", "take", [x], layer.name, index=places, shape=shape)
    codes = np.minimum(np.arange(1 << layer.quantizer.code_bits), layer.count - 1)
    kernel = np.asarray(layer.kernel, np.float64)
    f = np.broadcast_to(np.asarray(layer.kernel_f), kernel.shape)
    index = tuple(int(n) for n in np.tile(np.arange(size), x.type.size))
    return reader.add(layer.name, "table", [wired], layer.name, values=constant(kernel[codes].T, f[codes].T), index=index)


READERS: dict[str, LayerReader] = {
    "QPReLU": _prelu,
    "QEmbedding": _embedding,
    "ReLU": _relu,
    "LeakyReLU": _leaky,
    "QAdd": _joined("add"),
    "QSubtract": _joined("subtract"),
    "QMultiply": _joined("multiply"),
    "QMaximum": _joined("maximum"),
    "QMinimum": _joined("minimum"),
    "QAverage": _average,
    "QActivation": _table,
    "QSoftmax": _softmax,
}
