"""Vivado's `report_timing_summary` and `report_timing`: worst setup slack, whether timing is met, the clocks."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from hwq.reports.numbers import number
from hwq.reports.text import Source
from hwq.reports.types import Report, Status, Timing
from hwq.reports.utilization import report_of
from hwq.reports.vivado_head import Header, read_header

_CLOCKS = re.compile(r"Clock\s+Waveform\(ns\)\s+Period\(ns\)\s+Frequency\(MHz\)")
_CLOCK = re.compile(r"\s*(?P<name>\S+)\s+\{[^}]*\}\s+(?P<period>[\d.]+)\s+(?P<rate>[\d.]+)\s*$")
_SLACK = re.compile(r"Slack(?: \((?P<verdict>\w+)\))?\s*:\s*(?P<slack>\S+?)(?:ns)?(?:\s|$)")
_FINAL = re.compile(r"\s+slack\s+(\S+)\s*$")
_TYPE = re.compile(r"\s+Path Type:\s+(\w+)")
_KINDS = frozenset({"Setup", "Hold", "Max", "Min", "Recovery", "Removal"})
_UNTIMED = re.compile(r"^\d+\. checking no_(?P<kind>input|output)_delay \((?P<count>\d+)\)", re.MULTILINE)
_RULE = re.compile(r"-[- ]+$")
_STATEMENTS = {
    "All user specified timing constraints are met.": True,
    "Timing constraints are not met.": False,
    "There are no user specified timing constraints.": None,
}


@dataclass(frozen=True, slots=True)
class Clock:
    """One clock of the clock summary."""

    name: str
    period_ns: float


@dataclass(frozen=True, slots=True)
class TimingSummary:
    """A timing summary: worst slack of setup, hold and pulse width, what the report states, and all clocks in its order."""

    header: Header
    wns_ns: float | None
    whs_ns: float | None
    wpws_ns: float | None
    met: bool | None
    clocks: tuple[Clock, ...]

    @property
    def timing(self) -> Timing:
        """Period and Fmax where there is one clock; None where several leave it open which one limits."""
        periods = [clock.period_ns for clock in self.clocks]
        period = None if len(periods) != 1 else periods.pop()
        slack = self.wns_ns
        fmax = 1e3 / (period - slack) if period is not None and slack is not None and period > slack else None
        return Timing(period, slack, fmax, self.met)


def read_timing_summary(source: Source) -> Report:
    """`report_timing_summary`; the target is the period of the first clock.

    Raises:
        ReportError: as `read_summary`.
    """
    found = read_summary(source)
    status, reason = Status.OK, None
    if found.met is False:
        slacks = {"setup": found.wns_ns, "hold": found.whs_ns, "pulse width": found.wpws_ns}
        late = [f"{name} {slack:g} ns" for name, slack in slacks.items() if slack is not None and slack < 0]
        status, reason = Status.TIMING_MISSED, f"worst slack: {', '.join(late)}" if late else "the report says so"
    elif found.wns_ns is None:
        reason = "no path is constrained: the report says nothing about how fast the design is"
    else:
        reason = _untimed(source.text)
    target = found.clocks[0].period_ns if found.clocks else None
    return report_of(
        found.header,
        "timing_summary",
        clk_target_ns=target,
        wns_ns=found.wns_ns,
        timing_met=found.met,
        status=status,
        reason=reason,
    )


def _untimed(text: str) -> str | None:
    """Ports whose logic no clock times: the summary leaves it out, its list of checks counts them."""
    counts = [(int(match["count"]), match["kind"]) for match in _UNTIMED.finditer(text) if int(match["count"])]
    if not counts:
        return None
    ports = " and ".join(f"{n} {kind}{'s' if n > 1 else ''}" for n, kind in dict.fromkeys(counts))
    return f"no delay is set at {ports}: the logic there is not timed"


def read_summary(source: Source) -> TimingSummary:
    """The summary itself.

    Raises:
        ReportError: truncated, damaged, or slacks that contradict each other.
    """
    lines = source.lines
    header, _, _ = read_header(source, lines)
    heads: dict[str, int] = {}
    for at, (above, line) in enumerate(itertools.pairwise(lines), 1):
        if line.startswith("| ") and above.startswith("---"):
            heads.setdefault(line.removeprefix("|").strip(), at)
    for name in ("Design Timing Summary", "Clock Summary", "Intra Clock Table", "Inter Clock Table", "Other Path Groups Table"):
        if name not in heads:
            raise source.error(f"truncated: no section {name!r}", len(lines))
    start, end = heads["Design Timing Summary"], heads["Clock Summary"]
    rows = _rows(source, lines, start, end)
    if len(rows) != 1:
        raise source.error("the design timing summary has no values, or more than one row of them", start + 1)
    (design,) = rows
    slacks = [design.get(name) for name in ("WNS(ns)", "WHS(ns)", "WPWS(ns)")]
    setup, hold, pulse_width = slacks
    clocks = _clocks(source, lines, end, heads["Intra Clock Table"])
    met = _met(source, lines, start, end, slacks)
    detail = heads.get("Timing Details", len(lines))
    groups = [
        row.get("WNS(ns)")
        for name, stop in (
            ("Intra Clock Table", heads["Inter Clock Table"]),
            ("Inter Clock Table", heads["Other Path Groups Table"]),
            ("Other Path Groups Table", heads.get("User Ignored Path Table", detail)),
        )
        for row in _rows(source, lines, heads[name], stop)
    ]
    worst = min((g for g in groups if g is not None), default=None)
    if worst != setup:
        raise source.error(f"WNS is {setup}, but the worst of the clocks is {worst}: the report is damaged", start + 1)
    _check_paths(source, lines, detail)
    return TimingSummary(header, setup, hold, pulse_width, met, clocks)


def _rows(source: Source, lines: Sequence[str], start: int, end: int) -> list[dict[str, float | None]]:
    """The rows of a table under dashed rules, by column name; cells may be empty, so they are cut where the rules are."""
    pairs = enumerate(itertools.pairwise(lines[start:end]), start)
    at = next((i for i, (line, below) in pairs if "WNS(ns)" in line and _RULE.match(below.strip())), None)
    if at is None:
        raise source.error("truncated or damaged: a table of slacks has no header", start + 1)
    spans = [(m.start(), m.end()) for m in re.finditer(r"-+", lines[at + 1])]
    names = [lines[at][a:b].strip() for a, b in spans]
    if "WNS(ns)" not in names:
        raise source.error("the header of the table of slacks is damaged", at + 1)
    first = names.index("WNS(ns)")
    found = []
    for line_number, line in enumerate(itertools.takewhile(str.strip, lines[at + 2 : end]), at + 3):
        values: dict[str, float | None] = {}
        edge = max(
            (b for _, b in spans[:first]), default=0
        )  # a value may begin before its rule, as -100.000 does, but not in a name
        for name, (a, b) in zip(names[first:], spans[first:], strict=True):
            before = line[:a].rpartition(" ")[-1] if line[a : a + 1].strip() else ""
            cut = a - len(before)
            if cut < edge or line[b : b + 1].strip():
                raise source.error("a row of the table of slacks does not fit its columns", line_number)
            values[name] = source.convert(name, line[cut:b], number, line_number)
            edge = b
        found.append(values)
    return found


def _clocks(source: Source, lines: Sequence[str], start: int, end: int) -> tuple[Clock, ...]:
    at = next((i for i in range(start, end) if _CLOCKS.match(lines[i])), None)
    if at is None:
        if any(line.strip() and not line.startswith(("|", "--")) for line in lines[start:end]):
            raise source.error("the clock summary is damaged: its header is not there", start + 1)
        return ()
    clocks = []
    for line_number, line in enumerate(itertools.takewhile(str.strip, lines[at + 2 : end]), at + 3):
        match = _CLOCK.match(line)
        if match is None:
            raise source.error("a row of the clock summary is cut or damaged", line_number)
        name, shown, rate = match["name"], match["period"], match["rate"]
        period, frequency = (source.convert(name, text, number, line_number) for text in (shown, rate))
        if not period or not frequency or abs(1e3 / frequency - period) > 0.00051 + 0.00051 * period / frequency:
            raise source.error(f"clock {name}: {shown} ns are not {rate} MHz: the row is damaged", line_number)
        clocks.append(Clock(name, period))
    return tuple(clocks)


def _met(source: Source, lines: Sequence[str], start: int, end: int, slacks: Sequence[float | None]) -> bool | None:
    said = [lines[i].strip() for i in range(start, end) if lines[i].strip() in _STATEMENTS]
    late = any(slack is not None and slack < 0 for slack in slacks)  # a constraint on skew can be missed with all of them met
    if not said:
        raise source.error("it does not say whether timing is met: the report is damaged", start + 1)
    first, *_ = said
    met = _STATEMENTS[first]
    if len(set(said)) > 1 or (met is None and any(s is not None for s in slacks)) or (met and late):
        raise source.error(f"{first!r} contradicts the slacks {slacks}: the report is damaged", start + 1)
    return met


@dataclass(slots=True)
class _Path:
    line: int
    verdict: str | None
    slack: float | None
    kind: str = ""
    final: str | None = None


def _paths(source: Source, lines: Sequence[str], start: int) -> list[_Path]:
    """Every path in detail: its head line, its type, and the slack at its end."""
    found: list[_Path] = []
    for line_number, line in enumerate(lines[start:], start + 1):
        if line.startswith("Slack"):
            match = _SLACK.match(line)
            if match is None:
                raise source.error("the slack of a path is damaged", line_number)
            found.append(_Path(line_number, match["verdict"], source.convert("slack", match["slack"], number, line_number)))
        elif found and not found[-1].kind and (match := _TYPE.match(line)):
            found[-1].kind = match[1]
        elif found and found[-1].final is None and "slack" in line and (match := _FINAL.match(line)):
            found[-1].final = match[1]
    return found


def _check_paths(source: Source, lines: Sequence[str], start: int) -> list[_Path]:
    paths = _paths(source, lines, start)
    for path in paths:
        if path.slack is None:
            continue  # an unconstrained path ends without a slack
        if path.final is None:
            raise source.error("truncated: a path ends before its slack", path.line)
        final = source.convert("slack", path.final, number, path.line)
        if final is None or abs(final - path.slack) > 0.0005:
            raise source.error(f"a path begins with a slack of {path.slack:g} and ends with {path.final}: it is damaged", path.line)
        if path.verdict in ("MET", "VIOLATED") and abs(path.slack) > 0.0005 and (path.slack < 0) == (path.verdict == "MET"):
            raise source.error(f"a slack of {path.slack:g} is called {path.verdict}: the path is damaged", path.line)
    return paths


def read_timing_paths(source: Source) -> Report:
    """`report_timing`: the worst setup path of those it shows.

    Raises:
        ReportError: truncated, damaged, or no path in it.
    """
    lines = source.lines
    header, _, start = read_header(source, lines)
    paths = _check_paths(source, lines, start)
    if not paths:
        if "No timing paths found" in source.text:
            return report_of(header, "timing_path", reason="no timing path was found")
        raise source.error("truncated: no path in it", len(lines))
    for path in paths:
        if path.kind not in _KINDS:
            raise source.error(f"a path of type {path.kind!r}: damaged, or new to hwq", path.line)
    setup = [p for p in paths if p.kind in ("Setup", "Max", "Recovery")]
    worst = min((p.slack for p in setup if p.slack is not None), default=None)
    met = None if worst is None else worst >= 0
    status = Status.TIMING_MISSED if met is False else Status.OK
    reason = f"worst slack: setup {worst:g} ns" if met is False else None
    if worst is None:
        reason = "no path of it is a constrained setup path"
    return report_of(header, "timing_path", wns_ns=worst, timing_met=met, status=status, reason=reason)
