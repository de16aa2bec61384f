"""Rows that an export is proven on: the caller's, then codes over the whole range of the inputs, then floats between and beyond them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hwq.fixed import to_float
from hwq.ir import Graph
from hwq.sim.reference import flat_rows
from hwq.sim.routed import random_inputs
from hwq.tensors import Floats


def export_rows(graph: Graph, most: int, data: npt.ArrayLike | None = None) -> Floats:
    """Rows (most, elements) of float32 numbers: a third each, where the caller gives enough.

    Args:
        data: the caller's, as `hwq.sim.reference.flat_rows` takes them.
    """
    told = np.zeros((0, graph.input_size)) if data is None else flat_rows(graph, data)[: most // 3]
    frac = np.concatenate([graph[name].type.frac.ravel() for name in graph.inputs])
    codes = to_float(random_inputs(graph, max(2, (most - len(told)) // 2)), frac)
    rng = np.random.default_rng(1)
    step = np.ldexp(1.0, -frac.astype(np.int64))
    between = codes[rng.permutation(len(codes))] * rng.choice([1.0, 1.0, 1.5], (len(codes), 1))
    between = between + step * rng.uniform(-1, 1, between.shape)
    return np.concatenate([told, codes, between]).astype(np.float32).astype(np.float64)


def split_rows(graph: Graph, rows: Floats) -> list[Floats]:
    """The rows of each input (rows, *shape)."""
    sizes = np.cumsum([graph[name].type.size for name in graph.inputs])[:-1]
    parts = np.split(rows, sizes.tolist(), axis=1)
    return [part.reshape(len(rows), *graph[name].shape) for part, name in zip(parts, graph.inputs, strict=True)]
