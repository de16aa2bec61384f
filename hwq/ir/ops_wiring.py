"""reshape, permute, concatenate, pad, take: the same elements in other places, and zeros. In hardware nothing but names."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hwq.fixed import TypeArray
from hwq.fixed.arithmetic import IntArray
from hwq.ir.graph import Node
from hwq.ir.intervals import Interval
from hwq.ir.spec import ANY, OpSpec, Types, Values, bounded, fail, integers, rescale
from hwq.ir.windows import wiring


def _verify_reshape(node: Node, types: Types) -> None:
    shape = integers(node, "shape")
    if math.prod(shape) != types[0].size:
        fail(node, f"cannot reshape {types[0].shape} to {shape}")


def _verify_permute(node: Node, types: Types) -> None:
    dims = integers(node, "dims", len(types[0].shape))
    if sorted(dims) != list(range(len(dims))):
        fail(node, f"dims {dims} are no order of the axes of {types[0].shape}")


def _verify_concatenate(node: Node, types: Types) -> None:
    axis = node.attrs["axis"]
    rank = len(types[0].shape)
    if not isinstance(axis, int) or isinstance(axis, bool) or not -rank <= axis < rank:
        fail(node, f"axis {axis!r} is none of the {rank} axes of {types[0].shape}")
    rest = {tuple(np.delete(t.shape, axis)) for t in types if len(t.shape) == rank}
    if len(rest) != 1 or any(len(t.shape) != rank for t in types):
        fail(node, f"shapes {', '.join(str(t.shape) for t in types)} differ in more than axis {axis}")
    bounded(node, sum(t.size for t in types))


def _verify_pad(node: Node, types: Types) -> None:
    pads = integers(node, "pads", 2 * len(types[0].shape))
    bounded(node, *(n + before + after for n, before, after in zip(types[0].shape, pads[::2], pads[1::2], strict=True)))


def _verify_take(node: Node, types: Types) -> None:
    shape, index = integers(node, "shape", least=1), integers(node, "index", least=-1)
    bounded(node, *shape)
    size = sum(t.size for t in types)
    if len(index) != math.prod(shape):
        fail(node, f"{len(index)} places for a result of shape {shape}")
    if any(place >= size for place in index):
        fail(node, f"index has a place that is none of the {size} elements, nor -1 for zero")


def _infer(node: Node, types: Types, inputs: Sequence[Interval]) -> Interval:
    source = wiring(node, [x.shape for x in inputs])
    flat = [x.reshape((-1,)) for x in inputs]
    low, high, frac = (np.concatenate([getattr(x, part) for x in flat]) for part in ("low", "high", "frac"))
    return Interval(low, high, frac).with_zero().take(source)


def _evaluate(node: Node, types: Types, values: Values) -> IntArray:
    rows = len(values[0])
    source = wiring(node, [t.shape for t in types])
    flat = np.concatenate([v.reshape(rows, -1) for v in values] + [np.zeros((rows, 1), np.int64)], axis=1)
    signed, width, frac = (
        np.concatenate([*(getattr(t, part).ravel() for t in types), np.zeros(1, np.int16)])[source]
        for part in ("signed", "width", "frac")
    )
    return rescale(flat[:, source], TypeArray.of(signed, width, frac), node.type)


SPECS = (
    OpSpec("reshape", 1, ("shape",), False, _infer, _verify_reshape, _evaluate),
    OpSpec("permute", 1, ("dims",), False, _infer, _verify_permute, _evaluate),
    OpSpec("concatenate", ANY, ("axis",), False, _infer, _verify_concatenate, _evaluate),
    OpSpec("pad", 1, ("pads",), False, _infer, _verify_pad, _evaluate),
    OpSpec("take", ANY, ("index", "shape"), False, _infer, _verify_take, _evaluate),
)
