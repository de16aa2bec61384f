"""The float network of a run as it is trained: in float32, and by operations that XLA compiles deterministically."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from hwq.backend import keras
from hwq.conversion.flatten import flat
from hwq.conversion.floats import Given
from hwq.conversion.norms import rearranged
from hwq.errors import ModelError
from hwq.layers.conv import per_axis, window_pads
from hwq.layers.pool import greatest
from hwq.tensors import Tensor

if TYPE_CHECKING:
    from keras import KerasTensor, Operation

Pooling = keras.layers.MaxPooling1D | keras.layers.MaxPooling2D


class SlicedMaxPooling(keras.layers.Layer):
    """The max pooling of a layer, by slices."""

    def __init__(self, layer: Pooling) -> None:
        super().__init__(name=layer.name)
        rank = int(type(layer).__name__[-2])
        self.size, self.steps, self.padding = per_axis(layer.pool_size, rank), per_axis(layer.strides, rank), layer.padding

    def call(self, x: Tensor) -> Tensor:
        pads = window_pads(tuple(x.shape[1:-1]), self.size, self.steps, (1,) * len(self.size), self.padding)
        return greatest(x, self.size, self.steps, pads)


def compilable(model: keras.Model) -> keras.Model:
    """The same network with the same variables, for compiled training.

    Raises:
        ModelError: a layer that does not compute in float32.
    """
    for layer in model.layers:
        if layer.compute_dtype != "float32":
            raise ModelError(
                f"layer {layer.name!r} computes in {layer.compute_dtype}; hwq train computes in float32",
                hint='keras.config.set_dtype_policy("float32") before the model is made; hwq.quantize takes it as it is',
            )
    if not any(_pools(layer) or _resizes(layer) for layer in model._flatten_layers()):
        return model
    made = flat(model, lambda layer: SlicedMaxPooling(layer) if _pools(layer) else layer, _placed)
    return keras.Model(made.inputs[0], made.outputs[0], name=model.name)


def _resizes(layer: Operation) -> bool:
    return type(layer) is keras.layers.Resizing and layer.interpolation == "nearest"


def _placed(layer: Operation, args: tuple[Given, ...], kwargs: dict[str, Given]) -> list[KerasTensor] | None:
    """A resizing that only repeats values, by their places; every other layer as it is."""
    return [rearranged(layer, args[0])] if _resizes(layer) else None


def _pools(layer: Operation) -> TypeGuard[Pooling]:
    return type(layer) in (keras.layers.MaxPooling1D, keras.layers.MaxPooling2D)
