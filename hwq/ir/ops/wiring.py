"""reshape, permute, concatenate, pad, take: the same elements in other places, and zeros. In hardware nothing but names."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

import numpy as np

from hwq.fixed import TypeArray
from hwq.fixed.arithmetic import IntArray
from hwq.ir.forms import FloatForm, FloatMath, Types
from hwq.ir.graph import Node
from hwq.ir.intervals import Interval
from hwq.ir.spec import ANY, OpSpec, Values, bounded, fail, integers, rescale
from hwq.ir.windows import Index, numbered
from hwq.tensors import Tensor

Shapes: TypeAlias = Sequence[tuple[int, ...]]
Wiring: TypeAlias = Callable[[Node, Shapes], Index]
Verify: TypeAlias = Callable[[Node, Types], None]


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


def _reshaped(node: Node, shapes: Shapes) -> Index:
    return numbered(*shapes[0]).reshape(node.integers("shape"))


def _permuted(node: Node, shapes: Shapes) -> Index:
    return numbered(*shapes[0]).transpose(node.integers("dims"))


def _concatenated(node: Node, shapes: Shapes) -> Index:
    return np.concatenate(_counted(shapes), axis=node.integer("axis"))


def _padded(node: Node, shapes: Shapes) -> Index:
    return np.pad(numbered(*shapes[0]), np.reshape(node.integers("pads"), (-1, 2)), constant_values=-1)


def _taken(node: Node, shapes: Shapes) -> Index:
    places = np.concatenate([*(part.ravel() for part in _counted(shapes)), np.array([-1])])
    return np.asarray(places[np.array(node.integers("index"), np.int64)].reshape(node.integers("shape")))


def _counted(shapes: Shapes) -> list[Index]:
    starts = np.cumsum([0, *(math.prod(s) for s in shapes)])
    return [numbered(*s) + start for s, start in zip(shapes, starts, strict=False)]


def infer_wiring(wiring: Wiring, node: Node, types: Types, inputs: Sequence[Interval]) -> Interval:
    """The bounds of any rearrangement."""
    source = wiring(node, [x.shape for x in inputs])
    flat = [x.flat for x in inputs]
    low, high, frac = (np.concatenate([getattr(x, part) for x in flat]) for part in ("low", "high", "frac"))
    return Interval(low, high, frac).with_zero().take(source)


def evaluate_wiring(wiring: Wiring, node: Node, types: Types, values: Values) -> IntArray:
    """The elements in their new places."""
    rows = len(values[0])
    source = wiring(node, [t.shape for t in types])
    flat = np.concatenate([v.reshape(rows, -1) for v in values] + [np.zeros((rows, 1), np.int64)], axis=1)
    signed, width, frac = (
        np.concatenate([*(getattr(t, part).ravel() for t in types), np.zeros(1, np.int16)])[source]
        for part in ("signed", "width", "frac")
    )
    return rescale(flat[:, source], TypeArray.of(signed, width, frac), node.type)


# in Keras


def _reshape_floats(m: FloatMath, node: Node, types: Types, inputs: Sequence[Tensor]) -> Tensor:
    return m.ops.reshape(inputs[0], (-1, *node.shape))


def _permute_floats(m: FloatMath, node: Node, types: Types, inputs: Sequence[Tensor]) -> Tensor:
    return m.ops.transpose(inputs[0], (0, *(d + 1 for d in node.integers("dims"))))


def _concatenate_floats(m: FloatMath, node: Node, types: Types, inputs: Sequence[Tensor]) -> Tensor:
    axis = node.integer("axis")
    return m.ops.concatenate(inputs, axis=axis + 1 if axis >= 0 else axis)


def _pad_floats(m: FloatMath, node: Node, types: Types, inputs: Sequence[Tensor]) -> Tensor:
    return m.ops.pad(inputs[0], ((0, 0), *np.reshape(node.integers("pads"), (-1, 2)).tolist()))


def _take_floats(m: FloatMath, node: Node, types: Types, inputs: Sequence[Tensor]) -> Tensor:
    flat = [m.ops.reshape(x, (-1, math.prod(x.shape[1:]))) for x in inputs]
    whole = m.ops.concatenate([*flat, m.ops.zeros_like(flat[0][:, :1])], axis=1)
    index = np.array(node.integers("index"))
    return m.ops.reshape(m.ops.take(whole, np.where(index < 0, whole.shape[1] - 1, index), axis=1), (-1, *node.shape))


def _spec(name: str, arity: int, attrs: tuple[str, ...], verify: Verify, wiring: Wiring, floats: FloatForm) -> OpSpec:
    infer, evaluate = partial(infer_wiring, wiring), partial(evaluate_wiring, wiring)
    return OpSpec(name, arity, attrs, infer, verify, evaluate, wiring=wiring, floats=floats)


SPECS = (
    _spec("reshape", 1, ("shape",), _verify_reshape, _reshaped, _reshape_floats),
    _spec("permute", 1, ("dims",), _verify_permute, _permuted, _permute_floats),
    _spec("concatenate", ANY, ("axis",), _verify_concatenate, _concatenated, _concatenate_floats),
    _spec("pad", 1, ("pads",), _verify_pad, _padded, _pad_floats),
    _spec("take", ANY, ("index", "shape"), _verify_take, _taken, _take_floats),
)
