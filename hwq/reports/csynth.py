"""csynth.xml of Vivado HLS and Vitis HLS: the C-synthesis estimate (an estimate: LUT counts are often more than twice too high)."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hwq.reports.csynth_text import check_time, is_late, verdict
from hwq.reports.numbers import nanoseconds, number, slack_of, whole, whole_range
from hwq.reports.parts import is_part
from hwq.reports.text import Source, read, refuse_damage
from hwq.reports.types import CountName, Counts, CycleName, Cycles, Latency, Report, ReportedModule, Resources, Timing
from hwq.reports.xml import Xml, parse_xml

_AREA: dict[CountName, tuple[str, ...]] = {
    "lut": ("LUT",),
    "ff": ("FF",),
    "dsp": ("DSP", "DSP48E", "DSP58", "DSP48"),
    "bram": ("BRAM_18K",),
    "uram": ("URAM",),
}
_LATENCY = "PerformanceEstimates/SummaryOfOverallLatency"


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
    """Raises ReportError: missing, truncated, another XML, or values that contradict each other."""
    source = read(path)
    refuse_damage(source)
    report = read_csynth_xml(source)
    target, uncertainty, estimate = report.clk_target_ns, report.clk_uncert_ns, report.clk_est_ns
    slack = slack_of(target, uncertainty, estimate)
    timing = Timing(estimate, slack, 1e3 / estimate if estimate else None, None if slack is None else slack >= 0)
    interval = parse_xml(source).get(f"{_LATENCY}/PipelineInitiationInterval", _first) or report.ii_min
    latency = Latency(report.lat_min, report.lat_max, interval)
    return Csynth(
        report.version or "", report.device or "", report.top or "", report.resources, timing, latency, target, uncertainty
    )


def _first(text: str | None) -> int | None:
    return whole_range(text)[0]


def read_csynth_xml(source: Source) -> Report:
    """csynth.xml or <function>_csynth.xml; what it says of the interval is given as it stands (up to 2019.2 one more where not pipelined).

    Raises:
        ReportError: truncated, another XML, or values that contradict each other.
    """
    xml = parse_xml(source)
    if xml.root.tag != "profile" or xml.root.find("UserAssignments") is None:
        raise source.error(f"no HLS report: its root is <{xml.root.tag}> without <UserAssignments>")
    version, part, top = (xml.text(t) for t in ("ReportVersion/Version", "UserAssignments/Part", "UserAssignments/TopModelName"))
    if not re.fullmatch(r"20[1-4]\d\.\d(?:\.\d)?", version) or not re.fullmatch(r"[A-Za-z_][\w.]*", top):
        raise source.error(f"<Version> {version!r} or <TopModelName> {top!r} cannot be: the report is damaged")
    if part and not is_part(part):
        raise source.error(f"<Part> {part!r} cannot be: the report is damaged")
    area = _area(source, xml.root.find("AreaEstimates/Resources"))
    to_ns = _unit(xml)
    target, uncertainty = xml.get("UserAssignments/TargetClockPeriod", to_ns), xml.get("UserAssignments/ClockUncertainty", to_ns)
    estimate = xml.get("PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod", to_ns)
    if target is None:
        raise source.error("no <TargetClockPeriod>: the report is damaged")
    cycles = _cycles(xml, (target, estimate))
    modules = _modules(source, xml.root)
    _same_top(source, modules, top, area)
    status, reason = verdict(zero=not any(area.values()), missed=is_late(target, uncertainty, estimate))
    return Report(
        "csynth.xml",
        tool="Vivado HLS" if _before_vitis(version) else "Vitis HLS",
        version=version,
        device=part or None,
        top=top,
        bram_unit="18K",
        clk_target_ns=target,
        clk_est_ns=estimate,
        clk_uncert_ns=uncertainty,
        status=status,
        reason=reason,
        state="C synthesis",
        modules=tuple(module for module in modules if module.name != top),
        **area,
        **cycles,
    )


def _before_vitis(version: str) -> bool:
    """Vivado HLS ended with 2020.1; from 2020.2 the tool is Vitis HLS."""
    return tuple(int(part) for part in version.split(".") if part.isdigit()) < (2020, 2)


def _unit(xml: Xml) -> Callable[[str | None], float | None]:
    """How to read the clocks: the file names their unit."""
    unit = xml.text("UserAssignments/unit") or "ns"

    def convert(text: str | None) -> float | None:
        cleaned = (text or "").strip()
        return nanoseconds(f"{cleaned} {unit}" if number(cleaned) is not None else cleaned)

    return convert


def _area(source: Source, area: ET.Element | None) -> Counts:
    if area is None:
        raise source.error("no <AreaEstimates/Resources>", hint="did the synthesis end?")
    values: Counts = {}
    for key, names in _AREA.items():
        found = [child for child in area if child.tag in names]
        if len(found) > 1:
            raise source.error(f"<Resources> has {' and '.join(child.tag for child in found)}")
        values[key] = next((source.convert(f"<{names[0]}>", child.text, whole) for child in found), None)
        if values[key] is None and (found or key in ("lut", "ff")):
            raise source.error(f"<Resources> has no number of <{names[0]}>")
    return values


def _cycles(xml: Xml, clocks: tuple[float | None, ...]) -> Cycles:
    """Latency and interval; the latency as a time, where there is one, is cycles by one of the clocks."""
    source = xml.source
    low, high = xml.get(f"{_LATENCY}/PipelineInitiationInterval", whole_range)
    ii_min, ii_max = xml.get(f"{_LATENCY}/Interval-min", whole), xml.get(f"{_LATENCY}/Interval-max", whole)
    values: Cycles = {
        "lat_min": xml.get(f"{_LATENCY}/Best-caseLatency", whole),
        "lat_max": xml.get(f"{_LATENCY}/Worst-caseLatency", whole),
        "ii_min": low if ii_min is None else ii_min,
        "ii_max": high if ii_max is None else ii_max,
    }
    for low_key, high_key in _PAIRS:
        least, most = values[low_key], values[high_key]
        if least is not None and most is not None and least > most:
            raise source.error(f"{low_key} is {least}, {high_key} {most}: the report is damaged")
    for cycles, name in ((values["lat_min"], "Best"), (values["lat_max"], "Worst")):
        if cycles is not None:
            check_time(source, cycles, clocks, xml.text(f"{_LATENCY}/{name}-caseRealTimeLatency"))
    return values


_PAIRS: tuple[tuple[CycleName, CycleName], ...] = (("lat_min", "lat_max"), ("ii_min", "ii_max"))


def _modules(source: Source, root: ET.Element) -> tuple[ReportedModule, ...]:
    """What the summary says of each function, the top among them."""
    found = []
    for element in root.findall("ModuleInformation/Module"):
        xml = Xml(source, element)
        area = element.find("AreaEstimates/Resources")
        values: Counts = {}
        for key, names in _AREA.items():
            child = next((c for c in area if c.tag in names), None) if area is not None else None
            values[key] = None if child is None else source.convert(f"<{names[0]}>", child.text, whole)
        low, high = xml.get(f"{_LATENCY}/PipelineInitiationInterval", whole_range)
        best, worst = (xml.get(f"{_LATENCY}/{case}-caseLatency", whole) for case in ("Best", "Worst"))
        cycles: Cycles = {"lat_min": best, "lat_max": worst, "ii_min": low, "ii_max": high}
        found.append(ReportedModule(xml.text("Name"), xml.text("Name"), 1, **values, **cycles))
    return tuple(found)


def _same_top(source: Source, modules: tuple[ReportedModule, ...], top: str, area: Counts) -> None:
    """The top stands twice in a summary. Real ones differ by a few LUTs (2625 and 2627), damaged ones by far more."""
    again = next((m for m in modules if m.name == top), None)
    for key in _AREA:
        value, other = area.get(key), getattr(again, key, None)
        if value is not None and other is not None and abs(value - other) > 10 + 0.05 * value:
            raise source.error(f"{key}: {value:g} of the design, {other:g} of its top module: the report is damaged")
