"""What each operation of a program is in Keras: its own layers where they have weights, its own operations elsewhere; nothing of hwq."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hwq.backend import keras, ops
from hwq.exporters.program import Operation
from hwq.tensors import Numbers

LAST = "channels_last"
layers: Any = keras.layers  # more of them, and more of their options, than the stubs know


@dataclass(slots=True)
class KerasWriter:
    """Tensors made so far, and the weights that their layers get once the model is there.

    Attributes:
        kind: of all floats, "float32" or "float64".
    """

    kind: str
    tensors: dict[str, Any] = field(default_factory=dict)
    weights: list[tuple[Any, list[Numbers]]] = field(default_factory=list)

    def const(self, values: npt.ArrayLike) -> Numbers:
        return np.asarray(values, self.kind)

    def named(self, tensor: Any, name: str) -> Any:
        """The tensor of an operation of Keras, which gets the name of what it does."""
        tensor._keras_history.operation.name = name
        return tensor

    def layer(self, kind: Callable[..., Any], name: str, source: Any, weights: list[Numbers], **options: Any) -> Any:
        """A layer of Keras with weights, called."""
        layer = kind(name=name, dtype=self.kind, **options)
        self.weights.append((layer, [self.const(values) for values in weights]))
        return layer(source)

    def plus(self, tensor: Any, values: Numbers, name: str) -> Any:
        """A sum with a constant, as a difference: the sum of Keras on TensorFlow takes some constants for biases of another axis."""
        return self.named(ops.subtract(tensor, self.const(-values)), name)


def _quant(w: KerasWriter, o: Operation) -> Any:
    """Rounded to whole steps; what saturates is held by maximum and minimum afterwards."""
    step = o.constants["step"]
    codes = w.named(ops.multiply(w.tensors[o.inputs[0]], w.const(1 / step)), f"{o.name}.codes")
    rounded = ops.floor(codes) if o.options["rounding"] == "FLOOR" else ops.round(codes)
    y = ops.multiply(w.named(rounded, f"{o.name}.rounded"), w.const(step))
    if o.options.get("free"):
        return w.named(y, o.name)
    bits, signed, narrow = (int(o.options.get(key, 0)) for key in ("bits", "signed", "narrow"))  # type: ignore[arg-type]
    low, high = (-(2.0 ** (bits - 1)) + narrow) * signed, 2.0 ** (bits - signed) - 1
    y = w.named(ops.maximum(w.named(y, f"{o.name}.steps"), w.const(low * step)), f"{o.name}.low")
    return w.named(ops.minimum(y, w.const(high * step)), o.name)


def _pair(function: Callable[[Any, Any], Any]) -> Callable[[KerasWriter, Operation], Any]:
    """A writer for an operation of two tensors, or of one and a constant."""

    def write(w: KerasWriter, o: Operation) -> Any:
        tensors = [w.tensors[name] for name in o.inputs]
        for values in o.constants.values():
            if function is ops.add:
                return w.plus(tensors[0], values, o.name)
            tensors.append(w.const(values))
        return w.named(function(*tensors), o.name)

    return write


def _dense(w: KerasWriter, o: Operation) -> Any:
    kernel, bias = o.constants["kernel"], o.constants["bias"]
    biased = bool(bias.any())
    weights = [kernel, bias] if biased else [kernel]
    return w.layer(layers.Dense, o.name, w.tensors[o.inputs[0]], weights, units=kernel.shape[1], use_bias=biased)


def _einsum(w: KerasWriter, o: Operation) -> Any:
    equation = str(o.options["equation"]).replace(" ", "")
    left, out = equation.split("->")
    x, letters = left.split(",")
    batch = next(c for c in "zyxwvutsrqponmlkjihgfedcbaZYXW" if c not in equation)
    told, kernel, bias = f"{batch}{x},{letters}->{batch}{out}", o.constants["kernel"], o.constants["bias"]
    biased = bool(bias.any())
    name = f"{o.name}.product" if biased else o.name
    source = w.tensors[o.inputs[0]]
    if set(letters) <= set(x + out) and set(x) <= set(letters + out):
        layer = layers.EinsumDense
        y = w.layer(layer, name, source, [kernel], equation=told, output_shape=o.shape)
    else:  # letters of one operand that are summed alone: the layer has none
        y = w.named(ops.einsum(told, source, w.const(kernel)), name)
    return w.plus(y, bias, o.name) if biased else y


def _padded(w: KerasWriter, o: Operation, value: float = 0.0) -> Any:
    pads: Any = o.options["pads"]
    source = w.tensors[o.inputs[0]]
    if not any(pads):
        return source
    around = [[0, 0], *([int(a), int(b)] for a, b in zip(pads[::2], pads[1::2], strict=True))]
    around += [[0, 0]] * (len(source.shape) - len(around))
    return w.named(ops.pad(source, around, constant_values=value), f"{o.name}.pad")


def _strided(w: KerasWriter, o: Operation, y: Any, strides: Any) -> Any:
    """The pixels that strides leave, where a layer of Keras does not have these strides."""
    for axis in (1, 2):
        if strides[axis - 1] > 1:
            index = np.arange(0, y.shape[axis], strides[axis - 1], dtype=np.int32)
            y = w.named(ops.take(y, index, axis=axis), o.name if axis == 2 or strides[1] == 1 else f"{o.name}.rows")
    return y


def _strides(o: Operation) -> tuple[int, int]:
    """Both the same where that changes nothing: along an axis of one place the window never moves."""
    told: Any = o.options["strides"]
    most = max(told)
    free = all(step == most or places == 1 for step, places in zip(told, o.shape[:2], strict=True))
    return (most, most) if free else (int(told[0]), int(told[1]))


def _conv2d(w: KerasWriter, o: Operation) -> Any:
    """TensorFlow has no strides with dilation, no groups but one for a channel, and there no unequal strides: then pixels are left out."""
    kernel, bias, source = o.constants["kernel"], o.constants["bias"], _padded(w, o)
    strides = _strides(o)
    dilation: Any = tuple(o.options["dilation"])  # type: ignore[arg-type]
    groups = int(o.options["groups"])  # type: ignore[arg-type]
    depthwise = groups > 1 and groups == source.shape[3]
    kept = set(dilation) == {1} and (groups == 1 or strides[0] == strides[1])
    biased = bool(bias.any())
    options = {"strides": strides if kept else (1, 1), "dilation_rate": dilation, "padding": "valid", "use_bias": biased}
    size, name = kernel.shape[:2], o.name if kept or set(strides) == {1} else f"{o.name}.dense"
    if depthwise:
        each = kernel.shape[3] // groups
        weights = [kernel.reshape(*size, groups, each), *([bias] if biased else [])]
        y = w.layer(layers.DepthwiseConv2D, name, source, weights, kernel_size=size, depth_multiplier=each, **options)
    elif groups == 1:
        weights = [kernel, *([bias] if biased else [])]
        y = w.layer(layers.Conv2D, name, source, weights, filters=kernel.shape[3], kernel_size=size, **options)
    else:
        y = _grouped(w, o, source, name, options)
    return y if kept else _strided(w, o, y, strides)


def _grouped(w: KerasWriter, o: Operation, source: Any, name: str, options: Mapping[str, Any]) -> Any:
    """A convolution for each group of channels."""
    groups, kernel = int(o.options["groups"]), o.constants["kernel"]  # type: ignore[arg-type]
    channels, each, parts = source.shape[3] // groups, kernel.shape[3] // groups, []
    for g in range(groups):
        index = np.arange(g * channels, (g + 1) * channels, dtype=np.int32)
        mine = w.named(ops.take(source, index, axis=3), f"{o.name}.group{g}")
        here = slice(g * each, (g + 1) * each)
        weights = [kernel[..., here], *([o.constants["bias"][here]] if options["use_bias"] else [])]
        made = w.layer(layers.Conv2D, f"{name}.{g}", mine, weights, filters=each, kernel_size=kernel.shape[:2], **options)
        parts.append(made)
    return w.named(ops.concatenate(parts, axis=3), name)


def _sum_pool(w: KerasWriter, o: Operation) -> Any:
    """As a convolution with ones for each channel: Keras has means only, whose divisions round."""
    size: Any = tuple(o.options["size"])  # type: ignore[arg-type]
    strides = _strides(o)
    source = _padded(w, o)
    kept = strides[0] == strides[1]
    options = {"kernel_size": size, "strides": strides if kept else (1, 1), "use_bias": False}
    ones = np.ones((*size, source.shape[3], 1))
    y = w.layer(layers.DepthwiseConv2D, o.name if kept else f"{o.name}.dense", source, [ones], **options)
    return y if kept else _strided(w, o, y, strides)


def _max_pool(w: KerasWriter, o: Operation) -> Any:
    source = _padded(w, o, -float(np.finfo(np.float32).max))
    size, strides = (tuple(o.options[key]) for key in ("size", "strides"))  # type: ignore[arg-type]
    return layers.MaxPooling2D(size, strides, "valid", LAST, name=o.name, dtype=w.kind)(source)


def _lookup(w: KerasWriter, o: Operation) -> Any:
    """The entries are the weights of an Embedding."""
    code = w.named(ops.multiply(w.tensors[o.inputs[0]], w.const(o.constants["factor"])), f"{o.name}.code")
    place = w.named(ops.cast(w.plus(code, o.constants["offset"], f"{o.name}.place"), "int32"), f"{o.name}.index")
    values = o.constants["values"]
    found = w.layer(layers.Embedding, f"{o.name}.entries", place, [values[:, None]], input_dim=len(values), output_dim=1)
    return layers.Reshape(o.shape, name=o.name, dtype=w.kind)(found)


def _take(w: KerasWriter, o: Operation) -> Any:
    flat = []
    for number, name in enumerate(o.inputs):
        size = math.prod(w.tensors[name].shape[1:])
        flat.append(layers.Reshape((size,), name=f"{o.name}.flat{number}", dtype=w.kind)(w.tensors[name]))
    whole = flat[0] if len(flat) == 1 else w.named(ops.concatenate(flat, axis=1), f"{o.name}.whole")
    index = np.array(o.options["index"], np.int32)
    if (index < 0).any():
        index = np.where(index < 0, whole.shape[1], index).astype(np.int32)
        whole = w.named(ops.pad(whole, [[0, 0], [0, 1]]), f"{o.name}.zero")
    line = w.named(ops.take(whole, index, axis=1), f"{o.name}.line")
    return layers.Reshape(o.shape, name=o.name, dtype=w.kind)(line)


def _pad(w: KerasWriter, o: Operation) -> Any:
    pads: Any = o.options["pads"]
    around = [[0, 0], *([int(a), int(b)] for a, b in zip(pads[::2], pads[1::2], strict=True))]
    return w.named(ops.pad(w.tensors[o.inputs[0]], around), o.name)


def _concatenate(w: KerasWriter, o: Operation) -> Any:
    axis = int(o.options["axis"])  # type: ignore[arg-type]
    return w.named(ops.concatenate([w.tensors[name] for name in o.inputs], axis=axis + 1 if axis >= 0 else axis), o.name)


def _permute(w: KerasWriter, o: Operation) -> Any:
    dims: Any = o.options["dims"]
    return w.named(ops.transpose(w.tensors[o.inputs[0]], (0, *(d + 1 for d in dims))), o.name)


def _reshape(w: KerasWriter, o: Operation) -> Any:
    return layers.Reshape(o.shape, name=o.name, dtype=w.kind)(w.tensors[o.inputs[0]])


def _leaky(w: KerasWriter, o: Operation) -> Any:
    slope = 2.0 ** -int(o.options["shift"])  # type: ignore[arg-type]
    x = w.tensors[o.inputs[0]]
    return w.named(ops.maximum(x, w.named(ops.multiply(x, w.const(slope)), f"{o.name}.below")), o.name)


def _relu(w: KerasWriter, o: Operation) -> Any:
    return w.named(ops.relu(w.tensors[o.inputs[0]]), o.name)


WRITERS: dict[str, Callable[[KerasWriter, Operation], Any]] = {
    "quant": _quant,
    "add": _pair(ops.add),
    "subtract": _pair(ops.subtract),
    "multiply": _pair(ops.multiply),
    "maximum": _pair(ops.maximum),
    "minimum": _pair(ops.minimum),
    "dense": _dense,
    "einsum": _einsum,
    "conv2d": _conv2d,
    "sum_pool2d": _sum_pool,
    "max_pool2d": _max_pool,
    "relu": _relu,
    "leaky_relu": _leaky,
    "lookup": _lookup,
    "reshape": _reshape,
    "permute": _permute,
    "concatenate": _concatenate,
    "pad": _pad,
    "take": _take,
}
