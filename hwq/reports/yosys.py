"""Yosys `stat -json`: cells by type."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from hwq.errors import ReportError
from hwq.reports.types import Resources

_FF = re.compile(r"FD[RSCP]E|TRELLIS_FF|FD[RSCP]E_1")
_LUT = re.compile(r"LUT[1-6]|CFGLUT5")
_DISTRIBUTED = re.compile(r"(RAM|ROM)(16|32|64|128|256|512)\w*|SRL\w+|TRELLIS_DPR16X4")


def read_stat(path: Path) -> Resources:
    """Resources of the whole design.

    Raises:
        ReportError: missing, no JSON, or no cell counts.
    """
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise ReportError(path, error.strerror or str(error)) from error
    except ValueError as error:
        raise ReportError(path, f"no JSON: {error}", line=getattr(error, "lineno", None)) from error
    design = content.get("design") if isinstance(content, dict) else None
    cells = design.get("num_cells_by_type") if isinstance(design, dict) else None
    if not isinstance(cells, dict) or not all(isinstance(n, int) and n >= 0 for n in cells.values()):
        raise ReportError(path, "no cell counts (design.num_cells_by_type) in it")
    return count(cells)


def count(cells: Mapping[str, int]) -> Resources:
    """Cell types to resources: a LUT6_2 is one LUT, RAM and shift registers in LUTs count as LUTs."""

    def total(*names: str) -> int:
        return sum(n for name, n in cells.items() if name in names)

    def matching(pattern: re.Pattern[str]) -> int:
        return sum(n for name, n in cells.items() if pattern.fullmatch(name))

    lut = matching(_LUT) + total("LUT6_2") + matching(_DISTRIBUTED)
    carry = total("CARRY4", "CARRY8", "CCU2C")
    if "CCU2C" in cells:
        lut = total("LUT4") + 2 * total("CCU2C")  # on ECP5 a carry cell takes the two LUTs of a slice
    return Resources(
        lut=lut,
        ff=matching(_FF),
        dsp=total("DSP48E1", "DSP48E2", "DSP58", "MULT18X18D"),
        bram36=total("RAMB36E1", "RAMB36E2") + total("RAMB18E1", "RAMB18E2", "DP16KD") / 2,
        uram=total("URAM288", "URAM288_BASE"),
        carry=carry,
        inverters=total("INV"),
    )
