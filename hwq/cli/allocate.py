"""`hwq allocate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hwq.boards import DEFAULT_BOARD
from hwq.cli.common import as_json, emit, gathers, note, say, store_option
from hwq.cli.target import BoardOption, target_options
from hwq.errors import UsageError
from hwq.events import Events

if TYPE_CHECKING:
    from hwq.flow.allocate import AllocateOptions


@dataclass(frozen=True, slots=True)
class _AllocateAsked:
    """What is chosen, by what, as it was typed."""

    budget: str | None
    minimise: str | None
    max_loss: float
    weight_bits: str
    activation_bits: str
    costs: str
    objective: str
    granularity: str
    adaptive: bool
    seed: int

    def options(self) -> AllocateOptions:
        from hwq.flow.allocate import AllocateOptions
        from hwq.flow.ptq import bits_of

        limit = None if self.budget is None else _limit(self.budget)
        if (limit is None) == (self.minimise is None):
            raise click.UsageError("give --budget lut=N, or --minimise lut")
        return AllocateOptions(
            limit,
            self.max_loss,
            tuple(bits_of(self.weight_bits)),
            tuple(bits_of(self.activation_bits)),
            self.costs,
            self.objective,
            self.adaptive,
            seed=self.seed,
            granularity=self.granularity,
        )


def _limit(budget: str) -> float:
    from hwq.design.budget import Budget

    found = Budget.parse(budget)
    others = [name for name in found.limits if name != "lut"]
    if others:
        raise UsageError(f"hwq allocate chooses by LUTs, not by {others[0]}", hint="as lut=3000; hwq codesign keeps the others too")
    return found.lut


@dataclass(frozen=True, slots=True)
class _ToolsAsked:
    """Whose tool measures, where that is kept, and how many run at a time."""

    board: str
    store: Path | str | None
    jobs: int


@click.command()
@click.argument("model")
@click.argument("data")
@target_options("board", board=BoardOption("Whose tool measures.", default=DEFAULT_BOARD))
@click.option("--budget", metavar="lut=N", help="LUTs at most.")
@click.option("--minimise", type=click.Choice(["lut"]), help="Instead of a budget: as few as keep the accuracy.")
@click.option(
    "--max-loss", default=0.5, show_default=True, help="With --minimise: points of a hundred of validation accuracy to lose."
)
@click.option("--weight-bits", default="2-6,8", show_default=True, help="Widths to choose from.")
@click.option("--activation-bits", default="4,6", show_default=True, help="Widths to choose from.")
@click.option(
    "--costs",
    type=click.Choice(["measured", "predicted"]),
    default="measured",
    show_default=True,
    help="Every operator synthesised at every width, or priced by its compiled graph without a tool.",
)
@click.option(
    "--objective", type=click.Choice(["kl", "roundoff"]), default="kl", show_default=True, help="What few bits are charged for."
)
@click.option(
    "--granularity",
    type=click.Choice(["layer", "channel"]),
    default="layer",
    show_default=True,
    help="What has a weight width of its own: a layer, or each of its output channels.",
)
@click.option("--adaptive", is_flag=True, help="Round the weights for their layers' outputs.")
@click.option("--out", type=click.Path(path_type=Path), help="Run directory; default runs/DATA-allocated.")
@click.option("--jobs", type=click.IntRange(min=1), default=2, show_default=True, help="Tools at a time.")
@click.option("--seed", default=0, show_default=True, help="Of the split and of the calibration rows.")
@store_option
@as_json
@gathers(_AllocateAsked, "asked")
@gathers(_ToolsAsked, "measuring")
def allocate(model: str, data: str, asked: _AllocateAsked, measuring: _ToolsAsked, out: Path | None, as_json: bool) -> None:
    """Choose a width for the weights and activations of each layer, or channel, of the trained float MODEL by integer programming.

    Sensitivities come from unlabelled rows of DATA, costs from the tool; whole designs are synthesised until the prediction is right.
    """
    from hwq.flow.allocate import Tools
    from hwq.flow.allocate import allocate as run_allocation

    target = out or Path("runs") / f"{Path(data.replace(':', '_')).stem}-allocated"
    options, tools = asked.options(), Tools(measuring.board, measuring.store, measuring.jobs)
    summary = run_allocation(model, data, target, options=options, tools=tools, events=Events(note=note))
    if as_json:
        emit(summary)
        return
    widths = ", ".join(f"{name} {_told(w)} x {a}" for name, (w, a) in summary.bits.items())
    say(f"{target}: {summary.lut:.0f} LUT ({asked.costs}; predicted within {summary.prediction_error:.1%}), {widths} bits")
    say(f"validation {summary.val_accuracy:.4f}, test {summary.test_accuracy:.4f}, float model {summary.float_test_accuracy:.4f}")
    say(f"next: hwq synth {target} --board {measuring.board}")


def _told(weights: int | tuple[int, ...]) -> str:
    """ "4"; or, for channels of 2, 4 and 4 bits, "2-4 (mean 3.3)"."""
    if isinstance(weights, int):
        return str(weights)
    return f"{min(weights)}-{max(weights)} (mean {sum(weights) / len(weights):.1f})"
