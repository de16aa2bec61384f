"""`hwq synth --dry-run`: plans that run elsewhere. Files are written, no tool is started, nothing is measured."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from hwq.design.feeding import FILES as FEEDING
from hwq.design.point import PointDesign, code_digest, require_streamable
from hwq.design.target import Target
from hwq.locks import explain
from hwq.run.directory import RunDir
from hwq.toolchains.registry import program
from hwq.toolchains.steps import Step
from hwq.toolchains.synthesiser import Synthesiser, choose


@dataclass(frozen=True, slots=True)
class Planned:
    """One point's plan.

    Attributes:
        digest: over all generated files; equal plans are never measured twice.
        commands: what runs, in order, in `folder`.
        script: the command that runs them all by itself.
    """

    point: str
    folder: Path
    digest: str
    commands: tuple[str, ...]
    script: str
    files: tuple[str, ...]


def plan(
    run: Path,
    target: Target | str,
    *,
    point: str = "best",
    out: Path | None = None,
) -> list[Planned]:
    """Generate the plans of points of a run.

    Args:
        target: what they are for; a board's name stands for that board at its own clock.
        out: also copy each plan to `out/<point>`, to be taken to another machine.

    Raises:
        RunError, BoardError, UsageError; ToolMissingError: nothing takes the board to the stage.
    """
    target, directory, code = Target.of(target), RunDir.open(run), code_digest()
    synthesiser = choose(
        target.tool, target.board, stage=target.stage, period_ns=target.clock.ns, planned=True, adders=target.adders
    )
    require_streamable(target.io, synthesiser)
    planned = []
    for p in directory.select(point):
        design = PointDesign(directory, p, target, code)
        summary = design.summary()
        summary = design.with_test_data(summary)
        folder = design.folder if out is None else _copy(design.folder, out / p.id, summary.files or ())
        script = f"./run.sh {synthesiser.kind} {synthesiser.stage}"
        commands = tuple(command(synthesiser, step) for step in synthesiser.steps)
        planned.append(Planned(p.id, folder, summary.plan, commands, script, tuple(summary.files or ())))
    return planned


def command(synthesiser: Synthesiser, step: Step) -> str:
    """How a step is started here; its program's name stands for one that is not installed."""
    tool = synthesiser.tools.get(step.program)
    first = [*tool.argv, *program(step.program).lead(tool)] if tool is not None else [step.program]
    if tool is not None and tool.package:
        first = [tool.name]
    started = shlex.join([*first, *step.arguments])
    return f"cd {step.folder} && {started}" if step.folder else started


def _copy(folder: Path, target: Path, files: tuple[str, ...]) -> Path:
    data = [str(p.relative_to(folder)) for p in sorted(folder.glob("tb_data/*.dat"))]
    for name in (*files, "build.json", *FEEDING, *data):
        try:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(folder / name, target / name)
        except OSError as error:
            raise explain(error, target / name) from error
    return target
