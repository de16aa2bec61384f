"""QBatchNormalization: a normalisation that no kernel takes in, as one multiplication and one addition a channel."""

from __future__ import annotations

from typing import Unpack

from hwq.backend import keras, ops
from hwq.errors import UnsupportedLayerError
from hwq.frontend.keras.reader import NodeOrInput, Reader
from hwq.ir import Node
from hwq.layers.affine import affine_integers
from hwq.layers.kernel import KernelLayer
from hwq.layers.options import NormalizationOptions
from hwq.layers.part import known_shape
from hwq.tensors import BatchShape, Config, Shape, Tensor, Variable


@keras.saving.register_keras_serializable(package="hwq")
class QBatchNormalization(KernelLayer):
    """Batch normalisation over the last axis: y = x kernel + bias, kernel = gamma / sqrt(variance + epsilon) for each channel, quantised.

    Where it follows a Dense or a convolution alone, fold it into that one instead (`batch_norm=True`), which costs nothing.

    Shapes: (rows, ..., channels) in and out.

    Args:
        axis: -1, the last one.
        momentum, epsilon, center, scale: as in Keras.
        kwargs: those of `KernelLayer` and `Quantize`.

    Raises:
        UnsupportedLayerError: another axis.

    Example:
        >>> import numpy as np, hwq
        >>> hwq.layers.QBatchNormalization()(np.zeros((2, 4), "float32")).shape
        TensorShape([2, 4])
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        **options: Unpack[NormalizationOptions],
    ) -> None:
        options.setdefault("granularity", "channel")
        options.setdefault("batch_norm", True)
        options.setdefault("use_bias", False)
        super().__init__(momentum=momentum, epsilon=epsilon, center=center, scale=scale, **options)
        self.axis = axis

    def shapes(self, input_shape: BatchShape) -> tuple[Shape, Shape]:
        if self.axis not in (-1, len(input_shape) - 1):
            raise UnsupportedLayerError(
                f"layer {self.name!r} normalises axis {self.axis}", hint="normalise the last axis, the channels"
            )
        channels = known_shape(self, input_shape)[-1:]
        return channels, channels

    def build(self, input_shape: BatchShape) -> None:
        super().build(input_shape)
        if self.batch_norm:
            self.kernel.trainable = False  # one, unless frozen
            self.kernel.assign(ops.ones(self.kernel.shape))

    def linear(self, x: Tensor, kernel: Tensor) -> Tensor:
        return x * kernel

    def kernels(self) -> list[Variable]:
        return []

    def compute_output_shape(self, input_shape: BatchShape) -> BatchShape:
        return tuple(input_shape)

    def integers(self, reader: Reader, inputs: list[NodeOrInput], shape: Shape, name: str = "") -> Node:
        name = name or self.name
        return affine_integers(self, reader, reader.quantize(name, self.quantizer, inputs[0]), name)

    def get_config(self) -> Config:
        return {**super().get_config(), "axis": self.axis}
