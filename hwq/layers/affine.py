"""QAffine: a constant factor and a constant offset, as `x * c + d` of the functional API has them."""

from __future__ import annotations

from typing import Unpack

import numpy as np
import numpy.typing as npt

from hwq.backend import keras, ops
from hwq.errors import UnsupportedLayerError
from hwq.frontend.keras.constants import constant
from hwq.frontend.keras.reader import NodeOrInput, Reader
from hwq.ir import Constant, Node
from hwq.layers.kernel import KernelLayer
from hwq.layers.options import ActivatedOptions
from hwq.layers.part import known_shape
from hwq.tensors import BatchShape, Config, Floats, Shape, Tensor, Variable


@keras.saving.register_keras_serializable(package="hwq")
class QAffine(KernelLayer):
    """y = x factor + offset, quantised, with bitwidths that are learned. Factors that are powers of two are exact.

    Shapes: (rows, *shape) in and out.

    Args:
        factor, offset: numbers, or arrays that broadcast to a row; offset None: nothing is added.
        kwargs: those of `KernelLayer` and `Quantize`; train_weights=True: factor and offset are learned, too, from there.

    Raises:
        UnsupportedLayerError: at the call, an array of another shape.

    Example:
        >>> import numpy as np, hwq
        >>> hwq.layers.QAffine(0.5, 1.0)(np.zeros((2, 4), "float32")).shape
        TensorShape([2, 4])
    """

    def __init__(
        self, factor: npt.ArrayLike = 1.0, offset: npt.ArrayLike | None = None, **options: Unpack[ActivatedOptions]
    ) -> None:
        options["use_bias"] = offset is not None
        options.setdefault("train_weights", False)
        super().__init__(**options)
        self.quantizer.spread_bits = 12  # elements of unlike ranges, as a normalisation reads them, have steps of their own
        self.factor = np.asarray(factor, np.float64)
        self.offset = None if offset is None else np.asarray(offset, np.float64)
        magnitude = np.abs(self.factor[self.factor != 0])
        self.shifts = not self.train_weights and bool(np.all(np.frexp(magnitude)[0] == 0.5))

    def shapes(self, input_shape: BatchShape) -> tuple[Shape, Shape]:
        row = known_shape(self, input_shape)
        return self._within(self.factor, row).shape, self._within(self.offset, row).shape

    def build(self, input_shape: BatchShape) -> None:
        super().build(input_shape)
        row = known_shape(self, input_shape)
        if not self.exact:
            self.kernel.assign(self._within(self.factor, row))
            if self.offset is not None:
                self.bias.assign(self._within(self.offset, row))

    def _within(self, value: Floats | None, row: Shape) -> Floats:
        """The constant with as many axes as a row."""
        value = np.zeros(()) if value is None else value
        if value.ndim == len(row) + 1 and value.shape[0] == 1:
            value = value[0]
        value = value.reshape((1,) * (len(row) - value.ndim) + value.shape)
        if value.ndim != len(row) or any(n not in (1, m) for n, m in zip(value.shape, row, strict=True)):
            raise UnsupportedLayerError(
                f"layer {self.name!r} joins rows of shape {row} with a constant of shape {value.shape}",
                hint="give a number, or a constant of the shape of a row",
            )
        return value

    def linear(self, x: Tensor, kernel: Tensor) -> Tensor:
        return x * kernel

    def initialise_weights(self) -> None:
        super().initialise_weights()
        for value, f in self._constants():
            size = np.abs(ops.convert_to_numpy(value))
            if tuple(f.shape) == size.shape:
                top = np.where(size > 0, size, size.max(initial=0) or 1.0)
                f.assign(self.bits - np.ceil(np.log2(top)))
        if self.shifts and np.any(self.factor):
            exponents = np.frexp(np.abs(self.factor[self.factor != 0]))[1] - 1
            self.kernel_f.assign(np.full(self.kernel_f.shape, -float(exponents.min())))

    def bits_weights(self) -> list[Variable]:
        # there is nothing to learn in a shift
        return [v for v in super().bits_weights() if not (self.shifts and v is self.kernel_f)]

    def compute_output_shape(self, input_shape: BatchShape) -> BatchShape:
        return tuple(input_shape)

    def integers(self, reader: Reader, inputs: list[NodeOrInput], shape: Shape, name: str = "") -> Node:
        name = name or self.name
        return affine_integers(self, reader, reader.quantize(name, self.quantizer, inputs[0]), name)

    def get_config(self) -> Config:
        offset = None if self.offset is None else self.offset.tolist()
        return {**super().get_config(), "factor": self.factor.tolist(), "offset": offset}


def affine_integers(layer: KernelLayer, reader: Reader, x: Node, name: str) -> Node:
    """The nodes of x times the kernel of `layer`, plus its bias, element by element."""

    def spread_out(value: Variable, f: Variable) -> Constant:
        own = np.broadcast_to(np.asarray(f), tuple(value.shape))
        return constant(np.broadcast_to(np.asarray(value), x.shape), np.broadcast_to(own, x.shape))

    node = reader.add(f"{name}_scale", "scale", [x], name, factor=spread_out(layer.kernel, layer.kernel_f))
    if layer.has_bias:
        node = reader.add(name, "bias", [node], name, bias=spread_out(layer.bias, layer.bias_f))
    return layer.integer_activation(reader, node, name)
