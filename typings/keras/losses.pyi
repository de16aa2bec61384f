from collections.abc import Callable

from hwq.tensors import Tensor

class Loss:
    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor: ...

class SparseCategoricalCrossentropy(Loss):
    def __init__(self, *, from_logits: bool = ...) -> None: ...

def get(identifier: str) -> Loss | Callable[..., Tensor]: ...
