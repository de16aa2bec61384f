"""`hwq sim`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from hwq.cli.common import Clock, as_json, emit, io_option, note, run_argument, say, store_option
from hwq.units import Period


@click.command()
@run_argument
@click.option("--board", help="Whose pipeline to simulate; default the run's last, else xcvu9p.")
@click.option("--point", default="best", show_default=True, help="best, all, or a point's number.")
@click.option("--clock", type=Clock(), help="Clock target; default the board's.")
@io_option
@store_option
@click.option("--prove", is_flag=True, help="Prove with Yosys that the mapped netlist equals the RTL, for every input.")
@click.option("--timeout", type=click.FloatRange(min=1), default=300, show_default=True, help="Seconds for the proof of a point.")
@as_json
def sim(
    run: Path,
    board: str | None,
    point: str,
    clock: Period | None,
    io: Literal["parallel", "stream"],
    store: Path | str | None,
    prove: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """Compare all evaluators of points of RUN by integer equality.

    Keras, the integer reference, the native emulator, the ap_fixed C-simulation, the RTL simulation and,
    once hwq synth has run Yosys, the netlist of the part's cells.
    """
    from hwq.errors import MismatchError
    from hwq.flow.simulate import prove_points, simulate

    def tell(point: str, what: str) -> None:
        note(f"  point {point}: {what}")

    results = simulate(run, board=board, point=point, clock=clock, io=io, store_path=store, tell=tell)
    comparisons = {name: verdict.comparisons for name, verdict in results}
    bad = [(name, c) for name, found in comparisons.items() for c in found if c.mismatches]
    if as_json and (bad or not prove):
        emit(comparisons)
    elif not as_json:
        for name, found in comparisons.items():
            for comparison in found:
                say(f"point {name}: {comparison}")
    if bad:
        raise MismatchError(f"point {bad[0][0]}: {bad[0][1]}", hint="please report it with the point's graph.hwq")
    if prove:
        proofs = prove_points(run, timeout, board=board, point=point, clock=clock, io=io, tell=tell)
        if as_json:
            emit({"comparisons": comparisons, "proofs": dict(proofs)})
        else:
            for name, proof in proofs:
                say(f"point {name}: {proof}")
