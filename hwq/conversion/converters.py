"""One function for each kind of Keras layer: the quantised twin of a call of it.

Each is given the conversion so far, the float layer, the float tensors that it reads, and whether its result is the model's
output; it returns the twin's tensor. `KINDS` names them all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from hwq import layers as q
from hwq.backend import keras
from hwq.errors import UnsupportedLayerError
from hwq.layers.activation import function_name
from hwq.layers.conv import check_format
from hwq.layers.tracing import IDENTITIES
from hwq.quantizers.powers import power_activation

ARGMAX_NOTE = "softmax of the outputs: the design answers logits; the argmax is the same without it"
WINDOW = ("kernel_size", "strides", "padding", "dilation_rate")
KERNEL_OPTIONS = (
    "kernel_initializer",
    "bias_initializer",
    "kernel_regularizer",
    "bias_regularizer",
    "kernel_constraint",
    "bias_constraint",
)


def _from(layer: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(layer, name) for name in names}


# layers with a kernel


def _kernel_arguments(layer: Any) -> dict[str, Any]:
    """The arguments of the quantised twin's class that the float layer decides."""
    kind = type(layer).__name__
    if kind == "Dense":
        return _from(layer, "units", "use_bias", *KERNEL_OPTIONS)
    if kind == "EinsumDense":
        return {**_from(layer, "equation", "bias_axes", *KERNEL_OPTIONS), "output_shape": layer.partial_output_shape}
    check_format(layer.name, layer.data_format)
    common = _from(layer, *WINDOW, "use_bias", "bias_initializer", "bias_regularizer", "bias_constraint")
    if kind.startswith("Separable"):
        return {**common, **_from(layer, "filters", "depth_multiplier")}
    if kind.startswith("Depthwise"):
        return {**common, **_from(layer, "depth_multiplier")}
    return {**common, **_from(layer, "filters", "groups", *KERNEL_OPTIONS)}


def _with_kernel(c: Any, layer: Any, inputs: list[Any], final: bool, norm: Any = None) -> Any:
    x = c.tensor(inputs[0])  # before asking who quantises the input: only now that is settled
    kind = type(layer).__name__
    options = {**c.options(layer, inputs[0], weights=True), **_kernel_arguments(layer)}
    if kind.startswith("Separable"):
        options["pointwise_overflow"] = c.config.overflow
    options["train_weights"] = layer.trainable
    if norm is not None:
        options.update(batch_norm=True, **_norm_arguments(c, norm))
    twin = c.make(layer, "", lambda: getattr(q, f"Q{kind}")(name=c.own_name(layer), **c.overrides(layer, options)))
    y = twin(x)
    c.copies[id(twin)] = (twin, layer, norm)
    if kind == "EinsumDense" and layer.bias is not None and _strays(tuple(layer.bias.shape), tuple(y.shape[1:])):
        c.notes.append(
            (layer.name, f"the twin adds the bias along {layer.bias_axes!r}; Keras on TensorFlow adds it along another axis")
        )
    return _activate(c, layer, y, inputs[0], final)


def _strays(bias: tuple[int, ...], row: tuple[int, ...]) -> bool:
    """Whether keras.ops.add on TensorFlow takes a bias of this shape for one of the channels, which are on another axis."""
    long = [axis for axis, n in enumerate(bias) if n > 1]
    if len(long) != 1 or keras.backend.backend() != "tensorflow" or len(bias) != len(row):
        return False
    axis, n = long[0], bias[long[0]]
    return axis != len(row) - 1 and (row[-1] == n or (axis != 0 and row[0] == n))


def _norm_arguments(c: Any, norm: Any) -> dict[str, Any]:
    """A normalisation that is frozen, or called with training=False, keeps its statistics while training."""
    flag = c.training_flag(norm)
    if flag:
        c.skipped.append((norm.name, "statistics of the batch (training=True): a design normalises by the moving ones"))
    own = _from(norm, "epsilon", "momentum", "center", "scale")
    return {**own, "train_norm": norm.trainable, "batch_statistics": norm.trainable and flag is not False}


def copy_weights(twin: Any, layer: Any, norm: Any) -> None:
    """Give the quantised twin the float layer's weights, and those of the normalisation that it takes in."""
    target = twin
    if hasattr(layer, "depthwise_kernel"):
        twin.depthwise.kernel.assign(layer.depthwise_kernel)
        target = twin.pointwise
        target.kernel.assign(layer.pointwise_kernel)
    elif hasattr(layer, "kernel"):
        target.kernel.assign(layer.kernel)
    if getattr(layer, "bias", None) is not None:
        target.bias.assign(layer.bias)
    if norm is None:
        return
    target.mean.assign(norm.moving_mean)
    target.variance.assign(norm.moving_variance)
    if norm.scale:
        target.gamma.assign(norm.gamma)
    if norm.center:
        target.beta.assign(norm.beta)


