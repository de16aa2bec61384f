"""Normalisations, scalings and wrappers, made of sums, products and tables; windows of other forms, made of matrices."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hwq.backend import keras, ops
from hwq.conversion.floats import Given, Symbol, Whole
from hwq.conversion.parts import ReciprocalRoot, Scaled, values_of
from hwq.errors import UnsupportedLayerError
from hwq.layers.activation import elementwise_precision, function_name
from hwq.layers.rearrange import Rearrange
from hwq.tensors import Operand

L = keras.layers


def normalised(x: Symbol, axes: Sequence[int], epsilon: float, name: str, *, centred: bool = True) -> Symbol:
    """(x - mean) / sqrt(variance + epsilon) over the axes: the root's reciprocal is a table."""
    y = x - ops.mean(x, axis=tuple(axes), keepdims=True) if centred else x
    variance = ops.mean(ops.multiply(y, y), axis=tuple(axes), keepdims=True)
    return y * L.Activation(ReciprocalRoot(epsilon), name=f"{name}_reciprocal_root")(variance)


def at_the_end(x: Symbol, axes: Sequence[int], compute: Callable[[Symbol], Symbol]) -> Symbol:
    """`compute` of x with these axes moved to the end, and back."""
    rank = len(x.shape)
    moved = [axis % rank for axis in axes]
    order = [axis for axis in range(rank) if axis not in moved] + moved
    if order == list(range(rank)):
        return compute(x)
    return ops.transpose(compute(ops.transpose(x, order)), np.argsort(order).tolist())


def layer_norm(x: Symbol, options: dict[str, Given], gamma: Operand | None, beta: Operand | None, name: str) -> Symbol:
    """Layer normalisation; of the mean square alone where `rms`."""
    axis = options["axis"]
    axes = list(axis) if isinstance(axis, (list, tuple)) else [axis]

    def compute(y: Symbol) -> Symbol:
        y = normalised(y, range(len(y.shape) - len(axes), len(y.shape)), options["epsilon"], name, centred=not options["rms"])
        return y if gamma is None and beta is None else Scaled(gamma, beta, name=f"{name}_scale")(y)

    return at_the_end(x, axes, compute)


def _layer_normalization(layer: Whole, x: Symbol, **kwargs: Given) -> Symbol:
    options = {"axis": layer.axis, "epsilon": layer.epsilon, "rms": getattr(layer, "rms_scaling", False)}
    return layer_norm(x, options, layer.gamma, layer.beta, layer.name)


def _rms_normalization(layer: Whole, x: Symbol, **kwargs: Given) -> Symbol:
    return layer_norm(x, {"axis": layer.axis, "epsilon": layer.epsilon, "rms": True}, layer.scale, None, layer.name)


