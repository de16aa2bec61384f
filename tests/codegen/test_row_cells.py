"""Rows of look-up tables as Verilog: proven equal to the sums that they stand for, mapped by Yosys, and as many tables as were counted."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from random_sums import random_sums, rows_for

from hwq.codegen import verilog_ops
from hwq.codegen.ports import Ports
from hwq.codegen.verilog import verilog_text
from hwq.codegen.verilog_rows import instance, table
from hwq.cost.structure import structure
from hwq.errors import ToolError
from hwq.ir import Circuit, Opcode
from hwq.ir.circuit import SIGNS
from hwq.passes.adders.gates import Gated, gated
from hwq.passes.adders.row import RowOperand, SumRow, row_of
from hwq.sim.netlist import MappedNetlist
from hwq.templates import render
from hwq.tools.yosys import run_script

BITS = 5
SHAPES = [(0, 0, 0), (0, 1, 2), (2, 0, 1)]  # how far the three are shifted up


def test_what_a_table_holds() -> None:
    """The plain one by hand: parity of four above, majority of three below, their disjunction where no carry of three is made."""
    assert table((0, 0, 0)) == 0x6996_6996_E8E8_E8E8
    assert table((0, 0, 0), early=True) == 0x6996_6996_FEFE_FEFE
    # the third operand away where I4 is 1: parity and conjunction of two
    assert table((0, 0, 0), [2]) == 0x9966_6996_8888_E8E8


def one_sum(signs: tuple[int, ...], ups: tuple[int, ...], kinds: int, gate: tuple[int, ...] = ()) -> str:
    """A module with one row; `kinds` says by its bits which operand is signed. A gated operand is 0 where s is 1."""
    ends = [(-(1 << (BITS - 1)), (1 << (BITS - 1)) - 1) if kinds >> i & 1 else (0, (1 << BITS) - 1) for i in range(len(signs))]
    row = SumRow(
        tuple(RowOperand(*end, up, sign) for end, up, sign in zip(ends, ups, signs, strict=True)), BITS + max(ups) + 2, gate
    )
    above = row.width - row.start
    vectors, ports = [], []
    for number, (up, name) in enumerate(zip(ups, "abc", strict=False)):
        fill = f"{{{row.width - BITS - up}{{{name}[{BITS - 1}]}}}}" if kinds >> number & 1 else f"{row.width - BITS - up}'d0"
        parts = [fill, name, *([f"{up}'d0"] if up else [])]
        ports.append(f"wire [{row.width - 1}:0] {name}_wide = {{{', '.join(parts)}}};")
        vectors.append(f"{name}_wide[{row.width - 1}:{row.start}]")
    lines = [*ports, *instance(row, vectors, "t_row", "found", "s")]
    inputs = ", ".join(f"input wire [{BITS - 1}:0] {name}" for name in "abc"[: len(signs)])
    return (
        f"module t ({inputs}, input wire s, output wire [{above - 1}:0] y);\n"
        + "\n".join(lines)
        + "\nassign y = found;\nendmodule\n"
    )


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


@pytest.mark.parametrize("signs", [(1, 1, 1), (1, 1, -1), (1, -1, -1), (1, -1), (1, 1)])
def test_the_cells_are_the_sum(signs: tuple[int, ...], tmp_path: Path) -> None:
    """Yosys' own models of the cells, for every value of the operands, by its solver; also with one that a sign makes zero."""
    cases = [(ups, kinds, ()) for ups in SHAPES for kinds in (0, 0b101)]  # none signed; the outer ones
    gates = (gate for size in (1, 2) for gate in itertools.combinations(range(len(signs)), size))
    for ups, gate in zip(itertools.cycle(SHAPES), gates):
        if len(gate) == 1 or not any(
            signs[number] < 0 and ups[number] for number in gate
        ):  # others `hwq.passes.adders.gates` leaves out
            cases.append((ups, 0b111 & ~sum(1 << number for number in gate), gate))
    script = ""
    for n, (ups, kinds, gate) in enumerate(cases):
        text = render("verilog/row.v.j2", top="t") + one_sum(signs, ups[: len(signs)], kinds, gate)
        (tmp_path / f"{n}.v").write_text(text)
        script += PROOF.format(n=n)
    (tmp_path / "prove.ys").write_text(script)
    run_script("prove.ys", cwd=tmp_path, log=tmp_path / "log", outputs=())


@pytest.mark.parametrize(
    ("right", "wrong_text", "gate"), [("FIRST[i] ? a[i]", "FIRST[i] ? below[i]", ()), ("OWN[i] ? m[i]", "0 ? m[i]", (0,))]
)
def test_a_wrong_cell_is_found(right: str, wrong_text: str, gate: tuple[int, ...], tmp_path: Path) -> None:
    text = render("verilog/row.v.j2", top="t") + one_sum((1, 1, 1), (0, 1, 2), 0, gate)
    wrong = text.replace(right, wrong_text)
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
    assert abs(_tables(found) - expected) <= 0.1 * expected
    assert counts["LUT6_2"] > expected / 3


def test_relus_that_rows_take_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The netlist is the circuit, has as many look-up tables as were counted, and more where ReLUs are gates."""
    circuit, ports = random_sums(2, 24, relus=0.4)
    taken = gated(circuit)
    assert len(taken.operands) > 10 and any(len(gate) > 1 for gate, _ in taken.operands.values())
    assert {Opcode.CLAMP, Opcode.WRAP} <= {Opcode(circuit.opcode[w]) for w in taken.unread}
    (tmp_path / "gates").mkdir()
    found = mapped(circuit, ports, tmp_path)
    x = rows_for(ports, 1500)
    assert (found.evaluate(ports, x, circuit.latency) == circuit.evaluate(x)).all()
    counted = structure(circuit)
    expected = counted["pair_bits"] + counted["short_bits"] + counted["relu_gates"]
    assert abs(_tables(found) - expected) <= 0.1 * expected
    monkeypatch.setattr(verilog_ops, "gated", lambda _: Gated())
    plain = mapped(circuit, ports, tmp_path / "gates")
    assert (plain.evaluate(ports, x, circuit.latency) == circuit.evaluate(x)).all()
    assert _tables(found) < 0.9 * _tables(plain)


def _tables(netlist: MappedNetlist) -> int:
    return sum(n for kind, n in netlist.counts().items() if kind.startswith("LUT"))
