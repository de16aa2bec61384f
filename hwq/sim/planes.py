"""Bit planes: one bit of a value over many rows, 64 rows a word. How netlists are evaluated cell by cell; no netlist is read here."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from hwq.fixed.arithmetic import IntArray

Plane = npt.NDArray[np.uint64]
ONES = np.uint64(0xFFFFFFFFFFFFFFFF)


def pack(column: IntArray, bit: int, words: int) -> Plane:
    """Bit `bit` of every row; column: (rows,) integers."""
    bits = np.zeros(words * 64, np.uint8)
    bits[: len(column)] = (np.asarray(column, np.int64) >> bit) & 1
    return np.packbits(bits, bitorder="little").view(np.uint64)


def unpack(plane_of: Callable[[int], Plane], width: int, signed: bool, rows: int) -> npt.NDArray[np.int64]:
    """The integers (rows,) whose bit i is `plane_of(i)`, the highest one their sign where they are signed."""
    value = np.zeros(rows, np.int64)
    for bit in range(width):
        ones = np.unpackbits(plane_of(bit).view(np.uint8), bitorder="little")[:rows].astype(np.int64)
        value += ones * (-(1 << bit) if signed and bit == width - 1 else 1 << bit)
    return value


def lut(table: int, inputs: tuple[Plane, ...], low: Plane, high: Plane) -> Plane:
    """A truth table of 2^n bits over n planes, the first input the lowest bit of the index; low and high are all zeros and all ones."""
    size = 1 << len(inputs)
    if table == 0:
        return low
    if table == (1 << size) - 1:
        return high
    half = size // 2
    zero, one = table & ((1 << half) - 1), table >> half
    if zero == one:
        return lut(zero, inputs[:-1], low, high)
    select, rest = inputs[-1], inputs[:-1]
    return (select & lut(one, rest, low, high)) | (~select & lut(zero, rest, low, high))
