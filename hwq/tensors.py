"""The types of what Keras computes with, as far as hwq uses them. No framework is loaded, and nothing is computed here.

Keras is one interface to several libraries, whose tensors share no class: so these are protocols. What hwq calls of Keras and of
TensorFlow is declared in typings/, in terms of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import EllipsisType
from typing import Any, Protocol, TypeAlias, Union

import numpy as np
import numpy.typing as npt

Shape: TypeAlias = tuple[int, ...]
BatchShape: TypeAlias = tuple[int | None, ...]  # with the batch axis, whose length is not known
Config: TypeAlias = dict[str, object]  # of a layer, as `get_config` gives it
Floats: TypeAlias = npt.NDArray[np.float64]
Singles: TypeAlias = npt.NDArray[np.float32]
Integers: TypeAlias = npt.NDArray[np.integer]
Array: TypeAlias = npt.NDArray[np.generic]
Longs: TypeAlias = npt.NDArray[np.int64]
Numbers: TypeAlias = npt.NDArray[Any]  # of any dtype, for arithmetic
_Index: TypeAlias = Union[int, slice, EllipsisType, "Tensor", None]


class NamedDType(Protocol):
    """The dtype of a TensorFlow tensor or a JAX array."""

    @property
    def name(self) -> str: ...


DType: TypeAlias = str | NamedDType


class Tensor(Protocol):
    """Numbers of any backend, with the arithmetic that hwq does on them."""

    @property
    def shape(self) -> Shape: ...
    @property
    def dtype(self) -> DType: ...
    def __getitem__(self, index: _Index | tuple[_Index, ...]) -> Tensor: ...
    def __float__(self) -> float: ...
    def __neg__(self) -> Tensor: ...
    def __add__(self, other: Operand) -> Tensor: ...
    def __radd__(self, other: Operand) -> Tensor: ...
    def __sub__(self, other: Operand) -> Tensor: ...
    def __rsub__(self, other: Operand) -> Tensor: ...
    def __mul__(self, other: Operand) -> Tensor: ...
    def __rmul__(self, other: Operand) -> Tensor: ...
    def __truediv__(self, other: Operand) -> Tensor: ...
    def __rtruediv__(self, other: Operand) -> Tensor: ...
    def __rpow__(self, other: Operand) -> Tensor: ...
    def __lt__(self, other: Operand) -> Tensor: ...
    def __gt__(self, other: Operand) -> Tensor: ...
    def __ge__(self, other: Operand) -> Tensor: ...
    def __le__(self, other: Operand) -> Tensor: ...
    def __and__(self, other: Operand) -> Tensor: ...


class Variable(Tensor, Protocol):
    """A weight of a layer."""

    name: str
    path: str
    trainable: bool

    @property
    def value(self) -> Tensor: ...
    def assign(self, value: Operand | list[float]) -> object: ...


class Gradient(Protocol):
    """The backward pass of a function with a gradient of its own: TensorFlow gives the upstream gradient by name, JAX by place."""

    def __call__(self, *args: Tensor, upstream: Tensor | None = None) -> Tensor | tuple[Tensor, ...]: ...


Operand: TypeAlias = Union[Tensor, "npt.NDArray[np.generic]", np.generic, float]
Costs: TypeAlias = Mapping[str, Tensor]
