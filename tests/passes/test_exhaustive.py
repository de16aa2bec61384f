"""Passes over one op at a time, with every small type beside every other, on every code: the same values, and no wider than they need be."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from every_op import MODES

from hwq.errors import GraphError
from hwq.fixed import Overflow, Rounding, TypeArray, to_float
from hwq.ir import Attr, Constant, Graph, Node, make_node, verify
from hwq.ir.ops import odd_form
from hwq.passes import merge_rounding, narrow, prune
from hwq.passes.tables import renumbered
from hwq.sim.compare import output_types, to_types
from hwq.sim.reference import evaluate

SMALL = [(signed, width, frac) for signed in (0, 1) for width in range(4) for frac in (-1, 0, 1)]


def codes(types: TypeArray, rows: int) -> np.ndarray:
    """Each element counts through its own codes, again and again."""
    low, high = types.lowest.ravel().astype(np.int64), types.highest.ravel().astype(np.int64)
    return low + np.arange(rows)[:, None] % (high - low + 1)


def same(found: Graph, graph: Graph, x: np.ndarray) -> np.ndarray:
    """The results at the graph's own steps, which are those of the other."""
    want = evaluate(graph, x)
    assert np.array_equal(want, to_types(evaluate(found, x), found, graph))
    return want


def worth(graph: Graph, x: np.ndarray) -> np.ndarray:
    """The results as numbers."""
    return to_float(evaluate(graph, x), output_types(graph).frac)


def chain(nodes: list[Node]) -> Graph:
    return verify(Graph(tuple(nodes), (nodes[0].name,), (nodes[-1].name,)))


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_a_narrowed_quantise(mode: tuple[Rounding, Overflow]) -> None:
    """Every small type into every other; some can overflow, and what cannot is as narrow as its values."""
    source, target = zip(*itertools.product(SMALL, SMALL), strict=True)
    x = make_node("x", "input", type=TypeArray.of(*np.array(source).T))
    q = make_node("q", "quantize", [x], type=TypeArray.of(*np.array(target).T, *mode))
    graph = chain([x, q])
    found = narrow(graph)
    want = same(found, graph, codes(x.type, 8))
    tight = TypeArray.enclosing(want.min(0).astype(object), want.max(0).astype(object), q.type.frac)
    got = found["q"].type
    free = ~overflowing(source, target, mode)
    free &= ~((mode[1] is Overflow.SAT_SYM) & (q.type.signed != 0) & (tight.width > 0))  # as declared: see hwq.passes.narrow
    assert (got.width[free] == tight.width[free]).all() and (got.signed[free] == tight.signed[free]).all()
    assert (got.width <= q.type.width).all()


def overflowing(
    source: tuple[tuple[int, int, int], ...], target: tuple[tuple[int, int, int], ...], mode: tuple[Rounding, Overflow]
) -> np.ndarray:
    """Where some code of the source, rounded, is outside of the target: by a target with bits to spare."""
    x = make_node("x", "input", type=TypeArray.of(*np.array(source).T))
    frac = np.array(target)[:, 2]
    wide = make_node("q", "quantize", [x], type=TypeArray.of(1, np.full(len(frac), 20), frac, mode[0], Overflow.SAT))
    rounded = evaluate(chain([x, wide]), codes(x.type, 8))
    types = TypeArray.of(*np.array(target).T, *mode)
    return np.asarray(((rounded < types.lowest) | (rounded > types.highest)).any(0), bool)


def test_what_cannot_overflow_wraps() -> None:
    """The mode that costs nothing; but not where another element needs it."""
    for width, mode in ((5, Overflow.WRAP), (3, Overflow.SAT)):
        x = make_node("x", "input", type=TypeArray.of(1, [4, 2], 0))
        q = make_node("q", "quantize", [x], type=TypeArray.of(1, [width, 2], 0, Rounding.TRN, Overflow.SAT))
        assert narrow(chain([x, q]))["q"].type.overflow is mode


def biased(frac: int, bias_frac: int, step: int, mantissa: int, mode: Overflow, relu: bool) -> Graph:
    """A bias, a relu or none, and a quantise that rounds half up."""
    x = make_node("x", "input", type=TypeArray.of(1, [4], frac))
    b = make_node("b", "bias", [x], attrs={"bias": Constant(np.array([mantissa]), TypeArray.of(1, [4], bias_frac))})
    nodes = [x, b] + ([make_node("r", "relu", [b])] if relu else [])
    nodes.append(make_node("q", "quantize", [nodes[-1]], type=TypeArray.of(1, [6], step, Rounding.RND, mode)))
    return chain(nodes)


