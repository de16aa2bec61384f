"""Transposed convolutions, in one and two dimensions: a convolution over the input with zeros between its values. Channels last."""

from __future__ import annotations

from typing import NamedTuple, Unpack, cast

import numpy as np

from hwq.backend import keras, ops
from hwq.frontend.keras.constants import constant
from hwq.frontend.keras.reader import NodeOrInput, Reader
from hwq.ir import Node
from hwq.layers.conv import _Convolution, per_axis
from hwq.layers.options import ConvolutionOptions, Lengths, TransposedOptions
from hwq.layers.part import known_shape
from hwq.tensors import BatchShape, Config, Shape, Tensor


class Reach(NamedTuple):
    """Along one axis: length of the result; zeros before and behind the spread input (negative: values that nothing reads)."""

    length: int
    before: int
    behind: int


def reach_of(n: int, size: int, stride: int, padding: str, output_padding: int | None) -> Reach:
    """The reach of n values spread by `stride`, for a window over `size`, as Keras on TensorFlow places it.

    The full result has (n - 1) stride + size values; "same" leaves out the same number on both sides, the odd one behind.
    """
    full = (n - 1) * stride + size
    same = padding == "same"
    if output_padding is None:
        length = n * stride if same else full + max(stride - size, 0)
    else:
        length = full - (2 * (size // 2) if same else 0) + output_padding
    left = max(full - length, 0) // 2 if same else 0
    before = size - 1 - left
    return Reach(length, before, length + size - 1 - before - ((n - 1) * stride + 1))


class _Transposed(_Convolution):
    """The kernel is (*size, filters, channels), as in Keras."""

    channel_axes: Shape = (-2,)

    def __init__(
        self, filters: int, kernel_size: Lengths, strides: Lengths = 1, padding: str = "valid", **options: Unpack[TransposedOptions]
    ) -> None:
        output_padding = options.pop("output_padding", None)
        super().__init__(kernel_size=kernel_size, strides=strides, padding=padding, **cast(ConvolutionOptions, options))
        self.filters = filters
        self.output_padding = None if output_padding is None else per_axis(output_padding, self.rank)

    def shapes(self, input_shape: BatchShape) -> tuple[Shape, Shape]:
        return (*self.kernel_size, self.filters, known_shape(self, input_shape)[-1]), (self.filters,)

    def reaches(self, lengths: Shape) -> list[Reach]:
        """For each spatial axis."""
        extra = self.output_padding or (None,) * self.rank
        sizes = zip(lengths, self.kernel_size, self.dilation_rate, self.strides, extra, strict=True)
        return [reach_of(n, (k - 1) * d + 1, s, self.padding, more) for n, k, d, s, more in sizes]

    def linear(self, x: Tensor, kernel: Tensor) -> Tensor:
        axes = tuple(range(self.rank))
        turned = ops.transpose(ops.flip(kernel, axis=axes), (*axes, self.rank + 1, self.rank))
        return ops.conv(
            self.spread(x), turned, strides=1, padding="valid", data_format="channels_last", dilation_rate=self.dilation_rate
        )

    def spread(self, x: Tensor) -> Tensor:
        """x (batch, *spatial, channels) with zeros between its values and around them."""
        for axis, (reach, stride) in enumerate(zip(self.reaches(tuple(x.shape[1:-1])), self.strides, strict=True), 1):
            shape, n = list(x.shape), x.shape[axis]
            if stride > 1:
                between = [(0, 0)] * (axis + 1) + [(0, stride - 1)] + [(0, 0)] * (len(shape) - axis - 1)
                x = ops.reshape(
                    ops.pad(ops.expand_dims(x, axis + 1), between), (-1, *shape[1:axis], n * stride, *shape[axis + 1 :])
                )
            behind = reach.behind - (stride - 1)
            around = [(0, 0)] * axis + [(reach.before, max(behind, 0))] + [(0, 0)] * (len(shape) - axis - 1)
            x = ops.pad(x, around)
            if behind < 0:
                x = x[(*(slice(None) for _ in range(axis)), slice(0, x.shape[axis] + behind))]
        return x

    def compute_output_shape(self, input_shape: BatchShape) -> BatchShape:
        lengths = known_shape(self, input_shape)[:-1]
        return (input_shape[0], *(reach.length for reach in self.reaches(lengths)), self.filters)

    def integers(self, reader: Reader, inputs: list[NodeOrInput], shape: Shape, name: str = "") -> Node:
        """A convolution with the kernel turned round, over the input with zeros between its values."""
        name = name or self.name
        x = reader.quantize(name, self.quantizer, inputs[0])
        kernel = np.asarray(self.kernel, np.float64)
        f = np.broadcast_to(np.asarray(self.kernel_f, np.float64), kernel.shape)
        rank = kernel.ndim - 2
        axes = tuple(range(rank))
        kernel, f = (np.transpose(np.flip(v, axes), (*axes, rank + 1, rank)) for v in (kernel, f))
        numbered = np.arange(1, x.type.size + 1).reshape(1, *x.shape).astype("float32")
        spread = np.asarray(self.spread(ops.convert_to_tensor(numbered))).astype(np.int64)[0]
        dilation = tuple(self.dilation_rate)
        if rank == 1:
            kernel, f, spread, dilation = kernel[None], f[None], spread[None], (1, *dilation)
        places = tuple(int(n) - 1 for n in spread.ravel())
        wired = reader.add(f"{name}_spread", "take", [x], name, index=places, shape=spread.shape)
        node = reader.add(
            name,
            "conv2d",
            [wired],
            name,
            kernel=constant(kernel, f),
            bias=self.integer_bias(shape[-1]),
            strides=(1, 1),
            pads=(0, 0, 0, 0),
            dilation=dilation,
            groups=1,
        )
        return self.integer_activation(reader, reader.reshape(node, shape, name), name)

    def get_config(self) -> Config:
        return {**super().get_config(), "filters": self.filters, "output_padding": self.output_padding}


@keras.saving.register_keras_serializable(package="hwq")
class QConv1DTranspose(_Transposed):
    """Conv1DTranspose with a bitwidth for every weight: (filters, kernel_size, strides, padding) and `KernelLayer`'s arguments.

    ebops count the multiplications by values of the input, not those by the zeros between them.

    Shapes: (rows, length, channels) in, (rows, new length, filters) out.

    Raises:
        UnsupportedLayerError: data_format="channels_first"; an activation beside "linear" and "relu";
            at the call, an axis whose length is not known.

    Example:
        >>> import numpy as np, hwq
        >>> hwq.layers.QConv1DTranspose(2, 3, strides=2, padding="same")(np.zeros((1, 4, 1), "float32")).shape
        TensorShape([1, 8, 2])
    """

    rank = 1


@keras.saving.register_keras_serializable(package="hwq")
class QConv2DTranspose(_Transposed):
    """Conv2DTranspose with a bitwidth for every weight; as QConv1DTranspose.

    Shapes: (rows, height, width, channels) in, (rows, new height, new width, filters) out.

    Raises:
        UnsupportedLayerError: data_format="channels_first"; an activation beside "linear" and "relu";
            at the call, an axis whose length is not known.

    Example:
        >>> import keras, numpy as np, hwq
        >>> model = keras.Sequential([keras.Input((4, 4, 1)), hwq.layers.QConv2DTranspose(2, 3, strides=2, padding="same")])
        >>> model(np.zeros((1, 4, 4, 1), "float32")).shape
        TensorShape([1, 8, 8, 2])
    """
