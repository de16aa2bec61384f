"""Quantised layers of several inputs: sum, difference, product, maximum, minimum, mean. Each input has a quantiser of its own."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from hwq.errors import UnsupportedLayerError
from hwq.train.backend import keras, ops
from hwq.train.layers.factor import Factor
from hwq.train.layers.kernel import QuantizedLayer
from hwq.train.layers.part import Part, known_shape


class _Merge(QuantizedLayer):
    """Base: quantise each input, then join them element by element.

    Raises:
        UnsupportedLayerError: inputs of unlike shapes, or a number of them that the layer does not take.
    """

    least, most = 2, 1000

    def build(self, input_shape: Any) -> None:
        shapes = [tuple(shape) for shape in input_shape] if isinstance(input_shape[0], (list, tuple)) else [tuple(input_shape)]
        if not self.least <= len(shapes) <= self.most:
            raise UnsupportedLayerError(f"layer {self.name!r} is given {len(shapes)} inputs, which it cannot join")
        if len(set(shapes)) > 1:
            raise UnsupportedLayerError(
                f"layer {self.name!r} is given shapes {', '.join(str(s[1:]) for s in shapes)}",
                hint="give inputs of one shape: nothing is broadcast",
            )
        known_shape(self, shapes[0])
        self.input_quantizers = [self.make_quantizer(f"input_quantizer_{i}") for i in range(len(shapes))]
        for quantizer, shape in zip(self.input_quantizers, shapes, strict=True):
            quantizer.build(shape)
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        pairs = zip(self.input_quantizers, inputs, strict=True)
        return self.join([quantizer(x, training=training) for quantizer, x in pairs])

    def join(self, values: list[Any]) -> Any:
        """The quantised inputs joined."""
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(input_shape[0])

    def parts(self) -> list[Part]:
        return list(self.input_quantizers)


@keras.saving.register_keras_serializable(package="hwq")
class QAdd(_Merge):
    """Sum of two or more tensors of one shape; the arguments are those of `Quantize`."""

    def join(self, values: list[Any]) -> Any:
        return functools.reduce(ops.add, values)


@keras.saving.register_keras_serializable(package="hwq")
class QSubtract(_Merge):
    """First minus second."""

    most = 2

    def join(self, values: list[Any]) -> Any:
        return ops.subtract(*values)


@keras.saving.register_keras_serializable(package="hwq")
class QMultiply(_Merge):
    """Exact product of two or more tensors of one shape; ebops count bits(a) bits(b) of each product."""

    def join(self, values: list[Any]) -> Any:
        return functools.reduce(ops.multiply, values)

    def costs(self, exact: bool = False) -> dict[str, Any]:
        widths = [quantizer.widths() for quantizer in self.input_quantizers]
        product, total = widths[0], ops.zeros((), self.compute_dtype)
        for width in widths[1:]:
            total = total + ops.sum(product * width)
            product = product + width  # a product has the bits of both
        return {**super().costs(exact), "ebops": total}


@keras.saving.register_keras_serializable(package="hwq")
class QMaximum(_Merge):
    """The greatest of two or more tensors of one shape, element by element."""

    def join(self, values: list[Any]) -> Any:
        return functools.reduce(ops.maximum, values)


@keras.saving.register_keras_serializable(package="hwq")
class QMinimum(_Merge):
    """The least of two or more tensors of one shape, element by element."""

    def join(self, values: list[Any]) -> Any:
        return functools.reduce(ops.minimum, values)


@keras.saving.register_keras_serializable(package="hwq")
class QAverage(_Merge):
    """Mean of two or more tensors of one shape: their sum times 1/n, quantised to `factor_bits` significant bits.

    Exact for n a power of two.
    """

    def __init__(self, *, factor_bits: int = 8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor_bits = factor_bits

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        row = self.input_quantizers[0].row_shape
        self.factor = Factor.reciprocal(np.full(row, len(self.input_quantizers)), self.factor_bits)

    def join(self, values: list[Any]) -> Any:
        return self.factor.times(functools.reduce(ops.add, values))

    def costs(self, exact: bool = False) -> dict[str, Any]:
        widths = functools.reduce(ops.maximum, [quantizer.widths() for quantizer in self.input_quantizers])
        return {**super().costs(exact), "ebops": self.factor.ebops(widths, len(self.input_quantizers))}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor_bits": self.factor_bits}
