"""Readers of the layers with a kernel: dense, einsum, convolutions, a normalisation that no kernel took in."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwq.frontend.keras.constants import constant, whole
from hwq.frontend.keras.reader import LayerReader, Named, Reader, Source
from hwq.ir import Constant, Node

Inputs = list[Source]
Shape = tuple[int, ...]


def _bias(layer: Any, size: int) -> Constant:
    return constant(layer.bias, layer.bias_f) if layer.has_bias else whole(np.zeros(size))


def _activated(reader: Reader, layer: Any, node: Node) -> Node:
    return reader.add(f"{layer.name}_relu", "relu", [node], layer.name) if layer.activation == "relu" else node


def _dense(reader: Reader, layer: Any, inputs: Inputs, shape: Shape) -> Node:
    x = reader.quantize(layer.name, layer.quantizer, inputs[0])
    kernel = constant(layer.kernel, layer.kernel_f)
    node = reader.add(layer.name, "dense", [x], layer.name, kernel=kernel, bias=_bias(layer, shape[-1]))
    return _activated(reader, layer, node)


def _einsum(reader: Reader, layer: Any, inputs: Inputs, shape: Shape) -> Node:
    x = reader.quantize(layer.name, layer.quantizer, inputs[0])
    kernel = constant(layer.kernel, layer.kernel_f)
    bias = whole(np.zeros(shape))
    if layer.has_bias:
        f = np.broadcast_to(np.asarray(layer.bias_f), layer.bias.shape)
        bias = constant(np.broadcast_to(np.asarray(layer.bias), shape), np.broadcast_to(f, shape))
    node = reader.add(layer.name, "einsum", [x], layer.name, equation=layer.row_equation, kernel=kernel, bias=bias)
    return _activated(reader, layer, node)


def _conv(reader: Reader, layer: Any, inputs: Inputs, shape: Shape) -> Node:
    """A convolution in one or two dimensions; in one, the image has one row."""
    x = reader.quantize(layer.name, layer.quantizer, inputs[0])
    kernel, f = np.asarray(layer.kernel, np.float64), np.asarray(layer.kernel_f, np.float64)
    f = np.broadcast_to(f, kernel.shape)
    groups = 1
    if hasattr(layer, "depth_multiplier"):  # output channel c * multiplier + m reads channel c alone
        groups = kernel.shape[-2]
        kernel, f = (v.reshape(*v.shape[:-2], 1, -1) for v in (kernel, f))
    else:
        groups = layer.groups
    strides, dilation, pads = layer.strides, layer.dilation_rate, layer.pads()
    if len(strides) == 1:
        kernel, f = kernel[None], f[None]
        strides, dilation, pads = (1, *strides), (1, *dilation), [(0, 0), *pads]
        x = reader.reshape(x, (1, *x.shape), layer.name)
    node = reader.add(
        layer.name,
        "conv2d",
        [x],
        layer.name,
        kernel=constant(kernel, f),
        bias=_bias(layer, shape[-1]),
        strides=tuple(strides),
        pads=tuple(int(n) for pair in pads for n in pair),
        dilation=tuple(dilation),
        groups=int(groups),
    )
    return _activated(reader, layer, reader.reshape(node, shape, layer.name))


def _transposed(reader: Reader, layer: Any, inputs: Inputs, shape: Shape) -> Node:
    """A convolution with the kernel turned round, over the input with zeros between its values."""
    x = reader.quantize(layer.name, layer.quantizer, inputs[0])
    kernel = np.asarray(layer.kernel, np.float64)
    f = np.broadcast_to(np.asarray(layer.kernel_f, np.float64), kernel.shape)
    rank = kernel.ndim - 2
    axes = tuple(range(rank))
    kernel, f = (np.transpose(np.flip(v, axes), (*axes, rank + 1, rank)) for v in (kernel, f))
    numbered = np.arange(1, x.type.size + 1).reshape(1, *x.shape).astype("float32")
    spread = np.asarray(layer.spread(numbered)).astype(np.int64)[0]
    dilation = tuple(layer.dilation_rate)
    if rank == 1:
        kernel, f, spread, dilation = kernel[None], f[None], spread[None], (1, *dilation)
    places = tuple(int(n) - 1 for n in spread.ravel())
    wired = reader.add(f"{layer.name}_spread", "take", [x], layer.name, index=places, shape=spread.shape)
    node = reader.add(
        layer.name,
        "conv2d",
        [wired],
        layer.name,
        kernel=constant(kernel, f),
        bias=_bias(layer, shape[-1]),
        strides=(1, 1),
        pads=(0, 0, 0, 0),
        dilation=dilation,
        groups=1,
    )
    return _activated(reader, layer, reader.reshape(node, shape, layer.name))


def _separable(reader: Reader, layer: Any, inputs: Inputs, shape: Shape) -> Node:
    first = layer.depthwise
    middle = first.compute_output_shape((None, *first.quantizer.row_shape))[1:]
    between = _conv(reader, Named(first, f"{layer.name}_depthwise"), inputs, tuple(middle))
    return _conv(reader, Named(layer.pointwise, f"{layer.name}_pointwise"), [between], shape)


def _batch_norm(reader: Reader, layer: Any, inputs: Inputs, shape: Shape) -> Node:
    x = reader.quantize(layer.name, layer.quantizer, inputs[0])
    factor = constant(np.broadcast_to(np.asarray(layer.kernel), shape), _spread(layer.kernel_f, layer.kernel.shape, shape))
    node = reader.add(f"{layer.name}_scale", "scale", [x], layer.name, factor=factor)
    if layer.has_bias:
        bias = constant(np.broadcast_to(np.asarray(layer.bias), shape), _spread(layer.bias_f, layer.bias.shape, shape))
        node = reader.add(layer.name, "bias", [node], layer.name, bias=bias)
    return _activated(reader, layer, node)


def _spread(f: Any, values: Shape, shape: Shape) -> np.ndarray:
    return np.broadcast_to(np.broadcast_to(np.asarray(f), tuple(values)), shape)


READERS: dict[str, LayerReader] = {
    "QDense": _dense,
    "QEinsumDense": _einsum,
    **dict.fromkeys(("QConv1D", "QConv2D", "QDepthwiseConv1D", "QDepthwiseConv2D"), _conv),
    **dict.fromkeys(("QConv1DTranspose", "QConv2DTranspose"), _transposed),
    **dict.fromkeys(("QSeparableConv1D", "QSeparableConv2D"), _separable),
    **dict.fromkeys(("QAffine", "QBatchNormalization"), _batch_norm),
}
