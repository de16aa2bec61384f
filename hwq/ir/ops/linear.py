"""dense, conv2d, einsum, sum_pool2d: sums of inputs times constants. All four are matrices (`hwq.ir.spec.Matrix`) at one or many places."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from hwq.errors import GraphError
from hwq.fixed import TypeArray
from hwq.fixed.arithmetic import IntArray, as_integers, greatest
from hwq.ir.forms import Effort, FloatMath, Taps, Types
from hwq.ir.graph import Constant, Node
from hwq.ir.intervals import Interval, add_bounds, product_sum_bounds
from hwq.ir.spec import (
    Matrix,
    OpSpec,
    Values,
    bits_of,
    bounded,
    constant_interval,
    exact_matmul,
    fail,
    image_shape,
    integer,
    integers,
    odd_form,
    only,
    real,
)
from hwq.ir.windows import (
    MOST_INDICES,
    Block,
    Index,
    conv_blocks,
    conv_shape,
    dense_blocks,
    einsum_blocks,
    pads_of,
    pair,
    pool_blocks,
    pool_windows,
    read_einsum,
)
from hwq.tensors import Tensor

_FLOAT_RANGE = 900  # bits of products whose sums are far from the end of the range of float64
_CHUNK = 1 << 22  # elements of gathered windows held at a time


def _verify_dense(node: Node, types: Types) -> None:
    kernel, bias = node.constant("kernel"), node.constant("bias")
    if len(kernel.shape) != 2 or bias.shape != kernel.shape[1:]:
        fail(node, f"kernel {kernel.shape} and bias {bias.shape} must be (n, m) and (m,)")
    if only(types).shape[-1:] != kernel.shape[:1]:
        fail(node, f"the last axis of its input {only(types).shape} must be {kernel.shape[0]}")
    bounded(node, *only(types).shape[:-1], kernel.shape[1])


def _verify_conv2d(node: Node, types: Types) -> None:
    kernel, bias = node.constant("kernel"), node.constant("bias")
    channels = image_shape(node, types)[2]
    groups = integer(node, "groups", least=1)
    integers(node, "strides", 2, least=1)
    integers(node, "dilation", 2, least=1)
    integers(node, "pads", 4)
    if len(kernel.shape) != 4 or bias.shape != kernel.shape[3:]:
        fail(node, f"kernel {kernel.shape} and bias {bias.shape} must be (height, width, channels / groups, m) and (m,)")
    if kernel.shape[2] * groups != channels or kernel.shape[3] % groups:
        fail(node, f"{groups} groups of {kernel.shape[2]} channels and {kernel.shape[3]} outputs do not fit {channels} channels")
    _check_window(node, types, CONV, kernel.shape[:2])


def _verify_einsum(node: Node, types: Types) -> None:
    try:
        e = read_einsum(str(node.attrs["equation"]), only(types).shape, node.constant("kernel").shape)
    except GraphError as error:
        fail(node, str(error))
    shape = e.shape
    bounded(node, *shape)
    # each place of the result reads a term for every value of the letters that are summed over
    if math.prod(size for letter, size in e.sizes.items() if letter in e.x or letter not in e.out) > MOST_INDICES:
        fail(node, f"its sums have more than {MOST_INDICES} terms to list")
    if node.constant("bias").shape != shape:
        fail(node, f"bias {node.constant('bias').shape} must have the shape of the result, {shape}")


def _verify_sum_pool(node: Node, types: Types) -> None:
    image_shape(node, types)
    integers(node, "size", 2, least=1)
    integers(node, "strides", 2, least=1)
    integers(node, "pads", 4)
    _check_window(node, types, SUM_POOL, node.integers("size"))


def _check_window(node: Node, types: Types, matrix: Matrix, size: Sequence[int]) -> None:
    try:
        shape = matrix.shape(node, only(types).shape)
    except GraphError as error:
        fail(node, str(error))
    bounded(node, *shape)
    if math.prod((*shape[:2], *size, only(types).shape[2])) > MOST_INDICES:
        fail(node, f"its windows have more than {MOST_INDICES} elements to list")


def infer_matrix(matrix: Matrix, node: Node, types: Types, inputs: Sequence[Interval]) -> Interval:
    """The bounds of any matrix's results."""
    x = only(inputs).flat.with_zero()
    kernel, bias = matrix.constants(node)
    weights, weight_frac = (a.ravel() for a in odd_form(kernel))
    b = constant_interval(bias).flat
    shape = matrix.shape(node, only(inputs).shape)
    low, high, frac = np.zeros(shape, object), np.zeros(shape, object), np.zeros(shape, np.int64)
    for block in matrix.blocks(node, only(inputs).shape):
        total = product_sum_bounds(x.take(block.windows), weights[block.weights], weight_frac[block.weights])
        total = add_bounds(total, b.take(block.biases))
        for target, part in ((low, total.low), (high, total.high), (frac, total.frac)):
            target.ravel()[block.outputs] = part
    return Interval(low, high, frac)


