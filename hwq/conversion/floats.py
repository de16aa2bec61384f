"""What the conversion reads of Keras' own layers and operations, after it has looked at the name of the class.

No class has all of these attributes, and Keras has no base class for any of them; so this one is for the type checker alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hwq.backend import keras
from hwq.tensors import Shape, Tensor, Variable

if TYPE_CHECKING:

    class FloatOperation(keras.Operation):
        """A layer or an operation of the float model."""

        axis: int
        axes: Shape | None
        negative_slope: float

    class FloatLayer(FloatOperation, keras.layers.Layer):
        """A layer of the float model."""

        activation: Callable[[Tensor], Tensor]
        beta: Variable
        bias: Variable | None
        bias_axes: str | None
        center: bool
        data_format: str | None
        depthwise_kernel: Variable
        equation: str
        gamma: Variable
        interpolation: str
        kernel: Variable
        max_value: float | None
        moving_mean: Variable
        moving_variance: Variable
        partial_output_shape: Shape
        pointwise_kernel: Variable
        scale: bool
        threshold: float
