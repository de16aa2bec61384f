"""From a Graph to a Circuit: every tensor operation as scalar adders, shifts, wraps and clamps.

Products with constants are adder graphs that share terms over the whole matrix (`hwq.passes.adders`); the terms of any other
sum meet in a tree that joins the earliest and narrowest first.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hwq.errors import GraphError
from hwq.fixed import FixedType, Overflow, Rounding
from hwq.ir import Circuit, CircuitBuilder, Graph, Node
from hwq.ir.ops import odd_form
from hwq.passes.adders import AdderOptions, Multiplier


@dataclass(frozen=True, slots=True)
class Value:
    """A wire read with another binary point: its value times 2^exponent."""

    wire: int
    exponent: int = 0


@dataclass(slots=True)
class _Lowering:
    builder: CircuitBuilder
    options: AdderOptions
    values: dict[str, list[Value]] = field(default_factory=dict)
    depth: dict[int, int] = field(default_factory=dict)  # adders in a row before a wire, for joining early terms first
    multiplier: Multiplier = field(init=False)

    def __post_init__(self) -> None:
        self.multiplier = Multiplier(self.builder, self.depth, self.options)

    def frac(self, value: Value) -> int:
        return self.builder.frac(value.wire) - value.exponent

    def depth_of(self, wire: int) -> int:
        return self.depth.get(wire, 0)


def lower(graph: Graph, options: AdderOptions | None = None) -> Circuit:
    """The circuit of `graph`: inputs in the order of the graph's inputs, element by element; outputs likewise, at their types' steps.

    Args:
        options: how products with constants become adders.
    """
    state = _Lowering(CircuitBuilder(), options or AdderOptions())
    start = 0
    for node in graph.nodes:
        state.builder.enter(node.name)
        if node.op == "input":
            state.values[node.name] = _input(state, node, start)
            start += node.type.size
            continue
        if node.op not in LOWER:
            raise GraphError(f"node {node.name}: {node.op} cannot be lowered to a circuit")
        state.values[node.name] = LOWER[node.op](state, node, [state.values[name] for name in node.inputs])
    outputs = []
    for name in graph.outputs:
        node = graph[name]
        for value, t in zip(state.values[name], node.type, strict=True):
            outputs.append(_align(state, value, t.frac) if t.width else state.builder.constant(0, 0))
    return state.builder.build(outputs)


def _input(state: _Lowering, node: Node, start: int) -> list[Value]:
    return [Value(state.builder.input(start + i, t.lowest, t.highest, t.frac)) for i, t in enumerate(node.type)]


def _align(state: _Lowering, value: Value, frac: int) -> int:
    """The wire whose mantissa has `frac` fractional bits; bits below are cut off (they are zero where nothing is rounded)."""
    if state.builder.constant_value(value.wire) == 0:
        return value.wire
    wire = state.builder.shift(value.wire, state.frac(value) - frac)
    state.depth.setdefault(wire, state.depth_of(value.wire))
    return wire


def _dense(state: _Lowering, node: Node, inputs: Sequence[list[Value]]) -> list[Value]:
    kernel, kernel_frac = odd_form(node.constant("kernel"))
    bias, bias_frac = odd_form(node.constant("bias"))
    n = kernel.shape[0]
    out = []
    for row in range(len(inputs[0]) // n):
        x = [(value.wire, value.exponent) for value in inputs[0][row * n : (row + 1) * n]]
        products = state.multiplier.multiply(x, kernel, kernel_frac, bias, bias_frac)
        out += [Value(wire, exponent) for wire, exponent in products]
    return out


def _sum(state: _Lowering, terms: list[tuple[Value, int]]) -> Value:
    """The signed sum of `terms`, as a tree: of all pairs, the two that are ready first and end lowest are joined next."""
    if not terms:
        return Value(state.builder.constant(0, 0))
    heap = [(*_rank(state, value), number, value, sign) for number, (value, sign) in enumerate(terms)]
    heapq.heapify(heap)
    number = len(heap)
    while len(heap) > 1:
        *_, a, sign_a = heapq.heappop(heap)
        *_, b, sign_b = heapq.heappop(heap)
        value, sign = _join(state, a, sign_a, b, sign_b)
        heapq.heappush(heap, (*_rank(state, value), number, value, sign))
        number += 1
    *_, value, sign = heap[0]
    if sign > 0:
        return value
    zero = state.builder.constant(0, 0)
    wire = state.builder.add(zero, value.wire, subtract=True)
    state.depth.setdefault(wire, state.depth_of(value.wire) + 1)
    return Value(wire, value.exponent)


def _rank(state: _Lowering, value: Value) -> tuple[int, int]:
    low, high = state.builder.bounds(value.wire)
    top = max(-low, high).bit_length() - state.frac(value)
    return state.depth_of(value.wire), top


def _join(state: _Lowering, a: Value, sign_a: int, b: Value, sign_b: int) -> tuple[Value, int]:
    if sign_a < 0 <= sign_b:
        a, sign_a, b, sign_b = b, sign_b, a, sign_a
    wire = state.builder.add(a.wire, b.wire, exponent=b.exponent - a.exponent, subtract=sign_a != sign_b)
    state.depth.setdefault(wire, max(state.depth_of(a.wire), state.depth_of(b.wire)) + 1)
    return Value(wire, a.exponent), sign_a


def _relu(state: _Lowering, node: Node, inputs: Sequence[list[Value]]) -> list[Value]:
    out = []
    for value in inputs[0]:
        _, high = state.builder.bounds(value.wire)
        wire = state.builder.clamp(value.wire, 0, max(high, 0))
        state.depth.setdefault(wire, state.depth_of(value.wire))
        out.append(Value(wire, value.exponent))
    return out


def _add(state: _Lowering, node: Node, inputs: Sequence[list[Value]]) -> list[Value]:
    return [_sum(state, [(a, 1), (b, 1)]) for a, b in zip(*inputs, strict=True)]


def _reshape(state: _Lowering, node: Node, inputs: Sequence[list[Value]]) -> list[Value]:
    return inputs[0]


def _quantize(state: _Lowering, node: Node, inputs: Sequence[list[Value]]) -> list[Value]:
    return [Value(_requantize(state, value, t), value.exponent) for value, t in zip(inputs[0], node.type, strict=True)]


def _requantize(state: _Lowering, value: Value, t: FixedType) -> int:
    builder = state.builder
    if t.width == 0 or builder.constant_value(value.wire) == 0:
        return builder.constant(0, 0)
    drop = state.frac(value) - t.frac
    wire = Value(_rounding_added(state, value.wire, drop, t.rounding), value.exponent)
    shifted = _align(state, wire, t.frac)
    if t.overflow is Overflow.WRAP:
        out = builder.wrap(shifted, t.lowest, t.highest)
    else:
        out = builder.clamp(shifted, t.lowest, t.highest)
    state.depth.setdefault(out, state.depth_of(shifted) + int(t.overflow is not Overflow.WRAP))
    return out


def _rounding_added(state: _Lowering, wire: int, drop: int, rounding: Rounding) -> int:
    """The wire plus what makes the floor that follows round as asked, when `drop` low bits are about to go."""
    builder = state.builder
    if drop <= 0 or rounding is Rounding.TRN:
        return wire
    frac = builder.frac(wire)
    if rounding is Rounding.RND:
        total = builder.add(wire, builder.constant(1 << (drop - 1), frac))
    else:
        # ties to even: half a step less one, plus the lowest bit that stays
        kept = builder.wrap(builder.shift(wire, drop), 0, 1)
        almost = builder.add(wire, builder.constant((1 << (drop - 1)) - 1, frac))
        total = builder.add(almost, kept, exponent=-drop)
    state.depth.setdefault(total, state.depth_of(wire) + 1)
    return total


LOWER: dict[str, Callable[[_Lowering, Node, Sequence[list[Value]]], list[Value]]] = {
    "dense": _dense,
    "relu": _relu,
    "add": _add,
    "reshape": _reshape,
    "quantize": _quantize,
}
