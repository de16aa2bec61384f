"""What a report says, typed. None means "not reported"; a reported zero is 0."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal, TypedDict

from hwq.errors import ReportError


@dataclass(frozen=True, slots=True)
class Resources:
    """Cells that a design uses. `carry` counts carry cells, `inverters` those that a mapper left outside the LUTs; BRAM in 36K blocks."""

    lut: float | None = None
    ff: float | None = None
    dsp: float | None = None
    bram36: float | None = None
    uram: float | None = None
    carry: float | None = None
    inverters: float | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """Clock target or estimate in ns; slack as the tool defines it; whether timing was met."""

    period_ns: float | None = None
    slack_ns: float | None = None
    fmax_mhz: float | None = None
    met: bool | None = None


@dataclass(frozen=True, slots=True)
class Latency:
    """Clock cycles from input to output, and between two inputs (initiation interval)."""

    min_cycles: int | None = None
    max_cycles: int | None = None
    interval: int | None = None


class Status(StrEnum):
    """What a tool's run, or a report of it, came to. The values are what `hwq report --parse --json` prints."""

    OK = "ok"
    LICENCE = "licence"
    PART_MISSING = "part missing"
    COMPILE_ERROR = "compile error"
    OVER_UTILISED = "over-utilised"
    TIMING_MISSED = "timing missed"
    UNROLL_STOPPED = "unroll stopped"
    OUT_OF_MEMORY = "out of memory"
    TIMED_OUT = "timed out"
    KILLED = "killed"
    TRIMMED = "trimmed"
    TEST_BENCH_FAILED = "test bench failed"
    DATE_OVERFLOW = "date overflow"  # export_design of an HLS up to 2021.2, since 2022: AMD AR 76960
    NO_REPORT = "no report"
    FAILED = "failed"  # an error that none of the others names

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class ReportedModule:
    """What a report says of one part of the design. `name` is the instance where there are instances, else the module.

    `depth` is 0 for the top; `bram` is in the unit of its report, with half-size blocks (`ramb18`) apart where the report has them apart.
    """

    name: str
    module: str | None = None
    depth: int = 0
    lut: float | None = None
    ff: float | None = None
    dsp: float | None = None
    bram: float | None = None
    ramb18: float | None = None
    uram: float | None = None
    lat_min: int | None = None
    lat_max: int | None = None
    ii_min: int | None = None
    ii_max: int | None = None
    power_w: float | None = None


CountName = Literal["lut", "ff", "dsp", "bram", "ramb18", "uram"]


class Counts(TypedDict, total=False):
    """Counts by the fields of Report and ReportedModule that hold them; what is not there is not reported."""

    lut: float | None
    ff: float | None
    dsp: float | None
    bram: float | None
    ramb18: float | None
    uram: float | None


def counts_of(names: Iterable[CountName], find: Callable[[CountName], float | None]) -> Counts:
    """What `find` says of each name."""
    found: Counts = {}
    for name in names:
        found[name] = find(name)
    return found


CycleName = Literal["lat_min", "lat_max", "ii_min", "ii_max"]


class Cycles(TypedDict):
    """Latency and interval by the fields of Report and ReportedModule that hold them."""

    lat_min: int | None
    lat_max: int | None
    ii_min: int | None
    ii_max: int | None


NO_CYCLES: Cycles = {"lat_min": None, "lat_max": None, "ii_min": None, "ii_max": None}
_PER_36K = {"18K": 2, "4K": 9}  # blocks that hold as much as one of 36 Kbit


@dataclass(frozen=True, slots=True)
class Report:
    """One file. None means that the file does not say.

    Resources are counts: `bram` in `bram_unit` ("18K", "36K tile", "4K" on iCE40, or "RAMB36" with the `ramb18` beside them);
    latency and interval in clock cycles, clocks and slack in ns, power in W.
    `state` is how far the design was (Synthesized, Fully Placed, Routed); `timing_met` what the file states.
    `black_boxes` are modules that were not there to be counted, so that the counts are not those of the whole design.
    `states` are those of the controller that an HLS compiler made, where its log says.
    `error_lines` and `first_error` are of logs; `first_error` is the first line of any kind of error, also of a harmless one.
    """

    kind: str
    tool: str | None = None
    version: str | None = None
    device: str | None = None
    top: str | None = None
    lut: float | None = None
    ff: float | None = None
    dsp: float | None = None
    bram: float | None = None
    bram_unit: str | None = None
    ramb18: float | None = None
    uram: float | None = None
    lat_min: int | None = None
    lat_max: int | None = None
    ii_min: int | None = None
    ii_max: int | None = None
    clk_target_ns: float | None = None
    clk_est_ns: float | None = None
    clk_uncert_ns: float | None = None
    wns_ns: float | None = None
    timing_met: bool | None = None
    power_w: float | None = None
    status: Status = Status.OK
    reason: str | None = None
    state: str | None = None
    error_lines: int | None = None
    first_error: str | None = None
    modules: tuple[ReportedModule, ...] = ()
    black_boxes: tuple[str, ...] = ()
    states: int | None = None

    @property
    def resources(self) -> Resources:
        """The counts, block RAM in 36K blocks."""
        bram36 = self.bram
        if self.bram is not None and self.bram_unit in _PER_36K:
            bram36 = self.bram / _PER_36K[self.bram_unit]
        elif self.bram is not None and self.ramb18 is not None:
            bram36 = self.bram + self.ramb18 / 2
        return Resources(self.lut, self.ff, self.dsp, bram36, self.uram)

    @property
    def latency(self) -> Latency:
        """Cycles from input to output; the longest interval between two inputs."""
        return Latency(self.lat_min, self.lat_max, self.ii_max)


def require_logic(path: Path, resources: Resources) -> Resources:
    """`resources` themselves, when they can be a measurement of a design.

    Raises:
        ReportError: everything is zero: a failed synthesis, or a design that was trimmed to nothing.
    """
    if not any((resources.lut, resources.ff, resources.dsp, resources.bram36, resources.uram)):
        raise ReportError(
            path,
            "everything is zero: the synthesis failed, or the design was trimmed to nothing",
            hint="the tool's log says which; do the outputs depend on the inputs?",
        )
    return resources
