"""Quantised layers of several inputs: sum, difference, product, maximum, minimum, mean. Each input has a quantiser of its own."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import ClassVar, Unpack

import numpy as np

from hwq.backend import keras, ops
from hwq.errors import UnsupportedLayerError
from hwq.frontend.keras.constants import constant
from hwq.frontend.keras.reader import NodeOrInput, Reader
from hwq.ir import Node
from hwq.layers.factor import Factor
from hwq.layers.kernel import QuantizedLayer
from hwq.layers.options import QuantizerOptions
from hwq.layers.part import Part, known_shape
from hwq.quantizers.rounding import spread
from hwq.tensors import BatchShape, Config, Shape, Tensor

InputShapes = BatchShape | Sequence[BatchShape]  # of one input, or of several


class _Merge(QuantizedLayer):
    """Base: quantise each input, then join them element by element; an axis of length 1 is repeated to that of the others.

    Raises:
        UnsupportedLayerError: other shapes, or a number of inputs that the layer does not take.
    """

    least, most = 2, 1000
    op: ClassVar = "add"  # of the graph, for each two

    def build(self, input_shape: InputShapes) -> None:
        shapes = _each(input_shape)
        if not self.least <= len(shapes) <= self.most:
            raise UnsupportedLayerError(f"layer {self.name!r} is given {len(shapes)} inputs, which it cannot join")
        self.row_shape = joined_shape(self.name, [known_shape(self, shape) for shape in shapes])
        self.input_quantizers = [self.make_quantizer(f"input_quantizer_{i}") for i in range(len(shapes))]
        for quantizer, shape in zip(self.input_quantizers, shapes, strict=True):
            quantizer.build(shape)
        self.built = True

    def call(self, inputs: Sequence[Tensor], training: bool = False) -> Tensor:
        pairs = zip(self.input_quantizers, inputs, strict=True)
        return self.join([quantizer(x, training=training) for quantizer, x in pairs])

    def join(self, values: list[Tensor]) -> Tensor:
        """The quantised inputs joined."""
        raise NotImplementedError

    def integers(self, reader: Reader, inputs: list[NodeOrInput], shape: Shape, name: str = "") -> Node:
        """A chain of `op`."""
        name = name or self.name
        pairs = enumerate(zip(self.input_quantizers, inputs, strict=True))
        terms = [reader.quantize(name, quantizer, source, f"quantize_{i}") for i, (quantizer, source) in pairs]
        terms = [_repeated(reader, name, term, shape) for term in terms]
        return functools.reduce(lambda a, b: reader.add(name, self.op, [a, b], name), terms)

    def compute_output_shape(self, input_shape: InputShapes) -> BatchShape:
        shapes = _each(input_shape)
        return (shapes[0][0], *joined_shape(self.name, [known_shape(self, shape) for shape in shapes]))

    def parts(self) -> list[Part]:
        return list(self.input_quantizers)


def _each(shapes: InputShapes) -> list[BatchShape]:
    several = [tuple(shape) for shape in shapes if isinstance(shape, (list, tuple))]
    return several or [tuple(n for n in shapes if n is None or isinstance(n, int))]


def _repeated(reader: Reader, name: str, node: Node, shape: Shape) -> Node:
    """`node` with every axis of length 1 repeated to that of `shape`: the same wires, read several times."""
    for axis, (have, want) in enumerate(zip(node.shape, shape, strict=True)):
        if have != want:
            node = reader.add(f"{name}_repeat", "concatenate", [node] * want, name, axis=axis)
    return node


def joined_shape(layer: str, shapes: list[Shape]) -> Shape:
    """The shape of the result for rows of `shapes`: an axis of length 1 is repeated.

    Raises:
        UnsupportedLayerError: other shapes, or unlike numbers of axes.
    """
    fits = len({len(shape) for shape in shapes}) == 1 and all(len(set(axis) - {1}) <= 1 for axis in zip(*shapes, strict=True))
    if not fits:
        raise UnsupportedLayerError(
            f"layer {layer!r} is given rows of shapes {', '.join(map(str, shapes))}",
            hint="give inputs of one shape, or with axes of length 1 in the place of others",
        )
    return tuple(max(axis) for axis in zip(*shapes, strict=True))


# one adder, or one comparison, for each two that are joined
_SUM = {"activation_bits": ("net_sum_bits", 0.5)}
_CHOICE = {"activation_bits": ("net_choice_bits", 0.5)}


@keras.saving.register_keras_serializable(package="hwq")
class QAdd(_Merge):
    """Sum of two or more tensors; the arguments are those of `Quantize`.

    Shapes: rows of one shape in, (rows, *shape) out; an axis of length 1 is repeated to that of the others.

    Raises:
        UnsupportedLayerError: at the call, shapes that do not fit, fewer inputs than two; or an axis whose length is not known.

    Example:
        >>> import numpy as np, hwq
        >>> hwq.layers.QAdd()([np.zeros((2, 3, 4), "float32"), np.zeros((2, 1, 4), "float32")]).shape
        TensorShape([2, 3, 4])
    """

    twins: ClassVar = {"Add": ()}
    priced_as: ClassVar = _SUM

    def join(self, values: list[Tensor]) -> Tensor:
        # not ops.add: (n, 1) beside (n, n) is the bias of the last axis for it, where the batch has as many rows as that
        return functools.reduce(operator.add, values)


@keras.saving.register_keras_serializable(package="hwq")
class QSubtract(_Merge):
    """First minus second.

    Shapes: rows of one shape in, (rows, *shape) out; an axis of length 1 is repeated to that of the others.

    Raises:
        UnsupportedLayerError: at the call, shapes that do not fit, fewer inputs than two; or an axis whose length is not known.

    Example:
        >>> import numpy as np, hwq
        >>> hwq.layers.QSubtract()([np.zeros((2, 4), "float32"), np.zeros((2, 4), "float32")]).shape
        TensorShape([2, 4])
    """

    most = 2
    op: ClassVar = "subtract"
    twins: ClassVar = {"Subtract": ()}
    priced_as: ClassVar = _SUM

    def join(self, values: list[Tensor]) -> Tensor:
        return ops.subtract(values[0], values[1])


@keras.saving.register_keras_serializable(package="hwq")
class QMultiply(_Merge):
    """Exact product of two or more tensors; ebops count bits(a) bits(b) of each product.

    Shapes: rows of one shape in, (rows, *shape) out; an axis of length 1 is repeated to that of the others.

    Raises:
        UnsupportedLayerError: at the call, shapes that do not fit, fewer inputs than two; or an axis whose length is not known.

    Example:
        >>> import numpy as np, hwq
        >>> hwq.layers.QMultiply()([np.zeros((2, 4), "float32"), np.zeros((2, 4), "float32"), np.zeros((2, 4), "float32")]).shape
        TensorShape([2, 4])
    """

    op: ClassVar = "multiply"
    twins: ClassVar = {"Multiply": ()}
    priced_as: ClassVar = {"ebops": ("net_products", 1.0)}

    def join(self, values: list[Tensor]) -> Tensor:
        return functools.reduce(ops.multiply, values)

    def costs(self, exact: bool = False) -> dict[str, Tensor]:
        widths = [spread(quantizer.widths(), self.row_shape) for quantizer in self.input_quantizers]
        product, total = widths[0], ops.zeros((), self.compute_dtype)
        for width in widths[1:]:
            total = total + ops.sum(product * width)
            product = product + width  # a product has the bits of both
        return {**super().costs(exact), "ebops": total}


@keras.saving.register_keras_serializable(package="hwq")
class QMaximum(_Merge):
    """The greatest of two or more tensors, element by element.

    Shapes: rows of one shape in, (rows, *shape) out; an axis of length 1 is repeated to that of the others.

    Raises:
        UnsupportedLayerError: at the call, shapes that do not fit, fewer inputs than two; or an axis whose length is not known.

    Example:
        >>> import numpy as np, hwq
        >>> hwq.layers.QMaximum()([np.zeros((2, 4), "float32"), np.zeros((2, 4), "float32")]).shape
        TensorShape([2, 4])
    """

    op: ClassVar = "maximum"
    twins: ClassVar = {"Maximum": ()}
    priced_as: ClassVar = _CHOICE

    def join(self, values: list[Tensor]) -> Tensor:
        return functools.reduce(ops.maximum, values)


@keras.saving.register_keras_serializable(package="hwq")
class QMinimum(_Merge):
    """The least of two or more tensors, element by element.

    Shapes: rows of one shape in, (rows, *shape) out; an axis of length 1 is repeated to that of the others.

    Raises:
        UnsupportedLayerError: at the call, shapes that do not fit, fewer inputs than two; or an axis whose length is not known.

    Example:
        >>> import numpy as np, hwq
        >>> hwq.layers.QMinimum()([np.zeros((2, 4), "float32"), np.zeros((2, 4), "float32")]).shape
        TensorShape([2, 4])
    """

    op: ClassVar = "minimum"
    twins: ClassVar = {"Minimum": ()}
    priced_as: ClassVar = _CHOICE

    def join(self, values: list[Tensor]) -> Tensor:
        return functools.reduce(ops.minimum, values)


@keras.saving.register_keras_serializable(package="hwq")
class QAverage(_Merge):
    """Mean of two or more tensors: their sum times 1/n, quantised to `factor_bits` significant bits.

    Exact for n a power of two.

    Shapes: rows of one shape in, (rows, *shape) out; an axis of length 1 is repeated to that of the others.

    Raises:
        UnsupportedLayerError: at the call, shapes that do not fit, fewer inputs than two; or an axis whose length is not known.

    Example:
        >>> import numpy as np, hwq
        >>> hwq.layers.QAverage()([np.zeros((2, 4), "float32"), np.zeros((2, 4), "float32")]).shape
        TensorShape([2, 4])
    """

    twins: ClassVar = {"Average": ()}
    priced_as: ClassVar = _SUM

    def __init__(self, *, factor_bits: int = 8, **options: Unpack[QuantizerOptions]) -> None:
        super().__init__(**options)
        self.factor_bits = factor_bits

    def build(self, input_shape: InputShapes) -> None:
        super().build(input_shape)
        self.factor = Factor.reciprocal(np.full(self.row_shape, len(self.input_quantizers)), self.factor_bits)

    def join(self, values: list[Tensor]) -> Tensor:
        return self.factor.times(functools.reduce(operator.add, values))

    def integers(self, reader: Reader, inputs: list[NodeOrInput], shape: Shape, name: str = "") -> Node:
        name = name or self.name
        total = super().integers(reader, inputs, shape, name)
        factor = constant(self.factor.values, self.factor.f)
        return reader.add(f"{name}_scale", "scale", [total], name, factor=factor)

    def costs(self, exact: bool = False) -> dict[str, Tensor]:
        widths = functools.reduce(ops.maximum, [quantizer.widths() for quantizer in self.input_quantizers])
        return {**super().costs(exact), "ebops": self.factor.ebops(widths, len(self.input_quantizers))}

    def get_config(self) -> Config:
        return {**super().get_config(), "factor_bits": self.factor_bits}
