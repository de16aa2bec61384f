"""One function for each kind of Keras layer: the quantised twin of a call of it.

Each is given the conversion so far, the float layer, the float tensors that it reads, and whether its result is the model's
output; it returns the twin's tensor. `KINDS` names them all; a twin that says itself what it takes over needs none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from hwq import layers as q
from hwq.backend import keras
from hwq.conversion.activations import (
    activate,
    activation,
    elu,
    leaky_relu,
    plain_relu,
    power_of_two,
    relu,
    softmax,
    twin_class,
)
from hwq.conversion.kinds import KERNELS, kind_of
from hwq.conversion.parts import Scaled, values_of
from hwq.errors import UnsupportedLayerError
from hwq.frontend.keras.own import MOVING
from hwq.layers.conv import SeparableConv, check_format
from hwq.layers.rearrange import Rearrange
from hwq.layers.tracing import IDENTITIES
from hwq.tensors import Config, Floats

if TYPE_CHECKING:
    from keras import KerasTensor

    from hwq.conversion.convert import Conversion
    from hwq.conversion.floats import FloatLayer, FloatOperation

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
    constant: Floats | None = None  # in the place of a layer: what the kernel is


def _from(layer: FloatLayer, *names: str) -> Config:
    return {name: getattr(layer, name) for name in names}


# layers with a kernel


def _kernel_arguments(layer: FloatLayer) -> Config:
    """The arguments of the quantised twin's class that the float layer decides."""
    kind = kind_of(layer)
    if kind == "Dense":
        return _from(layer, "units", "use_bias", *KERNEL_OPTIONS)
    if kind == "EinsumDense":
        return {**_from(layer, "equation", "bias_axes", *KERNEL_OPTIONS), "output_shape": layer.partial_output_shape}
    check_format(layer.name, layer.data_format)
    common = _from(layer, *WINDOW, "use_bias", "bias_initializer", "bias_regularizer", "bias_constraint")
    if kind.startswith("Separable"):
        return {**common, **_from(layer, "filters", "depth_multiplier")}
    if kind.endswith("Transpose"):
        return {**common, **_from(layer, "filters", "output_padding", *KERNEL_OPTIONS)}
    if kind.startswith("Depthwise"):
        return {**common, **_from(layer, "depth_multiplier")}
    return {**common, **_from(layer, "filters", "groups", *KERNEL_OPTIONS)}


def _with_kernel(
    c: Conversion, layer: FloatLayer, inputs: list[KerasTensor], final: bool, norm: FloatLayer | None = None
) -> KerasTensor:
    x = c.tensor(inputs[0])  # before asking who quantises the input: only now that is settled
    kind = kind_of(layer)
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
    return activate(c, layer, y, inputs[0], final)


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
    if copy.constant is not None:
        target.kernel.assign(copy.constant)
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
    kind = kind_of(layer)
    if kind == "EinsumDense":
        source, rest = layer.equation.replace(" ", "").split(",")
        kernel, result = rest.split("->")
        if result[-1] not in kernel or result[-1] in source or layer.bias_axes not in (None, "", result[-1]):
            return False
    return kind in KERNELS and getattr(layer.activation, "__name__", "") == "linear"


# weights that are no kernels


def _prelu(c: Conversion, layer: FloatLayer, inputs: list[KerasTensor], final: bool) -> KerasTensor:
    x = c.tensor(inputs[0])
    options = {**c.options(inputs[0], weights=True), "shared_axes": layer.shared_axes, "train_weights": layer.trainable}
    twin = c.make(layer, "", lambda: twin_class("QPReLU")(name=c.own_name(layer), **c.overrides(layer, options)))
    y = twin(x)
    c.copies[id(twin)] = Copy(cast(q.KernelLayer, twin), None, None, values_of(layer.alpha))
    return y


