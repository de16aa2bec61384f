"""A graph in floats with any of its quantisers left out: what the network would answer if nothing, or one thing only, were rounded.

float64 and its own roundings: for looking, never for a comparison. What a graph means is `hwq.sim.reference`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence

import numpy as np

from hwq.fixed import TypeArray, quantize_float, to_float
from hwq.ir import Graph, Node
from hwq.ir.ops import blocks, constants, is_matrix, is_wiring, make_node, places, spec_of
from hwq.ir.ops.pool import max_windows
from hwq.ir.ops.table import code_counts, rows_of
from hwq.tensors import Floats

FINE = 45  # bits of a float as an integer
CHUNK = 1 << 22  # elements of gathered windows held at a time


def evaluate_floats(graph: Graph, rows: Floats, rounding: Collection[str] = ()) -> dict[str, Floats]:
    """Every node's values (rows, *shape).

    Args:
        rows: (rows, elements of all inputs).
        rounding: the inputs and quantisers that round and overflow; the others pass what they read.
    """
    values: dict[str, Floats] = {}
    types = {node.name: node.type for node in graph.nodes}
    start = 0
    for node in graph.nodes:
        if node.op == "input":
            part = rows[:, start : start + node.type.size].reshape(-1, *node.shape)
            start += node.type.size
            values[node.name] = _rounded(part, node.type) if node.name in rounding else part
            continue
        read = [values[name] for name in node.inputs]
        if node.op == "quantize":
            values[node.name] = _rounded(read[0], node.type) if node.name in rounding else read[0]
        elif node.op == "table":
            values[node.name] = _table(node, types[node.inputs[0]], read[0])
        elif is_matrix(node):
            values[node.name] = _linear(node, read[0])
        elif is_wiring(node):
            values[node.name] = _wired(node, read)
        elif node.op == "max_pool2d":
            windows = max_windows(node, read[0].shape[1:])[1]
            values[node.name] = read[0].reshape(len(rows), -1)[:, windows].max(axis=2).reshape(-1, *node.shape)
        elif node.op in ELEMENTWISE:
            values[node.name] = ELEMENTWISE[node.op](node, *read)
        else:
            values[node.name] = _by_integers(node, read)
    return values


def _by_integers(node: Node, read: Sequence[Floats]) -> Floats:
    """Any other operation, by its own meaning on integers of far finer steps."""
    inputs, mantissas = [], []
    for name, x in zip(node.inputs, read, strict=True):
        frac = FINE - math.frexp(float(np.abs(x).max(initial=1.0)))[1]
        inputs.append(make_node(name, "input", type=TypeArray.of(1, np.full(x.shape[1:], FINE + 1), frac)))
        mantissas.append(np.rint(np.ldexp(x, frac)).astype(np.int64))
    made = make_node(node.name, node.op, inputs, attrs=node.attrs)
    return to_float(spec_of(node.op).evaluate(made, [one.type for one in inputs], mantissas), made.type.frac)


def _rounded(x: Floats, types: TypeArray) -> Floats:
    return to_float(quantize_float(x, types), types.frac)


def _linear(node: Node, x: Floats) -> Floats:
    kernel, bias = constants(node)
    k, b = (to_float(one.mantissas, one.types.frac).ravel() for one in (kernel, bias))
    flat = np.concatenate([x.reshape(len(x), -1), np.zeros((len(x), 1))], axis=1)  # element -1: the padding
    out = np.zeros((len(x), node.type.size))
    for block in blocks(node, x.shape[1:]):
        each = max(1, CHUNK // max(1, block.windows.size))
        for start in range(0, len(x), each):
            part = flat[start : start + each, block.windows] @ k[block.weights] + b[block.biases]
            out[start : start + each, block.outputs] = part
    return out.reshape(len(x), *node.shape)


def _wired(node: Node, read: Sequence[Floats]) -> Floats:
    rows = len(read[0])
    flat = np.concatenate([*(x.reshape(rows, -1) for x in read), np.zeros((rows, 1))], axis=1)
    return np.asarray(flat[:, places(node, [x.shape[1:] for x in read])])


def _table(node: Node, types: TypeArray, x: Floats) -> Floats:
    """Between two entries on the line through them; beyond the last one that one."""
    mantissas, frac = rows_of(node)
    values = to_float(mantissas, frac[:, None])
    index = np.array(node.integers("index"), np.int64).reshape(node.shape)
    last = code_counts(types) - 1
    place = np.clip(np.ldexp(x, types.frac.astype(np.int64)) - types.lowest.astype(np.float64), 0, last)
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, last)
    return np.asarray(values[index, below] + (place - below) * (values[index, above] - values[index, below]))


def _constant(node: Node, name: str) -> Floats:
    one = node.constant(name)
    return to_float(one.mantissas, one.types.frac)


ELEMENTWISE: dict[str, Callable[..., Floats]] = {
    "relu": lambda node, x: np.maximum(x, 0),
    "leaky_relu": lambda node, x: np.maximum(x, np.ldexp(x, -node.integer("shift"))),
    "add": lambda node, a, b: a + b,
    "subtract": lambda node, a, b: a - b,
    "multiply": lambda node, a, b: a * b,
    "maximum": lambda node, a, b: np.maximum(a, b),
    "minimum": lambda node, a, b: np.minimum(a, b),
    "scale": lambda node, x: x * _constant(node, "factor"),
    "bias": lambda node, x: x + _constant(node, "bias"),
}
