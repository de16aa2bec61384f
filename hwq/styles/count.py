"""Look-up tables as counted before anything is synthesised: what the choice among styles compares."""

from __future__ import annotations

import numpy as np

from hwq.boards import Board
from hwq.ir import Circuit, Opcode
from hwq.ir.circuit import ROWS
from hwq.passes.adders.fuse import fuse
from hwq.passes.adders.row import row_of


def tables_of(circuit: Circuit, board: Board) -> int:
    """Look-up tables of a circuit's sums in the parallel form, as counted: one a full adder."""
    c = fuse(circuit) if board.operands() == "three" else circuit
    rows = sum(row_of(c, wire).tables for wire in np.flatnonzero(np.isin(c.opcode, ROWS)).tolist())
    return rows + int(c.widths[c.opcode == Opcode.NEG].sum())
