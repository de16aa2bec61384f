"""`hwq synth`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from hwq.cli.common import Clock, as_json, emit, note, run_argument, store_option
from hwq.units import Period


@click.command()
@run_argument
@click.option("--board", required=True, help="A board of hwq boards, for example xcvu9p.")
@click.option("--point", default="best", show_default=True, help="best, all, or a point's number.")
@click.option("--tool", type=click.Choice(["auto", "yosys", "vitis", "vivado"]), default="auto", show_default=True)
@click.option("--clock", type=Clock(), help="Clock target, for example 200MHz or 5ns; default the board's.")
@click.option("--jobs", default=2, show_default=True, help="Points at a time.")
@click.option(
    "--style",
    type=click.Choice(["multiply", "adders"]),
    default="multiply",
    show_default=True,
    help="Of the C++: a product for each weight, or the shared adder graph.",
)
@click.option("--timeout", type=float, help="Seconds for one run of the tool.")
@store_option
@as_json
def synth(
    run: Path,
    board: str,
    point: str,
    tool: str,
    clock: Period | None,
    jobs: int,
    style: Literal["multiply", "adders"],
    timeout: float | None,
    store: Path | None,
    as_json: bool,
) -> None:
    """Generate C++ and Verilog for points of RUN, prove them bit-exact, synthesise them, and store what was measured."""
    from hwq.flow.synth import synth as run_synthesis

    synthesiser, results = run_synthesis(
        run,
        board,
        point=point,
        tool=tool,
        clock=clock,
        jobs=jobs,
        timeout_s=timeout,
        style=style,
        store_path=store,
        tell=lambda p, what: note(f"  point {p}: {what}"),
    )
    if as_json:
        emit({"tool": synthesiser.tool, "results": results})
        return
    click.echo(
        f"tool: {synthesiser.tool} ({'chosen automatically' if tool == 'auto' else 'as asked'}), stage {synthesiser.stage}, board {board}"
    )
    for r in results:
        m = r.measurement
        again = ", measured before" if r.reused else ""
        click.echo(
            f"point {r.point.id}: {_n(m.resources.lut)} LUT, {_n(m.resources.ff)} FF, {_n(m.resources.dsp)} DSP, "
            f"{_n(m.latency.max_cycles)} cycles; {r.simulation['mismatches']} mismatches in {r.simulation['samples']} rows{again}"
        )
    click.echo(f"files: {results[0].folder}" + (" ..." if len(results) > 1 else ""))


def _n(value: float | None) -> str:
    return "–" if value is None else f"{value:g}" if value < 1e6 else f"{value:.0f}"
