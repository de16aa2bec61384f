"""Graphs that hold every op in a given mode, with all codes of their inputs: for tests and for the conformance benchmark."""

from __future__ import annotations

import numpy as np
from networks import random_constant

from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.ir import Constant, Graph, Node, make_node, verify

MODES = [(r, o) for r in Rounding for o in Overflow]


def every_code(*nodes: Node) -> np.ndarray:
    """All combinations of the codes of all elements of the input nodes, as rows."""
    types = [t for node in nodes for t in node.type]
    grids = np.meshgrid(*[np.arange(t.lowest, t.highest + 1) for t in types], indexing="ij")
    return np.stack([grid.ravel() for grid in grids], axis=1)


def quantised(nodes: list[Node], sources: list[Node], mode: tuple[Rounding, Overflow]) -> list[str]:
    """Each source itself and behind a narrow quantise in `mode`, as outputs: signed and unsigned, coarser and finer in turn."""
    names = [node.name for node in sources]
    for k, node in enumerate(sources):
        signed, width = (np.arange(node.type.size) + k) % 2, 2 + (np.arange(node.type.size) + k) % 3
        frac = node.type.frac.ravel().astype(int) - 1 - (np.arange(node.type.size) + k) % 3
        types = TypeArray.of(signed.reshape(node.shape), width.reshape(node.shape), frac.reshape(node.shape), *mode)
        nodes.append(make_node(f"q_{node.name}", "quantize", [node], type=types))
        names.append(nodes[-1].name)
    return names


def quantisers(rounding: Rounding) -> tuple[Graph, np.ndarray]:
    """All 1 024 codes of a signed 10-bit and an unsigned 10-bit input, to signed and unsigned targets, narrower, wider, coarser, finer."""
    x = make_node("x", "input", type=TypeArray.of([1] * 10 + [0] * 10, 10, 4))
    nodes, names = [x], []
    for overflow in Overflow:
        signed = [1, 1, 1, 1, 1, 0, 0, 0, 0, 0] * 2
        width = [5, 12, 3, 1, 0, 5, 12, 3, 1, 7] * 2
        frac = [2, 6, -3, 4, 2, 2, 6, -3, 4, 9] * 2
        node = make_node(f"q_{overflow.lower()}", "quantize", [x], type=TypeArray.of(signed, width, frac, rounding, overflow))
        nodes.append(node)
        names.append(node.name)
    codes = np.arange(1024)
    rows = np.concatenate([np.tile(codes[:, None] - 512, 10), np.tile(codes[:, None], 10)], axis=1)
    return verify(Graph(tuple(nodes), ("x",), tuple(names))), rows


def ops_of_two_inputs(mode: tuple[Rounding, Overflow]) -> tuple[Graph, np.ndarray]:
    """Signed and unsigned operands with steps apart, 14 bits together: every pair of codes, before and after a quantise."""
    a = make_node("a", "input", type=TypeArray.of([1, 0], [4, 3], [1, 3]))
    b = make_node("b", "input", type=TypeArray.of([0, 1], [3, 4], [2, 0]))
    pairs = [make_node(op, op, [a, b]) for op in ("add", "subtract", "multiply", "maximum", "minimum")]
    square = make_node("square", "multiply", [a, a])
    joined = make_node("joined", "concatenate", [pairs[2], square, b], attrs={"axis": 0})
    nodes = [a, b, *pairs, square, joined]
    names = quantised(nodes, [*pairs, square, joined], mode)
    return verify(Graph(tuple(nodes), ("a", "b"), tuple(names))), every_code(a, b)


WORDS = (31, 32, 33, 64, 65)  # widths around which C++ changes the integers that it computes with


