"""Random integer networks for tests: dense layers, ReLU, quantise, skip connections, odd widths and steps."""

from __future__ import annotations

import itertools

import numpy as np

from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.ir import Constant, Graph, Node, make_node, verify


def random_constant(rng: np.random.Generator, shape: tuple[int, ...], bits: int = 4, zeros: float = 0.5) -> Constant:
    """Signed mantissas of `bits` bits at random steps, a share `zeros` of them absent."""
    mantissas = rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), shape)
    mantissas = np.where(rng.random(shape) < zeros, 0, mantissas)
    return Constant(mantissas, TypeArray.of(1, np.where(mantissas == 0, 0, bits), rng.integers(-1, 5, shape)))


def random_types(rng: np.random.Generator, size: int, *, signed: bool, rounding: Rounding, overflow: Overflow) -> TypeArray:
    return TypeArray.of(int(signed), rng.integers(0, 7, size), rng.integers(-1, 5, size), rounding, overflow)


def random_network(
    seed: int,
    sizes: tuple[int, ...] = (8, 6, 4),
    *,
    rounding: Rounding = Rounding.RND,
    overflow: Overflow = Overflow.WRAP,
    skip: bool = False,
) -> Graph:
    """A multilayer perceptron; with `skip`, each hidden layer is followed by an add of two quantised copies of itself."""
    rng = np.random.default_rng(seed)
    types = random_types(rng, sizes[0], signed=True, rounding=Rounding.RND, overflow=overflow)
    nodes = [make_node("x", "input", type=types)]
    for k, (n, m) in enumerate(itertools.pairwise(sizes)):
        attrs = {"kernel": random_constant(rng, (n, m)), "bias": random_constant(rng, (m,))}
        nodes.append(make_node(f"dense_{k}", "dense", [nodes[-1]], attrs=attrs, source=f"layer {k}"))
        if k < len(sizes) - 2:
            nodes.append(make_node(f"relu_{k}", "relu", [nodes[-1]]))
            nodes.append(_quantize(rng, f"q_{k}", nodes[-1], signed=False, rounding=rounding, overflow=overflow))
            if skip:
                other = _quantize(rng, f"s_{k}", nodes[-3], signed=True, rounding=rounding, overflow=overflow)
                nodes += [other, make_node(f"add_{k}", "add", [nodes[-1], other])]
    return verify(Graph(tuple(nodes), ("x",), (nodes[-1].name,)))


def _quantize(rng: np.random.Generator, name: str, source: Node, *, signed: bool, rounding: Rounding, overflow: Overflow) -> Node:
    return make_node(
        name, "quantize", [source], type=random_types(rng, source.type.size, signed=signed, rounding=rounding, overflow=overflow)
    )


def random_rows(graph: Graph, rows: int, seed: int = 0) -> np.ndarray:
    """Input mantissas (rows, elements), all codes possible, extremes in the first rows."""
    rng = np.random.default_rng(seed)
    low = np.concatenate([graph[n].type.lowest.ravel() for n in graph.inputs]).astype(np.int64)
    high = np.concatenate([graph[n].type.highest.ravel() for n in graph.inputs]).astype(np.int64)
    x = rng.integers(low, high + 1, (rows, len(low)))
    x[0], x[1] = low, high
    return x
