"""From the files of a finished step to the numbers of a measurement, checked against what was asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwq.boards import Board
from hwq.codegen.steps import Step
from hwq.errors import ReportError
from hwq.reports.csynth import read_csynth
from hwq.reports.types import Latency, Resources, Timing, require_logic
from hwq.reports.vivado import read_timing, read_utilization
from hwq.reports.yosys import read_stat
from hwq.tools.runner import Record

Reading = tuple[Resources, Timing, Latency]
TRIMMED = 8  # a placed design of at most so many LUTs whose source needs more has lost its outputs or inputs


def read_step(step: Step, record: Record, folder: Path, board: Board, top: str, summary: Mapping[str, Any]) -> Reading:
    """Resources, timing and latency that a finished step reports.

    Args:
        summary: the plan's build.json: its latency, and the features of the design.

    Raises:
        ReportError: a report that cannot be read, measures nothing, is of another design or part, or of a trimmed design.
    """
    files = {Path(name).name: folder / name for name in record.outputs}
    pipeline = Latency(summary["latency_cycles"], summary["latency_cycles"], 1)
    if step.program == "yosys":
        path = files["stat.json"]
        reading = read_stat(path), Timing(), pipeline
        modules = json.loads(path.read_text()).get("modules", {})
        require_same(path, "top", next((name.lstrip("\\") for name in modules), top), top)
    elif step.program == "nextpnr-ecp5":
        path = next(p for name, p in files.items() if name in ("routed.json", "placed.json"))
        reading = (*read_nextpnr(path, routed=path.name == "routed.json"), pipeline)
    elif step.program == "vivado":
        path = files[f"{step.stage}_utilization.rpt"]
        header, resources = read_utilization(path)
        require_same(path, "top", header.top, top)
        require_part(path, header.device, board.part)
        reading = resources, read_timing(files[f"{step.stage}_timing.rpt"])[1], pipeline
    else:
        path = next(iter(files.values()))
        csynth = read_csynth(path)
        require_same(path, "top", csynth.top, top)
        require_part(path, csynth.part, board.part)
        reading = csynth.resources, csynth.timing, csynth.latency
    require_logic(path, reading[0])
    _refuse_trimmed(path, reading[0], summary)
    return reading


def read_nextpnr(path: Path, *, routed: bool) -> tuple[Resources, Timing]:
    """The JSON report of nextpnr-ecp5; before routing its clock is an estimate, and is left out.

    Raises:
        ReportError: no complete report.
    """
    try:
        content = json.loads(path.read_text())
        used = {name: float(row["used"]) for name, row in content["utilization"].items()}
        clocks = [(float(row["achieved"]), float(row["constraint"])) for row in content["fmax"].values()]
        resources = Resources(
            lut=used["TRELLIS_COMB"], ff=used["TRELLIS_FF"], dsp=used["MULT18X18D"], bram36=used["DP16KD"] / 2, uram=0.0
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ReportError(path, f"no complete report of nextpnr: {type(error).__name__} {error}") from error
    if not routed or len(clocks) != 1:
        return resources, Timing()
    achieved, wanted = clocks[0]
    return resources, Timing(1e3 / wanted, 1e3 / wanted - 1e3 / achieved, achieved, achieved >= wanted)


def require_same(path: Path, what: str, found: str, wanted: str) -> None:
    """Raises ReportError: the report is of another design."""
    if found and found != wanted:
        raise ReportError(path, f"its {what} is {found}, expected {wanted}", hint="it is not the report of this plan")


def require_part(path: Path, found: str, wanted: str) -> None:
    """Raises ReportError: another part. Reports write `7z020clg400-1` and `xcvu9p-flga2104-2L` for full part names."""
    a, b = (re.sub(r"[^a-z0-9]", "", name.lower()).removeprefix("xc") for name in (found, wanted))
    if a and not (a.startswith(b) or b.startswith(a)):
        raise ReportError(path, f"its part is {found}, expected {wanted}", hint="it is not the report of this plan")


def _refuse_trimmed(path: Path, resources: Resources, summary: Mapping[str, Any]) -> None:
    needed = summary.get("features", {}).get("adder_bits", 0.0)
    if resources.lut is not None and resources.lut <= TRIMMED < needed and not resources.dsp:
        raise ReportError(
            path,
            f"{resources.lut:g} LUT for a design of {needed:g} full adders: it was trimmed",
            hint="the tool's log says why; do the outputs depend on the inputs?",
        )
