"""The serial harness: its Verilog, simulated bit by bit on the line, answers what the reference says; the client notices what goes wrong."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from networks import random_network, random_rows

from hwq import boards
from hwq.codegen.build import build
from hwq.codegen.harness import pack, unpack
from hwq.codegen.ports import ports_of
from hwq.errors import BoardError, DataError, ToolError
from hwq.ir import Graph, digest
from hwq.sim.reference import evaluate
from hwq.sim.serial_line import BoardLink, SerialPort
from hwq.toolchains.nextpnr import ecp5_part
from hwq.tools.gxx import compile_program
from hwq.tools.yosys import cxxrtl_headers, find_yosys, run_script
from hwq.units import Period

# standard input and output as the host's side of the line; a byte of silence is sent as 0x00 after a 0xff escape
MAIN = """
#include <cstdio>
#include "board.cpp"
static cxxrtl_design::p_hwq__top__board top;
static void cycles(int n) { for (int i = 0; i < n; i++) { top.p_clk.set<bool>(0); top.step(); top.p_clk.set<bool>(1); top.step(); } }
static int listen(int limit) {
    for (int i = 0; top.p_tx.get<bool>(); i++) { if (i > limit) return -1; cycles(1); }
    cycles(25 / 2);
    int value = 0;
    for (int b = 0; b < 8; b++) { cycles(25); value |= (int)top.p_tx.get<bool>() << b; }
    cycles(25);
    if (!top.p_tx.get<bool>()) return -1;
    cycles(25 / 2);
    return value;
}
int main() {
    top.p_rx.set<bool>(1);
    cycles(100);
    for (int word; (word = getchar()) != EOF;) {
        if (word == 's') {               // send a byte
            int byte = getchar();
            top.p_rx.set<bool>(0); cycles(25);
            for (int b = 0; b < 8; b++) { top.p_rx.set<bool>((byte >> b) & 1); cycles(25); }
            top.p_rx.set<bool>(1); cycles(25);
        } else if (word == 'w') cycles(1300000);  // wait 52 ms
        else if (word == 'r') {          // receive a byte, or say that none came
            int byte = listen(2000);
            putchar(byte < 0 ? 'n' : 'y'); putchar(byte < 0 ? 0 : byte); fflush(stdout);
        }
    }
}
"""


class Simulated:
    """The board as a process that plays every cycle of its clock."""

    def __init__(self, program: Path) -> None:
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdin and self.process.stdout
        self.input, self.output = self.process.stdin, self.process.stdout

    def write(self, content: bytes) -> None:
        for byte in content:
            self.input.write(bytes([ord("s"), byte]))
        self.input.flush()

    def wait(self) -> None:
        self.input.write(b"w")

    def read(self, size: int) -> bytes:
        received = b""
        while len(received) < size:
            self.input.write(b"r")
            self.input.flush()
            there, byte = self.output.read(2)
            if there == ord("n"):
                break
            received += bytes([byte])
        return received


@pytest.fixture(scope="module")
def network() -> Graph:
    return random_network(5, (5, 4, 3))


def play(folder: Path, script: str) -> Simulated:
    """The harness in `folder`, compiled by a Yosys script that ends in board.cpp."""
    (folder / "c.ys").write_text(f"{script}\nproc\nflatten\nopt\nwrite_cxxrtl -O6 -g0 board.cpp\n")
    (folder / "main.cpp").write_text(MAIN)
    run_script("c.ys", cwd=folder, log=folder / "c.log", outputs=["board.cpp"])
    flags = ["-std=c++17", "-O1", "-w", "-I", str(cxxrtl_headers(find_yosys())), "-I", "."]
    compile_program(["main.cpp"], "play", cwd=folder, flags=flags, log=folder / "g.log")
    return Simulated(folder / "play")


@pytest.fixture(scope="module")
def board(network: Graph, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulated]:
    folder = tmp_path_factory.mktemp("board")
    build(network, boards.load("ulx3s-85f")).plan.write(folder)
    simulated = play(folder, "read_verilog rtl/hwq_top.v board/hwq_top_board.v\nhierarchy -check -top hwq_top_board")
    yield simulated
    simulated.input.close()
    simulated.process.wait(10)


@pytest.mark.slow
def test_the_mapped_harness_answers_too(network: Graph, tmp_path: Path) -> None:
    """As synthesised for the part, cells, initial values and all."""
    build(network, boards.load("ulx3s-85f")).plan.write(tmp_path)
    run_script("board/synth.ys", cwd=tmp_path, log=tmp_path / "s.log", outputs=["board/netlist.json"])
    # the netlist carries the cells as empty boxes: take Yosys's own models of them instead
    whole = json.loads((tmp_path / "board" / "netlist.json").read_text())
    whole["modules"] = {"hwq_top_board": whole["modules"]["hwq_top_board"]}
    (tmp_path / "bare.json").write_text(json.dumps(whole))
    simulated = play(tmp_path, "read_verilog -DNO_INCLUDES +/ecp5/cells_sim.v\nread_json bare.json\nhierarchy -top hwq_top_board")
    link = BoardLink(network, digest(network), simulated)
    link.check()
    rows = random_rows(network, 10)
    assert np.array_equal(link.infer(rows), evaluate(network, rows))
    simulated.input.close()
    simulated.process.wait(10)


def test_the_board_says_who_it_is_and_answers_what_the_reference_says(network: Graph, board: Simulated) -> None:
    link = BoardLink(network, digest(network), board)
    link.check()
    rows = random_rows(network, 20)
    assert np.array_equal(link.infer(rows), evaluate(network, rows))


def test_a_row_that_stops_is_forgotten_and_noise_is_ignored(network: Graph, board: Simulated) -> None:
    link = BoardLink(network, digest(network), board)
    board.write(b"X\x01")
    board.wait()
    board.write(b"zz\x00")
    link.check()
    rows = random_rows(network, 3, seed=4)
    assert np.array_equal(link.infer(rows), evaluate(network, rows))


def test_another_design_is_refused(network: Graph, board: Simulated) -> None:
    with pytest.raises(ToolError, match="the board runs design"):
        BoardLink(network, "0" * 16, board).check()


class Canned:
    def __init__(self, answer: bytes) -> None:
        self.answer = answer

    def write(self, content: bytes) -> None: ...

    def read(self, size: int) -> bytes:
        return self.answer[:size]


@pytest.mark.parametrize(("answer", "word"), [(b"", "nothing"), (b"\xff" * 16, "ffff")])
def test_no_answer(answer: bytes, word: str, network: Graph) -> None:
    with pytest.raises(ToolError, match=word):
        BoardLink(network, digest(network), Canned(answer)).check()


@pytest.mark.parametrize("answer", [b"\x01", b"\x5a" * 9])
def test_short_or_damaged_answers(answer: bytes, network: Graph) -> None:
    with pytest.raises(ToolError, match="row 0"):
        BoardLink(network, digest(network), Canned(answer)).infer(random_rows(network, 2))


def test_no_serial_device(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="cannot open"):
        SerialPort(tmp_path / "tty")
    (tmp_path / "file").write_text("")
    with pytest.raises(ToolError, match="no serial device"):
        SerialPort(tmp_path / "file")


def test_packing_is_exact_and_refuses_what_does_not_fit(network: Graph) -> None:
    ports = ports_of(network)
    for row in random_rows(network, 50, seed=9).tolist():
        assert unpack(ports.inputs, pack(ports.inputs, row, ports.input_bits)) == row
    row[0] = 1 << 20
    with pytest.raises(DataError, match="element 0"):
        pack(ports.inputs, row, ports.input_bits)
    with pytest.raises(DataError, match="1 elements"):
        pack(ports.inputs, row[:1], ports.input_bits)


def test_part_names() -> None:
    assert ecp5_part("LFE5U-85F-6BG381C").arguments == ("--85k", "--package", "CABGA381", "--speed", "6")
    assert ecp5_part("LFE5UM5G-85F-8BG381I").arguments == ("--um5g-85k", "--package", "CABGA381", "--speed", "8")
    with pytest.raises(BoardError, match="no part name"):
        ecp5_part("xc7z020clg400-1")


@pytest.mark.parametrize(
    ("clock", "fine"), [("12MHz", True), ("27MHz", True), ("100MHz", True), ("4MHz", False), ("8.5MHz", False)]
)
def test_clocks_that_make_no_baud_rate(clock: str, fine: bool, network: Graph) -> None:
    board = boards.load("ulx3s-85f")
    assert board.harness is not None
    other = replace(board, harness=replace(board.harness, clock=Period.parse(clock)))
    if fine:
        assert f"localparam DIVISOR = {Period.parse(clock).mhz:.0f};" in build(network, other).plan.files["board/hwq_top_board.v"]
    else:
        with pytest.raises(BoardError, match="baud"):
            build(network, other)
