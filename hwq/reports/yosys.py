"""Yosys `stat`, as JSON and as text: cells by type."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hwq.reports.text import Source, read
from hwq.reports.types import Report, ReportedModule, Resources, Status

READS = "stat of Yosys"  # for people

# the flip-flops of Xilinx, ECP5, Nexus and MachXO2, iCE40, Gowin
_FF = re.compile(r"FD[RSCP]E(_1)?|TRELLIS_FF|FD1P3[A-Z]+|FD1S3[A-Z]+|SB_DFFN?(E?(S?[SR])?|E)|DFFN?[SRPC]?E?")
_LUT = re.compile(r"LUT[1-6]|CFGLUT5|SB_LUT4")
_DISTRIBUTED = re.compile(r"(RAM|ROM)(16|32|64|128|256|512)\w*|SRL\w+|TRELLIS_DPR16X4")
# what takes LUTs beside those: on Lattice a carry cell the two LUTs of a slice, on Gowin an ALU the place of one
_BESIDE = {"CCU2C": 2, "CCU2D": 2, "WIDEFN9": 2, "ALU": 1}


_WHOLE = "design hierarchy"
_STAT_TEXT = re.compile(r"\s*(?:[\d.]+ Printing statistics\.\s+)?=== \S.* ===\n")
_STAT_HEAD = re.compile(r"=== (\S.*?) ===")
_STAT_TOTAL = re.compile(r" +Number of cells: +(\d+)| +(\d+|-)(?: +\S+)? cells")
_STAT_CELL = re.compile(r" {5,}(\S+) +(\d+)| +(\d+)(?: +[\d.]+)? {3,}(\S+)")
_STAT_SUBMODULES = re.compile(r" +\d+ submodules")
_VERSION = re.compile(r"Yosys (\d+\.\d+(?:\+\d+)?)")


def read_stat(path: Path) -> Resources:
    """Resources of the whole design.

    Raises:
        ReportError: missing, no JSON, or no cell counts.
    """
    source = read(path)
    return count(_cells(source, parse_json(source).get("design"), "design"))


def parse_json(source: Source) -> dict[str, object]:
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


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
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
        modules.append(ReportedModule(bare, bare, 0, own.lut, own.ff, own.dsp, _eighteen(own), uram=own.uram))
    return _stat(found, version[1] if version else None, modules)


def _stat(found: Resources, version: str | None, modules: Sequence[ReportedModule]) -> Report:
    nothing = not any((found.lut, found.ff, found.dsp, found.bram36, found.uram))
    return Report(
        "yosys_stat",
        tool="Yosys",
        version=version,
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


def is_stat_text(text: str) -> bool:
    """What `tee -o FILE stat` writes: no more than the statistics."""
    return _STAT_TEXT.match(text) is not None


def read_stat_text(source: Source) -> Report:
    """`stat` of Yosys as text, in the words of both generations: `Number of cells:   12` and `12 cells`.

    Raises:
        ReportError: truncated, damaged, or counts that contradict each other.
    """
    sections = _sections(source)
    modules = []
    for section in sections:
        if section.name != _WHOLE:
            own = count(section.cells)
            modules.append(ReportedModule(section.name, section.name, 0, own.lut, own.ff, own.dsp, _eighteen(own), uram=own.uram))
    whole = next((s for s in sections if s.name == _WHOLE), sections[0])
    if len(modules) > 1 and whole.name != _WHOLE:
        raise source.error("truncated: several modules, but no section of the design hierarchy", source.text.count("\n") + 1)
    return _stat(count(whole.cells), None, modules)


@dataclass(frozen=True, slots=True)
class _Section:
    """One module, or the design: its cells by type, without instances of its other modules."""

    name: str
    cells: dict[str, int]


def _sections(source: Source) -> list[_Section]:
    lines = source.lines
    heads = [(i, m[1]) for i, line in enumerate(lines) if (m := _STAT_HEAD.fullmatch(line))]
    names = {name.removeprefix("\\") for _, name in heads}
    return [
        _section(source, name.removeprefix("\\"), start + 1, end, names)
        for (start, name), (end, _) in zip(heads, [*heads[1:], (len(lines), "")], strict=True)
    ]


def _section(source: Source, name: str, start: int, end: int, modules: set[str]) -> _Section:
    """The cells of lines[start:end]: those listed below their total, of which the types make the sum."""
    total: int | None = None
    listed: dict[str, int] = {}
    for i in range(start, end):
        line = source.lines[i]
        if (match := _STAT_TOTAL.fullmatch(line)) is not None:
            if total is not None:
                raise source.error(f"{name}: the number of cells is there twice", i + 1)
            total = 0 if (match[1] or match[2]) == "-" else int(match[1] or match[2])
        elif total is not None and line.strip():
            match = _STAT_CELL.fullmatch(line)
            if match is None:
                break  # the submodules of the new form, an estimate, or the end of the statistics
            kind = match[1] or match[4]
            if kind in listed:
                raise source.error(f"{name}: {kind} is there twice", i + 1)
            listed[kind] = int(match[2] or match[3])
        elif total is not None:
            break
    if total is None:
        if any(_STAT_SUBMODULES.fullmatch(line) for line in source.lines[start:end]):
            return _Section(name, {})  # nothing but instances
        raise source.error(f"truncated: no number of cells of {name}", end)
    if sum(listed.values()) != total:
        raise source.error(f"{name}: {total} cells, but the types make {sum(listed.values())}: truncated or damaged", start)
    return _Section(name, {kind: n for kind, n in listed.items() if kind.removeprefix("\\") not in modules})


def _eighteen(found: Resources) -> float | None:
    """Block RAM in 18K blocks."""
    return None if found.bram36 is None else int(found.bram36 * 2)


def count(cells: Mapping[str, int]) -> Resources:
    """Cell types to resources: a LUT6_2 is one LUT, RAM and shift registers in LUTs count as LUTs."""

    def total(*names: str) -> int:
        return sum(n for name, n in cells.items() if name in names)

    def matching(pattern: re.Pattern[str]) -> int:
        return sum(n for name, n in cells.items() if pattern.fullmatch(name))

    lut = matching(_LUT) + total("LUT6_2") + matching(_DISTRIBUTED) + sum(size * total(name) for name, size in _BESIDE.items())
    carry = total("CARRY4", "CARRY8", "SB_CARRY", "CCU2C", "CCU2D", "ALU")
    return Resources(
        lut=lut,
        ff=matching(_FF),
        dsp=total("DSP48E1", "DSP48E2", "DSP58", "MULT18X18D"),
        bram36=total("RAMB36E1", "RAMB36E2") + total("RAMB18E1", "RAMB18E2", "DP16KD") / 2,
        uram=total("URAM288", "URAM288_BASE"),
        carry=carry,
        inverters=total("INV"),
    )
