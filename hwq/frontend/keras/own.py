"""Readers of Keras' own layers in a quantised model: those that move values, and ReLUs. hwq's layers read themselves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hwq.errors import UnsupportedLayerError
from hwq.frontend.keras.reader import LayerReader, NodeOrInput, Reader, quantized
from hwq.ir import Node
from hwq.tensors import Shape

MOVING = (
    "Cropping1D",
    "Cropping2D",
    "RepeatVector",
    "UpSampling1D",
    "UpSampling2D",
)  # Keras' own, which only move values
Inputs = list[NodeOrInput]


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


def _reshape(reader: Reader, layer: Any, inputs: Inputs, shape: Shape) -> Node:
    return reader.add(layer.name, "reshape", quantized(layer, inputs), layer.name, shape=shape)


def _permute(reader: Reader, layer: Any, inputs: Inputs, shape: Shape) -> Node:
    dims = tuple(int(d) - 1 for d in layer.dims)  # Keras counts from 1, the batch being 0
    return reader.add(layer.name, "permute", quantized(layer, inputs), layer.name, dims=dims)


def _pad(reader: Reader, layer: Any, inputs: Inputs, shape: Shape) -> Node:
    padding = layer.padding if isinstance(layer.padding[0], (tuple, list)) else (layer.padding,)
    pads = tuple(int(n) for pair in (*padding, (0, 0)) for n in pair)
    return reader.add(layer.name, "pad", quantized(layer, inputs), layer.name, pads=pads)


def _concatenate(reader: Reader, layer: Any, inputs: Inputs, shape: Shape) -> Node:
    axis = int(layer.axis) % (len(shape) + 1) - 1
    return reader.add(layer.name, "concatenate", quantized(layer, inputs), layer.name, axis=axis)


def _take(reader: Reader, layer: Any, inputs: Inputs, shape: Shape) -> Node:
    """Rearrange, whose index says it, or a layer of Keras that only moves values."""
    sources = quantized(layer, inputs)
    index = getattr(layer, "index", None)
    if index is None:
        (source,) = sources
        numbered = np.arange(1, source.type.size + 1).reshape(1, *source.shape).astype("float32")
        index = tuple(int(n) - 1 for n in np.asarray(layer(numbered)).ravel())
    return reader.add(layer.name, "take", sources, layer.name, index=tuple(index), shape=shape)


READERS: dict[str, LayerReader] = {
    "ReLU": _relu,
    "LeakyReLU": _leaky,
    "Flatten": _reshape,
    "Reshape": _reshape,
    "Permute": _permute,
    "ZeroPadding1D": _pad,
    "ZeroPadding2D": _pad,
    "Concatenate": _concatenate,
    "Rearrange": _take,
    **dict.fromkeys(MOVING, _take),
}
