"""Operations of `keras.ops` that are made of others: divisions, comparisons, moments, normalisations, windows of images."""

from __future__ import annotations

import numpy as np

from hwq.backend import keras, ops
from hwq.conversion.attention import dot_product_attention
from hwq.conversion.floats import Formula, Given, Symbol, Whole
from hwq.conversion.norms import layer_norm, softmax
from hwq.conversion.parts import Compared, ReciprocalRoot, Scaled, inverse, is_trained, logarithm, root, values_of
from hwq.errors import UnsupportedLayerError

L = keras.layers


def _symbolic(x: object) -> bool:
    return isinstance(x, keras.KerasTensor)


def _table(function: Given) -> Formula:
    def form(operation: Whole, x: Symbol) -> Symbol:
        return L.Activation(function, name=f"{operation.name}_table")(x)

    return form


def _divide(operation: Whole, a: Given, b: Given) -> Given:
    if not _symbolic(b):
        return None
    below = L.Activation(inverse, name=f"{operation.name}_inverse")(b)
    return below if not _symbolic(a) and np.all(values_of(a) == 1) else ops.multiply(a, below)


def _compare(operation: Whole, a: Given, b: Given) -> Given:
    nothing = not _symbolic(b) and not np.any(values_of(b))
    difference = a if nothing else ops.subtract(a, b)
    return L.Activation(Compared(type(operation).__name__), name=f"{operation.name}_compared")(difference)


def _where(operation: Whole, condition: Given, a: Given = None, b: Given = None) -> Given:
    """b + condition (a - b)."""
    if a is None:
        return None
    if not _symbolic(condition):
        chosen = values_of(condition).astype(bool).astype(np.float32)
        return ops.add(ops.multiply(a, chosen), ops.multiply(b, 1 - chosen))
    if not _symbolic(b) and not np.any(values_of(b)):
        return ops.multiply(condition, a)
    if not _symbolic(a) and not np.any(values_of(a)):
        return ops.multiply(ops.subtract(1.0, condition), b)
    if not _symbolic(a) and not _symbolic(b):
        return ops.add(ops.multiply(condition, values_of(a) - values_of(b)), b)
    return ops.add(ops.multiply(condition, ops.subtract(a, b)), b)


def _logical(operation: Whole, a: Given, b: Given = None) -> Given:
    kind = type(operation).__name__
    if kind == "LogicalNot":
        return ops.subtract(1.0, a)
    return ops.multiply(a, b) if kind == "LogicalAnd" else ops.maximum(a, b)


def _variance(operation: Whole, x: Symbol) -> Given:
    if operation.axis is None:
        return None
    axes = tuple(operation.axis) if isinstance(operation.axis, (list, tuple)) else (operation.axis,)
    y = x - ops.mean(x, axis=axes, keepdims=True)
    variance = ops.mean(ops.multiply(y, y), axis=axes, keepdims=operation.keepdims)
    return L.Activation(root, name=f"{operation.name}_root")(variance) if type(operation).__name__ == "Std" else variance


def _moments(operation: Whole, x: Symbol) -> Given:
    axes = tuple(operation.axes) if isinstance(operation.axes, (list, tuple)) else (operation.axes,)
    y = x - ops.mean(x, axis=axes, keepdims=True)
    return ops.mean(x, axis=axes, keepdims=operation.keepdims), ops.mean(ops.multiply(y, y), axis=axes, keepdims=operation.keepdims)


def _layer_norm(operation: Whole, x: Symbol, gamma: Given = None, beta: Given = None) -> Given:
    rms = type(operation).__name__ == "RMSNorm" or operation.rms_scaling
    epsilon = 1e-7 if operation.epsilon is None else operation.epsilon
    return layer_norm(x, {"axis": operation.axis, "epsilon": epsilon, "rms": rms}, gamma, beta, operation.name)


def _rms_norm(operation: Whole, x: Symbol, scale: Given = None) -> Given:
    return _layer_norm(operation, x, scale)


def _batch_norm(operation: Whole, x: Symbol, mean: Given, variance: Given, offset: Given = None, scale: Given = None) -> Given:
    if any(_symbolic(v) for v in (mean, variance, offset, scale)) or operation.axis not in (-1, len(x.shape) - 1):
        return None
    factor = (1.0 if scale is None else values_of(scale)) / np.sqrt(values_of(variance) + operation.epsilon)
    return Scaled(
        factor, (0.0 if offset is None else values_of(offset)) - values_of(mean) * factor, name=f"{operation.name}_scale"
    )(x)


def _log_softmax(operation: Whole, x: Symbol) -> Given:
    below = x - ops.max(x, axis=operation.axis, keepdims=True)
    total = ops.sum(ops.exp(below), axis=operation.axis, keepdims=True)
    return below - L.Activation(logarithm, name=f"{operation.name}_logarithm")(total)


def _logsumexp(operation: Whole, x: Symbol) -> Given:
    top = ops.max(x, axis=operation.axis, keepdims=True)
    total = ops.sum(ops.exp(x - top), axis=operation.axis, keepdims=True)
    y = top + L.Activation(logarithm, name=f"{operation.name}_logarithm")(total)
    return y if operation.keepdims or operation.axis is None else ops.squeeze(y, operation.axis)


