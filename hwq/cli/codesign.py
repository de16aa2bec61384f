"""`hwq codesign`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hwq.cli.common import ToolLines, as_json, emit, gathers, note, say, store_option
from hwq.cli.target import TargetAsked, target_options
from hwq.events import Events
from hwq.train.config import TrainConfig

if TYPE_CHECKING:
    from hwq.flow.codesign.search import CodesignOptions

_DEFAULT = TrainConfig()


@dataclass(frozen=True, slots=True)
class _SearchAsked:
    """What the design must keep, and how it is searched and measured, as it was typed."""

    budget: str
    min_accuracy: float | None
    start: Path | None
    rounds: int
    round_epochs: int | None
    store: Path | str | None

    def options(self, target: TargetAsked) -> CodesignOptions:
        from hwq.design.budget import Budget
        from hwq.flow.codesign.search import CodesignOptions

        budget, search = Budget.parse(self.budget), (self.min_accuracy, self.rounds, self.round_epochs)
        return CodesignOptions(budget, *search, target.tool, target.stage, target.clock, self.start, self.store)


@click.command()
@click.argument("data")
@target_options("board")
@click.option("--budget", required=True, metavar="lut=N[,dsp=N,...]", help="lut, ff, dsp, bram36, uram, carry, latency, fmax.")
@click.option("--min-accuracy", type=click.FloatRange(0, 1), help="On the validation rows; less is a failure.")
@click.option("--model", default=_DEFAULT.model, show_default=True, help="mlp:64,32 · a float .keras file · module:function")
@click.option("--out", type=click.Path(path_type=Path), help="Run directory; default runs/DATA-codesign.")
@click.option("--start", type=click.Path(path_type=Path), help="A trained run of hwq train in place of the first round's training.")
@click.option("--seed", default=_DEFAULT.seed, show_default=True, help="Of the split, the first weights and the order of the rows.")
@click.option("--rounds", type=click.IntRange(min=1), default=4, show_default=True, help="At most.")
@click.option(
    "--costs", type=click.Choice(["ebops", "measured"]), default="ebops", show_default=True, help="What bits are priced by."
)
@click.option("--epochs", type=click.IntRange(min=1), help="Of the first round's quantised training; default chosen from the rows.")
@click.option("--round-epochs", type=click.IntRange(min=1), help="Of each later round; default three tenths of the first's.")
@click.option("--float-epochs", default=_DEFAULT.float_epochs, show_default=True, help="At most so many for the float network.")
@click.option("--batch-size", type=int, help="Rows a step; default chosen from the number of rows.")
@click.option("--beta-end", default=_DEFAULT.beta_end, show_default=True, help="Last price of an EBOP in the first round.")
@target_options("tool", "stage", "clock", clock="Clock target, for example 200MHz or 5ns; default that of fmax, else the board's.")
@store_option
@as_json
@gathers(_SearchAsked, "asked")
@gathers(TargetAsked, "measured")
def codesign(data: str, out: Path | None, asked: _SearchAsked, measured: TargetAsked, as_json: bool, **training: Any) -> None:
    """Find the most accurate network on DATA whose design keeps a budget, as a tool measures it.

    Rounds of training, synthesis and correction of what was predicted; each goes on from the networks of the last one, until the best
    design uses 98 to 100 % of the LUTs. The same command goes on where it was stopped. What is left in the run is the best design.
    """
    from hwq.cli.progress import Bar
    from hwq.flow.codesign.search import codesign as search

    options = asked.options(measured)
    limits = options.budget
    target = out or Path("runs") / f"{Path(data.replace(':', '_')).stem}-codesign"
    bar = Bar()

    def tell(line: str) -> None:
        bar.pause()
        note(f"  {line}")

    with bar:
        summary = search(
            data,
            TrainConfig(**training),
            target,
            measured.board,
            options,
            events=Events(note=tell, progress=bar, line=ToolLines()),
        )
    if as_json:
        emit(summary)
    else:
        say(f"tool: {summary.tool}; budget: {limits}; predicted by {summary.priced_by}")
        for one in summary.rounds:
            for line in one.told(limits.lut):
                say(line)
        if summary.best is not None and summary.used is not None:
            say(
                f"{target}: point {summary.best.point}, {summary.best.lut:g} LUT, {100 * summary.used:.1f} % of the budget; "
                f"accuracy {summary.best.val_accuracy:.4f} validation, {summary.test_accuracy:.4f} test"
            )
    summary.check()