def _group_normalization(layer: Whole, x: Symbol, **kwargs: Given) -> Symbol:
    if layer.axis not in (-1, len(x.shape) - 1):
        raise UnsupportedLayerError(f"layer {layer.name!r} normalises groups of axis {layer.axis}", hint="put the channels last")
    shape = tuple(x.shape[1:])
    grouped = ops.reshape(x, (-1, *shape[:-1], layer.groups, shape[-1] // layer.groups))
    axes = [axis for axis in range(1, len(shape) + 2) if axis != len(shape)]
    y = ops.reshape(normalised(grouped, axes, layer.epsilon, layer.name), (-1, *shape))
    gamma, beta = (getattr(layer, name) if used else None for name, used in (("gamma", layer.scale), ("beta", layer.center)))
    return y if gamma is None and beta is None else Scaled(gamma, beta, name=f"{layer.name}_scale")(y)


def _unit_normalization(layer: Whole, x: Symbol, **kwargs: Given) -> Symbol:
    return normalised_length(x, layer.axis, layer.name)


def normalised_length(x: Symbol, axis: int | Sequence[int], name: str) -> Symbol:
    """x divided by its length over the axes."""
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    square = ops.sum(ops.multiply(x, x), axis=axes, keepdims=True)
    return x * L.Activation(ReciprocalRoot(bounded=True), name=f"{name}_reciprocal_root")(square)


def _batch_normalization(layer: Whole, x: Symbol, **kwargs: Given) -> Symbol | None:
    if layer.axis in (-1, len(x.shape) - 1):
        return None

    def compute(y: Symbol) -> Symbol:
        own = L.BatchNormalization.from_config({**layer.get_config(), "axis": -1, "name": f"{layer.name}_last"})
        own.build(y.shape)
        for mine, its in zip(own.variables, layer.variables, strict=True):
            mine.assign(its)
        training = kwargs.get("training")
        return own(y) if training is None else own(y, training=training)

    return at_the_end(x, [layer.axis], compute)


def _rescaling(layer: Whole, x: Symbol, **kwargs: Given) -> Symbol:
    scale, offset = (np.asarray(v, np.float64) for v in (layer.scale, layer.offset))
    return Scaled(scale, offset if np.any(offset) else None, name=f"{layer.name}_scale")(_float(x))


def _normalization(layer: Whole, x: Symbol, **kwargs: Given) -> Symbol:
    if getattr(layer, "mean", None) is None:
        raise UnsupportedLayerError(
            f"layer {layer.name!r} knows no mean yet", hint="call adapt(rows) on it, or give mean and variance"
        )
    mean = values_of(layer.mean)[0]
    deviation = np.maximum(np.sqrt(values_of(layer.variance)[0]), 1e-7)
    factor, offset = (deviation, mean) if layer.invert else (1 / deviation, -mean / deviation)
    return Scaled(factor, offset if np.any(offset) else None, name=f"{layer.name}_scale")(_float(x))


def _float(x: Symbol) -> Symbol:
    return x if "float" in str(x.dtype) else ops.cast(x, "float32")


def softmax(layer: Whole, x: Symbol, mask: object = None, **kwargs: Given) -> Symbol | None:
    """A softmax over other axes than the last one."""
    if mask is not None:
        raise UnsupportedLayerError(
            f"layer {layer.name!r} is given a mask", hint="leave the mask out: each row has the same operations"
        )
    axes = layer.axis if isinstance(layer.axis, (list, tuple)) else (layer.axis,)
    if len(axes) == 1 and axes[0] in (-1, len(x.shape) - 1):
        return None

    def compute(y: Symbol) -> Symbol:
        kept = tuple(y.shape[1 : len(y.shape) - len(axes)])
        own = L.Softmax(name=f"{layer.name}_last")
        if len(axes) == 1:
            return own(y)
        return ops.reshape(own(ops.reshape(y, (-1, *kept, int(np.prod(y.shape[1 + len(kept) :]))))), (-1, *y.shape[1:]))

    return at_the_end(x, axes, compute)


def _activation(layer: Whole, x: Symbol, **kwargs: Given) -> Symbol | None:
    """A function that looks at more than one number, as it is written in `keras.ops`."""
    name = function_name(layer.activation)
    if name in ("linear", "relu", "softmax") or (getattr(keras.activations, name, None) is layer.activation and name not in MIXING):
        return None
    try:
        elementwise_precision(layer.name, layer.activation)
    except UnsupportedLayerError:
        return _traced(layer.activation, x)
    return None


def _traced(function: Given, x: Symbol) -> Symbol | None:
    try:
        return function(x)
    except Exception:  # the user's own code may raise anything on tensors without numbers
        return None


def _inner(layer: Whole, x: Symbol, **kwargs: Given) -> Symbol:
    """A wrapper that is its layer at inference."""
    return layer.layer(x)


def _lambda(layer: Whole, x: Given, **kwargs: Given) -> Given:
    """Its function, where that is written in `keras.ops`; else it must be a function of one number."""
    try:
        return layer.function(x, **(layer.arguments or {}))
    except Exception:  # the user's own code may raise anything on tensors without numbers
        return L.Activation(layer.function, name=f"{layer.name}_function")(x)


def rearranged(layer: Whole, x: Symbol) -> Symbol:
    """A layer that only repeats values, as their places: TensorFlow's own resizing has no gradient in compiled training."""
    if layer.data_format == "channels_first":
        raise UnsupportedLayerError(f"layer {layer.name!r} has data_format channels_first", hint="hwq takes channels_last")
    shape = tuple(int(n) for n in x.shape[1:])
    numbered = np.arange(1, int(np.prod(shape)) + 1, dtype=np.float32).reshape(1, *shape)
    moved = np.asarray(ops.convert_to_numpy(layer(numbered))).astype(np.int64)[0]
    return Rearrange((moved.ravel() - 1).tolist(), moved.shape, name=f"{layer.name}_places")(x)


def _bilinear(layer: Whole, x: Symbol, **kwargs: Given) -> Symbol | None:
    """Rows and columns brought to another number of them: two matrices of constants."""
    if getattr(layer, "interpolation", "nearest") == "nearest":
        return rearranged(layer, x) if type(layer) is L.Resizing else None
    height, width = int(x.shape[1]), int(x.shape[2])
    down = np.broadcast_to(np.eye(height, dtype="float32")[:, :, None, None], (height, height, width, 1))
    across = np.broadcast_to(np.eye(width, dtype="float32")[:, None, :, None], (width, height, width, 1))
    rows = np.asarray(ops.convert_to_numpy(layer(down)))[:, :, 0, 0]  # (input row, output row)
    columns = np.asarray(ops.convert_to_numpy(layer(across)))[:, 0, :, 0]
    y = ops.einsum("bhwc,hi->biwc", x, rows)
    return ops.einsum("bhwc,wj->bhjc", y, columns)


MIXING = ("glu", "log_softmax", "sparsemax")  # Keras' own activations that are no functions of one number
NORMS: dict[str, Callable[..., Given]] = {
    "Activation": _activation,
    "BatchNormalization": _batch_normalization,
    "GroupNormalization": _group_normalization,
    "Lambda": _lambda,
    "LayerNormalization": _layer_normalization,
    "Normalization": _normalization,
    "RMSNormalization": _rms_normalization,
    "Rescaling": _rescaling,
    "Resizing": _bilinear,
    "Softmax": softmax,
    "SpectralNormalization": _inner,
    "UnitNormalization": _unit_normalization,
    "UpSampling2D": _bilinear,
}
