"""One design, synthesised by itself and measured into the store; what the store knows is not measured again. No run is known here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from hwq.boards import Board
from hwq.codegen.build import Build
from hwq.cost.features import VERSION, features
from hwq.errors import ReportError, ToolError
from hwq.events import quiet
from hwq.measure.measurement import WHOLE, Measurement
from hwq.measure.store import Store
from hwq.sim.compare import Comparison
from hwq.sim.compiled_verilog import COMPILED
from hwq.sim.routed import compare_routed, random_inputs
from hwq.synthesis.step_measurement import key_of, options_before, require_mapped
from hwq.synthesis.storing import PlanFolder, Ran, store_all
from hwq.toolchains.manifest import Manifest
from hwq.toolchains.runner import record_path
from hwq.toolchains.steps import ROUTED, Step
from hwq.toolchains.synthesiser import Synthesiser, choose, synthesise
from hwq.units import limit_s


@dataclass(frozen=True, slots=True)
class Measured:
    """Measurements of a design on the way to the stage, that of the stage last; `reused` where no tool was started.

    Attributes:
        doubts: what is odd about the reports, as sentences.
    """

    measurements: tuple[Measurement, ...]
    reused: bool
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bench:
    """Where designs are measured.

    Attributes:
        board: what all designs are for.
        synthesiser: the tool and stage.
        folder: one folder a plan below it.
        scope: of the measurements: whole designs, or parts of them that no cost model is fitted to.
        timeout_s: limit for each program; None: none.
    """

    board: Board
    synthesiser: Synthesiser
    store: Store
    folder: Path
    scope: str = WHOLE
    timeout_s: float | None = None

    def __post_init__(self) -> None:
        """Raises UsageError: a limit that is no number above 0."""
        limit_s(self.timeout_s)


def build_features(made: Build) -> dict[str, float]:
    """What a design consists of: by its circuit, or as its style counts it."""
    if made.features is not None:
        return {**made.features, "counted": VERSION}
    return features(made.graph, made.circuit)


def manifest_of(made: Build, group: str = "") -> Manifest:
    """What build.json says of a design that belongs to no run; `group` names designs that cost models leave out together."""
    return Manifest.of_plan(made.plan, build_features(made), interval=made.interval, group=group)


def measured(made: Build, bench: Bench, name: str, *, group: str = "", begun: Callable[[Path], None] | None = None) -> Measured:
    """Take a design to the bench's stage; its netlist is evaluated before anything is stored.

    Args:
        name: of its folder, before the plan's digest.
        begun: told the folder of a design that the store does not know, before a tool starts; what it raises ends the measuring.

    Raises:
        ToolError, ReportError: of a step; it runs again next time.
        MismatchError: the netlist computes something else.
    """
    board, manifest = bench.board, manifest_of(made, group)
    # the clock belongs to the design: nextpnr is told it
    steps = choose(
        bench.synthesiser.kind, board, stage=bench.synthesiser.stage, period_ns=made.plan.period_ns, adders=made.plan.adders
    )
    measuring = [step for step in steps.steps if step.measures]
    tools = {step: steps.tool_of(step) for step in measuring}
    keys = {
        step: replace(
            key_of(board, step, tools[step].name, tools[step].version, options_before(steps, step), manifest), scope=bench.scope
        )
        for step in measuring
    }
    known = [found for key in keys.values() if (found := bench.store.get(key)) is not None]
    counted = bench.scope != WHOLE or all(m.features.get("counted") == VERSION for m in known)
    if len(known) == len(keys) and counted:
        return Measured(tuple(known), True)
    folder = bench.folder / f"{name}{made.plan.digest[:12]}"
    made.plan.write(folder)
    manifest.write(folder)
    if begun:
        begun(folder)
    records = synthesise(steps, folder, made.plan.digest, timeout_s=bench.timeout_s)
    require_mapped(made, folder)
    for step in steps.steps:
        _require_proven(step, made, folder)
    ran = [Ran(step, records[step.name], options_before(steps, step)) for step in steps.steps]
    stored = store_all(ran, PlanFolder(folder, board, manifest, bench.scope), bench.store)
    return Measured(stored.measurements, False, stored.doubts)


def _require_proven(step: Step, made: Build, folder: Path) -> None:
    """Raises ReportError: what a step made of the design computes something else; it runs again next time."""
    try:
        found = _compared(step, made, folder)
        if found is not None and found[1].mismatches:
            raise ReportError(found[0], str(found[1]), hint="please report it with graph.hwq")
    except (ReportError, ToolError):
        record_path(folder, step.name).unlink(missing_ok=True)
        raise


def _compared(step: Step, made: Build, folder: Path) -> tuple[Path, Comparison] | None:
    """The netlist of a step, and what it computes on random rows; None where it makes none, or one that keeps a state."""
    if step.proves in COMPILED:
        compiled = COMPILED[step.proves]
        return folder / compiled.verilog, compiled.compare(folder, random_inputs(made.graph), quiet)
    if step.proves == ROUTED and made.interval == 1:
        return folder / step.outputs[-1], compare_routed(folder, made.plan.latency_cycles, random_inputs(made.graph))
    return None
