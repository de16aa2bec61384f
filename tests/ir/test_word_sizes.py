"""Where each operation leaves int64 for Python integers: one bit earlier would be wrong or slow, one bit later wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.ir import OPS, Constant, Node, make_node
from hwq.ir.spec import aligned, bits_of, exact_matmul, to_step


def source(width: int, *shape: int, frac: int = 0, signed: int = 1, name: str = "x") -> Node:
    return make_node(name, "input", type=TypeArray.of(np.full(shape or (2,), signed), width, frac))


def constant(value: int, *shape: int, frac: int = 0) -> Constant:
    width = value.bit_length() + 1
    return Constant(np.full(shape, value, object if width > 62 else np.int64), TypeArray.of(np.ones(shape), width, frac))


def two(op: str, frac: int = 0) -> Callable[[int], tuple[str, list[Node], dict[str, object]]]:
    return lambda width: (op, [source(width), source(width - 3, frac=frac, name="z")], {})


IMAGE = {"size": (2, 1), "strides": (1, 1), "pads": (0, 0, 0, 0)}
# an operation on an input of some bits -> the most bits at which it is computed in int64
CASES: dict[str, tuple[Callable[[int], tuple[str, list[Node], dict[str, object]]], int]] = {
    "add": (two("add"), 60),
    "subtract, finer": (two("subtract", 2), 58),
    "maximum": (two("maximum"), 60),
    "multiply": (two("multiply"), 31),
    "scale": (lambda w: ("scale", [source(w)], {"factor": constant(5, 2, frac=1)}), 57),
    "bias": (lambda w: ("bias", [source(w)], {"bias": constant(5, 2, frac=2)}), 58),
    "relu": (lambda w: ("relu", [source(w)], {}), 61),
    "leaky_relu": (lambda w: ("leaky_relu", [source(w)], {"shift": 3}), 57),
    "permute": (lambda w: ("permute", [source(w, 2, 3)], {"dims": (1, 0)}), 61),
    "max_pool2d": (lambda w: ("max_pool2d", [source(w, 2, 2, 1)], IMAGE), 60),
    "sum_pool2d": (lambda w: ("sum_pool2d", [source(w, 2, 2, 1)], IMAGE), 59),
    "dense": (lambda w: ("dense", [source(w)], {"kernel": constant(3, 2, 1), "bias": constant(1, 1)}), 58),
    "dense, finer": (lambda w: ("dense", [source(w)], {"kernel": constant(3, 2, 1), "bias": constant(1, 1, frac=2)}), 56),
}


def found(case: str, width: int) -> tuple[np.dtype[np.generic], list[int]]:
    """The type of array that comes out, and the results of the lowest codes."""
    op, inputs, attrs = CASES[case][0](width)
    node = make_node("y", op, inputs, attrs=attrs)  # type: ignore[arg-type]
    types = [n.type for n in inputs]
    values = [np.stack([t.lowest, t.highest]).astype(np.int64 if int(t.width.max()) <= 62 else object) for t in types]
    y = OPS[op].evaluate(node, types, values)
    exact = OPS[op].evaluate(node, types, [v.astype(object) for v in values])
    assert y.tolist() == exact.tolist()
    return y.dtype, y.ravel().tolist()


@pytest.mark.parametrize("case", CASES)
def test_the_last_width_that_is_computed_in_words(case: str) -> None:
    most = CASES[case][1]
    assert found(case, most)[0] == np.int64
    assert found(case, most + 1)[0].kind == "O"


@pytest.mark.parametrize(("frac", "most"), [(0, 61), (3, 58), (-5, 61)])
def test_a_quantizer_that_appends_bits(frac: int, most: int) -> None:
    for width, kind in ((most, np.int64), (most + 1, object)):
        x = source(width)
        node = make_node("y", "quantize", [x], type=TypeArray.of([1, 1], 8, frac, Rounding.RND, Overflow.SAT))
        assert OPS["quantize"].evaluate(node, [x.type], [x.type.lowest[None]]).dtype == kind


def test_steps_and_sums_of_products() -> None:
    target = TypeArray.of([1], 70, 4)
    for bits, kind in ((59, np.int64), (60, object)):
        assert to_step(np.array([3]), 2, bits, target).dtype == kind
    assert to_step(np.array([3]), 2, 5, target).tolist() == [12] and to_step(np.array([12]), 6, 5, target).tolist() == [3]
    assert to_step(np.array([8]), 9, 5, TypeArray.of([0], 0, 0)).tolist() == [8]  # an absent element has no step
    types = [TypeArray.of([1], 8, 1), TypeArray.of([1], 5, 3)]
    assert [x.tolist() for x in aligned(types, [np.array([3]), np.array([5])])[0]] == [[12], [5]]
    assert aligned(types, [np.array([3]), np.array([5])])[1].tolist() == [3]
    assert [aligned(types, [np.array([3]), np.array([5])], extra=e)[2] for e in (0, 1)] == [10, 11]
    for bits, kind in ((62, np.int64), (63, object)):
        assert exact_matmul(np.array([[3]]), np.array([[5]]), bits).dtype == kind
    big = np.array([[(1 << 53) - 1]])
    assert exact_matmul(big, np.array([[1]]), 53).tolist() == exact_matmul(big, np.array([[1]]), 54).tolist() == big.tolist()
    assert exact_matmul((big << 1) + 1, np.array([[1]]), 54).tolist() == [[(1 << 54) - 1]]
    assert [bits_of(b) for b in (0, 1, 1.9, 2, 3.9, 4, 127, 128)] == [2, 2, 2, 3, 3, 4, 8, 9]
