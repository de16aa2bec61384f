"""Quantised convolutions, in one and two dimensions: full, depthwise, separable. Channels last."""

from __future__ import annotations

from typing import Unpack, cast

import numpy as np

from hwq.backend import keras, ops
from hwq.errors import UnsupportedLayerError
from hwq.frontend.keras.constants import constant
from hwq.frontend.keras.reader import NodeOrInput, Reader
from hwq.ir import Node
from hwq.layers.kernel import KernelLayer
from hwq.layers.options import (
    ActivatedOptions,
    ConvolutionOptions,
    DepthwiseOptions,
    GroupOptions,
    LayerOptions,
    Lengths,
    SeparableOptions,
)
from hwq.layers.part import Part, known_shape
from hwq.layers.quantize import OPTIONS
from hwq.tensors import BatchShape, Config, Floats, Shape, Tensor

WINDOW = ("kernel_size", "strides", "padding", "dilation_rate")
_VARIABLE = ("initializer", "regularizer", "constraint")
_KERNEL_NAMES = {f"depthwise_{option}": f"kernel_{option}" for option in _VARIABLE}  # Keras' names for the same
_POINTWISE_NAMES = {f"pointwise_{option}": f"kernel_{option}" for option in _VARIABLE}
# what both parts of a separable convolution are given
_BOTH = (*OPTIONS, "weight_granularity", "weight_rounding", "weight_terms", "weight_levels", "train_weights")
_OWN = ("name", "trainable", "dtype")  # what it keeps to itself


def per_axis(value: Lengths, rank: int) -> Shape:
    """One number for each spatial axis, as Keras takes them: a number stands for all."""
    return (int(value),) * rank if isinstance(value, (int, np.integer)) else tuple(int(v) for v in value)