@pytest.mark.parametrize(("mode", "relu"), [(Overflow.WRAP, True), (Overflow.SAT, False)])
def test_half_a_step_goes_into_any_bias(mode: Overflow, relu: bool) -> None:
    """Steps of value, bias and result in every order, biases positive, negative and zero."""
    for frac, bias_frac, step in itertools.product((-1, 2), (-2, 0, 3), (-2, 0, 1)):
        for mantissa in (-7, 0, 3, 4):
            graph = biased(frac, bias_frac, step, mantissa, mode, relu)
            found = merge_rounding(graph)
            assert found["q"].type.rounding is Rounding.TRN
            same(found, graph, np.arange(-8, 8)[:, None])
            if graph["b"].type.frac.item() <= step:  # nothing is rounded: nothing is added
                assert odd_form(found["b"].constant("bias")) == odd_form(graph["b"].constant("bias"))


@pytest.mark.parametrize(
    ("steps", "widths", "merged"),
    [
        ((0, 0), (4, 4), True),
        ((0, 1), (4, 4), False),  # both round, at steps of their own
        ((0, 2), (4, 4), False),  # the second does not round, and its half step would be seen
        ((0, 2), (4, 0), True),  # the second is not there
        ((2, 2), (4, 4), True),  # none rounds
        ((3, 2), (4, 4), True),
        ((-1, 0), (0, 4), True),
    ],
)
def test_elements_that_share_a_bias_round_at_one_step(steps: tuple[int, int], widths: tuple[int, int], merged: bool) -> None:
    x = make_node("x", "input", type=TypeArray.of(1, np.full((2, 1), 4), 2))
    kernel, bias = Constant(np.ones((1, 1), np.int64), TypeArray.of(0, [[1]], 0)), Constant(np.array([3]), TypeArray.of(0, [2], 1))
    d = make_node("d", "dense", [x], attrs={"kernel": kernel, "bias": bias})
    types = TypeArray.of(1, np.reshape(widths, (2, 1)), np.reshape(steps, (2, 1)), Rounding.RND, Overflow.WRAP)
    graph = chain([x, d, make_node("q", "quantize", [d], type=types)])
    found = merge_rounding(graph)
    assert (found["q"].type.rounding is Rounding.TRN) is merged
    same(found, graph, np.stack([np.arange(-8, 8), np.arange(-8, 8)[::-1]], axis=1))


@pytest.mark.parametrize(
    ("bias_frac", "step", "merged"),
    [(57, -4, True), (58, -4, False), (-58, 1, True), (-59, 1, False), (511, 509, True), (-500, 1, False)],
)
def test_a_bias_of_too_many_bits_takes_no_half(bias_frac: int, step: int, merged: bool) -> None:
    """A one of the bias and the half step lie so far apart that their sum takes more bits than an integer of 64 keeps safe."""
    x = make_node("x", "input", type=TypeArray.of(1, [4], step + 1))
    b = make_node("b", "bias", [x], attrs={"bias": Constant(np.array([1]), TypeArray.of(0, [1], bias_frac))})
    graph = chain([x, b, make_node("q", "quantize", [b], type=TypeArray.of(1, [6], step, Rounding.RND, Overflow.WRAP))])
    found = merge_rounding(graph)
    assert (found["q"].type.rounding is Rounding.TRN) is merged
    same(found, graph, np.arange(-8, 8)[:, None])


@pytest.mark.parametrize(("mantissa", "merged"), [(1, True), (2, False)])
def test_a_bias_whose_odd_form_has_no_step_takes_no_half(mantissa: int, merged: bool) -> None:
    """Two times 2^511, of an element that is not rounded, is one time 2^512: there is no such step."""
    x = make_node("x", "input", type=TypeArray.of(1, [4, 4], [1, -511]))
    b = make_node("b", "bias", [x], attrs={"bias": Constant(np.array([1, mantissa]), TypeArray.of(0, [2, 2], [1, -511]))})
    graph = chain([x, b, make_node("q", "quantize", [b], type=TypeArray.of(1, 6, [0, -511], Rounding.RND, Overflow.WRAP))])
    found = merge_rounding(graph)
    assert (found["q"].type.rounding is Rounding.TRN) is merged


def table(types: TypeArray, rows: int, index: tuple[int, ...], equal: bool = False) -> tuple[Node, Node]:
    """An input, and a table whose entries all differ, or rows of which all are equal."""
    entries = 1 << int(types.width.max())
    row = np.arange(entries) if equal else np.arange(rows * entries).reshape(rows, entries)
    values = Constant(np.broadcast_to(row, (rows, entries)), TypeArray.of(0, np.full((rows, entries), 12), 0))
    x = make_node("x", "input", type=types)
    return x, make_node("t", "table", [x], attrs={"values": values, "index": index})


