"""Tables follow their input's type: other codes, other entries; equal tables are kept once, and unread ones not at all."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hwq.errors import GraphError
from hwq.fixed import FixedType, TypeArray
from hwq.fixed.arithmetic import greatest
from hwq.ir import Constant, Node
from hwq.ir.ops.table import WIDEST_CODE

Columns = npt.NDArray[np.int64]


def renumbered(node: Node, old: TypeArray, new: TypeArray) -> Node:
    """The table `node` for an input of the types `new`, which hold every value that occurs, instead of `old`.

    An entry stays with its value; a code of `new` that `old` has not never occurs, and gets the nearest entry.

    Raises:
        GraphError: `new` has more bits than a table's input may have: an edited text said less of it than its values need.
    """
    widest = greatest(new.width)
    if widest > WIDEST_CODE:
        raise GraphError(f"node {node.name} ({node.op}): its input can take {widest} bits; a table takes at most {WIDEST_CODE}")
    values = node.constant("values")
    known: dict[tuple[int, FixedType, FixedType], int] = {}
    found: dict[bytes, int] = {}
    rows: list[tuple[int, Columns]] = []
    index = []
    for row, a, b in zip(node.integers("index"), old, new, strict=True):
        key = (row, a, b)
        if key not in known:
            columns = _columns(a, b)
            content = _content(values, row, columns)
            if content not in found:
                found[content] = len(rows)
                rows.append((row, columns))
            known[key] = found[content]
        index.append(known[key])
    return node.with_(attrs={"values": _gathered(values, rows), "index": tuple(index)})


def _columns(old: FixedType, new: FixedType) -> Columns:
    """For each code of `new`, the column in which `old` has the same value."""
    up = old.frac - new.frac if new.width else 0
    codes = range(new.lowest, new.highest + 1)
    mantissas = [m << up if up >= 0 else m >> -up for m in codes]
    return np.array([min(max(m, old.lowest), old.highest) - old.lowest for m in mantissas], np.int64)


def _content(values: Constant, row: int, columns: Columns) -> bytes:
    t = values.types
    parts = (values.mantissas[row, columns].astype(object), t.signed[row, columns], t.width[row, columns], t.frac[row, columns])
    return repr([part.tolist() for part in parts]).encode()


def _gathered(values: Constant, rows: list[tuple[int, Columns]]) -> Constant:
    longest = max((len(columns) for _, columns in rows), default=0)
    mantissas = np.zeros((len(rows), longest), values.mantissas.dtype)
    signed, width, frac = (np.zeros((len(rows), longest), np.int16) for _ in range(3))
    t = values.types
    for target, (row, columns) in enumerate(rows):
        place = (target, slice(0, len(columns)))
        mantissas[place] = values.mantissas[row, columns]
        for new, old in ((signed, t.signed), (width, t.width), (frac, t.frac)):
            new[place] = old[row, columns]
    return Constant(mantissas, TypeArray.of(signed, width, frac, t.rounding, t.overflow))
