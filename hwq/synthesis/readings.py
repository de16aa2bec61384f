"""From the files of a finished step to the numbers of a measurement, checked against what was asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwq.boards import Board
from hwq.errors import ReportError
from hwq.reports import Report, Status, bambu, parse
from hwq.reports.csynth import read_csynth
from hwq.reports.states import state_of
from hwq.reports.types import Latency, Resources, Timing, require_logic
from hwq.reports.yosys import read_stat
from hwq.sim.netlist import MappedNetlist, require_counts
from hwq.toolchains.bambu import FOLDER as BAMBU
from hwq.toolchains.runner import Record
from hwq.toolchains.steps import Step
from hwq.toolchains.vivado import STAGES
from hwq.tools.find import banner_version

Reading = tuple[Resources, Timing, Latency]
TRIMMED = 8  # a placed design of at most so many LUTs whose source needs more has lost its outputs or inputs
# what a design may be called after each stage of an HLS compiler's export: its own reports know no finer states
_EXPORTED = {"synth": frozenset({"synthesised"}), "route": frozenset({"routed"})}


def read_step(step: Step, record: Record, folder: Path, board: Board, top: str, summary: Mapping[str, Any]) -> Reading:
    """Resources, timing and latency that a finished step reports.

    Args:
        summary: the plan's build.json: its latency, and the features of the design.

    Raises:
        ReportError: a report that cannot be read, measures nothing, is of another design or part, or of a trimmed design.
    """
    files = {Path(name).name: folder / name for name in record.outputs}
    # that of hwq's own Verilog; what an HLS compiler makes of the C++ has another, which only its csynth report knows
    own = step.name.split("-")[0] in ("yosys", "nextpnr", "board", "vivado")
    pipeline = Latency(summary["latency_cycles"], summary["latency_cycles"], summary.get("interval", 1)) if own else Latency()
    if step.program == "yosys":
        path = files["stat.json"]
        if step.folder == BAMBU:
            pipeline = _compiled(folder / BAMBU / "csynth.log", top)[2]
        reading = read_stat(path), Timing(), pipeline
        modules = json.loads(path.read_text()).get("modules", {})
        require_same(path, "top", next((name.lstrip("\\") for name in modules), top), top)
    elif step.program == "nextpnr-ecp5":
        path = next(p for name, p in files.items() if name in ("routed.json", "placed.json"))
        report = _believe(path, parse(path), "nextpnr_report")
        # before routing its clock is an estimate, and is left out
        reading = report.resources, _timing(report) if path.name == "routed.json" else Timing(), pipeline
    elif step.program == "vivado":
        path = files[f"{step.stage}_utilization.rpt"]
        report, timing = parse(path), parse(files[f"{step.stage}_timing.rpt"])
        for found in (report, timing):
            _require_design(path, found, top, board, STAGES[step.stage].states)
        reading = _believe(path, report).resources, _timing(_believe(path, timing)), pipeline
    elif step.program == "bambu":
        return _compiled(folder / step.log, top)
    elif step.stage == "csynth":
        path = next(iter(files.values()))
        csynth = read_csynth(path)
        require_same(path, "top", csynth.top, top)
        require_part(path, csynth.part, board.part)
        reading = csynth.resources, csynth.timing, csynth.latency
    else:
        path = next(iter(files.values()))
        report = _believe(path, parse(path))
        _require_design(path, report, top, board, _EXPORTED[step.stage])
        reading = report.resources, _timing(report), pipeline
    require_logic(path, reading[0])
    _refuse_trimmed(path, reading[0], summary)
    if step.program == "yosys" and "netlist.v" in files:
        require_counts(path, MappedNetlist.read(files["netlist.v"], top))
    return reading


def version_doubt(step: Step, record: Record, folder: Path) -> str | None:
    """What to say where Yosys' report was written by another version than the program said it is; None where they agree."""
    name = next((n for n in record.outputs if Path(n).name == "stat.json"), None)
    if step.program != "yosys" or name is None:
        return None
    try:
        wrote = banner_version(str(json.loads((folder / name).read_text()).get("creator", "")))
    except (OSError, ValueError, AttributeError):
        return None  # the reader of the report says what is wrong with it
    if not wrote or record.version.startswith(wrote) or wrote.startswith(record.version or "?"):
        return None
    return f"{record.tool} says that it is {record.version or 'of no version'}, {name} was written by {wrote}"


def _compiled(path: Path, top: str) -> Reading:
    """What Bambu says of the function that it compiled: flip-flops, estimated clock, cycles; a design without registers is no fault."""
    report = _believe(path, parse(path), bambu.KIND)
    require_same(path, "top", report.top or "", top)
    return report.resources, _timing(report), report.latency


def read_power(record: Record, folder: Path) -> float | None:
    """The power report among the outputs of a step, in W; None where there is none.

    Raises:
        ReportError: it cannot be read.
    """
    name = next((n for n in record.outputs if Path(n).name.endswith("power.rpt")), None)
    return None if name is None else _believe(folder / name, parse(folder / name), "power").power_w


def require_pass(step: Step, record: Record, folder: Path) -> None:
    """Raises ReportError: a co-simulation that did not pass."""
    for name in record.outputs if step.stage == "cosim" else ():
        _believe(folder / name, parse(folder / name))


def _believe(path: Path, report: Report, kind: str | None = None) -> Report:
    """Raises ReportError: the report is of a failure, or of another kind. A missed clock is a result."""
    if report.status not in (Status.OK, Status.TIMING_MISSED):
        raise ReportError(path, f"{report.status}: {report.reason}", hint="the tool's log says why")
    if kind is not None and report.kind != kind:
        raise ReportError(path, f"it is a {report.kind}, expected a {kind}")
    return report


def _require_design(path: Path, report: Report, top: str, board: Board, states: frozenset[str]) -> None:
    require_same(path, "top", report.top or top, top)
    require_part(path, report.device or board.part, board.part)
    if report.state and state_of(report.state) not in states:
        wanted = " or ".join(sorted(states))
        raise ReportError(path, f"the design is {report.state}, expected {wanted}", hint="it is a report of another stage")
    if report.black_boxes:
        names = ", ".join(report.black_boxes[:4])
        raise ReportError(
            path, f"{len(report.black_boxes)} black boxes are not in the counts: {names}", hint="add the files of these modules"
        )


def _timing(report: Report) -> Timing:
    """Clock target, slack and Fmax; a tool that gives only one of slack and achieved period implies the other."""
    target, slack, achieved = report.clk_target_ns, report.wns_ns, report.clk_est_ns
    if slack is None and None not in (target, achieved):
        slack = (target or 0) - (achieved or 0)
    if achieved is None and None not in (target, slack):
        achieved = (target or 0) - (slack or 0)
    met = report.timing_met if report.timing_met is not None else None if slack is None else slack >= 0
    return Timing(target, slack, 1e3 / achieved if achieved and achieved > 0 else None, met)


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
