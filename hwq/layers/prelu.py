"""QPReLU: a slope below zero that is a weight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import numpy as np

from hwq.backend import keras, ops
from hwq.frontend.keras.constants import constant
from hwq.frontend.keras.reader import NodeOrInput, Reader
from hwq.ir import Node
from hwq.layers.kernel import KernelLayer
from hwq.layers.options import KernelOptions
from hwq.layers.part import known_shape
from hwq.tensors import BatchShape, Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="hwq")
class QPReLU(KernelLayer):
    """y = x where x is positive, x alpha elsewhere; alpha is a quantised weight with a bitwidth for every element.

    Shapes: (rows, *shape) in and out.

    Args:
        shared_axes: axes along which one alpha serves all elements, as in Keras: 1 is the first axis of a row.
        kwargs: those of `KernelLayer` and `Quantize`; alpha is the kernel.

    Raises:
        UnsupportedLayerError: at the call, an axis whose length is not known.

    Example:
        >>> import keras, numpy as np, hwq
        >>> model = keras.Sequential([keras.Input((2,)), hwq.layers.QPReLU(kernel_initializer="ones", bits=8)])
        >>> np.array(model(np.array([[-0.5, 0.25]], "float32")))
        array([[-0.5 ,  0.25]], dtype=float32)
    """

    def __init__(self, shared_axes: Sequence[int] | None = None, **options: Unpack[KernelOptions]) -> None:
        options.setdefault("kernel_initializer", "zeros")
        super().__init__(use_bias=False, **options)
        self.shared_axes = None if shared_axes is None else tuple(int(axis) for axis in shared_axes)

    def shapes(self, input_shape: BatchShape) -> tuple[Shape, Shape]:
        row = known_shape(self, input_shape)
        return tuple(1 if axis in (self.shared_axes or ()) else n for axis, n in enumerate(row, 1)), ()

    def linear(self, x: Tensor, kernel: Tensor) -> Tensor:
        return ops.relu(x) - kernel * ops.relu(-x)

    def multiplications(self, x_bits: Tensor, kernel_bits: Tensor) -> Tensor:
        return ops.sum(x_bits * kernel_bits)

    def is_dead(self) -> bool:
        return False  # with slopes of zero it is a ReLU

    def compute_output_shape(self, input_shape: BatchShape) -> BatchShape:
        return tuple(input_shape)

    def frozen_config(self) -> Config:
        return without_bias(super().frozen_config())

    def integers(self, reader: Reader, inputs: list[NodeOrInput], shape: Shape, name: str = "") -> Node:
        """relu(x) - alpha relu(-x)."""
        name = name or self.name
        x = reader.quantize(name, self.quantizer, inputs[0])
        above = reader.add(f"{name}_above", "relu", [x], name)
        below = reader.add(f"{name}_below", "subtract", [above, x], name)
        f = np.broadcast_to(np.broadcast_to(np.asarray(self.kernel_f), tuple(self.kernel.shape)), shape)
        slope = constant(np.broadcast_to(np.asarray(self.kernel), shape), f)
        scaled = reader.add(f"{name}_scale", "scale", [below], name, factor=slope)
        return reader.add(name, "subtract", [above, scaled], name)

    def get_config(self) -> Config:
        return {**without_bias(super().get_config()), "shared_axes": self.shared_axes}


def without_bias(config: Config) -> Config:
    """The configuration of a layer that has neither bias nor activation to choose."""
    return {name: value for name, value in config.items() if name not in ("use_bias", "activation")}
