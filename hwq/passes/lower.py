"""From a Graph to a Circuit: every tensor operation as scalar adders, shifts, wraps and clamps (`hwq.passes.wires`)."""

from __future__ import annotations

from collections.abc import Sequence

from hwq.errors import GraphError
from hwq.ir import Circuit, CircuitBuilder, Graph, Node
from hwq.ir.forms import Value
from hwq.ir.ops import blocks, constants, odd_form, places, spec_of
from hwq.passes.adders import AdderOptions
from hwq.passes.wires import Lowering


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
        state.values[node.name] = _lowered(state, node, [state.values[name] for name in node.inputs])
    outputs = []
    for name in graph.outputs:
        node = graph[name]
        for value, t in zip(state.values[name], node.type, strict=True):
            outputs.append(state.align(value, t.frac) if t.width else state.builder.constant(0, 0))
    return state.builder.build(outputs)


def _input(state: Lowering, node: Node, start: int) -> list[Value]:
    return [Value(state.builder.input(start + i, t.lowest, t.highest, t.frac)) for i, t in enumerate(node.type)]


def _lowered(state: Lowering, node: Node, inputs: Sequence[list[Value]]) -> list[Value]:
    spec = spec_of(node.op)
    if spec.wires is not None:
        return spec.wires(state, node, [state.types[name] for name in node.inputs], inputs)
    if spec.matrix is not None:
        return _matrix(state, node, inputs[0])
    if spec.wiring is not None:
        return _wiring(state, node, inputs)
    raise GraphError(f"node {node.name}: {node.op} cannot be lowered to a circuit")


def _matrix(state: Lowering, node: Node, x: list[Value]) -> list[Value]:
    """Each place of each matrix through the same product: a convolution is one window at a time."""
    kernel, bias = constants(node)
    k, k_frac = (a.ravel() for a in odd_form(kernel))
    b, b_frac = (a.ravel() for a in odd_form(bias))
    padded = [*x, state.constant(0)]  # -1 reads the zero
    out = [padded[-1]] * node.type.size
    for block in blocks(node, state.types[node.inputs[0]].shape):
        weights, steps = k[block.weights], k_frac[block.weights]
        for window, results, biases in zip(block.windows.tolist(), block.outputs.tolist(), block.biases, strict=True):
            found = state.matvec([padded[i] for i in window], weights, steps, b[biases], b_frac[biases])
            for place, value in zip(results, found, strict=True):
                out[place] = value
    return out


def _wiring(state: Lowering, node: Node, inputs: Sequence[list[Value]]) -> list[Value]:
    every = [*(value for values in inputs for value in values), state.constant(0)]
    return [every[i] for i in places(node, [state.types[name].shape for name in node.inputs]).ravel().tolist()]
