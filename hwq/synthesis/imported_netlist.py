"""The mapped netlist of a plan that ran on another machine, simulated with files that this hwq generates from the plan's graph.

Nothing of the plan's folder runs here: its netlist is data for Yosys' own models of the cells, its test bench and scripts stay where they are.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hwq.boards import load
from hwq.codegen.build import Build, Form, build
from hwq.errors import RunError
from hwq.events import Notice
from hwq.fixed.arithmetic import IntArray
from hwq.ir import Graph, verify
from hwq.sim.compare import Comparison, compare, to_types
from hwq.sim.netlist import evaluate_mapped
from hwq.sim.reference import evaluate
from hwq.sim.rtlsim import NETLIST, affordable
from hwq.styles.choice import build_at
from hwq.styles.registry import split_hardware
from hwq.toolchains.manifest import Manifest
from hwq.units import Period


def compare_simulated(folder: Path, graph: Graph, manifest: Manifest, inputs: IntArray, notice: Notice) -> Comparison | None:
    """What the mapped netlist in `folder` computes, clock by clock, against the plan's graph.

    None where no simulator has its cells, and for streams; `notice` is told of both.

    Args:
        inputs: input mantissas (rows, elements); of designs that take many clocks a row, the last of them are left out.
        notice: told why nothing is simulated.

    Raises:
        RunError: build.json tells a design that the graph does not have.
        ReportError, ToolError: a netlist that cannot be read or simulated.
        MismatchError: a design that takes a row every few clocks computes something else when rows come later.
    """
    if manifest.streamed:
        notice("the mapped netlist of a stream is not simulated here: hwq sim does")
        return None
    made = _made(verify(graph), manifest)
    rows = inputs[: affordable(made, len(inputs))]
    with tempfile.TemporaryDirectory(prefix="hwq-import-") as place:
        here = Path(place)
        made.plan.write(here)
        (here / NETLIST).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / NETLIST, here / NETLIST)
        found = evaluate_mapped(made, here, rows, notice=notice)
    if found is None:
        return None
    return compare(graph, "reference", evaluate(graph, rows), "netlist", to_types(found, made.graph, graph))


def _made(graph: Graph, manifest: Manifest) -> Build:
    """The design in the form that build.json tells."""
    board, period = load(manifest.board), Period(manifest.period_ns)
    styled = split_hardware(manifest.hardware)
    if styled is not None:
        made = build_at(graph, board, period, Form(fold=styled[0]), manifest.interval)
    else:
        made = build(graph, board, period, Form(adders=manifest.adders))
        if made.plan.latency_cycles != manifest.latency_cycles:
            made = build(graph, board, period, Form(adders=manifest.adders, registered_inputs=True))
    told = (manifest.latency_cycles, manifest.interval)
    if (made.plan.latency_cycles, made.interval) != told:
        raise RunError(
            f"build.json tells {told[0]} cycles and a row every {told[1]}, its graph takes {made.plan.latency_cycles} and {made.interval}",
            hint="give the run that it was generated from: --run RUN",
        )
    return made
