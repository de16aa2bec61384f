"""HGQ layers of sums, products and windows of activations, each input through a quantiser of its own. Attention stays out."""

from __future__ import annotations

import math

import numpy as np

from hwq.errors import UnsupportedLayerError
from hwq.importers.builder import Builder, Signal, StoredReader
from hwq.importers.fixed_point import dyadic, zeros
from hwq.importers.hgq import entering, leaving, quantizers
from hwq.importers.keras_files import StoredLayer
from hwq.importers.keras_layers import chained, pooled
from hwq.ir import Node


def _joined(op: str) -> StoredReader:
    """The reader of a layer of several inputs: a chain of `op`."""

    def read(builder: Builder, layer: StoredLayer, values: list[Signal]) -> Signal:
        return leaving(builder, layer, Signal(_chain(builder, layer, values, op)))

    return read


def _chain(builder: Builder, layer: StoredLayer, values: list[Signal], op: str) -> Node:
    return chained(builder, layer, entering(builder, layer, values), op)


def _average(builder: Builder, layer: StoredLayer, values: list[Signal]) -> Signal:
    """The sum, times the power of two next to the inverse of how many they are."""
    node = _chain(builder, layer, values, "add")
    return leaving(builder, layer, Signal(_times(builder, layer, node, 2.0 ** round(math.log2(1 / len(values))))))


def _times(builder: Builder, layer: StoredLayer, node: Node, factor: float) -> Node:
    if factor == 1:
        return node
    return builder.add(f"{layer.name}_scale", "scale", [node], layer.name, factor=dyadic(np.full(node.shape, factor)))


def _sum(builder: Builder, layer: StoredLayer, values: list[Signal]) -> Signal:
    """Over axes, the batch counted; QMeanPow2 scales by the power of two next to the inverse of their size."""
    config = layer.config
    x = builder.node(layer.name, entering(builder, layer, values)[0])
    rank = len(x.shape) + 1
    axes = sorted({int(a) % rank for a in config["axes"]})
    if 0 in axes:
        raise UnsupportedLayerError(f"layer {layer.name!r} sums over the batch")
    letters = "abcdefghijklmnopqrstuvwxyz"[: rank - 1]
    over = "".join(letters[a - 1] for a in axes)
    sizes = [x.shape[a - 1] for a in axes]
    scale = float(config.get("scale", 1.0))
    if layer.kind == "QMeanPow2":
        scale = 2.0 ** round(math.log2(1.0 / math.prod(sizes)))
    left = "".join(c for c in letters if c not in over)
    if not left:  # a design's result has an axis
        x, letters, left = builder.add(f"{layer.name}_row", "reshape", [x], layer.name, shape=(1, *x.shape)), f"Z{letters}", "Z"
    shape = tuple(x.shape[letters.index(c)] for c in left)
    kernel = dyadic(np.full(sizes, scale))
    node = builder.add(
        layer.name, "einsum", [x], layer.name, equation=f"{letters},{over}->{left}", kernel=kernel, bias=zeros(shape)
    )
    if config.get("keepdims"):
        kept = tuple(1 if a + 1 in axes else n for a, n in enumerate(x.shape[-(rank - 1) :]))
        node = builder.node(layer.name, builder.reshape(layer.name, Signal(node), kept))
    return leaving(builder, layer, Signal(node))


def _pool(builder: Builder, layer: StoredLayer, values: list[Signal]) -> Signal:
    return leaving(builder, layer, pooled(builder, layer, entering(builder, layer, values)[0]))


def _quantizer(builder: Builder, layer: StoredLayer, values: list[Signal]) -> Signal:
    """The quantiser as a layer: its arrays are of the layer itself."""
    inner = layer.below("quantizer")
    arrays = {f"q/vars/{path.rsplit('/', 1)[-1]}": array for path, array in inner.arrays.items()}
    told = layer.config["config"]
    named = StoredLayer(layer.name, layer.kind, {"q_conf": told}, (), arrays, layer.by_name)
    return builder.quantize(layer.name, values[0], quantizers(named, "q")[0])


_KINDS = ("MaxPool", "MaxPooling", "AveragePooling", "AvgPool")
_POOLS = [f"Q{scope}{kind}{rank}D" for scope in ("", "Global") for kind in _KINDS for rank in (1, 2)]
_OPS: dict[str, str] = {
    "QAdd": "add",
    "QSubtract": "subtract",
    "QMultiply": "multiply",
    "QMaximum": "maximum",
    "QMinimum": "minimum",
}
READERS: dict[str, StoredReader] = {
    **{kind: _joined(op) for kind, op in _OPS.items()},
    "QAveragePow2": _average,
    "QSum": _sum,
    "QMeanPow2": _sum,
    "Quantizer": _quantizer,
    **dict.fromkeys(_POOLS, _pool),
}
