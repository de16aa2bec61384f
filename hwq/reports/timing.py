"""Vivado's `report_timing_summary` and `report_timing`: worst setup slack, whether timing is met, the clocks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hwq.reports.numbers import number
from hwq.reports.text import Source
from hwq.reports.types import Report, Status, Timing
from hwq.reports.utilization import report_of
from hwq.reports.vivado_head import Header, read_header

_CLOCKS = re.compile(r"Clock\s+Waveform\(ns\)\s+Period\(ns\)\s+Frequency\(MHz\)")
_CLOCK = re.compile(r"(\s*)(\S+)\s+\{([^}]*)\}\s+([\d.]+)\s+([\d.]+)\s*$")
_SLACK = re.compile(r"Slack(?: \((\w+)\))?\s*:\s*(\S+?)(?:ns)?(?:\s|$)")
_FINAL = re.compile(r"\s+slack\s+(\S+)\s*$")
_TYPE = re.compile(r"\s+Path Type:\s+(\w+)")
_KINDS = frozenset({"Setup", "Hold", "Max", "Min", "Recovery", "Removal"})
_UNTIMED = re.compile(r"^\d+\. checking no_(input|output)_delay \((\d+)\)", re.MULTILINE)
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
        period = self.clocks[0].period_ns if len(self.clocks) == 1 else None
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
    counts = [(int(match[2]), match[1]) for match in _UNTIMED.finditer(text) if int(match[2])]
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
    heads = {
        lines[i][2:].strip(): i
        for i in range(len(lines) - 1, 0, -1)
        if lines[i].startswith("| ") and lines[i - 1].startswith("---")
    }
    for name in ("Design Timing Summary", "Clock Summary", "Intra Clock Table", "Inter Clock Table", "Other Path Groups Table"):
        if name not in heads:
            raise source.error(f"truncated: no section {name!r}", len(lines))
    start, end = heads["Design Timing Summary"], heads["Clock Summary"]
    rows = _rows(source, lines, start, end)
    if len(rows) != 1:
        raise source.error("the design timing summary has no values, or more than one row of them", start + 1)
    slacks = [rows[0].get(name) for name in ("WNS(ns)", "WHS(ns)", "WPWS(ns)")]
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
    if worst != slacks[0]:
        raise source.error(f"WNS is {slacks[0]}, but the worst of the clocks is {worst}: the report is damaged", start + 1)
    if detail < len(lines):
        _check_paths(source, lines, detail)
    return TimingSummary(header, slacks[0], slacks[1], slacks[2], met, clocks)


def _rows(source: Source, lines: Sequence[str], start: int, end: int) -> list[dict[str, float | None]]:
    """The rows of a table under dashed rules, by column name; cells may be empty, so they are cut where the rules are."""
    at = next((i for i in range(start, end - 1) if "WNS(ns)" in lines[i] and _RULE.match(lines[i + 1].strip() or "x")), None)
    if at is None:
        raise source.error("truncated or damaged: a table of slacks has no header", start + 1)
    spans = [(m.start(), m.end()) for m in re.finditer(r"-+", lines[at + 1])]
    names = [lines[at][a:b].strip() for a, b in spans]
    if "WNS(ns)" not in names:
        raise source.error("the header of the table of slacks is damaged", at + 1)
    first = names.index("WNS(ns)")
    found = []
    for i in range(at + 2, end):
        if not lines[i].strip():
            break
        values: dict[str, float | None] = {}
        edge = spans[first - 1][1] if first else 0  # a value may begin before its rule, as -100.000 does, but not in a name
        for name, (a, b) in zip(names[first:], spans[first:], strict=True):
            cut = lines[i].rfind(" ", 0, a) + 1 if lines[i][a : a + 1].strip() else a
            if cut < edge or lines[i][b : b + 1].strip():
                raise source.error("a row of the table of slacks does not fit its columns", i + 1)
            values[name] = source.convert(name, lines[i][cut:b], number, i + 1)
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
    for i in range(at + 2, end):
        if not lines[i].strip():
            break
        match = _CLOCK.match(lines[i])
        if match is None:
            raise source.error("a row of the clock summary is cut or damaged", i + 1)
        period, frequency = (source.convert(match[2], match[k], number, i + 1) for k in (4, 5))
        if not period or not frequency or abs(1e3 / frequency - period) > 0.00051 + 0.00051 * period / frequency:
            raise source.error(f"clock {match[2]}: {match[4]} ns are not {match[5]} MHz: the row is damaged", i + 1)
        clocks.append(Clock(match[2], period))
    return tuple(clocks)


def _met(source: Source, lines: Sequence[str], start: int, end: int, slacks: Sequence[float | None]) -> bool | None:
    said = [lines[i].strip() for i in range(start, end) if lines[i].strip() in _STATEMENTS]
    late = any(slack is not None and slack < 0 for slack in slacks)  # a constraint on skew can be missed with all of them met
    if not said:
        raise source.error("it does not say whether timing is met: the report is damaged", start + 1)
    met = _STATEMENTS[said[0]]
    if len(set(said)) > 1 or (met is None and any(s is not None for s in slacks)) or (met and late):
        raise source.error(f"{said[0]!r} contradicts the slacks {slacks}: the report is damaged", start + 1)
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
    for i in range(start, len(lines)):
        line = lines[i]
        if line.startswith("Slack"):
            match = _SLACK.match(line)
            if match is None:
                raise source.error("the slack of a path is damaged", i + 1)
            found.append(_Path(i + 1, match[1], source.convert("slack", match[2], number, i + 1)))
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
