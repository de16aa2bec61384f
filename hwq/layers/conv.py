"""Quantised convolutions, in one and two dimensions: full, depthwise, separable. Channels last."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwq.backend import keras, ops
from hwq.errors import UnsupportedLayerError
from hwq.layers.kernel import KernelLayer
from hwq.layers.part import Part, known_shape

WINDOW = ("kernel_size", "strides", "padding", "dilation_rate")


def per_axis(value: Any, rank: int) -> tuple[int, ...]:
    """One number for each spatial axis, as Keras takes them: a number stands for all."""
    return (int(value),) * rank if isinstance(value, (int, np.integer)) else tuple(int(v) for v in value)


def window_pads(
    lengths: tuple[int, ...], size: tuple[int, ...], strides: tuple[int, ...], dilation: tuple[int, ...], padding: str
) -> list[tuple[int, int]]:
    """Zeros (before, after) each spatial axis: none for "valid", all before for "causal", halves for "same", the odd one after."""
    pads = []
    for n, k, s, d in zip(lengths, size, strides, dilation, strict=True):
        reach = (k - 1) * d
        total = 0 if padding == "valid" else reach if padding == "causal" else max((-(-n // s) - 1) * s + reach + 1 - n, 0)
        before = total if padding == "causal" else total // 2
        pads.append((before, total - before))
    return pads


class _Convolution(KernelLayer):
    """What full and depthwise convolutions share: the window."""

    rank = 2

    def __init__(
        self,
        *,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        dilation_rate: Any = 1,
        data_format: str | None = None,
        granularity: str = "channel",
        **kwargs: Any,
    ) -> None:
        super().__init__(granularity=granularity, **kwargs)
        check_format(self.name, data_format)
        self.kernel_size, self.strides = per_axis(kernel_size, self.rank), per_axis(strides, self.rank)
        self.dilation_rate, self.padding = per_axis(dilation_rate, self.rank), padding.lower()

    def pads(self) -> list[tuple[int, int]]:
        """Zeros (before, after) each spatial axis."""
        lengths = self.quantizer.row_shape[:-1]
        return window_pads(lengths, self.kernel_size, self.strides, self.dilation_rate, self.padding)

    def padded(self, x: Any) -> tuple[Any, str]:
        """x and the padding that is left to do: a causal one is done here."""
        if self.padding != "causal":
            return x, self.padding
        return ops.pad(x, [(0, 0), *self.pads(), (0, 0)]), "valid"

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        lengths = tuple(int(n) for n in input_shape[1:-1])
        pads = window_pads(lengths, self.kernel_size, self.strides, self.dilation_rate, self.padding)
        sizes = zip(lengths, pads, self.kernel_size, self.dilation_rate, self.strides, strict=True)
        spatial = ((n + before + after - (k - 1) * d - 1) // s + 1 for n, (before, after), k, d, s in sizes)
        return (input_shape[0], *spatial, self.shapes(input_shape)[1][0])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **{name: getattr(self, name) for name in WINDOW}}


class _Conv(_Convolution):
    def __init__(self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid", **kwargs: Any) -> None:
        self_groups = kwargs.pop("groups", 1)
        super().__init__(kernel_size=kernel_size, strides=strides, padding=padding, **kwargs)
        self.filters, self.groups = filters, self_groups

    def shapes(self, input_shape: tuple[Any, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        channels = int(input_shape[-1])
        if channels % self.groups or self.filters % self.groups:
            raise UnsupportedLayerError(f"layer {self.name!r}: {self.groups} groups divide neither channels nor filters")
        return (*self.kernel_size, channels // self.groups, self.filters), (self.filters,)

    def linear(self, x: Any, kernel: Any) -> Any:
        x, padding = self.padded(x)
        return ops.conv(
            x, kernel, strides=self.strides, padding=padding, data_format="channels_last", dilation_rate=self.dilation_rate
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters, "groups": self.groups}


class _DepthwiseConv(_Convolution):
    """The kernel is (*size, channels, depth_multiplier); output channel c * depth_multiplier + m reads channel c."""

    channel_axes = (-2, -1)

    def __init__(
        self, kernel_size: Any, strides: Any = 1, padding: str = "valid", depth_multiplier: int = 1, **kwargs: Any
    ) -> None:
        for option in ("initializer", "regularizer", "constraint"):  # Keras' names for the same
            if f"depthwise_{option}" in kwargs:
                kwargs[f"kernel_{option}"] = kwargs.pop(f"depthwise_{option}")
        super().__init__(kernel_size=kernel_size, strides=strides, padding=padding, **kwargs)
        self.depth_multiplier = depth_multiplier

    def shapes(self, input_shape: tuple[Any, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        channels = int(input_shape[-1])
        return (*self.kernel_size, channels, self.depth_multiplier), (channels * self.depth_multiplier,)

    def linear(self, x: Any, kernel: Any) -> Any:
        x, padding = self.padded(x)
        return ops.depthwise_conv(
            x, kernel, strides=self.strides, padding=padding, data_format="channels_last", dilation_rate=self.dilation_rate
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "depth_multiplier": self.depth_multiplier}


@keras.saving.register_keras_serializable(package="hwq")
class QConv1D(_Conv):
    """Conv1D with a bitwidth for every weight: (filters, kernel_size, strides, padding) and `KernelLayer`'s arguments.

    ebops count every position of the window as multiplications of its own, as an unrolled design has them.
    """

    rank = 1


@keras.saving.register_keras_serializable(package="hwq")
class QConv2D(_Conv):
    """Conv2D with a bitwidth for every weight; as QConv1D."""


@keras.saving.register_keras_serializable(package="hwq")
class QDepthwiseConv1D(_DepthwiseConv):
    """DepthwiseConv1D with a bitwidth for every weight: (kernel_size, strides, padding, depth_multiplier) and `KernelLayer`'s arguments."""

    rank = 1


