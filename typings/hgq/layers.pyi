from typing import Protocol

from keras import layers

from hwq.tensors import Shape, Tensor

class _Widths(Protocol):
    kif: tuple[Tensor, Tensor, Tensor]

class Quantizer(layers.Layer):
    quantizer: _Widths
    def bits_(self, shape: Shape) -> Tensor: ...

class QDense(layers.Layer):
    iq: Quantizer
    qkernel: Tensor
    def __init__(self, units: int, *, activation: str | None = ...) -> None: ...