def evaluate_matrix(matrix: Matrix, node: Node, types: Types, values: Values) -> IntArray:
    """Everything at one common step of the inputs, one of the weights; the sums in float64 where they are exact there."""
    kernel, bias = matrix.constants(node)
    k, k_frac = (a.ravel() for a in odd_form(kernel))
    b, b_frac = (a.ravel() for a in odd_form(bias))
    t, x_frac = only(types), only(types).frac.astype(np.int64).ravel()
    x_one, k_one = greatest(x_frac), greatest(k_frac)
    one = max(x_one + k_one, greatest(b_frac), greatest(node.type.frac))
    k = np.where(k == 0, 0, k << (k_one - k_frac).astype(object))
    b = np.where(b == 0, 0, b << (one - b_frac).astype(object))
    largest = np.maximum(-t.lowest, t.highest).ravel() << (x_one - x_frac).astype(object)
    found = matrix.blocks(node, t.shape)
    bits = _sum_bits(found, largest, k)
    total_bits = max(bits + one - x_one - k_one, _length(b) + 1) + 1
    found, read = _read(found, k)
    flat = only(values).reshape(len(only(values)), -1)[:, read]
    x = as_integers(flat, bits) << as_integers((x_one - x_frac)[read], bits)
    x = np.concatenate([x, np.zeros_like(x, shape=(len(x), 1))], axis=1)  # element -1: the padding
    down = as_integers(one - node.type.frac.astype(np.int64).ravel(), total_bits)
    out = np.zeros((len(x), node.type.size), np.int64 if total_bits <= 62 else object)
    for block in found:
        weights, bias_here = as_integers(k[block.weights], bits), as_integers(b[block.biases], total_bits)
        rows = max(1, _CHUNK // max(1, block.windows.size))
        for start in range(0, len(x), rows):
            part = exact_matmul(x[start : start + rows, block.windows], weights, bits)
            total = (as_integers(part, total_bits) << (one - x_one - k_one)) + bias_here
            out[start : start + rows, block.outputs] = total >> down[block.outputs]  # exact: the bits shifted out are zero
    return out.reshape(len(x), *node.shape)


def _read(found: list[Block], kernel: IntArray) -> tuple[list[Block], Index]:
    """(the blocks without what no weight reads, the elements that are left): pruned networks read few of their inputs."""
    alive = [(kernel[block.weights] != 0).any(axis=1) for block in found]
    windows = [block.windows[:, rows] for block, rows in zip(found, alive, strict=True)]
    read = np.unique(np.concatenate([w.ravel() for w in windows])) if windows else np.zeros(0, np.int64)
    read = read[read >= 0]
    kept = [
        replace(block, windows=np.where(w >= 0, np.searchsorted(read, w), -1), weights=block.weights[rows])
        for block, rows, w in zip(found, alive, windows, strict=True)
    ]
    return kept, read


def _sum_bits(found: list[Block], largest: IntArray, kernel: IntArray) -> int:
    """Bits that hold any operand and any sum of absolute values of terms."""
    lengths = _length(largest), _length(kernel)
    if sum(lengths) > _FLOAT_RANGE:
        return sum(lengths) + 1 + max((block.windows.shape[1] for block in found), default=0).bit_length()
    x = np.append(largest, 0).astype(np.float64)
    k = np.abs(kernel).astype(np.float64)
    bound = max((float((x[block.windows] @ k[block.weights]).max(initial=0)) for block in found), default=0.0)
    return bits_of(max(bound, float(x.max(initial=0)), float(k.max(initial=0))))


def _length(values: IntArray) -> int:
    """Bits of the greatest absolute value."""
    return greatest(np.abs(values)).bit_length()


def _kernel_and_bias(node: Node) -> tuple[Constant, Constant]:
    return node.constant("kernel"), node.constant("bias")


def _ones(node: Node) -> tuple[Constant, Constant]:
    """A one and a zero."""
    zero = Constant(np.zeros(1, np.int64), TypeArray.of(0, np.zeros(1), 0))
    return Constant(np.ones(1, np.int64), TypeArray.of(0, np.ones(1), 0)), zero


def _dense_shape(node: Node, shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[:-1], node.constant("kernel").shape[1])


def _einsum_shape(node: Node, shape: tuple[int, ...]) -> tuple[int, ...]:
    return read_einsum(str(node.attrs["equation"]), shape, node.constant("kernel").shape).shape


def _pool_shape(node: Node, shape: tuple[int, ...]) -> tuple[int, ...]:
    return pool_windows(node, shape)[0]


# in the comments of the C++


def _weights(node: Node) -> str:
    kernel = node.constant("kernel")
    return f"{kernel.nonzero} of {kernel.types.size} weights"


def _say_dense(node: Node, source: Node) -> str:
    n, m = node.constant("kernel").shape
    return f"dense {n} -> {m}, {_weights(node)}"


def _say_matrix(node: Node, source: Node) -> str:
    return f"{node.op} {list(source.shape)} -> {list(node.shape)}, {_weights(node)}"


def _say_pool(node: Node, source: Node) -> str:
    return f"sum over windows {list(node.integers('size'))}, {list(source.shape)} -> {list(node.shape)}"


# on a stream of pixels


def _conv_taps(node: Node) -> Taps:
    kh, kw = node.constant("kernel").shape[:2]
    return Taps((kh, kw), pair(node, "strides"), pads_of(node), pair(node, "dilation"))


def _pool_taps(node: Node) -> Taps:
    return Taps(pair(node, "size"), pair(node, "strides"), pads_of(node))


# in Keras


def _dense_floats(m: FloatMath, node: Node, types: Types, inputs: Sequence[Tensor]) -> Tensor:
    return m.ops.matmul(only(inputs), real(node.constant("kernel"))) + real(node.constant("bias"))


def _conv_floats(m: FloatMath, node: Node, types: Types, inputs: Sequence[Tensor]) -> Tensor:
    """Group by group at stride 1, then the pixels that the strides leave: TensorFlow has no strides with dilation, nor groups everywhere."""
    top, bottom, left, right = pads_of(node)
    x = m.ops.pad(only(inputs), ((0, 0), (top, bottom), (left, right), (0, 0)))
    groups, kernel = node.integer("groups"), real(node.constant("kernel"))
    pieces = zip(m.ops.split(x, groups, axis=-1), np.split(kernel, groups, axis=-1), strict=True)
    dilation = pair(node, "dilation")
    y = m.ops.concatenate([m.ops.conv(a, k, 1, "valid", "channels_last", dilation) for a, k in pieces], axis=-1)
    down, across = pair(node, "strides")
    return y[:, ::down, ::across] + real(node.constant("bias"))


def _einsum_floats(m: FloatMath, node: Node, types: Types, inputs: Sequence[Tensor]) -> Tensor:
    source, rest = str(node.attrs["equation"]).replace(" ", "").split(",")
    kernel, result = rest.split("->")
    batch = next(c for c in "zyxwvutsrqponmlkjihgfedcbaZYXW" if c not in source + kernel + result)
    y = m.ops.einsum(f"{batch}{source},{kernel}->{batch}{result}", only(inputs), real(node.constant("kernel")))
    return y + real(node.constant("bias"))


def _pool_floats(m: FloatMath, node: Node, types: Types, inputs: Sequence[Tensor]) -> Tensor:
    """Window sums as sums of shifted images: a mean times the window's size would be rounded."""
    top, bottom, left, right = pads_of(node)
    x = m.ops.pad(only(inputs), ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=0.0)
    size, strides = pair(node, "size"), pair(node, "strides")
    height, width = (n - s + 1 for n, s in zip(x.shape[1:3], size, strict=True))
    shifted = (x[:, i : i + height, j : j + width] for i in range(size[0]) for j in range(size[1]))
    total = sum(shifted, start=m.ops.zeros((), "float64"))
    return total[:, :: strides[0], :: strides[1]]


def _pool_effort(node: Node, types: Types) -> Effort:
    count = math.prod(node.integers("size"))
    return Effort(sums=float(node.type.width.sum()) * (count - 1))


DENSE = Matrix(dense_blocks, _dense_shape, _kernel_and_bias, _say_dense)
CONV = Matrix(conv_blocks, conv_shape, _kernel_and_bias, _say_matrix)
EINSUM = Matrix(einsum_blocks, _einsum_shape, _kernel_and_bias, _say_matrix)
SUM_POOL = Matrix(pool_blocks, _pool_shape, _ones, _say_pool, weighted=False)

SPECS = (
    OpSpec(
        "dense",
        1,
        ("kernel", "bias"),
        partial(infer_matrix, DENSE),
        _verify_dense,
        partial(evaluate_matrix, DENSE),
        matrix=DENSE,
        floats=_dense_floats,
        sums=True,
        pointwise=True,
    ),
    OpSpec(
        "conv2d",
        1,
        ("kernel", "bias", "strides", "pads", "dilation", "groups"),
        partial(infer_matrix, CONV),
        _verify_conv2d,
        partial(evaluate_matrix, CONV),
        matrix=CONV,
        floats=_conv_floats,
        sums=True,
        taps=_conv_taps,
    ),
    OpSpec(
        "einsum",
        1,
        ("equation", "kernel", "bias"),
        partial(infer_matrix, EINSUM),
        _verify_einsum,
        partial(evaluate_matrix, EINSUM),
        matrix=EINSUM,
        floats=_einsum_floats,
        sums=True,
    ),
    OpSpec(
        "sum_pool2d",
        1,
        ("size", "strides", "pads"),
        partial(infer_matrix, SUM_POOL),
        _verify_sum_pool,
        partial(evaluate_matrix, SUM_POOL),
        matrix=SUM_POOL,
        floats=_pool_floats,
        effort=_pool_effort,
        sums=True,
        taps=_pool_taps,
    ),
)
