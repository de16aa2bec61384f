"""HGQ layers of sums, products and windows of activations, each input through a quantiser of its own. Attention stays out."""

from __future__ import annotations

import functools
import math

import numpy as np

from hwq.errors import UnsupportedLayerError
from hwq.importers.fixed_point import dyadic, zeros
from hwq.importers.hgq import LayerReader, entering, leaving, quantizers
from hwq.importers.keras_files import StoredLayer
from hwq.importers.keras_layers import pooled
from hwq.importers.network import Network, Value
from hwq.ir import Node


def _joined(op: str) -> LayerReader:
    """The reader of a layer of several inputs: a chain of `op`."""

    def read(network: Network, layer: StoredLayer, values: list[Value]) -> Value:
        return leaving(network, layer, Value(_chain(network, layer, values, op)))

    return read


def _chain(network: Network, layer: StoredLayer, values: list[Value], op: str) -> Node:
    found = entering(network, layer, values)
    rank = max(len(value.shape) for value in found)
    found = [network.reshape(layer.name, v, (1,) * (rank - len(v.shape)) + v.shape) for v in found]
    shape = np.broadcast_shapes(*(value.shape for value in found))
    nodes = [network.node(layer.name, network.spread(layer.name, value, shape)) for value in found]
    return functools.reduce(lambda a, b: network.add(layer.name, op, [a, b], layer.name), nodes)


def _average(network: Network, layer: StoredLayer, values: list[Value]) -> Value:
    """The sum, times the power of two next to the inverse of how many they are."""
    node = _chain(network, layer, values, "add")
    return leaving(network, layer, Value(_times(network, layer, node, 2.0 ** round(math.log2(1 / len(values))))))


def _times(network: Network, layer: StoredLayer, node: Node, factor: float) -> Node:
    if factor == 1:
        return node
    return network.add(f"{layer.name}_scale", "scale", [node], layer.name, factor=dyadic(np.full(node.shape, factor)))


def _sum(network: Network, layer: StoredLayer, values: list[Value]) -> Value:
    """Over axes, the batch counted; QMeanPow2 scales by the power of two next to the inverse of their size."""
    config = layer.config
    x = network.node(layer.name, entering(network, layer, values)[0])
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
        x, letters, left = network.add(f"{layer.name}_row", "reshape", [x], layer.name, shape=(1, *x.shape)), f"Z{letters}", "Z"
    shape = tuple(x.shape[letters.index(c)] for c in left)
    kernel = dyadic(np.full(sizes, scale))
    node = network.add(
        layer.name, "einsum", [x], layer.name, equation=f"{letters},{over}->{left}", kernel=kernel, bias=zeros(shape)
    )
    if config.get("keepdims"):
        kept = tuple(1 if a + 1 in axes else n for a, n in enumerate(x.shape[-(rank - 1) :]))
        node = network.node(layer.name, network.reshape(layer.name, Value(node), kept))
    return leaving(network, layer, Value(node))


def _pool(network: Network, layer: StoredLayer, values: list[Value]) -> Value:
    return leaving(network, layer, pooled(network, layer, entering(network, layer, values)[0]))


def _quantizer(network: Network, layer: StoredLayer, values: list[Value]) -> Value:
    """The quantiser as a layer: its arrays are of the layer itself."""
    inner = layer.below("quantizer")
    arrays = {f"q/vars/{path.rsplit('/', 1)[-1]}": array for path, array in inner.arrays.items()}
    told = layer.config["config"]
    named = StoredLayer(layer.name, layer.kind, {"q_conf": told}, (), arrays, layer.by_name)
    return network.quantize(layer.name, values[0], quantizers(named, "q")[0])


_KINDS = ("MaxPool", "MaxPooling", "AveragePooling", "AvgPool")
_POOLS = [f"Q{scope}{kind}{rank}D" for scope in ("", "Global") for kind in _KINDS for rank in (1, 2)]
_OPS: dict[str, str] = {
    "QAdd": "add",
    "QSubtract": "subtract",
    "QMultiply": "multiply",
    "QMaximum": "maximum",
    "QMinimum": "minimum",
}
READERS: dict[str, LayerReader] = {
    **{kind: _joined(op) for kind, op in _OPS.items()},
    "QAveragePow2": _average,
    "QSum": _sum,
    "QMeanPow2": _sum,
    "Quantizer": _quantizer,
    **dict.fromkeys(_POOLS, _pool),
}
