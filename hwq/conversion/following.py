"""Following the code of a layer or a model of one's own on tensors without numbers: what its call is made of."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from hwq.backend import keras, ops
from hwq.conversion.floats import Given

Operator = Callable[[Given, Given], Given]
_OPERATORS: dict[str, Operator] = {
    "__add__": ops.add,
    "__sub__": ops.subtract,
    "__mul__": ops.multiply,
    "__truediv__": ops.divide,
    "__matmul__": ops.matmul,
}
_lock = threading.RLock()


@contextmanager
def weights_first() -> Iterator[None]:
    """Inside, `weight * x` and `array * x` are operations as `x * weight` is.

    Keras' variables and NumPy's arrays try to compute with a tensor that has no numbers, and fail, where they stand first.
    """
    with _lock, ExitStack() as stack:
        for name, operation in _OPERATORS.items():
            stack.enter_context(_replaced(keras.Variable, name, _either(getattr(keras.Variable, name), operation)))
        # NumPy's way to be told that the other operand knows what to do
        stack.enter_context(_replaced(keras.KerasTensor, "__array_ufunc__", None))
        yield


def _either(own: Operator, operation: Operator) -> Operator:
    def operator(self: Given, other: Given) -> Given:
        return operation(self, other) if isinstance(other, keras.KerasTensor) else own(self, other)

    return operator


@contextmanager
def _replaced(owner: type, name: str, value: object) -> Iterator[None]:
    there, before = name in vars(owner), getattr(owner, name, None)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if there:
            setattr(owner, name, before)
        else:
            delattr(owner, name)
