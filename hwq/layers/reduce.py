"""Sums, means, greatest and least values over axes of a row, as `keras.ops` has them. The input is quantised first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Unpack

import numpy as np

from hwq.backend import keras, ops
from hwq.errors import UnsupportedLayerError
from hwq.frontend.keras.constants import constant, whole
from hwq.frontend.keras.reader import NodeOrInput, Reader
from hwq.ir import Node
from hwq.layers.factor import Factor
from hwq.layers.kernel import QuantizedLayer
from hwq.layers.options import QuantizerOptions
from hwq.layers.part import Part, known_shape
from hwq.tensors import BatchShape, Config, Shape, Tensor


class _Reduce(QuantizedLayer):
    """Base: quantise, bring the values along the axes to one.

    Args:
        axis: axes as in `keras.ops`, the batch being axis 0.
        keepdims: whether they stay, with length 1.
        kwargs: those of `Quantize`.

    Raises:
        UnsupportedLayerError: at the call, for the batch axis, or where a row is left without an axis.
    """

    def __init__(self, axis: int | Sequence[int], keepdims: bool = False, **options: Unpack[QuantizerOptions]) -> None:
        super().__init__(**options)
        self.axis = (axis,) if isinstance(axis, (int, np.integer)) else tuple(int(a) for a in axis)
        self.keepdims = keepdims
        self.quantizer = self.make_quantizer()

    def build(self, input_shape: BatchShape) -> None:
        self.row_shape = known_shape(self, input_shape)
        self.axes = self._axes(len(input_shape))
        self.count = math.prod(self.row_shape[axis - 1] for axis in self.axes)
        self.quantizer.build(input_shape)
        self.built = True

    def _axes(self, rank: int) -> Shape:
        axes = tuple(sorted({int(axis) % rank for axis in self.axis}))
        if 0 in axes:
            raise UnsupportedLayerError(f"layer {self.name!r} joins rows", hint="a design answers each row by itself")
        if len(axes) == rank - 1 and not self.keepdims:
            raise UnsupportedLayerError(f"layer {self.name!r} leaves a row without an axis", hint="keepdims=True")
        return axes

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        return self.reduced(self.quantizer(x, training=training))

    def reduced(self, x: Tensor) -> Tensor:
        """One value of those along the axes."""
        raise NotImplementedError

    def integers(self, reader: Reader, inputs: list[NodeOrInput], shape: Shape, name: str = "") -> Node:
        """The axes that are joined come last; each line of theirs is a window."""
        name = name or self.name
        x = reader.quantize(name, self.quantizer, inputs[0])
        joined = [int(axis) - 1 for axis in self.axes]  # Keras counts from 1, the batch being 0
        order = tuple([axis for axis in range(len(x.shape)) if axis not in joined] + joined)
        if order != tuple(range(len(order))):
            x = reader.add(f"{name}_order", "permute", [x], name, dims=order)
        lines = reader.reshape(x, (x.type.size // self.count, self.count, 1), name)
        return reader.reshape(self.joined(reader, lines, name), shape, name)

    def joined(self, reader: Reader, lines: Node, name: str) -> Node:
        """(lines, count, 1) to (lines, 1, 1)."""
        return reader.line_by_line(name, "sum_pool2d", lines)

    def compute_output_shape(self, input_shape: BatchShape) -> BatchShape:
        axes = self._axes(len(input_shape))
        kept = [1 if axis in axes else n for axis, n in enumerate(input_shape) if self.keepdims or axis not in axes]
        return tuple(kept)

    def parts(self) -> list[Part]:
        return [self.quantizer]

    def get_config(self) -> Config:
        return {**super().get_config(), "axis": list(self.axis), "keepdims": self.keepdims}


@keras.saving.register_keras_serializable(package="hwq")
class QSum(_Reduce):
    """The sum over axes.

    Shapes: (rows, *shape) in; out without the axes, or with length 1.

    Raises:
        UnsupportedLayerError: at the call, an axis of 0, a row that is left without an axis, or an axis whose length is not known.

    Example:
        >>> import keras, numpy as np, hwq
        >>> model = keras.Sequential([keras.Input((4, 3)), hwq.layers.QSum(axis=1)])
        >>> model(np.ones((2, 4, 3), "float32")).shape
        TensorShape([2, 3])
    """

    priced_as: ClassVar = {"activation_bits": ("net_sum_bits", 1.0)}

    def reduced(self, x: Tensor) -> Tensor:
        return ops.sum(x, axis=self.axes, keepdims=self.keepdims)


@keras.saving.register_keras_serializable(package="hwq")
class QMean(_Reduce):
    """The mean over axes: the exact sum times 1/n, quantised to `factor_bits` significant bits. Exact for n a power of two.

    Shapes: (rows, *shape) in; out without the axes, or with length 1.

    Raises:
        UnsupportedLayerError: at the call, an axis of 0, a row that is left without an axis, or an axis whose length is not known.

    Example:
        >>> import numpy as np, hwq
        >>> hwq.layers.QMean(axis=1)(np.zeros((2, 4, 3), "float32")).shape
        TensorShape([2, 3])
    """

    priced_as: ClassVar = {"activation_bits": ("net_sum_bits", 1.0)}

    def __init__(
        self, axis: int | Sequence[int], keepdims: bool = False, *, factor_bits: int = 8, **options: Unpack[QuantizerOptions]
    ) -> None:
        super().__init__(axis, keepdims, **options)
        self.factor_bits = factor_bits

    def build(self, input_shape: BatchShape) -> None:
        super().build(input_shape)
        row = known_shape(self, self.compute_output_shape(input_shape))
        self.factor = Factor.reciprocal(np.full(row, self.count), self.factor_bits)

    def reduced(self, x: Tensor) -> Tensor:
        return self.factor.times(ops.sum(x, axis=self.axes, keepdims=self.keepdims))

    def joined(self, reader: Reader, lines: Node, name: str) -> Node:
        node = super().joined(reader, lines, name)
        factor = constant(self.factor.values.reshape(node.shape), self.factor.f.reshape(node.shape))
        return reader.add(f"{name}_scale", "scale", [node], name, factor=factor)

    def costs(self, exact: bool = False) -> dict[str, Tensor]:
        """ebops of the multiplications by 1/n, with the mean width of what is summed."""
        widths = ops.mean(ops.expand_dims(self.quantizer.widths(), 0), axis=self.axes, keepdims=self.keepdims)[0]
        return {**super().costs(exact), "ebops": self.factor.ebops(widths, self.count)}

    def get_config(self) -> Config:
        return {**super().get_config(), "factor_bits": self.factor_bits}


@keras.saving.register_keras_serializable(package="hwq")
class QMax(_Reduce):
    """The greatest value over axes.

    Shapes: (rows, *shape) in; out without the axes, or with length 1.

    Raises:
        UnsupportedLayerError: at the call, an axis of 0, a row that is left without an axis, or an axis whose length is not known.

    Example:
        >>> import numpy as np, hwq
        >>> hwq.layers.QMax(axis=1)(np.zeros((2, 4, 3), "float32")).shape
        TensorShape([2, 3])
    """

    priced_as: ClassVar = {"activation_bits": ("net_choice_bits", 1.0)}

    def reduced(self, x: Tensor) -> Tensor:
        return ops.max(x, axis=self.axes, keepdims=self.keepdims)

    def joined(self, reader: Reader, lines: Node, name: str) -> Node:
        return reader.line_by_line(name, "max_pool2d", lines)


@keras.saving.register_keras_serializable(package="hwq")
class QMin(_Reduce):
    """The least value over axes.

    Shapes: (rows, *shape) in; out without the axes, or with length 1.

    Raises:
        UnsupportedLayerError: at the call, an axis of 0, a row that is left without an axis, or an axis whose length is not known.

    Example:
        >>> import numpy as np, hwq
        >>> hwq.layers.QMin(axis=1)(np.zeros((2, 4, 3), "float32")).shape
        TensorShape([2, 3])
    """

    priced_as: ClassVar = {"activation_bits": ("net_choice_bits", 1.0)}

    def reduced(self, x: Tensor) -> Tensor:
        return ops.min(x, axis=self.axes, keepdims=self.keepdims)

    def joined(self, reader: Reader, lines: Node, name: str) -> Node:
        node = reader.line_by_line(name, "max_pool2d", _negative(reader, lines, name))
        return _negative(reader, node, name)


def _negative(reader: Reader, node: Node, name: str) -> Node:
    return reader.add(f"{name}_negative", "scale", [node], name, factor=whole(np.full(node.shape, -1.0)))