def _glu(operation: Whole, x: Symbol) -> Given:
    a, b = ops.split(x, 2, axis=operation.axis)
    return ops.multiply(a, ops.sigmoid(b))


def _diff(operation: Whole, x: Symbol) -> Given:
    if operation.n != 1:
        return None
    axis, n = operation.axis % len(x.shape), int(x.shape[operation.axis])
    later, earlier = (
        tuple(slice(a, b) if i == axis else slice(None) for i in range(len(x.shape))) for a, b in ((1, n), (0, n - 1))
    )
    return ops.subtract(x[later], x[earlier])


def _product(operation: Whole, x: Symbol) -> Given:
    if operation.axis is None or operation.dtype not in (None, x.dtype):
        return None
    given = [operation.axis] if isinstance(operation.axis, int) else operation.axis
    axes = sorted({axis % len(x.shape) for axis in given}, reverse=True)
    if 0 in axes:
        return None
    for axis in axes:
        before = (slice(None),) * axis
        parts = [x[(*before, slice(i, i + 1))] for i in range(int(x.shape[axis]))]
        x = L.Multiply(name=f"{operation.name}_product_{axis}")(parts) if len(parts) > 1 else parts[0]
        x = x if operation.keepdims else ops.squeeze(x, axis)
    return x


def _cumsum(operation: Whole, x: Symbol) -> Given:
    if not isinstance(operation.axis, int) or operation.axis % len(x.shape) == 0:
        return None
    axis = operation.axis % len(x.shape)
    letters = "abcdefgh"[: len(x.shape)]
    result = letters.replace(letters[axis], "z")
    n = int(x.shape[axis])
    return ops.einsum(f"{letters},{letters[axis]}z->{result}", x, np.triu(np.ones((n, n), np.float32)))


def _pool(operation: Whole, x: Symbol) -> Given:
    name = f"{type(operation).__name__}ing{len(x.shape) - 2}D"
    if operation.data_format not in (None, "channels_last") or not hasattr(L, name):
        return None
    return getattr(L, name)(operation.pool_size, operation.strides, operation.padding, name=f"{operation.name}_pool")(x)


def _convolution(operation: Whole, x: Symbol, kernel: Given) -> Given:
    rank = len(x.shape) - 2
    if operation.data_format not in (None, "channels_last") or _symbolic(kernel) or rank not in (1, 2):
        return None
    window = {
        "kernel_size": tuple(kernel.shape[:rank]),
        "strides": operation.strides,
        "padding": operation.padding,
        "dilation_rate": operation.dilation_rate,
        "use_bias": False,
        "name": f"{operation.name}_window",
    }
    if type(operation).__name__ == "Conv":
        groups = int(x.shape[-1]) // int(kernel.shape[-2])
        layer = getattr(L, f"Conv{rank}D")(filters=int(kernel.shape[-1]), groups=groups, **window)
    else:
        layer = getattr(L, f"DepthwiseConv{rank}D")(depth_multiplier=int(kernel.shape[-1]), **window)
    layer.build(x.shape)
    layer.kernel.assign(kernel)
    layer.trainable = is_trained(kernel)
    return layer(x)


def _average(operation: Whole, x: Symbol, weights: Given = None) -> Given:
    return ops.mean(x, axis=operation.axis, keepdims=operation.keepdims) if weights is None else None


def _outer(operation: Whole, *args: Given) -> Given:
    raise UnsupportedLayerError(
        f"layer {operation.name!r} is the operation {type(operation).__name__}, which mixes rows",
        hint="write it as keras.ops.einsum",
    )


OPERATIONS: dict[str, Formula] = {
    **dict.fromkeys(("Divide", "TrueDivide"), _divide),
    **dict.fromkeys(("Greater", "GreaterEqual", "Less", "LessEqual", "Equal", "NotEqual"), _compare),
    **dict.fromkeys(("LogicalAnd", "LogicalOr", "LogicalNot"), _logical),
    **dict.fromkeys(("Var", "Std"), _variance),
    **dict.fromkeys(("MaxPool", "AveragePool"), _pool),
    **dict.fromkeys(("Conv", "DepthwiseConv"), _convolution),
    **dict.fromkeys(("Outer", "Inner", "Vdot", "Tensordot"), _outer),
    "Average": _average,
    "BatchNorm": _batch_norm,
    "Cumsum": _cumsum,
    "Diff": _diff,
    "DotProductAttention": dot_product_attention,
    "Glu": _glu,
    "LayerNorm": _layer_norm,
    "Log": _table(logarithm),
    "LogSoftmax": _log_softmax,
    "Logsumexp": _logsumexp,
    "Moments": _moments,
    "Prod": _product,
    "RMSNorm": _rms_norm,
    "Reciprocal": _table(inverse),
    "Rsqrt": _table(ReciprocalRoot()),
    "Softmax": softmax,
    "Sqrt": _table(root),
    "Where": _where,
}
