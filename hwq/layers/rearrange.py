"""A layer that puts elements of its inputs into other places: slices, repetitions, and the like. Nothing is computed or quantised here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Unpack, cast

import numpy as np

from hwq.backend import keras, ops
from hwq.errors import UsageError
from hwq.layers.options import LayerOptions
from hwq.tensors import Config, Tensor


@keras.saving.register_keras_serializable(package="hwq")
class Rearrange(keras.layers.Layer):
    """Elements of the inputs, each row by itself, in other places.

    Shapes: (rows, *shape) of each input in, (rows, *target_shape) out.

    Args:
        index: for each element of the result, in row-major order, its place among all elements of the inputs, one input after the
            other; -1 for zero.
        target_shape: of the result, without the rows.

    Raises:
        UsageError: an index for more or fewer elements than the result has.

    Example:
        >>> import numpy as np, hwq
        >>> turned = hwq.layers.Rearrange([2, 1, 0, -1], (4,))
        >>> np.array(turned(np.array([[1.0, 2.0, 3.0]], "float32")))
        array([[3., 2., 1., 0.]], dtype=float32)
    """

    def __init__(self, index: Sequence[int], target_shape: Sequence[int], **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.index = tuple(int(place) for place in index)
        self.target_shape = tuple(int(n) for n in target_shape)
        if len(self.index) != math.prod(self.target_shape):
            raise UsageError(
                f"layer {self.name!r} has {len(self.index)} places for {math.prod(self.target_shape)} elements of {self.target_shape}",
                hint="an index for each element of the result, -1 for zero",
            )

    def call(self, inputs: Tensor | Sequence[Tensor]) -> Tensor:
        """Takes one tensor (rows, ...), or several."""
        parts = cast("list[Tensor]", list(inputs) if isinstance(inputs, (list, tuple)) else [inputs])
        flat = [ops.reshape(x, (-1, math.prod(x.shape[1:]))) for x in parts]
        index = np.array(self.index)
        if (index < 0).any():
            flat.append(ops.zeros_like(flat[0][:, :1]))
            index = np.where(index < 0, sum(x.shape[1] for x in flat) - 1, index)
        whole = flat[0] if len(flat) == 1 else ops.concatenate(flat, axis=1)
        return ops.reshape(ops.take(whole, index, axis=1), (-1, *self.target_shape))

    def get_config(self) -> Config:
        """What the layer is made from again."""
        return {**super().get_config(), "index": list(self.index), "target_shape": list(self.target_shape)}
