"""`hwq synth`: generate, prove, synthesise, parse and store each point; what is stored already is not measured again."""

from __future__ import annotations

import platform
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hwq.boards import Board, load
from hwq.codegen.build import Style
from hwq.errors import MismatchError
from hwq.flow.design import Design, code_digest, comparisons_of
from hwq.measure.measurement import WHOLE, Key, Measurement
from hwq.measure.store import Store
from hwq.reports.csynth import read_csynth
from hwq.reports.types import Latency, Resources, Timing, require_logic
from hwq.reports.vivado import read_timing, read_utilization
from hwq.reports.yosys import read_stat
from hwq.rundir import Point, RunDir
from hwq.tools.process import ToolRun
from hwq.tools.synthesis import Synthesiser, choose, synthesise
from hwq.units import Period

Tell = Callable[[str, str], None]  # (point, what is happening to it)


@dataclass(frozen=True, slots=True)
class SynthResult:
    """One point, proven and measured; `reused` when its measurement was in the store already."""

    point: Point
    folder: Path
    measurement: Measurement
    simulation: dict[str, Any]
    reused: bool


def synth(
    run: Path,
    board_name: str,
    *,
    point: str = "best",
    tool: str = "auto",
    clock: Period | None = None,
    store_path: Path | None = None,
    jobs: int = 2,
    timeout_s: float | None = None,
    style: Style = "multiply",
    tell: Tell | None = None,
) -> tuple[Synthesiser, list[SynthResult]]:
    """Measure points of a run, cheapest first in the result.

    Args:
        style: of the C++ (`hwq.codegen.build.build`).

    Raises:
        RunError, BoardError, ToolError, ReportError, StoreError.
        MismatchError: an evaluator disagrees; nothing of that point is measured.
    """
    board = load(board_name)
    directory = RunDir.open(run)
    points = directory.select(point)
    synthesiser = choose(tool, board)
    store = Store.open(store_path)
    period, code = clock or board.default_clock, code_digest()
    designs = [Design(directory, p, board, period, code, style) for p in points]
    say = tell or (lambda _point, _what: None)
    results: dict[str, SynthResult] = {}
    # the largest first: it takes longest, and the small ones fill the time beside it
    order = sorted(designs, key=lambda design: -design.point.ebops)
    pool = ThreadPoolExecutor(max(1, jobs))
    try:
        waiting = {pool.submit(_one, design, synthesiser, store, timeout_s, say): design for design in order}
        for future in as_completed(waiting):
            results[waiting[future].point.id] = future.result()
            write_link(directory, board, synthesiser, period, waiting[future])
    except KeyboardInterrupt:
        pool.shutdown(wait=False, cancel_futures=True)  # the caller leaves, and the tools end with it
        raise
    except BaseException:
        pool.shutdown(wait=True, cancel_futures=True)  # what runs already is finished and kept
        raise
    pool.shutdown()
    return synthesiser, [results[p.id] for p in points]


def _one(design: Design, synthesiser: Synthesiser, store: Store, timeout_s: float | None, say: Tell) -> SynthResult:
    point = design.point.id
    say(point, "generating")
    summary = design.summary()
    key = key_of(design, synthesiser, summary)
    say(point, "proving")
    simulation = design.simulation(lambda text: say(point, text))
    for comparison in comparisons_of(simulation):
        if comparison.mismatches:
            raise MismatchError(f"point {point}: {comparison}", hint=f"please report it with {design.folder / 'graph.hwq'}")
    known = store.get(key)
    if known is not None:
        say(point, "done: measured before")
        return SynthResult(design.point, design.folder, known, simulation, True)
    say(point, f"synthesising with {synthesiser.tool}")
    tool_run, reports = synthesise(synthesiser, design.folder, timeout_s=timeout_s, notice=lambda text: say(point, text))
    measurement = measured(key, design, synthesiser, summary, tool_run, reports)
    store.put(measurement)
    say(point, "done")
    return SynthResult(design.point, design.folder, measurement, simulation, False)


def key_of(design: Design, synthesiser: Synthesiser, summary: dict[str, Any]) -> Key:
    tool = synthesiser.tool
    return Key(summary["design"], summary["plan"], WHOLE, design.board.name, tool.name, tool.version, synthesiser.stage)


def measured(
    key: Key, design: Design, synthesiser: Synthesiser, summary: dict[str, Any], tool_run: ToolRun, reports: list[Path]
) -> Measurement:
    """Read the reports of a finished run.

    Raises:
        ReportError: a report that cannot be read, or that measures nothing.
    """
    latency = Latency(summary["latency_cycles"], summary["latency_cycles"], 1)
    timing = Timing()
    if synthesiser.kind == "yosys":
        resources: Resources = read_stat(reports[0])
    elif synthesiser.kind == "vivado":
        _, resources = read_utilization(reports[0])
        timing = read_timing(reports[1])[1] if len(reports) > 1 else timing
    else:
        csynth = read_csynth(reports[0])
        resources, timing, latency = csynth.resources, csynth.timing, csynth.latency
    return Measurement(
        key,
        design.board.family,
        require_logic(reports[0], resources),
        timing,
        latency,
        summary["features"],
        tool_run.seconds,
        tool_run.peak_mb,
        datetime.now(UTC).isoformat(timespec="seconds"),
        str(tool_run.log),
        platform.node(),
    )


def write_link(directory: RunDir, board: Board, synthesiser: Synthesiser, period: Period, design: Design) -> None:
    """Remember what was asked last and where a point's files are, so that `hwq report` shows it whatever becomes of hwq's code."""
    meta = directory.meta()
    wanted: dict[str, Any] = {
        "board": board.name,
        "kind": synthesiser.kind,
        "tool": synthesiser.tool.name,
        "version": synthesiser.tool.version,
    }
    wanted |= {"stage": synthesiser.stage, "period_ns": period.ns}
    before = meta.get("synth", {})
    folders = before.get("folders", {}) if all(before.get(key) == value for key, value in wanted.items()) else {}
    folders = {**folders, design.point.id: design.folder.name}
    if before != {**wanted, "folders": folders}:
        directory.save_meta({**meta, "synth": {**wanted, "folders": folders}})