def _embedding(c: Conversion, layer: FloatLayer, inputs: list[KerasTensor], final: bool) -> KerasTensor:
    x = c.tensor(inputs[0])
    kept = ("bits", "weight_granularity", "weight_rounding")
    options = {name: value for name, value in c.options(inputs[0], weights=True).items() if name in kept}
    options.update(_from(layer, "input_dim", "output_dim"), train_weights=layer.trainable)
    twin = c.make(layer, "", lambda: twin_class("QEmbedding")(name=c.own_name(layer), **c.overrides(layer, options)))
    y = twin(x)
    c.copies[id(twin)] = Copy(cast(q.KernelLayer, twin), None, None, values_of(layer.embeddings))
    return y


def _scaled(c: Conversion, layer: FloatLayer, inputs: list[KerasTensor], final: bool) -> KerasTensor:
    scaled = cast(Scaled, layer)
    return affine(c, layer, inputs[0], scaled.constants(), trained=scaled.trained())


def affine(
    c: Conversion, layer: FloatOperation, source: KerasTensor, line: tuple[float | Floats, Floats | None], *, trained: bool = False
) -> KerasTensor:
    """source factor + offset, the two learned where `trained`."""
    x = c.tensor(source)
    options = {k: v for k, v in c.options(source, weights=True).items() if k not in ("weight_terms", "weight_levels")}
    options["train_weights"] = trained
    twin = c.make(layer, "", lambda: twin_class("QAffine")(*line, name=c.own_name(layer), **c.overrides(layer, options)))
    return twin(x)


# several inputs, windows, movement


def declared(c: Conversion, layer: FloatOperation, inputs: list[KerasTensor], final: bool) -> KerasTensor:
    """A layer whose twin says itself what it takes over (`hwq.layers.part.Part.twins`)."""
    kind = kind_of(layer)
    sources = [c.tensor(t) for t in inputs]  # before asking who quantises the input: only now that is settled
    overflows = {c.overflow(t) for t in inputs}
    twin = twin_classes()[kind]
    options = {**c.options(inputs[0]), "overflow": overflows.pop() if len(overflows) == 1 else c.config.overflow}
    options.update(_from(cast("FloatLayer", layer), *twin.twins[kind]))
    made = c.make(layer, "", lambda: twin_class(twin.__name__)(name=c.own_name(layer), **c.overrides(layer, options)))
    return made(sources if len(sources) > 1 else sources[0])


def twin_classes() -> dict[str, type[q.Part]]:
    """The twins of `hwq.layers` that need no function here, by the Keras layers that they are twins of."""
    classes = [found for found in vars(q).values() if isinstance(found, type) and issubclass(found, q.Part)]
    return {kind: found for found in classes for kind in found.twins}


def _unchanged(c: Conversion, layer: FloatLayer, inputs: list[KerasTensor], final: bool) -> KerasTensor:
    """A layer that only moves values: Keras' own."""
    if getattr(layer, "data_format", None) == "channels_first":
        raise UnsupportedLayerError(f"layer {layer.name!r} has data_format channels_first", hint="hwq takes channels_last")
    if getattr(layer, "interpolation", "nearest") != "nearest":
        raise UnsupportedLayerError(
            f"layer {layer.name!r} interpolates by {layer.interpolation}",
            hint='take interpolation="nearest", which only repeats values',
        )
    if isinstance(layer, Rearrange):
        return _rearrange(c, layer, inputs)
    within_rows(layer, kind_of(layer) == "Concatenate" and layer.axis % len(inputs[0].shape) == 0)
    sources = [c.tensor(t) for t in inputs]
    config = {**layer.get_config(), "name": c.own_name(layer), "dtype": "float32"}
    kind: type[keras.layers.Layer] = getattr(keras.layers, kind_of(layer))
    twin = c.make(layer, "", lambda: kind.from_config(config))
    return twin(sources if len(sources) > 1 or kind_of(layer) == "Concatenate" else sources[0])


