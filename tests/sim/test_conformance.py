"""Every operation in every evaluator: reference = emulator = C-simulation = RTL, by integer equality; quantisers exhaustively in every mode."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from networks import random_constant, random_graph, random_network, random_rows
from strategies import graphs

from hwq import boards
from hwq.codegen.build import build
from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.ir import Attr, Graph, Node, make_node, verify
from hwq.sim.compare import Mismatch, compare, mantissas_of, to_types
from hwq.sim.csim import csim
from hwq.sim.emulator import emulator
from hwq.sim.reference import evaluate
from hwq.sim.rtlsim import NETLIST, mapped, rtlsim
from hwq.tools.find import find
from hwq.tools.yosys import run_script

MODES = [(r, o) for r in Rounding for o in Overflow]


def prove(graph: Graph, x: np.ndarray, folder: Path) -> None:
    made = build(graph, boards.load("xcvu9p"))
    made.plan.write(folder)
    want = evaluate(graph, x)
    native = emulator(made.graph, made.circuit).evaluate(x)
    for name, got in (("emulator", native), ("csim", csim(made, folder, x)), ("rtl", rtlsim(made, folder, x))):
        result = compare(graph, "reference", want, name, to_types(got, made.graph, graph))
        assert result.mismatches == 0, str(result)
    adders = build(graph, boards.load("xcvu9p"), style="adders")
    adders.plan.write(folder / "adders")
    result = compare(graph, "reference", want, "adders", to_types(csim(adders, folder / "adders", x), made.graph, graph))
    assert result.mismatches == 0, str(result)
    assert (to_types(evaluate(made.graph, x), made.graph, graph) == want).all()


@pytest.mark.parametrize("rounding", list(Rounding))
def test_quantisers_exhaustively(rounding: Rounding, tmp_path: Path) -> None:
    """All 1 024 codes of a signed 10-bit and an unsigned 10-bit input, to signed and unsigned targets, narrower, wider, coarser, finer."""
    x = make_node("x", "input", type=TypeArray.of([1] * 10 + [0] * 10, 10, 4))
    nodes, names = [x], []
    for overflow in Overflow:
        signed = [1, 1, 1, 1, 1, 0, 0, 0, 0, 0] * 2
        width = [5, 12, 3, 1, 0, 5, 12, 3, 1, 7] * 2
        frac = [2, 6, -3, 4, 2, 2, 6, -3, 4, 9] * 2
        node = make_node(f"q_{overflow.lower()}", "quantize", [x], type=TypeArray.of(signed, width, frac, rounding, overflow))
        nodes.append(node)
        names.append(node.name)
    graph = verify(Graph(tuple(nodes), ("x",), tuple(names)))
    codes = np.arange(1024)
    rows = np.concatenate([np.tile(codes[:, None] - 512, 10), np.tile(codes[:, None], 10)], axis=1)
    prove(graph, rows, tmp_path)


@pytest.mark.parametrize(("seed", "mode"), list(enumerate(MODES))[::4])
def test_networks(seed: int, mode: tuple[Rounding, Overflow], tmp_path: Path) -> None:
    graph = random_network(seed, (6, 5, 4), rounding=mode[0], overflow=mode[1], skip=True)
    prove(graph, random_rows(graph, 2000), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "mode"), list(enumerate(MODES * 3, 100)))
def test_more_networks(seed: int, mode: tuple[Rounding, Overflow], tmp_path: Path) -> None:
    graph = random_network(seed, (12, 10, 6), rounding=mode[0], overflow=mode[1], skip=seed % 2 == 0)
    prove(graph, random_rows(graph, 100_000), tmp_path)


def test_dense_over_the_last_axis_and_reshape(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = make_node("x", "input", type=TypeArray.of(1, rng.integers(1, 5, (3, 4)), rng.integers(0, 3, (3, 4))))
    dense = make_node("dense", "dense", [x], attrs={"kernel": random_constant(rng, (4, 2)), "bias": random_constant(rng, (2,))})
    flat = make_node("int", "reshape", [dense], attrs={"shape": (6,)}, source='odd*/ "name"\\\n#include')
    graph = verify(Graph((x, dense, flat), ("x",), ("int",)))
    prove(graph, random_rows(graph, 500), tmp_path)


def every_code(*nodes: Node) -> np.ndarray:
    """All combinations of the codes of all elements of the input nodes, as rows."""
    types = [t for node in nodes for t in node.type]
    grids = np.meshgrid(*[np.arange(t.lowest, t.highest + 1) for t in types], indexing="ij")
    return np.stack([grid.ravel() for grid in grids], axis=1)


def quantised(nodes: list[Node], sources: list[Node], mode: tuple[Rounding, Overflow]) -> list[str]:
    """Each source itself and behind a narrow quantise in `mode`, as outputs: signed and unsigned, coarser and finer in turn."""
    names = [node.name for node in sources]
    for k, node in enumerate(sources):
        signed, width = (np.arange(node.type.size) + k) % 2, 2 + (np.arange(node.type.size) + k) % 3
        frac = node.type.frac.ravel().astype(int) - 1 - (np.arange(node.type.size) + k) % 3
        types = TypeArray.of(signed.reshape(node.shape), width.reshape(node.shape), frac.reshape(node.shape), *mode)
        nodes.append(make_node(f"q_{node.name}", "quantize", [node], type=types))
        names.append(nodes[-1].name)
    return names


def modes(*quick: tuple[Rounding, Overflow]) -> pytest.MarkDecorator:
    """Every rounding with every overflow; all but the `quick` ones are slow."""
    cases = [pytest.param(m, id="-".join(m), marks=() if m in quick else pytest.mark.slow) for m in MODES]
    return pytest.mark.parametrize("mode", cases)


@modes((Rounding.RND, Overflow.WRAP))
def test_ops_of_two_inputs_exhaustively(mode: tuple[Rounding, Overflow], tmp_path: Path) -> None:
    """Signed and unsigned operands with steps apart, 14 bits together: every pair of codes, before and after a quantise."""
    a = make_node("a", "input", type=TypeArray.of([1, 0], [4, 3], [1, 3]))
    b = make_node("b", "input", type=TypeArray.of([0, 1], [3, 4], [2, 0]))
    pairs = [make_node(op, op, [a, b]) for op in ("add", "subtract", "multiply", "maximum", "minimum")]
    square = make_node("square", "multiply", [a, a])
    joined = make_node("joined", "concatenate", [pairs[2], square, b], attrs={"axis": 0})
    nodes = [a, b, *pairs, square, joined]
    names = quantised(nodes, [*pairs, square, joined], mode)
    prove(verify(Graph(tuple(nodes), ("a", "b"), tuple(names))), every_code(a, b), tmp_path)


@modes((Rounding.RND_CONV, Overflow.SAT))
def test_ops_of_one_input_exhaustively(mode: tuple[Rounding, Overflow], tmp_path: Path) -> None:
    """14 bits of four elements: every code through relu, leaky relu, tables, constants, pools, windows and rearrangements."""
    rng = np.random.default_rng(1)
    x = make_node("x", "input", type=TypeArray.of([[[1], [0]], [[1], [1]]], [[[5], [3]], [[4], [2]]], [[[2], [3]], [[0], [1]]]))
    values, index = random_constant(rng, (2, 32), 6, 0.2), (0, 1, 1, 0)
    pool = {"size": (2, 1), "strides": (1, 1), "pads": (0, 0, 1, 0)}
    conv = {"kernel": random_constant(rng, (2, 2, 1, 2), 4, 0.2), "bias": random_constant(rng, (2,), 4, 0)}
    place = {"strides": (1, 1), "pads": (1, 0, 0, 1), "dilation": (1, 1), "groups": 1}
    einsum = {"kernel": random_constant(rng, (2, 2), 4, 0.2), "bias": random_constant(rng, (2, 1, 2), 4, 0)}
    results = [
        make_node("leaky", "leaky_relu", [x], attrs={"shift": 2}),
        make_node("table", "table", [x], attrs={"values": values, "index": index}),
        make_node("scale", "scale", [x], attrs={"factor": random_constant(rng, x.shape, 5, 0)}),
        make_node("bias", "bias", [x], attrs={"bias": random_constant(rng, x.shape, 5, 0)}),
        make_node("max", "max_pool2d", [x], attrs={**pool, "pads": (0, 0, 0, 0)}),
        make_node("sum", "sum_pool2d", [x], attrs=pool),
        make_node("conv", "conv2d", [x], attrs={**conv, **place}),
        make_node("einsum", "einsum", [x], attrs={"equation": "abc,bd->acd", **einsum}),
        make_node("permute", "permute", [x], attrs={"dims": (2, 1, 0)}),
    ]
    relu = make_node("relu", "relu", [results[2]])
    pad = make_node("pad", "pad", [relu], attrs={"pads": (0, 1, 1, 0, 0, 0)})
    nodes = [x, *results, relu, pad]
    names = quantised(nodes, [*results, pad], mode)
    prove(verify(Graph(tuple(nodes), ("x",), tuple(names))), every_code(x), tmp_path)


@pytest.mark.parametrize("seed", [8])
def test_graphs_of_every_op(seed: int, tmp_path: Path) -> None:
    graph = random_graph(seed, *MODES[seed % len(MODES)], 10)
    prove(graph, random_rows(graph, 2000), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1040))
def test_more_graphs_of_every_op(seed: int, tmp_path: Path) -> None:
    graph = random_graph(seed, *MODES[seed % len(MODES)], 14)
    prove(graph, random_rows(graph, 100_000), tmp_path)


@settings(max_examples=2, deadline=None, derandomize=True, phases=[Phase.generate])
@given(graphs)
def test_any_graph_in_every_evaluator(graph: Graph) -> None:
    with tempfile.TemporaryDirectory() as folder:
        prove(graph, random_rows(graph, 500), Path(folder))


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(graphs)
def test_more_graphs_in_every_evaluator(graph: Graph) -> None:
    with tempfile.TemporaryDirectory() as folder:
        prove(graph, random_rows(graph, 20_000), Path(folder))


@pytest.mark.slow
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(graphs, st.sampled_from(["xcvu9p", "ulx3s-85f"]))
def test_more_mapped_netlists(graph: Graph, board: str) -> None:
    """What Yosys makes of the Verilog, with its own models of the part's cells."""
    made = build(graph, boards.load(board))
    x = random_rows(graph, 2000)
    with tempfile.TemporaryDirectory() as folder:
        made.plan.write(Path(folder))
        run_script("yosys/synth.ys", cwd=Path(folder), log=Path(folder) / "yosys" / "synth.log", outputs=[NETLIST])
        got = to_types(mapped(made, Path(folder), x), made.graph, graph)
    result = compare(graph, "reference", evaluate(graph, x), "netlist", got)
    assert result.mismatches == 0, str(result)


