"""Small fan-in functions become tables where that is smaller; what comes out is as before, for every input."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_graph, random_rows
from strategies import graphs

from hwq import boards
from hwq.codegen.build import build
from hwq.cost.features import circuit_features
from hwq.errors import GraphError
from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.ir import Circuit, CircuitBuilder, Constant, Graph, Node, Opcode, make_node, verify
from hwq.passes import optimise
from hwq.passes.cones import tabulate
from hwq.passes.lower import lower
from hwq.passes.pipeline import pipeline
from hwq.sim.compare import to_types
from hwq.sim.emulator import emulator
from hwq.sim.reference import evaluate


def listing(circuit: Circuit) -> str:
    """The circuit as text, a wire a line."""
    lines = []
    for i in range(len(circuit)):
        op = Opcode(int(circuit.opcode[i]))
        lines.append(f"{i} {op.name} {circuit.a[i]} {circuit.b[i]} {circuit.shift[i]} [{circuit.low[i]}, {circuit.high[i]}]")
    return "\n".join(lines) + "\n"


def inputs(*types: tuple[int, int]) -> list[Node]:
    """One-element inputs of (signed, width)."""
    return [make_node(f"x_{k}", "input", type=TypeArray.of([s], [w], 0)) for k, (s, w) in enumerate(types)]


def every_code(graph: Graph) -> np.ndarray:
    types = [t for name in graph.inputs for t in graph[name].type]
    return np.array(list(itertools.product(*(range(t.lowest, t.highest + 1) for t in types))))


def graph_of(nodes: list[Node], *outputs: str) -> Graph:
    return verify(Graph(tuple(nodes), tuple(n.name for n in nodes if n.op == "input"), outputs))


def saturated_product() -> Graph:
    """min(a * b, 3) of two bits each: a multiplier and a comparison, or two look-up tables."""
    nodes = inputs((0, 2), (1, 2))
    nodes.append(make_node("product", "multiply", nodes))
    nodes.append(make_node("y", "quantize", nodes[-1:], type=TypeArray.of([1], [3], 0, Rounding.TRN, Overflow.SAT)))
    return graph_of(nodes, "y")


BEFORE = """\
0 INPUT 0 -1 0 [0, 3]
1 INPUT 1 -1 0 [-2, 1]
2 MUL 0 1 0 [-6, 3]
3 CLAMP 2 -1 0 [-4, 3]
"""
AFTER = """\
0 INPUT 0 -1 0 [0, 3]
1 INPUT 1 -1 0 [-2, 1]
2 WRAP 1 -1 0 [0, 3]
3 ADD 0 2 2 [0, 15]
4 TABLE 3 0 0 [-4, 3]
"""
TABLE = (0, 0, 0, 0, 0, 1, 2, 3, 0, -2, -4, -4, 0, -1, -2, -3)


def test_text_before_and_after() -> None:
    circuit = lower(saturated_product())
    assert listing(circuit) == BEFORE
    found = tabulate(circuit)
    assert listing(found) == AFTER
    assert found.tables == (TABLE,)
    assert found.names == circuit.names and found.names[found.node[4]] == "y"


def test_what_is_not_smaller_stays() -> None:
    """A sum of two wires is as many look-up tables as the table would be; three bits to twelve functions are worse."""
    nodes = inputs((0, 3), (0, 3))
    nodes.append(make_node("y", "add", nodes))
    circuit = lower(graph_of(nodes, "y"))
    assert tabulate(circuit) is circuit
    wide = Constant(np.array([[1000, 77]]), TypeArray.of([[0, 0]], [[10, 7]], [[0, 0]]))
    none = Constant(np.zeros(2, np.int64), TypeArray.of([0, 0], [0, 0], [0, 0]))
    nodes = [make_node("x", "input", type=TypeArray.of([0], [8], 0))]
    nodes.append(make_node("y", "dense", nodes, attrs={"kernel": wide, "bias": none}))
    circuit = lower(graph_of(nodes, "y"))
    assert tabulate(circuit) is circuit


def test_what_others_read_is_not_saved() -> None:
    nodes = saturated_product().nodes
    shared = verify(Graph(nodes, ("x_0", "x_1"), ("product", "y")))
    circuit, before = tabulate(lower(shared)), lower(shared)
    assert (circuit.evaluate(every_code(shared)) == before.evaluate(every_code(shared))).all()
    # the product is an output too, so both become tables of the same address, or neither does
    assert circuit.count(Opcode.MUL) in (0, before.count(Opcode.MUL))
    assert circuit.count(Opcode.ADD) <= 1


def test_a_look_up_table_of_four_inputs_bounds_the_address() -> None:
    nodes = inputs((0, 3), (0, 3))
    nodes.append(make_node("y", "multiply", nodes))
    circuit = lower(graph_of(nodes, "y"))
    assert tabulate(circuit, 6).count(Opcode.TABLE) == 1
    assert tabulate(circuit, 4).count(Opcode.TABLE) == 0
    assert boards.load("xcvu9p").lut_inputs == 6 and boards.load("ulx3s-85f").lut_inputs == 4


def test_fields_that_are_never_zero() -> None:
    """Codes of 8 bits to [2, 3] and to [-2, 1], their product saturated: the lowest address is 2."""
    codes = np.arange(256)[None]
    nodes = inputs((0, 8))
    for name, values in (("few", 2 + codes % 2), ("signed", codes // 2 % 4 - 2)):
        types = TypeArray.of(np.full((1, 256), name == "signed"), np.full((1, 256), 2), 0)
        nodes.append(make_node(name, "table", nodes[:1], attrs={"values": Constant(values, types), "index": (0,)}))
    nodes.append(make_node("product", "multiply", nodes[1:]))
    nodes.append(make_node("y", "quantize", nodes[-1:], type=TypeArray.of([1], [3], 0, Rounding.TRN, Overflow.SAT)))
    graph = graph_of(nodes, "y")
    found = tabulate(lower(graph))
    assert found.count(Opcode.TABLE) > lower(graph).count(Opcode.TABLE)
    assert (found.evaluate(every_code(graph)) == evaluate(graph, every_code(graph))).all()


CASES = [
    ((1, 3), (0, 2)),
    ((1, 2), (1, 2), (0, 1)),
    ((0, 2), (0, 2), (1, 2)),
    ((1, 5),),
]


@pytest.mark.parametrize("types", CASES, ids=str)
@pytest.mark.parametrize("bits", [4, 6])
def test_every_code(types: tuple[tuple[int, int], ...], bits: int) -> None:
    """Products, maxima, roundings and saturations of a few bits, on every code."""
    nodes = inputs(*types)
    first, last = nodes[0], nodes[-1]
    product = make_node("product", "multiply", [first, last])
    most = make_node("most", "maximum", [product, first])
    total = make_node("total", "subtract", [most, last])
    leaky = make_node("leaky", "leaky_relu", [total], attrs={"shift": 1})
    nodes += [product, most, total, leaky]
    names = []
    for rounding in Rounding:
        t = TypeArray.of([1], [3], 0, rounding, Overflow.SAT_SYM)
        nodes.append(make_node(f"q_{rounding.lower()}", "quantize", [leaky], type=t))
        names.append(nodes[-1].name)
    graph = graph_of(nodes, *names)
    x = every_code(graph)
    found = tabulate(lower(graph), bits)
    assert (pipeline(found, 1).evaluate(x) == evaluate(graph, x)).all()
    assert (found.opcode == Opcode.TABLE).any() or bits == 4


@pytest.mark.parametrize("shift", [57, 58, 59, 60, 61, 62, 63, 64, 65, 100, 200])
@pytest.mark.parametrize(("signed", "width"), [(0, 1), (1, 4), (0, 5), (1, 6)])
def test_few_bits_far_from_the_step_of_a_saturation(signed: int, width: int, shift: int) -> None:
    """The number between is longer than 62 bits: the table behind it is made of Python's integers."""
    x = make_node("x", "input", type=TypeArray.of([signed], width, 7 - shift))
    names, nodes = [], [x]
    for overflow in Overflow:
        for target in (0, 1):
            types = TypeArray.of([target], 12, 7, Rounding.RND, overflow)
            nodes.append(make_node(f"q_{overflow.lower()}_{target}", "quantize", [x], type=types))
            names.append(nodes[-1].name)
    graph = graph_of(nodes, *names)
    rows = every_code(graph)
    want = evaluate(graph, rows)
    assert (tabulate(lower(graph)).evaluate(rows) == want).all()
    made = build(graph, boards.load("xcvu9p"))
    assert (to_types(made.circuit.evaluate(rows), made.graph, graph) == want).all()