def within_rows(layer: FloatLayer | FloatOperation, joined: bool) -> None:
    """Raises UnsupportedLayerError: rows are joined, split or exchanged; a design sees one at a time."""
    if joined:
        raise UnsupportedLayerError(
            f"layer {layer.name!r} ({type(layer).__name__}) joins rows, splits or exchanges them",
            hint="a design sees one row at a time: leave the first axis as it is",
        )


def _rearrange(c: Conversion, layer: Rearrange, inputs: list[KerasTensor]) -> KerasTensor:
    sources = [c.tensor(t) for t in inputs]
    twin = c.make(layer, "", lambda: Rearrange(layer.index, layer.target_shape, name=c.own_name(layer)))
    return twin(sources if len(sources) > 1 else sources[0])


def _masking(c: Conversion, layer: FloatLayer, inputs: list[KerasTensor], final: bool) -> KerasTensor:
    if layer.mask_value != 0:
        raise UnsupportedLayerError(
            f"layer {layer.name!r} masks the value {layer.mask_value}: which steps count depends on the row",
            hint="pad the rows with zeros instead, and leave Masking out: every row has the same operations",
        )
    c.skipped.append((layer.name, "masking sets steps of zeros to zero, which they are"))
    return c.tensor(inputs[0])


def _left_out(c: Conversion, layer: FloatLayer, inputs: list[KerasTensor], final: bool) -> KerasTensor:
    kind = kind_of(layer).lower()
    random = c.training_flag(layer) and kind != "activityregularization"
    note = "with training=True is random at inference; a design is not" if random else "does nothing at inference"
    whole, its = c.origin.get(id(layer), (layer.name, kind))
    c.skipped.append((whole, f"{its.lower()} {note}"))
    return c.tensor(inputs[0])


HINTS = {  # for layers that have a way round
    **dict.fromkeys(("Conv3D", "Conv3DTranspose"), "reshape the rows and take Conv2D, its channels those of several planes"),
    **{f"{scope}{kind}Pooling3D": "reshape the rows to two dimensions" for scope in ("", "Global") for kind in ("Max", "Average")},
    **dict.fromkeys(("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"), "take TimeDistributed(Conv2D(...)) and an LSTM behind it"),
}
Converter = Callable[["Conversion", "FloatLayer", "list[KerasTensor]", bool], "KerasTensor"]
_MOVES = ("Rearrange", "Concatenate", "Flatten", "Permute", "Reshape", "ZeroPadding1D", "ZeroPadding2D", *MOVING)

KINDS: dict[str, Converter] = {
    **dict.fromkeys(KERNELS, _with_kernel),
    **dict.fromkeys(_MOVES, _unchanged),
    **dict.fromkeys(IDENTITIES, _left_out),
    "Activation": activation,
    "BatchNormalization": _batch_normalization,
    "ELU": elu,
    "Embedding": _embedding,
    "Masking": _masking,
    "PReLU": _prelu,
    "Scaled": _scaled,
    "LeakyReLU": leaky_relu,
    "ReLU": relu,
    "Softmax": softmax,
}


def converter_of(kind: str) -> Converter | None:
    """What converts a layer of this kind; None: nothing does."""
    return KINDS.get(kind) or (declared if kind in twin_classes() else None)


def supported() -> list[str]:
    """The kinds of layers that are converted, in alphabetical order."""
    return sorted({*KINDS, *twin_classes()})


OWN_QUANTIZER = (*KERNELS, "BatchNormalization", "ELU", "Embedding", "PReLU", "Scaled", "Softmax")


def quantizes(layer: FloatLayer) -> bool:
    """Whether the layer's twin quantises what it reads."""
    kind = kind_of(layer)
    if kind == "Activation":
        return getattr(layer.activation, "__name__", "") not in ("linear", "relu", "softmax")
    if kind == "LeakyReLU":
        return not power_of_two(layer.negative_slope)
    return kind in OWN_QUANTIZER or kind in twin_classes() or (kind == "ReLU" and not plain_relu(layer))
