"""`hwq synth`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hwq.cli.common import ToolLines, as_json, emit, gathers, note, run_argument, say, store_option
from hwq.cli.target import TargetAsked, target_options
from hwq.events import Events

if TYPE_CHECKING:
    from hwq.flow.synth import SynthResult


@dataclass(frozen=True, slots=True)
class _Limits:
    """How much is done at once, and where measurements are kept."""

    jobs: int
    force: bool
    timeout: float | None
    store: Path | str | None


@dataclass(frozen=True, slots=True)
class _Dry:
    """Whether plans are only written, and where to."""

    dry_run: bool
    out: Path | None


@click.command()
@run_argument
@target_options("board")
@click.option("--point", default="best", show_default=True, help="best, all, or a point's number.")
@target_options("tool", "stage", "clock")
@click.option("--jobs", type=click.IntRange(min=1), default=2, show_default=True, help="Points at a time.")
@click.option("--force", is_flag=True, help="Go on with designs that will not fit the board or exceed a tool's limits.")
@click.option("--dry-run", is_flag=True, help="Only write the plans, and print their commands and digests.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="With --dry-run: copy the plans there, to run on another machine.",
)
@target_options("style", "io", "interval", "fold", "register_inputs", "adders")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), help="Seconds for one run of a program.")
@store_option
@as_json
@gathers(TargetAsked, "asked")
@gathers(_Limits, "limits")
@gathers(_Dry, "dry")
def synth(run: Path, point: str, asked: TargetAsked, limits: _Limits, dry: _Dry, as_json: bool) -> None:
    """Generate C++ and Verilog for points of RUN, prove them bit-exact, take them to a stage, and store what was measured."""
    if dry.out is not None and not dry.dry_run:
        raise click.UsageError("--out goes with --dry-run")
    if dry.dry_run:
        _plan(run, point, asked, dry, as_json)
        return
    from hwq.design.target import Work
    from hwq.flow.synth import synth as run_synthesis

    events = Events(point=lambda p, what: note(f"  point {p}: {what}"), line=ToolLines())
    work = Work(limits.jobs, limits.timeout, limits.force, events)
    synthesiser, results = run_synthesis(run, asked.target(), point=point, store_path=limits.store, work=work)
    if as_json:
        # `measurement` is that of the stage itself, `measurements` those on the way to it
        facts = [{f.name: getattr(r, f.name) for f in fields(r)} for r in results]
        shown = [
            {**f, "simulation": r.simulation.to_json(), "measurement": r.measurement} for f, r in zip(facts, results, strict=True)
        ]
        emit({"tool": synthesiser.tool, "kind": synthesiser.kind, "stage": synthesiser.stage, "results": shown})
        return
    how = "chosen automatically" if asked.tool == "auto" else "as asked"
    say(f"tool: {synthesiser.tool} ({how}), stage {synthesiser.stage}, board {asked.board}")
    for r in results:
        again = ", measured before" if r.reused else ""
        say(f"point {r.point.id}: {_summary(r)}; {r.simulation.told()}{again}")
        for path in r.files:
            say(f"  wrote {path}")
    say(f"files: {results[0].folder}" + (" ..." if len(results) > 1 else ""))


def _plan(run: Path, point: str, asked: TargetAsked, dry: _Dry, as_json: bool) -> None:
    from hwq.design.plans import plan

    planned = plan(run, asked.target(), point=point, out=dry.out)
    if as_json:
        emit(planned)
        return
    for p in planned:
        say(f"point {p.point}: plan {p.digest}, {len(p.files)} files in {p.folder}")
        for command in p.commands:
            say(f"  {command}")
        say(f"  all of it, also where hwq is not installed: {p.script}; then hwq import {p.folder} --run {run}")


def _summary(result: SynthResult) -> str:
    m = result.measurement
    if m is None:
        return "passed"
    text = f"{_n(m.resources.lut)} LUT, {_n(m.resources.ff)} FF, {_n(m.resources.dsp)} DSP, {_n(m.latency.max_cycles)} cycles"
    if m.timing.fmax_mhz is not None and m.timing.met is not None:
        text += f", {m.timing.fmax_mhz:.1f} MHz ({'meets' if m.timing.met else 'MISSES'} the clock)"
    return text


def _n(value: float | None) -> str:
    return "–" if value is None else f"{value:g}" if value < 1e6 else f"{value:.0f}"
