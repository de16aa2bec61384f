"""Yosys `stat -json`: cells by type. nextpnr `--report`: cells used and the clocks it reached."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwq.reports.text import Source, read
from hwq.reports.types import Module, Report, Resources, Status

_FF = re.compile(r"FD[RSCP]E|TRELLIS_FF|FD[RSCP]E_1")
_LUT = re.compile(r"LUT[1-6]|CFGLUT5")
_DISTRIBUTED = re.compile(r"(RAM|ROM)(16|32|64|128|256|512)\w*|SRL\w+|TRELLIS_DPR16X4")


_VERSION = re.compile(r"Yosys (\d+\.\d+(?:\+\d+)?)")


def read_stat(path: Path) -> Resources:
    """Resources of the whole design.

    Raises:
        ReportError: missing, no JSON, or no cell counts.
    """
    source = read(path)
    return count(_cells(source, parse_json(source).get("design"), "design"))


def parse_json(source: Source) -> dict[str, Any]:
    """The object of a whole file.

    Raises:
        ReportError: no JSON, truncated, a key that is there twice, or no object.
    """
    try:
        content = json.loads(source.text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise source.error(f"no complete JSON: {error.msg}", error.lineno) from error
    except (ValueError, RecursionError) as error:
        raise source.error(f"damaged JSON: {error}") from error
    if not isinstance(content, dict):
        raise source.error(f"no report: an object was expected, {type(content).__name__} was found")
    return content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key is there twice")
    return content


def _cells(source: Source, module: object, name: str) -> dict[str, int]:
    cells = module.get("num_cells_by_type") if isinstance(module, dict) else None
    if not isinstance(cells, dict) or not all(type(n) is int and n >= 0 for n in cells.values()):
        raise source.error(f"no cell counts ({name}.num_cells_by_type) in it")
    total = module.get("num_cells") if isinstance(module, dict) else None
    if type(total) is int and sum(cells.values()) != total:
        raise source.error(f"{name}: {total} cells, but the types make {sum(cells.values())}: the report is damaged")
    return cells


def read_stat_json(source: Source) -> Report:
    """`stat -json` of Yosys, with each module's own cells.

    Raises:
        ReportError: no JSON, or no cell counts.
    """
    content = parse_json(source)
    found = count(_cells(source, content.get("design"), "design"))
    version = _VERSION.search(str(content.get("creator", "")))
    listed = content.get("modules")
    modules = []
    for name, module in (listed if isinstance(listed, dict) else {}).items():
        own = count(_cells(source, module, name))
        bare = name.removeprefix("\\")
        modules.append(Module(bare, bare, 0, own.lut, own.ff, own.dsp, _eighteen(own), uram=own.uram))
    nothing = not any((found.lut, found.ff, found.dsp, found.bram36, found.uram))
    return Report(
        "yosys_stat",
        tool="Yosys",
        version=version[1] if version else None,
        top=modules[0].name if len(modules) == 1 else None,
        lut=found.lut,
        ff=found.ff,
        dsp=found.dsp,
        bram=_eighteen(found),
        bram_unit="18K",
        uram=found.uram,
        status=Status.TRIMMED if nothing else Status.OK,
        reason="everything is zero: the design was trimmed to nothing, or its cells are of a family that hwq does not know"
        if nothing
        else None,
        state="Synthesized",
        modules=tuple(modules),
    )


def _eighteen(found: Resources) -> float | None:
    """Block RAM in 18K blocks."""
    return None if found.bram36 is None else int(found.bram36 * 2)


_NEXTPNR = {
    "lut": ("TRELLIS_COMB", "ICESTORM_LC", "LUT4", "OXIDE_COMB"),
    "ff": ("TRELLIS_FF", "DFF", "OXIDE_FF"),
    "dsp": ("MULT18X18D", "ICESTORM_DSP", "MULT18X18"),
    "bram": ("DP16KD",),
}


def read_nextpnr(source: Source) -> Report:
    """`--report` of nextpnr: routed cells and, of the clock that is nearest to failing, target and achieved period.

    Raises:
        ReportError: no JSON, or cells or clocks that are not what they should be.
    """
    content = parse_json(source)
    used, clocks = content.get("utilization"), content.get("fmax")
    if not isinstance(used, dict) or not isinstance(clocks, dict):
        raise source.error("no utilization or no fmax in it")
    values: dict[str, Any] = {}
    for key, names in _NEXTPNR.items():
        for name in (n for n in names if n in used):
            cell = used[name]
            number = cell.get("used") if isinstance(cell, dict) else None
            if type(number) is not int or number < 0:
                raise source.error(f"utilization.{name}.used is {number!r}, no count")
            values.setdefault(key, number)
    if "lut" not in values:
        raise source.error(f"no LUT cells among {', '.join(sorted(used)[:8])}")
    slowest: tuple[float, float] | None = None
    for name, clock in clocks.items():
        pair = tuple(clock.get(k) if isinstance(clock, dict) else None for k in ("achieved", "constraint"))
        if not all(isinstance(v, (int, float)) and v > 0 for v in pair):
            raise source.error(f"fmax.{name} is {clock!r}, not an achieved and a wanted frequency")
        achieved, wanted = float(pair[0] or 0), float(pair[1] or 0)
        if slowest is None or achieved / wanted < slowest[0] / slowest[1]:
            slowest = (achieved, wanted)
    met = None if slowest is None else slowest[0] >= slowest[1]
    period = None if slowest is None else round(1e3 / slowest[0], 6)
    target = None if slowest is None else round(1e3 / slowest[1], 6)
    late = met is False and slowest is not None
    return Report(
        "nextpnr_report",
        tool="nextpnr",
        bram_unit="18K" if "bram" in values else None,
        clk_target_ns=target,
        clk_est_ns=period,
        wns_ns=None if period is None or target is None else round(target - period, 6),
        timing_met=met,
        status=Status.TIMING_MISSED if late else Status.OK,
        reason=f"{slowest[0]:.2f} MHz of {slowest[1]:.2f} MHz" if late and slowest else None,
        state="Routed",
        **values,
    )


def count(cells: Mapping[str, int]) -> Resources:
    """Cell types to resources: a LUT6_2 is one LUT, RAM and shift registers in LUTs count as LUTs."""

    def total(*names: str) -> int:
        return sum(n for name, n in cells.items() if name in names)

    def matching(pattern: re.Pattern[str]) -> int:
        return sum(n for name, n in cells.items() if pattern.fullmatch(name))

    lut = matching(_LUT) + total("LUT6_2") + matching(_DISTRIBUTED)
    carry = total("CARRY4", "CARRY8", "CCU2C")
    if "CCU2C" in cells:
        lut = total("LUT4") + 2 * total("CCU2C")  # on ECP5 a carry cell takes the two LUTs of a slice
    return Resources(
        lut=lut,
        ff=matching(_FF),
        dsp=total("DSP48E1", "DSP48E2", "DSP58", "MULT18X18D"),
        bram36=total("RAMB36E1", "RAMB36E2") + total("RAMB18E1", "RAMB18E2", "DP16KD") / 2,
        uram=total("URAM288", "URAM288_BASE"),
        carry=carry,
        inverters=total("INV"),
    )
