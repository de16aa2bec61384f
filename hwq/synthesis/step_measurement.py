"""From a finished step to a Measurement with its provenance."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from hwq.boards import Board, Operands, load
from hwq.codegen.build import Build
from hwq.errors import MismatchError
from hwq.measure.measurement import ROWS, WHOLE, Key, Measurement
from hwq.sim.compare import compare
from hwq.sim.netlist import evaluate_mapped
from hwq.sim.reference import evaluate
from hwq.sim.routed import random_inputs
from hwq.sim.rtlsim import NETLIST, affordable
from hwq.synthesis.step_reports import read_power, read_step
from hwq.toolchains.manifest import Manifest
from hwq.toolchains.registry import makers, program
from hwq.toolchains.runner import Record, record_path
from hwq.toolchains.steps import MAPPED, Step
from hwq.toolchains.synthesiser import Synthesiser

REPORTS = (".json", ".rpt", ".xml", ".log")
LARGEST = 4 << 20  # bytes: what is larger is a netlist or a log gone wild, and stays in the run's folder


def options_of(step: Step, before: Mapping[Step, str], adders: Operands) -> str:
    """What a measurement of `step` depends on besides its own program: the programs before it, with their versions, and the form of sums.

    The form is that of hwq's own Verilog: what a compiler makes of the C++ has sums of its own.

    Args:
        before: the steps ahead of it -> their program and version.
        adders: of the plan.
    """
    programs = dict.fromkeys(f"after {tool}" for s, tool in before.items() if s.program != step.program)
    compiled = any(program(s.program).compiles for s in (*before, step))
    return "; ".join([*programs, *([ROWS] if adders == "three" and not compiled else [])])


def options_before(synthesiser: Synthesiser, step: Step) -> str:
    """`options_of` for a step of a synthesiser, by the programs that are here."""
    before = synthesiser.steps[: synthesiser.steps.index(step)]
    tools = {s: str(synthesiser.tools[s.program]) for s in before if s.program in synthesiser.tools}
    return options_of(step, tools, synthesiser.adders)


def key_of(board: Board, step: Step, tool: str, version: str, options: str, manifest: Manifest) -> Key:
    """What identifies the measurement of a step; `manifest` is the plan's build.json."""
    told = options
    if manifest.hardware:  # its sums are of two, whatever was asked for
        parts = [part for part in options.split("; ") if part and part != ROWS]
        told = "; ".join([*parts, manifest.hardware])
    return Key(manifest.design, manifest.plan, WHOLE, board.name, tool, version, step.stage, told)


def require_mapped(made: Build, folder: Path) -> None:
    """The mapped netlist, where there is one, must compute what the graph says, on random rows over the whole range of the inputs.

    Raises:
        MismatchError: it does not; the step runs again next time, and nothing of it may be stored.
        ReportError, ToolError: it cannot be read or simulated.
    """
    if not (folder / NETLIST).is_file():
        return
    inputs = random_inputs(made.graph)
    inputs = inputs[: affordable(made, len(inputs))]
    found = evaluate_mapped(made, folder, inputs)
    if found is None:
        return
    comparison = compare(made.graph, "reference", evaluate(made.graph, inputs), "netlist", found)
    if comparison.mismatches:
        record_path(folder, makers(load(made.plan.board))[MAPPED].name).unlink(missing_ok=True)
        raise MismatchError(f"{folder}: {comparison}", hint=f"please report it with {folder / 'graph.hwq'}")


def measure(
    step: Step, record: Record, folder: Path, board: Board, manifest: Manifest, options: str
) -> tuple[Measurement, dict[str, bytes]]:
    """The measurement of a finished step, and the reports and log to archive with it.

    Raises:
        ReportError: a report that cannot be read or believed.
    """
    measurement = Measurement(
        key_of(board, step, record.tool, record.version, options, manifest),
        board.family,
        *read_step(step, record, folder, board, manifest),
        features=manifest.features,
        seconds=record.seconds,
        peak_mb=record.peak_mb or 0.0,
        when=datetime.fromtimestamp(record.began, UTC).isoformat(timespec="seconds"),
        log=str(folder / record.log),
        host=record.host,
        power_w=read_power(record, folder),
        group=manifest.group,
    )
    names = [n for n in record.outputs if Path(n).suffix in REPORTS and Path(n).name != "netlist.json"]
    paths = {name: folder / name for name in (*names, record.log)}
    return measurement, {n: p.read_bytes() for n, p in paths.items() if p.is_file() and p.stat().st_size <= LARGEST}
