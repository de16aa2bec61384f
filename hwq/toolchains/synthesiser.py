"""Choosing the kind of tool for a board and stage, and running its steps over a written BuildPlan, each once.

Reading the reports is left to `hwq.reports`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hwq.boards import Adders, Board, Operands
from hwq.errors import ToolMissingError, UsageError
from hwq.events import Notice, quiet
from hwq.toolchains.base import Toolchain
from hwq.toolchains.plan import TOP
from hwq.toolchains.registry import automatic, program, steps_for, toolchain, toolchains_for
from hwq.toolchains.runner import Basis, Record, locked, read_record, run_step, still_valid
from hwq.toolchains.steps import STAGES, Step
from hwq.tools.find import Tool
from hwq.tools.wasm import FIRST_CALL, compiled


@dataclass(frozen=True, slots=True)
class Synthesiser:
    """A kind of tool with the steps to one stage, and its programs; a program that is not there is left out.

    Attributes:
        adders: operands of the sums of what it is given; what is measured of one form says nothing of the other.
    """

    kind: str
    stage: str
    steps: tuple[Step, ...]
    tools: Mapping[str, Tool]
    adders: Operands = "two"

    def tool_of(self, step: Step) -> Tool:
        """Raises ToolMissingError: the step's program is not there; says how to get it."""
        return self.tools.get(step.program) or program(step.program).locate()

    @property
    def toolchain(self) -> Toolchain:
        """What hwq knows of the kind."""
        return toolchain(self.kind)

    @property
    def tool(self) -> Tool:
        """The program whose reports measure the stage."""
        measuring = [s for s in self.steps if s.measures] or list(self.steps)
        return self.tool_of(measuring[-1])


def choose(
    wanted: str, board: Board, *, stage: str | None = None, period_ns: float, planned: bool = False, adders: Adders = "auto"
) -> Synthesiser:
    """`auto` is the vendor's own synthesis where it is installed, else the open tools.

    Args:
        stage: where to stop; each kind's own default when None.
        planned: do not ask for the programs: the plan runs elsewhere.
        adders: operands of the designs' sums.

    Raises:
        ToolMissingError: not installed, or nothing installed takes the board to that stage.
        ToolError: too old.
        UsageError: the board's part is not for that tool, or the tool has no such stage.
    """
    if wanted != "auto":
        chosen = stage or toolchain(wanted).default_stage
        steps = steps_for(wanted, chosen, board, TOP, period_ns)
        tools = _present(steps) if planned else {s.program: program(s.program).locate() for s in steps}
        return Synthesiser(wanted, chosen, steps, tools, board.operands(adders))
    kinds = automatic(board, stage)
    for kind in kinds:
        chosen = stage or toolchain(kind).default_stage
        steps = steps_for(kind, chosen, board, TOP, period_ns)
        tools = _present(steps)
        if all(s.program in tools for s in steps):
            return choose(kind, board, stage=chosen, period_ns=period_ns, adders=adders)
    if len(kinds) == 1 or (planned and kinds):
        return choose(kinds[0], board, stage=stage, period_ns=period_ns, planned=planned, adders=adders)
    if kinds:
        raise ToolMissingError(f"nothing installed takes {board.part}", hint=f"it needs one of: {', '.join(kinds)}; see hwq doctor")
    able = [s for s in STAGES if any(s in t.chains for t in toolchains_for(board))]
    raise UsageError(f"no tool takes {board.part} to the stage {stage}", hint=f"stages for {board.name}: {', '.join(able)}")


def _present(steps: tuple[Step, ...]) -> dict[str, Tool]:
    found = {name: program(name).look() for name in {s.program for s in steps}}
    return {name: tool for name, tool in found.items() if tool is not None}


def synthesise(
    synthesiser: Synthesiser,
    folder: Path,
    plan: str,
    *,
    timeout_s: float | None = None,
    notice: Notice = quiet,
    progress: Notice = quiet,
) -> dict[str, Record]:
    """Run the steps that have not finished yet for this plan, in its folder; the record of every step by name.

    Args:
        plan: the plan's digest.
        timeout_s: limit for each step.
        notice: told which step starts; progress: told every line that a program prints.

    Raises:
        ToolError: with the first error and what usually mends it; finished steps are kept.
        RunError: the folder cannot be written.
    """
    records: dict[str, Record] = {}
    with locked(folder, notice):
        for step in synthesiser.steps:
            tool = synthesiser.tool_of(step)
            basis = Basis.of(plan, records)
            record = read_record(folder, step)
            if record is None or not still_valid(record, folder, tool, basis):
                notice(f"{step.stage}: {tool}" + (f" ({FIRST_CALL})" if not compiled(tool) else ""))
                record = run_step(step, tool, folder, basis, timeout_s=timeout_s, on_line=progress)
            records[step.name] = record
    return records


def finished(synthesiser: Synthesiser, folder: Path, plan: str) -> bool:
    """Whether every step has run with these programs and all its files are still there."""
    records: dict[str, Record] = {}
    for step in synthesiser.steps:
        record = read_record(folder, step)
        if record is None or not still_valid(record, folder, synthesiser.tool_of(step), Basis.of(plan, records)):
            return False
        records[step.name] = record
    return True
