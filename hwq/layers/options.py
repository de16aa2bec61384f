"""The keyword arguments of the layers, by what they are about. They are checked by name (PEP 692); each layer documents its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TypedDict, TypeVar

Lengths = int | Sequence[int]  # of a window: one number stands for every axis
T = TypeVar("T")


class LayerOptions(TypedDict, total=False):
    """Those of every Keras layer."""

    name: str | None
    dtype: object
    trainable: bool
    autocast: bool
    activity_regularizer: object


class RangeOptions(LayerOptions, total=False):
    """Options of an input quantiser: what the range may be."""

    signed: bool | None
    most_integer: int | None


class QuantizerOptions(LayerOptions, total=False):
    """Options of a layer with an input quantiser: those of `Quantize`."""

    bits: int
    overflow: str
    rounding: str
    granularity: str
    signed: bool | None
    exact: bool


class VariableOptions(TypedDict, total=False):
    """What Keras knows of kernels and biases."""

    kernel_initializer: object
    bias_initializer: object
    kernel_regularizer: object
    bias_regularizer: object
    kernel_constraint: object
    bias_constraint: object


class WeightOptions(QuantizerOptions, VariableOptions, total=False):
    """How kernel and bias are quantised, and what is learned of them."""

    weight_granularity: str
    weight_rounding: str
    weight_terms: int
    weight_levels: int
    train_weights: bool
    batch_norm: bool
    train_norm: bool
    batch_statistics: bool


class NormOptions(TypedDict, total=False):
    """Options of the batch normalisation that is folded in, as in Keras."""

    epsilon: float
    momentum: float
    center: bool
    scale: bool


class KernelOptions(WeightOptions, NormOptions, total=False):
    """Options of a layer with a kernel, but for activation and use_bias."""


class EinsumOptions(KernelOptions, total=False):
    """Options of an einsum with a kernel, whose bias has axes of its own."""

    use_bias: bool


class ActivatedOptions(KernelOptions, total=False):
    """Options of a layer with a kernel."""

    activation: object
    use_bias: bool


class NormalizationOptions(WeightOptions, total=False):
    """Options of a normalisation that is a layer of its own: it has the names of `NormOptions` as arguments."""

    activation: object
    use_bias: bool


class ConvolutionOptions(ActivatedOptions, total=False):
    """Options of a convolution, but for the window itself."""

    dilation_rate: Lengths
    data_format: str | None


class GroupOptions(ConvolutionOptions, total=False):
    """Options of a full convolution."""

    groups: int


class TransposedOptions(ConvolutionOptions, total=False):
    """Options of a transposed convolution."""

    output_padding: Lengths | None


class DepthwiseOptions(ConvolutionOptions, total=False):
    """Options of a depthwise convolution: Keras has names of its own for what it knows of the kernel."""

    depthwise_initializer: object
    depthwise_regularizer: object
    depthwise_constraint: object


class SeparableOptions(DepthwiseOptions, total=False):
    """Options of a depthwise convolution and a full one of size 1 behind it."""

    pointwise_initializer: object
    pointwise_regularizer: object
    pointwise_constraint: object
    pointwise_overflow: str | None


class PoolOptions(QuantizerOptions, total=False):
    """Options of a pooling, but for the window itself."""

    keepdims: bool
    data_format: str | None


class AverageOptions(PoolOptions, total=False):
    """Options of a pooling that takes means."""

    factor_bits: int


class TableOptions(QuantizerOptions, total=False):
    """Options of a function by table."""

    output_bits: int | None
    table_shape: Sequence[int] | None
    most_integer: int | None


@dataclass(frozen=True, slots=True)
class WeightSettings:
    """`WeightOptions` and `NormOptions`, with their defaults."""

    weight_granularity: str = "element"
    weight_rounding: str = "RND"
    weight_terms: int = 0
    weight_levels: int = 6
    batch_norm: bool = False
    epsilon: float = 1e-3
    momentum: float = 0.98
    center: bool = True
    scale: bool = True
    train_weights: bool = True
    train_norm: bool = True
    batch_statistics: bool = True


@dataclass(frozen=True, slots=True)
class VariableSettings:
    """`VariableOptions`, with their defaults: what Keras' `get` of each takes."""

    kernel_initializer: object = "glorot_uniform"
    bias_initializer: object = "zeros"
    kernel_regularizer: object = None
    bias_regularizer: object = None
    kernel_constraint: object = None
    bias_constraint: object = None


def settings_of(kind: type[T], options: Mapping[str, object]) -> T:
    """The settings of `kind`, a dataclass, that are among the options; the defaults of the others."""
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]  # there is no type for "a dataclass"
    return kind(**{name: value for name, value in options.items() if name in names})
