"""`hwq sim`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from hwq.boards import DEFAULT_BOARD
from hwq.cli.common import as_json, emit, gathers, note, run_argument, say, store_option
from hwq.cli.target import BoardOption, TargetAsked, target_options
from hwq.events import Events


@dataclass(frozen=True, slots=True)
class _Besides:
    """What is done besides the comparison, or in its place: a proof of the netlist with its time limit, a trace of the layers on rows."""

    prove: bool
    timeout: float
    trace: bool
    rows: int


@click.command()
@run_argument
@target_options(
    "board", board=BoardOption(f"Whose pipeline to simulate; default the run's last, else {DEFAULT_BOARD}.", default="")
)
@click.option("--point", default="best", show_default=True, help="best, all, or a point's number.")
@target_options("clock", "io", "adders", "interval", "fold", clock="Clock target; default the board's.")
@store_option
@click.option("--prove", is_flag=True, help="Prove that the mapped netlist equals the RTL, for every input.")
@click.option("--timeout", type=click.FloatRange(min=1), default=300, show_default=True, help="Seconds for the proof of a point.")
@click.option(
    "--trace", is_flag=True, help="Show every layer in floats, quantised and as integers instead: where accuracy is lost."
)
@click.option("--rows", type=click.IntRange(min=1), default=500, show_default=True, help="Rows that --trace looks at, at most.")
@as_json
@gathers(TargetAsked, "asked")
@gathers(_Besides, "besides")
def sim(run: Path, point: str, asked: TargetAsked, store: Path | str | None, besides: _Besides, as_json: bool) -> None:
    """Compare all evaluators of points of RUN by integer equality.

    Keras, the integer reference, the native emulator, the ap_fixed C-simulation, the RTL simulation and,
    once hwq synth has run Yosys, the netlist of the part's cells.
    """
    from hwq.errors import MismatchError, UsageError
    from hwq.flow.simulate import last_board, prove_points, simulate
    from hwq.run.directory import RunDir

    if besides.trace and besides.prove:
        raise UsageError("--trace looks at layers, --prove at the netlist", hint="one of them at a time")
    if besides.trace:
        _trace(run, point, besides.rows, as_json)
        return

    events = Events(point=lambda point, what: note(f"  point {point}: {what}"))
    target = asked.target(asked.board or last_board(RunDir.open(run)))
    results = simulate(run, target, point=point, store_path=store, events=events)
    comparisons = {name: verdict.comparisons for name, verdict in results}
    bad = [(name, c) for name, found in comparisons.items() for c in found if c.mismatches]
    if as_json and (bad or not besides.prove):
        emit(comparisons)
    elif not as_json:
        for name, found in comparisons.items():
            for comparison in found:
                say(f"point {name}: {comparison}")
    if bad:
        raise MismatchError(f"point {bad[0][0]}: {bad[0][1]}", hint="please report it with the point's graph.hwq")
    if besides.prove:
        proofs = prove_points(run, besides.timeout, target, point=point, events=events)
        if as_json:
            emit({"comparisons": comparisons, "proofs": dict(proofs)})
        else:
            for name, found_proof in proofs:
                say(f"point {name}: {found_proof}")


def _trace(run: Path, point: str, rows: int, as_json: bool) -> None:
    from hwq.flow.trace import trace_points

    found = trace_points(run, point=point, rows=rows)
    if as_json:
        emit([one.to_json() for one in found])
        return
    for one in found:
        for line in str(one).splitlines():
            say(line)
