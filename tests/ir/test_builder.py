"""Wires of a circuit one by one: bounds, steps and what is folded, in numbers worked out by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hwq.errors import GraphError
from hwq.ir import CircuitBuilder
from hwq.ir.circuit import Circuit, Opcode


def builder(*ends: tuple[int, int, int]) -> tuple[CircuitBuilder, list[int]]:
    """A builder with an input of each (low, high, frac)."""
    made = CircuitBuilder(["x"])
    return made, [made.input(i, low, high, frac) for i, (low, high, frac) in enumerate(ends)]


def told(made: CircuitBuilder, wire: int) -> tuple[Opcode, int, int, int]:
    return made._rows[wire].op, *made.bounds(wire), made.frac(wire)


def test_constants_and_absent_inputs() -> None:
    made, (x,) = builder((3, 3, 2))
    assert told(made, x) == (Opcode.INPUT, 3, 3, 2)  # an input stays, though its value is known
    assert told(made, made.input(1, 0, 0, 7)) == told(made, made.constant(0, 5)) == (Opcode.CONST, 0, 0, 0)
    assert told(made, made.constant(6, 5)) == (Opcode.CONST, 6, 6, 5)
    assert made.constant_value(x) == 3 and made.constant(6, 5) == made.constant(6, 5) != made.constant(6, 4)


def test_shifts_move_bounds_and_step() -> None:
    made, (x,) = builder((-5, 6, 3))
    assert made.shift(x, 0) == x
    assert told(made, made.shift(x, 1)) == (Opcode.SHIFT, -3, 3, 2)
    assert told(made, made.shift(x, -2)) == (Opcode.SHIFT, -20, 24, 5)
    assert told(made, made.shift(x, 4)) == (Opcode.SHIFT, -1, 0, -1)
    assert told(made, made.shift(made.clamp(x, -2, 5), 1)) == (Opcode.CLAMP, -1, 2, 2)
    assert told(made, made.shift(made.clamp(x, -2, 5), -1)) == (Opcode.SHIFT, -4, 10, 4)
    assert made.scaled(x, 2) == (x, 1)


def test_sums_are_aligned() -> None:
    made, (x, y) = builder((-5, 6, 3), (-1, 2, 1))
    assert told(made, made.add(x, y)) == (Opcode.ADD, -9, 14, 3)
    assert told(made, made.add(y, x)) == (Opcode.ADD, -9, 14, 3)
    assert told(made, made.add(x, y, subtract=True)) == (Opcode.SUB, -13, 10, 3)
    assert told(made, made.add(x, y, exponent=2)) == (Opcode.ADD, -21, 38, 3)
    assert told(made, made.add(y, y, exponent=-1)) == (Opcode.ADD, -3, 6, 2)
    row = made._rows[made.add(y, x)]
    assert (row.a, row.b, row.shift) == (y, x, -2) and made._rows[made.add(x, y)].shift == 2


def test_sums_with_zero() -> None:
    made, (x,) = builder((-5, 6, 3))
    zero = made.constant(0, 0)
    assert made.add(x, zero) == made.add(zero, x) == x
    assert told(made, made.add(zero, x, subtract=True)) == (Opcode.NEG, -6, 5, 3)
    for exponent, frac in ((1, 2), (-1, 4)):  # the value is another, the bits are the same: it keeps a wire of its own
        scaled = made.add(zero, x, exponent=exponent)
        assert scaled != x and told(made, scaled) == (Opcode.ADD, -5, 6, frac)


@pytest.mark.parametrize(
    ("known", "want"),
    [
        ((-100, 100, 3), (-9, 14)),
        ((-8, 13, 3), (-8, 13)),
        ((-9, 14, 3), (-9, 14)),
        ((-3, 3, 2), (-6, 6)),  # in quarters
        ((-3, 3, 1), (-9, 12)),  # in halves: -3 halves are -12 eighths
        ((-15, 15, 4), (-7, 7)),  # in sixteenths: up for the lowest, down for the greatest
        ((-13, 13, 4), (-6, 6)),
        ((-13, 13, 5), (-3, 3)),
    ],
)
def test_more_may_be_known_of_a_sum(known: tuple[int, int, int], want: tuple[int, int]) -> None:
    made, (x, y) = builder((-5, 6, 3), (-1, 2, 1))
    assert told(made, made.add(x, y, bounds=known)) == (Opcode.ADD, *want, 3)
    assert told(made, made.add(y, x, bounds=known)) == (Opcode.ADD, *want, 3)


def test_one_to_three_terms() -> None:
    made, (x, y, z) = builder((-5, 6, 0), (-1, 2, 0), (0, 7, 0))
    assert made.sum_of([(x, 0, 1)], -5, 6, 0) == x
    assert told(made, made.sum_of([(x, 2, 1)], -20, 24, 2)) == (Opcode.SHIFT, -20, 24, 2)
    assert told(made, made.sum_of([(x, 0, -1)], -6, 5, 0)) == (Opcode.NEG, -6, 5, 0)
    assert told(made, made.sum_of([(y, 0, -1), (x, 1, 1)], -12, 13, 0)) == (Opcode.SUB, -12, 13, 0)
    row = made._rows[made.sum_of([(z, 3, -1), (y, 0, 1), (x, 1, 1)], -99, 99, 0)]
    assert (row.op, row.a, row.b, row.c, row.shift, row.shift_c) == (Opcode.ADD_SUB, x, y, z, -1, 2)
    row = made._rows[made.sum_of([(z, 0, -1), (y, 4, -1), (x, 1, 1)], -99, 99, 0)]
    assert (row.op, row.a, row.b, row.c, row.shift, row.shift_c) == (Opcode.SUB3, x, y, z, 3, -1)
    for terms in ([(x, 0, -1), (y, 0, -1)], [(x, 1, 1), (y, 2, 1)], [(x, 1, 1), (y, 1, -1), (z, 3, 1)]):
        with pytest.raises(GraphError, match="no operation adds up"):
            made.sum_of(terms, -99, 99, 0)


@pytest.mark.parametrize(
    ("ends", "want"), [((-1, 1), (0, 1)), ((-2, 1), (0, 4)), ((-1, 0), (0, 1)), ((1, 2), (1, 4)), ((-3, -1), (1, 9))]
)
def test_squares(ends: tuple[int, int], want: tuple[int, int]) -> None:
    made, (x,) = builder((*ends, 2))
    assert told(made, made.multiply(x, x)) == (Opcode.MUL, *want, 4)


def test_products() -> None:
    made, (x, y) = builder((-3, 2, 1), (-5, 7, 2))
    assert told(made, made.multiply(x, y)) == (Opcode.MUL, -21, 15, 3)
    assert made.multiply(x, y) == made.multiply(y, x)


def test_extremes_of_what_touches_or_overlaps() -> None:
    made, (x, y, z) = builder((-3, 2, 0), (2, 7, 0), (1, 4, 0))
    assert made.extreme(x, y, 0) == made.extreme(y, x, 0) == y and made.extreme(x, x, 0) == x
    assert made.extreme(x, y, 0, least=True) == made.extreme(y, x, 0, least=True) == x
    assert told(made, made.extreme(x, z, 5)) == (Opcode.MAX, 1, 4, 5)
    assert told(made, made.extreme(z, x, 5, least=True)) == (Opcode.MIN, -3, 2, 5)
    one = made.constant(1, 0)
    assert told(made, made.extreme(x, one, 0)) == told(made, made.extreme(one, x, 0)) == (Opcode.CLAMP, 1, 2, 0)
    assert told(made, made.extreme(x, one, 0, least=True)) == (Opcode.CLAMP, -3, 1, 0)


def test_clamps_and_wraps() -> None:
    made, (x,) = builder((-5, 6, 2))
    assert made.clamp(x, -5, 6) == made.wrap(x, -5, 6) == x
    assert told(made, made.clamp(x, -4, 6)) == (Opcode.CLAMP, -4, 6, 2)
    assert told(made, made.clamp(x, -5, 5)) == (Opcode.CLAMP, -5, 5, 2)
    assert told(made, made.clamp(x, -9, 3)) == (Opcode.CLAMP, -5, 3, 2)
    assert told(made, made.clamp(x, 8, 9)) == (Opcode.CONST, 8, 8, 2) and told(made, made.clamp(x, -9, -7)) == (
        Opcode.CONST,
        -7,
        -7,
        2,
    )
    inner = made.clamp(made.clamp(x, -4, 4), -2, 9)
    assert told(made, inner) == (Opcode.CLAMP, -2, 4, 2) and made._rows[inner].a == x
    assert told(made, made.wrap(x, -4, 3)) == (Opcode.WRAP, -4, 3, 2)
    for low, high in ((-5, 5), (-4, 6)):
        assert made.wrap(x, low, high) != x


def test_fields_side_by_side() -> None:
    made, (x, y, z) = builder((0, 3, 0), (0, 1, 0), (0, 7, 0))
    wire = made.joined([(x, 2), (y, 1), (z, 3)])
    assert told(made, wire) == (Opcode.ADD, 0, 63, 0)
    circuit = made.build([wire])
    rows = np.array(list(itertools.product(range(4), range(2), range(8))))
    assert circuit.evaluate(rows).ravel().tolist() == [a + 4 * b + 8 * c for a, b, c in rows.tolist()]


def test_tables() -> None:
    made, (x,) = builder((-1, 2, 3))
    wire = made.table(x, [5, 1, 1, 9], 4)
    assert told(made, wire) == (Opcode.TABLE, 1, 9, 4)
    assert made.build([wire]).evaluate(np.array([[-1], [0], [1], [2]])).ravel().tolist() == [5, 1, 1, 9]
    assert told(made, made.table(x, [4, 4, 4, 4], 4)) == (Opcode.CONST, 4, 4, 4)
    for wrong in ([1, 2, 3], [1, 2, 3, 4, 5]):
        with pytest.raises(GraphError, match="for a wire of 4 values"):
            made.table(x, wrong, 0)


def test_only_what_is_needed_is_built() -> None:
    made, (x, y) = builder((-5, 6, 3), (-1, 2, 1))
    unused = made.table(y, [1, 2, 3, 4], 0)
    made.enter("second")
    total = made.add(x, made.table(y, [4, 3, 2, 1], 0))
    made.resume(0)
    last = made.shift(total, -1)
    circuit = made.build([last, x])
    assert unused < total and [Opcode(int(op)) for op in circuit.opcode] == [
        Opcode.INPUT,
        Opcode.INPUT,
        Opcode.TABLE,
        Opcode.ADD,
        Opcode.SHIFT,
    ]
    assert circuit.outputs.tolist() == [4, 0] and circuit.tables == ((4, 3, 2, 1),) and circuit.b[2] == 0
    assert circuit.node.tolist() == [0, 0, 1, 1, 0] and circuit.names == ("x", "second") and len(made.build([])) == 0
    made.resume(2)
    with pytest.raises(GraphError, match="belong to no node"):
        made.build([made.shift(total, 1)])


def copied(circuit: Circuit, *ends: tuple[int, int, int]) -> Circuit:
    """The circuit once more, on inputs of other bounds."""
    made, known = builder(*ends)
    for wire in range(len(known), len(circuit)):
        known.append(made.copied(circuit, wire, known))
    return made.build([known[i] for i in circuit.outputs])


def test_copies_on_narrower_inputs() -> None:
    made, (x, y, z) = builder((-2, 2, 0), (-1, 2, 0), (0, 7, 0))
    wires = [made.table(x, [5, 1, 7, 9, 2], 0), made.sum_of([(x, 0, 1), (y, 1, 1), (z, 2, -1)], -32, 6, 0), made.multiply(x, y)]
    circuit = made.build(wires)
    again = copied(circuit, (-1, 1, 0), (-1, 2, 0), (0, 7, 0))
    assert again.tables == ((1, 7, 9),)
    rows = np.array(list(itertools.product(range(-1, 2), range(-1, 3), range(8))))
    assert again.evaluate(rows).tolist() == circuit.evaluate(rows).tolist()
    assert circuit.evaluate(rows).tolist() == [[(1, 7, 9)[a + 1], a + 2 * b - 4 * c, a * b] for a, b, c in rows.tolist()]


def test_the_bits_that_an_evaluator_needs() -> None:
    """One more than a wire has; of a sum, what its operands take once they are aligned, and one for each addition."""
    made, (x, y, z) = builder((-8, 7, 0), (0, 3, 0), (0, 1, 0))
    wires = [
        made._append(made._rows[made.add(x, y, exponent=e)]._replace(low=0, high=1, a=x, b=y, shift=e, node=0)) for e in (0, 3, -3)
    ]
    wires.append(made.sum_of([(x, 0, 1), (y, 5, 1), (z, 9, -1)], 0, 1, 0))
    wires.append(made.sum_of([(x, 6, 1), (y, 0, 1), (z, 1, -1)], 0, 1, 0))
    circuit = made.build(wires)
    need = dict(zip(circuit.outputs.tolist(), circuit.working_bits[circuit.outputs].tolist(), strict=True))
    assert list(need.values()) == [5, 6, 8, 12, 12]
    assert circuit.working_bits[:3].tolist() == [5, 3, 2]
    assert circuit.ups(int(circuit.outputs[3])) == (0, 5, 9) and circuit.ups(int(circuit.outputs[4])) == (6, 0, 1)
    assert circuit.latency == 1 and circuit.count(Opcode.INPUT, Opcode.ADD_SUB) == 5