def test_a_small_image_network(tmp_path: Path) -> None:
    """Convolution, depthwise and pointwise, pooling, a skip connection, a table, dense: more than 16 bits of input."""
    rng = np.random.default_rng(4)
    x = make_node("x", "input", type=TypeArray.of(0, np.full((6, 6, 1), 3), 2))
    nodes = [x]

    def grow(op: str, source: Node, **attrs: Attr) -> Node:
        nodes.append(make_node(f"{op}_{len(nodes)}", op, [source], attrs=attrs))
        return nodes[-1]

    def quantize(source: Node, bits: int) -> Node:
        types = TypeArray.of(0, np.full(source.shape, bits), 1, Rounding.RND, Overflow.SAT)
        nodes.append(make_node(f"q_{len(nodes)}", "quantize", [source], type=types))
        return nodes[-1]

    def conv(source: Node, shape: tuple[int, ...], groups: int = 1, pad: int = 0) -> Node:
        kernel, bias = random_constant(rng, shape, 3, 0.4), random_constant(rng, shape[3:], 3, 0.2)
        pads = (pad,) * 4
        return grow("conv2d", source, kernel=kernel, bias=bias, strides=(1, 1), pads=pads, dilation=(1, 1), groups=groups)

    first = quantize(grow("relu", conv(x, (3, 3, 1, 2))), 4)
    depthwise = quantize(conv(first, (3, 3, 1, 2), groups=2, pad=1), 4)
    pointwise = quantize(conv(depthwise, (1, 1, 2, 2)), 4)
    nodes.append(make_node("skip", "add", [pointwise, first]))
    pooled = quantize(grow("max_pool2d", nodes[-1], size=(2, 2), strides=(2, 2), pads=(0, 0, 0, 0)), 4)
    table = grow("table", pooled, values=random_constant(rng, (1, 16), 5, 0), index=(0,) * pooled.type.size)
    flat = grow("reshape", table, shape=(8,))
    grow("dense", flat, kernel=random_constant(rng, (8, 3), 4, 0.4), bias=random_constant(rng, (3,), 4, 0))
    graph = verify(Graph(tuple(nodes), ("x",), (nodes[-1].name,)))
    prove(graph, random_rows(graph, 3000), tmp_path)


