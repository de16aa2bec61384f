"""The adder-graph search in plain Python: the specification of hls_templates/native/adders.cpp, which gives the same result.

Slow (about a thousand adders a second), for any size of integer, and for machines without a C++ compiler.

A column is a set of digits, each a wire times +-2^position. Stage 1 takes, again and again, the pair of digits (wire a,
wire b << shift, relative sign) whose sharing saves most, makes it a wire, and puts that wire in the pair's place in every
column. Stage 2 adds up what is left of each column, cheapest adder first. The idea of valuing pairs by the bits they save is
that of da4ml (Sun et al., arXiv 2507.04535); pairs of digits go back to Hartley, 1996.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from hwq.fixed.types import bits_for
from hwq.passes.adders.problem import PLAIN, REVERSE, SUBTRACT, Problem, Solution, Weights, adder_cost

Digit = tuple[int, int, int]  # wire, position, sign
PairKey = tuple[int, int, int, bool]  # wire a, wire b, shift, signs differ
DigitPlace = tuple[int, int, int]  # column, position, sign
Range = tuple[int, int]

MANY = 24  # terms of a column between which all pairs are compared
DEEPEST = 40  # a limit beyond this many levels is none


@dataclass(slots=True)
class _Search:
    problem: Problem
    weights: Weights
    ranges: list[Range]
    depth: list[int]
    forms: list[dict[int, int]]
    columns: list[list[Digit]] = field(default_factory=list)
    operations: list[tuple[int, int, int, int]] = field(default_factory=list)
    room: list[int] = field(default_factory=list)  # by column: sum of 2^depth; a tree of depth L exists while it is <= 2^L
    limit: int | None = None
    counts: dict[PairKey, int] = field(default_factory=dict)
    places: dict[int, list[DigitPlace]] = field(default_factory=dict)
    heap: list[tuple[int, PairKey]] = field(default_factory=list)


def search(problem: Problem, weights: Weights) -> Solution:
    """The operations of `problem` by this valuation; deterministic."""
    state = _Search(
        problem,
        weights,
        list(zip(problem.low, problem.high, strict=True)),
        problem.depth.tolist(),
        [{i: 1} for i in range(problem.inputs)],
    )
    digits = list(zip(*(a.tolist() for a in (problem.column, problem.wire, problem.position, problem.sign)), strict=True))
    state.room = [0] * problem.columns
    for column, wire, _, _ in digits:
        state.room[column] += 1 << state.depth[wire]
    if weights.extra_depth is not None:
        level = max((room - 1).bit_length() if room else 0 for room in state.room) if state.room else 0
        if level + weights.extra_depth <= DEEPEST:
            state.limit = 1 << (level + weights.extra_depth)
    whole: list[list[Digit]] = [[] for _ in range(problem.columns)]
    block = problem.block.tolist()
    for number in [*sorted({b for b in block if b >= 0}), -1]:
        state.columns = [[] for _ in range(problem.columns)]
        for column, wire, position, sign in digits:
            if block[wire] == number:
                state.columns[column].append((wire, position, sign))
        if number >= 0:
            _share(state)
        for column, rest in enumerate(state.columns):
            whole[column] += rest
    state.columns = whole
    outputs = [_sum(state, column) for column in range(problem.columns)]
    return Solution(problem.inputs, np.array(state.operations, np.int32).reshape(-1, 4), np.array(outputs, np.int32).reshape(-1, 3))


def _combined(a: Range, b: Range, shift: int, kind: int) -> Range:
    low, high = b[0] << shift, b[1] << shift
    if kind == PLAIN:
        return a[0] + low, a[1] + high
    if kind == SUBTRACT:
        return a[0] - high, a[1] - low
    return low - a[1], high - a[0]


def _estimate(state: _Search, a: int, b: int, shift: int, kind: int) -> Range:
    """Bounds of an operation not yet made: exact where the operands share no input, or are one wire."""
    if a != b:
        return _combined(state.ranges[a], state.ranges[b], shift, kind)
    factor = {PLAIN: (1 << shift) + 1, SUBTRACT: 1 - (1 << shift), REVERSE: (1 << shift) - 1}[kind]
    ends = [v * factor for v in state.ranges[a]]
    return min(ends), max(ends)


def _make(state: _Search, a: int, b: int, shift: int, kind: int) -> int:
    form = _form(state.forms[a], state.forms[b], shift, kind)
    state.forms.append(form)
    state.ranges.append(_range(form, state.problem.low, state.problem.high))
    state.depth.append(max(state.depth[a], state.depth[b]) + 1)
    state.operations.append((a, b, shift, kind))
    return len(state.ranges) - 1


def _form(a: dict[int, int], b: dict[int, int], shift: int, kind: int) -> dict[int, int]:
    """What an operation is worth, as {input: coefficient}."""
    form = dict(a) if kind != REVERSE else {i: -c for i, c in a.items()}
    for i, c in b.items():
        total = form.get(i, 0) + (-(c << shift) if kind == SUBTRACT else c << shift)
        if total:
            form[i] = total
        else:
            del form[i]
    return form


def _range(form: dict[int, int], low: tuple[int, ...], high: tuple[int, ...]) -> Range:
    return (
        sum(c * (low[i] if c > 0 else high[i]) for i, c in form.items()),
        sum(c * (high[i] if c > 0 else low[i]) for i, c in form.items()),
    )


def ranges(problem: Problem, solution: Solution) -> tuple[list[Range], int]:
    """The exact bounds of every operation's result, from its worth in inputs, and the sum of the operations' costs."""
    forms: list[dict[int, int]] = [{i: 1} for i in range(problem.inputs)]
    found, cost = list(zip(problem.low, problem.high, strict=True)), 0
    for a, b, shift, kind in solution.operations.tolist():
        forms.append(_form(forms[a], forms[b], shift, kind))
        found.append(_range(forms[-1], problem.low, problem.high))
        cost += adder_cost(kind, shift, found[a], found[b], found[-1])
    return found[problem.inputs :], cost


# ---- stage 1: sharing


def _key(p: Digit, q: Digit) -> PairKey:
    if (q[1], q[0]) < (p[1], p[0]):
        p, q = q, p
    return p[0], q[0], q[1] - p[1], p[2] != q[2]


def _score(state: _Search, key: PairKey, count: int) -> int:
    a, b, shift, differ = key
    weights = state.weights
    if weights.overlap:
        tops = bits_for(*state.ranges[a]), bits_for(*state.ranges[b]) + shift
        bits = max(0, min(tops) - shift)
    else:
        kind = SUBTRACT if differ else PLAIN
        bits = adder_cost(kind, shift, state.ranges[a], state.ranges[b], _estimate(state, a, b, shift, kind))
    return (count - weights.base) * (weights.count + weights.bits * bits)


def _opposite(key: PairKey) -> PairKey:
    """A key that sorts the other way round."""
    return -key[0], -key[1], -key[2], not key[3]


def _push(state: _Search, key: PairKey) -> None:
    count = state.counts[key]
    if count > 1:
        # of equals the newest wires: up to two adders in a hundred fewer than with the oldest
        heapq.heappush(state.heap, (-_score(state, key, count), _opposite(key)))


def _share(state: _Search) -> None:
    counts: dict[PairKey, int] = defaultdict(int)
    places: dict[int, list[DigitPlace]] = defaultdict(list)
    for number, column in enumerate(state.columns):
        for i, digit in enumerate(column):
            places[digit[0]].append((number, digit[1], digit[2]))
            for other in column[i + 1 :]:
                counts[_key(digit, other)] += 1
    state.counts, state.places, state.heap = counts, places, []
    for key in counts:
        _push(state, key)
    while state.heap:
        value, opposite = heapq.heappop(state.heap)
        key = _opposite(opposite)
        count = counts[key]
        if count < 2:
            continue
        # counts only fall, so a score that is still right is the best there is
        if -_score(state, key, count) != value:
            _push(state, key)
        else:
            _replace(state, key)


def _replace(state: _Search, key: PairKey) -> None:
    a, b, shift, differ = key
    found = _instances(state, key)
    if len(found) < 2:
        state.counts[key] = 0  # what is left overlaps itself or is too deep, and will stay so
        return
    growth = _growth(state, a, b)
    wire = _make(state, a, b, shift, SUBTRACT if differ else PLAIN)
    gone_a = {(column, position) for column, position, _ in found}
    gone_b = {(column, position + shift) for column, position, _ in found}
    state.places[a] = [p for p in state.places[a] if p[:2] not in gone_a and not (a == b and p[:2] in gone_b)]
    if a != b:
        state.places[b] = [p for p in state.places[b] if p[:2] not in gone_b]
    state.places[wire] = found
    counts, fresh = state.counts, []
    for number, position, sign in found:
        x, y, z = (a, position, sign), (b, position + shift, -sign if differ else sign), (wire, position, sign)
        column = [digit for digit in state.columns[number] if digit != x and digit != y]
        state.room[number] += growth
        counts[_key(x, y)] -= 1
        for digit in column:
            counts[_key(digit, x)] -= 1
            counts[_key(digit, y)] -= 1
            new = _key(digit, z)
            counts[new] += 1
            if counts[new] == 2:
                fresh.append(new)
        column.append(z)
        state.columns[number] = column
    for new in fresh:
        _push(state, new)


def _instances(state: _Search, key: PairKey) -> list[DigitPlace]:
    """Where the pair stands, each digit used once, from the first column and lowest position on."""
    a, b, shift, differ = key
    there = {(column, position): sign for column, position, sign in state.places[b]}
    growth = _growth(state, a, b)
    found: list[DigitPlace] = []
    used: set[tuple[int, int]] = set()
    added: dict[int, int] = defaultdict(int)
    for column, position, sign in state.places[a]:
        other = there.get((column, position + shift))
        if other is None or (other != sign) != differ:
            continue
        if a == b and ((column, position) in used or (column, position + shift) in used):
            continue
        if state.limit is not None and state.room[column] + added[column] + growth > state.limit:
            continue
        added[column] += growth
        used |= {(column, position), (column, position + shift)}
        found.append((column, position, sign))
    return found


def _growth(state: _Search, a: int, b: int) -> int:
    da, db = state.depth[a], state.depth[b]
    return (2 << max(da, db)) - (1 << da) - (1 << db)


# ---- stage 2: what is left of a column


def _kind(a: Digit, b: Digit, positives: int) -> tuple[int, int]:
    """(operation, sign it leaves) of two signed terms, the finer first: the last positive term is not given away."""
    if a[2] == b[2]:
        return PLAIN, a[2]
    if a[2] == -1 and positives == 1:
        return REVERSE, 1
    return SUBTRACT, a[2]


def _sum(state: _Search, number: int) -> Digit:
    terms = list(state.columns[number])
    if not terms:
        return -1, 0, 1
    while len(terms) > 1:
        positives = sum(sign == 1 for _, _, sign in terms)
        order = _lowest(state, terms)
        joins = [_judge(state, terms, i, j, positives) for n, i in enumerate(order) for j in order[n + 1 :]]
        best = min(join for join in joins if _allowed(state, number, terms[join[3]], terms[join[4]]))
        a, b = terms[best[3]], terms[best[4]]
        kind, sign = _kind(a, b, positives)
        state.room[number] += _growth(state, a[0], b[0])
        wire = _make(state, a[0], b[0], b[1] - a[1], kind)
        terms[min(best[3:])] = (wire, a[1], sign)
        del terms[max(best[3:])]
    return terms[0]


def _lowest(state: _Search, terms: list[Digit]) -> list[int]:
    """The terms worth comparing: all, or of very many those that end lowest."""
    if len(terms) <= MANY:
        return list(range(len(terms)))

    def rank(i: int) -> tuple[int, ...]:
        wire, position, _ = terms[i]
        top, depth = bits_for(*state.ranges[wire]) + position, state.depth[wire]
        return (top, depth, i) if state.limit is None else (depth, top, i)

    return sorted(sorted(range(len(terms)), key=rank)[:MANY])


def _judge(state: _Search, terms: list[Digit], i: int, j: int, positives: int) -> tuple[int, int, int, int, int]:
    """(half LUTs, depth before it, width, finer term, coarser term) of joining two terms: the least is best."""
    if (terms[j][1], terms[j][0]) < (terms[i][1], terms[i][0]):
        i, j = j, i
    a, b = terms[i], terms[j]
    kind, _ = _kind(a, b, positives)
    shift = b[1] - a[1]
    out = _estimate(state, a[0], b[0], shift, kind)
    depth = max(state.depth[a[0]], state.depth[b[0]])
    return adder_cost(kind, shift, state.ranges[a[0]], state.ranges[b[0]], out), depth, bits_for(*out), i, j


def _allowed(state: _Search, number: int, a: Digit, b: Digit) -> bool:
    return state.limit is None or state.room[number] + _growth(state, a[0], b[0]) <= state.limit
