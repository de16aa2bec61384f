"""What Vivado made of an HLS design: <top>_export.rpt of the first generations, export_syn and export_impl (xml, rpt) of the later ones."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from hwq.reports.numbers import count, number, slack_of
from hwq.reports.parts import PART, is_part
from hwq.reports.text import NEAR, Row, Source, TextTable, depth, find_border, read_table
from hwq.reports.types import CountName, Counts, Report, ReportedModule, Status, counts_of
from hwq.reports.utilization import TRIMMED_LUT
from hwq.reports.vivado_head import check_year
from hwq.reports.xml import parse_xml

_VIVADO = re.compile(r"Implementation tool: Xilinx Vivado v\.?(\d{4}\.\d+(?:\.\d+)?)")
_COUNT = re.compile(r"(?P<name>[A-Z]+):\s+(?P<used>\S+)\s*$")
_PERIOD = re.compile(r"CP (required|achieved(?: post-synthesis| post-implementation)?):\s+(\S+)\s*$")
_TITLE = re.compile(r"== Vivado (RTL Synthesis|Place & Route) Results\s*$", re.MULTILINE)
_SAID = {"Timing met": True, "Timing not met": False, "No Sequential Path": None}
_KEYS: tuple[CountName, ...] = ("lut", "ff", "dsp", "bram", "uram")
_EXPORTED = frozenset({*_KEYS, "clb", "slice", "srl", "latch", "lutram", "muxf7", "muxf8", "carry8", "carry4"})
_NEEDED: tuple[CountName, ...] = ("lut", "ff", "dsp", "bram")


def is_export(text: str) -> bool:
    """<top>_export.rpt."""
    return "Implementation tool: Xilinx Vivado" in text or "#=== Final timing ===" in text


def is_export_text(text: str) -> bool:
    """export_syn.rpt or export_impl.rpt."""
    return _TITLE.search(text) is not None


def _verdict(values: Counts, met: bool | None, *, placed: bool) -> tuple[Status, str | None]:
    """Status and reason."""
    lut = values["lut"]
    few = lut is not None and lut <= TRIMMED_LUT if placed else not lut and not values["ff"]
    if few and not any((values["dsp"], values["bram"], values.get("uram"))):
        return Status.TRIMMED, f"only {lut:g} LUTs are left: the design was trimmed"
    if met is False:
        return Status.TIMING_MISSED, "the achieved clock period is longer than the target"
    return Status.OK, None


def _compare(source: Source, target: float | None, achieved: float | None, met: bool | None) -> None:
    """Whether timing is met must follow from the two periods."""
    if target is None or achieved is None or met is None:
        return
    if (achieved <= target + 0.0005) != met:
        raise source.error(f"{achieved:g} ns for {target:g} ns is not what it says of timing: the report is damaged")


def read_export(source: Source) -> Report:
    """<top>_export.rpt.

    Raises:
        ReportError: truncated or damaged.
    """
    lines = source.lines
    counts: dict[str, float | None] = {}
    periods: dict[str, float | None] = {}
    said, met = False, None
    inside = False
    for number_, line in enumerate(lines, 1):
        if line.startswith("#==="):
            inside = line.rstrip().endswith("Resource usage ===")
        elif inside and line.strip() and ((row := _COUNT.match(line)) is None or row["name"].lower() not in _EXPORTED):
            raise source.error(f"{line.strip()[:40]!r} is no row of the resources that hwq knows", number_)
        if match := _COUNT.match(line):
            counts.setdefault(match["name"].lower(), source.convert(match["name"], match["used"], count, number_))
        elif match := _PERIOD.match(line):
            periods.setdefault(match[1], source.convert(f"CP {match[1]}", match[2], number, number_))
        elif line.startswith("CP "):
            raise source.error("a clock period is damaged or cut", number_)
        elif line.rstrip() in _SAID:
            said, met = True, _SAID[line.rstrip()]
    version = _VIVADO.search(source.text)
    device = re.search(rf"^Device target:\s+({PART})\s*$", source.text, re.MULTILINE)
    if version is None or device is None or "required" not in periods or len(periods) < 2:
        raise source.error("truncated or damaged: no tool, no device or no clock period in it", len(lines))
    placed = "achieved post-implementation" in periods
    if placed and "#=== Post-Synthesis Resource usage ===" in source.text and periods["achieved post-implementation"] is not None:
        raise source.error("the heading of the resources and the clock periods are not of the same stage: the report is damaged")
    last = ("achieved post-implementation", "achieved", "achieved post-synthesis")  # the old one says only that it was achieved
    achieved = next(periods[name] for name in last if name in periods)
    if not said or (met is None) != (achieved is None):
        raise source.error("truncated or damaged: it does not say whether timing was met", len(lines))
    for key in _NEEDED:
        if counts.get(key) is None:
            raise source.error(f"no {key.upper()} row in it: the report is damaged")
    _compare(source, periods["required"], achieved, met)
    values = counts_of(_KEYS, counts.get)
    status, reason = _verdict(values, met, placed=placed)
    return Report(
        "export.rpt",
        tool="Vivado (HLS export)",
        version=version[1],
        device=device[1],
        bram_unit="18K",
        clk_target_ns=periods["required"],
        clk_est_ns=achieved,
        timing_met=met,
        state="Routed" if placed else "Synthesized",
        status=status,
        reason=reason,
        **values,
    )


def read_export_xml(source: Source) -> Report:
    """export_syn.xml or export_impl.xml, with the resources of each RTL module.

    Raises:
        ReportError: truncated, damaged, or another XML.
    """
    xml = parse_xml(source)
    kind = {"synth": "export_syn.xml", "syn": "export_syn.xml", "impl": "export_impl.xml"}.get(xml.text("RunData/RUN_TYPE"))
    if xml.root.tag != "profile" or kind is None:
        raise source.error(f"no export report: its RUN_TYPE is {xml.text('RunData/RUN_TYPE')!r}")
    values = counts_of(_KEYS, lambda name: xml.get(f"AreaReport/Resources/{name.upper()}", count))
    for key in _NEEDED:
        if values[key] is None:
            raise source.error(f"no <{key.upper()}> in <AreaReport/Resources>")
    target, achieved, slack = (
        xml.get(f"TimingReport/{tag}", number) for tag in ("TargetClockPeriod", "AchievedClockPeriod", "WNS_FINAL")
    )
    final, slack_final = xml.get("TimingReport/CP_FINAL", number), xml.get("TimingReport/SLACK_FINAL", number)
    if None not in (final, achieved) and final != achieved:
        raise source.error(f"<AchievedClockPeriod> is {achieved:g}, <CP_FINAL> {final:g}: the report is damaged")
    slack = slack_final if slack is None else slack
    left = slack_of(target, None, achieved)
    if left is not None and slack is not None and abs(left - slack) > 0.0015:
        raise source.error(f"{target:g} ns less {achieved:g} ns is not the slack of {slack:g} ns: the report is damaged")
    said = xml.text("TimingReport/TIMING_MET").upper()
    if said not in ("TRUE", "FALSE", "NA", ""):
        raise source.error(f"<TIMING_MET> is {said!r}, neither TRUE nor FALSE")
    met = {"TRUE": True, "FALSE": False}.get(said)
    _compare(source, target, achieved, met)
    version = xml.text("RunData/VIVADO_VERSION").removeprefix("v.").removeprefix("v")
    items = {item.get("NAME"): item.get("VALUE") for item in xml.root.findall("GeneralInfo/item")}
    top = next((m.get("MODULENAME") for m in xml.root.iter("RtlModule") if m.get("IS_TOP") == "1"), None)
    modules = tuple(_rtl_module(source, element) for element in xml.root.findall("RtlModules/RtlModule"))
    _same_top(source, modules, values)
    if not re.fullmatch(r"20[1-4]\d\.\d(?:\.\d)?", version) or not str(items.get("Version", version)).startswith(version[:6]):
        raise source.error(f"<VIVADO_VERSION> is {version!r}, the general information says {items.get('Version')!r}: it is damaged")
    status, reason = _verdict(values, met, placed=kind == "export_impl.xml")
    return Report(
        kind,
        tool="Vivado (HLS export)",
        version=version or None,
        device=items.get("Target device"),
        top=top,
        bram_unit="18K",
        clk_target_ns=target,
        clk_est_ns=achieved,
        wns_ns=slack,
        timing_met=met,
        state="Routed" if kind == "export_impl.xml" else "Synthesized",
        modules=modules,
        status=status,
        reason=reason,
        **values,
    )


def _same_top(source: Source, modules: Sequence[ReportedModule], values: Counts) -> None:
    """The design stands twice: in its summary, and as the first row of its modules, where a zero is left out."""
    top = next(iter(modules), None)
    if top is None or top.depth != 0 or top.lut is None:
        return
    for key in _KEYS:
        again, found = getattr(top, key) or 0.0, values.get(key)
        if found is None:
            continue
        slip = 2 + 0.002 * found if key in ("lut", "ff") else 0.0  # LUTs that the wrapper shares with the module
        if abs(found - again) > slip:
            raise source.error(f"the design has {found:g} {key.upper()}, its top module {again:g}: the report is damaged")


def _rtl_module(source: Source, element: ET.Element) -> ReportedModule:
    name = element.get("CELL") or ""
    area = element.find("Resources")

    def used(key: CountName) -> float | None:
        return source.convert(f"{name}, {key.upper()}", None if area is None else area.get(key.upper()), count)

    values = counts_of(_KEYS, used)
    return ReportedModule(
        name, element.get("RTLNAME") or element.get("MODULENAME"), source.convert("DEPTH", element.get("DEPTH"), _int), **values
    )


def _int(text: str | None) -> int:
    return int(text or "0")


def read_export_text(source: Source) -> Report:
    """export_syn.rpt or export_impl.rpt.

    Raises:
        ReportError: truncated or damaged.
    """
    lines, text = source.lines, source.text
    title = _TITLE.search(text)
    if title is None:
        raise source.error("the heading of the report is damaged")
    stage = title[1]
    needed = ("Resource Summary", "Timing Summary", "Resources", "Vivado Reports")
    heads = {line.removeprefix("==").strip(): i for i, line in enumerate(lines) if line.startswith("== ")}
    for name in needed:
        if f"{stage} {name}" not in heads:
            raise source.error(f"truncated: no section {stage + ' ' + name!r}", len(lines))
    start = heads[f"{stage} Resource Summary"] + 2
    counts: dict[str, float | None] = {}
    for at, line in enumerate(lines[start:], start + 1):
        match = _COUNT.match(line)
        if match is None or match["name"].lower() not in _EXPORTED:
            if line.strip():
                raise source.error(f"{line.strip()[:40]!r} is no row of the resources that hwq knows", at)
            break
        counts[match["name"].lower()] = source.convert(match["name"], match["used"], count, at)
    for key in _NEEDED:
        if counts.get(key) is None:
            raise source.error(f"no {key.upper()} row in the resource summary", start + 1)
    target, achieved, met = _timing(source, lines, heads[f"{stage} Timing Summary"])
    _compare(source, target, achieved, met)
    if not _first_table(source, lines, heads[f"{stage} Vivado Reports"]).columns:
        raise source.error("truncated: the list of the reports has no rows", len(lines))
    table = _first_table(source, lines, heads[f"{stage} Resources"])
    modules = tuple(_text_module(source, table, row) for row in table.rows)
    _same_top(source, modules, counts_of(_KEYS, counts.get))
    fields = {m[1]: m[2] for line in lines[:start] if (m := re.match(r"\s+\* ([A-Z][a-z ]*):\s+(.*?)\s*$", line))}
    version = re.fullmatch(r"(?P<version>\d{4}\.\d+(?:\.\d+)?)(?: \(Build .*?(?P<year>\d{4})\))?", fields.get("Version", ""))
    if version is None or not is_part(fields.get("Target device", "")):
        raise source.error("the head names no version or no device: it is damaged")
    check_year(source, version["version"], version["year"])
    values, placed = counts_of(_KEYS, counts.get), stage == "Place & Route"
    status, reason = _verdict(values, met, placed=placed)
    return Report(
        "export_impl.rpt" if placed else "export_syn.rpt",
        tool="Vivado (HLS export)",
        version=version["version"],
        device=fields.get("Target device"),
        bram_unit="18K",
        clk_target_ns=target,
        clk_est_ns=achieved,
        timing_met=met,
        state="Routed" if placed else "Synthesized",
        modules=modules,
        status=status,
        reason=reason,
        **values,
    )


def _first_table(source: Source, lines: Sequence[str], start: int) -> TextTable:
    at = find_border(lines, start, start + NEAR)
    if at is None:
        raise source.error("truncated: a section without its table", min(start + NEAR, len(lines)))
    return read_table(source, lines, at)[0]


def _timing(source: Source, lines: Sequence[str], start: int) -> tuple[float | None, float | None, bool | None]:
    table = _first_table(source, lines, start)
    said = [line.strip().lstrip("* ").lower() for line in lines[start : table.line]]
    met = True if "timing was met" in said else False if any(s in ("timing was not met", "timing not met") for s in said) else None
    periods = {
        name.lower(): source.convert(name, period, number, row.line) for row in table.rows for name, period, *_ in [row.cells]
    }
    if "target" not in periods or (met is None and any(v is not None for k, v in periods.items() if k != "target")):
        raise source.error("the timing summary has no target, or does not say whether timing was met", start + 1)
    return periods["target"], periods.get("post-route", periods.get("post-synthesis")), met


def _text_module(source: Source, table: TextTable, row: Row) -> ReportedModule:
    values: Counts = {}
    for key in _KEYS:
        if (at := table.index(key)) is not None:
            values[key] = source.convert(f"{row.name}, {key.upper()}", row.cells[at], count, row.line)
    return ReportedModule(row.name, None, depth(row), **values)
