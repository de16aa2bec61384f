"""Digit-serial designs: reference = model = RTL = netlist, for rows back to back and with gaps; clocks exactly; and what they cost."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from every_op import MODES, comparisons, ops_of_one_input, ops_of_two_inputs, quantisers
from networks import random_constant, random_graph, random_network, random_rows
from wrong_designs import assert_found

from hwq import boards
from hwq.codegen.build import Build, Form
from hwq.design.target import Target
from hwq.errors import GraphError, UsageError
from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.ir import Constant, Graph, make_node, verify
from hwq.reports.types import Resources
from hwq.reports.yosys import read_stat
from hwq.sim.compare import compare
from hwq.sim.csim import csim
from hwq.sim.emulator import emulator
from hwq.sim.netlist import evaluate_mapped
from hwq.sim.reference import evaluate
from hwq.sim.rtlsim import NETLIST, rtlsim
from hwq.styles.choice import build_at
from hwq.styles.serial import model
from hwq.styles.serial.machine import DigitSum
from hwq.styles.serial.schedule import Roles
from hwq.styles.serial.style import Serial
from hwq.tools.yosys import run_script

GAPS = (0, 1, 5, 0, 0, 23)
PARALLEL = 2717  # LUT of the reference layer's parallel form with sums of two; with sums of three it is 1734


def serial(graph: Graph, board: str = "xcvu9p") -> Serial:
    return Serial.of(graph, boards.load(board))


def same(graph: Graph, want: np.ndarray, name: str, got: np.ndarray) -> None:
    result = compare(graph, "reference", want, name, got)
    assert result.mismatches == 0, str(result)


def digits(found: Serial, *wanted: int) -> list[int]:
    """Those of the wanted digits that are less than a word; the longest."""
    return sorted({d for d in (*wanted, found.word - 1) if 1 <= d < found.word})


def modelled(graph: Graph, rows: np.ndarray, *wanted: int) -> None:
    """The integer model, clock by clock, of several digits, back to back and with gaps."""
    found = serial(graph)
    want = evaluate(found.optimised, rows)
    for digit in digits(found, *wanted):
        machine = found.machine(digit)
        assert machine.interval == -(-found.word // digit)
        same(found.optimised, want, f"model of serial:{digit}", model.evaluate(machine, rows))
        same(found.optimised, want[:200], f"model of serial:{digit} with gaps", model.evaluate(machine, rows[:200], GAPS))


def simulated(graph: Graph, rows: np.ndarray, folder: Path, digit: int, board: str = "xcvu9p") -> Build:
    """C++, emulator and RTL; the test bench checks the interval, the latency and rows that come late as well."""
    made = serial(graph, board).build(digit)
    made.plan.write(folder)
    want = evaluate(made.graph, rows)
    same(made.graph, want, "rtl", rtlsim(made, folder, rows))
    same(made.graph, want, "emulator", emulator(made.graph, made.circuit).evaluate(rows))
    return made


def synthesised(made: Build, folder: Path) -> Resources:
    made.plan.write(folder)
    run_script("yosys/synth.ys", cwd=folder, log=folder / "yosys" / "synth.log", outputs=[NETLIST])
    return read_stat(folder / "yosys" / "stat.json")


@pytest.mark.parametrize("rounding", list(Rounding))
def test_quantisers_of_every_mode(rounding: Rounding) -> None:
    """Every code of a signed and an unsigned input, to targets that are narrower, wider, coarser and finer."""
    modelled(*quantisers(rounding), 1, 3)


@pytest.mark.parametrize("mode", MODES[::5], ids="-".join)
def test_ops_of_two_inputs(mode: tuple[Rounding, Overflow]) -> None:
    """Products and comparisons of two signals are words between streams."""
    graph, rows = ops_of_two_inputs(mode)
    modelled(graph, rows[::11], 1, 2, 3)


@pytest.mark.parametrize("mode", MODES[2::6], ids="-".join)
def test_ops_of_one_input(mode: tuple[Rounding, Overflow]) -> None:
    graph, rows = ops_of_one_input(mode)
    modelled(graph, rows[::37], 1, 4)


def test_words_around_those_of_a_processor() -> None:
    graph, rows = comparisons()
    modelled(graph, rows, 8, 40)


@pytest.mark.parametrize(("seed", "mode"), list(enumerate(MODES)), ids=[f"{k}-{'-'.join(m)}" for k, m in enumerate(MODES)])
def test_networks_with_skips(seed: int, mode: tuple[Rounding, Overflow]) -> None:
    graph = random_network(seed, (6, 5, 4), rounding=mode[0], overflow=mode[1], skip=True)
    modelled(graph, random_rows(graph, 300), 1, 2, 5)


@pytest.mark.parametrize("seed", range(6))
def test_random_graphs(seed: int) -> None:
    graph = random_graph(seed, *MODES[seed % len(MODES)], 10)
    if serial(graph).word > 1:
        modelled(graph, random_rows(graph, 200), 1, 3)


@pytest.mark.parametrize(  # test_serial_commands.py takes a design for xcvu9p all the way
    ("digit", "board"),
    [pytest.param(1, "xcvu9p", marks=pytest.mark.slow), pytest.param(5, "pynq-z2", marks=pytest.mark.slow), (2, "ulx3s-85f")],
)
def test_rtl_and_mapped_netlist(digit: int, board: str, tmp_path: Path) -> None:
    graph = random_network(digit, (4, 3, 2), rounding=Rounding.RND_CONV, overflow=Overflow.SAT_SYM)
    rows = random_rows(graph, 300)
    made = simulated(graph, rows, tmp_path, digit, board)
    found = synthesised(made, tmp_path)
    assert found.lut and found.ff
    got = evaluate_mapped(made, tmp_path, rows)
    assert got is not None
    same(made.graph, evaluate(made.graph, rows), "netlist", got)


@pytest.mark.parametrize("digit", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_rtl_of_every_op(digit: int, tmp_path: Path) -> None:
    graph, rows = (
        ops_of_one_input((Rounding.RND_CONV, Overflow.SAT)) if digit == 1 else ops_of_two_inputs((Rounding.RND, Overflow.WRAP))
    )
    simulated(graph, rows[::9], tmp_path, digit)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES, ids="-".join)
def test_rtl_and_csim_in_every_mode(mode: tuple[Rounding, Overflow], tmp_path: Path) -> None:
    for k, (graph, rows) in enumerate((ops_of_one_input(mode), ops_of_two_inputs(mode), quantisers(mode[0]))):
        for digit in (1, 3):
            made = simulated(graph, rows, tmp_path / f"{k}-{digit}", digit)
            same(made.graph, evaluate(made.graph, rows), "csim", csim(made, tmp_path / f"{k}-{digit}", rows))


def test_the_cpp_stays_at_words_and_is_told_the_interval(tmp_path: Path) -> None:
    graph = random_network(2, (3, 2))
    rows = random_rows(graph, 200)
    for form in (Form(style="adders"), Form()):
        made = serial(graph).build(2, form)
        assert f"#pragma HLS PIPELINE II={made.interval}\n" in made.plan.files["hls/hwq_top.cpp"] and made.interval > 1
        made.plan.write(tmp_path / form.style)
        same(made.graph, evaluate(made.graph, rows), "csim", csim(made, tmp_path / form.style, rows))


def layer(inputs: int = 64, outputs: int = 32) -> Graph:
    """Three of four weights zero, 4-bit weights, 4-bit activations in and out, ReLU and saturation (folding's reference layer)."""
    rng = np.random.default_rng(0)
    kernel = rng.integers(-7, 8, (inputs, outputs))
    kernel = np.where(rng.random(kernel.shape) < 0.75, 0, kernel)
    x = make_node("x", "input", type=TypeArray.of(0, np.full(inputs, 4), 0))
    weights = Constant(kernel, TypeArray.of(1, np.where(kernel == 0, 0, 4), 0))
    none = Constant(np.zeros(outputs, np.int64), TypeArray.of(0, np.zeros(outputs, np.int64), 0))
    dense = make_node("y", "dense", [x], attrs={"kernel": weights, "bias": none})
    relu = make_node("r", "relu", [dense])
    narrow = make_node("q", "quantize", [relu], type=TypeArray.of(0, np.full(outputs, 4), -4, Rounding.TRN, Overflow.SAT))
    return verify(Graph((x, dense, relu, narrow), ("x",), ("q",)))


def test_the_reference_layer_is_a_third_of_the_parallel_form(tmp_path: Path) -> None:
    """64 x 32: at most 1 900 LUT at an interval of 13, by Yosys; a full adder is one table, so that it is far less."""
    graph, board = layer(), boards.load("xcvu9p")
    bit = build_at(graph, board, interval=13)
    assert bit.interval <= 13 and bit.plan.hardware == "serial:1"
    small = synthesised(bit, tmp_path).lut
    assert small is not None and small <= 1900 and small <= 0.3 * PARALLEL
    assert small < 1.5 * sum(isinstance(s, DigitSum) for s in serial(graph).machine(1).streams.values())


def test_every_digit_is_a_step_on_the_front() -> None:
    """More bits a clock never take more clocks, and always more full adders, up to the parallel form's."""
    found = serial(layer(16, 8))
    machines = [found.machine(d) for d in range(1, found.word)]
    assert [m.interval for m in machines] == [-(-found.word // d) for d in range(1, found.word)]
    assert all(b.latency <= a.latency for a, b in itertools.pairwise(machines))
    assert found.adds_less(1) and not found.adds_less(found.word)


def test_the_fewest_bits_that_keep_the_interval() -> None:
    graph, board = layer(16, 8), boards.load("xcvu9p")
    word = serial(graph).word
    for interval in range(1, word + 3):
        made = build_at(graph, board, interval=interval)
        digit = -(-word // interval)
        if made.plan.hardware == "parallel":
            assert made.interval == 1 and (interval == 1 or not serial(graph).adds_less(digit))
        else:
            assert made.plan.hardware == f"serial:{digit}" and made.interval <= interval
            assert digit == 1 or -(-word // (digit - 1)) > interval
    assert build_at(graph, board, interval=1000).plan.hardware == "serial:1"
    assert build_at(graph, board).plan.digest == build_at(graph, board, interval=1).plan.digest


def test_what_cannot_be_is_refused() -> None:
    graph, board = layer(8, 4), boards.load("xcvu9p")
    with pytest.raises(UsageError, match="an interval of 0"):
        build_at(graph, board, interval=0)
    for odd in (2.5, "4", None, float("nan"), float("inf"), True):
        for fold in ("auto", "serial", "mac"):
            with pytest.raises(UsageError, match="whole clocks") as caught:
                build_at(graph, board, form=Form(fold=fold), interval=odd)  # type: ignore[arg-type]
            assert caught.value.hint
        with pytest.raises(UsageError, match="whole clocks"):
            Target.of("xcvu9p", interval=odd)  # type: ignore[typeddict-item]
    assert build_at(graph, board, interval=np.int64(8)).interval == build_at(graph, board, interval=8).interval
    with pytest.raises(UsageError, match="stores its inputs anyway"):
        build_at(graph, board, form=Form(registered_inputs=True), interval=8)
    for digit in (0, serial(graph).word):
        with pytest.raises(GraphError, match="for a word of"):
            serial(graph).machine(digit)


def test_signed_inputs_shifts_and_negations_share_no_row(tmp_path: Path) -> None:
    """Rows of extremes in turn: what the sign of one leaves behind must not reach the next."""
    rng = np.random.default_rng(3)
    x = make_node("x", "input", type=TypeArray.of(1, np.full(4, 5), [0, 3, -2, 1]))
    attrs = {"kernel": random_constant(rng, (4, 6), 5, 0.2), "bias": random_constant(rng, (6,), 5, 0.3)}
    graph = verify(Graph((x, y := make_node("y", "dense", [x], attrs=attrs)), ("x",), (y.name,)))
    rows = np.tile([[-16, -16, -16, -16], [15, 15, 15, 15], [-1, 0, -16, 15], [0, 0, 0, 0]], (40, 1))
    modelled(graph, rows, 1, 2, 3, 7)
    simulated(graph, rows, tmp_path, 1)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("assign valid = token[", "assign valid = token[-1 + ", "valid is"),  # a clock early
        ("if (clear) carry <= SUB[0];", "if (1'b0) carry <= SUB[0];", ""),  # what a row leaves in the carry
    ],
)
def test_a_wrong_design_is_found(old: str, new: str, says: str, tmp_path: Path) -> None:
    graph = random_network(1, (5, 4, 3))
    rows = random_rows(graph, 60)
    made = serial(graph).build(1)
    assert_found(made, rows, (old, new), says, tmp_path)


def test_streams_and_words_of_a_layer() -> None:
    """Sums are streams, what is compared is a word; a shift of a word is wiring."""
    found = Roles.of(serial(layer(8, 4)).circuit)
    names = {found.circuit.opcode[w] for w in found.streamed}
    assert names and found.whole and set(found.numbers) == found.streamed
