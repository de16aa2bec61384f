"""What an operation is to the registry (OpSpec), and the arithmetic on steps that all operations share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn, TypeVar

import numpy as np
import numpy.typing as npt

from hwq.errors import GraphError
from hwq.fixed import TypeArray, to_float
from hwq.fixed.arithmetic import SAFE_BITS, IntArray, as_integers, greatest
from hwq.ir.forms import CppForm, EffortForm, FloatForm, Lookup, ReadForm, Taps, Types, WireForm, no_effort
from hwq.ir.graph import MOST_ELEMENTS, Constant, Node
from hwq.ir.intervals import Interval
from hwq.ir.windows import Block, Index

T = TypeVar("T")
ANY = -1  # the arity of an op that reads one or more inputs
FLOAT_BITS = 53  # integers of so many bits, and their sums up to there, are exact in float64
Values = Sequence[IntArray]
Steps = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Matrix:
    """An operation that is a product with constant matrices, each at one or many places: its other forms follow from these.

    Attributes:
        blocks: (node, shape of the input) -> its matrices and where they are used.
        shape: (node, shape of the input) -> shape of the result.
        constants: (kernel, bias) that the blocks index.
        describe: (node, its source) -> what it is, for the comment in C++.
        weighted: the kernel is an attribute, whose zeros are left out; else it is nothing but ones.
    """

    blocks: Callable[[Node, tuple[int, ...]], list[Block]]
    shape: Callable[[Node, tuple[int, ...]], tuple[int, ...]]
    constants: Callable[[Node], tuple[Constant, Constant]]
    describe: Callable[[Node, Node], str]
    weighted: bool = True


@dataclass(frozen=True, slots=True)
class OpSpec:
    """One operation: all that hwq knows of it.

    Attributes:
        name: its name in the text form.
        arity: how many inputs it reads; ANY for one or more.
        attrs: the attributes it must have.
        infer: (node, types of the inputs, bounds of the inputs) -> bounds of the result.
        verify: (node, types of the inputs) -> raises GraphError.
        evaluate: (node, types of the inputs, mantissas of the inputs with a leading batch axis) -> mantissas of the result.
        declares_type: the node's own `type` is part of its meaning (input, quantize); else the type follows from the inputs.
        matrix: of a product with constant matrices. It needs neither `wires`, `cpp`, `reads` nor `effort`.
        wiring: of an operation that only rearranges: (node, shapes of the inputs) -> for each element of the result its place among
            all elements of the inputs, or -1 for zero. It needs none of these either.
        wires: its adders, for the Verilog. cpp: its statements. floats: itself in Keras, in float64.
        reads: (node, elements of the result that are needed, types of the inputs) -> elements of each input; None: the same ones.
        effort: what it costs, besides products with constant matrices.
        factor: the constant that each element of its input is multiplied by, where it is no matrix.
        each: its constants that have the shape of the result, an element for an element.
        lookups: (node, types of the input) -> the table that each element is looked up in, for an operation that does.
        sums: it adds or multiplies, so that its result has more bits than what it reads.
        pointwise: on an image it does the same at every pixel, so that a stream of pixels can have it.
        taps: its window, of an operation that slides one over an image.
    """

    name: str
    arity: int
    attrs: tuple[str, ...]
    infer: Callable[[Node, Types, Sequence[Interval]], Interval]
    verify: Callable[[Node, Types], None]
    evaluate: Callable[[Node, Types, Values], IntArray]
    declares_type: bool = False
    matrix: Matrix | None = None
    wiring: Callable[[Node, Sequence[tuple[int, ...]]], Index] | None = None
    wires: WireForm | None = None
    cpp: CppForm | None = None
    floats: FloatForm | None = None
    reads: ReadForm | None = None
    effort: EffortForm = no_effort
    factor: str = ""
    each: tuple[str, ...] = ()
    lookups: Callable[[Node, TypeArray], Iterator[Lookup]] | None = None
    sums: bool = False
    pointwise: bool = False
    taps: Callable[[Node], Taps] | None = None


def only(items: Sequence[T]) -> T:
    """The one element."""
    (item,) = items
    return item


def fail(node: Node, reason: str) -> NoReturn:
    """Raises GraphError: names the node and its op."""
    raise GraphError(f"node {node.name} ({node.op}): {reason}")


def integers(node: Node, name: str, count: int | None = None, *, least: int = 0) -> tuple[int, ...]:
    """The attribute `name`, a tuple of `count` integers from `least` to MOST_ELEMENTS.

    Raises:
        GraphError: it is something else.
    """
    value = node.attrs.get(name)
    good = isinstance(value, tuple) and all(isinstance(v, int) and least <= v <= MOST_ELEMENTS for v in value)
    if not isinstance(value, tuple) or not good or (count is not None and len(value) != count):
        fail(node, f"{name} must be {'' if count is None else f'{count} '}integers of at least {least}, not {_short(value)}")
    return value


def integer(node: Node, name: str, *, least: int = 0, most: int = MOST_ELEMENTS) -> int:
    """The attribute `name`, an integer from `least` to `most`.

    Raises:
        GraphError: it is something else.
    """
    value = node.attrs.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        fail(node, f"{name} must be an integer of at least {least}, not {_short(value)}")
    if value > most:
        fail(node, f"{name} must be at most {most}, not {_short(value)}")
    return value


def _short(value: object) -> str:
    text = "a number of many digits" if isinstance(value, int) and value.bit_length() > 1000 else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def bounded(node: Node, *sizes: int) -> None:
    """That a tensor of these sizes along its axes has no more than MOST_ELEMENTS elements; before any is made.

    Raises:
        GraphError: it has.
    """
    count = math.prod(sizes)
    if count > MOST_ELEMENTS:
        fail(node, f"its result would have {count} elements; a tensor may have {MOST_ELEMENTS}")


def image_shape(node: Node, types: Types) -> tuple[int, int, int]:
    """(height, width, channels) of the first input.

    Raises:
        GraphError: it has another number of axes.
    """
    shape = types[0].shape
    if len(shape) != 3:
        fail(node, f"its input must be (height, width, channels), not {shape}")
    return shape


def verify_any(node: Node, types: Types) -> None:
    """No rule besides arity and attributes."""


def odd_form(constant: Constant) -> tuple[IntArray, Steps]:
    """(mantissas, frac) of the same values with every mantissa odd or zero, as Python integers; zeros get frac 0."""
    m = constant.mantissas
    if m.dtype == object:
        flat = [int(v) for v in m.ravel()]
        zeros = np.array([(v & -v).bit_length() - 1 if v else 0 for v in flat], np.int64).reshape(m.shape)
    else:
        lowest = np.where(m == 0, 1, m & -m)  # the lowest set bit, a power of two: exact as a float
        zeros = (np.frexp(lowest.astype(np.float64))[1] - 1).astype(np.int64)
    mantissas: IntArray = np.array((m >> zeros.astype(m.dtype)).tolist() or [], object).reshape(m.shape)
    frac = constant.types.frac.astype(np.int64) - zeros
    return mantissas, np.where(mantissas == 0, 0, frac).astype(np.int64)


def constant_interval(constant: Constant) -> Interval:
    """A constant as bounds, its trailing zero bits removed so that they do not raise the step of a sum."""
    mantissas, frac = odd_form(constant)
    return Interval(mantissas, mantissas, frac)


def to_step(mantissas: IntArray, frac: npt.ArrayLike, bits: int, target: TypeArray) -> IntArray:
    """Mantissas of `bits` bits at `frac` brought to the steps of `target`, which must lose nothing (an absent element is zero)."""
    shift = np.where(target.width == 0, 0, target.frac.astype(np.int64) - np.asarray(frac, np.int64))
    bits += greatest(shift) + 1
    m, s = as_integers(mantissas, bits), as_integers(shift, bits)
    return (m << np.maximum(s, 0)) >> np.maximum(-s, 0)


def rescale(mantissas: IntArray, source: TypeArray, target: TypeArray) -> IntArray:
    """The same values at the steps of `target`."""
    return to_step(mantissas, source.frac, greatest(source.width), target)


def aligned(types: Types, values: Values, extra: int = 0) -> tuple[list[IntArray], Steps, int]:
    """All inputs at one step for each element: (mantissas, their frac, bits that hold any of them and `extra` more)."""
    fracs = [t.frac.astype(np.int64) for t in types]
    one = np.max(fracs, axis=0)
    bits = max(greatest(t.width + one - f) for t, f in zip(types, fracs, strict=True)) + extra
    return [as_integers(v, bits) << as_integers(one - f, bits) for v, f in zip(values, fracs, strict=True)], one, bits


def exact_matmul(a: IntArray, b: IntArray, bits: int) -> IntArray:
    """a @ b on integers, where `bits` bits hold the sum of the terms' absolute values (float64 up to 53: its sums are exact)."""
    if bits <= FLOAT_BITS:
        return np.asarray(a.astype(np.float64) @ b.astype(np.float64)).astype(np.int64)
    dtype = np.int64 if bits <= SAFE_BITS else object
    return np.asarray(a.astype(dtype) @ b.astype(dtype))


def bits_of(bound: float) -> int:
    """Bits that hold any integer of absolute value up to `bound`, a float that may itself be rounded."""
    return max(1, int(np.frexp(max(bound, 1.0) * (1 + 1e-6))[1]) + 1)


def real(constant: Constant) -> npt.NDArray[np.float64]:
    """The values of a constant as floats."""
    return to_float(constant.mantissas, constant.types.frac)


def enclosed_bits(mantissas: IntArray) -> npt.NDArray[np.int64]:
    """Bits between the first and the last non-zero bit of each integer, 0 for 0."""
    flat = [int(abs(v)) for v in mantissas.ravel()]
    return np.array([(v // (v & -v)).bit_length() if v else 0 for v in flat], np.int64).reshape(mantissas.shape)
