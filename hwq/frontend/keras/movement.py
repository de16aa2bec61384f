"""Readers of the layers that move values or pool windows of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwq.frontend.keras.constants import constant
from hwq.frontend.keras.reader import LayerReader, Reader, Source, quantized
from hwq.ir import Node

MOVING = (
    "Cropping1D",
    "Cropping2D",
    "RepeatVector",
    "UpSampling1D",
    "UpSampling2D",
)  # Keras' own, which only move values
Inputs = list[Source]
Shape = tuple[int, ...]


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


def _pool(reader: Reader, layer: Any, inputs: Inputs, shape: Shape) -> Node:
    """A pooling in one or two dimensions, windowed or global; in one, the image has one row."""
    x = reader.quantize(layer, layer.quantizer, inputs[0])
    size, strides, pads = tuple(layer.size), tuple(layer.steps), list(layer.pads)
    if len(size) == 1:
        size, strides, pads = (1, *size), (1, *strides), [(0, 0), *pads]
        x = reader.reshape(x, (1, *x.shape), layer.name)
    flat = tuple(int(n) for pair in pads for n in pair)
    op = "max_pool2d" if "Max" in type(layer).__name__ else "sum_pool2d"
    node = reader.add(layer.name, op, [x], layer.name, size=size, strides=strides, pads=flat)
    if op == "sum_pool2d":
        factor = constant(layer.factor.values.reshape(node.shape), layer.factor.f.reshape(node.shape))
        node = reader.add(f"{layer.name}_scale", "scale", [node], layer.name, factor=factor)
    return reader.reshape(node, shape, layer.name)


_POOLS = [f"Q{scope}{kind}Pooling{rank}D" for scope in ("", "Global") for kind in ("Max", "Average") for rank in (1, 2)]

READERS: dict[str, LayerReader] = {
    "Flatten": _reshape,
    "Reshape": _reshape,
    "Permute": _permute,
    "ZeroPadding1D": _pad,
    "ZeroPadding2D": _pad,
    "Concatenate": _concatenate,
    "Rearrange": _take,
    **dict.fromkeys(MOVING, _take),
    **dict.fromkeys(_POOLS, _pool),
}
