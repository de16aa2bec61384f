"""What layers made of others are taken apart into, where Keras has no layer for it: a scale, functions with a value everywhere."""

from __future__ import annotations

import numpy as np

from hwq.backend import keras, ops
from hwq.conversion.floats import Given
from hwq.layers.activation import has_pole
from hwq.tensors import BatchShape, Config, Floats, Operand, Tensor

NEAR_ZERO = 2.0**-16  # where a reciprocal or a logarithm has its last value


class Scaled(keras.layers.Layer):
    """x factor + offset: constants, or weights of the layer that this is a part of. It lives while a model is converted.

    Args:
        factor, offset: arrays or variables that broadcast to a row; None: one, zero.
    """

    def __init__(self, factor: Operand | None, offset: Operand | None = None, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.factor, self.offset = factor, offset
        self.built = True

    def call(self, x: Tensor) -> Tensor:
        y = x if self.factor is None else x * ops.cast(self.factor, x.dtype)
        return y if self.offset is None else y + ops.cast(self.offset, y.dtype)

    def compute_output_shape(self, input_shape: BatchShape) -> BatchShape:
        return tuple(input_shape)

    def constants(self) -> tuple[Floats, Floats | None]:
        """(factor, offset) as they are now."""
        return values_of(1.0 if self.factor is None else self.factor), None if self.offset is None else values_of(self.offset)

    def trained(self) -> bool:
        """Whether one of them is a weight that is trained."""
        return any(is_trained(value) for value in (self.factor, self.offset))


def values_of(value: Operand) -> Floats:
    """Numbers, an array or a variable as float64."""
    return np.asarray(value if isinstance(value, (int, float)) else ops.convert_to_numpy(value), np.float64)


def is_trained(value: object) -> bool:
    """Whether it is a variable that is trained."""
    return isinstance(value, keras.Variable) and bool(value.trainable)


class _Function:
    """A function of one number with arguments of its own; Keras saves it by these."""

    def get_config(self) -> Config:
        """What the function is made from again."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict[str, Given]) -> _Function:
        """The function that `get_config` tells of."""
        return cls(**config)


@keras.saving.register_keras_serializable(package="hwq")
class ReciprocalRoot(_Function):
    """1 / sqrt(x + epsilon), as normalisations have it; below zero the value at zero.

    Args:
        bounded: x times the result is at most 1 where x is the length that the result is of: a code of the table stands for the
            greatest number that is rounded to it.
    """

    pole = "reciprocal"

    def __init__(self, epsilon: float = 0.0, bounded: bool = False) -> None:
        self.epsilon, self.bounded = max(float(epsilon), 2.0**-24), bounded

    def __call__(self, x: Tensor) -> Tensor:
        return 1.0 / ops.sqrt(ops.maximum(x, 0.0) + self.epsilon)


@keras.saving.register_keras_serializable(package="hwq")
class Slope(_Function):
    """Leaky and exponential functions: what Keras' own has below zero is `kind` of x times `alpha`."""

    def __init__(self, kind: str = "leaky", alpha: float = 0.0) -> None:
        self.kind, self.alpha = kind, alpha

    def __call__(self, x: Tensor) -> Tensor:
        below = ops.minimum(x, 0.0)
        return ops.maximum(x, 0.0) + self.alpha * (below if self.kind == "leaky" else ops.expm1(below))


@keras.saving.register_keras_serializable(package="hwq")
class Compared(_Function):
    """1 where x compared with zero is true, else 0."""

    def __init__(self, how: str = "Greater") -> None:
        self.how = how

    def __call__(self, x: Tensor) -> Tensor:
        function = {
            "Greater": ops.greater,
            "GreaterEqual": ops.greater_equal,
            "Less": ops.less,
            "LessEqual": ops.less_equal,
            "Equal": ops.equal,
            "NotEqual": ops.not_equal,
        }[self.how]
        return ops.cast(function(x, ops.zeros_like(x)), x.dtype)


@has_pole("reciprocal")
@keras.saving.register_keras_serializable(package="hwq")
def inverse(x: Tensor) -> Tensor:
    """1 / x; between -2^-16 and 2^-16 the value at the nearer end, so that every code has one."""
    away = ops.where(x < 0, ops.minimum(x, -NEAR_ZERO), ops.maximum(x, NEAR_ZERO))
    return 1.0 / away


@has_pole("logarithm")
@keras.saving.register_keras_serializable(package="hwq")
def logarithm(x: Tensor) -> Tensor:
    """log x; below 2^-16 its value there."""
    return ops.log(ops.maximum(x, NEAR_ZERO))


@keras.saving.register_keras_serializable(package="hwq")
def root(x: Tensor) -> Tensor:
    """sqrt(x); below 2^-24 its value there, where it has a slope."""
    return ops.sqrt(ops.maximum(x, 2.0**-24))