@pytest.mark.skipif(find("verilator") is None, reason="Verilator is not installed")
@pytest.mark.parametrize("sizes", [(3, 2, 2), (6, 5, 4), (24, 8, 5)])
def test_verilator_and_cxxrtl_agree(sizes: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ports of up to 32, up to 64 and more bits, which Verilator passes in three ways."""
    graph = random_network(5, sizes, skip=True)
    x = random_rows(graph, 300)
    prove(graph, x, tmp_path / "verilator")
    monkeypatch.setattr("hwq.sim.rtlsim.find", lambda _: None)
    prove(graph, x, tmp_path / "cxxrtl")


def test_a_difference_is_found_and_named() -> None:
    graph = random_network(0)
    want = evaluate(graph, random_rows(graph, 50))
    wrong = want.copy()
    wrong[7, 2] += 1
    found = compare(graph, "a", want, "b", wrong)
    assert found.mismatches == 1
    assert found.first == Mismatch(7, graph.outputs[0], 2, int(want[7, 2]), int(want[7, 2]) + 1)
    assert "sample 7" in str(found) and "element 2" in str(found)


def test_a_float_between_two_steps_is_never_equal() -> None:
    graph = random_network(0)
    want = evaluate(graph, random_rows(graph, 5))
    frac = graph[graph.outputs[0]].type.frac.astype(int)
    values = np.ldexp(want.astype(float), -frac)
    assert compare(graph, "a", want, "b", mantissas_of(values, graph)).mismatches == 0
    values[3, 1] += 2.0 ** (-frac[1] - 2)
    assert compare(graph, "a", want, "b", mantissas_of(values, graph)).mismatches == 1


def test_generated_files_are_the_same_twice() -> None:
    graph, board = random_network(4), boards.load("xcvu9p")
    assert build(graph, board).plan.files == build(graph, board).plan.files
    assert build(graph, board).plan.digest != build(graph, boards.load("pynq-z2")).plan.digest
