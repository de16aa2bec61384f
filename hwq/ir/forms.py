"""What an operation may ask of whoever builds, prices or computes it: interfaces, and the records that it answers with. Nothing is built here.

An operation's file (`hwq.ir.ops`) writes each of its forms against these, so that it loads no adder solver, no template and no Keras:
`Wires` is `hwq.passes.wires`, `Cpp` is `hwq.codegen.cpp_ops`, `FloatMath` is `hwq.conversion.graph_model`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from hwq.fixed import FixedType, TypeArray
from hwq.ir.graph import Node
from hwq.tensors import Operand, Shape, Tensor

Types: TypeAlias = Sequence[TypeArray]
Mask: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Value:
    """A wire read with another binary point: its value times 2^exponent."""

    wire: int
    exponent: int = 0


class Wires(Protocol):
    """A circuit being built, in terms of values: exact, and as few adders as it knows."""

    def constant(self, mantissa: int, frac: int = 0) -> Value:
        """mantissa * 2^-frac."""

    def signed(self, x: Value) -> bool:
        """Whether it can be negative."""

    def moved(self, x: Value, power: int) -> Value:
        """x * 2^power: the same wire."""

    def signed_sum(self, terms: list[tuple[Value, int]]) -> Value:
        """The sum of values with signs, 1 or -1."""

    def product(self, a: Value, b: Value) -> Value:
        """a * b."""

    def scaled(self, x: Value, mantissa: int, frac: int) -> Value:
        """x times the constant mantissa * 2^-frac."""

    def greatest(self, values: Sequence[Value], *, least: bool = False) -> Value:
        """The greatest, or the least, of `values`."""

    def positive(self, x: Value) -> Value:
        """max(x, 0)."""

    def quantized(self, x: Value, t: FixedType) -> Value:
        """x rounded and brought into the range of `t`, as its modes say."""

    def looked_up(self, x: Value, t: FixedType, row: list[int], frac: int) -> Value:
        """Entry number x - lowest of `row`, which is at 2^-frac; `t` is x's type, lowest its least mantissa."""


class Cpp(Protocol):
    """Pieces of C++; element i of a node is the variable `<node>_<i>`, and one of width 0 has none."""

    def ap_type(self, t: FixedType) -> str:
        """The type of an element."""

    def literal(self, mantissa: int, frac: int) -> str:
        """mantissa * 2^-frac, in its narrowest type."""

    def cast(self, target: FixedType, source: FixedType, name: str) -> str:
        """`name`, of the type `source`, as an expression of the type `target`, which holds all its values."""

    def from_bits(self, t: FixedType, name: str, bits: str) -> list[str]:
        """Statements that declare `name` with the bits of the ap_uint `bits`."""

    def quantized(self, name: str, t: FixedType, x: str, source: FixedType) -> list[str]:
        """Statements that declare `name` with `x`, of the type `source`, quantised to `t`."""

    def table_lookup(self, name: str, entries: Sequence[int], code: str, kind: str) -> tuple[list[str], str]:
        """(declarations, expression of entry number `code` in the integer type `kind`)."""


