"""QDense and QEinsumDense."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import numpy as np

from hwq.backend import keras, ops
from hwq.errors import UnsupportedLayerError
from hwq.frontend.keras.constants import constant, whole
from hwq.frontend.keras.reader import NodeOrInput, Reader
from hwq.ir import Node
from hwq.layers.kernel import KernelLayer
from hwq.layers.options import EinsumOptions, KernelOptions
from hwq.layers.part import known_shape
from hwq.tensors import BatchShape, Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="hwq")
class QDense(KernelLayer):
    """Dense over the last axis with a bitwidth for every weight.

    Shapes: (rows, ..., n) in, (rows, ..., units) out.

    Args:
        units: outputs.
        kwargs: those of `KernelLayer` and `Quantize`.

    Raises:
        UnsupportedLayerError: an activation beside "linear" and "relu"; at the call, an axis whose length is not known.

    Example:
        >>> import keras, numpy as np, hwq
        >>> model = keras.Sequential([keras.Input((4,)), hwq.layers.QDense(2)])
        >>> model(np.zeros((3, 4), "float32")).shape
        TensorShape([3, 2])
    """

    def __init__(self, units: int, activation: object = None, use_bias: bool = True, **options: Unpack[KernelOptions]) -> None:
        super().__init__(activation=activation, use_bias=use_bias, **options)
        self.units = units

    def shapes(self, input_shape: BatchShape) -> tuple[Shape, Shape]:
        return (known_shape(self, input_shape)[-1], self.units), (self.units,)

    is_matmul = True

    def linear(self, x: Tensor, kernel: Tensor) -> Tensor:
        return ops.matmul(x, kernel)

    def multiplications(self, x_bits: Tensor, kernel_bits: Tensor) -> Tensor:
        rows = ops.sum(ops.reshape(x_bits, (-1, x_bits.shape[-1])), axis=0)  # one vector, instead of every position
        return ops.sum(ops.matmul(ops.expand_dims(rows, 0), kernel_bits))

    def integers(self, reader: Reader, inputs: list[NodeOrInput], shape: Shape, name: str = "") -> Node:
        name = name or self.name
        x = reader.quantize(name, self.quantizer, inputs[0])
        kernel, bias = constant(self.kernel, self.kernel_f), self.integer_bias(shape[-1])
        return self.integer_activation(reader, reader.add(name, "dense", [x], name, kernel=kernel, bias=bias), name)

    def get_config(self) -> Config:
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="hwq")
class QEinsumDense(KernelLayer):
    """EinsumDense with a bitwidth for every weight.

    Shapes: (rows, *input shape) in, (rows, *output_shape) out.

    Args:
        equation: as in Keras, batch axis first: "abc,cd->abd" or "...x,xy->...y".
        output_shape: as in Keras, without the batch axis.
        bias_axes: as in Keras; None: no bias.
        kwargs: those of `KernelLayer` and `Quantize`.

    Raises:
        UnsupportedLayerError: at the call, for an equation whose batch axis is not the first of both sides.

    Example:
        >>> import numpy as np, hwq
        >>> hwq.layers.QEinsumDense("abc,cd->abd", (3, 5))(np.zeros((2, 3, 4), "float32")).shape
        TensorShape([2, 3, 5])
    """

    def __init__(
        self,
        equation: str,
        output_shape: int | Sequence[int],
        activation: object = None,
        bias_axes: str | None = None,
        **options: Unpack[EinsumOptions],
    ) -> None:
        options.setdefault("use_bias", bias_axes is not None)
        super().__init__(activation=activation, **options)
        self.equation, self.bias_axes = equation.replace(" ", ""), bias_axes
        self.output_dims = (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)

    def shapes(self, input_shape: BatchShape) -> tuple[Shape, Shape]:
        self.row_equation = row_equation(self.name, self.equation, len(input_shape))
        twin = keras.layers.EinsumDense(self.equation, self.output_dims, bias_axes=self.bias_axes)
        twin.build(input_shape)  # Keras itself finds the shapes
        source, kernel, result = _sides(self.row_equation)
        # batch normalisation scales the last axis; a kernel without it cannot take the scale in
        axes: Shape = (kernel.index(result[-1]),) if result[-1:] in kernel and result else ()
        self.channel_axes = axes
        if self.batch_norm and (not self.channel_axes or result[-1] in source):
            raise UnsupportedLayerError(
                f"layer {self.name!r} ({self.equation}) has no output axis of its kernel alone at the end",
                hint="put a QBatchNormalization behind it instead of batch_norm=True",
            )
        norm = (int(twin.kernel.shape[axes[0]]),) if self.batch_norm else ()  # a folded normalisation needs a bias
        return tuple(twin.kernel.shape), tuple(twin.bias.shape) if twin.bias is not None else norm

    def linear(self, x: Tensor, kernel: Tensor) -> Tensor:
        return ops.einsum(self.equation, x, kernel)

    def multiplications(self, x_bits: Tensor, kernel_bits: Tensor) -> Tensor:
        return ops.sum(ops.einsum(self.row_equation, x_bits, kernel_bits))

    def frozen_config(self) -> Config:
        config = super().frozen_config()
        if self.has_bias and self.bias_axes is None:  # the bias of a folded normalisation is that of the last axis
            config["bias_axes"] = _sides(self.equation)[2][-1]
        return config

    def integers(self, reader: Reader, inputs: list[NodeOrInput], shape: Shape, name: str = "") -> Node:
        name = name or self.name
        x = reader.quantize(name, self.quantizer, inputs[0])
        kernel, bias = constant(self.kernel, self.kernel_f), whole(np.zeros(shape))
        if self.has_bias:
            f = np.broadcast_to(np.asarray(self.bias_f), self.bias.shape)
            bias = constant(np.broadcast_to(np.asarray(self.bias), shape), np.broadcast_to(f, shape))
        node = reader.add(name, "einsum", [x], name, equation=self.row_equation, kernel=kernel, bias=bias)
        return self.integer_activation(reader, node, name)

    def get_config(self) -> Config:
        own = {"equation": self.equation, "output_shape": self.output_dims, "bias_axes": self.bias_axes}
        return {**super().get_config(), **own}


def _sides(equation: str) -> tuple[str, str, str]:
    operands, result = equation.split("->")
    source, kernel = operands.split(",")
    return source, kernel, result


def row_equation(layer: str, equation: str, rank: int) -> str:
    """The equation of one row, without its batch letter and dots, for inputs of `rank` axes (with the batch axis).

    Raises:
        UnsupportedLayerError: the batch axis is not the first of input and output, or the kernel has it.
    """
    source, kernel, result = _sides(equation)
    if "..." in source:
        free = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in equation]
        dots = "".join(free[: rank - len(source.replace("...", ""))])
        source, result = source.replace("...", dots), result.replace("...", dots)
    if source[:1] != result[:1] or source[0] in kernel or source.count(source[0]) > 1:
        raise UnsupportedLayerError(
            f"layer {layer!r} ({equation}) does not keep the batch axis first", hint='write it as "abc,cd->abd", a the batch'
        )
    return f"{source[1:]},{kernel}->{result[1:]}"
