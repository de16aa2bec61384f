"""What each operation of ONNX means. Rows are as ONNX has them, channels first; windows permute them and back. Quantisers stay out."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from hwq.importers import onnx_parts, qonnx_quant
from hwq.importers.builder import ArrayFunction, Signal
from hwq.importers.fixed_point import dyadic, zeros
from hwq.importers.keras_layers import row_axis
from hwq.importers.onnx_parts import reshaped, with_bias
from hwq.importers.qonnx_quant import along, is_short, joined, refused, short, signal, text_of, then
from hwq.importers.walk import NodeReader, OnnxNode, Walk
from hwq.ir import Node
from hwq.tensors import Numbers


def _relu(node: OnnxNode, walk: Walk) -> Signal | Numbers:
    x = signal(node, walk, 0)
    if x.function is not None:
        return then(node, walk, x, lambda v: np.maximum(v, np.float32(0)))
    return Signal(walk.builder.add(node.name, "relu", [walk.builder.node(node.name, x)], node.name))


def _matmul(node: OnnxNode, walk: Walk) -> Signal | Numbers:
    kernel = walk.constant(node, 1)
    x = walk.builder.node(node.name, signal(node, walk, 0))
    if kernel.ndim != 2:
        raise refused(node, f"has weights of shape {kernel.shape}", "a matrix")
    bias = zeros((kernel.shape[1],))
    return Signal(
        walk.builder.add(node.name, "dense", [x], node.name, kernel=short(node, kernel, walk.is_quantized(node, 1)), bias=bias)
    )


def _gemm(node: OnnxNode, walk: Walk) -> Signal | Numbers:
    kernel = walk.constant(node, 1) * np.float32(node.attributes.get("alpha", 1))
    kernel = kernel.T if node.attributes.get("transB") else kernel
    if node.attributes.get("transA"):
        raise refused(node, "transposes the rows", "transA=0")
    bias = zeros((kernel.shape[1],))
    if walk.has(node, 2):
        told = walk.constant(node, 2) * np.float32(node.attributes.get("beta", 1))
        spread = np.broadcast_to(told.ravel() if told.size > 1 else told, (kernel.shape[1],))
        bias = short(node, spread, walk.is_quantized(node, 2))
    x = walk.builder.node(node.name, signal(node, walk, 0))
    told_kernel = short(node, kernel, walk.is_quantized(node, 1))
    return Signal(walk.builder.add(node.name, "dense", [x], node.name, kernel=told_kernel, bias=bias))


def _windows(
    node: OnnxNode, shape: tuple[int, ...], size: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """(strides, dilation, pads as top, bottom, left, right) in two dimensions, of an image (channels, ...)."""
    rank = len(size)
    strides, dilation = (tuple(map(int, node.attributes.get(name, (1,) * rank))) for name in ("strides", "dilations"))
    pads = list(map(int, node.attributes.get("pads", (0,) * (2 * rank))))
    auto = text_of(node, "auto_pad", "NOTSET")
    if auto.startswith("SAME"):
        for axis, (n, k, s, d) in enumerate(zip(shape[1:], size, strides, dilation, strict=True)):
            total = max((math.ceil(n / s) - 1) * s + d * (k - 1) + 1 - n, 0)
            less = total // 2 if auto == "SAME_UPPER" else total - total // 2
            pads[axis], pads[rank + axis] = less, total - less
    pairs = [(pads[a], pads[rank + a]) for a in range(rank)]
    if rank == 1:
        strides, dilation, pairs = (1, *strides), (1, *dilation), [(0, 0), *pairs]
    return strides, dilation, tuple(n for pair in pairs for n in pair)


def _image(node: OnnxNode, walk: Walk, x: Node) -> Node:
    """(channels, height, width) as (height, width, channels); a line is an image of one row."""
    if len(x.shape) == 2:
        x = walk.builder.add(f"{node.name}_image", "reshape", [x], node.name, shape=(x.shape[0], 1, x.shape[1]))
    return walk.builder.node(node.name, walk.builder.permute(f"{node.name}_last", Signal(x), (1, 2, 0)))


def _back(node: OnnxNode, walk: Walk, y: Node, rank: int) -> Node:
    y = walk.builder.node(node.name, walk.builder.permute(f"{node.name}_first", Signal(y), (2, 0, 1)))
    return y if rank == 2 else walk.builder.add(f"{node.name}_line", "reshape", [y], node.name, shape=(y.shape[0], y.shape[2]))


def _conv(node: OnnxNode, walk: Walk) -> Signal | Numbers:
    kernel = walk.constant(node, 1)
    x = walk.builder.node(node.name, signal(node, walk, 0))
    rank = kernel.ndim - 2
    if rank not in (1, 2) or len(x.shape) != rank + 1:
        raise refused(node, f"has {rank} dimensions", "one or two")
    strides, dilation, pads = _windows(node, x.shape, kernel.shape[2:])
    last = np.moveaxis(kernel, (0, 1), (-1, -2))
    last = last if rank == 2 else last[None]
    image, groups = _image(node, walk, x), int(node.attributes.get("group", 1))
    if not walk.has(node, 2) and set(dilation) == {1} and groups == image.shape[2] == len(kernel) and (kernel == 1).all():
        size = last.shape[:2]
        y = walk.builder.add(node.name, "sum_pool2d", [image], node.name, size=size, strides=strides, pads=pads)
        return Signal(_back(node, walk, y, rank))
    bias = short(node, walk.constant(node, 2), walk.is_quantized(node, 2)) if walk.has(node, 2) else zeros((kernel.shape[0],))
    y = walk.builder.add(
        node.name,
        "conv2d",
        [image],
        node.name,
        kernel=short(node, last, walk.is_quantized(node, 1)),
        bias=bias,
        strides=strides,
        pads=pads,
        dilation=dilation,
        groups=groups,
    )
    return Signal(_back(node, walk, y, rank))


def _pool(node: OnnxNode, walk: Walk) -> Signal | Numbers:
    x = walk.builder.node(node.name, signal(node, walk, 0))
    rank = len(x.shape) - 1
    size = x.shape[1:] if "Global" in node.op else tuple(map(int, node.attributes["kernel_shape"]))
    strides, dilation, pads = _windows(node, x.shape, size)
    mean = "Average" in node.op
    if set(dilation) != {1} or node.attributes.get("ceil_mode") or (mean and any(pads)):
        raise refused(node, "has dilation, ceil_mode, or means over padding", "windows that lie inside the image")
    size = size if rank == 2 else (1, *size)
    if "Global" in node.op:
        strides = size
    op = "sum_pool2d" if mean else "max_pool2d"
    y = walk.builder.add(node.name, op, [_image(node, walk, x)], node.name, size=size, strides=strides, pads=pads)
    found = Signal(_back(node, walk, y, rank))
    if not mean:
        return found
    return _times(node, walk, found, np.float32(1) / np.float32(math.prod(size)), lambda v: v / np.float32(math.prod(size)))


def _times(
    node: OnnxNode, walk: Walk, x: Signal, factor: Numbers | np.float32, function: ArrayFunction, told: bool = False
) -> Signal:
    """Times a constant: exactly where it is a short number or quantised, else in float32, before the next quantiser."""
    spread = np.broadcast_to(np.asarray(factor) if told else np.asarray(factor, np.float32), x.shape)
    if x.function is not None or not (told or is_short(spread)):
        return then(node, walk, x, function)
    inner = walk.builder.node(node.name, x)
    return Signal(walk.builder.add(f"{node.name}_scale", "scale", [inner], node.name, factor=dyadic(spread)))


def _arithmetic(op: str) -> NodeReader:
    """Add, Sub, Mul and Div of two tensors, or of one and a constant."""
    numpy: Callable[..., Numbers] = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide}[op]

    def read(node: OnnxNode, walk: Walk) -> Signal | Numbers:
        a, b = walk.get(node, 0), walk.get(node, 1)
        if not isinstance(a, Signal) and not isinstance(b, Signal):
            return np.asarray(numpy(a, b))
        if isinstance(a, Signal) and isinstance(b, Signal):
            if op == "divide":
                raise refused(node, "divides by a tensor", "a constant")
            shape = joined(node, a, b)
            pair = [walk.builder.node(node.name, walk.builder.spread(node.name, v, shape)) for v in (a, b)]
            return Signal(walk.builder.add(node.name, op, pair, node.name))
        x, constant, first = (a, b, True) if isinstance(a, Signal) else (b, a, False)
        if not isinstance(x, Signal) or isinstance(constant, Signal):  # the other one is the tensor
            raise refused(node, "has no tensor", "fold constants first")
        told = walk.is_quantized(node, int(first))
        kind = np.float64 if told and np.asarray(constant).dtype == np.float64 else np.float32
        other = along(node, np.asarray(constant, kind), len(x.shape))
        if np.broadcast_shapes(x.shape, other.shape) != x.shape:
            raise refused(node, f"spreads {x.shape} to a constant of shape {other.shape}", "constants no larger than the tensor")

        def function(v: Numbers) -> Numbers:
            return np.asarray(numpy(v, other) if first else numpy(other, v), np.float32)

        if op == "multiply":
            return _times(node, walk, x, other, function, told)
        if op == "divide" and first and is_short(1 / other.astype(np.float64)):
            return _times(node, walk, x, 1 / other, function)
        if op == "add" or (op == "subtract" and first):
            value = np.broadcast_to(other if op == "add" else -other, x.shape)
            if x.function is None and (told or is_short(value)):
                inner = walk.builder.node(node.name, x)
                whole = with_bias(walk, node, inner, other, told) if op == "add" and first else None
                if whole is not None:
                    return Signal(whole)
                return Signal(walk.builder.add(node.name, "bias", [inner], node.name, bias=dyadic(value)))
        return then(node, walk, x, function)

    return read


def _batch_norm(node: OnnxNode, walk: Walk) -> Signal | Numbers:
    """In float32, before the next quantiser."""
    if node.attributes.get("training_mode"):
        raise refused(node, "is of training: training_mode is set", "export the network for inference")
    x = signal(node, walk, 0)
    gamma, beta, mean, variance = (walk.constant(node, n).astype(np.float32) for n in (1, 2, 3, 4))
    factor = gamma / np.sqrt(variance + np.float32(node.attributes.get("epsilon", 1e-5)))
    offset = beta - mean * factor
    channels = (-1, *([1] * (len(x.shape) - 1)))
    factor, offset = factor.reshape(channels), offset.reshape(channels)
    return then(node, walk, x, lambda v: (v * factor + offset).astype(np.float32))


def _same(node: OnnxNode, walk: Walk) -> Signal | Numbers:
    return walk.get(node, 0)


def _cast(node: OnnxNode, walk: Walk) -> Signal | Numbers:
    """To float32 or float64, which hold every number of a design; a constant to any type."""
    from onnx.helper import tensor_dtype_to_np_dtype

    x, to = walk.get(node, 0), int(node.attributes["to"])
    kind = tensor_dtype_to_np_dtype(to)
    if not isinstance(x, Signal):
        return x.astype(kind)
    if kind not in (np.float32, np.float64):
        raise refused(node, f"casts to {kind}", "a quantiser says how numbers are rounded")
    return x


def _dropout(node: OnnxNode, walk: Walk) -> Signal | Numbers:
    if walk.has(node, 2) and bool(walk.constant(node, 2)):
        raise refused(node, "is random: training_mode is set", "export the network for inference")
    return walk.get(node, 0)


def _flatten(node: OnnxNode, walk: Walk) -> Signal | Numbers:
    x = signal(node, walk, 0)
    if int(node.attributes.get("axis", 1)) != 1:
        raise refused(node, "flattens the batch too", "axis=1")
    return walk.builder.reshape(node.name, x, (math.prod(x.shape),))


def _reshape(node: OnnxNode, walk: Walk) -> Signal | Numbers:
    x = walk.get(node, 0)
    told = [int(n) for n in walk.constant(node, 1).ravel()]
    if not isinstance(x, Signal):
        return x.reshape([x.shape[a] if n == 0 else n for a, n in enumerate(told)])
    row = [x.shape[a] if n == 0 else n for a, n in enumerate(told[1:])]
    if -1 in row:
        row[row.index(-1)] = math.prod(x.shape) // max(1, -math.prod(row))
    if math.prod(row) != math.prod(x.shape):
        raise refused(node, f"gives the shape {told}", "the batch stays the first axis")
    return reshaped(walk, node.name, x, row)


def _transpose(node: OnnxNode, walk: Walk) -> Signal | Numbers:
    x = walk.get(node, 0)
    rank = len(x.shape) + isinstance(x, Signal)
    dims = [int(d) for d in node.attributes.get("perm", range(rank)[::-1])]
    if not isinstance(x, Signal):
        return x.transpose(dims)
    if dims[0] != 0:
        raise refused(node, "moves the batch", "the batch stays the first axis")
    return walk.builder.permute(node.name, x, [d - 1 for d in dims[1:]])


def _concat(node: OnnxNode, walk: Walk) -> Signal | Numbers:
    signals = [signal(node, walk, n) for n in range(len(node.inputs))]
    return walk.builder.concatenate(node.name, signals, row_axis(node.name, int(node.attributes["axis"]), len(signals[0].shape)))


def _sigmoid(v: Numbers) -> Numbers:
    return np.asarray(1 / (1 + np.exp(-v)), np.float32)


def _function(function: ArrayFunction) -> NodeReader:
    return lambda node, walk: then(node, walk, signal(node, walk, 0), function)


READERS: dict[str, NodeReader] = {
    **qonnx_quant.READERS,
    **onnx_parts.READERS,
    "Relu": _relu,
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Conv": _conv,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "GlobalAveragePool": _pool,
    "Add": _arithmetic("add"),
    "Sub": _arithmetic("subtract"),
    "Mul": _arithmetic("multiply"),
    "Div": _arithmetic("divide"),
    "BatchNormalization": _batch_norm,
    "Identity": _same,
    "Dropout": _dropout,
    "Cast": _cast,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Concat": _concat,
    "Sigmoid": _function(_sigmoid),
    "Tanh": _function(np.tanh),
    "Floor": _function(np.floor),
    "Round": _function(np.rint),
}
