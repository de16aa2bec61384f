"""Rows of look-up tables as Verilog: proven equal to the sums that they stand for, mapped by Yosys, and as many tables as were counted."""

from __future__ import annotations

from pathlib import Path

import pytest
from random_sums import random_sums, rows_for

from hwq.codegen.ports import Ports
from hwq.codegen.verilog import verilog_text
from hwq.codegen.verilog_rows import instance, table
from hwq.errors import ToolError
from hwq.ir import Circuit, Opcode
from hwq.ir.circuit import SIGNS
from hwq.passes.adders.row import Operand, SumRow, row_of
from hwq.sim.netlist import MappedNetlist
from hwq.templates import render
from hwq.tools.yosys import run_script

BITS = 5
SHAPES = [(0, 0, 0), (0, 1, 2), (2, 0, 1)]  # how far the three are shifted up


def test_what_a_table_holds() -> None:
    """The plain one by hand: parity of four above, majority of three below, their disjunction where no carry of three is made."""
    assert table(0, 0) == 0x6996_6996_E8E8_FEFE


def one_sum(signs: tuple[int, ...], ups: tuple[int, ...], kinds: int) -> str:
    """A module with one row; `kinds` says by its bits which operand is signed."""
    ends = [(-(1 << (BITS - 1)), (1 << (BITS - 1)) - 1) if kinds >> i & 1 else (0, (1 << BITS) - 1) for i in range(len(signs))]
    row = SumRow(tuple(Operand(*end, up, sign) for end, up, sign in zip(ends, ups, signs, strict=True)), BITS + max(ups) + 2)
    above = row.width - row.start
    vectors, ports = [], []
    for number, (up, name) in enumerate(zip(ups, "abc", strict=False)):
        fill = f"{{{row.width - BITS - up}{{{name}[{BITS - 1}]}}}}" if kinds >> number & 1 else f"{row.width - BITS - up}'d0"
        parts = [fill, name, *([f"{up}'d0"] if up else [])]
        ports.append(f"wire [{row.width - 1}:0] {name}_wide = {{{', '.join(parts)}}};")
        vectors.append(f"{name}_wide[{row.width - 1}:{row.start}]")
    lines = [*ports, *instance(row, vectors, "t_row", "found")]
    inputs = ", ".join(f"input wire [{BITS - 1}:0] {name}" for name in "abc"[: len(signs)])
    return f"module t ({inputs}, output wire [{above - 1}:0] y);\n" + "\n".join(lines) + "\nassign y = found;\nendmodule\n"


PROOF = """
design -reset
read_verilog {n}.v
hierarchy -top t
proc
flatten
opt
rename t gold
design -stash gold
design -reset
read_verilog -DHWQ_LUT6 {n}.v
read_verilog +/xilinx/cells_sim.v
hierarchy -top t
proc
flatten
opt
rename t gate
design -stash gate
design -copy-from gold -as gold gold
design -copy-from gate -as gate gate
miter -equiv -flatten gold gate miter
sat -verify -prove trigger 0 miter
"""


@pytest.mark.parametrize("signs", [(1, 1, 1), (1, 1, -1), (1, -1, -1), (1, -1)])
def test_the_cells_are_the_sum(signs: tuple[int, ...], tmp_path: Path) -> None:
    """Yosys' own models of the cells, for every value of the operands, by its solver."""
    script = ""
    for n, ups in enumerate(SHAPES):
        for kinds in (0, 0b101):  # none signed; the outer ones
            name = f"{n}_{kinds}"
            text = render("verilog/row.v.j2", top="t") + one_sum(signs, ups[: len(signs)], kinds)
            (tmp_path / f"{name}.v").write_text(text)
            script += PROOF.format(n=name)
    (tmp_path / "prove.ys").write_text(script)
    run_script("prove.ys", cwd=tmp_path, log=tmp_path / "log", outputs=())


def test_a_wrong_cell_is_found(tmp_path: Path) -> None:
    text = render("verilog/row.v.j2", top="t") + one_sum((1, 1, 1), (0, 1, 2), 0)
    wrong = text.replace("FIRST[i] ? a[i]", "FIRST[i] ? below[i]")
    assert wrong != text
    (tmp_path / "x.v").write_text(wrong)
    (tmp_path / "prove.ys").write_text(PROOF.format(n="x"))
    with pytest.raises(ToolError, match="failed"):
        run_script("prove.ys", cwd=tmp_path, log=tmp_path / "log", outputs=())


def mapped(circuit: Circuit, ports: Ports, folder: Path) -> MappedNetlist:
    """What Yosys' own script makes of a circuit."""
    (folder / "rtl").mkdir()
    (folder / "yosys").mkdir()
    (folder / "rtl" / "t.v").write_text(verilog_text(circuit, ports, "t"))
    (folder / "synth.ys").write_text(render("yosys/xilinx.ys.j2", top="t", part="any", family="xcup"))
    run_script("synth.ys", cwd=folder, log=folder / "log", outputs=["yosys/netlist.v"])
    return MappedNetlist.read(folder / "yosys" / "netlist.v", "t")


def test_random_rows_mapped(tmp_path: Path) -> None:
    circuit, ports = random_sums(1, 30)
    found = mapped(circuit, ports, tmp_path)
    x = rows_for(ports, 1500)
    assert (found.evaluate(ports, x, circuit.latency) == circuit.evaluate(x)).all()
    rows = [row_of(circuit, w) for w in range(len(circuit)) if Opcode(circuit.opcode[w]) in SIGNS]
    counts = found.counts()
    expected = sum(row.tables for row in rows)
    assert abs(sum(n for kind, n in counts.items() if kind.startswith("LUT")) - expected) <= 0.1 * expected
    assert counts["LUT6_2"] > expected / 3
