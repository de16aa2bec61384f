"""HGQ layers with a kernel: dense, einsum, convolution, each with the normalisation that it folds in float32. Pools and sums are elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from hwq.errors import UnsupportedLayerError
from hwq.importers.builder import Builder, Signal, StoredReader
from hwq.importers.fixed_point import Fixed, dyadic, zeros
from hwq.importers.hgq import entering, leaving, quantizers
from hwq.importers.keras_files import StoredLayer
from hwq.ir import Constant, Node
from hwq.tensors import Singles

EPSILON = np.float32(1e-7)  # of Keras, which QEinsumDenseBatchnorm takes whatever its own epsilon is
Pads = list[tuple[int, int]]


def _dense(builder: Builder, layer: StoredLayer, values: list[Signal]) -> Signal:
    has_bias = bool(layer.config.get("use_bias", True))
    arrays = layer.variables(["kernel", *(["bias"] if has_bias else [])])
    kernel = quantizers(layer, "kq")[0].values(arrays["kernel"])
    bias = quantizers(layer, "bq")[0].values(arrays["bias"]) if has_bias else np.zeros(kernel.shape[1], np.float32)
    return _product(builder, layer, values, kernel, bias)


def _batch_norm_dense(builder: Builder, layer: StoredLayer, values: list[Signal]) -> Signal:
    """Normalises its inputs: the scale goes to the rows of the kernel, the means to the bias."""
    names = ["kernel", "bias", *(["bn_gamma"] if layer.config.get("scale", True) else []), "moving_mean", "moving_variance"]
    arrays = layer.variables(names)
    scaler = _scaler(arrays, "bn_gamma", np.float32(layer.config["epsilon"]))
    kernel = quantizers(layer, "kq")[0].values(scaler[:, None] * arrays["kernel"])
    bias = arrays["bias"] - arrays["moving_mean"] @ arrays["kernel"]
    return _product(builder, layer, values, kernel, quantizers(layer, "bq")[0].values(bias))


def _product(builder: Builder, layer: StoredLayer, values: list[Signal], kernel: Singles, bias: Singles) -> Signal:
    x = builder.node(layer.name, entering(builder, layer, values)[0])
    node = builder.add(layer.name, "dense", [x], layer.name, kernel=dyadic(kernel), bias=dyadic(bias))
    return leaving(builder, layer, Signal(node))


def _scaler(arrays: Mapping[str, npt.NDArray[Any]], gamma: str, epsilon: np.float32) -> Singles:
    """gamma / sqrt(variance + epsilon), in float32 as the peer computes it."""
    return np.asarray(arrays.get(gamma, np.float32(1)) / np.sqrt(arrays["moving_variance"] + epsilon), np.float32)


def _einsum(builder: Builder, layer: StoredLayer, values: list[Signal]) -> Signal:
    has_bias = layer.config.get("bias_axes") is not None
    arrays = layer.variables(["kernel", *(["bias"] if has_bias else [])])
    kernel = quantizers(layer, "kq")[0].values(arrays["kernel"])
    bias = quantizers(layer, "bq")[0].values(arrays["bias"]) if has_bias else None
    return _contracted(builder, layer, values, kernel, bias)


def _einsum_batch_norm(builder: Builder, layer: StoredLayer, values: list[Signal]) -> Signal:
    config = layer.config
    names = ["kernel", "bias", *(["gamma"] if config.get("scale", True) else []), "moving_mean", "moving_variance"]
    arrays = layer.variables(names)
    axes = config.get("normalize_axes") or config["bias_axes"]
    kernel_axes, out_axes = str(config["equation"]).replace("...", "0").split(",")[1].split("->")
    inner = "".join(c for c in kernel_axes if c in axes)
    scaler = _scaler(arrays, "gamma", EPSILON)
    fused = np.einsum(f"{kernel_axes},{inner}->{kernel_axes}", arrays["kernel"], scaler).astype(np.float32)
    kernel = quantizers(layer, "kq")[0].values(fused)
    offset = -arrays["moving_mean"] * scaler
    # the normalised axes where they stand in the result, every other one after the first of them of length 1
    tail = out_axes[min(out_axes.find(c) for c in axes) :]
    sizes = dict(zip(kernel_axes, arrays["kernel"].shape, strict=True))
    offset = offset.reshape([sizes[c] if c in axes else 1 for c in tail])
    return _contracted(builder, layer, values, kernel, quantizers(layer, "bq")[0].values(arrays["bias"] + offset))


def _contracted(builder: Builder, layer: StoredLayer, values: list[Signal], kernel: Singles, bias: Singles | None) -> Signal:
    x = builder.node(layer.name, entering(builder, layer, values)[0])
    equation, shape = row_equation(layer.name, str(layer.config["equation"]), x.shape, kernel.shape)
    constant = zeros(shape) if bias is None else dyadic(np.broadcast_to(bias, shape))
    inputs, out = equation.split("->")
    mine, theirs = inputs.split(",")
    if (theirs, out) == (mine[-1:] + out[-1:], mine[:-1] + out[-1:]) and len(set(mine + theirs)) == len(mine) + 1:
        last = constant.mantissas.reshape(-1, shape[-1])
        if (last == last[0]).all() and (bias is None or bias.size == shape[-1]):  # one bias for all rows: a dense layer
            last_bias = zeros(shape[-1:]) if bias is None else dyadic(np.asarray(bias).ravel())
            node = builder.add(layer.name, "dense", [x], layer.name, kernel=dyadic(kernel), bias=last_bias)
            return leaving(builder, layer, Signal(node))
    node = builder.add(layer.name, "einsum", [x], layer.name, equation=equation, kernel=dyadic(kernel), bias=constant)
    return leaving(builder, layer, Signal(node))


def row_equation(layer: str, equation: str, row: tuple[int, ...], kernel: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    """An einsum of Keras for one row, without the batch, its dots written out; and the shape of its result.

    Raises:
        UnsupportedLayerError: the batch is contracted, or an axis of the kernel is broadcast.
    """
    source, rest = equation.replace(" ", "").split(",")
    theirs, out = rest.split("->")
    spare = [c for c in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in equation]
    elided = "".join(spare[: len(row) + 1 - len(source.replace("...", ""))]) if "..." in source else ""
    source, out = source.replace("...", elided), out.replace("...", elided)
    batch = source[0]
    if "." in theirs or batch in theirs or not out.startswith(batch) or len(source) != len(row) + 1:
        raise UnsupportedLayerError(f"layer {layer!r} has the equation {equation}", hint="the batch stays the first axis")
    sizes = dict(zip(source[1:], row, strict=True)) | dict(zip(theirs, kernel, strict=True))
    return f"{source[1:]},{theirs}->{out[1:]}", tuple(sizes[c] for c in out[1:])


def _conv(builder: Builder, layer: StoredLayer, values: list[Signal]) -> Signal:
    """In one or two dimensions; in one, the image has one row."""
    config = layer.config
    if config.get("data_format") not in (None, "channels_last"):
        raise UnsupportedLayerError(f"layer {layer.name!r} has its channels first", hint="channels_last")
    has_bias = bool(config.get("use_bias", True))
    arrays = layer.variables(["kernel", *(["bias"] if has_bias else [])])
    kernel = dyadic(quantizers(layer, "kq")[0].values(arrays["kernel"]))
    bias = dyadic(quantizers(layer, "bq")[0].values(arrays["bias"])) if has_bias else zeros(kernel.shape[-1:])
    x = builder.node(layer.name, entering(builder, layer, values)[0])
    node = convolved(builder, layer, x, kernel, bias)
    return leaving(builder, layer, Signal(node))


def convolved(builder: Builder, layer: StoredLayer, x: Node, kernel: Constant, bias: Constant) -> Node:
    """conv2d with the strides, padding, dilation and groups of a layer's options, which are those of Keras."""
    config = layer.config
    rank = len(x.shape) - 1
    size, strides, dilation = kernel.shape[:rank], steps(config["strides"], rank), steps(config.get("dilation_rate", 1), rank)
    pads = pads_of(layer, x.shape[:rank], size, strides, dilation)
    if rank == 1:
        x = builder.add(f"{layer.name}_image", "reshape", [x], layer.name, shape=(1, *x.shape))
        kernel = Constant(kernel.mantissas[None], kernel.types.reshape((1, *kernel.shape)))
        strides, dilation, pads = (1, *strides), (1, *dilation), [(0, 0), *pads]
    node = builder.add(
        layer.name,
        "conv2d",
        [x],
        layer.name,
        kernel=kernel,
        bias=bias,
        strides=strides,
        pads=tuple(n for pair in pads for n in pair),
        dilation=dilation,
        groups=int(config.get("groups", 1)),
    )
    if rank == 1:
        node = builder.add(f"{layer.name}_line", "reshape", [node], layer.name, shape=node.shape[1:])
    return node


