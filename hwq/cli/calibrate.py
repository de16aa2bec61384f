"""`hwq calibrate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from hwq.cli.common import as_json, emit, gathers, note, say, store_option
from hwq.cli.progress import Counted
from hwq.cli.target import BoardOption, TargetAsked, target_options
from hwq.events import Events


@dataclass(frozen=True, slots=True)
class _Experiment:
    """How much is measured, with which tool, and where, as it was typed."""

    budget_minutes: float | None
    designs: int
    jobs: int
    timeout: float
    work: Path | None
    out: Path | None
    store: Path | str | None


@click.command()
@target_options(
    "board", "tool", "stage", board=BoardOption("A board of hwq boards: models hold for its whole family of parts.", required=True)
)
@click.option("--budget-minutes", type=click.FloatRange(min=0), help="Begin no further design after so long.")
@click.option(
    "--designs", type=click.IntRange(min=0), default=60, show_default=True, help="Of the experiment; 0 fits what is known."
)
@click.option("--jobs", type=click.IntRange(min=1), default=2, show_default=True, help="Designs at a time.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=1800.0,
    show_default=True,
    help="Seconds for one run of a program.",
)
@click.option("--work", type=click.Path(path_type=Path), help="Where designs are generated; default the user's cache.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Where the models go; default $HWQ_COST_MODELS or the user's data folder."
)
@store_option
@as_json
@gathers(_Experiment, "asked")
@gathers(TargetAsked, "measured")
def calibrate(asked: _Experiment, measured: TargetAsked, as_json: bool) -> None:
    """Measure what operations cost on a board with a tool, and fit the cost models that reports and training use.

    Small designs that between them span what networks consist of are synthesised, and everything that the store knows is added. What has
    been measured is never measured again: the same command goes on where it was stopped, and a longer one makes better models.
    """
    from hwq.flow.calibrate import CalibrateOptions
    from hwq.flow.calibrate import calibrate as run_calibration

    options = CalibrateOptions(
        measured.tool,
        measured.stage,
        asked.budget_minutes,
        asked.designs,
        asked.jobs,
        store_path=asked.store,
        work=asked.work,
        out=asked.out,
        timeout_s=asked.timeout,
    )
    found = run_calibration(measured.board, options, events=Events(point=Counted(asked.designs)))
    if as_json:
        emit(found)
        return
    say(f"tool: {found.tool}, board {found.board}: {found.measured} designs measured, {found.known} known before")
    for model in found.models:
        say(f"{model.moment}: {model}")
    for reason in (*found.failed, *found.refused):
        note(f"left out: {reason}")
    for path in found.files:
        say(f"wrote {path}")