def comparisons() -> tuple[Graph, np.ndarray]:
    """Maximum, minimum, max pooling, ReLU and saturation of operands of every sign whose common type has a width around 32 and 64."""
    cases = [(sa, sb, word) for sa in (0, 1) for sb in (0, 1) for word in WORDS]
    kinds: list[list[tuple[int, int, int]]] = []
    for sa, sb, word in cases:
        # one operand of 12 bits at step 0, the other of 13 at a step so fine that both together span `word` bits
        kinds.append([(sa, 12, 0), (sb, 13, word - 12)])
    columns = np.array(kinds).transpose(2, 0, 1).reshape(3, len(cases), 2, 1)
    x = make_node("x", "input", type=TypeArray.of(*columns))
    n = len(cases)
    places = {"size": (1, 2), "strides": (1, 2), "pads": (0, 0, 0, 0)}
    take = np.zeros((2, 2), np.int64)
    parts = []
    for side in (0, 1):
        kernel = take[:, :1].copy()
        kernel[side] = 1
        ones = Constant(kernel, TypeArray.of(0, kernel, 0))
        none = Constant(np.zeros(1, np.int64), TypeArray.of(0, np.zeros(1), 0))
        flat = make_node(f"flat_{side}", "reshape", [x], attrs={"shape": (n, 2)})
        parts += [flat, make_node(f"side_{side}", "dense", [flat], attrs={"kernel": ones, "bias": none})]
    a, b = parts[1], parts[3]
    nodes = [x, *parts, make_node("pool", "max_pool2d", [x], attrs=places)]
    nodes += [make_node(op, op, [a, b]) for op in ("maximum", "minimum")]
    nodes.append(make_node("relu", "relu", [b]))
    names = []
    for source in nodes[5:]:
        # the upper bits that all these have, saturated near the top of the source's range
        signed = (np.arange(source.type.size) // 2 % 2).reshape(source.shape)
        frac = source.type.frac.astype(int) - source.type.width + 14
        types = TypeArray.of(signed, np.full(source.shape, 13), frac, Rounding.TRN, Overflow.SAT)
        nodes.append(make_node(f"q_{source.name}", "quantize", [source], type=types))
        names.append(nodes[-1].name)
    rng = np.random.default_rng(0)
    lows, highs = (np.array(v.ravel().tolist()) for v in (x.type.lowest, x.type.highest))
    rows = rng.integers(lows, highs, (200, 2 * n), endpoint=True)
    for k, pair in enumerate(((lows, highs), (lows, lows), (highs, highs), (np.maximum(lows, -1), np.minimum(highs, 1)))):
        rows[2 * k] = np.where(np.arange(2 * n) % 2, pair[0], pair[1])
        rows[2 * k + 1] = np.where(np.arange(2 * n) % 2, pair[1], pair[0])
    return verify(Graph(tuple(nodes), ("x",), tuple(names))), rows


def ops_of_one_input(mode: tuple[Rounding, Overflow]) -> tuple[Graph, np.ndarray]:
    """14 bits of four elements: every code through relu, leaky relu, tables, constants, pools, windows and rearrangements."""
    rng = np.random.default_rng(1)
    x = make_node("x", "input", type=TypeArray.of([[[1], [0]], [[1], [1]]], [[[5], [3]], [[4], [2]]], [[[2], [3]], [[0], [1]]]))
    values, index = random_constant(rng, (2, 32), 6, 0.2), (0, 1, 1, 0)
    pool = {"size": (2, 1), "strides": (1, 1), "pads": (0, 0, 1, 0)}
    conv = {"kernel": random_constant(rng, (2, 2, 1, 2), 4, 0.2), "bias": random_constant(rng, (2,), 4, 0)}
    place = {"strides": (1, 1), "pads": (1, 0, 0, 1), "dilation": (1, 1), "groups": 1}
    einsum = {"kernel": random_constant(rng, (2, 2), 4, 0.2), "bias": random_constant(rng, (2, 1, 2), 4, 0)}
    dense = {"kernel": random_constant(rng, (1, 2), 4, 0), "bias": random_constant(rng, (2,), 4, 0)}
    results = [
        make_node("leaky", "leaky_relu", [x], attrs={"shift": 2}),
        make_node("table", "table", [x], attrs={"values": values, "index": index}),
        make_node("scale", "scale", [x], attrs={"factor": random_constant(rng, x.shape, 5, 0)}),
        make_node("bias", "bias", [x], attrs={"bias": random_constant(rng, x.shape, 5, 0)}),
        make_node("max", "max_pool2d", [x], attrs={**pool, "pads": (0, 0, 0, 0)}),
        make_node("sum", "sum_pool2d", [x], attrs=pool),
        make_node("conv", "conv2d", [x], attrs={**conv, **place}),
        make_node("einsum", "einsum", [x], attrs={"equation": "abc,bd->acd", **einsum}),
        make_node("permute", "permute", [x], attrs={"dims": (2, 1, 0)}),
        make_node("dense", "dense", [x], attrs=dense),
        make_node("reshape", "reshape", [x], attrs={"shape": (4,)}),
    ]
    relu = make_node("relu", "relu", [results[2]])
    pad = make_node("pad", "pad", [relu], attrs={"pads": (0, 1, 1, 0, 0, 0)})
    take = make_node("take", "take", [results[0], x], attrs={"index": (3, -1, 0, 0, 5, 1), "shape": (2, 3)})
    nodes = [x, *results, relu, pad, take]
    names = quantised(nodes, [*results, pad, take], mode)
    return verify(Graph(tuple(nodes), ("x",), tuple(names))), every_code(x)
