"""How many lookup tables of k inputs the entries of a table need: what synthesis makes of a case statement."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Truth = npt.NDArray[np.bool_]


def truth_tables(entries: Sequence[int], low: int, width: int, result_width: int) -> Truth:
    """(result_width, 2^width): each bit of the result as a function of the operand's raw code.

    Args:
        entries: of the operand's mantissas low, low + 1, ...
        width: bits of the operand; codes that never occur get the most frequent entry, as the Verilog has it.
    """
    values, counts = np.unique(np.array(entries, np.int64), return_counts=True)
    table = np.full(1 << width, values[counts.argmax()])
    table[(low + np.arange(len(entries))) & ((1 << width) - 1)] = entries
    return np.asarray((table[None, :] >> np.arange(result_width)[:, None]) & 1, bool)


def lookup_tables(functions: Truth, inputs: int) -> int:
    """Different tables of `inputs` inputs into which the functions (n, 2^m) fall apart when split at their upper inputs.

    What is constant, or one input alone, is none; the multiplexers that join the parts are not counted.
    """
    size = min(functions.shape[1], 1 << inputs)
    parts = functions.reshape(-1, size)
    parts = parts ^ parts[:, :1]  # a function and its complement are one
    different = np.unique(parts, axis=0)
    index = np.arange(size)
    alone = [index >> i & 1 == 1 for i in range(size.bit_length() - 1)]
    return sum(bool(part.any()) and not any((part == one).all() for one in alone) for part in different)


def multiplexers(functions: Truth, inputs: int) -> int:
    """Places at which two different parts of more than `inputs` inputs are joined."""
    total = 0
    for function in functions:
        part = function.reshape(1, -1)
        while part.shape[1] > 1 << inputs:
            halves = part.reshape(-1, part.shape[1] // 2)
            total += int((halves[0::2] != halves[1::2]).any(axis=1).sum())
            part = halves
    return total
