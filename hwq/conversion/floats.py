"""What the conversion reads of Keras' own layers and operations, after it has looked at the name of the class.

No class has all of these attributes, and Keras has no base class for any of them; so this one is for the type checker alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from hwq.backend import keras
from hwq.tensors import Shape, Tensor, Variable

# of calls without numbers, for `hwq.conversion.expand` and what it takes layers apart with: all of Keras' attributes and operators
Symbol: TypeAlias = Any  # a KerasTensor
Whole: TypeAlias = Symbol  # a layer or an operation that is known by the name of its class
Given: TypeAlias = Symbol  # an argument of a call: tensors in any structure, constants, a mask, nothing
Formula: TypeAlias = Callable[..., Given]  # what takes the place of an operation

if TYPE_CHECKING:

    class FloatOperation(keras.Operation):
        """A layer or an operation of the float model."""

        axis: int
        axes: Shape | None
        keepdims: bool
        negative_slope: float
        subscripts: str

    class FloatLayer(FloatOperation, keras.layers.Layer):
        """A layer of the float model."""

        activation: Callable[[Tensor], Tensor]
        alpha: Variable
        beta: Variable
        bias: Variable | None
        bias_axes: str | None
        center: bool
        data_format: str | None
        depthwise_kernel: Variable
        embeddings: Variable
        equation: str
        gamma: Variable
        input_dim: int
        interpolation: str
        kernel: Variable
        mask_value: float
        max_value: float | None
        moving_mean: Variable
        moving_variance: Variable
        partial_output_shape: Shape
        pointwise_kernel: Variable
        scale: bool
        shared_axes: Shape | None
        threshold: float
