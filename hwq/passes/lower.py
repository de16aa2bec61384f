"""From a Graph to a Circuit: every tensor operation as scalar adders, shifts, wraps and clamps (`hwq.passes.wires`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hwq.errors import GraphError
from hwq.fixed import FixedType, Overflow, Rounding
from hwq.ir import Circuit, CircuitBuilder, Graph, Node
from hwq.ir.ops import odd_form
from hwq.passes.wires import Lowering, Value, align, matvec, signed_sum


def lower(graph: Graph) -> Circuit:
    """The circuit of `graph`: inputs in the order of the graph's inputs, element by element; outputs likewise, at their types' steps."""
    state = Lowering(CircuitBuilder())
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
            outputs.append(align(state, value, t.frac) if t.width else state.builder.constant(0, 0))
    return state.builder.build(outputs)


def _input(state: Lowering, node: Node, start: int) -> list[Value]:
    return [Value(state.builder.input(start + i, t.lowest, t.highest, t.frac)) for i, t in enumerate(node.type)]


def _dense(state: Lowering, node: Node, inputs: Sequence[list[Value]]) -> list[Value]:
    kernel, kernel_frac = odd_form(node.constant("kernel"))
    bias, bias_frac = odd_form(node.constant("bias"))
    n = len(kernel)
    rows = [inputs[0][start : start + n] for start in range(0, len(inputs[0]), n)]
    return [value for x in rows for value in matvec(state, x, kernel, kernel_frac, bias, bias_frac)]


def _relu(state: Lowering, node: Node, inputs: Sequence[list[Value]]) -> list[Value]:
    out = []
    for value in inputs[0]:
        _, high = state.builder.bounds(value.wire)
        wire = state.builder.clamp(value.wire, 0, max(high, 0))
        state.depth.setdefault(wire, state.depth_of(value.wire))
        out.append(Value(wire, value.exponent))
    return out


def _add(state: Lowering, node: Node, inputs: Sequence[list[Value]]) -> list[Value]:
    return [signed_sum(state, [(a, 1), (b, 1)]) for a, b in zip(*inputs, strict=True)]


def _reshape(state: Lowering, node: Node, inputs: Sequence[list[Value]]) -> list[Value]:
    return inputs[0]


def _quantize(state: Lowering, node: Node, inputs: Sequence[list[Value]]) -> list[Value]:
    return [Value(_requantize(state, value, t), value.exponent) for value, t in zip(inputs[0], node.type, strict=True)]


def _requantize(state: Lowering, value: Value, t: FixedType) -> int:
    builder = state.builder
    if t.width == 0 or builder.constant_value(value.wire) == 0:
        return builder.constant(0, 0)
    drop = state.frac(value) - t.frac
    wire = Value(_rounding_added(state, value.wire, drop, t.rounding), value.exponent)
    shifted = align(state, wire, t.frac)
    if t.overflow is Overflow.WRAP:
        out = builder.wrap(shifted, t.lowest, t.highest)
    else:
        out = builder.clamp(shifted, t.lowest, t.highest)
    state.depth.setdefault(out, state.depth_of(shifted) + int(t.overflow is not Overflow.WRAP))
    return out


def _rounding_added(state: Lowering, wire: int, drop: int, rounding: Rounding) -> int:
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


LOWER: dict[str, Callable[[Lowering, Node, Sequence[list[Value]]], list[Value]]] = {
    "dense": _dense,
    "relu": _relu,
    "add": _add,
    "reshape": _reshape,
    "quantize": _quantize,
}
