"""What a layer of a float model is: the class of Keras that says what it computes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwq.backend import keras
from hwq.conversion.parts import Scaled
from hwq.layers.rearrange import Rearrange

if TYPE_CHECKING:
    from keras import Operation

KERNELS = (
    "Dense",
    "EinsumDense",
    *(f"{kind}{rank}D" for kind in ("Conv", "DepthwiseConv", "SeparableConv") for rank in (1, 2)),
    "Conv1DTranspose",
    "Conv2DTranspose",
)
OURS = (Rearrange, Scaled)


def kind_of(layer: Operation) -> str:
    """The name of Keras' class that says what a layer computes, or of the operation.

    That is the class that a class of the user's own is derived from, where it has no `call` of its own; "" where it has one.
    """
    if isinstance(layer, OURS) or not isinstance(layer, keras.layers.Layer):
        return type(layer).__name__
    for parent in type(layer).__mro__:
        if parent.__module__.startswith("keras.src.layers."):
            return parent.__name__ if type(layer).call is parent.call else ""  # type: ignore[attr-defined]  # a method of each layer
    return ""