class TensorOps(Protocol):
    """What operations use of `keras.ops`."""

    def relu(self, x: Operand, /) -> Tensor: ...
    def maximum(self, a: Operand, b: Operand, /) -> Tensor: ...
    def minimum(self, a: Operand, b: Operand, /) -> Tensor: ...
    def subtract(self, a: Operand, b: Operand, /) -> Tensor: ...
    def multiply(self, a: Operand, b: Operand, /) -> Tensor: ...
    def matmul(self, a: Operand, b: Operand, /) -> Tensor: ...
    def einsum(self, equation: str, /, *operands: Operand) -> Tensor: ...
    def round(self, x: Operand, /) -> Tensor: ...
    def clip(self, x: Operand, low: Operand, high: Operand, /) -> Tensor: ...
    def cast(self, x: Operand, dtype: str, /) -> Tensor: ...
    def zeros(self, shape: Shape, dtype: str, /) -> Tensor: ...
    def zeros_like(self, x: Operand, /) -> Tensor: ...
    def convert_to_tensor(self, x: Operand, /) -> Tensor: ...
    def stop_gradient(self, x: Operand, /) -> Tensor: ...
    def reshape(self, x: Operand, shape: Sequence[int], /) -> Tensor: ...
    def transpose(self, x: Operand, axes: Sequence[int], /) -> Tensor: ...
    def concatenate(self, xs: Sequence[Operand], axis: int = ...) -> Tensor: ...
    def split(self, x: Operand, count: int, /, axis: int = ...) -> list[Tensor]: ...
    def take(self, x: Operand, indices: Operand, /, axis: int | None = ...) -> Tensor: ...
    def pad(self, x: Operand, width: Sequence[Sequence[int]], /, *, constant_values: float = ...) -> Tensor: ...
    def conv(self, x: Operand, kernel: Operand, strides: int, padding: str, order: str, dilation: Sequence[int], /) -> Tensor: ...
    def max_pool(self, x: Operand, size: Sequence[int], strides: Sequence[int], padding: str, order: str, /) -> Tensor: ...


class FloatMath(Protocol):
    """Keras in float64."""

    @property
    def ops(self) -> TensorOps:
        """The functions of Keras."""

    @property
    def through(self) -> bool:
        """Gradients pass what rounds as if it did nothing."""

    def quantized(self, x: Tensor, types: TypeArray) -> Tensor:
        """x rounded and brought into range, as the types say."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much an operation has to do besides products with constant matrices, in bits, while nothing is synthesised yet.

    Attributes:
        sums: of adders; choices: between two values; products: bits of one factor times bits of the other.
        saturations: of results that are compared with a limit.
    """

    sums: float = 0.0
    choices: float = 0.0
    products: float = 0.0
    saturations: float = 0.0


@dataclass(frozen=True, slots=True)
class Taps:
    """A window that slides over an image; pairs are (vertical, horizontal), pads (top, bottom, left, right).

    `zeros`: what lies outside the image counts as zero; else it does not count.
    """

    size: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilation: tuple[int, int] = (1, 1)
    zeros: bool = True


@dataclass(frozen=True, slots=True)
class Lookup:
    """A table that one element is looked up in: `entries` of the mantissas lowest, lowest + 1, ... of `width` bits, to `result` bits."""

    entries: tuple[int, ...]
    lowest: int
    width: int
    result: int


Statements: TypeAlias = tuple[str, list[str]]  # (what the operation is called in the comment, its lines)
WireForm: TypeAlias = Callable[[Wires, Node, Types, Sequence[list[Value]]], list[Value]]
CppForm: TypeAlias = Callable[[Cpp, Node, Sequence[Node]], Statements]
FloatForm: TypeAlias = Callable[[FloatMath, Node, Types, Sequence[Tensor]], Tensor]
ReadForm: TypeAlias = Callable[[Node, Mask, Types], list[Mask]]
EffortForm: TypeAlias = Callable[[Node, Types], Effort]


def no_effort(node: Node, types: Types) -> Effort:
    """Nothing but names, or nothing besides a product with a constant matrix."""
    return Effort()


def elements(node: Node) -> list[tuple[int, FixedType, str]]:
    """(number, type, C++ variable) of every element that has one."""
    return [(i, t, f"{node.name}_{i}") for i, t in enumerate(node.type) if t.width]


def present(node: Node, element: int) -> bool:
    """Whether an element has a variable: not the padding, nor of width 0."""
    return element >= 0 and bool(node.type.width.flat[element])


def enclosing(types: Sequence[FixedType]) -> FixedType:
    """The narrowest type that holds every value of all `types`, one of which is not of width 0, and zero."""
    frac = max(t.frac for t in types if t.width)
    low = min(t.lowest << (frac - t.frac) for t in types if t.width)
    high = max(t.highest << (frac - t.frac) for t in types if t.width)
    return TypeArray.enclosing(np.array([min(low, 0)], object), np.array([high], object), np.array([frac]))[0]
