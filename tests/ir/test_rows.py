"""Sums of three operands: what a circuit of them computes, its trees, exact bounds, and no more levels than before."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_graph, random_network, random_rows
from random_sums import random_sums, rows_for

from hwq import boards
from hwq.ir import Circuit, CircuitBuilder, Opcode
from hwq.ir.circuit import ADDERS, SIGNS, WIRES_C
from hwq.passes import optimise
from hwq.passes.adders import native
from hwq.passes.adders.fuse import fuse
from hwq.passes.adders.row import RowOperand, SumRow, row_of
from hwq.passes.adders.trees import Term, _Building, levels, tree
from hwq.passes.compiling import circuit_of
from hwq.passes.cones import tabulate
from hwq.passes.lower import lower
from hwq.passes.pipeline import half_levels, operands_of, pipeline, register_bits
from hwq.sim.compare import to_types
from hwq.sim.emulator import emulator
from hwq.sim.reference import evaluate


def values_of(circuit: Circuit, x: np.ndarray) -> list[np.ndarray]:
    values: list[np.ndarray] = []
    for wire in range(len(circuit)):
        values.append(circuit._evaluate_row(wire, x, values))
    return values


def depth(circuit: Circuit) -> int:
    """Half levels on the longest way to an output."""
    delay, arrival = half_levels(circuit).tolist(), [0] * len(circuit)
    for wire in range(len(circuit)):
        arrival[wire] = max((arrival[o] for o in operands_of(circuit, wire)), default=0) + delay[wire]
    return max(arrival[w] for w in circuit.outputs.tolist())


def cost(circuit: Circuit) -> int:
    """Half look-up tables of all sums."""
    return sum(row_of(circuit, w).cost for w in range(len(circuit)) if Opcode(circuit.opcode[w]) in SIGNS)


def test_a_circuit_of_sums_is_their_arithmetic() -> None:
    circuit, ports = random_sums(0, 80)
    x = rows_for(ports, 50)
    values = values_of(circuit, x)
    for wire in range(len(circuit)):
        op = Opcode(circuit.opcode[wire])
        if op not in SIGNS:
            continue
        columns = (circuit.a, circuit.b, circuit.c)
        shifts = (0, int(circuit.shift[wire]), int(circuit.shift_c[wire]))[: len(SIGNS[op])]
        terms = [
            s * values[int(c[wire])].astype(object) * 2 ** (up - min(shifts))
            for c, up, s in zip(columns, shifts, SIGNS[op], strict=False)
        ]
        assert (values[wire] == sum(terms)).all()
        assert (values[wire] >= circuit.low[wire]).all() and (values[wire] <= circuit.high[wire]).all()
    assert circuit.count(*WIRES_C) > 40 and all(circuit.count(op) for op in SIGNS)


def test_wide_sums_of_three_are_exact() -> None:
    """Sums that 64 bits do not hold on the way."""
    builder = CircuitBuilder()
    builder.enter("n")
    a, b, c = (builder.input(i, -(1 << 61), (1 << 61) - 1, 0) for i in range(3))
    circuit = builder.build([builder.sum_of([(a, 0, 1), (b, 1, 1), (c, 1, -1)], -(1 << 64), 1 << 64, 0)])
    x = np.array([[(1 << 61) - 1, (1 << 61) - 1, (1 << 61) - 2]])
    assert circuit.evaluate(x).tolist() == [[(1 << 61) - 1 + 2]]


def test_the_same_sum_is_one_wire_in_any_order() -> None:
    builder = CircuitBuilder()
    builder.enter("n")
    a, b, c = (builder.input(i, 0, 15, 0) for i in range(3))
    one = builder.sum_of([(a, 0, -1), (b, 2, 1), (c, 1, -1)], -45, 60, 0)
    assert builder.sum_of([(c, 1, -1), (a, 0, -1), (b, 2, 1)], -45, 60, 0) == one


NETWORKS = [(seed, sizes) for seed, sizes in enumerate([(16, 12, 8, 4), (6, 20, 3), (30, 9, 5), (12, 12)])]


@pytest.mark.parametrize(("seed", "sizes"), NETWORKS)
def test_fusing_keeps_outputs_and_bounds_and_gets_no_deeper(seed: int, sizes: tuple[int, ...]) -> None:
    graph = optimise(random_network(seed, sizes))
    before = tabulate(lower(graph), 6)
    after = fuse(before)
    x = random_rows(graph, 300)
    assert (after.evaluate(x) == evaluate(graph, x)).all()
    for wire, found in enumerate(values_of(after, x)):
        assert (found >= after.low[wire]).all() and (found <= after.high[wire]).all()
    assert depth(after) <= depth(before)
    assert after.fused and not before.fused
    assert after.count(*WIRES_C) > 3 and after.count(*ADDERS) < before.count(*ADDERS)
    assert cost(after) < 0.85 * cost(before)
    assert register_bits(pipeline(after, 2)) <= register_bits(pipeline(before, 2))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_any_network_fused(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = random_network(seed, tuple(int(n) for n in rng.integers(2, 14, rng.integers(2, 4))))
    before = lower(graph)
    after = fuse(before)
    x = random_rows(graph, 40, seed)
    assert (after.evaluate(x) == evaluate(graph, x)).all()
    for wire, found in enumerate(values_of(after, x)):
        assert (found >= after.low[wire]).all() and (found <= after.high[wire]).all()
    assert depth(after) <= depth(before)


def test_a_shared_term_stays_one() -> None:
    builder = CircuitBuilder()
    builder.enter("n")
    x = [builder.input(i, -128, 127, 0) for i in range(5)]
    shared = builder.add(x[0], x[1])
    outputs = [builder.add(builder.add(shared, x[i]), x[i - 1], exponent=1) for i in (2, 3, 4)]
    after = fuse(builder.build(outputs))
    assert after.count(*ADDERS) == 4 and after.count(*WIRES_C) == 3


def test_negative_sums_and_constants() -> None:
    """All terms subtracted, a constant among them, and zeros below the lowest term."""
    builder = CircuitBuilder()
    builder.enter("n")
    x = [builder.input(i, -8, 7, 0) for i in range(4)]
    zero = builder.constant(0, 0)
    total = builder.add(builder.add(builder.add(zero, x[0], subtract=True), x[1], subtract=True), x[2], exponent=2, subtract=True)
    low = builder.add(builder.shift(x[0], -3), builder.shift(builder.add(x[1], x[3]), -2))
    outputs = [total, builder.add(total, builder.constant(-44, 0)), builder.add(low, builder.constant(8, 0))]
    before = builder.build(outputs)
    after = fuse(before)
    grid = np.random.default_rng(0).integers(-8, 8, (500, 4))
    assert (after.evaluate(grid) == before.evaluate(grid)).all()
    assert after.count(*WIRES_C) >= 2


@pytest.mark.parametrize("count", [2, 3, 4, 5, 8, 9, 13, 27])
def test_trees_of_equal_terms_have_as_few_rows_and_levels_as_can_be(count: int) -> None:
    terms = [Term(0, 15, 0, 1, 0)] * count
    limit = levels([0] * count)
    assert 3**limit >= count > 3 ** (limit - 1)
    found = tree(terms, limit)
    assert len(found.rows) == -(-(count - 1) // 2)
    at = [0] * count
    for row in found.rows:
        at.append(max(at[i] for i in row) + 1)
    assert at[-1] <= limit and sorted(i for row in found.rows for i in row) == list(range(count + len(found.rows) - 1))


@pytest.mark.skipif(native.library("rows") is None, reason="no g++")
@pytest.mark.parametrize(("seed", "wide"), [(seed, 0) for seed in range(60)] + [(seed, 1) for seed in range(60, 100)])
def test_native_code_finds_the_same_trees(seed: int, wide: int) -> None:
    """Also of numbers that 64 bits do not hold: sums of many fraction bits, which the search in Python takes minutes for."""
    rng = np.random.default_rng(seed)
    terms = []
    for _ in range(int(rng.integers(2, 9))):
        width, up, signed = int(rng.integers(1, 8 + 40 * wide)), int(rng.integers(0, 6 + 60 * wide)), bool(rng.integers(2))
        low, high = (-(1 << (width - 1)), (1 << (width - 1)) - 1) if signed else (0, (1 << width) - 1)
        if rng.random() < 0.1:
            low = high = int(rng.integers(-9, 9)) or 1
        terms.append(Term(low << up, high << up, up, int(rng.choice([1, -1])), int(rng.integers(0, 3))))
    arity = int(rng.choice([2, 3]))
    limit = levels([t.depth for t in terms], arity) + int(rng.integers(0, 2))
    orders = range(3 if arity == 3 and len(terms) > 3 else 1)
    slow, _ = min((_Building(list(terms), limit, arity).build(order) for order in orders), key=lambda one: (one[0].cost, one[1]))
    assert tree(terms, limit, arity) == slow


def test_places_of_a_row() -> None:
    """Counted by hand: three numbers of 4 bits; the same with two subtracted; and one that begins higher."""
    four = [RowOperand(0, 15, 0, 1)] * 3
    row = SumRow(tuple(four), 6)
    assert (row.start, row.both, row.ternary, row.slots, row.early, row.carry) == (0, 0b1111, 0b11110, 0, False, 0)
    assert (row.tables, row.inverters) == (4, 0)  # above, the carry of three is alone: a wire to the chain
    row = SumRow((RowOperand(0, 15, 0, 1), RowOperand(0, 15, 0, -1), RowOperand(0, 15, 0, -1)), 6)
    assert (row.slots, row.early, row.carry) == (1, False, 1)
    row = SumRow((RowOperand(0, 15, 0, 1), RowOperand(0, 15, 2, -1), RowOperand(0, 15, 3, 1)), 8)
    assert (row.start, row.early, row.slots, row.both) == (2, True, 0, 0b111100)


def test_constants_that_cancel_are_a_constant() -> None:
    """A sum of nothing but constants, as elements of no bits leave it behind: seed 920003 of 260 had one."""
    graph = random_graph(920003, ops=8)
    board, optimised, x = boards.load("xcvu9p"), optimise(graph), random_rows(graph, 64)
    circuit = circuit_of(optimised, board, board.default_clock, "three")
    assert (to_types(emulator(optimised, circuit).evaluate(x), optimised, graph) == evaluate(graph, x)).all()