def steps(told: Any, rank: int) -> tuple[int, ...]:
    """One whole number for each axis."""
    return (int(told),) * rank if isinstance(told, int) else tuple(int(n) for n in told)


def pads_of(
    layer: StoredLayer, row: tuple[int, ...], size: tuple[int, ...], strides: tuple[int, ...], dilation: tuple[int, ...]
) -> Pads:
    """Zeros before and after each axis, by the layer's option `padding`.

    Raises:
        UnsupportedLayerError: a padding that Keras has not.
    """
    told = str(layer.config.get("padding", "valid")).lower()
    reach = [d * (k - 1) + 1 for k, d in zip(size, dilation, strict=True)]
    if told == "valid":
        return [(0, 0)] * len(size)
    if told == "causal":
        return [(n - 1, 0) for n in reach]
    if told != "same":
        raise UnsupportedLayerError(f"layer {layer.name!r} has the padding {told!r}", hint="known: valid, same, causal")
    found: Pads = []
    for n, k, s in zip(row, reach, strides, strict=True):
        total = max((math.ceil(n / s) - 1) * s + k - n, 0)
        found.append((total // 2, total - total // 2))
    return found


def _batch_norm(builder: Builder, layer: StoredLayer, values: list[Signal]) -> Signal:
    """A normalisation of its own: a quantised factor and a quantised offset for each channel."""
    config = layer.config
    names = [*(["gamma"] if config.get("scale", True) else []), *(["beta"] if config.get("center", True) else [])]
    arrays = layer.variables([*names, "moving_mean", "moving_variance"])
    x = builder.node(layer.name, entering(builder, layer, values)[0])
    axes = config.get("axis", -1)
    axis = (int(axes[0] if isinstance(axes, list) else axes) % (len(x.shape) + 1)) - 1
    scale = _scaler(arrays, "gamma", np.float32(config["epsilon"]))
    # without a centre the peer's offset begins at 1, not at 0
    offset = arrays.get("beta", np.float32(1)) - arrays["moving_mean"] * scale
    along = [n if a == axis else 1 for a, n in enumerate(x.shape)]
    factor, bias = (
        dyadic(np.broadcast_to(quantizers(layer, part)[0].values(v.astype(np.float32)).reshape(along), x.shape))
        for part, v in (("kq", scale), ("bq", offset))
    )
    node = builder.add(f"{layer.name}_scale", "scale", [x], layer.name, factor=factor)
    return leaving(builder, layer, Signal(builder.add(layer.name, "bias", [node], layer.name, bias=bias)))


__all__ = ["READERS", "Fixed", "convolved", "pads_of", "row_equation", "steps"]

READERS: dict[str, StoredReader] = {
    "QDense": _dense,
    "QBatchNormDense": _batch_norm_dense,
    "QEinsumDense": _einsum,
    "QEinsumDenseBatchnorm": _einsum_batch_norm,
    "QConv1D": _conv,
    "QConv2D": _conv,
    "QBatchNormalization": _batch_norm,
}
