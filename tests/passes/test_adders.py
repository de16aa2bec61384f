"""Constant matrices as adder graphs: exact, the same from Python and from native code, cheaper than unshared, within its depth."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_network, random_rows

from hwq.errors import UsageError
from hwq.ir import CircuitBuilder, Opcode
from hwq.passes.adders import AdderOptions, Multiplier, da4ml, native, problem
from hwq.passes.adders import search as plain
from hwq.passes.adders.matrix import digits_of
from hwq.passes.adders.problem import Problem, Weights, csd
from hwq.passes.adders.solve import WEIGHTS, blocks_of, finished, solve
from hwq.passes.adders.trees import Term, levels, tree
from hwq.passes.lower import lower
from hwq.sim.reference import evaluate

needs_gxx = pytest.mark.skipif(native.library() is None, reason="no g++")


def stated(kernel: np.ndarray, bounds: tuple[int, int] | list[tuple[int, int]] = (-128, 127), blocks: int = 1) -> Problem:
    """A problem whose solution is x @ kernel."""
    n, m = kernel.shape
    wire, column, position, sign = digits_of(kernel)
    order = np.lexsort((position, wire, column))
    pairs = [bounds] * n if isinstance(bounds, tuple) else bounds
    return Problem(
        tuple(low for low, _ in pairs),
        tuple(high for _, high in pairs),
        np.zeros(n, np.int32),
        (np.arange(n) * blocks // max(n, 1)).astype(np.int32),
        *(a[order].astype(np.int32) for a in (column, wire, position, sign)),
        m,
    )


def worth(given: Problem, operations: np.ndarray, outputs: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """The matrix that a solution computes, and the depth of each of its wires."""
    forms, depth = list(np.eye(given.inputs, dtype=object)), given.depth.tolist()
    for a, b, shift, kind in operations.tolist():
        x, y = forms[a], forms[b] * (1 << shift)
        forms.append({problem.PLAIN: x + y, problem.SUBTRACT: x - y, problem.REVERSE: y - x}[kind])
        depth.append(max(depth[a], depth[b]) + 1)
    zero = np.zeros(given.inputs, object)
    return np.array([zero if w < 0 else forms[w] * (s << p) for w, p, s in outputs.tolist()]).T, depth


@st.composite
def matrices(draw: st.DrawFn) -> np.ndarray:
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    n, m, bits = draw(st.integers(1, 10)), draw(st.integers(1, 10)), draw(st.integers(1, 9))
    kernel = rng.integers(-(1 << bits), (1 << bits) + 1, (n, m))
    return np.where(rng.random((n, m)) < draw(st.sampled_from([0.0, 0.5, 0.9])), 0, kernel)


weights = st.sampled_from([*WEIGHTS, *(Weights(0, 1, True, 0, extra) for extra in (0, 1, 3))])


@settings(max_examples=100, deadline=None)
@given(matrices(), weights, st.integers(1, 3), st.sampled_from([(-128, 127), (0, 15), (-1, 0), (3, 9)]))
def test_a_solution_computes_its_matrix(kernel: np.ndarray, w: Weights, blocks: int, bounds: tuple[int, int]) -> None:
    asked = stated(kernel, bounds, blocks)
    found = plain.search(asked, w)
    got, depth = worth(asked, found.operations, found.outputs)
    assert (got == kernel).all()
    terms = np.bincount(asked.column, minlength=kernel.shape[1])
    if w.extra_depth is not None and len(found.operations):
        assert max(depth) <= max((int(t) - 1).bit_length() for t in terms if t) + w.extra_depth


@needs_gxx
@settings(max_examples=100, deadline=None)
@given(matrices(), weights, st.integers(1, 3), st.integers(0, 1000))
def test_native_code_gives_the_same_operations(kernel: np.ndarray, w: Weights, blocks: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    low = rng.integers(-40, 20, len(kernel))
    bounds = [(int(a), int(b)) for a, b in zip(low, low + rng.integers(0, 60, len(kernel)), strict=True)]
    asked = stated(kernel, bounds, blocks)
    want, got = plain.search(asked, w), native.search(native.library(), asked, w)
    assert got.operations.tolist() == want.operations.tolist()
    assert got.outputs.tolist() == want.outputs.tolist()
    assert native.ranges(native.library(), asked, want) == plain.ranges(asked, want)


@needs_gxx
@pytest.mark.parametrize("extra", [None, 0])
def test_native_code_gives_the_same_where_a_column_has_many_terms(extra: int | None) -> None:
    asked = stated(np.random.default_rng(4).integers(-99, 99, (90, 3)), blocks=2)
    w = Weights(0, 1, True, 1, extra)
    assert native.search(native.library(), asked, w).operations.tolist() == plain.search(asked, w).operations.tolist()


@needs_gxx
@pytest.mark.parametrize("seed", range(12))
def test_native_code_and_python_agree_on_fixed_matrices(seed: int) -> None:
    """What the search values is its own affair: the two tell of each other's changes."""
    rng = np.random.default_rng(seed)
    kernel = np.where(rng.random((6, 5)) < 0.3, 0, rng.integers(-60, 61, (6, 5)))
    low = rng.integers(-40, 3, len(kernel))
    asked = stated(
        kernel, [(int(a), int(b)) for a, b in zip(low, low + rng.integers(0, 60, len(kernel)), strict=True)], 1 + seed % 2
    )
    asked = replace(asked, depth=rng.integers(0, 4, len(kernel)).astype(np.int32))
    for w in (*WEIGHTS[seed % 6 :][:2], Weights(0, 1, True, 0, seed % 3), Weights(4, 1, False, 1, 0)):
        want, got = plain.search(asked, w), native.search(native.library(), asked, w)
        assert (got.operations.tolist(), got.outputs.tolist()) == (want.operations.tolist(), want.outputs.tolist())
        assert native.ranges(native.library(), asked, want) == plain.ranges(asked, want)


