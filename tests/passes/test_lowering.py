"""A circuit being built, one method at a time: sums in the order of their arrival, products with constants, tables and extremes of zeros."""

from __future__ import annotations

import numpy as np
import pytest

from hwq.fixed import FixedType, Overflow, Rounding
from hwq.ir import CircuitBuilder, Opcode
from hwq.ir.circuit import ADDERS
from hwq.ir.forms import Value
from hwq.passes.adders.gates import _is_relu
from hwq.passes.wires import Lowering


def started(*bounds: tuple[int, int], frac: int = 0) -> tuple[Lowering, list[Value]]:
    state = Lowering(CircuitBuilder())
    state.builder.enter("n")
    return state, [Value(state.builder.input(i, low, high, frac)) for i, (low, high) in enumerate(bounds)]


def worth(state: Lowering, value: Value, *rows: tuple[int, ...]) -> list[float]:
    circuit = state.builder.build([value.wire])
    return [int(v) * 2.0 ** -state.frac(value) for v in circuit.evaluate(np.array(rows)).ravel()]


@pytest.mark.parametrize("signs", [(1, 1, 1, 1), (1, -1, 1, -1), (-1, -1, -1, 1), (-1, -1, -1, -1)])
def test_a_sum_of_four_alike(signs: tuple[int, ...]) -> None:
    """Two levels of three adders, and one more where all are subtracted from nothing."""
    state, x = started(*[(-8, 7)] * 4)
    total = state.signed_sum(list(zip(x, signs, strict=True)))
    lone = 1 not in signs
    assert state.depth_of(total.wire) == 2 + lone
    row = (3, -5, 7, 2)
    assert worth(state, total, row) == [sum(s * v for s, v in zip(signs, row, strict=True))]
    assert state.builder.build([total.wire]).count(*ADDERS) == 3 + lone


def test_the_earliest_and_narrowest_are_joined_first() -> None:
    """The late one waits for the sum of the others; of those at one time the two that end lowest are joined."""
    state, x = started((0, 1), (0, 255), (0, 1), (0, 1))
    late = Value(state.builder.add(x[2].wire, x[3].wire))
    state.depth[late.wire] = 1
    state.signed_sum([(late, 1), (x[1], 1), (x[0], 1)])
    assert sorted(state.depth.values()) == [1, 1, 2]
    state, x = started((0, 255), (0, 1), (0, 1), (0, 255), (0, 1))
    circuit = state.builder.build([state.signed_sum([(value, 1) for value in x]).wire])
    assert int(circuit.high[circuit.opcode == Opcode.ADD][0]) == 2


def test_sums_of_nothing_and_of_zeros() -> None:
    state, (x,) = started((-8, 7))
    assert state.is_zero(state.signed_sum([])) and state.is_zero(state.signed_sum([(state.constant(0), -1)]))
    assert state.signed_sum([(state.constant(0), 1), (x, 1)]) == x
    negative = state.signed_sum([(x, -1)])
    assert state.depth_of(negative.wire) == 1 and worth(state, negative, (5,)) == [-5]


@pytest.mark.parametrize(("mantissa", "frac"), [(0, 3), (1, 0), (-1, 2), (12, 3), (-10, 1), (1 << 70, 70)])
def test_a_product_with_a_constant(mantissa: int, frac: int) -> None:
    """On either side; shifts and adders, no multiplication."""
    for swapped in (False, True):
        state, (x,) = started((-8, 7), frac=1)
        factor = state.constant(mantissa, frac)
        found = state.product(factor, x) if swapped else state.product(x, factor)
        assert worth(state, found, (5,), (-8,)) == [5 * mantissa * 2.0 ** -(1 + frac), -4 * mantissa * 2.0**-frac]
        assert state.builder.build([found.wire]).count(Opcode.MUL) == 0


