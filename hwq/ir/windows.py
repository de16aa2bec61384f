"""Index arithmetic: which elements of the inputs each element of a result reads, for windows, products and pure wiring.

Elements are counted in row-major order; -1 stands for a zero of the padding. Everything that walks over a design (reference,
ranges, pruning, lowering, C++, costs) takes its indices from here, so that the meaning of an axis is written down once.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwq.errors import GraphError
from hwq.ir.graph import Node

Index = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """One matrix of a linear op and the p places where it is used: y[outputs] = x[windows] @ kernel[weights] + bias[biases].

    Attributes:
        windows: (p, n) elements of the input; -1 reads zero.
        weights: (n, m) elements of the kernel.
        outputs: (p, m) elements of the result.
        biases: (p, m) elements of the bias.
    """

    windows: Index
    weights: Index
    outputs: Index
    biases: Index


MOST_INDICES = 1 << 25  # of all windows of an op: 256 MB of them


def pair(node: Node, name: str) -> tuple[int, int]:
    """A tuple of two: size, strides, dilation."""
    a, b = node.integers(name)
    return a, b


def pads_of(node: Node) -> tuple[int, int, int, int]:
    """(top, bottom, left, right)."""
    top, bottom, left, right = node.integers("pads")
    return top, bottom, left, right


def window_grid(
    shape: tuple[int, int],
    size: tuple[int, int],
    strides: tuple[int, int],
    pads: tuple[int, int, int, int],
    dilation: tuple[int, int],
) -> tuple[tuple[int, int], Index]:
    """((rows, columns) of positions, (positions, size) pixel numbers or -1) of a window that slides over an image.

    Raises:
        GraphError: the window is larger than the padded image, or there are more than MOST_INDICES to list.
    """
    axes, counts = [], []
    for k in range(2):
        before, after = pads[2 * k], pads[2 * k + 1]
        extent = dilation[k] * (size[k] - 1) + 1
        count = (shape[k] + before + after - extent) // strides[k] + 1
        if count < 1:
            raise GraphError(f"a window of {extent} does not fit {shape[k]} elements padded with {before} and {after}")
        if count * size[k] > MOST_INDICES:
            raise GraphError(f"{count} windows of {size[k]} elements are more than {MOST_INDICES} indices")
        at = np.arange(count)[:, None] * strides[k] + np.arange(size[k])[None, :] * dilation[k] - before
        axes.append(np.where((at >= 0) & (at < shape[k]), at, -1))
        counts.append(count)
    if counts[0] * counts[1] * size[0] * size[1] > MOST_INDICES:
        raise GraphError(f"{counts[0] * counts[1]} windows of {size[0] * size[1]} pixels are more than {MOST_INDICES} indices")
    y, x = axes[0][:, None, :, None], axes[1][None, :, None, :]
    pixels = np.where((y >= 0) & (x >= 0), y * shape[1] + x, -1)
    return (counts[0], counts[1]), pixels.reshape(counts[0] * counts[1], size[0] * size[1]).astype(np.int64)


def pool_windows(node: Node, shape: tuple[int, ...]) -> tuple[tuple[int, int, int], Index]:
    """(shape of the result, (elements of the result, window) input elements or -1) of a pooling op."""
    height, width, channels = shape
    (rows, columns), pixels = window_grid((height, width), pair(node, "size"), pair(node, "strides"), pads_of(node), (1, 1))
    elements = np.where(pixels[:, None, :] >= 0, pixels[:, None, :] * channels + np.arange(channels)[None, :, None], -1)
    return (rows, columns, channels), elements.reshape(rows * columns * channels, -1)


def conv_shape(node: Node, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Shape of a convolution's result."""
    (rows, columns), _ = _conv_grid(node, shape)
    return rows, columns, node.constant("kernel").shape[3]


def _conv_grid(node: Node, shape: tuple[int, ...]) -> tuple[tuple[int, int], Index]:
    kh, kw = node.constant("kernel").shape[:2]
    return window_grid((shape[0], shape[1]), (kh, kw), pair(node, "strides"), pads_of(node), pair(node, "dilation"))


def dense_blocks(node: Node, shape: tuple[int, ...]) -> list[Block]:
    n, m = node.constant("kernel").shape
    p = int(np.prod(shape[:-1]))
    biases = np.broadcast_to(np.arange(m), (p, m))
    return [Block(numbered(p, n), numbered(n, m), numbered(p, m), biases)]


