"""Folded designs: reference = model = RTL = netlist, for rows back to back and with gaps; clocks exactly; what lies where in time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from every_op import MODES, ops_of_one_input
from networks import random_constant, random_graph, random_network, random_rows
from wrong_designs import assert_found

from hwq import boards
from hwq.codegen.build import Build, Form
from hwq.codegen.harness import harness_files
from hwq.codegen.ports import ports_of
from hwq.errors import GraphError, UsageError
from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.ir import Constant, Graph, make_node, verify
from hwq.reports.types import Resources
from hwq.reports.yosys import read_stat
from hwq.sim.compare import compare
from hwq.sim.csim import csim
from hwq.sim.emulator import emulator_of
from hwq.sim.netlist import evaluate_mapped
from hwq.sim.reference import evaluate
from hwq.sim.rtlsim import NETLIST, affordable, rtlsim
from hwq.styles.mac import model
from hwq.styles.mac.lanes import SHALLOW, fold
from hwq.styles.mac.style import Mac
from hwq.styles.mac.terms import terms_of
from hwq.tools.yosys import run_script

GAPS = (0, 1, 5, 0, 0, 23)


def mac(graph: Graph, interval: int, board: str = "xcvu9p") -> Mac:
    return Mac.of(graph, boards.load(board), interval=interval)


def same(graph: Graph, want: np.ndarray, name: str, got: np.ndarray) -> None:
    result = compare(graph, "reference", want, name, got)
    assert result.mismatches == 0, str(result)


def modelled(graph: Graph, rows: np.ndarray, *intervals: int) -> None:
    """The integer model, clock by clock, back to back and with gaps."""
    for interval in intervals:
        found = mac(graph, interval)
        want = evaluate(found.optimised, rows)
        machine = found.machine()
        assert machine.interval <= max(2, interval)
        same(found.optimised, want, f"model at {interval}", model.evaluate(machine, rows))
        same(found.optimised, want[:200], f"model at {interval} with gaps", model.evaluate(machine, rows[:200], GAPS))


def simulated(graph: Graph, rows: np.ndarray, folder: Path, interval: int, board: str = "xcvu9p") -> Build:
    """C++ and RTL; the test bench checks the interval, the latency and rows that come late as well."""
    made = mac(graph, interval, board).build()
    made.plan.write(folder)
    want = evaluate(made.graph, rows)
    same(made.graph, want, "csim", csim(made, folder, rows))
    same(made.graph, want, "rtl", rtlsim(made, folder, rows))
    same(made.graph, want, "emulator", emulator_of(made).evaluate(rows))
    return made


def synthesised(made: Build, folder: Path) -> Resources:
    made.plan.write(folder)
    run_script("yosys/synth.ys", cwd=folder, log=folder / "yosys" / "synth.log", outputs=[NETLIST])
    return read_stat(folder / "yosys" / "stat.json")


def dense(seed: int, inputs: int, outputs: int, zeros: float = 0.5, bits: int = 5) -> Graph:
    """A signed layer with ReLU and saturation, weights of `bits` bits at one step."""
    rng = np.random.default_rng(seed)
    x = make_node("x", "input", type=TypeArray.of(np.arange(inputs) % 3 > 0, np.full(inputs, 5), 3))
    kernel = rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), (inputs, outputs))
    kernel = np.where(rng.random(kernel.shape) < zeros, 0, kernel)
    attrs = {
        "kernel": Constant(kernel, TypeArray.of(1, np.where(kernel == 0, 0, bits), 4)),
        "bias": random_constant(rng, (outputs,), 6),
    }
    y = make_node("y", "dense", [x], attrs=attrs)
    narrow = make_node("q", "quantize", [y], type=TypeArray.of(1, np.full(outputs, 4), 0, Rounding.RND, Overflow.SAT))
    return verify(Graph((x, y, narrow), ("x",), ("q",)))


def branches() -> Graph:
    """Two products of one operand, their sum, a product of that, and what came in, which has waited for all of them."""
    rng = np.random.default_rng(5)
    x = make_node("x", "input", type=TypeArray.of(1, [4, 3, 5, 4], [1, 0, 2, 3]))

    def product(name: str, source: object, shape: tuple[int, int]) -> object:
        attrs = {"kernel": random_constant(rng, shape, 4, 0.3), "bias": random_constant(rng, shape[1:], 5)}
        return make_node(name, "dense", [source], attrs=attrs)  # type: ignore[list-item]

    a, b = product("a", x, (4, 4)), product("b", x, (4, 4))
    both = make_node("both", "add", [a, b])  # type: ignore[list-item]
    q = make_node("q", "quantize", [both], type=TypeArray.of(1, np.full(4, 5), 1, Rounding.RND_CONV, Overflow.SAT))
    c = product("c", q, (4, 4))
    end = make_node("end", "add", [c, x])  # type: ignore[list-item]
    pair = make_node("pair", "multiply", [end, b])  # type: ignore[list-item]
    return verify(Graph((x, a, b, both, q, c, end, pair), ("x",), ("pair",)))  # type: ignore[arg-type]


@pytest.mark.parametrize(("seed", "mode"), list(enumerate(MODES)), ids=[f"{k}-{'-'.join(m)}" for k, m in enumerate(MODES)])
def test_networks_in_every_mode(seed: int, mode: tuple[Rounding, Overflow]) -> None:
    graph = random_network(seed, (6, 5, 4, 3), rounding=mode[0], overflow=mode[1], skip=True)
    modelled(graph, random_rows(graph, 300), 2, 5, 40)


@pytest.mark.parametrize("seed", range(8))
def test_random_graphs(seed: int) -> None:
    """Products of windows, of matrices of each place, and all other ops between them."""
    graph = random_graph(seed, *MODES[seed % len(MODES)], 10)
    try:
        mac(graph, 6)
    except GraphError as error:
        assert "nothing to fold" in str(error)
        return
    modelled(graph, random_rows(graph, 200), 6, 25)


@pytest.mark.parametrize("interval", [2, 3, 7, 60])
def test_branches_and_what_waits_for_them(interval: int) -> None:
    """A word that is read after several rows have come in is kept as often."""
    graph = branches()
    modelled(graph, random_rows(graph, 300), interval)
    assert max(mac(graph, 3).machine().holds.values()) > 2


@pytest.mark.parametrize(
    ("graph", "interval"),
    [
        pytest.param(branches(), 2, marks=pytest.mark.slow),
        (branches(), 9),
        pytest.param(dense(1, 40, 12), 13, marks=pytest.mark.slow),  # the row two and four elements a clock, several lanes a group
        (dense(2, 30, 24), 400),  # deep memories, one lane
        (random_network(4, (7, 6, 5), rounding=Rounding.RND_CONV, overflow=Overflow.SAT_SYM, skip=True), 11),
    ],
    ids=["branches-2", "branches-9", "wide", "deep", "skip"],
)
def test_rtl_and_csim(graph: Graph, interval: int, tmp_path: Path) -> None:
    simulated(graph, random_rows(graph, 120), tmp_path, interval)


@pytest.mark.parametrize(
    ("interval", "board"),
    [(20, "ulx3s-85f"), *(pytest.param(n, board, marks=pytest.mark.slow) for n, board in ((4, "pynq-z2"), (5, "xcvu9p")))],
)
def test_mapped_netlist(interval: int, board: str, tmp_path: Path) -> None:
    graph = dense(interval, 6, 3) if interval == 5 else random_network(interval, (5, 4, 3), overflow=Overflow.SAT)
    rows = random_rows(graph, 100)
    made = mac(graph, interval, board).build()
    found = synthesised(made, tmp_path)
    assert found.lut and found.ff and not found.dsp
    got = evaluate_mapped(made, tmp_path, rows)
    assert got is not None
    same(made.graph, evaluate(made.graph, rows), "netlist", got)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES, ids="-".join)
def test_rtl_and_csim_in_every_mode(mode: tuple[Rounding, Overflow], tmp_path: Path) -> None:
    graph = random_network(3, (6, 5, 4), rounding=mode[0], overflow=mode[1], skip=True)
    for interval in (2, 12):
        simulated(graph, random_rows(graph, 300), tmp_path / str(interval), interval)


def test_zeros_take_no_steps_and_lanes_have_their_own_widths() -> None:
    """Steps are those of the longest group; every weight is there once; the first lane of a group is the widest."""
    rng = np.random.default_rng(2)
    bits = rng.integers(1, 8, (64, 24))
    kernel = np.where(rng.random(bits.shape) < 0.5, 0, rng.integers(0, 2, bits.shape) * 2 - 1) * (1 << (bits - 1))
    kernel += np.where(kernel > 1, rng.integers(0, 2, bits.shape), 0)
    x = make_node("x", "input", type=TypeArray.of(0, np.full(64, 4), 0))
    weights = Constant(kernel, TypeArray.of(1, np.where(kernel == 0, 0, 9), 0))
    none = Constant(np.zeros(24, np.int64), TypeArray.of(0, np.zeros(24, np.int64), 0))
    node = make_node("y", "dense", [x], attrs={"kernel": weights, "bias": none})
    terms = terms_of(node, x.type)
    nonzero = int((kernel != 0).sum())
    for interval in (8, 30, 100, 2000):
        found = fold("y", terms, interval)
        assert found.steps <= interval
        assert sum(int((group.weights != 0).sum()) for group in found.groups) == nonzero
        assert found.lanes * found.steps >= nonzero
        assert found.lanes <= nonzero / interval * 1.5 + 1
        for group in found.groups:
            widths = [lane.width + lane.up - lane.signed for lane in group.lanes]
            assert widths == sorted(widths, reverse=True)
            assert int(group.last.sum()) == len(group.outputs) and group.last[-1]
    wide = next(f for i in (8, 9, 10) if len((f := fold("y", terms, i)).groups[0].lanes) > 1)
    assert wide.groups[0].lanes[-1].width < wide.groups[0].lanes[0].width


def test_deep_weights_lie_in_block_memories(tmp_path: Path) -> None:
    """As many as their bits need, counted by Yosys; shallow ones are look-up tables."""
    graph = dense(3, 40, 30, bits=6)
    deep = mac(graph, 700, "pynq-z2")
    made = deep.build()
    assert all(f.steps > SHALLOW for f in deep.foldings.values())
    found = synthesised(made, tmp_path)
    assert found.bram36 == made.features["mac_blocks"] > 0  # type: ignore[index]
    assert not mac(graph, 60).build().plan.files["rtl/hwq_top.v"].count('rom_style = "block"')


@pytest.mark.slow
@pytest.mark.parametrize("board", ["pynq-z2", "xcvu9p"])
def test_mapped_netlist_with_block_memories(board: str, tmp_path: Path) -> None:
    """Weights and the row in block memories: narrow words of many, wide words of few."""
    graph = dense(4, 150, 20, bits=6)
    rows = random_rows(graph, 6)
    made = mac(graph, 300, board).build()
    assert "DEEP(1)" in made.plan.files["rtl/hwq_top.v"]
    assert (synthesised(made, tmp_path).bram36 or 0) > 1
    got = evaluate_mapped(made, tmp_path, rows)
    assert got is not None
    same(made.graph, evaluate(made.graph, rows), "netlist", got)


def test_what_cannot_be_is_refused() -> None:
    graph, _ = ops_of_one_input(MODES[0])
    rest = verify(Graph(graph.nodes[:1], graph.inputs, (graph.nodes[0].name,)))
    with pytest.raises(GraphError, match="nothing to fold for an interval of 9: no product"):
        mac(rest, 9)
    with pytest.raises(UsageError, match="stores its inputs anyway"):
        mac(dense(0, 4, 3), 5).build(Form(registered_inputs=True))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("assign valid = ", "assign valid = ready & ", "valid is"),
        ("if (filled) half <= ~half;", "", ""),  # a row is written over the one that is read
        ("_fresh <= g0_last", "_fresh <= 1'b0 & g0_last", ""),  # a sum goes on with the one before
    ],
)
def test_a_wrong_design_is_found(old: str, new: str, says: str, tmp_path: Path) -> None:
    graph = dense(1, 9, 6)
    rows = random_rows(graph, 60)
    made = mac(graph, 9).build()
    assert_found(made, rows, (old, new), says, tmp_path)


def test_long_intervals_and_latencies_have_fewer_rows_and_wider_counters() -> None:
    """A row of thousands of clocks: as many rows as there is time for; the harness of a board counts as far as the latency."""
    graph = dense(0, 4, 3)
    made = mac(graph, 5).build()
    assert affordable(replace(made, interval=1), 10**6) == 10**6
    assert affordable(replace(made, interval=4096), 2000) == 64 and affordable(replace(made, interval=1 << 20), 2000) == 20
    for latency, bits in ((65_533, 16), (65_534, 17)):
        files = harness_files(ports_of(graph), boards.load("ulx3s-85f"), "hwq_top", latency, "0" * 16, 9)
        assert f"reg [{bits - 1}:0] count = 0;" in files["board/hwq_top_board.v"]