def test_sums_and_products_of_few_bits_far_apart() -> None:
    """Two operands aligned over 80 bits, their product and their sum saturated: every code."""
    a = make_node("a", "input", type=TypeArray.of([1], 3, 40))
    b = make_node("b", "input", type=TypeArray.of([0], 3, -40))
    nodes, names = [a, b], []
    for op in ("add", "subtract", "multiply", "maximum", "minimum"):
        made = make_node(op, op, [a, b])
        nodes.append(made)
        for frac in (40, -40, 0):
            types = TypeArray.of([1], 3, frac, Rounding.RND_CONV, Overflow.SAT_SYM)
            nodes.append(make_node(f"{op}_{frac + 40}", "quantize", [made], type=types))
            names.append(nodes[-1].name)
    graph = graph_of(nodes, *names)
    rows = every_code(graph)
    assert (tabulate(lower(graph)).evaluate(rows) == evaluate(graph, rows)).all()


def test_an_input_of_93_bits() -> None:
    """Wider than any port: the circuit computes it all the same, and the ports refuse it by name."""
    x = make_node("x", "input", type=TypeArray.of([1], 93, 0, Rounding.RND, Overflow.SAT))
    nodes = [x, make_node("y", "quantize", [x], type=TypeArray.of([1], 4, -89, Rounding.RND, Overflow.SAT))]
    graph = graph_of(nodes, "y")
    rows = np.array([[-(1 << 92)], [(1 << 92) - 1], [0], [1 << 88], [-(1 << 88)]], object)
    want = evaluate(graph, rows)
    assert want.ravel().tolist() == [-8, 7, 0, 1, 0]
    circuit = tabulate(lower(graph))
    assert (circuit.evaluate(rows) == want).all()
    assert (emulator(graph, circuit).evaluate(rows) == want).all()
    assert emulator(graph, circuit).predict([[2.0**89], [1e300], [-1e300]]).ravel().tolist() == [2.0**89, 7 * 2.0**89, -(2.0**92)]
    with pytest.raises(GraphError, match="element 0 of x has 93 bits; ports carry at most 63"):
        build(graph, boards.load("xcvu9p"))