def random_terms(rng: np.random.Generator, count: int) -> list[Term]:
    terms = []
    for _ in range(count):
        low, up = int(rng.integers(-20, 10)), int(rng.integers(0, 5))
        high = low + int(rng.integers(0, 30))
        terms.append(Term(low << up, high << up, up, int(rng.choice([-1, 1])), int(rng.integers(0, 3))))
    return terms


@pytest.mark.skipif(native.library("rows") is None, reason="no g++")
@pytest.mark.parametrize("seed", range(12))
def test_native_code_and_python_agree_on_rows(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(seed)
    cases = []
    for arity in (2, 3):
        terms = random_terms(rng, 2 + seed % 7 + arity)
        least = levels([t.depth for t in terms], arity)
        cases += [(terms, least + more, arity) for more in (0, 1, 5)]
    found = [tree(*case) for case in cases]
    wide = [Term(t.low << 70, t.high << 70, t.up + 70, t.sign, t.depth) for t in terms]
    wide += [Term(-(1 << 100) + 5, (1 << 90) + 3, 0, 1, 0)] * 2
    cases.append((wide, levels([t.depth for t in wide]), 3))
    found.append(tree(*cases[-1]))
    monkeypatch.setattr(native, "library", lambda *_: None)
    assert [tree(*case) for case in cases] == found


def test_a_column_that_comes_out_negated_is_negated_again() -> None:
    assert solve(stated(np.array([[-1]]), (0, 15))).cost == 4 and solve(stated(np.array([[1]]), (0, 15))).cost == 0
    assert solve(stated(np.array([[0, -1], [-2, 0]]), [(0, 15), (-8, 7)])).cost == 4 + 4


def test_the_fewest_levels() -> None:
    for depths, arity, want in (
        ([0], 3, 0),
        ([0, 0], 3, 1),
        ([0] * 3, 3, 1),
        ([0] * 4, 3, 2),
        ([0] * 9, 3, 2),
        ([0] * 10, 3, 3),
        ([0] * 4, 2, 2),
    ):
        assert levels(depths, arity) == want
    assert levels([2, 0]) == 3 and levels([1, 1, 0, 0, 0]) == 2 and levels([1, 1, 1, 0]) == 3 and levels([50, 0]) == 38


@given(st.lists(st.integers(-(1 << 70), 1 << 70) | st.integers(-300, 300), min_size=1, max_size=12))
def test_digits(values: list[int]) -> None:
    row, column, position, sign = digits_of(np.array([values], object))
    for j, value in enumerate(values):
        mine = column == j
        assert sum(int(s) << int(p) for p, s in zip(position[mine], sign[mine], strict=True)) == value
        assert mine.sum() == len(csd(value)), "more digits than the canonical form"
    assert not row.any() and len(set(zip(column.tolist(), position.tolist(), strict=True))) == len(column)


def test_three_is_two_and_one() -> None:
    assert [a.tolist() for a in digits_of(np.array([[3]]))] == [[0, 0], [0, 0], [0, 1], [1, 1]]


def test_a_shared_pair_is_built_once() -> None:
    """x0 + 2 x1 in two columns, alone and times 4 with the sign turned, next to x2."""
    kernel = np.array([[1, -4], [2, -8], [0, 1]])
    found = solve(stated(kernel))
    assert found.solution.operations.tolist() == [[0, 1, 1, problem.PLAIN], [2, 3, 2, problem.SUBTRACT]]
    assert found.solution.outputs.tolist() == [[3, 0, 1], [4, 0, 1]]
    assert found.bounds == [(-384, 381), (-128 - 4 * 381, 127 + 4 * 384)]
    # x0 + (x1 << 1): bits 1 to 8 of 0 to 9; x2 - (that << 2): bits 2 to 11 and the lowest again
    assert found.cost == 2 * 8 + 2 * (10 + 1)


def test_bounds_follow_the_worth_of_a_wire() -> None:
    """7 x as 8 x - x lies between 0 and 105 for x in 0..15: no sign bit, which its operands' bounds alone would ask for."""
    found = solve(stated(np.array([[7]]), (0, 15)))
    assert len(found.solution.operations) == 1
    assert found.bounds == [(0, 105)]


@pytest.mark.parametrize("kernel", [np.zeros((3, 2), int), np.zeros((0, 2), int), np.zeros((3, 0), int), np.array([[-1]])])
def test_nothing_to_add(kernel: np.ndarray) -> None:
    found = solve(stated(kernel))
    assert not len(found.solution.operations)
    assert (worth(stated(kernel), found.solution.operations, found.solution.outputs)[0] == kernel).all()


def test_sharing_beats_columns_by_themselves() -> None:
    asked = stated(np.random.default_rng(0).integers(-8, 8, (16, 16)))
    shared, alone = solve(asked), solve(asked, AdderOptions("naive"))
    assert shared.cost < 0.7 * alone.cost
    assert len(shared.solution.operations) < 0.7 * len(alone.solution.operations)


def test_an_unknown_backend_is_an_error() -> None:
    with pytest.raises(UsageError, match="magic"):
        solve(stated(np.array([[3]])), AdderOptions("magic"))


def test_wide_integers_are_exact_without_native_code() -> None:
    kernel = np.array([[3 << 70, 5], [-(7 << 40), 1 << 90]], object)
    asked = stated(kernel, (-(1 << 80), 1 << 80))
    assert not asked.fits_int64()
    found = solve(asked)
    assert (worth(asked, found.solution.operations, found.solution.outputs)[0] == kernel).all()
    assert finished(asked, found.solution).bounds == found.bounds


def test_large_matrices_are_searched_in_blocks() -> None:
    kernel = np.random.default_rng(0).integers(-32, 32, (300, 400))
    blocks = blocks_of(stated(kernel))
    assert blocks[0] == 0 and (np.diff(blocks) >= 0).all() and 3 <= blocks[-1] <= 12
    assert (blocks_of(stated(kernel[:30, :30])) == 0).all()


def test_equal_rows_reuse_the_solution() -> None:
    """Two rows of a time-distributed layer, with other bounds: the same operations again, each row with bounds of its own."""
    rng = np.random.default_rng(1)
    builder = CircuitBuilder()
    builder.enter("x")
    rows = [[(builder.input(r * 6 + i, -1 - r, 5 + i, 2), 0) for i in range(6)] for r in range(2)]
    multiplier = Multiplier(builder, {})
    kernel, frac, bias = rng.integers(-9, 9, (6, 4)), rng.integers(0, 3, (6, 4)), rng.integers(-9, 9, 4)
    out = [multiplier.multiply(x, kernel, frac, bias, np.full(4, 1)) for x in rows]
    assert len(multiplier._solved) == 1
    circuit = builder.build([wire for values in out for wire, _ in values])
    x = rng.integers([-1] * 6 + [-2] * 6, [6 + i for i in range(6)] * 2, (50, 12))
    got = circuit.evaluate(x) * 2.0 ** -np.array([builder.frac(w) - e for values in out for w, e in values])
    for r in range(2):
        want = (x[:, r * 6 : r * 6 + 6] / 4) @ (kernel * 2.0**-frac) + bias / 2
        assert (got[:, r * 4 : r * 4 + 4] == want).all()


@pytest.mark.parametrize("options", [AdderOptions("naive"), AdderOptions(extra_depth=None), AdderOptions(extra_depth=2)])
@pytest.mark.parametrize("seed", range(4))
def test_networks_by_every_option(options: AdderOptions, seed: int) -> None:
    graph = random_network(seed, (9, 8, 5), skip=True)
    x = random_rows(graph, 300)
    circuit = lower(graph, options)
    assert (circuit.evaluate(x) == evaluate(graph, x)).all()


def test_no_wire_leaves_its_bounds() -> None:
    """The exact bounds are reached, and never passed, by the wires themselves."""
    graph = random_network(7, (6, 6, 4))
    circuit = lower(graph)
    x = random_rows(graph, 2000)
    values: list[np.ndarray] = []
    for i in range(len(circuit)):
        values.append(circuit._evaluate_row(i, x, values))
        assert (values[-1] >= int(circuit.low[i])).all() and (values[-1] <= int(circuit.high[i])).all()
    assert circuit.count(Opcode.ADD, Opcode.SUB) > 10


class Solved:
    """One stage as da4ml hands it over."""

    def __init__(
        self, ops: list[tuple[int, ...]], idxs: list[int], shifts: list[int], negs: list[bool], inp_shifts: list[int]
    ) -> None:
        self.ops, self.out_idxs, self.out_shifts, self.out_negs, self.inp_shifts = ops, idxs, shifts, negs, inp_shifts


def test_stages_of_da4ml_become_operations() -> None:
    """Two stages by hand: (x0, x1) -> 2 x0 - x1, x1 - 4 x0 -> 2 a - b, -b, 0; with a bias of 5 on the first and the second column."""
    first = Solved([(0, 0, -1, 0), (1, 0, -1, 0), (0, 1, 1, 0), (1, 0, 1, 1)], [2, 3], [0, 0], [False, False], [1, 0])
    second = Solved([(0, 0, -1, 0), (1, 0, -1, 0), (0, 1, 1, -1)], [2, 1, -1], [1, 0, 0], [False, True, False], [0, 0])
    kernel = np.array([[8, 4, 0], [-3, -1, 0]])
    asked = stated(np.vstack([kernel, np.diag([5, 4, 0])]))
    asked.block[2:] = -1
    matrix, rows = da4ml.matrix_of(asked)
    assert rows == [0, 1] and (matrix == kernel).all()
    found = da4ml.converted(asked, [first, second])
    got, _ = worth(asked, found.operations, found.outputs)
    assert (got == np.vstack([kernel, np.diag([5, 4, 0])])).all()


def test_da4ml_is_never_required() -> None:
    if importlib.util.find_spec("da4ml") is not None:
        pytest.skip("da4ml is installed")
    with pytest.raises(UsageError, match="da4ml is not installed"):
        solve(stated(np.array([[3]])), AdderOptions("da4ml"))


def test_da4ml_refuses_constants_it_would_round() -> None:
    with pytest.raises(UsageError, match="25 bits"):
        da4ml.matrix_of(stated(np.array([[(1 << 24) + 1]])))
    exact, _ = da4ml.matrix_of(stated(np.array([[(1 << 24) - 1, 1 - (1 << 24)]])))
    assert exact.tolist() == [[(1 << 24) - 1, 1 - (1 << 24)]]


def test_any_function_can_be_the_backend() -> None:
    asked = stated(np.array([[3, 5], [1, 0]]))
    found = solve(asked, AdderOptions(lambda problem: plain.search(problem, Weights(extra_depth=0))))
    assert (worth(asked, found.solution.operations, found.solution.outputs)[0] == np.array([[3, 5], [1, 0]])).all()
