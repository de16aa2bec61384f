"""nextpnr's `--report`: cells used and the clocks it reached, on every family."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hwq.reports.numbers import slack_of
from hwq.reports.text import Source
from hwq.reports.types import Counts, Report, Status

READS = "JSON of nextpnr"  # for people


@dataclass(frozen=True, slots=True)
class Family:
    """What the cells of a family are.

    Attributes:
        sign: a cell that only this family has.
        lut: cell -> how many LUTs it takes; carry cells and memory in LUTs take some, too.
        bram: cell -> its size in blocks of 18 Kbit, or of `bram_unit`.
        ff: none where a logic cell holds LUT and flip-flop, so that no number of flip-flops is known.
    """

    name: str
    sign: str
    lut: Mapping[str, int]
    ff: tuple[str, ...]
    dsp: tuple[str, ...]
    bram: Mapping[str, float]
    bram_unit: str = "18K"


FAMILIES = (
    Family("iCE40", "ICESTORM_LC", {"ICESTORM_LC": 1}, (), ("ICESTORM_DSP",), {"ICESTORM_RAM": 1}, "4K"),
    Family(
        "Nexus",
        "OXIDE_COMB",
        {"OXIDE_COMB": 1, "RAMW": 2},
        ("OXIDE_FF",),
        ("MULT9_CORE", "MULT18_CORE"),
        {"OXIDE_EBR": 1},
    ),
    # a carry cell of ECP5 and MachXO2 is counted as two TRELLIS_COMB; the write port of a LUT RAM takes the LUTs of its slice
    Family(
        "ECP5 and MachXO2",
        "TRELLIS_COMB",
        {"TRELLIS_COMB": 1, "TRELLIS_RAMW": 2},
        ("TRELLIS_FF",),
        ("MULT18X18D",),
        {"DP16KD": 1, "DP8KC": 0.5},
    ),
    # ALU and LUT share their place; a RAM16SDP4 is four LUTs of 16 bits
    Family(
        "Gowin",
        "LUT4",
        {"LUT4": 1, "ALU": 1, "RAM16SDP4": 4},
        ("DFF",),
        ("MULT9X9", "MULT18X18", "MULT36X36", "MULTALU18X18", "MULTALU36X18", "MULTADDALU18X18", "MULT12X12", "MULTALU27X18"),
        {"BSRAM": 1},
    ),
)
_LOGIC = re.compile(r".*(?:LUT|COMB|_LC$|^ALU$|CARRY|RAM16|RAMW|SLICE)")
_NO_LUT = re.compile(r"MUX2_LUT\d|LUT\d_MUX|PFUMX|L6MUX21|WIDEFN9")  # multiplexers between LUTs, with places of their own


def read_nextpnr(source: Source, content: Mapping[str, object]) -> Report:
    """Routed cells and, of the clock that is nearest to failing, target and achieved period.

    Raises:
        ReportError: cells or clocks that are not what they should be, or logic cells that hwq does not know.
    """
    used, clocks = content.get("utilization"), content.get("fmax")
    if not isinstance(used, dict) or not isinstance(clocks, dict):
        raise source.error("no utilization or no fmax in it")
    values, unit = _cells(source, {name: _used(source, name, cell) for name, cell in used.items()})
    slowest = _slowest(source, clocks)
    achieved, wanted = slowest or (None, None)
    period, target = (None if mhz is None else round(1e3 / mhz, 6) for mhz in (achieved, wanted))
    met = None if achieved is None or wanted is None else achieved >= wanted
    late = met is False
    return Report(
        "nextpnr_report",
        tool="nextpnr",
        clk_target_ns=target,
        clk_est_ns=period,
        wns_ns=slack_of(target, None, period),
        timing_met=met,
        status=Status.TIMING_MISSED if late else Status.OK,
        reason=_reason(slowest, late=late),
        state="Routed",
        bram_unit=unit,
        **values,
    )


def _reason(slowest: tuple[float, float] | None, *, late: bool) -> str | None:
    if slowest is None:
        return "no path between registers: the report says nothing about how fast the design is"
    achieved, wanted = slowest
    return f"{achieved:.2f} MHz of {wanted:.2f} MHz" if late else None


def _used(source: Source, name: str, cell: object) -> int:
    number = cell.get("used") if isinstance(cell, dict) else None
    if type(number) is not int or number < 0:
        raise source.error(f"utilization.{name}.used is {number!r}, no count")
    return number


def _cells(source: Source, used: Mapping[str, int]) -> tuple[Counts, str | None]:
    """The counts of the family whose sign is among the cells, and the unit of its block RAM."""
    family = next((f for f in FAMILIES if f.sign in used), None)
    if family is None:
        raise source.error(f"no LUT cells among {', '.join(sorted(used)[:8])}")
    unknown = [n for n, k in used.items() if k and n not in family.lut and _LOGIC.match(n) and not _NO_LUT.fullmatch(n)]
    if unknown:
        raise source.error(f"{used[unknown[0]]} cells {unknown[0]} of {family.name}: hwq does not know whether they take LUTs")

    def total(names: Mapping[str, float]) -> float | None:
        found = [used[name] * size for name, size in names.items() if name in used]
        return sum(found) if found else None

    bram = total(family.bram)
    ff, dsp = total(dict.fromkeys(family.ff, 1)), total(dict.fromkeys(family.dsp, 1))
    return {"lut": total(family.lut), "ff": ff, "dsp": dsp, "bram": bram}, None if bram is None else family.bram_unit


def _slowest(source: Source, clocks: Mapping[str, object]) -> tuple[float, float] | None:
    """(achieved, wanted) in MHz of the clock that is nearest to failing."""
    pairs: list[tuple[float, float]] = []
    for name, clock in clocks.items():
        told = [clock.get(k) if isinstance(clock, dict) else None for k in ("achieved", "constraint")]
        known = [float(v) for v in told if isinstance(v, (int, float)) and v > 0]
        if len(known) != len(told):
            raise source.error(f"fmax.{name} is {clock!r}, not an achieved and a wanted frequency")
        achieved, wanted = known
        pairs.append((achieved, wanted))
    return min(pairs, key=_share, default=None)


def _share(pair: tuple[float, float]) -> float:
    achieved, wanted = pair
    return achieved / wanted
