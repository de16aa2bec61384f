"""csynth.xml of Vivado HLS and Vitis HLS: the C-synthesis estimate (an estimate: LUT counts are often more than twice too high)."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hwq.errors import ReportError
from hwq.reports.numbers import number, whole
from hwq.reports.types import Latency, Resources, Timing

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Csynth:
    """One csynth.xml; `uncertainty_ns` is what the tool kept of the clock for routing."""

    version: str
    part: str
    top: str
    resources: Resources
    timing: Timing
    latency: Latency
    target_ns: float | None
    uncertainty_ns: float | None


def read_csynth(path: Path) -> Csynth:
    """Raises ReportError: missing, truncated, or another XML."""
    try:
        root = ET.parse(path).getroot()
    except OSError as error:
        raise ReportError(path, error.strerror or str(error)) from error
    except ET.ParseError as error:
        raise ReportError(path, f"no complete XML: {error}", line=error.position[0]) from error
    if root.tag != "profile" or root.find("UserAssignments") is None:
        raise ReportError(path, f"no HLS report: its root is <{root.tag}> without <UserAssignments>")
    resources = _resources(path, root)
    estimates = "PerformanceEstimates"
    target = _get(path, root, "UserAssignments/TargetClockPeriod", number)
    uncertainty = _get(path, root, "UserAssignments/ClockUncertainty", number)
    estimate = _get(path, root, f"{estimates}/SummaryOfTimingAnalysis/EstimatedClockPeriod", number)
    overall = f"{estimates}/SummaryOfOverallLatency"
    latency = Latency(
        _get(path, root, f"{overall}/Best-caseLatency", whole),
        _get(path, root, f"{overall}/Worst-caseLatency", whole),
        _get(path, root, f"{overall}/PipelineInitiationInterval", whole) or _get(path, root, f"{overall}/Interval-min", whole),
    )
    slack = target - (uncertainty or 0) - estimate if target is not None and estimate is not None else None
    timing = Timing(estimate, slack, 1e3 / estimate if estimate else None, None if slack is None else slack >= -1e-9)
    version, part, top = (
        (root.findtext(name) or "").strip()
        for name in ("ReportVersion/Version", "UserAssignments/Part", "UserAssignments/TopModelName")
    )
    return Csynth(version, part, top, resources, timing, latency, target, uncertainty)


def _resources(path: Path, root: ET.Element) -> Resources:
    area = root.find("AreaEstimates/Resources")
    if area is None:
        raise ReportError(path, "no <AreaEstimates/Resources>", hint="did the synthesis end?")

    def get(*names: str) -> float | None:
        for name in names:
            if area is not None and area.find(name) is not None:
                return _get(path, area, name, number)
        return None

    bram18 = get("BRAM_18K")
    return Resources(
        lut=get("LUT"),
        ff=get("FF"),
        dsp=get("DSP", "DSP48E", "DSP58"),
        bram36=None if bram18 is None else bram18 / 2,
        uram=get("URAM"),
    )


def _get(path: Path, root: ET.Element, tag: str, convert: Callable[[str | None], T]) -> T:
    try:
        return convert(root.findtext(tag))
    except ValueError as error:
        raise ReportError(path, f"<{tag}>: {error}") from error
