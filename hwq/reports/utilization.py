"""Vivado's `report_utilization`: of a whole design, by hierarchy, and the kernel table of `v++`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hwq.reports.numbers import count, number, whole
from hwq.reports.states import is_placed
from hwq.reports.text import Row, Source, TextTable, depth, find_border, read_table, tables
from hwq.reports.types import CountName, Counts, Report, ReportedModule, Resources, Status, counts_of
from hwq.reports.vivado_head import Header, ReportSection, read_header, read_sections, require_end

TRIMMED_LUT = 8  # a placed design with no more LUTs than this, and nothing else, lost its logic on the way

_NAMES: dict[CountName, tuple[str, ...]] = {
    "lut": ("clb luts", "slice luts", "luts"),
    "ff": ("clb registers", "slice registers", "registers"),
    "dsp": ("dsps", "dsp slices"),
    "bram": ("block ram tile", "block ram tiles"),
    "uram": ("uram", "urams"),
}
_PARTS = ("lut as logic", "lut as memory", "register as flip flop", "register as latch")
_CARRY = ("carry8", "carry4", "lookahead8")
_MEMORY = re.compile(r"(block ram|uram|ramb|fifo)|pipelining$|note")
_HIER: dict[CountName, tuple[str, ...]] = {
    "lut": ("total luts", "luts"),
    "ff": ("ffs", "registers"),
    "dsp": ("dsp blocks", "dsp slices", "dsp48 blocks", "dsp48s", "dsps"),
    "bram": ("ramb36", "ramb36s"),
    "ramb18": ("ramb18", "ramb18s"),
    "uram": ("uram", "urams"),
}
_KERNEL: dict[CountName, tuple[str, ...]] = {"lut": ("lut",), "ff": ("reg",), "dsp": ("dsp",), "bram": ("bram",), "uram": ("uram",)}


@dataclass(frozen=True, slots=True)
class Flat:
    """A whole design: the counts by name, and the modules that were not there to be counted."""

    header: Header
    found: dict[str, float]
    black_boxes: tuple[str, ...]


def read_flat(source: Source) -> Report:
    """`report_utilization` of a whole design, synthesised, placed or routed.

    Raises:
        ReportError: truncated, damaged, or numbers that contradict each other.
    """
    flat = flat_counts(source)
    found, placed = flat.found, is_placed(flat.header.state)
    status, reason = Status.OK, None
    rest = flat.black_boxes or any(found.get(key) for key in ("dsp", "bram", "uram"))  # a wrapper's logic is in its black boxes
    if not rest and (found["lut"] <= TRIMMED_LUT if placed else not found["lut"] and not found["ff"]):
        status, reason = Status.TRIMMED, f"only {found['lut']:g} LUTs are left: the design was trimmed, so this is no measurement"
    elif over := flat.found.get("over"):
        status, reason = Status.OVER_UTILISED, f"{over:g} % of a resource that the design needs is used"
    if flat.black_boxes:
        uncounted = f"{len(flat.black_boxes)} black boxes are not in the counts ({', '.join(flat.black_boxes[:4])})"
        reason = uncounted if reason is None else f"{reason}; {uncounted}"
    unit, counts = "36K tile" if "bram" in found else None, counts_of(_NAMES, lambda name: found.get(name))
    boxes = flat.black_boxes
    return report_of(flat.header, "vivado_utilization", status=status, reason=reason, bram_unit=unit, black_boxes=boxes, **counts)


def report_of(header: Header, kind: str, **fields: Any) -> Report:
    """A report with the fields of a Vivado header."""
    return Report(
        kind,
        tool="Vivado",
        version=header.version,
        device=header.device or None,
        top=header.top or None,
        state=header.state or None,
        **fields,
    )


def flat_counts(source: Source) -> Flat:
    """The counts of a whole design, by _NAMES and `carry`; `over` is the highest utilisation where it exceeds 100 %.

    Raises:
        ReportError: as `read_flat`.
    """
    lines = source.lines
    header, _, start = read_header(source, lines)
    sections = read_sections(source, lines, start)
    require_end(source, lines, max(sections.values(), key=lambda s: s.start))
    found: dict[str, float] = {}
    rows: dict[str, float] = {}
    boxes: list[str] = []
    for title, section in sections.items():
        if "slr" in title or "distribution" in title:
            continue
        for table in tables(source, lines, section.start, section.end):
            kind = next(iter(table.columns), "")
            if kind == "site type" and "used" in table.columns:
                _site_table(source, title, table, found, rows)
            elif kind == "ref name" and title == "black boxes":
                boxes += [row.name for row in table.rows]
            elif kind == "ref name":
                _primitives(source, table, found)
    for key, what in (("lut", "LUT"), ("ff", "register"), ("bram", "block RAM"), ("dsp", "DSP")):
        if key not in found:
            raise source.error(f"no {what} row: the report is damaged, or of a device that is not known", len(lines))
    if "uram" not in found and "strange" in found:  # there are devices without URAM, so its row may be missing, but not renamed
        line = int(found["strange"])
        raise source.error(f"no URAM row, but {lines[line - 1].strip()[:30]!r}, which hwq does not know", line)
    _agree(source, rows, found)
    return Flat(header, found, tuple(boxes))


def _site_table(source: Source, title: str, table: TextTable, found: dict[str, float], rows: dict[str, float]) -> None:
    at, available_at, percent_at = table.columns.index("used"), table.index("available"), table.index("util%")
    for row in table.rows:
        name = row.name.rstrip("*").strip().lower()
        used = source.convert(row.name, row.cells[at], count, row.line)
        if title in ("memory", "blockram") and not _MEMORY.match(name) and not name.endswith("only"):
            found.setdefault("strange", row.line)
        keys = [key for key, names in _NAMES.items() if name in names] + ["carry" for c in _CARRY if name == c]
        if used is None:
            if keys:
                raise source.error(f"{row.name}: how many are used is not said", row.line)
            continue
        percent = _check_percent(source, row, used, (available_at, percent_at), needed=bool(keys) or name in _PARTS)
        for key in keys:
            if key in found and found[key] != used and key != "carry":
                raise source.error(f"{row.name}: {used:g} here, {found[key]:g} above", row.line)
            found.setdefault(key, used)
            if percent is not None and percent > 100:
                found["over"] = max(found.get("over", percent), percent)
        rows.setdefault(name, used)


def _check_percent(source: Source, row: Row, used: float, at: tuple[int | None, int | None], *, needed: bool) -> float | None:
    """Used, available and per cent of one row say the same: a damaged digit shows here.

    Args:
        at: the columns of available and per cent.
        needed: the row is among those that are counted; the others may leave one of them out (ISERDES does).
    """
    available_at, percent_at = at
    if available_at is None or percent_at is None:
        return None
    available = source.convert(f"{row.name}, available", row.cells[available_at], count, row.line)
    percent = source.convert(f"{row.name}, utilisation", row.cells[percent_at], number, row.line)
    if available is None or percent is None:
        if needed and (available is None) != (percent is None):
            raise source.error(f"{row.name}: only one of available and utilisation is said", row.line)
        return None
    if available:
        shown = row.cells[percent_at].strip().rstrip("% ")
        step = 10.0 ** -len(shown.partition(".")[2])  # the last digit that is shown; `<0.01` may be anything below it
        if abs(100 * used / available - percent) > step * 1.01:
            raise source.error(f"{row.name}: {used:g} of {available:g} are not {percent:g} %: the row is damaged", row.line)
    return percent


def _primitives(source: Source, table: TextTable, found: dict[str, float]) -> None:
    used_at = table.index("used")
    for row in table.rows:
        if used_at is not None and row.name.lower() in _CARRY:
            value = source.convert(row.name, row.cells[used_at], whole, row.line)
            if value is not None:
                found.setdefault("carry", value)


def _agree(source: Source, rows: dict[str, float], found: dict[str, float]) -> None:
    """Sums that hold by definition: LUTs are logic and memory, registers are flip-flops, latches and gates, a tile is two halves."""

    def total(*names: str) -> float | None:
        values = [rows.get(name) for name in names]
        return None if None in values else sum(v for v in values if v is not None)

    halves = next((rows[n] for n in ("ramb18", "ramb18e5") if n in rows), None)
    wholes = next((rows[n] for n in ("ramb36/fifo", "ramb36", "ramb36e5") if n in rows), None)
    registers = total("register as flip flop", "register as latch")
    sums: dict[CountName, float | None] = {
        "lut": total("lut as logic", "lut as memory"),
        "ff": None if registers is None else registers + rows.get("register as and/or", 0),
        "bram": None if halves is None or wholes is None else wholes + halves / 2,
    }
    for key, expected in sums.items():
        if expected is not None and abs(found[key] - expected) > 1e-6:
            raise source.error(f"{_NAMES[key][0]}: {found[key]:g}, but its parts make {expected:g}: the report is damaged")


def read_hierarchical(source: Source) -> Report:
    """`report_utilization -hierarchical`: the first row is the design, the others are `modules`.

    Raises:
        ReportError: truncated or damaged.
    """
    lines = source.lines
    header, _, start = read_header(source, lines)
    section = read_sections(source, lines, start).get("utilization by hierarchy")
    if section is None:
        raise source.error("no section 'Utilization by Hierarchy'")
    table = _only_table(source, lines, section)
    if not table.rows:
        raise source.error("the hierarchy has no rows", table.line)
    _known_columns(source, table, _HIER, ("instance", "module", "logic luts", "lutrams", "srls"))
    modules = tuple(_module(source, table, row, _HIER, unit=2) for row in table.rows)
    top = next(iter(modules))
    if top.lut is None or top.ff is None or top.depth != 0:
        raise source.error("the first row of the hierarchy is not the whole design", table.line)
    if top.module == "(top)" and top.name != header.top:
        raise source.error(f"the design is {header.top!r}, its first row {top.name!r}: the report is damaged", table.rows[0].line)
    _check_hierarchy(source, table, modules)
    status, reason = Status.OK, None
    placed = is_placed(header.state)
    if not any((top.dsp, top.bram, top.ramb18, top.uram)) and (top.lut <= TRIMMED_LUT if placed else not top.lut and not top.ff):
        status, reason = Status.TRIMMED, f"only {top.lut:g} LUTs are left: the design was trimmed, so this is no measurement"
    counts = counts_of(_HIER, lambda name: getattr(top, name))
    unit = "RAMB36" if top.bram is not None else None
    return report_of(header, "vivado_utilization_hier", bram_unit=unit, status=status, reason=reason, modules=modules, **counts)


def _check_hierarchy(source: Source, table: TextTable, modules: Sequence[ReportedModule]) -> None:
    """A part is never larger than the whole, and LUTs are logic, RAM and shift registers."""
    _check_sums(source, table, modules)
    parts = [table.index(name) for name in ("logic luts", "lutrams", "srls")]
    for row, module in zip(table.rows, modules, strict=True):
        for key in ("lut", "ff", "dsp", "bram", "ramb18", "uram"):
            value, whole_design = getattr(module, key), getattr(modules[0], key)
            if None not in (value, whole_design) and value > 1.01 * whole_design + 2 and key != "lut":
                raise source.error(f"{module.name}: {value:g} {key} in a design of {whole_design:g}: the row is damaged", row.line)
        if None not in parts and module.lut is not None and module is modules[0]:
            values = [source.convert(module.name, row.cells[at], whole, row.line) for at in parts if at is not None]
            if None not in values and abs(sum(v for v in values if v is not None) - module.lut) > 2 + 0.01 * module.lut:
                raise source.error(
                    f"{module.name}: {module.lut:g} LUTs, but its kinds make another sum: the row is damaged", row.line
                )


def _check_sums(source: Source, table: TextTable, modules: Sequence[ReportedModule]) -> None:
    """Registers, memories and multipliers of an instance are those of its children, but for a few that Vivado moved across.

    LUTs are not, as two may share one.
    """
    children: dict[int, list[int]] = {}
    above: list[int] = []
    for k, module in enumerate(modules):
        while above and modules[above[-1]].depth >= module.depth:
            above.pop()
        if above:
            children.setdefault(above[-1], []).append(k)
        above.append(k)
    for parent, parts in children.items():
        for key in ("ff", "dsp", "bram", "ramb18", "uram"):
            values = [getattr(modules[k], key) for k in parts]
            whole_ = getattr(modules[parent], key)
            if None not in values and whole_ is not None and abs(sum(values) - whole_) > 2 + 0.01 * whole_:
                raise source.error(
                    f"{modules[parent].name}: {whole_:g} {key}, but its parts make {sum(values):g}: the report is damaged",
                    table.rows[parent].line,
                )


def _known_columns(source: Source, table: TextTable, names: Mapping[CountName, tuple[str, ...]], others: Sequence[str]) -> None:
    """A count that is not there is well; one that is not there while an unknown column is would be lost."""
    known = {name for group in names.values() for name in group} | set(others)
    unknown = [column for column in table.columns if column not in known]
    missing = [key for key, group in names.items() if table.index(*group) is None]
    if unknown and missing:
        raise source.error(
            f"no column of {missing[0]}, but one called {unknown[0]!r}: the header is damaged, or new to hwq", table.line
        )


def read_kernels(source: Source) -> Report:
    """The kernel table of `v++` (`report_accelerator_utilization`): what the kernels use, without the platform.

    Raises:
        ReportError: truncated or damaged.
    """
    lines = source.lines
    header, _, start = read_header(source, lines)
    section = next(iter(read_sections(source, lines, start).values()))
    table = _only_table(source, lines, section)
    _known_columns(source, table, _KERNEL, ("name", "lutasmem"))
    modules = tuple(_module(source, table, row, _KERNEL, unit=3) for row in table.rows)
    used = next((m for m in modules if m.name.lower() == "used resources"), None)
    if used is None or used.lut is None or used.ff is None:
        raise source.error("no row 'Used Resources'", table.line)
    fixed = ("platform", "user budget", "used resources", "unused resources")
    kernels = tuple(m for m in modules if m.name.lower() not in fixed)
    for key in _KERNEL:
        total = sum(mine for m in kernels if m.depth == 0 and (mine := getattr(m, key)) is not None)
        parts = {m.name.lower(): getattr(m, key) for m in modules if m.name.lower() in fixed}
        budget, unused = parts.get("user budget"), parts.get("unused resources")
        mine = getattr(used, key)
        if None not in (budget, unused, mine) and budget != unused + mine:
            raise source.error(f"{key}: used and unused do not make the budget: the report is damaged", table.line)
        if mine is not None and total > mine:
            raise source.error(f"{key}: {mine:g} are used, but the kernels make {total:g}: the report is damaged", table.line)
    counts = counts_of(_KERNEL, lambda name: getattr(used, name))
    unit = "36K tile" if used.bram is not None else None
    return report_of(header, "vivado_utilization_hier", bram_unit=unit, modules=kernels, **counts)


def _only_table(source: Source, lines: Sequence[str], section: ReportSection) -> TextTable:
    at = find_border(lines, section.start, section.end)
    if at is None:
        raise source.error(f"truncated: section {section.title!r} has no table", section.end)
    return read_table(source, lines, at)[0]


def _module(source: Source, table: TextTable, row: Row, names: Mapping[CountName, tuple[str, ...]], *, unit: int) -> ReportedModule:
    values: Counts = {}
    for key, known in names.items():
        at = table.index(*known)
        if at is not None:
            values[key] = source.convert(f"{row.name}, {table.columns[at]}", row.cells[at], count, row.line)
    module = table.index("module")
    return ReportedModule(row.name, None if module is None else row.cells[module], depth(row, unit), **values)


def resources_of(flat: Flat) -> Resources:
    """The counts as Resources, block RAM in 36K blocks."""
    found = flat.found
    return Resources(
        lut=found["lut"], ff=found["ff"], dsp=found["dsp"], bram36=found["bram"], uram=found.get("uram"), carry=found.get("carry")
    )
