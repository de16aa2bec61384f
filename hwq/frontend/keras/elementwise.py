"""Readers of the layers that work element by element: activations, tables, sums and products of several inputs, softmax."""

from __future__ import annotations

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


def _table(reader: Reader, layer: Any, inputs: Inputs, shape: Shape) -> Node:
    x = reader.quantize(layer.name, layer.quantizer, inputs[0])
    values = np.asarray(layer.table, np.float64)
    index = tuple(int(i) for i in np.asarray(layer.index).ravel())
    f = np.broadcast_to(np.round(np.asarray(layer.output_quantizer.f)), shape).ravel()
    steps = np.zeros((len(values), 1))
    steps[list(index), 0] = f  # one result type for each table: its elements share the types of input and result
    return reader.add(layer.name, "table", [x], layer.name, values=constant(values, steps), index=index)


def _softmax(reader: Reader, layer: Any, inputs: Inputs, shape: Shape) -> Node:
    """e = exp(x - max x); y = e * (1 / sum e). One number is brought to all elements of a row by a dense layer of ones."""
    name, n = layer.name, shape[-1]
    x = reader.quantize(layer.name, layer.quantizer, inputs[0])
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


READERS: dict[str, LayerReader] = {
    "ReLU": _relu,
    "LeakyReLU": _leaky,
    "QActivation": _table,
    "QSoftmax": _softmax,
}