def numbered(*shape: int) -> Index:
    return np.arange(int(np.prod(shape)), dtype=np.int64).reshape(shape)


def conv_blocks(node: Node, shape: tuple[int, ...]) -> list[Block]:
    kh, kw, per_group, out_channels = node.constant("kernel").shape
    channels, groups = shape[2], node.integer("groups")
    _, pixels = _conv_grid(node, shape)
    weights = numbered(kh * kw * per_group, out_channels)
    each = out_channels // groups
    found = []
    for g in range(groups):
        source = pixels[:, :, None] * channels + g * per_group + np.arange(per_group)
        windows = np.where(pixels[:, :, None] >= 0, source, -1).reshape(len(pixels), -1)
        mine = slice(g * each, (g + 1) * each)
        outputs = numbered(len(pixels), out_channels)[:, mine]
        found.append(Block(windows, weights[:, mine], outputs, np.broadcast_to(np.arange(out_channels)[mine], outputs.shape)))
    return found


def pool_blocks(node: Node, shape: tuple[int, ...]) -> list[Block]:
    _, windows = pool_windows(node, shape)
    outputs = numbered(len(windows), 1)
    return [Block(windows, np.zeros((windows.shape[1], 1), np.int64), outputs, np.zeros_like(outputs))]


@dataclass(frozen=True, slots=True)
class Einsum:
    """An equation taken apart: letters of the input, the kernel and the result, and the size of each."""

    x: str
    kernel: str
    out: str
    sizes: dict[str, int]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.sizes[c] for c in self.out)


def read_einsum(equation: str, x: Sequence[int], kernel: Sequence[int]) -> Einsum:
    """Read an equation like "ab,bc->ac" for an input and a kernel of these shapes.

    Raises:
        GraphError: it is no such equation (letters, each at most once an operand; no "..."), or does not fit the shapes.
    """
    left, arrow, out = equation.replace(" ", "").partition("->")
    operands = left.split(",")
    good = (
        arrow == "->" and len(operands) == 2 and all(part.isascii() and (part.isalpha() or not part) for part in (*operands, out))
    )
    if not good or any(len(set(part)) != len(part) for part in (*operands, out)) or not set(out) <= set("".join(operands)):
        raise GraphError(f'{equation!r} is no equation of two operands, like "ab,bc->ac", each letter once an operand')
    sizes: dict[str, int] = {}
    for letters, shape in zip(operands, (x, kernel), strict=True):
        if len(letters) != len(shape):
            raise GraphError(f"{equation!r} gives {len(letters)} axes to an operand of shape {tuple(shape)}")
        for letter, size in zip(letters, shape, strict=True):
            if sizes.setdefault(letter, int(size)) != size:
                raise GraphError(f"{equation!r}: {letter} is both {sizes[letter]} and {size}")
    return Einsum(operands[0], operands[1], out, sizes)


def einsum_blocks(node: Node, shape: tuple[int, ...]) -> list[Block]:
    e = read_einsum(str(node.attrs["equation"]), shape, node.constant("kernel").shape)
    both = [c for c in e.out if c in e.x and c in e.kernel]
    rows = [c for c in e.out if c not in e.kernel]
    columns = [c for c in e.out if c not in e.x]
    summed = [c for c in dict.fromkeys(e.x + e.kernel) if c not in e.out]

    def flat(operand: str, fixed: dict[str, int], first: list[str], second: list[str]) -> Index:
        """Element numbers of `operand`: axis 0 runs over the letters `first`, axis 1 over `second`."""
        total = np.zeros((1, 1), np.int64)
        stride = 1
        for letter in reversed(operand):
            if letter in fixed:
                total = total + fixed[letter] * stride
            for axis, letters in enumerate((first, second)):
                if letter in letters:
                    grid = np.indices([e.sizes[c] for c in letters])[letters.index(letter)].ravel()
                    total = total + np.expand_dims(grid * stride, 1 - axis)
            stride *= e.sizes[letter]
        size = [int(np.prod([e.sizes[c] for c in letters])) for letters in (first, second)]
        return np.broadcast_to(total, size)

    found = []
    for values in itertools.product(*(range(e.sizes[c]) for c in both)):
        fixed = dict(zip(both, values, strict=True))
        outputs = flat(e.out, fixed, rows, columns)
        found.append(Block(flat(e.x, fixed, rows, summed), flat(e.kernel, fixed, summed, columns), outputs, outputs))
    return found
