"""Where each operation leaves int64 for Python integers: one bit earlier would be wrong or slow, one bit later wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hwq.errors import GraphError
from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.ir import OPS, Constant, Node, make_node
from hwq.ir.forms import Effort
from hwq.ir.spec import aligned, bits_of, exact_matmul, to_step


def source(width: int, *shape: int, frac: int | np.ndarray = 0, signed: int = 1, name: str = "x") -> Node:
    return make_node(name, "input", type=TypeArray.of(np.full(shape or (2,), signed), width, frac))


def uneven(width: int, name: str = "x") -> Node:
    return make_node(name, "input", type=TypeArray.of([1, 1], [3, width], 0))


def constant(value: int, *shape: int, frac: int = 0) -> Constant:
    width = value.bit_length() + 1
    return Constant(np.full(shape, value, object if width > 62 else np.int64), TypeArray.of(np.ones(shape), width, frac))


def two(op: str, frac: int = 0) -> Callable[[int], tuple[str, list[Node], dict[str, object]]]:
    return lambda width: (op, [source(width), source(width - 3, frac=frac, name="z")], {})


FINER = np.array([[[0], [3]], [[3], [0]]])  # of two pixels, one above the other, one has three bits more
IMAGE = {"size": (2, 1), "strides": (1, 1), "pads": (0, 0, 0, 0)}
# an operation on an input of some bits -> the most bits at which it is computed in int64
CASES: dict[str, tuple[Callable[[int], tuple[str, list[Node], dict[str, object]]], int]] = {
    "add": (two("add"), 60),
    "subtract, finer": (two("subtract", 2), 58),
    "maximum": (two("maximum"), 60),
    "multiply": (two("multiply"), 31),
    "scale": (lambda w: ("scale", [source(w)], {"factor": constant(5, 2, frac=1)}), 57),
    "bias": (lambda w: ("bias", [source(w)], {"bias": constant(5, 2, frac=2)}), 58),
    "scale, one wide": (lambda w: ("scale", [uneven(w)], {"factor": constant(5, 2)}), 57),
    "multiply, one wide": (lambda w: ("multiply", [uneven(w), uneven(4, name="z")], {}), 56),
    "dense, one wide": (lambda w: ("dense", [uneven(w)], {"kernel": constant(3, 2, 1), "bias": constant(1, 1)}), 59),
    "table": (lambda w: ("table", [source(2)], {"values": constant((1 << w) - 1, 1, 4), "index": (0, 0)}), 60),
    "max_pool2d, finer": (lambda w: ("max_pool2d", [source(w, 2, 2, 1, frac=FINER)], IMAGE), 57),
    "sum_pool2d, finer": (lambda w: ("sum_pool2d", [source(w, 2, 2, 1, frac=FINER)], IMAGE), 57),
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


@pytest.mark.parametrize(
    ("op", "attrs", "want"),
    [
        ("add", {}, Effort(sums=5)),
        ("subtract", {}, Effort(sums=5)),
        ("multiply", {}, Effort(products=24)),
        ("maximum", {}, Effort(choices=8)),
        ("minimum", {}, Effort(choices=10)),
        ("bias", {"bias": constant(1, 2)}, Effort(sums=10)),
        ("scale", {"factor": constant(20, 2)}, Effort(sums=10)),  # 101, two additions' worth less one, of 4 and of 6 bits, halved
        ("scale", {"factor": constant(8, 2)}, Effort()),
        ("leaky_relu", {"shift": 2}, Effort(choices=14)),
        ("relu", {}, Effort()),
    ],
)
def test_what_an_operation_takes_about(op: str, attrs: dict[str, object], want: Effort) -> None:
    both = [make_node("a", "input", type=TypeArray.of(1, [4, 6], 0)), make_node("b", "input", type=TypeArray.of(0, [3, 2], 0))]
    inputs = both[: OPS[op].arity]
    node = make_node("y", op, inputs, attrs=attrs)  # type: ignore[arg-type]
    assert OPS[op].effort(node, [n.type for n in inputs]) == want


def test_what_windows_and_quantizers_take_about() -> None:
    x = source(4, 2, 3, 1)
    for op, want in (("sum_pool2d", Effort(sums=5 * 3.0)), ("max_pool2d", Effort(choices=4 * 3.0))):
        node = make_node("y", op, [x], attrs=IMAGE)
        assert OPS[op].effort(node, [x.type]) == want
    tall = {**IMAGE, "size": (2, 3)}
    assert OPS["sum_pool2d"].effort(make_node("y", "sum_pool2d", [x], attrs=tall), [x.type]) == Effort(sums=7 * 5.0)
    assert OPS["max_pool2d"].effort(make_node("y", "max_pool2d", [x], attrs=tall), [x.type]) == Effort(choices=4 * 5.0)
    for overflow, saturated in ((Overflow.WRAP, 0.0), (Overflow.SAT, 5.0), (Overflow.SAT_SYM, 5.0)):
        node = make_node("y", "quantize", [source(4)], type=TypeArray.of(1, [3, 2], 0, Rounding.TRN, overflow))
        assert OPS["quantize"].effort(node, [source(4).type]) == Effort(saturations=saturated)


def test_a_matrix_at_every_place_of_the_last_axis() -> None:
    x = source(3, 2, 2)
    kernel, bias = Constant(np.array([[1, 2, -1], [3, 0, 1]]), TypeArray.of(1, np.full((2, 3), 3), 0)), constant(1, 3)
    node = make_node("y", "dense", [x], attrs={"kernel": kernel, "bias": bias})
    assert OPS["dense"].evaluate(node, [x.type], [np.array([[[1, 2], [-3, 0]]])]).tolist() == [[[8, 3, 2], [-2, -5, 4]]]
    for wrong in ((2, 3), (3,), (2, 1)):
        with pytest.raises(GraphError, match="the last axis of its input"):
            make_node("y", "dense", [source(3, *wrong)], attrs={"kernel": kernel, "bias": bias})
    for k, b in (((2, 3), (2,)), ((2,), (3,)), ((2, 3), (1, 3))):
        with pytest.raises(GraphError, match=r"must be .n, m. and .m,."):
            make_node("y", "dense", [source(3, 2)], attrs={"kernel": constant(1, *k), "bias": constant(1, *b)})
    conv = {"strides": (1, 1), "pads": (0, 0, 0, 0), "dilation": (1, 1), "groups": 2}
    image = source(3, 2, 2, 4)
    assert make_node("y", "conv2d", [image], attrs={**conv, "kernel": constant(1, 1, 1, 2, 6), "bias": constant(1, 6)}).shape == (
        2,
        2,
        6,
    )
    for k, b, words in (
        ((1, 1, 2, 5), 5, "do not fit 4 channels"),
        ((1, 1, 3, 6), 6, "do not fit 4 channels"),
        ((1, 1, 2, 6), 2, "must be .height"),
    ):
        with pytest.raises(GraphError, match=words):
            make_node("y", "conv2d", [image], attrs={**conv, "kernel": constant(1, *k), "bias": constant(1, b)})


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
