"""QEmbedding: a row of weights for every code, a table in the design."""

from __future__ import annotations

import math
from typing import ClassVar, Unpack

import numpy as np

from hwq.backend import keras, ops
from hwq.errors import UnsupportedLayerError
from hwq.frontend.keras.constants import constant
from hwq.frontend.keras.reader import NodeOrInput, Reader
from hwq.ir import Node
from hwq.layers.kernel import KernelLayer
from hwq.layers.options import KernelOptions, LayerOptions
from hwq.layers.part import Part, known_shape
from hwq.layers.prelu import without_bias
from hwq.tensors import BatchShape, Config, Shape, Tensor, Variable

CODE_BITS = 14  # as of every table
LUT_INPUTS = 6


def codes_bits(count: int) -> int:
    """Bits of the codes from 0 to count - 1."""
    return max((int(count) - 1).bit_length(), 1)


@keras.saving.register_keras_serializable(package="hwq")
class QCodes(Part):
    """Whole numbers from 0 to count - 1, as they are: nothing about them is learned. What lies outside becomes the
    nearest number of as many bits.

    Shapes: (rows, *shape) in and out, whole numbers.

    Args:
        count: how many codes there are.

    Raises:
        UnsupportedLayerError: at the call, an axis whose length is not known, or more codes than a table has.

    Example:
        >>> import numpy as np, hwq
        >>> hwq.layers.QCodes(3)(np.array([[0.0, 2.0, 7.0]])).numpy().tolist()
        [[0.0, 2.0, 3.0]]
    """

    rounding, overflow = "RND", "SAT"

    def __init__(self, count: int, *, exact: bool = False, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.count, self.exact = int(count), exact
        self.code_bits = codes_bits(self.count)
        self.f, self.low = np.zeros(()), np.zeros(())
        self.high = np.array(2.0**self.code_bits - 1)

    def build(self, input_shape: BatchShape) -> None:
        self.row_shape = known_shape(self, input_shape)
        if self.code_bits > CODE_BITS:
            raise UnsupportedLayerError(
                f"layer {self.name!r} has {self.count} codes, a table at most {1 << CODE_BITS}", hint="a smaller vocabulary"
            )
        shape = (1,) * len(self.row_shape)
        self.f, self.low, self.high = (np.reshape(v, shape) for v in (self.f, self.low, self.high))
        self.built = True

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        return ops.clip(ops.floor(ops.cast(x, self.compute_dtype) + 0.5), 0.0, 2.0**self.code_bits - 1)

    def widths(self) -> Tensor:
        """Bits of each element of a row."""
        return ops.convert_to_tensor(np.full(self.row_shape, self.code_bits, np.float32))

    def compute_output_shape(self, input_shape: BatchShape) -> BatchShape:
        return tuple(input_shape)

    def integers(self, reader: Reader, inputs: list[NodeOrInput], shape: Shape, name: str = "") -> Node:
        return reader.quantize(name or self.name, self, inputs[0])

    def get_config(self) -> Config:
        return {**super().get_config(), "count": self.count, "exact": self.exact}


@keras.saving.register_keras_serializable(package="hwq")
class QEmbedding(KernelLayer):
    """Embedding with a bitwidth for every weight: y = kernel[code]. Codes beyond the last one have its row.

    Shapes: (rows, *shape) codes in, (rows, *shape, output_dim) out.

    Args:
        input_dim: how many codes there are.
        output_dim: weights of each.
        kwargs: those of `KernelLayer`.

    Raises:
        UnsupportedLayerError: at the call, more codes than a table has entries.

    Example:
        >>> import numpy as np, hwq
        >>> hwq.layers.QEmbedding(10, 3)(np.zeros((2, 5), "float32")).shape
        TensorShape([2, 5, 3])
    """

    priced_as: ClassVar = {"ebops": ("net_table_bits", 1.0)}

    def __init__(self, input_dim: int, output_dim: int, **options: Unpack[KernelOptions]) -> None:
        super().__init__(use_bias=False, **options)
        self.count, self.output_dim = int(input_dim), int(output_dim)
        self.quantizer = QCodes(self.count, exact=self.exact, name="codes", dtype=self.dtype_policy)  # type: ignore[assignment]  # in its place

    def shapes(self, input_shape: BatchShape) -> tuple[Shape, Shape]:
        return (self.count, self.output_dim), ()

    def linear(self, x: Tensor, kernel: Tensor) -> Tensor:
        codes = ops.cast(ops.minimum(x, float(self.count - 1)), "int32")
        places = ops.expand_dims(codes, -1) * self.output_dim + np.arange(self.output_dim, dtype=np.int32)
        return ops.take(ops.reshape(kernel, (-1,)), places)  # flat, so that the gradient is a tensor like every other

    def bits_weights(self) -> list[Variable]:
        return [self.kernel_f]

    def frozen_config(self) -> Config:
        return without_bias(super().frozen_config())

    def multiplications(self, x_bits: Tensor, kernel_bits: Tensor) -> Tensor:
        """6-input LUTs of the tables: each reads one code."""
        luts = float(2 ** max(codes_bits(self.count) - LUT_INPUTS, 0) * math.prod(self.quantizer.row_shape))
        return ops.sum(ops.max(kernel_bits, axis=0)) * luts

    def compute_output_shape(self, input_shape: BatchShape) -> BatchShape:
        return (*input_shape, self.output_dim)

    def integers(self, reader: Reader, inputs: list[NodeOrInput], shape: Shape, name: str = "") -> Node:
        """Each code is read by a table for each weight of its row; codes beyond the last one have its row."""
        name = name or self.name
        x = reader.quantize(name, self.quantizer, inputs[0])
        size = shape[-1]
        places = tuple(int(n) for n in np.repeat(np.arange(x.type.size), size))
        wired = reader.add(f"{name}_codes", "take", [x], name, index=places, shape=shape)
        codes = np.minimum(np.arange(1 << codes_bits(self.count)), self.count - 1)
        kernel = np.asarray(self.kernel, np.float64)
        f = np.broadcast_to(np.asarray(self.kernel_f), kernel.shape)
        index = tuple(int(n) for n in np.tile(np.arange(size), x.type.size))
        return reader.add(name, "table", [wired], name, values=constant(kernel[codes].T, f[codes].T), index=index)

    def get_config(self) -> Config:
        return {**without_bias(super().get_config()), "input_dim": self.count, "output_dim": self.output_dim}