def _batch_normalization(c: Any, layer: Any, inputs: list[Any], final: bool) -> Any:
    """Folded into the layer before it, where that one has a kernel and nothing else reads it; else by itself."""
    before, index, _ = inputs[0]._keras_history
    rank = len(inputs[0].shape)
    if layer.axis in (-1, rank - 1) and _takes_norm(before) and c.only_reader(inputs[0], layer):
        c.notice(before, before._inbound_nodes[index])
        c.converted.append((before.name, type(before).__name__))
        return _with_kernel(c, before, before._inbound_nodes[index].input_tensors, False, norm=layer)
    x = c.tensor(inputs[0])
    options = {**c.options(layer, inputs[0], weights=True), "axis": layer.axis, **_norm_arguments(c, layer)}
    twin = c.make(layer, "", lambda: q.QBatchNormalization(name=c.own_name(layer), **c.overrides(layer, options)))
    y = twin(x)
    c.copies[id(twin)] = (twin, None, layer)
    return y


def _takes_norm(layer: Any) -> bool:
    kind = type(layer).__name__
    if kind == "EinsumDense":
        source, rest = layer.equation.replace(" ", "").split(",")
        kernel, result = rest.split("->")
        if result[-1] not in kernel or result[-1] in source or layer.bias_axes not in (None, "", result[-1]):
            return False
    return kind in KERNELS and getattr(layer.activation, "__name__", "") == "linear"


# activations


def _activate(c: Any, layer: Any, y: Any, source: Any, final: bool) -> Any:
    """The activation of `layer` on the twin's tensor y, as a layer of its own."""
    function = layer.activation
    name = function_name(function)
    if name == "linear":
        return y
    if name == "relu":
        y = c.make(layer, "relu", lambda: keras.layers.ReLU(name=c.name(f"{c.own_name(layer)}_relu")))(y)
        if c.config.activations == "fixed" or final:
            return y
        return table(c, layer, y, source, power_activation, c.name(f"{c.own_name(layer)}_power"))
    if name == "softmax":
        return softmax_of(c, layer, y, source, final, c.name(f"{c.own_name(layer)}_softmax"))
    return table(c, layer, y, source, function, c.name(f"{c.own_name(layer)}_{name}".rstrip("_")))


def _activation(c: Any, layer: Any, inputs: list[Any], final: bool) -> Any:
    return _activate(c, layer, c.tensor(inputs[0]), inputs[0], final)


def softmax_of(c: Any, layer: Any, y: Any, source: Any, final: bool, name: str) -> Any:
    if final and c.config.softmax == "drop":
        c.skipped.append((layer.name, ARGMAX_NOTE))
        return y
    options = {k: v for k, v in c.options(layer, source).items() if k in ("overflow", "rounding", "bits")}
    return c.make(layer, "softmax", lambda: q.QSoftmax(name=name, **c.overrides(layer, {**options, "bits": c.table_bits})))(y)


def _softmax(c: Any, layer: Any, inputs: list[Any], final: bool) -> Any:
    if layer.axis not in (-1, len(inputs[0].shape) - 1):
        raise UnsupportedLayerError(f"layer {layer.name!r} is a softmax over axis {layer.axis}", hint="take the last axis")
    return softmax_of(c, layer, c.tensor(inputs[0]), inputs[0], final, c.own_name(layer))


def table(c: Any, layer: Any, y: Any, source: Any, function: Any, name: str) -> Any:
    options = {k: v for k, v in c.options(layer, source).items() if k != "granularity"}
    options.update(bits=c.table_bits, output_bits=c.config.bits + 2)
    own = c.overrides(layer, options) if type(layer).__name__ not in KERNELS else options
    return c.make(layer, "table", lambda: q.QActivation(function, name=name, **own))(y)


@keras.saving.register_keras_serializable(package="hwq")
class BoundedReLU:
    """relu with a ceiling, a threshold or a slope below it, as keras.layers.ReLU has them: a function of one number."""

    def __init__(self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0) -> None:
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold

    def __call__(self, x: Any) -> Any:
        return keras.activations.relu(x, self.negative_slope, self.max_value, self.threshold)

    def get_config(self) -> dict[str, Any]:
        """What the function is made from again."""
        return {"max_value": self.max_value, "negative_slope": self.negative_slope, "threshold": self.threshold}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> BoundedReLU:
        """The function that `get_config` tells of."""
        return cls(**config)


def plain_relu(layer: Any) -> bool:
    """Whether a ReLU layer needs no table."""
    return layer.max_value is None and not layer.threshold and (not layer.negative_slope or _power_of_two(layer.negative_slope))


def _relu(c: Any, layer: Any, inputs: list[Any], final: bool) -> Any:
    x = c.tensor(inputs[0])
    if plain_relu(layer):
        return c.make(layer, "", lambda: keras.layers.ReLU(negative_slope=layer.negative_slope, name=c.own_name(layer)))(x)
    function = BoundedReLU(*(None if v is None else float(v) for v in (layer.max_value, layer.negative_slope, layer.threshold)))
    return table(c, layer, x, inputs[0], function, c.own_name(layer))


