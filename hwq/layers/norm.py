"""QBatchNormalization: a normalisation that no kernel takes in, as one multiplication and one addition a channel."""

from __future__ import annotations

from typing import Any

from hwq.backend import keras, ops
from hwq.errors import UnsupportedLayerError
from hwq.layers.kernel import KernelLayer


@keras.saving.register_keras_serializable(package="hwq")
class QBatchNormalization(KernelLayer):
    """Batch normalisation over the last axis: y = x kernel + bias, kernel = gamma / sqrt(variance + epsilon) for each channel, quantised.

    Where it follows a Dense or a convolution alone, fold it into that one instead (`batch_norm=True`), which costs nothing.

    Args:
        axis: -1, the last one.
        momentum, epsilon, center, scale: as in Keras.
        kwargs: those of `KernelLayer` and `Quantize`.

    Raises:
        UnsupportedLayerError: another axis.
    """

    def __init__(
        self, axis: int = -1, momentum: float = 0.99, epsilon: float = 1e-3, center: bool = True, scale: bool = True, **kwargs: Any
    ) -> None:
        kwargs = {"granularity": "channel", "batch_norm": True, "use_bias": False, **kwargs}
        super().__init__(momentum=momentum, epsilon=epsilon, center=center, scale=scale, **kwargs)
        self.axis = axis

    def shapes(self, input_shape: tuple[Any, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        if self.axis not in (-1, len(input_shape) - 1):
            raise UnsupportedLayerError(
                f"layer {self.name!r} normalises axis {self.axis}", hint="normalise the last axis, the channels"
            )
        return (int(input_shape[-1]),), (int(input_shape[-1]),)

    def build(self, input_shape: tuple[Any, ...]) -> None:
        super().build(input_shape)
        if self.batch_norm:
            self.kernel.trainable = False  # one, unless frozen
            self.kernel.assign(ops.ones(self.kernel.shape))

    def linear(self, x: Any, kernel: Any) -> Any:
        return x * kernel

    def kernels(self) -> list[Any]:
        return []

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