def window_pads(lengths: Shape, size: Shape, strides: Shape, dilation: Shape, padding: str) -> list[tuple[int, int]]:
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
        kernel_size: Lengths,
        strides: Lengths = 1,
        padding: str = "valid",
        **options: Unpack[ConvolutionOptions],
    ) -> None:
        dilation_rate, data_format = options.pop("dilation_rate", 1), options.pop("data_format", None)
        options.setdefault("granularity", "channel")
        super().__init__(**cast(ActivatedOptions, options))
        check_format(self.name, data_format)
        self.kernel_size, self.strides = per_axis(kernel_size, self.rank), per_axis(strides, self.rank)
        self.dilation_rate, self.padding = per_axis(dilation_rate, self.rank), padding.lower()

    def pads(self) -> list[tuple[int, int]]:
        """Zeros (before, after) each spatial axis."""
        lengths = self.quantizer.row_shape[:-1]
        return window_pads(lengths, self.kernel_size, self.strides, self.dilation_rate, self.padding)

    def padded(self, x: Tensor) -> tuple[Tensor, str]:
        """x and the padding that is left to do: a causal one is done here."""
        if self.padding != "causal":
            return x, self.padding
        return ops.pad(x, [(0, 0), *self.pads(), (0, 0)]), "valid"

    def compute_output_shape(self, input_shape: BatchShape) -> BatchShape:
        lengths = known_shape(self, input_shape)[:-1]
        pads = window_pads(lengths, self.kernel_size, self.strides, self.dilation_rate, self.padding)
        sizes = zip(lengths, pads, self.kernel_size, self.dilation_rate, self.strides, strict=True)
        spatial = ((n + before + after - (k - 1) * d - 1) // s + 1 for n, (before, after), k, d, s in sizes)
        return (input_shape[0], *spatial, self.shapes(input_shape)[1][0])

    def integers(self, reader: Reader, inputs: list[NodeOrInput], shape: Shape, name: str = "") -> Node:
        """In one dimension the image has one row."""
        name = name or self.name
        x = reader.quantize(name, self.quantizer, inputs[0])
        kernel = np.asarray(self.kernel, np.float64)
        kernel, f, groups = self.grouped(kernel, np.broadcast_to(np.asarray(self.kernel_f, np.float64), kernel.shape))
        strides, dilation, pads = self.strides, self.dilation_rate, self.pads()
        if len(strides) == 1:
            kernel, f = kernel[None], f[None]
            strides, dilation, pads = (1, *strides), (1, *dilation), [(0, 0), *pads]
            x = reader.reshape(x, (1, *x.shape), name)
        node = reader.add(
            name,
            "conv2d",
            [x],
            name,
            kernel=constant(kernel, f),
            bias=self.integer_bias(shape[-1]),
            strides=tuple(strides),
            pads=tuple(int(n) for pair in pads for n in pair),
            dilation=tuple(dilation),
            groups=int(groups),
        )
        return self.integer_activation(reader, reader.reshape(node, shape, name), name)

    def grouped(self, kernel: Floats, f: Floats) -> tuple[Floats, Floats, int]:
        """(kernel, its fractional bits, groups), as the operation conv2d has them."""
        raise NotImplementedError

    def get_config(self) -> Config:
        return {**super().get_config(), **{name: getattr(self, name) for name in WINDOW}}


class _Conv(_Convolution):
    def __init__(
        self,
        filters: int,
        kernel_size: Lengths,
        strides: Lengths = 1,
        padding: str = "valid",
        **options: Unpack[GroupOptions],
    ) -> None:
        groups = options.pop("groups", 1)
        super().__init__(kernel_size=kernel_size, strides=strides, padding=padding, **cast(ConvolutionOptions, options))
        self.filters, self.groups = filters, groups

    def shapes(self, input_shape: BatchShape) -> tuple[Shape, Shape]:
        channels = known_shape(self, input_shape)[-1]
        if channels % self.groups or self.filters % self.groups:
            raise UnsupportedLayerError(f"layer {self.name!r}: {self.groups} groups divide neither channels nor filters")
        return (*self.kernel_size, channels // self.groups, self.filters), (self.filters,)

    def linear(self, x: Tensor, kernel: Tensor) -> Tensor:
        x, padding = self.padded(x)
        return ops.conv(
            x, kernel, strides=self.strides, padding=padding, data_format="channels_last", dilation_rate=self.dilation_rate
        )

    def grouped(self, kernel: Floats, f: Floats) -> tuple[Floats, Floats, int]:
        return kernel, f, self.groups

    def get_config(self) -> Config:
        return {**super().get_config(), "filters": self.filters, "groups": self.groups}


class _DepthwiseConv(_Convolution):
    """The kernel is (*size, channels, depth_multiplier); output channel c * depth_multiplier + m reads channel c."""

    channel_axes: Shape = (-2, -1)

    def __init__(
        self,
        kernel_size: Lengths,
        strides: Lengths = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        **options: Unpack[DepthwiseOptions],
    ) -> None:
        renamed = cast(ConvolutionOptions, {_KERNEL_NAMES.get(name, name): value for name, value in options.items()})
        super().__init__(kernel_size=kernel_size, strides=strides, padding=padding, **renamed)
        self.depth_multiplier = depth_multiplier

    def shapes(self, input_shape: BatchShape) -> tuple[Shape, Shape]:
        channels = known_shape(self, input_shape)[-1]
        return (*self.kernel_size, channels, self.depth_multiplier), (channels * self.depth_multiplier,)

    def linear(self, x: Tensor, kernel: Tensor) -> Tensor:
        x, padding = self.padded(x)
        return ops.depthwise_conv(
            x, kernel, strides=self.strides, padding=padding, data_format="channels_last", dilation_rate=self.dilation_rate
        )

    def grouped(self, kernel: Floats, f: Floats) -> tuple[Floats, Floats, int]:
        """Output channel c * multiplier + m reads channel c alone."""
        shape = (*kernel.shape[:-2], 1, -1)
        return kernel.reshape(shape), f.reshape(shape), kernel.shape[-2]

    def get_config(self) -> Config:
        return {**super().get_config(), "depth_multiplier": self.depth_multiplier}


@keras.saving.register_keras_serializable(package="hwq")
class QConv1D(_Conv):
    """Conv1D with a bitwidth for every weight: (filters, kernel_size, strides, padding) and `KernelLayer`'s arguments.

    ebops count every position of the window as multiplications of its own, as an unrolled design has them.

    Shapes: (rows, length, channels) in, (rows, new length, filters) out.

    Raises:
        UnsupportedLayerError: data_format="channels_first"; an activation beside "linear" and "relu";
            at the call, an axis whose length is not known; groups that divide neither channels nor filters.

    Example:
        >>> import numpy as np, hwq
        >>> hwq.layers.QConv1D(4, 3)(np.zeros((2, 8, 3), "float32")).shape
        TensorShape([2, 6, 4])
    """

    rank = 1


@keras.saving.register_keras_serializable(package="hwq")
class QConv2D(_Conv):
    """Conv2D with a bitwidth for every weight; as QConv1D.

    Shapes: (rows, height, width, channels) in, (rows, new height, new width, filters) out.

    Raises:
        UnsupportedLayerError: data_format="channels_first"; an activation beside "linear" and "relu";
            at the call, an axis whose length is not known; groups that divide neither channels nor filters.

    Example:
        >>> import numpy as np, hwq
        >>> hwq.layers.QConv2D(4, 3, strides=2, padding="same")(np.zeros((2, 8, 8, 3), "float32")).shape
        TensorShape([2, 4, 4, 4])
    """


@keras.saving.register_keras_serializable(package="hwq")
class QDepthwiseConv1D(_DepthwiseConv):
    """DepthwiseConv1D with a bitwidth for every weight: (kernel_size, strides, padding, depth_multiplier) and `KernelLayer`'s arguments.

    Shapes: (rows, length, channels) in, (rows, new length, channels * depth_multiplier) out.

    Raises:
        UnsupportedLayerError: data_format="channels_first"; an activation beside "linear" and "relu";
            at the call, an axis whose length is not known.

    Example:
        >>> import numpy as np, hwq
        >>> hwq.layers.QDepthwiseConv1D(3, depth_multiplier=2)(np.zeros((2, 8, 3), "float32")).shape
        TensorShape([2, 6, 6])
    """

    rank = 1


@keras.saving.register_keras_serializable(package="hwq")
class QDepthwiseConv2D(_DepthwiseConv):
    """DepthwiseConv2D with a bitwidth for every weight; as QDepthwiseConv1D.

    Shapes: (rows, height, width, channels) in, (rows, new height, new width, channels * depth_multiplier) out.

    Raises:
        UnsupportedLayerError: data_format="channels_first"; an activation beside "linear" and "relu";
            at the call, an axis whose length is not known.

    Example:
        >>> import numpy as np, hwq
        >>> hwq.layers.QDepthwiseConv2D(3)(np.zeros((2, 8, 8, 3), "float32")).shape
        TensorShape([2, 6, 6, 3])
    """


class SeparableConv(Part):
    """A depthwise convolution without bias, then a full one of size 1, each with its own input quantiser.

    `pointwise_overflow` is the overflow mode between the two; None: that of the input.
    """

    stages: tuple[type[_DepthwiseConv], type[_Conv]]

    def __init__(
        self,
        filters: int,
        kernel_size: Lengths,
        strides: Lengths = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        **options: Unpack[SeparableOptions],
    ) -> None:
        super().__init__(**cast(LayerOptions, {name: value for name, value in options.items() if name in _OWN}))
        check_format(self.name, options.pop("data_format", None))
        dilation_rate = options.pop("dilation_rate", 1)
        kept: Config = {name: value for name, value in options.items() if name not in _OWN}
        window = {"kernel_size": kernel_size, "strides": strides, "padding": padding, "depth_multiplier": depth_multiplier}
        self.filters, self.given = filters, {**window, "dilation_rate": dilation_rate, **kept}
        first, second = self.stages
        both = {name: value for name, value in kept.items() if name in _BOTH}
        own = {name: value for name, value in kept.items() if name.startswith("depthwise_")}
        depthwise = {**both, **own, "dilation_rate": dilation_rate, "use_bias": False, **self._part("depthwise")}
        self.depthwise = first(kernel_size, strides, padding, depth_multiplier, **cast(DepthwiseOptions, depthwise))
        rest = {name: value for name, value in kept.items() if not name.startswith(("depthwise_", "pointwise_"))}
        renamed = {_POINTWISE_NAMES[name]: value for name, value in kept.items() if name in _POINTWISE_NAMES}
        between = options.get("pointwise_overflow")
        overflow: Config = {} if between is None else {"overflow": between}
        pointwise = {**rest, **renamed, **overflow, **self._part("pointwise")}
        self.pointwise = second(filters, 1, **cast(GroupOptions, pointwise))
        self.exact = self.depthwise.exact  # both parts are, or neither

    def _part(self, name: str) -> Config:
        return {"name": name, "dtype": self.dtype_policy}

    def build(self, input_shape: BatchShape) -> None:
        known_shape(self, input_shape)
        self.depthwise.build(input_shape)
        self.pointwise.build(self.depthwise.compute_output_shape(input_shape))
        self.built = True

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        return self.pointwise(self.depthwise(x, training=training), training=training)

    def parts(self) -> list[Part]:
        return [self.depthwise, self.pointwise]

    def frozen_config(self) -> Config:
        second = self.pointwise
        return {**super().frozen_config(), "batch_norm": False, "use_bias": second.has_bias, "weight_terms": 0}

    def integers(self, reader: Reader, inputs: list[NodeOrInput], shape: Shape, name: str = "") -> Node:
        name = name or self.name
        middle = self.depthwise.compute_output_shape((None, *self.depthwise.quantizer.row_shape))
        between = self.depthwise.integers(reader, inputs, known_shape(self, middle), f"{name}_depthwise")
        return self.pointwise.integers(reader, [between], shape, f"{name}_pointwise")

    def get_config(self) -> Config:
        return {**super().get_config(), "filters": self.filters, **self.given}


@keras.saving.register_keras_serializable(package="hwq")
class QSeparableConv1D(SeparableConv):
    """SeparableConv1D: (filters, kernel_size, strides, padding, depth_multiplier) and `KernelLayer`'s arguments.

    Shapes: (rows, length, channels) in, (rows, new length, filters) out.

    Raises:
        UnsupportedLayerError: data_format="channels_first"; an activation beside "linear" and "relu";
            at the call, an axis whose length is not known.

    Example:
        >>> import numpy as np, hwq
        >>> hwq.layers.QSeparableConv1D(4, 3)(np.zeros((2, 8, 3), "float32")).shape
        TensorShape([2, 6, 4])
    """

    stages = (QDepthwiseConv1D, QConv1D)


@keras.saving.register_keras_serializable(package="hwq")
class QSeparableConv2D(SeparableConv):
    """SeparableConv2D; as QSeparableConv1D.

    Shapes: (rows, height, width, channels) in, (rows, new height, new width, filters) out.

    Raises:
        UnsupportedLayerError: data_format="channels_first"; an activation beside "linear" and "relu";
            at the call, an axis whose length is not known.

    Example:
        >>> import numpy as np, hwq
        >>> hwq.layers.QSeparableConv2D(4, 3)(np.zeros((2, 8, 8, 3), "float32")).shape
        TensorShape([2, 6, 6, 4])
    """

    stages = (QDepthwiseConv2D, QConv2D)


def check_format(layer: str, data_format: str | None) -> None:
    """Raises UnsupportedLayerError: channels first."""
    if data_format not in (None, "channels_last"):
        raise UnsupportedLayerError(f"layer {layer!r} has data_format {data_format}", hint="hwq takes channels_last")
