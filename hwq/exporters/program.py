"""A Graph as a program of float operations that other packages have, and that floats compute exactly.

A quantiser of a Graph rounds and overflows in ways that other packages lack; it becomes several steps, of which each is exact:

    RND, ties upward      quant(x + step/2), rounded down
    SAT of mixed types    quant over a range that holds all, then max and min with each element's own ends
    WRAP                  q - quant(q + span/2), the second one rounded down to multiples of the span 2^width * step

`hwq.importers.forms` knows these forms again. What an operation is called in a format is in the format's own file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from hwq.errors import UnsupportedLayerError
from hwq.fixed import TypeArray, to_float
from hwq.ir import Graph, Node
from hwq.ir.intervals import Interval, overflows
from hwq.ir.ops.table import rows_of
from hwq.passes.narrow import intervals
from hwq.tensors import Floats

Option = int | str | tuple[int, ...]
LONGEST = (
    25  # bits of a quant that saturates, its sign included: more of them than float32 holds are rounded, then held by max and min
)
OUTSIDE = 8  # bits beyond its own that an input which wraps is rounded in before


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation on floats.

    Attributes:
        name: of its result; that of the graph's node, or it and a suffix.
        op: `input`, `quant`, or as `hwq.ir.ops` calls it; `lookup` is a table, of which `codes` gives each element's place.
        inputs: names of what it reads.
        shape: of its result, without the batch.
        constants: floats: `step` of a quant; `value` of a form's add, maximum and minimum; `weights` of the network's own add
            and multiply with a constant; kernel and bias.
        options: `bits`, `signed`, `narrow` and `rounding` of a quant; the attributes of the graph's node. `free` quants saturate
            nothing that is not held by another operation: they may as well only round.
        source: the layer of the user's model.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    constants: Mapping[str, Floats] = field(default_factory=dict)
    options: Mapping[str, Option] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True, slots=True)
class FloatProgram:
    """Operations in order, with the names of the inputs and outputs."""

    operations: tuple[Operation, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


W = TypeVar("W")


def writer_of(writers: Mapping[str, W], operation: Operation, what: str) -> W:
    """How a format writes an operation.

    Raises:
        UnsupportedLayerError: not at all.
    """
    if operation.op not in writers:
        raise UnsupportedLayerError(f"{operation.name!r} is the operation {operation.op}, which {what} cannot express")
    return writers[operation.op]


def program_of(graph: Graph) -> FloatProgram:
    """The graph as float operations; its nodes' names are kept, and other ones have a dot, which no node's name has."""
    bounds = intervals(graph)
    types = {node.name: node.type for node in graph.nodes}
    made: list[Operation] = []
    inputs = []
    for node in graph.nodes:
        if node.op == "input":
            row = f"{node.name}.row"
            inputs.append(row)
            made.append(Operation(row, "input", (), node.shape, source=node.source))
            made += quantize_steps(node, row, None)
        elif node.op == "quantize":
            made += quantize_steps(node, node.inputs[0], bounds[node.inputs[0]])
        elif node.op == "table":
            made.append(_lookup(node, types[node.inputs[0]]))
        else:
            made.append(_plain(node))
    return FloatProgram(tuple(made), tuple(inputs), graph.outputs)


def steps_of(types: TypeArray) -> Floats:
    return np.ldexp(1.0, -types.frac.astype(np.int64))


def spread(values: Floats) -> Floats:
    """One number where all are the same."""
    return values.ravel()[:1].reshape(()) if values.size and (values == values.ravel()[0]).all() else values


def quantize_steps(node: Node, source: str, bounds: Interval | None) -> list[Operation]:
    """The steps of an input or a quantize.

    Args:
        bounds: of what it reads; None: any float.
    """
    t, name = node.type, node.name
    may = overflows(bounds, t) if bounds is not None else np.ones(t.shape, bool)
    made: list[Operation] = []

    def add(suffix: str, op: str, read: tuple[str, ...], constants: Mapping[str, Floats], **options: Option) -> str:
        made.append(Operation(name + suffix, op, read, node.shape, constants, options, node.source))
        return name + suffix

    step, wraps = spread(steps_of(t)), str(t.overflow) == "WRAP" and bool(may.any())
    wide = int((t.width + 1 - (t.signed != 0)).max(initial=1)) + 1  # bits with a sign that hold every type, and one more
    if wraps:
        wide = wide + OUTSIDE if bounds is None else max(wide, _bits(bounds, t) + 1)
    elif not may.any() and bounds is not None:
        wide = max(2, _bits(bounds, t))
    rounding = "ROUND" if str(t.rounding) == "RND_CONV" else "FLOOR"
    if str(t.rounding) == "RND":
        if bounds is None:  # a float row may be too fine to take half a step exactly
            source = add(
                "_fine", "quant", (source,), {"step": spread(steps_of(t) / 2)}, bits=wide + 1, rounding="FLOOR", signed=1, free=1
            )
        source = add(".half", "add", (source,), {"value": spread(steps_of(t) / 2)})
    if wraps:
        span = spread(np.ldexp(steps_of(t), t.width.astype(np.int64)))
        whole = add(".whole", "quant", (source,), {"step": step}, bits=wide, rounding=rounding, signed=1, free=1)
        read, half = whole, np.where(t.signed != 0, np.ldexp(steps_of(t), t.width.astype(np.int64)) / 2, 0.0)
        if half.any():
            read = add(".up", "add", (whole,), {"value": spread(half)})
        over = add(".over", "quant", (read,), {"step": span}, bits=wide + 1, rounding="FLOOR", signed=1, free=1)
        add("", "subtract", (whole, over), {})
        return made
    sign, width = (int(v.ravel()[0]) if v.size else 0 for v in (t.signed, t.width))
    alike = bool((t.signed == sign).all() and (t.width == width).all()) and sign < width < LONGEST
    if alike or not may.any():
        bits, signed = (width, sign) if alike else (wide, 1)
        narrow = int(bool(alike and sign and str(t.overflow) == "SAT_SYM"))
        told: dict[str, Option] = {"bits": bits, "signed": signed, "narrow": narrow, "rounding": rounding, "free": int(not alike)}
        add("", "quant", (source,), {"step": step}, **told)
        return made
    read = add(".range", "quant", (source,), {"step": step}, bits=wide, rounding=rounding, signed=1, free=1)
    low, high = (spread(ends.astype(np.float64) * steps_of(t)) for ends in (t.lowest, t.highest))
    read = add(".low", "maximum", (read,), {"value": low})
    add("", "minimum", (read,), {"value": high})
    return made


def _bits(bounds: Interval, types: TypeArray) -> int:
    """Bits with a sign that hold the bounds at the steps of `types`, rounded upward."""
    up = types.frac.astype(np.int64) - bounds.frac
    reach = np.maximum(np.abs(bounds.low), np.abs(bounds.high)).astype(object)
    most = [int(m) << int(u) if u >= 0 else (int(m) >> int(-u)) + 1 for m, u in zip(reach.ravel(), up.ravel(), strict=True)]
    return max((m.bit_length() for m in most), default=0) + 2


def _lookup(node: Node, types: TypeArray) -> Operation:
    """x * factor + offset is the place of each element's value in one list of all rows."""
    mantissas, frac = rows_of(node)
    values = to_float(mantissas, frac[:, None] + np.zeros(mantissas.shape, np.int64))
    index = np.array(node.integers("index"), np.int64).reshape(node.shape)
    offset = index * mantissas.shape[1] - types.lowest.astype(np.int64)
    constants = {"factor": spread(1 / steps_of(types)), "offset": spread(offset.astype(np.float64)), "values": values.ravel()}
    return Operation(node.name, "lookup", node.inputs, node.shape, constants, {}, node.source)


def _plain(node: Node) -> Operation:
    """One operation as the graph has it: constants as floats, bias and scale as sums and products with a constant."""
    constants = {}
    for key in ("kernel", "bias", "factor"):
        if key in node.attrs:
            constant = node.constant(key)
            constants[key] = to_float(constant.mantissas, constant.types.frac)
    options = {
        key: value for key, value in node.attrs.items() if isinstance(value, (int, str, tuple)) and not isinstance(value, bool)
    }
    if node.op == "bias":
        return Operation(node.name, "add", node.inputs, node.shape, {"weights": constants["bias"]}, options, node.source)
    if node.op == "scale":
        return Operation(node.name, "multiply", node.inputs, node.shape, {"weights": constants["factor"]}, options, node.source)
    return Operation(node.name, node.op, node.inputs, node.shape, constants, options, node.source)
