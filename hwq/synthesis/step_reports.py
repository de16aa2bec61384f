"""From the files of a finished step to the numbers of a measurement, checked against what was asked for.

Which report of a tool holds which number is in that tool's file of `hwq.toolchains`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from hwq.boards import Board
from hwq.errors import ReportError
from hwq.files import inside
from hwq.reports import parse
from hwq.reports.types import Latency, Resources, Timing, require_logic
from hwq.sim.netlist import MappedNetlist, require_counts
from hwq.toolchains.believing import believe
from hwq.toolchains.manifest import Manifest
from hwq.toolchains.plan import TOP
from hwq.toolchains.runner import Record, changed_outputs, read_record
from hwq.toolchains.steps import Finished, Step

CARRIED = 4
TRIMMED = 8  # a placed design of at most so many LUTs whose source needs more has lost its outputs or inputs
NETLIST = "netlist.v"  # what a step leaves that maps the design; its report is checked against it


def read_step(
    step: Step,
    record: Record,
    folder: Path,
    board: Board,
    manifest: Manifest,
    *,
    counted: bool = True,
) -> tuple[Resources, Timing, Latency]:
    """Resources, timing and latency that a finished step reports.

    Args:
        manifest: the plan's build.json: its latency, and the features of the design.
        counted: compare the report with the cells of the netlist beside it.

    Raises:
        ReportError: a report that cannot be read, measures nothing, is of another design or part, or of a trimmed design.
    """
    if step.read is None:
        raise ReportError(folder / step.log, f"{step.name} measures nothing")
    files = _Outputs(folder / record.log, {Path(name).name: folder / name for name in record.outputs})
    pipeline = Latency(manifest.latency_cycles, manifest.latency_cycles, manifest.interval)
    found = step.read(Finished(step, folder, files, board, TOP, pipeline))
    if found.whole:
        require_logic(found.path, found.resources)
        _refuse_trimmed(found.path, found.resources, manifest)
    if counted and NETLIST in files:
        require_counts(found.path, MappedNetlist.read(files[NETLIST], TOP))
    return found.resources, found.timing, found.latency


class _Outputs(dict[str, Path]):
    """The files of a step by name, whose reader asks for those that the step makes: a record may leave some out."""

    def __init__(self, log: Path, files: Mapping[str, Path]) -> None:
        super().__init__(files)
        self.log = log

    def __missing__(self, name: str) -> Path:
        raise ReportError(self.log, f"the step's record names no {name}", hint="delete the record: the step then runs again")


def reread(
    step: Step, folder: Path, board: Board, manifest: Manifest, *, sealed: bool = True, counted: bool = False
) -> tuple[Resources, Timing, Latency] | None:
    """What the reports of a step that has run in `folder` say; None where they are not there as they were made.

    Args:
        counted: compare the report with the cells of the netlist again, which takes a second for ten thousand of them.
        sealed: a record without a seal is refused; those of hwq 0.1.0 have none.

    Raises:
        ReportError: a report that cannot be read or believed.
    """
    record = read_record(folder, step, sealed=sealed)
    if record is None or record.plan != manifest.plan or changed_outputs(record, folder):
        return None
    return read_step(step, record, folder, board, manifest, counted=counted)


def from_archive(
    step: Step, artefacts: Mapping[str, bytes], board: Board, manifest: Manifest
) -> tuple[Resources, Timing, Latency] | None:
    """What the reports say that were archived with a measurement; None where there are none: a row that came from a table has none.

    Raises:
        ReportError: a report that cannot be read or believed.
    """
    reports = {name: content for name, content in artefacts.items() if name != step.log}
    if not reports:
        return None
    with tempfile.TemporaryDirectory(prefix="hwq-archive-") as place:
        folder = Path(place)
        for name, content in artefacts.items():
            path = inside(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        record = Record(
            step.name, step.stage, manifest.plan, "", "", 0, 0.0, 0.0, None, "", step.log, {}, dict.fromkeys(reports, "")
        )
        return read_step(step, record, folder, board, manifest, counted=False)


def version_doubt(step: Step, record: Record, folder: Path) -> str | None:
    """What to say where a step's report was written by another version than the program said it is; None where they agree."""
    stamp = step.stamp
    name = next((n for n in record.outputs if stamp is not None and Path(n).name == stamp.file), None)
    if stamp is None or name is None:
        return None
    try:
        wrote = stamp.version((folder / name).read_text())
    except (OSError, ValueError, AttributeError):
        return None  # the reader of the report says what is wrong with it
    if not wrote or record.version.startswith(wrote) or wrote.startswith(record.version or "?"):
        return None
    return f"{record.tool} says that it is {record.version or 'of no version'}, {name} was written by {wrote}"


def read_power(record: Record, folder: Path) -> float | None:
    """The power report among the outputs of a step, in W; None where there is none.

    Raises:
        ReportError: it cannot be read.
    """
    name = next((n for n in record.outputs if Path(n).name.endswith("power.rpt")), None)
    return None if name is None else believe(folder / name, parse(folder / name), "power").power_w


def require_pass(step: Step, record: Record, folder: Path) -> None:
    """Raises ReportError: a co-simulation that did not pass."""
    for name in record.outputs if step.stage == "cosim" else ():
        believe(folder / name, parse(folder / name))


def _refuse_trimmed(path: Path, resources: Resources, manifest: Manifest) -> None:
    needed = manifest.features.get("adder_bits", 0.0)
    # a carry cell adds four bits or more, and an inverter is counted apart
    logic = (resources.lut or 0.0) + CARRIED * (resources.carry or 0.0) + (resources.inverters or 0.0)
    if resources.lut is not None and logic <= TRIMMED < needed and not resources.dsp:
        raise ReportError(
            path,
            f"{resources.lut:g} LUT for a design of {needed:g} full adders: it was trimmed",
            hint="the tool's log says why; do the outputs depend on the inputs?",
        )
