"""`hwq ptq`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hwq.boards import DEFAULT_BOARD
from hwq.cli.common import BoardAndStore, as_json, emit, gathers, note, say, store_option
from hwq.cli.target import BoardOption, target_options
from hwq.events import Events

if TYPE_CHECKING:
    from hwq.flow.ptq import PtqOptions


@dataclass(frozen=True, slots=True)
class _PtqAsked:
    """How the model is quantised, as it was typed."""

    method: str
    bits: str | None
    activation_bits: int
    points: int
    error: float
    adaptive: bool
    max_points: int
    seed: int

    def options(self) -> PtqOptions:
        from hwq.flow.ptq import PtqOptions, bits_of

        default = {"digits": "6", "multipoint": "2"}.get(self.method, "2-8")
        more = (self.activation_bits, self.points, self.error, self.adaptive)
        bits = tuple(bits_of(self.bits or default))
        return PtqOptions(self.method, bits, *more, max_points=self.max_points, seed=self.seed)


@click.command()
@click.argument("model")
@click.argument("data")
@click.option("--out", type=click.Path(path_type=Path), help="Run directory; default runs/DATA-METHOD.")
@click.option(
    "--method",
    type=click.Choice(["digits", "uniform", "adaptive", "multipoint"]),
    default="digits",
    show_default=True,
    help="Signed digits removed by least loss, fixed point per channel, that with adaptive rounding, or literal multipoint.",
)
@click.option("--bits", help="Of weights: 4 · 2,4,6 · 2-8, a point each. Default 6 for digits, 2 for multipoint, else 2-8.")
@click.option("--activation-bits", default=6, show_default=True, help="Of the widest activation of each layer.")
@click.option("--points", default=2, show_default=True, help="Multipoint: vectors a channel at most.")
@click.option("--error", default=0.02, show_default=True, help="Multipoint: relative output error at which a channel has enough.")
@click.option("--adaptive", is_flag=True, help="Digits: begin with weights rounded for their layer's outputs.")
@click.option("--max-points", default=12, show_default=True, help="Digits: networks to keep on the way down.")
@target_options("board", board=BoardOption("Digits: price by what was measured on this board's family."))
@click.option("--seed", default=0, show_default=True, help="Of the split and of the calibration rows.")
@store_option
@as_json
@gathers(_PtqAsked, "asked")
@gathers(BoardAndStore, "prices")
def ptq(model: str, data: str, out: Path | None, asked: _PtqAsked, prices: BoardAndStore, as_json: bool) -> None:
    """Quantise the trained float MODEL on rows of DATA, without a training step and without labels, to a bit-exact run.

    MODEL is a .keras file, module:function returning a trained model, or a run directory of hwq train, whose float network is taken.
    """
    from hwq.cost.predict import CostSource
    from hwq.flow.ptq import ptq as run_ptq

    target = out or Path("runs") / f"{Path(data.replace(':', '_')).stem}-{asked.method}"
    costs = CostSource(prices.board, prices.store)
    summary = run_ptq(model, data, target, options=asked.options(), costs=costs, events=Events(note=note))
    if as_json:
        emit(summary)
        return
    say(
        f"{target}: {len(summary.points)} points, best {summary.best}; float model {summary.float_test_accuracy:.4f} on the test rows"
    )
    say(f"next: hwq synth {target} --board {prices.board or DEFAULT_BOARD} --point all")
