"""table: any function of one element as a list of its values, one for each code of the input's type, lowest code first.

    y_e = values[index_e, x_e - lowest_e]        x_e: the mantissa; lowest_e: the smallest mantissa of its type

`values` has one row a function; rows that are shorter than the longest end in zeros.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwq.fixed import TypeArray
from hwq.fixed.arithmetic import IntArray, as_integers
from hwq.ir.graph import Node
from hwq.ir.intervals import Interval
from hwq.ir.spec import OpSpec, Steps, Types, Values, fail, integers, odd_form, to_step

WIDEST_CODE = 20  # bits of a table's input: beyond, a million entries an element


def rows_of(node: Node) -> tuple[IntArray, Steps]:
    """(mantissas (T, C) as Python integers, frac (T,)): each row of `values` at its own one step, the coarsest that is exact."""
    mantissas, frac = odd_form(node.constant("values"))
    lowest = np.iinfo(np.int64).min
    one = np.where(mantissas == 0, lowest, frac).max(axis=1, initial=lowest)
    one = np.where(one == lowest, 0, one).astype(np.int64)
    return np.where(mantissas == 0, 0, mantissas << np.maximum(one[:, None] - frac, 0).astype(object)), one


def code_counts(types: TypeArray) -> Steps:
    """How many codes each element's type has, from its lowest to its highest."""
    return np.asarray(types.highest - types.lowest + 1).astype(np.int64)


def _verify(node: Node, types: Types) -> None:
    values, index = node.constant("values"), integers(node, "index")
    if len(values.shape) != 2:
        fail(node, f"values must be (tables, codes), not {values.shape}")
    if len(index) != types[0].size or any(i >= values.shape[0] for i in index):
        fail(node, f"index must give one of {values.shape[0]} tables for each of {types[0].size} elements")
    if int(types[0].width.max(initial=0)) > WIDEST_CODE:
        fail(node, f"its input has {types[0].width.max()} bits; a table takes at most {WIDEST_CODE}: quantize it first")
    if types[0].size and int(code_counts(types[0]).max()) > values.shape[1]:
        fail(node, f"its input has {code_counts(types[0]).max()} codes, values only {values.shape[1]}")


def _infer(node: Node, types: Types, inputs: Sequence[Interval]) -> Interval:
    """The extremes over the codes that the input's bounds leave possible; nearest codes where the bounds lie outside the type.

    They do for an element that nothing reads: `hwq.passes.prune` takes constants of it away, and its type is that of its former values.
    """
    mantissas, one = rows_of(node)
    index = integers(node, "index")
    x, t = inputs[0], types[0]
    known: dict[tuple[int, int, int], tuple[int, int]] = {}
    low, high = np.zeros(t.size, object), np.zeros(t.size, object)
    for e, (row, kind) in enumerate(zip(index, t, strict=True)):
        # bounds may stand at a finer or coarser step than the type: whole codes between them
        up = kind.frac - int(x.frac.flat[e])
        bottom, top = int(x.low.flat[e]), int(x.high.flat[e])
        bottom, top = (bottom << up, top << up) if up >= 0 else (-(-bottom >> -up), top >> -up)
        first = min(max(bottom, kind.lowest), kind.highest)
        last = max(min(top, kind.highest), first)
        key = (row, first - kind.lowest, last - kind.lowest)
        if key not in known:
            part = mantissas[row, key[1] : key[2] + 1].tolist()
            known[key] = min(part), max(part)
        low[e], high[e] = known[key]
    return Interval(low.reshape(t.shape), high.reshape(t.shape), one[list(index)].reshape(t.shape))


def _evaluate(node: Node, types: Types, values: Values) -> IntArray:
    mantissas, one = rows_of(node)
    index = np.array(integers(node, "index"), np.int64).reshape(node.shape)
    bits = max((int(v).bit_length() for v in mantissas.ravel()), default=0) + 1
    codes = (values[0] - types[0].lowest).astype(np.int64)
    return to_step(as_integers(mantissas, bits)[index, codes], one[index], bits, node.type)


SPECS = (OpSpec("table", 1, ("values", "index"), False, _infer, _verify, _evaluate),)