@keras.saving.register_keras_serializable(package="hwq")
class QDepthwiseConv2D(_DepthwiseConv):
    """DepthwiseConv2D with a bitwidth for every weight; as QDepthwiseConv1D."""


class _SeparableConv(Part):
    """A depthwise convolution without bias, then a full one of size 1, each with its own input quantiser.

    `pointwise_overflow` is the overflow mode between the two; None: that of the input.
    """

    stages: tuple[type[_DepthwiseConv], type[_Conv]]

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid", depth_multiplier: int = 1, **kwargs: Any
    ) -> None:
        layer_options = {name: kwargs.pop(name) for name in ("name", "trainable", "dtype") if name in kwargs}
        super().__init__(**layer_options)
        check_format(self.name, kwargs.pop("data_format", None))
        depthwise = {"kernel_size": kernel_size, "strides": strides, "padding": padding, "depth_multiplier": depth_multiplier}
        depthwise["dilation_rate"] = kwargs.pop("dilation_rate", 1)
        self.filters, self.given = filters, {**depthwise, **kwargs}
        between = kwargs.pop("pointwise_overflow", None)
        shared = {k: v for k, v in kwargs.items() if not k.startswith(("depthwise_", "pointwise_"))}
        for option in ("initializer", "regularizer", "constraint"):
            for stage, target in (("depthwise", depthwise), ("pointwise", shared)):
                if f"{stage}_{option}" in kwargs:
                    target[f"kernel_{option}"] = kwargs[f"{stage}_{option}"]
        ours = ("bits", "overflow", "rounding", "granularity", "signed", "exact")
        ours += ("weight_granularity", "weight_rounding", "weight_terms", "weight_levels", "train_weights")
        depthwise.update({k: v for k, v in shared.items() if k in ours})
        first, second = self.stages
        self.depthwise = first(**depthwise, use_bias=False, name="depthwise", dtype=self.dtype_policy)
        if between is not None:
            shared["overflow"] = between
        self.pointwise = second(filters, 1, **shared, name="pointwise", dtype=self.dtype_policy)

    def build(self, input_shape: tuple[Any, ...]) -> None:
        known_shape(self, input_shape)
        self.depthwise.build(input_shape)
        self.pointwise.build(self.depthwise.compute_output_shape(input_shape))
        self.built = True

    def call(self, x: Any, training: bool = False) -> Any:
        return self.pointwise(self.depthwise(x, training=training), training=training)

    def parts(self) -> list[Part]:
        return [self.depthwise, self.pointwise]

    @property
    def exact(self) -> bool:
        """Whether it computes what the design computes: both parts do, or neither."""
        return bool(self.depthwise.exact)

    def frozen_config(self) -> dict[str, Any]:
        second = self.pointwise
        return {**super().frozen_config(), "batch_norm": False, "use_bias": second.has_bias, "weight_terms": 0}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters, **self.given}


@keras.saving.register_keras_serializable(package="hwq")
class QSeparableConv1D(_SeparableConv):
    """SeparableConv1D: (filters, kernel_size, strides, padding, depth_multiplier) and `KernelLayer`'s arguments."""

    stages = (QDepthwiseConv1D, QConv1D)


@keras.saving.register_keras_serializable(package="hwq")
class QSeparableConv2D(_SeparableConv):
    """SeparableConv2D; as QSeparableConv1D."""

    stages = (QDepthwiseConv2D, QConv2D)


def check_format(layer: str, data_format: str | None) -> None:
    """Raises UnsupportedLayerError: channels first."""
    if data_format not in (None, "channels_last"):
        raise UnsupportedLayerError(f"layer {layer!r} has data_format {data_format}", hint="hwq takes channels_last")