@settings(max_examples=30, deadline=None)
@given(graphs, st.sampled_from([4, 6]))
def test_outputs_are_kept(graph: Graph, bits: int) -> None:
    graph = optimise(graph)
    x = random_rows(graph, 200)
    found = tabulate(lower(graph), bits)
    assert (pipeline(found, 2).evaluate(x) == evaluate(graph, x)).all()


@settings(max_examples=30, deadline=None)
@given(graphs)
def test_bounds_enclose_every_wire(graph: Graph) -> None:
    graph = optimise(graph)
    x = random_rows(graph, 100)
    for circuit in (lower(graph), tabulate(lower(graph))):
        every = replace(circuit, outputs=np.arange(len(circuit), dtype=np.int32)).evaluate(x)
        assert (circuit.low <= circuit.high).all()
        assert (every >= circuit.low).all() and (every <= circuit.high).all()


def test_bounds_of_a_sum_with_nothing() -> None:
    """A solution shared between places where one has zeros: its bounds are those of a mantissa with finer steps."""
    builder = CircuitBuilder(["node"])
    x = builder.input(0, 3, 5, 0)
    for subtract, known, want in ((False, (12, 20, 0), (3, 5)), (True, (-20, -12, 0), (-5, -3)), (False, (14, 19, 0), (4, 4))):
        wire = builder.add(builder.constant(0, 0), x, exponent=2, subtract=subtract, bounds=known)
        assert builder.bounds(wire) == want
    graph = optimise(random_graph(570, ops=8))
    assert (lower(graph).low <= lower(graph).high).all()


def test_addresses_cost_nothing() -> None:
    """Side by side is no addition: no delay, no feature, nothing but names in the Verilog."""
    graph = saturated_product()
    circuit = pipeline(tabulate(lower(graph)), 1)
    assert circuit.latency == 1
    features = circuit_features(circuit)
    assert features["chains"] == features["adder_bits"] == 0
    assert features["table6"] == 3
    text = build(graph, boards.load("xcvu9p")).plan.files["rtl/hwq_top.v"]
    assert "table_0(w3)" in text and " + " not in text and " * " not in text
