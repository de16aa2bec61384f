"""QEinsum: sums of products of two activations, as attention has them: every product is a multiplier of the design."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Unpack

import numpy as np

from hwq.backend import keras, ops
from hwq.errors import UnsupportedLayerError
from hwq.frontend.keras.reader import NodeOrInput, Reader
from hwq.ir import Node
from hwq.layers.kernel import QuantizedLayer
from hwq.layers.options import QuantizerOptions
from hwq.layers.part import Part, known_shape
from hwq.tensors import BatchShape, Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="hwq")
class QEinsum(QuantizedLayer):
    """`keras.ops.einsum` of two tensors, exact: each is quantised, and the products are summed without rounding.

    Shapes: two tensors with the rows first in, (rows, *result) out, as the equation says.

    Args:
        equation: the batch axis first on both sides and in the result: "bij,bjk->bik".
        kwargs: those of `Quantize`, for both inputs.

    Raises:
        UnsupportedLayerError: at the call, for another form, or a result without an axis.

    Example:
        >>> import numpy as np, hwq
        >>> product = hwq.layers.QEinsum("bij,bjk->bik", bits=8)
        >>> product([np.ones((1, 2, 3), "float32"), np.ones((1, 3, 4), "float32")]).shape
        TensorShape([1, 2, 4])
    """

    priced_as: ClassVar = {"ebops": ("net_products", 1.0)}

    def __init__(self, equation: str, **options: Unpack[QuantizerOptions]) -> None:
        super().__init__(**options)
        self.equation = equation.replace(" ", "")

    def build(self, input_shape: Sequence[BatchShape]) -> None:
        self.sides = sides_of(self.name, self.equation, [len(shape) for shape in input_shape])
        sizes: dict[str, int] = {}
        for letters, shape in zip(self.sides, input_shape, strict=False):
            sizes.update(zip(letters, known_shape(self, shape), strict=True))
        self.sizes = sizes
        self.input_quantizers = [self.make_quantizer(f"input_quantizer_{i}") for i in range(2)]
        for quantizer, shape in zip(self.input_quantizers, input_shape, strict=True):
            quantizer.build(shape)
        self.built = True

    def call(self, inputs: Sequence[Tensor], training: bool = False) -> Tensor:
        a, b = (q(x, training=training) for q, x in zip(self.input_quantizers, inputs, strict=True))
        return ops.einsum(self.equation, a, b)

    def compute_output_shape(self, input_shape: Sequence[BatchShape]) -> BatchShape:
        sides = sides_of(self.name, self.equation, [len(shape) for shape in input_shape])
        sizes: dict[str, int] = {}
        for letters, shape in zip(sides, input_shape, strict=False):
            sizes.update(zip(letters, known_shape(self, shape), strict=True))
        return (input_shape[0][0], *(sizes[c] for c in sides[2]))

    def parts(self) -> list[Part]:
        return list(self.input_quantizers)

    def costs(self, exact: bool = False) -> dict[str, Tensor]:
        """ebops: bits(a) bits(b) of each product."""
        a, b = (quantizer.widths() for quantizer in self.input_quantizers)
        first, second, result = self.sides
        return {**super().costs(exact), "ebops": ops.sum(ops.einsum(f"{first},{second}->{result}", a, b))}

    def integers(self, reader: Reader, inputs: list[NodeOrInput], shape: Shape, name: str = "") -> Node:
        """Every product is wired out; those of one result are a line, which is summed."""
        name = name or self.name
        first, second, result = self.sides
        summed = [c for c in dict.fromkeys(first + second) if c not in result]
        letters = [*result, *summed]
        sizes = tuple(int(self.sizes[c]) for c in letters)
        grid = dict(zip(letters, np.indices(sizes), strict=True))
        results, count = math.prod(sizes[: len(result)]), math.prod(sizes[len(result) :])
        wired = []
        for i, (side, quantizer, source) in enumerate(zip((first, second), self.input_quantizers, inputs, strict=True)):
            x = reader.quantize(name, quantizer, source, f"quantize_{i}")
            index = np.ravel_multi_index([grid[c] for c in side], x.shape).ravel()
            place = tuple(int(n) for n in index)
            wired.append(reader.add(f"{name}_wires_{i}", "take", [x], name, index=place, shape=(results, count, 1)))
        node = reader.add(f"{name}_products", "multiply", wired, name)
        return reader.reshape(reader.line_by_line(name, "sum_pool2d", node) if summed else node, shape, name)

    def get_config(self) -> Config:
        return {**super().get_config(), "equation": self.equation}


def sides_of(layer: str, equation: str, ranks: Sequence[int]) -> tuple[str, str, str]:
    """The letters of both operands and of the result, without those of the batch.

    Raises:
        UnsupportedLayerError: not two operands of these ranks, or a batch axis that is not the first everywhere.
    """
    operands, _, result = equation.partition("->")
    letters = operands.split(",")
    fits = len(letters) == len(ranks) == 2 and result and "." not in equation
    fits = fits and all(len(side) == rank for side, rank in zip(letters, ranks, strict=True))
    batch = equation[:1]
    if not fits or any(side[:1] != batch or batch in side[1:] for side in (*letters, result)):
        raise UnsupportedLayerError(
            f"layer {layer!r} is the product {equation!r}, whose rows are not the first axis of both tensors and of the result",
            hint='write it for two tensors, as "bij,bjk->bik", b the rows',
        )
    if len(result) < 2:
        raise UnsupportedLayerError(f"layer {layer!r} ({equation}) leaves a row without an axis", hint="keep an axis in the result")
    return letters[0][1:], letters[1][1:], result[1:]
