"""Keras' own layers between a peer's: they move numbers, pool them, or do nothing when a network answers. Float weights stay out."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from hwq.errors import UnsupportedLayerError
from hwq.importers.builder import ArrayFunction, Builder, Signal, StoredReader
from hwq.importers.fixed_point import dyadic
from hwq.importers.keras_files import StoredLayer
from hwq.ir import Node


def _same(builder: Builder, layer: StoredLayer, values: list[Signal]) -> Signal:
    return values[0]


def _flatten(builder: Builder, layer: StoredLayer, values: list[Signal]) -> Signal:
    return builder.reshape(layer.name, values[0], (math.prod(values[0].shape),))


def _reshape(builder: Builder, layer: StoredLayer, values: list[Signal]) -> Signal:
    target = [int(n) for n in layer.config["target_shape"]]
    if -1 in target:
        target[target.index(-1)] = math.prod(values[0].shape) // -math.prod(target)
    return builder.reshape(layer.name, values[0], target)


def _permute(builder: Builder, layer: StoredLayer, values: list[Signal]) -> Signal:
    return builder.permute(layer.name, values[0], [int(d) - 1 for d in layer.config["dims"]])


def _concatenate(builder: Builder, layer: StoredLayer, values: list[Signal]) -> Signal:
    return builder.concatenate(layer.name, values, row_axis(layer.name, int(layer.config.get("axis", -1)), len(values[0].shape)))


def row_axis(layer: str, axis: int, rank: int) -> int:
    """An axis of rows of this rank, told with the batch before them.

    Raises:
        UnsupportedLayerError: it is the batch, or none.
    """
    found = axis - 1 if axis > 0 else axis + rank
    if axis == 0 or not 0 <= found < rank:
        raise UnsupportedLayerError(f"layer {layer!r} joins along axis {axis}", hint=f"the axes of a row are 1 to {rank}")
    return found


def _zero_padding(builder: Builder, layer: StoredLayer, values: list[Signal]) -> Signal:
    told = layer.config["padding"]
    pairs = [
        tuple(p) if isinstance(p, (list, tuple)) else (int(p), int(p))
        for p in (told if isinstance(told, (list, tuple)) else [told])
    ]
    if layer.kind == "ZeroPadding1D" and len(pairs) == 2:  # (before, after) of the one axis
        pairs = [(pairs[0][0], pairs[1][0])]
    return builder.pad(layer.name, values[0], [*((int(a), int(b)) for a, b in pairs), (0, 0)])


def _relu(builder: Builder, layer: StoredLayer, values: list[Signal]) -> Signal:
    node = builder.node(layer.name, values[0])
    limit, slope, threshold = (layer.config.get(name) for name in ("max_value", "negative_slope", "threshold"))
    if limit is None and not slope and not threshold:
        return Signal(builder.add(layer.name, "relu", [node], layer.name))

    def function(x: np.ndarray) -> np.ndarray:
        at = np.float32(threshold or 0)
        y = np.where(x > at, x, np.float32(slope or 0) * (x - at))
        return np.asarray(np.minimum(y, np.float32(limit)) if limit is not None else y, np.float32)

    return Signal(node, function=function)


def _activation(builder: Builder, layer: StoredLayer, values: list[Signal]) -> Signal:
    from hwq.importers.hgq import activated

    return activated(builder, layer, values[0], layer.config["activation"])


def _leaky(builder: Builder, layer: StoredLayer, values: list[Signal]) -> Signal:
    node = builder.node(layer.name, values[0])
    slope = float(layer.config.get("negative_slope", layer.config.get("alpha", 0.3)))
    mantissa, exponent = math.frexp(slope)
    if mantissa == 0.5 and exponent <= 1:
        return Signal(builder.add(layer.name, "leaky_relu", [node], layer.name, shift=1 - exponent))
    return Signal(node, function=lambda x: np.where(x > 0, x, np.float32(slope) * x).astype(np.float32))


def _pool(builder: Builder, layer: StoredLayer, values: list[Signal]) -> Signal:
    return pooled(builder, layer, values[0])


def pooled(builder: Builder, layer: StoredLayer, value: Signal) -> Signal:
    """A pooling in one or two dimensions, windowed or global, by the layer's class and options.

    A mean over another number of pixels than a power of two is a division in float32, which waits for the quantiser behind it.
    """
    found, count = summed(builder, layer, value)
    if "Max" in layer.kind:
        return found
    if count & (count - 1):
        return Signal(found.node, function=_divided(np.float32(count)))
    node = builder.node(layer.name, found)
    return Signal(builder.add(f"{layer.name}_scale", "scale", [node], layer.name, factor=dyadic(np.full(node.shape, 1 / count))))


def summed(builder: Builder, layer: StoredLayer, value: Signal) -> tuple[Signal, int]:
    """(the sum of each window, or its maximum by the layer's class; how many pixels a window has)."""
    from hwq.importers.hgq_kernels import pads_of, steps

    x = builder.node(layer.name, value)
    config, kind = layer.config, layer.kind
    if config.get("data_format") not in (None, "channels_last"):
        raise UnsupportedLayerError(f"layer {layer.name!r} has its channels first", hint="channels_last")
    rank = len(x.shape) - 1
    size = x.shape[:rank] if "Global" in kind else steps(config["pool_size"], rank)
    strides = size if "Global" in kind or config.get("strides") is None else steps(config["strides"], rank)
    pads = [(0, 0)] * rank if "Global" in kind else pads_of(layer, x.shape[:rank], size, strides, (1,) * rank)
    channels = x.shape[-1]
    if rank == 1:
        x = builder.add(f"{layer.name}_image", "reshape", [x], layer.name, shape=(1, *x.shape))
        size, strides, pads = (1, *size), (1, *strides), [(0, 0), *pads]
    op = "max_pool2d" if "Max" in kind else "sum_pool2d"
    flat = tuple(n for pair in pads for n in pair)
    if op == "sum_pool2d" and any(flat):
        raise UnsupportedLayerError(f"layer {layer.name!r} is a mean over windows of several sizes", hint="padding='valid'")
    node = builder.add(layer.name, op, [x], layer.name, size=size, strides=strides, pads=flat)
    shape: Sequence[int] = node.shape[1:] if rank == 1 else node.shape
    if "Global" in kind and not config.get("keepdims"):
        shape = (channels,)
    return builder.reshape(layer.name, Signal(node), shape), math.prod(size)


def chained(builder: Builder, layer: StoredLayer, values: list[Signal], op: str) -> Node:
    """Several values, brought to one shape, through an operation of two, one after the other."""
    rank = max(len(value.shape) for value in values)
    found = [builder.reshape(layer.name, v, (1,) * (rank - len(v.shape)) + v.shape) for v in values]
    shape = np.broadcast_shapes(*(value.shape for value in found))
    nodes = [builder.node(layer.name, builder.spread(layer.name, value, shape)) for value in found]
    return functools.reduce(lambda a, b: builder.add(layer.name, op, [a, b], layer.name), nodes)


def _joined(op: str) -> StoredReader:
    """The reader of a layer of several inputs: a chain of `op`."""

    def read(builder: Builder, layer: StoredLayer, values: list[Signal]) -> Signal:
        return Signal(chained(builder, layer, values, op))

    return read


IDLE = ("Dropout", "SpatialDropout1D", "SpatialDropout2D", "AlphaDropout", "GaussianNoise", "GaussianDropout", "Identity")
_POOLS = [f"{scope}{kind}Pooling{rank}D" for scope in ("", "Global") for kind in ("Max", "Average") for rank in (1, 2)]
READERS: dict[str, StoredReader] = {
    **dict.fromkeys(IDLE, _same),
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Permute": _permute,
    "Concatenate": _concatenate,
    "ZeroPadding1D": _zero_padding,
    "ZeroPadding2D": _zero_padding,
    "ReLU": _relu,
    "LeakyReLU": _leaky,
    "Activation": _activation,
    **dict.fromkeys(_POOLS, _pool),
    **{kind: _joined(kind.lower()) for kind in ("Add", "Subtract", "Multiply", "Maximum", "Minimum")},
}
SOFTMAX = "Softmax"


def _divided(divisor: np.float32) -> ArrayFunction:
    return lambda total: (total / divisor).astype(np.float32)


def is_softmax(layer: StoredLayer) -> bool:
    """Whether a layer is a softmax of floats and nothing else."""
    told: Any = layer.config.get("activation")
    return layer.kind == SOFTMAX or (layer.kind in ("Activation", "QActivation") and told == "softmax")
