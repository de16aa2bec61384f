"""Vivado's reports of a design in memory, in the layouts of their versions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import report_samples as samples

from stubs.base import version_numbers


@dataclass(frozen=True)
class Capacity:
    lut: int
    ff: int


def capacity(part: str) -> Capacity:
    """A small 7-series part may overflow; the others have room."""
    return Capacity(53200, 106400) if part.startswith("xc7z020") else Capacity(1182240, 2364480)


def seven(part: str) -> bool:
    return part.startswith("xc7")


def head(design: Any, version: str, command: str, *, kind: str = "utilization") -> str:
    """The head of a report: the part is written with and without its dashes, the state in the words of each kind of report."""
    year, old = version_numbers(version)[0], version_numbers(version) < (2020, 1)
    family, *rest = design.part.split("-")
    device = design.part
    if kind == "timing":
        device = "-".join((family, *rest[:1]))
    elif old:
        device = family + (rest[0] if rest else "") + (f"-{rest[1].rstrip('iec')}" if len(rest) > 1 else "")
    state = design.state
    if kind == "power":
        state = {"Fully Placed": "placed"}.get(state, state if state.startswith("Physopt") else state.lower())
    elif kind == "timing":
        state = {"Fully Placed": "Placed"}.get(state, state)
    rights = f"Copyright 1986-{min(year, 2022)} Xilinx, Inc. All Rights Reserved."
    if year > 2022:
        rights += f" Copyright 2022-{year} Advanced Micro Devices, Inc. All Rights Reserved."
    fields = {
        "Tool Version": f"Vivado v.{version} (lin64) Build 2405991 Thu Dec  6 23:36:41 MST {year}",
        "Date": "Mon Nov 30 00:00:00 2026",
        "Host": "server running 64-bit Linux",
        "Command": command,
        "Design": design.top,
        "Device": device,
        "Speed File": "-2L",
        "Design State": state,
    }
    width = max(map(len, fields))
    lines = "".join(f"| {key:{width}s} : {value}\n" for key, value in fields.items())
    return f"{rights}\n{'-' * 90}\n{lines}{'-' * 90}\n\n"


def _site(version: str, rows: list[list[str]]) -> str:
    """A table of sites; the column Prohibited is there since 2020.3."""
    columns = samples.COLUMNS
    if version_numbers(version) < (2020, 3):
        rows, columns = [[*r[:3], *r[4:]] for r in rows], [c for c in columns if c != "Prohibited"]
    return samples.table([columns, *rows])


def utilisation(design: Any, version: str, command: str, total: tuple[int, int]) -> str:
    lut, ff = total
    room, old = capacity(design.part), seven(design.part)
    slices, star = "Slice" if old else "CLB", "*" if design.state in ("Synthesized", "Optimized") else ""
    site = samples.site
    logic = [
        site(f"{slices} LUTs{star}", str(lut), room.lut),
        site("  LUT as Logic", str(lut), room.lut),
        site("  LUT as Memory", "0", room.lut // 2),
        site(f"{slices} Registers", str(ff), room.ff),
        site("  Register as Flip Flop", str(ff), room.ff),
        site("  Register as Latch", "0", room.ff),
    ]
    memory = [site("Block RAM Tile", "0", 140), site("  RAMB36/FIFO*", "0", 140), site("  RAMB18", "0", 280)]
    memory += [] if old else [site("URAM", "0", 960)]
    sections = {
        f"{slices} Logic": _site(version, logic),
        "Memory" if old else "BLOCKRAM": _site(version, memory),
        "DSP" if old else "ARITHMETIC": _site(version, [site("DSPs", "0", 220)]),
        "Primitives": samples.table(
            [["Ref Name", "Used", "Functional Category"], ["LUT6", str(lut), "LUT"], ["FDRE", str(ff), "Register"]]
        ),
        "Black Boxes": samples._empty("Ref Name", "Used"),
        "Instantiated Netlists": samples._empty("Ref Name", "Used"),
    }
    return head(design, version, command) + samples.numbered("Utilization Design Information", sections)


def hierarchical(design: Any, version: str, command: str, total: tuple[int, int]) -> str:
    dsp = "DSP48 Blocks" if version_numbers(version) < (2020, 1) else "DSP Blocks"
    columns = ["Instance", "Module", "Total LUTs", "Logic LUTs", "LUTRAMs", "SRLs", "FFs", "RAMB36", "RAMB18", "URAM", dsp]

    def row(name: str, module: str, lut: int, ff: int) -> list[str]:
        return [name, module, str(lut), str(lut), "0", "0", str(ff), "0", "0", "0", "0"]

    rows = [row(design.top, "(top)", *total), row(f"  ({design.top})", "(top)", *design.sizes[design.top])]
    rows += [row(f"  {name}_i", name, *counts) for name, counts in design.sizes.items() if name != design.top]
    return head(design, version, command) + samples.numbered(
        "Utilization Design Information", {"Utilization by Hierarchy": samples.table([columns, *rows])}
    )


def slack(design: Any) -> float | None:
    """Of the worst path: the design's depth is not known here, so that it takes as long as its name of states is far."""
    if design.period is None:
        return None
    taken = {"Synthesized": 2.0, "Optimized": 2.0}.get(design.state, 2.4)
    outside = max(design.delays.values(), default=0.0)
    skew = 0.1 if any(name.startswith("HD.CLK_SRC") for name in design.properties) else 0.0
    return round(design.period - design.uncertainty - taken - outside - skew, 3)


def timing(design: Any, version: str, command: str) -> str:
    """The summary, with the checks that say which ports no constraint times."""
    wns = slack(design)
    untimed = {
        d: [n for n, way in design.ports.items() if way == d and n != "clk" and n not in design.delays] for d in ("input", "output")
    }
    shown = "NA" if wns is None else f"{wns:.3f}"
    said = samples.NONE if wns is None else samples.MISSED if wns < 0 else samples.MET
    clocks = () if design.period is None else (("clk", f"{design.period:.3f}", f"{1e3 / design.period:.3f}"),)
    whole = samples.timing(shown, said, clocks, whs="NA" if wns is None else "0.010")
    if wns is None:
        whole = whole.replace("1.000", "   NA")
    body = whole[whole.index("Timing Summary Report") + len("Timing Summary Report\n\n") :]
    rule = "-" * 60
    checks = f"{rule}\n| check_timing report\n| -------------------\n{rule}\n\n"
    checks += f"1. checking no_clock ({0 if clocks else 1})\n5. checking no_input_delay ({len(untimed['input'])})\n"
    checks += f"6. checking no_output_delay ({len(untimed['output'])})\n\n"
    return head(design, version, command, kind="timing") + "Timing Summary Report\n\n" + checks + body


def power(design: Any, version: str, command: str) -> str:
    whole = samples.power()
    return head(design, version, command, kind="power") + whole[whole.index("Power Report") :]
