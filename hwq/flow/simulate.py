"""`hwq sim`: run every evaluator of a point afresh and compare them; prove the netlist."""

from __future__ import annotations

from pathlib import Path

from hwq.boards import DEFAULT_BOARD
from hwq.codegen.build import Build
from hwq.design.point import PointDesign, code_digest
from hwq.design.target import Target
from hwq.design.verdict import Verdict
from hwq.errors import UsageError
from hwq.events import QUIET, Events
from hwq.measure.store import Store
from hwq.run.directory import RunDir
from hwq.sim.prove import Proof, prove
from hwq.tools.gxx import require_gxx


def simulate(
    run: Path,
    target: Target | str | None = None,
    *,
    point: str = "best",
    store_path: Path | str | None = None,
    events: Events = QUIET,
) -> list[tuple[str, Verdict]]:
    """[(point, verdict)]: the reference against Keras, the emulator, the C-simulation, the RTL simulation and the netlists.

    Without a target it is the board that the run was last synthesised for. The mapped netlist is there once Yosys has synthesised the
    point. What was measured of a design whose evaluators disagree is taken out of the store.

    Raises:
        RunError, BoardError, ToolError, StoreError.
    """
    out = []
    for design in _designs(run, target, point):
        say = events.of(design.point.id)
        say("simulating")
        verdict = design.simulation(say, fresh=True)
        out.append((design.point.id, verdict))
        if verdict.mismatches:
            gone = Store.open(store_path).void(design.summary().plan)
            if gone:
                say(f"{gone} measurements of this design are void, and are taken out of the store")
    return out


def prove_points(
    run: Path,
    timeout_s: float,
    target: Target | str | None = None,
    *,
    point: str = "best",
    events: Events = QUIET,
) -> list[tuple[str, Proof]]:
    """[(point, proof)] that the mapped netlist equals the RTL; a point takes at most `timeout_s` seconds.

    Raises:
        RunError, BoardError, ToolError: no netlist yet, among others.
        UsageError: of a stream.
        MismatchError: with a counterexample.
    """
    out = []
    for design in _designs(run, target, point):
        events.point(design.point.id, "proving that the netlist equals the RTL")
        design.summary()
        if not isinstance(design.build, Build):
            raise UsageError(
                "a streamed design keeps a state, and such netlists are simulated, not proven",
                hint="leave --prove or --io stream out",
            )
        if design.build.interval > 1:
            raise UsageError(
                f"a design of the style {design.build.plan.hardware} keeps a state, and such netlists are simulated, not proven",
                hint="leave --prove or --interval out",
            )
        out.append((design.point.id, prove(design.build, design.folder, timeout_s)))
    return out


def last_board(run: RunDir) -> str:
    """The board that a run was last synthesised for, else the default."""
    last = run.synthesised()
    return last.link.board if last else DEFAULT_BOARD


def _designs(run: Path, target: Target | str | None, point: str) -> list[PointDesign]:
    require_gxx()  # as `hwq.flow.synth`: nothing is compared without it
    directory = RunDir.open(run)
    chosen = Target.of(target or last_board(directory))
    return [PointDesign(directory, p, chosen, code_digest()) for p in directory.select(point)]
