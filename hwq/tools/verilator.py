"""Verilator: a faster and independent simulation of the Verilog, where it is installed."""

from __future__ import annotations

from hwq.tools.find import Tool, find
from hwq.tools.programs import Program


def find_verilator() -> Tool | None:
    return find("verilator")


PROGRAM = Program(
    "verilator",
    "faster RTL simulation",
    "4.2",
    "",
    "the RTL is simulated with Yosys CXXRTL",
    "apt-get install verilator",
    find_verilator,
)
