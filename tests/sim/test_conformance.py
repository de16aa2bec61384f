"""Every operation in every evaluator: reference = emulator = C-simulation = RTL, by integer equality; quantisers exhaustively in every mode."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from networks import random_network, random_rows

from hwq import boards
from hwq.codegen.build import build
from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.ir import Graph, make_node, verify
from hwq.sim.compare import Mismatch, compare, mantissas_of, to_types
from hwq.sim.csim import csim
from hwq.sim.emulator import emulator
from hwq.sim.reference import evaluate
from hwq.sim.rtlsim import rtlsim
from hwq.tools.find import find

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
    from networks import random_constant

    x = make_node("x", "input", type=TypeArray.of(1, rng.integers(1, 5, (3, 4)), rng.integers(0, 3, (3, 4))))
    dense = make_node("dense", "dense", [x], attrs={"kernel": random_constant(rng, (4, 2)), "bias": random_constant(rng, (2,))})
    flat = make_node("int", "reshape", [dense], attrs={"shape": (6,)}, source='odd*/ "name"\\\n#include')
    graph = verify(Graph((x, dense, flat), ("x",), ("int",)))
    prove(graph, random_rows(graph, 500), tmp_path)


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
