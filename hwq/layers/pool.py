"""Quantised pooling in one and two dimensions, windowed and global. The input is quantised first: comparators and adders stay narrow."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import ClassVar, Unpack, cast

import numpy as np

from hwq.backend import keras, ops
from hwq.errors import UnsupportedLayerError
from hwq.frontend.keras.constants import constant
from hwq.frontend.keras.reader import NodeOrInput, Reader
from hwq.ir import Node
from hwq.layers.conv import check_format, per_axis, window_pads
from hwq.layers.factor import Factor
from hwq.layers.kernel import QuantizedLayer
from hwq.layers.options import AverageOptions, Lengths, PoolOptions, QuantizerOptions
from hwq.layers.part import Part, known_shape
from hwq.tensors import BatchShape, Config, Shape, Tensor


class _Pool(QuantizedLayer):
    """Base: quantise, pool a window.

    Args:
        pool_size, strides, padding: as in Keras; pool_size None: the whole input (global pooling, the spatial axes removed unless `keepdims`).
        kwargs: those of `Quantize`.
    """

    rank = 2
    op: ClassVar = "max_pool2d"  # of the graph

    def __init__(
        self,
        pool_size: Lengths | None = 2,
        strides: Lengths | None = None,
        padding: str = "valid",
        **options: Unpack[PoolOptions],
    ) -> None:
        keepdims, data_format = options.pop("keepdims", False), options.pop("data_format", None)
        options.setdefault("granularity", "channel")
        super().__init__(**cast(QuantizerOptions, options))
        check_format(self.name, data_format)
        self.pool_size, self.strides, self.padding, self.keepdims = pool_size, strides, padding.lower(), keepdims
        self.quantizer = self.make_quantizer()

    def build(self, input_shape: BatchShape) -> None:
        known_shape(self, input_shape)
        self.quantizer.build(input_shape)
        lengths = self.quantizer.row_shape[:-1]
        if len(lengths) != self.rank:
            raise UnsupportedLayerError(f"layer {self.name!r} reads rows of shape {self.quantizer.row_shape}")
        self.size = lengths if self.pool_size is None else per_axis(self.pool_size, self.rank)
        self.steps = self.size if self.strides is None else per_axis(self.strides, self.rank)
        self.pads = window_pads(lengths, self.size, self.steps, (1,) * self.rank, self.padding)
        self.built = True

    @property
    def squeezed(self) -> bool:
        """Whether the spatial axes, all of length 1, are left out of the result."""
        return self.pool_size is None and not self.keepdims

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        y = self.pool(self.quantizer(x, training=training))
        return ops.reshape(y, (-1, y.shape[-1])) if self.squeezed else y

    def pool(self, x: Tensor) -> Tensor:
        """The windows of x, (batch, *spatial, channels), brought to one value each."""
        raise NotImplementedError

    def integers(self, reader: Reader, inputs: list[NodeOrInput], shape: Shape, name: str = "") -> Node:
        """In one dimension the image has one row."""
        name = name or self.name
        x = reader.quantize(name, self.quantizer, inputs[0])
        size, strides, pads = tuple(self.size), tuple(self.steps), list(self.pads)
        if len(size) == 1:
            size, strides, pads = (1, *size), (1, *strides), [(0, 0), *pads]
            x = reader.reshape(x, (1, *x.shape), name)
        flat = tuple(int(n) for pair in pads for n in pair)
        node = reader.add(name, self.op, [x], name, size=size, strides=strides, pads=flat)
        return reader.reshape(self.scaled(reader, node, name), shape, name)

    def scaled(self, reader: Reader, node: Node, name: str) -> Node:
        """The pooled windows, brought to their means where that is asked for."""
        return node

    def parts(self) -> list[Part]:
        return [self.quantizer]

    def get_config(self) -> Config:
        names = ("pool_size", "strides", "padding", "keepdims")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


class _MaxPool(_Pool):
    """The greatest value of each window; what lies outside the input does not count."""

    priced_as: ClassVar = {"activation_bits": ("net_choice_bits", 1.0)}

    def pool(self, x: Tensor) -> Tensor:
        if self.pool_size is None:
            return ops.max(x, axis=tuple(range(1, self.rank + 1)), keepdims=True)
        return greatest(x, self.size, self.steps, self.pads)


def greatest(x: Tensor, size: Shape, steps: Shape, pads: Sequence[tuple[int, int]]) -> Tensor:
    """The greatest value of each window of x, (batch, *spatial, channels).

    By slices: the gradient of TensorFlow's own max pooling has no deterministic form in compiled training, not on CPUs either.
    """
    if any(n for pair in pads for n in pair):
        x = ops.pad(x, [(0, 0), *pads, (0, 0)], constant_values=-np.inf)
    counts = [(n - k) // s + 1 for n, k, s in zip(x.shape[1:-1], size, steps, strict=True)]
    slices = []
    for start in np.ndindex(*size):
        window = (slice(i, i + (n - 1) * s + 1, s) for i, n, s in zip(start, counts, steps, strict=True))
        slices.append(x[(slice(None), *window)])
    return functools.reduce(ops.maximum, slices)


class _AveragePool(_Pool):
    """The mean of each window: its exact sum times 1/n, quantised to `factor_bits` significant bits.

    n counts what lies inside the input. Exact for n a power of two.
    """

    priced_as: ClassVar = {"activation_bits": ("net_sum_bits", 1.0)}
    op: ClassVar = "sum_pool2d"

    def __init__(
        self,
        pool_size: Lengths | None = 2,
        strides: Lengths | None = None,
        padding: str = "valid",
        **options: Unpack[AverageOptions],
    ) -> None:
        factor_bits = options.pop("factor_bits", 8)
        super().__init__(pool_size, strides, padding, **cast(PoolOptions, options))
        self.factor_bits = factor_bits

    def build(self, input_shape: BatchShape) -> None:
        super().build(input_shape)
        counts = np.ones(())
        for n, k, s, (before, after) in zip(self.quantizer.row_shape[:-1], self.size, self.steps, self.pads, strict=True):
            inside = np.pad(np.ones(n), (before, after))
            starts = range(0, n + before + after - k + 1, s)
            counts = counts[..., None] * np.array([inside[i : i + k].sum() for i in starts])
        channels = self.quantizer.row_shape[-1]
        self.factor = Factor.reciprocal(np.repeat(counts[..., None], channels, axis=-1), self.factor_bits)

    def sums(self, x: Tensor) -> Tensor:
        """The sum of each window, by a convolution with ones, which is exact where floats are."""
        if self.pool_size is None:
            return ops.sum(x, axis=tuple(range(1, self.rank + 1)), keepdims=True)
        channels = x.shape[-1]
        if len(set(self.steps)) == 1:
            ones = ops.ones((*self.size, channels, 1), x.dtype)
            return ops.depthwise_conv(x, ones, strides=self.steps[0], padding=self.padding, data_format="channels_last")
        # TensorFlow's depthwise convolution takes one stride: add each channel to every other with weight 0 instead
        eye = ops.broadcast_to(ops.eye(channels, dtype=x.dtype), (*self.size, channels, channels))
        return ops.conv(x, eye, strides=self.steps, padding=self.padding, data_format="channels_last")

    def pool(self, x: Tensor) -> Tensor:
        return self.factor.times(self.sums(x))

    def scaled(self, reader: Reader, node: Node, name: str) -> Node:
        factor = constant(self.factor.values.reshape(node.shape), self.factor.f.reshape(node.shape))
        return reader.add(f"{name}_scale", "scale", [node], name, factor=factor)

    def costs(self, exact: bool = False) -> dict[str, Tensor]:
        """ebops of the multiplications by 1/n, with the mean width of each window."""
        widths = self.sums(ops.expand_dims(self.quantizer.widths(), 0))[0] * self.factor.values
        return {**super().costs(exact), "ebops": self.factor.ebops(widths, int(np.prod(self.size)))}

    def get_config(self) -> Config:
        return {**super().get_config(), "factor_bits": self.factor_bits}


@keras.saving.register_keras_serializable(package="hwq")
class QMaxPooling1D(_MaxPool):
    """MaxPooling1D with a quantised input.

    Shapes: (rows, length, channels) in, (rows, length, channels) out, with a length for each window.

    Raises:
        UnsupportedLayerError: data_format="channels_first"; at the call, an axis whose length is not known.

    Example:
        >>> import numpy as np, hwq
        >>> hwq.layers.QMaxPooling1D(2)(np.zeros((2, 8, 3), "float32")).shape
        TensorShape([2, 4, 3])
    """

    twins: ClassVar = {"MaxPooling1D": ("pool_size", "strides", "padding", "data_format")}
    rank = 1


@keras.saving.register_keras_serializable(package="hwq")
class QMaxPooling2D(_MaxPool):
    """MaxPooling2D with a quantised input.

    Shapes: (rows, height, width, channels) in, (rows, height, width, channels) out, with a row and a column for each window.

    Raises:
        UnsupportedLayerError: data_format="channels_first"; at the call, an axis whose length is not known.

    Example:
        >>> import numpy as np, hwq
        >>> hwq.layers.QMaxPooling2D(2)(np.zeros((2, 8, 8, 3), "float32")).shape
        TensorShape([2, 4, 4, 3])
    """

    twins: ClassVar = {"MaxPooling2D": ("pool_size", "strides", "padding", "data_format")}


@keras.saving.register_keras_serializable(package="hwq")
class QAveragePooling1D(_AveragePool):
    """AveragePooling1D with a quantised input.

    Shapes: (rows, length, channels) in, (rows, length, channels) out, with a length for each window.

    Raises:
        UnsupportedLayerError: data_format="channels_first"; at the call, an axis whose length is not known.

    Example:
        >>> import numpy as np, hwq
        >>> hwq.layers.QAveragePooling1D(2)(np.zeros((2, 8, 3), "float32")).shape
        TensorShape([2, 4, 3])
    """

    twins: ClassVar = {"AveragePooling1D": ("pool_size", "strides", "padding", "data_format")}
    rank = 1


@keras.saving.register_keras_serializable(package="hwq")
class QAveragePooling2D(_AveragePool):
    """AveragePooling2D with a quantised input.

    Shapes: (rows, height, width, channels) in, (rows, height, width, channels) out, with a row and a column for each window.

    Raises:
        UnsupportedLayerError: data_format="channels_first"; at the call, an axis whose length is not known.

    Example:
        >>> import numpy as np, hwq
        >>> hwq.layers.QAveragePooling2D(2)(np.zeros((2, 8, 8, 3), "float32")).shape
        TensorShape([2, 4, 4, 3])
    """

    twins: ClassVar = {"AveragePooling2D": ("pool_size", "strides", "padding", "data_format")}


def _windowless(config: Config) -> Config:
    """The configuration of a global pooling: its window is the whole input."""
    return {name: value for name, value in config.items() if name not in ("pool_size", "strides", "padding")}


class _GlobalMaxPool(_MaxPool):
    """The greatest value of the whole input."""

    def __init__(self, **options: Unpack[PoolOptions]) -> None:
        super().__init__(None, **options)

    def get_config(self) -> Config:
        return _windowless(super().get_config())


class _GlobalAveragePool(_AveragePool):
    """The mean of the whole input."""

    def __init__(self, **options: Unpack[AverageOptions]) -> None:
        super().__init__(None, **options)

    def get_config(self) -> Config:
        return _windowless(super().get_config())


@keras.saving.register_keras_serializable(package="hwq")
class QGlobalMaxPooling1D(_GlobalMaxPool):
    """GlobalMaxPooling1D with a quantised input.

    Shapes: (rows, length, channels) in, (rows, channels) out.

    Raises:
        UnsupportedLayerError: data_format="channels_first"; at the call, an axis whose length is not known.

    Example:
        >>> import numpy as np, hwq
        >>> hwq.layers.QGlobalMaxPooling1D()(np.zeros((2, 8, 3), "float32")).shape
        TensorShape([2, 3])
    """

    twins: ClassVar = {"GlobalMaxPooling1D": ("keepdims", "data_format")}
    rank = 1


@keras.saving.register_keras_serializable(package="hwq")
class QGlobalMaxPooling2D(_GlobalMaxPool):
    """GlobalMaxPooling2D with a quantised input.

    Shapes: (rows, height, width, channels) in, (rows, channels) out.

    Raises:
        UnsupportedLayerError: data_format="channels_first"; at the call, an axis whose length is not known.

    Example:
        >>> import numpy as np, hwq
        >>> hwq.layers.QGlobalMaxPooling2D()(np.zeros((2, 8, 8, 3), "float32")).shape
        TensorShape([2, 3])
    """

    twins: ClassVar = {"GlobalMaxPooling2D": ("keepdims", "data_format")}


@keras.saving.register_keras_serializable(package="hwq")
class QGlobalAveragePooling1D(_GlobalAveragePool):
    """GlobalAveragePooling1D with a quantised input.

    Shapes: (rows, length, channels) in, (rows, channels) out.

    Raises:
        UnsupportedLayerError: data_format="channels_first"; at the call, an axis whose length is not known.

    Example:
        >>> import numpy as np, hwq
        >>> hwq.layers.QGlobalAveragePooling1D()(np.zeros((2, 8, 3), "float32")).shape
        TensorShape([2, 3])
    """

    twins: ClassVar = {"GlobalAveragePooling1D": ("keepdims", "data_format")}
    rank = 1


@keras.saving.register_keras_serializable(package="hwq")
class QGlobalAveragePooling2D(_GlobalAveragePool):
    """GlobalAveragePooling2D with a quantised input.

    Shapes: (rows, height, width, channels) in, (rows, channels) out.

    Raises:
        UnsupportedLayerError: data_format="channels_first"; at the call, an axis whose length is not known.

    Example:
        >>> import numpy as np, hwq
        >>> hwq.layers.QGlobalAveragePooling2D()(np.zeros((2, 8, 8, 3), "float32")).shape
        TensorShape([2, 3])
    """

    twins: ClassVar = {"GlobalAveragePooling2D": ("keepdims", "data_format")}
