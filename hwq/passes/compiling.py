"""From an optimised graph to the pipelined circuit of a board and clock. No text is generated here."""

from __future__ import annotations

from hwq.boards import Adders, Board
from hwq.ir import Circuit, Graph
from hwq.passes.adders.fuse import fuse
from hwq.passes.cones import tabulate
from hwq.passes.lower import lower
from hwq.passes.pipeline import levels_for, pipeline
from hwq.units import Period


def circuit_of(graph: Graph, board: Board, period: Period, adders: Adders = "auto") -> Circuit:
    """The pipelined circuit of an optimised graph, as the board's fabric and clock want it.

    Raises:
        UsageError: sums of three operands on a board that has none.
    """
    levels = levels_for(period.ns, board.adder_level_ns, board.overhead_ns)
    circuit = tabulate(lower(graph), board.lut_inputs)
    return pipeline(fuse(circuit) if board.operands(adders) == "three" else circuit, levels)
