"""One function for each kind of Keras layer: the quantised twin of a call of it.

Each is given the conversion so far, the float layer, the float tensors that it reads, and whether its result is the model's
output; it returns the twin's tensor. `KINDS` names them all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from hwq import layers as q
from hwq.backend import keras
from hwq.errors import UnsupportedLayerError
from hwq.frontend.keras.movement import MOVING
from hwq.layers.activation import function_name
from hwq.layers.conv import SeparableConv, check_format
from hwq.layers.tracing import IDENTITIES
from hwq.quantizers.powers import power_activation
from hwq.tensors import Config, Tensor

if TYPE_CHECKING:
    from keras import KerasTensor

    from hwq.conversion.convert import Conversion
    from hwq.conversion.floats import FloatLayer, FloatOperation

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


@dataclass(frozen=True, slots=True)
class Copy:
    """A layer with a kernel in the twin, and where its weights come from: the float layer, the normalisation that it takes in."""

    twin: q.KernelLayer | SeparableConv
    layer: FloatLayer | None
    norm: FloatLayer | None


def twin_class(name: str) -> Callable[..., q.Part]:
    """The class of `hwq.layers` of that name. Some of its arguments are the user's: they are checked where it is called."""
    found: Callable[..., q.Part] = getattr(q, name)
    return found


def _from(layer: FloatLayer, *names: str) -> Config:
    return {name: getattr(layer, name) for name in names}


# layers with a kernel


def _kernel_arguments(layer: FloatLayer) -> Config:
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


def _with_kernel(
    c: Conversion, layer: FloatLayer, inputs: list[KerasTensor], final: bool, norm: FloatLayer | None = None
) -> KerasTensor:
    x = c.tensor(inputs[0])  # before asking who quantises the input: only now that is settled
    kind = type(layer).__name__
    options = {**c.options(inputs[0], weights=True), **_kernel_arguments(layer)}
    if kind.startswith("Separable"):
        options["pointwise_overflow"] = c.config.overflow
    options["train_weights"] = layer.trainable
    if norm is not None:
        options.update(batch_norm=True, **_norm_arguments(c, norm))
    twin = c.make(layer, "", lambda: twin_class(f"Q{kind}")(name=c.own_name(layer), **c.overrides(layer, options)))
    y = twin(x)
    c.copies[id(twin)] = Copy(cast("q.KernelLayer | SeparableConv", twin), layer, norm)
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


def _norm_arguments(c: Conversion, norm: FloatLayer) -> Config:
    """A normalisation that is frozen, or called with training=False, keeps its statistics while training."""
    flag = c.training_flag(norm)
    if flag:
        c.skipped.append((norm.name, "statistics of the batch (training=True): a design normalises by the moving ones"))
    own = _from(norm, "epsilon", "momentum", "center", "scale")
    return {**own, "train_norm": norm.trainable, "batch_statistics": norm.trainable and flag is not False}


def copy_weights(copy: Copy) -> None:
    """Give the quantised twin the float layer's weights, and those of the normalisation that it takes in."""
    layer, norm = copy.layer, copy.norm
    target = copy.twin.pointwise if isinstance(copy.twin, SeparableConv) else copy.twin
    if layer is not None:
        if isinstance(copy.twin, SeparableConv):
            copy.twin.depthwise.kernel.assign(layer.depthwise_kernel)
            target.kernel.assign(layer.pointwise_kernel)
        else:
            target.kernel.assign(layer.kernel)
        if layer.bias is not None:
            target.bias.assign(layer.bias)
    if norm is None:
        return
    target.mean.assign(norm.moving_mean)
    target.variance.assign(norm.moving_variance)
    if norm.scale:
        target.gamma.assign(norm.gamma)
    if norm.center:
        target.beta.assign(norm.beta)


