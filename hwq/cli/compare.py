"""`hwq compare`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from hwq.cli.common import as_json, console, emit, gathers, note, say, store_option
from hwq.cli.progress import Bars
from hwq.cli.target import TargetAsked, target_options
from hwq.events import Events

METHODS = "hgq,shift,uniform,prune"


@dataclass(frozen=True, slots=True)
class _Compared:
    """What is compared, and where it is measured, as it was typed."""

    data: str
    methods: str
    seeds: int
    model: str
    out: Path | None
    jobs: int
    store: Path | str | None


@click.command()
@click.argument("data")
@click.option(
    "--methods",
    default=METHODS,
    show_default=True,
    help="Names with commas between, also refine, ptq, allocate; a variant behind a colon: shift:2.",
)
@target_options("board")
@click.option(
    "--seeds", default=3, show_default=True, help="How many splits, seeds 0, 1, 2 ...; take more where test rows are few."
)
@click.option("--model", default="mlp:64,32", show_default=True, help="mlp:64,32 · a float .keras file · module:function")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the comparison; default runs/compare-DATA.")
@click.option("--epochs", type=int, help="Epochs of each quantised training; default chosen from the number of rows.")
@click.option("--float-epochs", type=int, help="At most so many for the float network that all start from.")
@click.option("--batch-size", type=int, help="Rows a step; default chosen from the number of rows.")
@click.option("--max-points", type=int, help="Points of each front.")
@target_options("tool", "clock")
@click.option("--jobs", type=click.IntRange(min=1), default=2, show_default=True, help="Points at a time in synthesis.")
@store_option
@as_json
@gathers(_Compared, "asked")
@gathers(TargetAsked, "measured")
def compare(asked: _Compared, measured: TargetAsked, as_json: bool, **settings: int | None) -> None:
    """Compare methods on DATA: the same splits, seeds and float networks, each design proven and synthesised.

    One table and one plot: test accuracy, measured LUTs and CPU time of training, mean and spread over the splits. The same
    command resumes; one with more methods or seeds adds to it.
    """
    from hwq.flow.compare.table import CompareRequest
    from hwq.flow.compare.table import compare as run_comparison
    from hwq.views.comparison import render

    if asked.seeds < 1:
        raise click.BadParameter(f"{asked.seeds} splits are too few", param_hint="--seeds")
    target = asked.out or Path("runs") / f"compare-{Path(asked.data.replace(':', '_')).stem}"
    request = CompareRequest(
        asked.data,
        tuple(name.strip() for name in asked.methods.split(",") if name.strip()),
        measured.board,
        tuple(range(asked.seeds)),
        target,
        asked.model,
        asked.store,
        {name: value for name, value in settings.items() if value is not None},
        measured.tool,
        measured.clock,
        asked.jobs,
    )
    bars = Bars()

    def tell(line: str) -> None:
        bars.stop()
        note(line)

    found = run_comparison(request, events=Events(note=tell, progress=bars))
    bars.stop()
    if as_json:
        emit(found.to_json())
        return
    render(found, console())
    for name in ("comparison.svg", "comparison.csv", "comparison.json"):
        say(f"wrote {(target / name).resolve()}")
