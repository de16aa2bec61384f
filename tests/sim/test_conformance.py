"""Every operation in every evaluator: reference = emulator = C-simulation = RTL, by integer equality; quantisers exhaustively in every mode."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from every_op import MODES, comparisons, ops_of_one_input, ops_of_two_inputs, quantisers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import random_constant, random_graph, random_network, random_rows
from strategies import graphs

from hwq import boards
from hwq.codegen.build import Form, build
from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.ir import Attr, Graph, Node, make_node, verify
from hwq.sim.compare import Mismatch, compare, mantissas_of, to_types
from hwq.sim.csim import csim
from hwq.sim.emulator import emulator
from hwq.sim.reference import evaluate
from hwq.sim.rtlsim import NETLIST, mapped, rtlsim
from hwq.tools.find import find
from hwq.tools.yosys import run_script


def prove(graph: Graph, x: np.ndarray, folder: Path) -> None:
    made = build(graph, boards.load("xcvu9p"))
    made.plan.write(folder)
    want = evaluate(graph, x)
    native = emulator(made.graph, made.circuit).evaluate(x)
    for name, got in (("emulator", native), ("csim", csim(made, folder, x)), ("rtl", rtlsim(made, folder, x))):
        result = compare(graph, "reference", want, name, to_types(got, made.graph, graph))
        assert result.mismatches == 0, str(result)
    adders = build(graph, boards.load("xcvu9p"), form=Form(style="adders"))
    adders.plan.write(folder / "adders")
    result = compare(graph, "reference", want, "adders", to_types(csim(adders, folder / "adders", x), made.graph, graph))
    assert result.mismatches == 0, str(result)
    assert (to_types(evaluate(made.graph, x), made.graph, graph) == want).all()


@pytest.mark.parametrize("rounding", [r if r == Rounding.RND_CONV else pytest.param(r, marks=pytest.mark.slow) for r in Rounding])
def test_quantisers_exhaustively(rounding: Rounding, tmp_path: Path) -> None:
    prove(*quantisers(rounding), tmp_path)


@pytest.mark.parametrize(("seed", "mode"), [(8, MODES[8]), *(pytest.param(n, MODES[n], marks=pytest.mark.slow) for n in (0, 4))])
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


def modes(*quick: tuple[Rounding, Overflow]) -> pytest.MarkDecorator:
    """Every rounding with every overflow; all but the `quick` ones are slow."""
    cases = [pytest.param(m, id="-".join(m), marks=() if m in quick else pytest.mark.slow) for m in MODES]
    return pytest.mark.parametrize("mode", cases)


@modes((Rounding.RND, Overflow.WRAP))
def test_ops_of_two_inputs_exhaustively(mode: tuple[Rounding, Overflow], tmp_path: Path) -> None:
    prove(*ops_of_two_inputs(mode), tmp_path)


def test_comparisons_around_the_words_of_a_processor(tmp_path: Path) -> None:
    """Signed with signed, with unsigned, and the other way round: what C++ compares as its own integers of 32 and 64 bits."""
    graph, rows = comparisons()
    widths = {int(w) for name in ("maximum", "pool") for w in graph[name].type.width.ravel()}
    assert {31, 32, 33, 63, 64, 65} <= widths
    prove(graph, rows, tmp_path)


@modes()
def test_ops_of_one_input_exhaustively(mode: tuple[Rounding, Overflow], tmp_path: Path) -> None:
    prove(*ops_of_one_input(mode), tmp_path)


@pytest.mark.slow  # tests/sim/test_random_graphs.py has a hundred of them
@pytest.mark.parametrize("seed", [8])
def test_graphs_of_every_op(seed: int, tmp_path: Path) -> None:
    graph = random_graph(seed, *MODES[seed % len(MODES)], 10)
    prove(graph, random_rows(graph, 2000), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1040))
def test_more_graphs_of_every_op(seed: int, tmp_path: Path) -> None:
    graph = random_graph(seed, *MODES[seed % len(MODES)], 14)
    prove(graph, random_rows(graph, 100_000), tmp_path)


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


@pytest.mark.slow  # tests/sim/test_stream.py and the random models have such layers
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


VERILATOR = pytest.mark.skipif(find("verilator") is None, reason="Verilator is not installed")


def verilated(
    sizes: tuple[int, ...], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Callable[[], npt.NDArray[np.int64]], npt.NDArray[np.int64]]:
    """A simulation by Verilator, with a cache of its own, and what CXXRTL answers, which is what the graph means."""
    graph = random_network(5, sizes, skip=True)
    x = random_rows(graph, 300)
    made = build(graph, boards.load("xcvu9p"))
    made.plan.write(folder)
    monkeypatch.setenv("HWQ_CACHE", str(folder / "cache"))
    want = rtlsim(made, folder, x)
    assert compare(graph, "reference", evaluate(graph, x), "cxxrtl", to_types(want, made.graph, graph)).mismatches == 0
    monkeypatch.delenv("HWQ_VERILATOR", raising=False)
    return lambda: rtlsim(made, folder, x), want


@VERILATOR
@pytest.mark.parametrize(
    "sizes", [(3, 2, 2), pytest.param((6, 5, 4), marks=pytest.mark.slow), pytest.param((24, 8, 5), marks=pytest.mark.slow)]
)
def test_verilator_and_cxxrtl_agree(sizes: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ports of up to 32, up to 64 and more bits, which Verilator passes in three ways."""
    simulate, want = verilated(sizes, tmp_path, monkeypatch)
    assert (simulate() == want).all() and "verilated.cpp" in (tmp_path / "sim" / "verilator_build.log").read_text()


@VERILATOR
@pytest.mark.slow
def test_verilators_own_objects_come_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time, and are made again where they are damaged."""
    simulate, want = verilated((3, 2, 2), tmp_path, monkeypatch)
    log = tmp_path / "sim" / "verilator_build.log"
    for known in (False, True):
        assert (simulate() == want).all()
        assert ("verilated.cpp" in log.read_text()) == (not known)
    for path in (tmp_path / "cache").glob("verilator-*/*.o"):
        path.write_bytes(path.read_bytes()[:100])
    assert (simulate() == want).all() and "verilated.cpp" in log.read_text()
    assert all(path.stat().st_size > 100 for path in (tmp_path / "cache").glob("verilator-*/*.o"))


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
