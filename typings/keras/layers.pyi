from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, Self, overload, runtime_checkable

from hwq.tensors import BatchShape, Config, DType, Operand, Shape, Tensor, Variable

@runtime_checkable
class KerasTensor(Tensor, Protocol):
    """A tensor without numbers: what a functional model is made of."""

    name: str
    _keras_history: tuple[Operation, int, int]
    @property
    def shape(self) -> Shape: ...
    @property
    def dtype(self) -> str: ...

class Arguments:
    args: tuple[Operand | None, ...]
    kwargs: dict[str, Any]
    def fill_in(self, tensors: Mapping[int, KerasTensor]) -> tuple[tuple[Any, ...], dict[str, Any]]: ...

class Node:
    arguments: Arguments
    input_tensors: list[KerasTensor]
    output_tensors: list[KerasTensor]

class DTypePolicy:
    name: str

class Operation:
    name: str
    _inbound_nodes: list[Node]
    call: Callable[..., Tensor]
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
    @property
    def input(self) -> KerasTensor: ...
    @property
    def output(self) -> KerasTensor: ...

class Layer(Operation):
    built: bool
    trainable: bool
    @property
    def dtype_policy(self) -> DTypePolicy: ...
    @dtype_policy.setter
    def dtype_policy(self, value: DTypePolicy | str) -> None: ...
    build: Callable[..., None]
    compute_output_shape: Callable[..., BatchShape]
    _call_has_training_arg: bool
    def __init__(
        self,
        *,
        name: str | None = ...,
        dtype: object = ...,
        trainable: bool = ...,
        autocast: bool = ...,
        activity_regularizer: object = ...,
    ) -> None: ...
    @property
    def compute_dtype(self) -> str: ...
    @property
    def weights(self) -> list[Variable]: ...
    @property
    def variables(self) -> list[Variable]: ...
    @property
    def trainable_variables(self) -> list[Variable]: ...
    def add_weight(
        self,
        shape: Shape | None = ...,
        initializer: object = ...,
        dtype: DType | None = ...,
        trainable: bool = ...,
        regularizer: object = ...,
        constraint: object = ...,
        name: str | None = ...,
    ) -> Variable: ...
    def get_config(self) -> Config: ...
    @classmethod
    def from_config(cls, config: Config) -> Self: ...
    @overload
    def __call__(self, x: KerasTensor | Sequence[KerasTensor], *, training: bool | None = ...) -> KerasTensor: ...
    @overload
    def __call__(self, x: Operand | Sequence[Operand], *, training: bool | None = ...) -> Tensor: ...

class InputLayer(Layer): ...
class Flatten(Layer): ...

class Dense(Layer):
    activation: object
    def __init__(self, units: int, *, activation: object = ..., use_bias: bool = ..., name: str | None = ...) -> None: ...

class DepthwiseConv2D(Layer): ...

class Activation(Layer):
    def __init__(self, activation: object, *, name: str | None = ...) -> None: ...

class BatchNormalization(Layer): ...
class Embedding(Layer): ...

class Identity(Layer):
    def __init__(self, *, name: str | None = ...) -> None: ...

class Resizing(Layer):
    interpolation: str

class StackedRNNCells(Layer):
    cells: list[Layer]

class Add(Layer):
    def __init__(self, *, name: str | None = ...) -> None: ...

class Average(Layer):
    def __init__(self, *, name: str | None = ...) -> None: ...

class Multiply(Layer):
    def __init__(self, *, name: str | None = ...) -> None: ...

class EinsumDense(Layer):
    kernel: Variable
    bias: Variable | None
    def __init__(self, equation: str, output_shape: Shape, *, bias_axes: str | None = ...) -> None: ...

class Concatenate(Layer):
    def __init__(self, axis: int = ..., *, name: str | None = ...) -> None: ...

class ReLU(Layer):
    def __init__(self, *, negative_slope: float = ..., name: str | None = ...) -> None: ...

class LeakyReLU(Layer):
    def __init__(self, *, negative_slope: float = ..., name: str | None = ...) -> None: ...

class Reshape(Layer):
    def __init__(self, target_shape: Shape, *, name: str | None = ...) -> None: ...

class Permute(Layer):
    def __init__(self, dims: Shape, *, name: str | None = ...) -> None: ...

class Softmax(Layer):
    def __init__(self, *, name: str | None = ..., dtype: str | None = ...) -> None: ...

class MaxPooling1D(Layer):
    pool_size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str

class MaxPooling2D(Layer):
    pool_size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str
