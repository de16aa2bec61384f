"""What a report says, typed. None means "not reported"; a reported zero is 0."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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
