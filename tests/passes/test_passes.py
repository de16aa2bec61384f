"""Every pass leaves the outputs as they were; a circuit computes what its graph does; ranges enclose what is observed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_network, random_rows
from strategies import graphs

from hwq.fixed import Rounding, to_float
from hwq.ir import OPS, CircuitBuilder, Graph, Opcode, OpSpec, parse, verify
from hwq.passes import merge_rounding, narrow, optimise, prune
from hwq.passes.lower import lower
from hwq.passes.narrow import intervals
from hwq.passes.pipeline import operands_of, pipeline, side_by_side
from hwq.passes.wires import csd
from hwq.sim.compare import output_types, to_types
from hwq.sim.reference import evaluate, evaluate_nodes


def outputs(graph: Graph, x: np.ndarray) -> np.ndarray:
    return to_float(evaluate(graph, x), output_types(graph).frac)


@settings(max_examples=60, deadline=None)
@given(graphs)
def test_passes_keep_the_outputs(graph: Graph) -> None:
    x = random_rows(graph, 200)
    want = outputs(graph, x)
    for step in (narrow, prune, merge_rounding, optimise):
        assert (outputs(step(graph), x) == want).all(), step.__name__


@settings(max_examples=60, deadline=None)
@given(graphs, st.integers(1, 4))
def test_circuit_is_the_graph(graph: Graph, levels: int) -> None:
    x = random_rows(graph, 200)
    for g in (graph, optimise(graph)):
        assert (pipeline(lower(g), levels).evaluate(x) == evaluate(g, x)).all()


@settings(max_examples=40, deadline=None)
@given(graphs)
def test_intervals_enclose_what_is_observed(graph: Graph) -> None:
    bounds = intervals(graph)
    for name, values in evaluate_nodes(graph, random_rows(graph, 300)).items():
        # a node's own type may be coarser than its bounds where they are tighter: compare as values
        got = to_float(values, graph[name].type.frac)
        assert (got >= to_float(bounds[name].low, bounds[name].frac)).all()
        assert (got <= to_float(bounds[name].high, bounds[name].frac)).all()


@given(st.integers(-(1 << 30), 1 << 30))
def test_csd(value: int) -> None:
    digits = csd(value)
    assert sum(sign << position for position, sign in digits) == value
    positions = [p for p, _ in digits]
    assert all(b - a >= 2 for a, b in itertools.pairwise(positions))


@pytest.mark.parametrize("levels", [1, 2, 5])
def test_no_stage_chains_more_adders_than_asked(levels: int) -> None:
    circuit = pipeline(lower(random_network(3, (16, 12, 8, 4))), levels)
    chain = np.zeros(len(circuit), int)
    wiring = side_by_side(circuit)
    for wire in range(len(circuit)):
        operands = operands_of(circuit, wire)
        assert all(circuit.stage[w] <= circuit.stage[wire] or circuit.opcode[w] == Opcode.CONST for w in operands)
        here = [chain[w] for w in operands if circuit.stage[w] == circuit.stage[wire]]
        adder = circuit.opcode[wire] in (Opcode.ADD, Opcode.SUB, Opcode.NEG) and wire not in wiring
        chain[wire] = max(here, default=0) + int(adder)
        assert chain[wire] <= levels


def test_merge_rounding_takes_the_adder_away() -> None:
    graph = optimise(random_network(5, rounding=Rounding.RND))
    assert all(node.type.rounding is Rounding.TRN for node in graph.nodes if node.op == "quantize")


def test_prune_drops_what_nothing_reads() -> None:
    graph = random_network(7, (8, 20, 3))
    before = sum(n.constant("kernel").nonzero for n in graph.nodes if n.op == "dense")
    after = sum(n.constant("kernel").nonzero for n in optimise(graph).nodes if n.op == "dense")
    assert after < before


@pytest.mark.parametrize("op", [spec for name, spec in OPS.items() if name != "input"], ids=lambda op: op.name)
def test_every_op_has_every_form(op: OpSpec) -> None:
    """An op without its C++, its circuit or its form in Keras cannot be added unnoticed; what follows from a matrix is not said again."""
    kinds = [op.matrix is not None, op.wiring is not None, op.wires is not None and op.cpp is not None]
    assert kinds.count(True) == 1 and op.floats is not None
    assert not any(kinds[:2]) or (op.wires, op.cpp, op.reads, op.lookups, op.factor) == (None, None, None, None, "")


UNREAD = """hwq-graph 1
inputs x
outputs d q
node x input() source "a"
  type [2] TRN WRAP u1.0*2
node d dense(x) source "b"
  bias const [2] TRN WRAP u1.-1*2 = 1*2
  kernel const [2,2] TRN WRAP u1.0 u0.0*2 u1.0 = 1 0*2 1
  type [2] TRN WRAP u2.0*2
node b bias(d) source "c"
  bias const [2] TRN WRAP s3.0*2 = -2*2
  type [2] TRN WRAP s2.0*2
node t table(b) source "d"
  index json [0, 0]
  values const [1,4] TRN WRAP u2.0*4 = 3 1 2 3
  type [2] TRN WRAP u2.0*2
node q quantize(t) source "e"
  type [2] TRN WRAP u2.0 u0.0
"""


@pytest.mark.parametrize("text_", [UNREAD, UNREAD.replace("u2.0 u0.0", "u0.0*2")])
def test_an_unread_element_may_leave_the_codes_of_its_table(text_: str) -> None:
    """Its constants are pruned away, and what is left of it is no code that the table knows."""
    graph = verify(parse(text_))
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    found = optimise(graph)
    assert np.array_equal(evaluate(graph, x), to_types(evaluate(found, x), found, graph))


FINER = """hwq-graph 1
inputs x
outputs t
node x input() source "a"
  type [1] TRN WRAP u2.0
node b bias(x) source "b"
  bias const [1] TRN WRAP u0.0 = 0
  type [1] TRN WRAP u4.2
node t table(b) source "c"
  index json [0]
  values const [1,16] TRN WRAP u0.0 u4.0*15 = 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15
  type [1] TRN WRAP u4.0
"""


def test_bounds_of_a_table_whose_input_has_a_finer_type_than_its_values() -> None:
    graph = verify(parse(FINER))
    x = np.arange(4)[:, None]
    assert intervals(graph)["t"].high.tolist() == [12] and evaluate(graph, x).ravel().tolist() == [0, 4, 8, 12]
    found = optimise(graph)
    assert np.array_equal(evaluate(graph, x), to_types(evaluate(found, x), found, graph))


@pytest.mark.parametrize(("low", "frac", "apart"), [(0, 1, True), (-1, 1, False), (0, 0, False)])
def test_operands_without_a_bit_in_common_are_wires(low: int, frac: int, apart: bool) -> None:
    """A bit below the other operand's lowest one; a sign, or a bit of the same weight, takes an adder."""
    builder = CircuitBuilder()
    builder.enter("sum")
    fine, coarse = builder.input(0, low, 1 + low, frac), builder.input(1, 0, 3, 0)
    circuit = builder.build([builder.add(fine, coarse)])
    assert bool(side_by_side(circuit).size) is apart
