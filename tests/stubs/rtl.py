"""What a stub takes from Verilog: modules, ports, and sizes that follow from the text, so that another design has other numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from stubs.base import FailedError


@dataclass(frozen=True)
class Size:
    """LUTs and flip-flops of a module without its instances."""

    lut: int
    ff: int


def modules(files: list[str]) -> dict[str, str]:
    """Name -> text of every module."""
    found: dict[str, str] = {}
    for name in files:
        for match in re.finditer(r"^module (\w+)(.*?)^endmodule", Path(name).read_text(), re.MULTILINE | re.DOTALL):
            found[match[1]] = match[2]
    return found


def require(files: list[str], top: str) -> dict[str, str]:
    found = modules(files)
    if top not in found:
        raise FailedError(f"ERROR: [Synth 8-439] module '{top}' not found")
    return found


def size(text: str) -> Size:
    """A LUT for each bit that an operator makes, a flip-flop for each bit that is stored."""
    lut = 0
    for match in re.finditer(r"^\s*(?:wire|assign)\s+(?:signed )?(?:\[(\d+):0\] )?\w+ = (.*);$", text, re.MULTILINE):
        if re.search(r"[-+?&|^]|table_", match[2]):
            lut += int(match[1] or 0) + 1
    lut += sum(int(match[1]) for match in re.finditer(r"_row #\(\.W\((\d+)\)", text))  # a sum of three is an instance
    ff = sum(int(m[1] or 0) + 1 for m in re.finditer(r"\breg\s+(?:signed )?(?:\[(\d+):0\] )?\w+", text))
    return Size(lut, ff)


def ports(text: str) -> dict[str, str]:
    """Name -> direction of the ports of a module."""
    return {
        m[2]: m[1] for m in re.finditer(r"^\s*(input|output)\s+(?:wire|reg)\s+(?:signed )?(?:\[\d+:0\] )?(\w+)", text, re.MULTILINE)
    }
