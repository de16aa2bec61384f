"""Small parts of graphs that every operation uses: constants, attributes and their limits, names, windows, bounds of sums."""

from __future__ import annotations

import numpy as np
import pytest

from hwq.errors import GraphError
from hwq.fixed import FixedType, TypeArray
from hwq.ir import Constant, Graph, Node, make_node, verify
from hwq.ir.forms import enclosing, present
from hwq.ir.graph import MOST_ELEMENTS, fresh_name
from hwq.ir.intervals import Interval, add_bounds, negated, product_sum_bounds
from hwq.ir.spec import bounded, enclosed_bits, integer, integers, odd_form
from hwq.ir.windows import MOST_INDICES, window_grid


def node(**attrs: object) -> Node:
    return Node("n", "op", (), TypeArray.of(1, [4, 0, 3], 0), attrs)  # type: ignore[arg-type]


def test_constants_are_equal_in_every_mantissa() -> None:
    types = TypeArray.of(1, [4, 4], 0)
    one = Constant(np.array([1, 2]), types)
    assert one == Constant(np.array([1, 2]), types) and one != Constant(np.array([1, 3]), types) and one != 1
    assert one != Constant(np.array([1, 2]), TypeArray.of(1, [4, 5], 0)) and one.nonzero == 2


@pytest.mark.parametrize("value", [True, False, "1", (1,), 1.0])
def test_what_is_no_integer(value: object) -> None:
    for ask in (node(a=value).integer, lambda name: integer(node(a=value), name)):
        with pytest.raises(GraphError, match="a must be an integer"):
            ask("a")


def test_limits_of_integers() -> None:
    assert integer(node(a=0), "a") == 0 and integer(node(a=MOST_ELEMENTS), "a") == MOST_ELEMENTS == 1 << 22
    for value, words in ((-1, "at least 0, not -1"), (MOST_ELEMENTS + 1, "at most 4194304, not 4194305")):
        with pytest.raises(GraphError, match=words):
            integer(node(a=value), "a")
    assert integers(node(a=(0, 5)), "a") == (0, 5) and integers(node(a=(2, 5)), "a", 2, least=2) == (2, 5)
    assert integers(node(a=(MOST_ELEMENTS,)), "a") == (MOST_ELEMENTS,) and integers(node(a=()), "a") == ()
    for value, count, least in (
        ((1, -1), None, 0),
        ((1, 2), 1, 0),
        ((1, 2), 3, 0),
        ((2, 1), 2, 2),
        ((MOST_ELEMENTS + 1,), None, 0),
        ((1, "2"), None, 0),
        ([1], None, 0),
    ):
        with pytest.raises(GraphError, match=r"a must be .*integers of at least"):
            integers(node(a=value), "a", count, least=least)


def test_long_values_are_shown_in_part() -> None:
    for value, shown in (("x" * 58, repr("x" * 58)), ("x" * 59, f"'{'x' * 56}..."), (1 << 1000, "a number of many digits")):
        with pytest.raises(GraphError, match=r"integer of at least|at most") as caught:
            integer(node(a=value), "a")
        assert str(caught.value).split(" not ")[1] == shown
    with pytest.raises(GraphError, match=r"not 10{56}\.\.\.|not \d{57}\.\.\."):
        integer(node(a=(1 << 1000) - 1), "a")


def test_the_most_elements_of_a_tensor() -> None:
    bounded(node(), 1 << 11, 1 << 11)
    with pytest.raises(GraphError, match="4194305 elements"):
        bounded(node(), MOST_ELEMENTS + 1)


def test_variables_and_the_type_that_holds_all() -> None:
    assert [present(node(), i) for i in (-1, 0, 1, 2)] == [False, True, False, True]
    u = FixedType(False, 3, 1)
    assert enclosing([FixedType(True, 4, 2), u]) == FixedType(True, 5, 2)
    assert enclosing([FixedType(True, 4, 2), FixedType(True, 0, 9)]) == FixedType(True, 4, 2)
    assert enclosing([u, FixedType(False, 2, 0)]) == FixedType(False, 3, 1)
    assert enclosing([FixedType(True, 1, 0)]) == FixedType(True, 1, 0)
    assert enclosing([FixedType(True, 3, 0), FixedType(False, 2, 3)]) == FixedType(True, 6, 3)


def test_a_graph_in_a_line_and_its_sizes() -> None:
    inputs = tuple(make_node(f"x{n}", "input", type=TypeArray.of(1, [n + 1] * (n + 1), 0)) for n in range(5))
    outs = tuple(make_node(f"y{n}", "relu", [inputs[n]]) for n in range(5))
    for count, shown in ((4, "x0, x1, x2, x3 -> y0, y1, y2, y3"), (5, "x0, x1, x2, x3, ... -> y0, y1, y2, y3, ...")):
        some = (*inputs[:count], *outs[:count])
        graph = verify(Graph(some, tuple(n.name for n in inputs[:count]), tuple(n.name for n in outs[:count])))
        assert repr(graph) == f"<Graph: {2 * count} nodes, {shown}>"
        assert graph.widest == count and graph.input_size == graph.output_size == count * (count + 1) // 2