def leaky_relu(c: Any, layer: Any, inputs: list[Any], final: bool) -> Any:
    slope = float(layer.negative_slope)
    if not _power_of_two(slope):
        raise UnsupportedLayerError(
            f"layer {layer.name!r} has the slope {slope:g}, which is no power of two at most 1",
            hint="take a slope of 0.25, 0.125, ...: it costs nothing",
        )
    return c.make(layer, "", lambda: keras.layers.LeakyReLU(negative_slope=slope, name=c.own_name(layer)))(c.tensor(inputs[0]))


def _power_of_two(slope: float) -> bool:
    return 0 < slope <= 1 and math.frexp(float(slope))[0] == 0.5


# several inputs, windows, movement


def merge(c: Any, layer: Any, inputs: list[Any], final: bool) -> Any:
    sources = [c.tensor(t) for t in inputs]
    overflows = {c.overflow(t) for t in inputs}
    options = {**c.options(layer, inputs[0]), "overflow": overflows.pop() if len(overflows) == 1 else c.config.overflow}
    return c.make(layer, "", lambda: getattr(q, f"Q{type(layer).__name__}")(name=c.own_name(layer), **c.overrides(layer, options)))(
        sources
    )


def _pool(c: Any, layer: Any, inputs: list[Any], final: bool) -> Any:
    kind = type(layer).__name__
    own = (
        _from(layer, "keepdims", "data_format")
        if "Global" in kind
        else _from(layer, "pool_size", "strides", "padding", "data_format")
    )
    x = c.tensor(inputs[0])
    options = c.overrides(layer, {**c.options(layer, inputs[0]), **own})
    return c.make(layer, "", lambda: getattr(q, f"Q{kind}")(name=c.own_name(layer), **options))(x)


def _unchanged(c: Any, layer: Any, inputs: list[Any], final: bool) -> Any:
    """A layer that only moves values: Keras' own."""
    if getattr(layer, "data_format", None) == "channels_first":
        raise UnsupportedLayerError(f"layer {layer.name!r} has data_format channels_first", hint="hwq takes channels_last")
    sources = [c.tensor(t) for t in inputs]
    config = {**layer.get_config(), "name": c.own_name(layer), "dtype": "float32"}
    twin = c.make(layer, "", lambda: type(layer).from_config(config))
    return twin(sources if len(sources) > 1 or type(layer).__name__ == "Concatenate" else sources[0])


def _left_out(c: Any, layer: Any, inputs: list[Any], final: bool) -> Any:
    kind = type(layer).__name__.lower()
    random = c.training_flag(layer) and kind != "activityregularization"
    note = "with training=True is random at inference; a design is not" if random else "does nothing at inference"
    c.skipped.append((layer.name, f"{kind} {note}"))
    return c.tensor(inputs[0])


HINTS = {  # for layers that have a way round
    "Rescaling": "scale the data before training: the host does it for nothing",
    "Normalization": "normalise the data before training: the host does it for nothing",
    "PReLU": "take LeakyReLU with a slope of 0.25, 0.125, ...",
    "ELU": 'take Activation("elu"), which becomes a table',
    "Lambda": "an elementwise function can be Activation(function), which becomes a table",
    "LayerNormalization": "take BatchNormalization, which costs nothing behind a Dense or a convolution",
    "Masking": "pad the rows with zeros instead: every row has the same operations",
}
Converter = Callable[[Any, Any, list[Any], bool], Any]
KERNELS = (
    "Dense",
    "EinsumDense",
    *(f"{kind}{rank}D" for kind in ("Conv", "DepthwiseConv", "SeparableConv") for rank in (1, 2)),
)
_POOLS = tuple(f"{scope}{kind}Pooling{rank}D" for scope in ("", "Global") for kind in ("Max", "Average") for rank in (1, 2))
_MERGES = ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract")
_MOVES = ("Concatenate", "Flatten", "Permute", "Reshape", "ZeroPadding1D", "ZeroPadding2D")

KINDS: dict[str, Converter] = {
    **dict.fromkeys(KERNELS, _with_kernel),
    **dict.fromkeys(_POOLS, _pool),
    **dict.fromkeys(_MERGES, merge),
    **dict.fromkeys(_MOVES, _unchanged),
    **dict.fromkeys(IDENTITIES, _left_out),
    "Activation": _activation,
    "BatchNormalization": _batch_normalization,
    "LeakyReLU": leaky_relu,
    "ReLU": _relu,
    "Softmax": _softmax,
}
OWN_QUANTISER = (*KERNELS, *_POOLS, *_MERGES, "BatchNormalization", "Softmax")


def quantises(layer: Any) -> bool:
    """Whether the layer's twin quantises what it reads."""
    kind = type(layer).__name__
    if kind == "Activation":
        return getattr(layer.activation, "__name__", "") not in ("linear", "relu", "softmax")
    return kind in OWN_QUANTISER or (kind == "ReLU" and not plain_relu(layer))
