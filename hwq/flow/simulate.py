"""`hwq sim`: run every evaluator of a point afresh and compare them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hwq.boards import load
from hwq.flow.design import Design, Io, code_digest, comparisons_of
from hwq.rundir import RunDir
from hwq.sim.compare import Comparison
from hwq.units import Period


def simulate(
    run: Path,
    *,
    board: str | None = None,
    point: str = "best",
    clock: Period | None = None,
    io: Io = "parallel",
    tell: Callable[[str, str], None] | None = None,
) -> list[tuple[str, list[Comparison]]]:
    """[(point, comparisons)]: the reference against Keras, the emulator, the C-simulation and the RTL simulation.

    Raises:
        RunError, BoardError, ToolError.
    """
    directory = RunDir.open(run)
    link = directory.meta().get("synth") or {}
    chosen = load(board or link.get("board") or "xcvu9p")
    period = clock or chosen.default_clock
    out = []
    for p in directory.select(point):
        if tell:
            tell(p.id, "simulating")
        design = Design(directory, p, chosen, period, code_digest(), io=io)
        out.append((p.id, comparisons_of(design.simulation(fresh=True))))
    return out