def test_a_product_takes_two_levels() -> None:
    state, (a, b) = started((0, 3), (-4, 3), frac=2)
    found = state.product(a, Value(b.wire, 1))
    assert state.depth_of(found.wire) == 2 and worth(state, found, (3, -4)) == [-12 * 2.0**-3]
    assert state.depth_of(state.product(found, a).wire) == 4


@pytest.mark.parametrize("least", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_the_greatest_of_several(count: int, least: bool) -> None:
    """Level by level; steps apart, a zero among them."""
    state, x = started(*[(-8, 7)] * count)
    values = [Value(value.wire, -i) for i, value in enumerate(x)]
    found = state.greatest([*values, state.constant(0, 5)], least=least)
    assert state.depth_of(found.wire) == (count).bit_length()
    row = (7, -8, 5, -3, 6)[:count]
    every = [0.0, *(v * 2.0**-i for i, v in enumerate(row))]
    assert worth(state, found, row) == [min(every) if least else max(every)]


def test_the_greatest_of_zeros_is_zero() -> None:
    state, _ = started()
    assert state.is_zero(state.greatest([state.constant(0, 4), state.constant(0, -3)]))


def test_a_table_of_a_zero_and_of_a_finer_wire() -> None:
    """The type says which codes there are: those of -4 to 3 halves here; a wire may have bits below, which are zero, or fewer bits."""
    t, row = FixedType(True, 3, 1), [10, 11, 12, 13, 14, 15, 16, 17]
    state, (x,) = started((-2, 1))
    found = state.looked_up(x, t, row, 0)
    assert worth(state, found, (-2,), (-1,), (0,), (1,)) == [10, 12, 14, 16] and state.depth_of(found.wire) == 1
    assert worth(state, state.looked_up(state.constant(0, 9), t, row, 2), ()) == [3.5]
    state, (x,) = started((-16, 15))  # wider than the type: nearest entries
    assert worth(state, state.looked_up(Value(x.wire, -3), t, row, 0), (-16,), (15,), (4,)) == [10, 17, 15]


@pytest.mark.parametrize(("rounding", "overflow", "depth"), [
    (Rounding.TRN, Overflow.WRAP, 0),
    (Rounding.TRN, Overflow.SAT, 1),
    (Rounding.RND, Overflow.WRAP, 1),
    (Rounding.RND, Overflow.SAT, 2),
    (Rounding.RND_CONV, Overflow.WRAP, 1),
    (Rounding.RND_CONV, Overflow.SAT_SYM, 2),
])  # fmt: skip
def test_adders_before_a_quantised_value(rounding: Rounding, overflow: Overflow, depth: int) -> None:
    state, (x,) = started((-32, 31), frac=3)
    found = state.quantized(x, FixedType(True, 3, 1, rounding, overflow))
    assert state.depth_of(found.wire) == depth
    assert state.is_zero(state.quantized(x, FixedType(True, 0, 1, rounding, overflow)))
    exact = state.quantized(x, FixedType(True, 9, 3, rounding, Overflow.WRAP))
    assert state.depth_of(exact.wire) == 0 and worth(state, exact, (-7,)) == [-7 / 8]


@pytest.mark.parametrize(("bounds", "relu"), [((-1, 5), True), ((-1, 0), True), ((0, 5), False), ((-9, 5), True)])
def test_what_is_a_relu(bounds: tuple[int, int], relu: bool) -> None:
    state, (x,) = started(bounds)
    circuit = state.builder.build([state.builder.clamp(x.wire, 0, max(bounds[1], 0))])
    clamps = np.flatnonzero(circuit.opcode == Opcode.CLAMP).tolist()
    assert [_is_relu(circuit, wire) for wire in clamps] == ([True] if relu and clamps else [])
    for low, high in ((1, 5), (-1, 5), (0, 4)):
        state, (x,) = started((-8, 5))
        circuit = state.builder.build([state.builder.clamp(x.wire, low, high)])
        assert not _is_relu(circuit, int(np.flatnonzero(circuit.opcode == Opcode.CLAMP)[0]))