def test_names_that_are_free() -> None:
    taken: set[str] = set()
    assert [fresh_name(n, taken) for n in ("a b", "a_b", "a.b", "2x", "_", "_c_")] == [
        "a_b",
        "a_b_v2",
        "a_b_v3",
        "n_2x",
        "node",
        "c",
    ]
    assert taken == {"a_b", "a_b_v2", "a_b_v3", "n_2x", "node", "c"}


def test_odd_forms() -> None:
    for dtype in (np.int64, object):
        constant = Constant(np.array([0, 12, -8, 7, -1], dtype), TypeArray.of(1, 5, [3, 3, 3, 3, -2]))
        mantissas, frac = odd_form(constant)
        assert (mantissas.tolist(), frac.tolist()) == ([0, 3, -1, 7, -1], [0, 1, 0, 3, -2])
    wide = Constant(np.array([3 << 80], object), TypeArray.of(0, [82], 5))
    assert odd_form(wide)[0].tolist() == [3] and odd_form(wide)[1].tolist() == [-75]
    assert enclosed_bits(np.array([0, 1, -1, 4, 6, -20, 7 << 70], object)).tolist() == [0, 1, 1, 1, 2, 3, 3]


def interval(*bounds: tuple[int, int, int]) -> Interval:
    low, high, frac = zip(*bounds, strict=True)
    return Interval(np.array(low, object), np.array(high, object), np.array(frac, np.int64))


def told(x: Interval) -> list[tuple[int, int, int]]:
    return list(zip(x.low.ravel().tolist(), x.high.ravel().tolist(), x.frac.ravel().tolist(), strict=True))


def test_sums_at_the_finer_step() -> None:
    a, b = interval((-3, 2, 1), (0, 0, 5), (1, 4, 2), (0, 1, 0)), interval((-1, 5, 3), (-2, 7, 1), (0, 0, 9), (0, 1, 0))
    assert told(add_bounds(a, b)) == [(-13, 13, 3), (-2, 7, 1), (1, 4, 2), (0, 2, 0)]
    assert told(negated(a)) == [(-2, 3, 1), (0, 0, 5), (-4, -1, 2), (-1, 0, 0)]
    assert told(a.with_zero()) == [*told(a), (0, 0, 0)] and a.with_zero().zero.tolist() == [False, True, False, False, True]


@pytest.mark.parametrize("scale", [1, 1 << 57, 1 << 90])
def test_bounds_of_products_with_a_matrix(scale: int) -> None:
    """Each sum stands at the finest step of its own terms: what is always zero, or has no weight, has none."""
    x = Interval(np.array([[-3, 0, 1]], object) * scale, np.array([[2, 0, 4]], object) * scale, np.array([[1, 9, 2]], np.int64))
    kernel = np.array([[2, 0, 0, 1], [5, 7, 0, 1], [-1, 0, 0, 0]], object)
    frac = np.array([[0, 8, 8, 3], [6, 4, 8, 3], [1, 8, 8, 8]], np.int64)
    found = product_sum_bounds(x, kernel, frac)
    want = [(-28 * scale, 15 * scale, 3), (0, 0, 13), (0, 0, 0), (-3 * scale, 2 * scale, 4)]
    assert [(a, b) for a, b, _ in told(found)] == [(a, b) for a, b, _ in want]
    assert told(found)[0][2] == 3 and told(found)[3][2] == 4
    nothing = product_sum_bounds(x, np.zeros((3, 2), object), np.zeros((3, 2), np.int64))
    assert told(nothing) == [(0, 0, 0), (0, 0, 0)]


def test_windows_over_an_image() -> None:
    count, pixels = window_grid((3, 4), (2, 2), (2, 1), (1, 0, 0, 1), (1, 2))
    assert count == (2, 3)
    assert pixels.tolist() == [[-1, -1, 0, 2], [-1, -1, 1, 3], [-1, -1, 2, -1], [4, 6, 8, 10], [5, 7, 9, 11], [6, -1, 10, -1]]
    assert window_grid((2, 1), (2, 1), (1, 1), (0, 0, 0, 0), (1, 1))[1].tolist() == [[0, 1]]
    with pytest.raises(GraphError, match="a window of 3 does not fit 2 elements padded with 0 and 0"):
        window_grid((2, 1), (2, 1), (1, 1), (0, 0, 0, 0), (2, 1))
    for size, shape in (((1 << 13, 1), (1 << 14, 1)), ((1 << 6, 1 << 6), (1 << 8, 1 << 7))):
        with pytest.raises(GraphError, match=f"more than {MOST_INDICES} indices"):
            window_grid(shape, size, (1, 1), (0, 0, 0, 0), (1, 1))
