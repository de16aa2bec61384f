"""`hwq refine`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from hwq.boards import DEFAULT_BOARD
from hwq.cli.common import BoardAndStore, ToolLines, as_json, emit, gathers, note, run_argument, say, store_option
from hwq.cli.target import BoardOption, target_options
from hwq.events import Events


@dataclass(frozen=True, slots=True)
class _What:
    """Which points are refined, and how far."""

    point: str
    max_loss: float
    data: str | None
    seed: int


@click.command()
@run_argument
@click.option("--point", default="best", show_default=True, help="best, all, or a point's number.")
@click.option("--out", type=click.Path(path_type=Path), help="The new run; default RUN-refined.")
@click.option(
    "--max-loss", default=0.2, show_default=True, help="Points of a hundred of validation accuracy that may be lost for good."
)
@target_options(
    "board", board=BoardOption("Synthesise before and after on this board, and price by what was measured on its family.")
)
@click.option("--data", help="Where the run's data is, when its name does not say.")
@click.option("--seed", default=0, show_default=True, help="Of the training rows that are looked at.")
@store_option
@as_json
@gathers(_What, "what")
@gathers(BoardAndStore, "prices")
def refine(run: Path, what: _What, out: Path | None, prices: BoardAndStore, as_json: bool) -> None:
    """Make points of RUN cheaper by digit removal, without training: a new run, proven bit-exact.

    Any run will do, whatever method made it. The same command goes on where it was stopped.
    """
    from hwq.cost.predict import CostSource
    from hwq.flow.refine import RefineRequest
    from hwq.flow.refine import refine as run_refinement
    from hwq.posttraining.refine import RefineOptions

    summary = run_refinement(
        run,
        out=out,
        request=RefineRequest(what.point, what.data, CostSource(prices.board, prices.store), prices.board is not None),
        options=RefineOptions(max_loss=what.max_loss, seed=what.seed),
        events=Events(point=lambda p, text: note(f"  point {p}: {text}" if p else f"  {text}"), line=ToolLines()),
    )
    if as_json:
        emit(summary)
        return
    for one in summary.points:
        line = f"point {one.point}: price {one.price:.3f} of before, {one.digits_before:.0f} -> {one.digits:.0f} digits"
        if one.lut is not None and one.lut_before is not None:
            line += f", {one.lut_before:g} -> {one.lut:g} LUT"
        line += f", validation {one.val_accuracy_before:.4f} -> {one.val_accuracy:.4f}"
        if one.test_accuracy_before is not None:
            line += f", test {one.test_accuracy_before:.4f} -> {one.test_accuracy:.4f}"
        say(line)
    say(f"priced by {summary.priced_by}")
    say(f"next: hwq synth {summary.run} --board {prices.board or DEFAULT_BOARD}")
