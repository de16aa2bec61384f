"""HGQ layers of tables: a small network on every edge (HGQ-LUT), and functions of one number. Convolutions of tables stay out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hwq.errors import UnsupportedLayerError
from hwq.importers.builder import ArrayFunction, Builder, Signal, StoredReader
from hwq.importers.fixed_point import dyadic, zeros
from hwq.importers.functions import name_of, named
from hwq.importers.hgq import entering, leaving, quantizers
from hwq.importers.keras_files import StoredLayer
from hwq.ir import Node


def _dense_tables(builder: Builder, layer: StoredLayer, values: list[Signal]) -> Signal:
    """n inputs, m outputs: n m functions of one input each, and for each output the sum of its n."""
    n, m = values[0].shape[-1], int(layer.config["n_out"])
    row = (*values[0].shape, 1)
    edges = builder.spread(layer.name, builder.reshape(layer.name, values[0], row), (*row[:-1], m))
    x = builder.node(layer.name, entering(builder, layer, [edges])[0])
    network_of_edges = _edges(layer, n, m)
    out = quantizers(layer, "toq")[0]
    table = builder.table(layer.name, x, lambda rows: out.values(network_of_edges(rows)))
    return leaving(builder, layer, Signal(_summed(builder, layer, table)))


def _summed(builder: Builder, layer: StoredLayer, table: Node) -> Node:
    """The sum over the last axis but one."""
    letters = "abcdefghijklmnopqrstuvwxyz"[: len(table.shape)]
    left = letters[:-2] + letters[-1]
    shape = (*table.shape[:-2], table.shape[-1])
    kernel = dyadic(np.ones(table.shape[-2]))
    equation = f"{letters},{letters[-2]}->{left}"
    return builder.add(layer.name, "einsum", [table], layer.name, equation=equation, kernel=kernel, bias=zeros(shape))


def _edges(layer: StoredLayer, n: int, m: int) -> ArrayFunction:
    """(rows, ..., n, m) to the same shape, each edge by its own network, in float32 with Keras' operations."""
    from hwq.backend import keras, ops

    config = layer.config
    has_bias, depth = bool(config.get("use_bias", True)), int(config["n_hl"])
    hidden = name_of(config.get("subnn_activation"), layer.name)
    module = layer.below("module")
    steps = []
    for number in range(depth + 1):
        inner = module.below(f"layers/einsum_dense{f'_{number}' if number else ''}")
        arrays = inner.variables(["kernel", *(["bias"] if has_bias else [])])
        steps.append((arrays["kernel"], arrays.get("bias")))
    norm: dict[str, Any] = {}
    if config.get("batch_norm"):
        names = [name for name, option in (("gamma", "bn_scale"), ("beta", "bn_center")) if config.get(option, True)]
        norm = layer.below("bn_module").variables([*names, "moving_mean", "moving_variance"])
    activation = keras.activations.get(hidden)

    def call(rows: np.ndarray) -> np.ndarray:
        x = ops.convert_to_tensor(rows[..., None])
        for number, (kernel, bias) in enumerate(steps):
            last = number == depth
            x = ops.einsum("...iod,iod->...io" if last else "...iod,iodD->...ioD", x, ops.convert_to_tensor(kernel))
            x = x if bias is None else x + ops.convert_to_tensor(bias)
            x = x if last else activation(x)
        if norm:
            mean, variance = norm["moving_mean"], norm["moving_variance"]
            epsilon = float(config.get("bn_epsilon", 1e-3))
            x = ops.batch_normalization(x, mean, variance, -1, norm.get("beta"), norm.get("gamma"), epsilon) / math.sqrt(n)
        return np.asarray(ops.convert_to_numpy(x))

    return call


def _unary(builder: Builder, layer: StoredLayer, values: list[Signal]) -> Signal:
    """A function between two quantisers."""
    name = name_of(layer.config["activation"], layer.name)
    if name == "softmax":
        raise UnsupportedLayerError(f"layer {layer.name!r} is a softmax of one number")
    value = entering(builder, layer, values)[0]
    function = named(name)
    if layer.kind == "QAffinedUnaryFunctionLUT":
        arrays = layer.variables(["scale", "bias"])
        inner, scale, bias = function, arrays["scale"], arrays["bias"]

        def function(x: np.ndarray) -> np.ndarray:
            return inner((x * scale + bias).astype(np.float32))

    value = Signal(builder.node(layer.name, value), function=function)
    if layer.config.get("enable_oq"):
        value = builder.quantize(layer.name, value, quantizers(layer, "oq")[0], "out")
    return value


READERS: dict[str, StoredReader] = {
    "QDenseT": _dense_tables,
    "QUnaryFunctionLUT": _unary,
    "QAffinedUnaryFunctionLUT": _unary,
}