def _batch_normalization(c: Conversion, layer: FloatLayer, inputs: list[KerasTensor], final: bool) -> KerasTensor:
    """Folded into the layer before it, where that one has a kernel and nothing else reads it; else by itself."""
    maker, index, _ = inputs[0]._keras_history
    before = cast("FloatLayer", maker)
    rank = len(inputs[0].shape)
    if layer.axis in (-1, rank - 1) and _takes_norm(before) and c.only_reader(inputs[0], layer):
        c.notice(before, before._inbound_nodes[index])
        c.converted.append((before.name, type(before).__name__))
        return _with_kernel(c, before, before._inbound_nodes[index].input_tensors, False, norm=layer)
    x = c.tensor(inputs[0])
    options = {**c.options(inputs[0], weights=True), "axis": layer.axis, **_norm_arguments(c, layer)}
    twin = c.make(layer, "", lambda: twin_class("QBatchNormalization")(name=c.own_name(layer), **c.overrides(layer, options)))
    y = twin(x)
    c.copies[id(twin)] = Copy(cast(q.KernelLayer, twin), None, layer)
    return y


def _takes_norm(layer: FloatLayer) -> bool:
    kind = type(layer).__name__
    if kind == "EinsumDense":
        source, rest = layer.equation.replace(" ", "").split(",")
        kernel, result = rest.split("->")
        if result[-1] not in kernel or result[-1] in source or layer.bias_axes not in (None, "", result[-1]):
            return False
    return kind in KERNELS and getattr(layer.activation, "__name__", "") == "linear"


# activations


def _activate(c: Conversion, layer: FloatLayer, y: KerasTensor, source: KerasTensor, final: bool) -> KerasTensor:
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


def _activation(c: Conversion, layer: FloatLayer, inputs: list[KerasTensor], final: bool) -> KerasTensor:
    return _activate(c, layer, c.tensor(inputs[0]), inputs[0], final)


def softmax_of(c: Conversion, layer: FloatOperation, y: KerasTensor, source: KerasTensor, final: bool, name: str) -> KerasTensor:
    if final and c.config.softmax == "drop":
        c.skipped.append((layer.name, ARGMAX_NOTE))
        return y
    options = {k: v for k, v in c.options(source).items() if k in ("overflow", "rounding", "bits")}
    return c.make(
        layer, "softmax", lambda: twin_class("QSoftmax")(name=name, **c.overrides(layer, {**options, "bits": c.table_bits}))
    )(y)


def _softmax(c: Conversion, layer: FloatLayer, inputs: list[KerasTensor], final: bool) -> KerasTensor:
    if layer.axis not in (-1, len(inputs[0].shape) - 1):
        raise UnsupportedLayerError(f"layer {layer.name!r} is a softmax over axis {layer.axis}", hint="take the last axis")
    return softmax_of(c, layer, c.tensor(inputs[0]), inputs[0], final, c.own_name(layer))


def table(
    c: Conversion, layer: FloatOperation, y: KerasTensor, source: KerasTensor, function: Callable[[Tensor], Tensor], name: str
) -> KerasTensor:
    options = {k: v for k, v in c.options(source).items() if k != "granularity"}
    options.update(bits=c.table_bits, output_bits=c.config.bits + 2)
    own = c.overrides(layer, options) if type(layer).__name__ not in KERNELS else options
    return c.make(layer, "table", lambda: twin_class("QActivation")(function, name=name, **own))(y)


@keras.saving.register_keras_serializable(package="hwq")
class BoundedReLU:
    """relu with a ceiling, a threshold or a slope below it, as keras.layers.ReLU has them: a function of one number."""

    def __init__(self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0) -> None:
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold

    def __call__(self, x: Tensor) -> Tensor:
        return keras.activations.relu(x, self.negative_slope, self.max_value, self.threshold)

    def get_config(self) -> Config:
        """What the function is made from again."""
        return {"max_value": self.max_value, "negative_slope": self.negative_slope, "threshold": self.threshold}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> BoundedReLU:
        """The function that `get_config` tells of."""
        return cls(**config)


def plain_relu(layer: FloatLayer) -> bool:
    """Whether a ReLU layer needs no table."""
    return layer.max_value is None and not layer.threshold and (not layer.negative_slope or _power_of_two(layer.negative_slope))


