"""Operations of Keras that only move values, found out by moving numbers: where each element of the result comes from.

A slice, a repetition or a rotation is run on rows of consecutive numbers. What comes out says the place of each element. Two rows tell
whether the operation mixes rows, or puts other values than zero between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwq.backend import keras, ops
from hwq.ir.windows import Index

if TYPE_CHECKING:
    from keras import KerasTensor, Operation
    from keras.layers import Node

MOVES = (
    *("Append", "Flip", "GetItem", "Moveaxis", "Pad", "Repeat", "Roll", "Rot90", "Slice", "Split", "Stack", "Swapaxes", "Take"),
    *("Tile", "Unstack", "Hstack", "Vstack"),
)


def places(operation: Operation, node: Node, result: KerasTensor) -> tuple[Index, list[KerasTensor]] | None:
    """For each element of a call's result its place among all elements of the tensors that it reads, -1 for zero; and those tensors.

    None where the call does anything but move values within each row.
    """
    sources = list({id(t): t for t in node.input_tensors}.values())
    sizes = [int(np.prod(t.shape[1:])) for t in sources]
    starts, total = np.cumsum([0, *sizes]), sum(sizes)

    def numbers(one: object) -> object:
        for source, size, start in zip(sources, sizes, starts, strict=False):
            if one is source:
                first = np.arange(size) + start + 1
                return ops.convert_to_tensor(np.stack([first, first + total]).reshape(2, *source.shape[1:]).astype("float32"))
        return one

    if len(result.shape) < 2 or total >= 1 << 23:  # two rows of them: float32 counts no further
        return None
    args = keras.tree.map_structure(numbers, tuple(node.arguments.args))
    kwargs = keras.tree.map_structure(numbers, dict(node.arguments.kwargs))
    try:
        found = operation(*args, **kwargs)
    except (TypeError, ValueError):
        return None
    if isinstance(found, (list, tuple)):
        found = found[[id(t) for t in node.output_tensors].index(id(result))]
    moved = np.asarray(ops.convert_to_numpy(found)).astype(np.int64)
    if moved.shape != (2, *result.shape[1:]):
        return None
    zero = (moved[0] == 0) & (moved[1] == 0)
    if not (zero | (moved[1] - moved[0] == total)).all() or moved[0].max(initial=0) > total or moved.min(initial=0) < 0:
        return None
    return np.where(zero, -1, moved[0] - 1), sources
