"""Verilog with a fault put in: the test bench, or the comparison with the reference, must tell."""

from __future__ import annotations

from pathlib import Path

from hwq.codegen.build import Build
from hwq.errors import MismatchError, ToolError
from hwq.fixed.arithmetic import IntArray
from hwq.sim.compare import compare
from hwq.sim.reference import evaluate
from hwq.sim.rtlsim import rtlsim


def assert_found(made: Build, rows: IntArray, fault: tuple[str, str], says: str, folder: Path) -> None:
    """Write the design with a fault, and simulate it.

    Args:
        fault: text of the Verilog, and what takes its place.
        says: of the test bench; "": the bench may be content, the answers differ.
    """
    old, new = fault
    made.plan.write(folder)
    path = folder / "rtl" / "hwq_top.v"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    try:
        got = rtlsim(made, folder, rows)
    except (ToolError, MismatchError):
        assert says in (folder / "sim" / "rtl.log").read_text()
        return
    assert not says and compare(made.graph, "reference", evaluate(made.graph, rows), "rtl", got).mismatches
