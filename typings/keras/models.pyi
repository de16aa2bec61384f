from collections.abc import Callable
from os import PathLike
from typing import Any, Protocol, Self

from keras.callbacks import Callback, History
from keras.layers import KerasTensor, Layer

from hwq.tensors import Array, Config, Operand, Singles, Tensor, Variable

class Optimizer(Protocol):
    learning_rate: float
    def build(self, variables: list[Variable]) -> None: ...

class Model(Layer):
    inputs: list[KerasTensor]
    outputs: list[KerasTensor]
    optimizer: Optimizer | None
    def __init__(self, inputs: Any = ..., outputs: Any = ..., **kwargs: Any) -> None: ...
    @property
    def layers(self) -> list[Layer]: ...
    def get_layer(self, name: str) -> Layer: ...
    def _flatten_layers(self) -> list[Layer]: ...
    def compile(self, *args: Any, **kwargs: Any) -> None: ...
    def fit(
        self,
        x: Array,
        y: Array,
        *,
        batch_size: int | None = ...,
        epochs: int = ...,
        verbose: int = ...,
        callbacks: list[Callback] | None = ...,
        validation_data: tuple[Array, Array] | None = ...,
        validation_batch_size: int | None = ...,
    ) -> History: ...
    def predict(self, x: Array, *, batch_size: int | None = ..., verbose: int = ...) -> Singles: ...
    def compile_from_config(self, config: Config) -> None: ...
    @classmethod
    def from_config(cls, config: Config, custom_objects: Config | None = None) -> Self: ...
    def compute_loss(
        self,
        x: Operand | None = ...,
        y: Operand | None = ...,
        y_pred: Tensor | None = ...,
        sample_weight: Operand | None = ...,
        training: bool = ...,
    ) -> Tensor: ...
    def compute_metrics(self, x: Operand, y: Operand, y_pred: Tensor, sample_weight: Operand | None = ...) -> dict[str, object]: ...
    def save(self, filepath: str | PathLike[str]) -> None: ...

class Sequential(Model): ...

def clone_model(model: Model, *, clone_function: Callable[[Layer], Layer]) -> Model: ...