def _relu(c: Conversion, layer: FloatLayer, inputs: list[KerasTensor], final: bool) -> KerasTensor:
    x = c.tensor(inputs[0])
    if plain_relu(layer):
        return c.make(layer, "", lambda: keras.layers.ReLU(negative_slope=layer.negative_slope, name=c.own_name(layer)))(x)
    function = BoundedReLU(
        None if layer.max_value is None else float(layer.max_value), float(layer.negative_slope), float(layer.threshold)
    )
    return table(c, layer, x, inputs[0], function, c.own_name(layer))


def leaky_relu(c: Conversion, layer: FloatOperation, inputs: list[KerasTensor], final: bool) -> KerasTensor:
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


def merge(c: Conversion, layer: FloatOperation, inputs: list[KerasTensor], final: bool) -> KerasTensor:
    sources = [c.tensor(t) for t in inputs]
    overflows = {c.overflow(t) for t in inputs}
    options = {**c.options(inputs[0]), "overflow": overflows.pop() if len(overflows) == 1 else c.config.overflow}
    return c.make(layer, "", lambda: twin_class(f"Q{type(layer).__name__}")(name=c.own_name(layer), **c.overrides(layer, options)))(
        sources
    )


def _pool(c: Conversion, layer: FloatLayer, inputs: list[KerasTensor], final: bool) -> KerasTensor:
    kind = type(layer).__name__
    own = (
        _from(layer, "keepdims", "data_format")
        if "Global" in kind
        else _from(layer, "pool_size", "strides", "padding", "data_format")
    )
    x = c.tensor(inputs[0])
    options = c.overrides(layer, {**c.options(inputs[0]), **own})
    return c.make(layer, "", lambda: twin_class(f"Q{kind}")(name=c.own_name(layer), **options))(x)


def _unchanged(c: Conversion, layer: FloatLayer, inputs: list[KerasTensor], final: bool) -> KerasTensor:
    """A layer that only moves values: Keras' own."""
    if getattr(layer, "data_format", None) == "channels_first":
        raise UnsupportedLayerError(f"layer {layer.name!r} has data_format channels_first", hint="hwq takes channels_last")
    if getattr(layer, "interpolation", "nearest") != "nearest":
        raise UnsupportedLayerError(
            f"layer {layer.name!r} interpolates by {layer.interpolation}",
            hint='take interpolation="nearest", which only repeats values',
        )
    sources = [c.tensor(t) for t in inputs]
    config = {**layer.get_config(), "name": c.own_name(layer), "dtype": "float32"}
    twin = c.make(layer, "", lambda: type(layer).from_config(config))
    return twin(sources if len(sources) > 1 or type(layer).__name__ == "Concatenate" else sources[0])


def _left_out(c: Conversion, layer: FloatLayer, inputs: list[KerasTensor], final: bool) -> KerasTensor:
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
Converter = Callable[["Conversion", "FloatLayer", "list[KerasTensor]", bool], "KerasTensor"]
KERNELS = (
    "Dense",
    "EinsumDense",
    *(f"{kind}{rank}D" for kind in ("Conv", "DepthwiseConv", "SeparableConv") for rank in (1, 2)),
)
_POOLS = tuple(f"{scope}{kind}Pooling{rank}D" for scope in ("", "Global") for kind in ("Max", "Average") for rank in (1, 2))
_MERGES = ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract")
_MOVES = ("Concatenate", "Flatten", "Permute", "Reshape", "ZeroPadding1D", "ZeroPadding2D", *MOVING)

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
OWN_QUANTIZER = (*KERNELS, *_POOLS, *_MERGES, "BatchNormalization", "Softmax")


def quantizes(layer: FloatLayer) -> bool:
    """Whether the layer's twin quantises what it reads."""
    kind = type(layer).__name__
    if kind == "Activation":
        return getattr(layer.activation, "__name__", "") not in ("linear", "relu", "softmax")
    return kind in OWN_QUANTIZER or (kind == "ReLU" and not plain_relu(layer))