@pytest.mark.parametrize("equal", [False, True])
def test_a_table_of_other_codes_keeps_its_values(equal: bool) -> None:
    """Every small type by every one that holds some of its values: what both know has the entry that it had."""
    pairs = [(a, b) for a, b in itertools.product(SMALL, SMALL) if b[1]]
    old, new = (TypeArray.of(*np.array(types).T) for types in zip(*pairs, strict=True))
    x, t = table(old, 3, tuple(i % 3 for i in range(len(pairs))), equal)
    y = make_node("x", "input", type=new)
    found = make_node("t", "table", [y], attrs=renumbered(t, old, new).attrs)
    before, after = (worth(chain(nodes), codes(nodes[0].type, 8)) for nodes in ([x, t], [y, found]))
    ours, theirs = codes(old, 8), codes(new, 8)
    for element, (a, b) in enumerate(pairs):
        known = {code * 2.0 ** -a[2]: entry for code, entry in zip(ours[:, element], before[:, element], strict=True)}
        for code, entry in zip(theirs[:, element], after[:, element], strict=True):
            value = code * 2.0 ** -b[2]
            assert entry == known.get(value, entry)
            assert entry in known.values()
    values, index = found.constant("values"), found.integers("index")
    contents = {repr((values.mantissas[i].tolist(), values.types.width[i].tolist())) for i in range(values.shape[0])}
    assert len(contents) == values.shape[0] == len(set(index))  # none twice, none unread
    assert values.shape[1] == max(1 << b[1] for _, b in pairs)


@pytest.mark.parametrize(("width", "fits"), [(5, True), (6, False)])
def test_a_table_has_no_more_entries_than_it_may(width: int, fits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwq.passes.tables.WIDEST_CODE", 5)
    x, t = table(TypeArray.of(0, [2], 0), 1, (0,))
    new = TypeArray.of(0, [width], 0)
    if fits:
        assert renumbered(t, x.type, new).constant("values").shape == (1, 1 << width)
        return
    with pytest.raises(GraphError, match=f"its input can take {width} bits; a table takes at most 5"):
        renumbered(t, x.type, new)


def test_a_table_of_nothing() -> None:
    none = TypeArray.of(*(np.zeros(0, np.int64) for _ in range(3)))
    x = make_node("x", "input", type=none)
    values = Constant(np.array([[1, 2]]), TypeArray.of(0, [[2, 2]], 0))
    t = make_node("t", "table", [x], attrs={"values": values, "index": ()})
    assert renumbered(t, none, none).constant("values").shape == (0, 0)


def test_weights_that_meet_nothing_are_pruned() -> None:
    """Inputs without bits, and results that nothing reads: what is left is where both are there."""
    rng = np.random.default_rng(0)
    alive, needed = np.array([1, 0, 1, 1, 0], bool), np.array([0, 1, 1, 0], bool)
    kernel = Constant(rng.integers(1, 8, (5, 4)), TypeArray.of(0, np.full((5, 4), 3), 0))
    bias = Constant(rng.integers(1, 8, 4), TypeArray.of(0, np.full(4, 3), 0))
    x = make_node("x", "input", type=TypeArray.of(0, np.where(alive, 3, 0), 0))
    d = make_node("d", "dense", [x], attrs={"kernel": kernel, "bias": bias})
    q = make_node("q", "quantize", [d], type=TypeArray.of(0, np.full(4, 4), 0))
    b = make_node("b", "bias", [q], attrs={"bias": bias})
    graph = chain([x, d, q, b, make_node("o", "quantize", [b], type=TypeArray.of(0, np.where(needed, 4, 0), 0))])
    found = prune(graph)
    assert np.array_equal(found["d"].constant("kernel").mantissas, kernel.mantissas * np.outer(alive, needed))
    for name in ("d", "b"):
        assert np.array_equal(found[name].constant("bias").mantissas, bias.mantissas * needed)
    assert (found["d"].constant("kernel").types.width > 0).tolist() == np.outer(alive, needed).tolist()
    assert found["q"].type.width.tolist() == (4 * needed).tolist()
    same(found, graph, np.stack([np.arange(8) % 8 * (w > 0) for w in x.type.width], axis=1))


def test_a_weight_goes_where_no_place_needs_it() -> None:
    """A convolution of two taps over three pixels: each weight of two places, one of which alone has an input and a reader."""
    x = make_node("x", "input", type=TypeArray.of(0, [[[3], [0], [3]]], 0))
    ones = Constant(np.ones((1, 2, 1, 1), np.int64), TypeArray.of(0, np.ones((1, 2, 1, 1), int), 0))
    bias = Constant(np.ones(1, np.int64), TypeArray.of(0, [1], 0))
    place: dict[str, Attr] = {"strides": (1, 1), "pads": (0, 0, 0, 0), "dilation": (1, 1), "groups": 1}
    c = make_node("c", "conv2d", [x], attrs={"kernel": ones, "bias": bias, **place})
    for read, kept in (((1, 1), [1, 1]), ((1, 0), [1, 0]), ((0, 1), [0, 1]), ((0, 0), [0, 0])):
        o = make_node("o", "quantize", [c], type=TypeArray.of(0, np.reshape(read, (1, 2, 1)) * 5, 0))
        found = prune(chain([x, c, o]))["c"]
        assert found.constant("kernel").mantissas.ravel().tolist() == kept
        assert found.constant("bias").mantissas.tolist() == [int(any(read))]
