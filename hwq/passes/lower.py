"""From a Graph to a Circuit: every tensor operation as scalar adders, shifts, wraps and clamps (`hwq.passes.wires`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hwq.errors import GraphError
from hwq.fixed import FixedType, Overflow, Rounding
from hwq.ir import Circuit, CircuitBuilder, Graph, Node
from hwq.ir.ops import odd_form
from hwq.ir.ops_pool import max_windows
from hwq.ir.ops_table import rows_of
from hwq.ir.windows import LINEAR, WIRING, blocks, constants, wiring
from hwq.passes.adders import AdderOptions
from hwq.passes.wires import Lowering, Value, align, greatest, matvec, product, scaled, signed_sum


def lower(graph: Graph, options: AdderOptions | None = None) -> Circuit:
    """The circuit of `graph`: inputs in the order of the graph's inputs, element by element; outputs likewise, at their types' steps.

    Args:
        options: how products with constants become adders.
    """
    types = {node.name: node.type for node in graph.nodes}
    state = Lowering(CircuitBuilder(), types, options=options or AdderOptions())
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


def _linear(state: Lowering, node: Node, inputs: Sequence[list[Value]]) -> list[Value]:
    """Each place of each matrix through the same product: a convolution is one window at a time."""
    kernel, bias = constants(node)
    k, k_frac = (a.ravel() for a in odd_form(kernel))
    b, b_frac = (a.ravel() for a in odd_form(bias))
    padded = [*inputs[0], state.constant(0)]  # -1 reads the zero
    out = [padded[-1]] * node.type.size
    for block in blocks(node, state.types[node.inputs[0]].shape):
        weights, steps = k[block.weights], k_frac[block.weights]
        for window, places, biases in zip(block.windows.tolist(), block.outputs.tolist(), block.biases, strict=True):
            found = matvec(state, [padded[i] for i in window], weights, steps, b[biases], b_frac[biases])
            for place, value in zip(places, found, strict=True):
                out[place] = value
    return out


def _wiring(state: Lowering, node: Node, inputs: Sequence[list[Value]]) -> list[Value]:
    every = [*(value for values in inputs for value in values), state.constant(0)]
    return [every[i] for i in wiring(node, [state.types[name].shape for name in node.inputs]).ravel().tolist()]


def _relu(state: Lowering, node: Node, inputs: Sequence[list[Value]]) -> list[Value]:
    out = []
    for value in inputs[0]:
        _, high = state.builder.bounds(value.wire)
        wire = state.builder.clamp(value.wire, 0, max(high, 0))
        state.depth.setdefault(wire, state.depth_of(value.wire))
        out.append(Value(wire, value.exponent))
    return out


def _leaky_relu(state: Lowering, node: Node, inputs: Sequence[list[Value]]) -> list[Value]:
    down = node.integer("shift")
    signed = [state.builder.bounds(x.wire)[0] < 0 for x in inputs[0]]
    return [greatest(state, [x, Value(x.wire, x.exponent - down)]) if s else x for x, s in zip(inputs[0], signed, strict=True)]


def _add(state: Lowering, node: Node, inputs: Sequence[list[Value]]) -> list[Value]:
    return [signed_sum(state, [(a, 1), (b, 1)]) for a, b in zip(*inputs, strict=True)]


def _subtract(state: Lowering, node: Node, inputs: Sequence[list[Value]]) -> list[Value]:
    return [signed_sum(state, [(a, 1), (b, -1)]) for a, b in zip(*inputs, strict=True)]


def _multiply(state: Lowering, node: Node, inputs: Sequence[list[Value]]) -> list[Value]:
    return [product(state, a, b) for a, b in zip(*inputs, strict=True)]


def _extreme(state: Lowering, node: Node, inputs: Sequence[list[Value]]) -> list[Value]:
    return [greatest(state, pair, least=node.op == "minimum") for pair in zip(*inputs, strict=True)]


def _scale(state: Lowering, node: Node, inputs: Sequence[list[Value]]) -> list[Value]:
    factor, frac = (a.ravel().tolist() for a in odd_form(node.constant("factor")))
    return [scaled(state, x, int(m), int(f)) for x, m, f in zip(inputs[0], factor, frac, strict=True)]


def _bias(state: Lowering, node: Node, inputs: Sequence[list[Value]]) -> list[Value]:
    bias, frac = (a.ravel().tolist() for a in odd_form(node.constant("bias")))
    return [signed_sum(state, [(x, 1), (state.constant(int(m), int(f)), 1)]) for x, m, f in zip(inputs[0], bias, frac, strict=True)]


def _max_pool(state: Lowering, node: Node, inputs: Sequence[list[Value]]) -> list[Value]:
    _, windows = max_windows(node, state.types[node.inputs[0]].shape)
    return [greatest(state, [inputs[0][i] for i in dict.fromkeys(window)]) for window in windows.tolist()]


def _table(state: Lowering, node: Node, inputs: Sequence[list[Value]]) -> list[Value]:
    mantissas, fracs = rows_of(node)
    return [
        _looked_up(state, x, t, mantissas[row].tolist(), int(fracs[row]))
        for x, t, row in zip(inputs[0], state.types[node.inputs[0]], node.integers("index"), strict=True)
    ]


def _looked_up(state: Lowering, x: Value, t: FixedType, row: list[int], frac: int) -> Value:
    """The entry of `row` that belongs to x, whose type `t` numbers the codes."""
    if state.frac(x) > t.frac and not state.is_zero(x):
        x = state.read(align(state, x, t.frac), t.frac)  # the bits cut off are zero
    up = 0 if state.is_zero(x) else t.frac - state.frac(x)
    low, high = state.builder.bounds(x.wire)
    # bounds of a wire may be wider than its type where only the sum's total is known: codes that cannot occur get the nearest entry
    codes = (min(max(m << up, t.lowest), t.highest) - t.lowest for m in range(low, high + 1))
    wire = state.builder.table(x.wire, [row[code] for code in codes], frac)
    state.depth.setdefault(wire, state.depth_of(x.wire) + 1)
    return state.read(wire, frac)


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
    **dict.fromkeys(LINEAR, _linear),
    **dict.fromkeys(WIRING, _wiring),
    "quantize": _quantize,
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "add": _add,
    "subtract": _subtract,
    "multiply": _multiply,
    "maximum": _extreme,
    "minimum": _extreme,
    "scale": _scale,
    "bias": _bias,
    "max_pool2d": _max_pool,
    "table": _table,
}
