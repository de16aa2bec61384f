"""`hwq sim`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from hwq.cli.common import Clock, as_json, emit, io_option, note, run_argument
from hwq.units import Period


@click.command()
@run_argument
@click.option("--board", help="Whose pipeline to simulate; default the run's last, else xcvu9p.")
@click.option("--point", default="best", show_default=True, help="best, all, or a point's number.")
@click.option("--clock", type=Clock(), help="Clock target; default the board's.")
@io_option
@as_json
def sim(run: Path, board: str | None, point: str, clock: Period | None, io: Literal["parallel", "stream"], as_json: bool) -> None:
    """Compare all evaluators of points of RUN by integer equality.

    Keras, the integer reference, the native emulator, the ap_fixed C-simulation and the RTL simulation.
    """
    from hwq.errors import MismatchError
    from hwq.flow.simulate import simulate

    results = simulate(run, board=board, point=point, clock=clock, io=io, tell=lambda p, what: note(f"  point {p}: {what}"))
    if as_json:
        emit({name: comparisons for name, comparisons in results})
    else:
        for name, comparisons in results:
            for comparison in comparisons:
                click.echo(f"point {name}: {comparison}")
    bad = [(name, c) for name, comparisons in results for c in comparisons if c.mismatches]
    if bad:
        raise MismatchError(f"point {bad[0][0]}: {bad[0][1]}", hint="please report it with the point's graph.hwq")
