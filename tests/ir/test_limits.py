"""Counts at which a graph is refused before anything of that size is made, at the last that passes and the first that does not."""

from __future__ import annotations

import numpy as np
import pytest

from hwq.errors import GraphError
from hwq.fixed import FixedType, TypeArray
from hwq.ir import Attr, Constant, Graph, graph, make_node, verify, windows
from hwq.ir.ops import linear, pool, table
from hwq.ir.ops.table import _by_bits


def of_one_op(op: str, shape: tuple[int, ...], **attrs: Attr) -> Graph:
    x = make_node("x", "input", type=TypeArray.of(1, np.full(shape, 4), 2))
    return Graph((x, make_node("y", op, [x], attrs=attrs)), ("x",), ("y",))


def ones(*shape: int) -> Constant:
    return Constant(np.ones(shape, np.int64), TypeArray.of(0, np.ones(shape, int), 0))


def pooled(op: str) -> Graph:
    """4 windows of 6 pixels of 2 channels."""
    return of_one_op(op, (4, 6, 2), size=(2, 3), strides=(2, 3), pads=(0, 0, 0, 0))


# 12 elements of x meet a kernel of 4 columns: 48 terms, of which 12 are listed, once for each place that they are read at
EINSUM = {"equation": "abc,cd->abd", "kernel": ones(3, 4), "bias": ones(2, 2, 4)}
CONV = {"kernel": ones(3, 2, 2, 1), "bias": ones(1), "strides": (1, 1), "pads": (0, 0, 0, 0), "dilation": (1, 1), "groups": 1}
CASES = {
    "max_pool2d": (pooled("max_pool2d"), 48, "windows have more than 47"),
    "sum_pool2d": (pooled("sum_pool2d"), 48, "windows have more than 47"),
    "conv2d": (of_one_op("conv2d", (4, 3, 2), **CONV), 2 * 2 * 3 * 2 * 2, "windows have more than 47"),
    "einsum": (of_one_op("einsum", (2, 2, 3), **EINSUM), 12, "sums have more than 11"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_listed_has_a_limit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, count, told = CASES[name]
    for module in (linear, pool):
        monkeypatch.setattr(module, "MOST_INDICES", count)
    verify(graph)
    for module in (linear, pool):
        monkeypatch.setattr(module, "MOST_INDICES", count - 1)
    with pytest.raises(GraphError, match=told):
        verify(graph)


def test_windows_are_counted_before_they_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """7 windows of 3 along one axis, 2 of 2 along the other: 21 and 4 places, 84 together."""
    window = ((9, 3), (3, 2), (1, 1), (0, 0, 0, 0), (1, 1))
    monkeypatch.setattr(windows, "MOST_INDICES", 84)
    (rows, columns), pixels = windows.window_grid(*window)
    assert (rows, columns) == (7, 2) and pixels.shape == (14, 6)
    monkeypatch.setattr(windows, "MOST_INDICES", 83)
    with pytest.raises(GraphError, match="14 windows of 6 pixels are more than 83"):
        windows.window_grid(*window)
    monkeypatch.setattr(windows, "MOST_INDICES", 20)
    with pytest.raises(GraphError, match="7 windows of 3 elements are more than 20"):
        windows.window_grid(*window)


@pytest.mark.parametrize(
    ("down", "entries"), [(0, [4, -8, 12, 16]), (2, [1, -2, 3, 4]), (-1, [8, -16, 24, 32])], ids=["kept", "dropped", "appended"]
)
def test_entries_by_value_are_entries_by_bits(down: int, entries: list[int]) -> None:
    """Two signed bits count 0, 1, -2, -1: the third entry, that of 0, comes first."""
    by_value = [4, -8, 12, 16]
    assert _by_bits(by_value, FixedType(True, 2, 0), down) == [entries[2], entries[3], entries[0], entries[1]]
    assert _by_bits(by_value, FixedType(False, 2, 0), down) == entries
    assert _by_bits(by_value[:3], FixedType(False, 2, 0), down) == [*entries[:3], 0]  # no number has the last code


def test_the_limits_of_the_reference() -> None:
    """docs/reference/ir.md says them; what they cost in memory was weighed there."""
    assert (graph.MOST_IN_TEXT, graph.MOST_ELEMENTS, windows.MOST_INDICES, table.WIDEST_CODE) == (2**24, 2**22, 2**25, 20)
    for width, frac in ((511, 0), (0, 0), (1, 511), (1, -511)):
        assert TypeArray.of(1, [width], frac).size == 1
    for width, frac in ((512, 0), (1, 512), (1, -512)):
        with pytest.raises(GraphError, match=r"types have 0 to 511 bits and -511 to 511 fractional bits"):
            verify(Graph((make_node("x", "input", type=TypeArray.of(1, [width], frac)),), ("x",), ("x",)))
