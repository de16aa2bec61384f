"""The integer reference: what a graph means, evaluated node by node with the catalogue's own `evaluate`.

int64 where every number fits, Python integers otherwise; no floats after the inputs have been quantised.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from hwq.errors import DataError
from hwq.fixed import TypeArray, quantize_float, to_float
from hwq.fixed.arithmetic import IntArray
from hwq.ir import OPS, Graph

CACHED = 1 << 18  # elements


def quantize_inputs(graph: Graph, x: npt.ArrayLike) -> IntArray:
    """Floats (rows, ...) to input mantissas (rows, elements), as the graph's one input says.

    Raises:
        DataError: a shape that does not fit, NaN or infinity.
    """
    flat, start = flat_rows(graph, x), 0
    columns = []
    for t in (graph[name].type for name in graph.inputs):
        try:
            columns.append(_quantized(flat[:, start : start + t.size], t.reshape((t.size,))))
        except ValueError as error:
            raise DataError(str(error), hint="clean the rows first") from error
        start += t.size
    return np.concatenate(columns, axis=1)


def flat_rows(graph: Graph, x: npt.ArrayLike) -> npt.NDArray[Any]:
    """Rows as (rows, elements), given in any shape but one with the axes of the design's input in another order.

    What flattens or reshapes the network's input is no part of the design, so that its input may have another shape than the network's.

    Raises:
        DataError: no numbers, another number of elements, or a transposed row: it would be taken for another one.
    """
    values = numbers(joined_inputs(graph, x))
    shapes = [graph[name].type.shape for name in graph.inputs]
    size = sum(math.prod(shape) for shape in shapes)
    given = values.shape[1:]
    told = f"rows of shape {given} do not fit the design's {size} inputs"
    if values.ndim < 1 or math.prod(given) != size or (size != 1 and not given):
        one = math.prod(values.shape) == size
        raise DataError(
            told, hint="of one row x: x[None]" if one else f"(rows, {', '.join(map(str, shapes[0]))})" if len(shapes) == 1 else None
        )
    if len(shapes) == 1 and _transposed(given, shapes[0]):
        raise DataError(f"{told}, of shape {shapes[0]}", hint="bring the axes into that order")
    return values.reshape(len(values), size)


def joined_inputs(graph: Graph, x: Any) -> Any:
    """Rows of several inputs as one array (rows, elements); anything else as it is.

    Args:
        x: a list of arrays in the order of the graph's inputs, or a dictionary by their names.

    Raises:
        DataError: an input without rows, or with rows of another size or number.
    """
    shapes = {name: graph[name].type.shape for name in graph.inputs}
    if isinstance(x, Mapping):
        missing = [name for name in shapes if name not in x]
        if missing:
            raise DataError(f"there are no rows for the input {missing[0]!r}", hint=f"inputs: {', '.join(shapes)}")
        parts = [x[name] for name in shapes]
    elif isinstance(x, (list, tuple)) and len(shapes) > 1 and len(x) == len(shapes) and all(np.ndim(one) > 1 for one in x):
        parts = list(x)
    else:
        return x
    found = [numbers(part) for part in parts]
    for part, (name, shape) in zip(found, shapes.items(), strict=True):
        if part.ndim < 1 or math.prod(part.shape[1:]) != math.prod(shape) or _transposed(part.shape[1:], shape):
            raise DataError(f"rows of shape {part.shape[1:]} do not fit the input {name!r} of shape {shape}")
    if len({len(part) for part in found}) > 1:
        raise DataError(f"the inputs have {', '.join(str(len(part)) for part in found)} rows", hint="give as many of each")
    return found[0] if len(found) == 1 else np.concatenate([part.reshape(len(part), -1) for part in found], axis=1)


def _transposed(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether two shapes have the same axes, those of length 1 left out, in another order."""
    mine, theirs = [n for n in one if n != 1], [n for n in other if n != 1]
    return mine != theirs and sorted(mine) == sorted(theirs)


def numbers(x: npt.ArrayLike) -> npt.NDArray[Any]:
    """Rows as an array of real numbers.

    Raises:
        DataError: texts, dates, complex numbers, masked values, ragged rows, or integers that no float holds.
    """
    try:
        values = np.asarray(x)
        if values.dtype == object:
            values = values.astype(np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise DataError(f"rows must be numbers, all of one length: {error}", hint="clean the rows first") from error
    if values.dtype.kind not in "biuf":
        raise DataError(f"rows must be real numbers, not {values.dtype}", hint="convert them first")
    if np.ma.is_masked(x):
        raise DataError("rows have masked values", hint="fill them, or leave these rows out")
    return values


def _quantized(rows: npt.NDArray[Any], types: TypeArray) -> IntArray:
    """In portions of rows, whose intermediate results stay in a processor's cache."""
    each = max(1, CACHED // max(types.size, 1))
    parts = [quantize_float(rows[i : i + each], types) for i in range(0, len(rows), each)]
    return np.concatenate(parts) if parts else quantize_float(rows, types)


def evaluate_nodes(graph: Graph, mantissas: IntArray) -> dict[str, IntArray]:
    """Every node's mantissas (rows, *shape) for input mantissas (rows, elements)."""
    values: dict[str, IntArray] = {}
    types = {node.name: node.type for node in graph.nodes}
    start = 0
    for name in graph.inputs:
        size = types[name].size
        values[name] = mantissas[:, start : start + size].reshape(-1, *types[name].shape)
        start += size
    for node in graph.nodes:
        if node.op != "input":
            operands = [values[name] for name in node.inputs]
            values[node.name] = OPS[node.op].evaluate(node, [types[name] for name in node.inputs], operands)
    return values


def evaluate(graph: Graph, mantissas: IntArray) -> IntArray:
    """Output mantissas (rows, output elements) for input mantissas (rows, input elements)."""
    values = evaluate_nodes(graph, mantissas)
    return np.concatenate([values[name].reshape(len(mantissas), -1) for name in graph.outputs], axis=1)


def predict(graph: Graph, x: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Floats in, floats out (rows, output elements): quantise, evaluate, scale."""
    frac = np.concatenate([graph[name].type.frac.ravel() for name in graph.outputs])
    return to_float(evaluate(graph, quantize_inputs(graph, x)), frac)
