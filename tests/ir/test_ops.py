"""What each operation means, against plain NumPy on the real values (small widths: float64 is exact), and what each refuses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from networks import random_constant, random_rows

from hwq.errors import GraphError
from hwq.fixed import Overflow, Rounding, TypeArray, to_float
from hwq.ir import Attr, Circuit, Constant, Graph, Node, Opcode, make_node, parse, text, verify
from hwq.passes import narrow, optimise
from hwq.passes.lower import lower
from hwq.passes.pipeline import pipeline, register_bits
from hwq.sim.reference import evaluate

ROWS = 50


def floats(constant: Constant) -> np.ndarray:
    return to_float(constant.mantissas, constant.types.frac)


def random_input(rng: np.random.Generator, shape: tuple[int, ...], name: str = "x") -> Node:
    """Every element with its own sign, width (0 to 6) and step."""
    types = TypeArray.of(rng.integers(0, 2, shape), rng.integers(0, 7, shape), rng.integers(-2, 4, shape))
    return make_node(name, "input", type=types)


def check(inputs: list[Node], op: str, want: Callable[..., np.ndarray], **attrs: Attr) -> None:
    """`op` on random rows equals `want`, a function of float arrays (rows, *shape); so does its circuit."""
    node = make_node("y", op, inputs, attrs=attrs)
    graph = verify(Graph((*inputs, node), tuple(n.name for n in inputs), ("y",)))
    assert text(parse(text(graph))) == text(graph)
    x = random_rows(graph, ROWS)
    parts = np.split(x, np.cumsum([n.type.size for n in inputs])[:-1], axis=1)
    values = [to_float(p.reshape(-1, *n.shape), n.type.frac) for p, n in zip(parts, inputs, strict=True)]
    mantissas = evaluate(graph, x)
    got = to_float(mantissas, node.type.frac.ravel()).reshape(ROWS, *node.shape)
    assert (got == want(*values)).all()
    assert (lower(graph).evaluate(x) == mantissas).all()


@pytest.mark.parametrize(
    ("shape", "kernel", "strides", "pads", "dilation", "groups"),
    [
        ((5, 4, 3), (3, 3, 3, 2), (1, 1), (1, 1, 1, 1), (1, 1), 1),
        ((6, 5, 2), (2, 3, 2, 3), (2, 1), (0, 1, 2, 0), (1, 1), 1),
        ((7, 7, 1), (3, 2, 1, 2), (1, 2), (0, 0, 0, 0), (3, 2), 1),
        ((4, 4, 4), (3, 3, 2, 6), (1, 1), (2, 0, 1, 1), (1, 1), 2),
        ((1, 6, 3), (1, 3, 1, 6), (1, 1), (0, 0, 1, 1), (1, 1), 3),
    ],
)
def test_conv2d(
    shape: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    pads: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
) -> None:
    rng = np.random.default_rng(1)
    k, b = random_constant(rng, kernel), random_constant(rng, kernel[3:], zeros=0.2)

    def want(x: np.ndarray) -> np.ndarray:
        x = np.pad(x, ((0, 0), pads[:2], pads[2:], (0, 0)))
        kh, kw, each, outputs = kernel
        reach = (dilation[0] * (kh - 1) + 1, dilation[1] * (kw - 1) + 1)
        size = [(x.shape[1 + a] - reach[a]) // strides[a] + 1 for a in range(2)]
        y = np.zeros((len(x), *size, outputs))
        for i, j, o in np.ndindex(*size, outputs):
            group = o // (outputs // groups)
            rows = slice(i * strides[0], i * strides[0] + reach[0], dilation[0])
            columns = slice(j * strides[1], j * strides[1] + reach[1], dilation[1])
            window = x[:, rows, columns, group * each : (group + 1) * each]
            y[:, i, j, o] = (window * floats(k)[..., o]).sum(axis=(1, 2, 3)) + floats(b)[o]
        return y

    attrs = {"strides": strides, "pads": pads, "dilation": dilation, "groups": groups}
    check([random_input(rng, shape)], "conv2d", want, kernel=k, bias=b, **attrs)


@pytest.mark.parametrize(
    ("equation", "shape", "kernel", "out"),
    [
        ("ab,bc->ac", (3, 4), (4, 2), (3, 2)),
        ("abc,cd->abd", (2, 3, 4), (4, 2), (2, 3, 2)),
        ("abc,acd->abd", (2, 3, 4), (2, 4, 2), (2, 3, 2)),
        ("abc,cb->ca", (2, 3, 4), (4, 3), (4, 2)),
        ("ab,ab->", (3, 2), (3, 2), ()),
        ("ab,c->cb", (3, 2), (4,), (4, 2)),
        ("a,ab->b", (4,), (4, 3), (3,)),
    ],
)
def test_einsum(equation: str, shape: tuple[int, ...], kernel: tuple[int, ...], out: tuple[int, ...]) -> None:
    rng = np.random.default_rng(2)
    k, b = random_constant(rng, kernel), random_constant(rng, out)
    left, right = equation.split("->")
    batched = f"Z{left}->Z{right}"
    check(
        [random_input(rng, shape)],
        "einsum",
        lambda x: np.einsum(batched, x, floats(k)) + floats(b),
        equation=equation,
        kernel=k,
        bias=b,
    )


def pooled(x: np.ndarray, size: tuple[int, ...], strides: tuple[int, ...], pads: tuple[int, ...], empty: float) -> np.ndarray:
    """Windows of a padded image: (rows, height, width, channels, window)."""
    x = np.pad(x, ((0, 0), pads[:2], pads[2:], (0, 0)), constant_values=empty)
    rows, columns = ((x.shape[1 + a] - size[a]) // strides[a] + 1 for a in range(2))
    cut = [
        x[:, i : i + (rows - 1) * strides[0] + 1 : strides[0], j : j + (columns - 1) * strides[1] + 1 : strides[1]]
        for i, j in np.ndindex(*size)
    ]
    return np.stack(cut, axis=-1)


@pytest.mark.parametrize("op", ["max_pool2d", "sum_pool2d"])
@pytest.mark.parametrize(
    ("size", "strides", "pads"),
    [
        ((2, 2), (2, 2), (0, 0, 0, 0)),
        ((3, 2), (1, 2), (1, 1, 1, 0)),
        ((5, 4), (1, 1), (0, 0, 0, 0)),
        ((1, 3), (2, 1), (0, 0, 2, 1)),
    ],
)
def test_pools(op: str, size: tuple[int, ...], strides: tuple[int, ...], pads: tuple[int, ...]) -> None:
    def want(x: np.ndarray) -> np.ndarray:
        if op == "sum_pool2d":
            return pooled(x, size, strides, pads, 0.0).sum(axis=-1)
        return pooled(x, size, strides, pads, -np.inf).max(axis=-1)

    check([random_input(np.random.default_rng(3), (5, 4, 3))], op, want, size=size, strides=strides, pads=pads)


@pytest.mark.parametrize(
    ("op", "want"),
    [
        ("add", np.add),
        ("subtract", np.subtract),
        ("multiply", np.multiply),
        ("maximum", np.maximum),
        ("minimum", np.minimum),
    ],
)
def test_pairs(op: str, want: Callable[..., np.ndarray]) -> None:
    rng = np.random.default_rng(4)
    check([random_input(rng, (4, 5), "a"), random_input(rng, (4, 5), "b")], op, want)


def test_a_square_is_never_negative() -> None:
    x = make_node("x", "input", type=TypeArray.of(1, [4, 1, 7], 0))
    square = make_node("y", "multiply", [x, x])
    assert square.type == TypeArray.of(0, [7, 1, 13], 0)
    assert verify(Graph((x, square), ("x",), ("y",)))


def test_constants_by_element() -> None:
    rng = np.random.default_rng(5)
    c = random_constant(rng, (3, 4), bits=5, zeros=0.3)
    check([random_input(rng, (3, 4))], "scale", lambda x: x * floats(c), factor=c)
    check([random_input(rng, (3, 4))], "bias", lambda x: x + floats(c), bias=c)


@pytest.mark.parametrize("shift", [0, 1, 3])
def test_leaky_relu(shift: int) -> None:
    check([random_input(np.random.default_rng(6), (20,))], "leaky_relu", lambda x: np.maximum(x, x * 2.0**-shift), shift=shift)


def test_wiring() -> None:
    rng = np.random.default_rng(7)
    a, b, c = (random_input(rng, (2, n, 3), name) for n, name in ((4, "a"), (1, "b"), (4, "c")))
    check([a], "permute", lambda x: x.transpose(0, 3, 1, 2), dims=(2, 0, 1))
    check([a], "reshape", lambda x: x.reshape(-1, 8, 3), shape=(8, 3))
    check([a], "pad", lambda x: np.pad(x, ((0, 0), (1, 0), (0, 2), (0, 0))), pads=(1, 0, 0, 2, 0, 0))
    check([a, b, c], "concatenate", lambda *x: np.concatenate(x, axis=2), axis=1)
    check([a, c], "concatenate", lambda *x: np.concatenate(x, axis=3), axis=-1)
    check([b], "concatenate", lambda x: x, axis=0)
    check([a], "take", lambda x: x[:, ::-1].reshape(-1, 24), index=(*range(12, 24), *range(12)), shape=(24,))
    check(
        [a],
        "take",
        lambda x: np.repeat(x, 2, axis=1),
        index=(*range(12), *range(12), *range(12, 24), *range(12, 24)),
        shape=(4, 4, 3),
    )
    both = np.arange(30).reshape(10, 3)
    places = np.concatenate([both[8:9], both[0:1], np.full((1, 3), -1)])
    check(
        [a, b],
        "take",
        lambda x, y: np.stack([y[:, 0, 0], x[:, 0, 0], np.zeros_like(x[:, 0, 0])], axis=1),
        index=tuple(int(n) for n in places.ravel()),
        shape=(3, 3),
    )


def table_graph(rng: np.random.Generator, x: Node) -> Graph:
    codes = int((x.type.highest - x.type.lowest + 1).max())
    values = random_constant(rng, (3, codes), bits=6, zeros=0.2)
    table = make_node("y", "table", [x], attrs={"values": values, "index": tuple(int(i) for i in rng.integers(0, 3, x.type.size))})
    return verify(Graph((x, table), ("x",), ("y",)))


def test_table() -> None:
    rng = np.random.default_rng(8)
    graph = table_graph(rng, random_input(rng, (3, 4)))
    x, node = random_rows(graph, 300), graph["y"]
    values, index = floats(node.constant("values")), node.attrs["index"]
    lowest = graph["x"].type.lowest.ravel()
    want = np.stack([values[row, (x[:, e] - lowest[e]).astype(int)] for e, row in enumerate(index)], axis=1)  # type: ignore[arg-type]
    assert (to_float(evaluate(graph, x), node.type.frac.ravel()) == want).all()
    assert (lower(graph).evaluate(x) == evaluate(graph, x)).all()


def test_a_table_follows_its_input() -> None:
    """An input whose range shrinks gets a shorter table with the same values."""
    rng = np.random.default_rng(9)
    x = make_node("x", "input", type=TypeArray.of(0, np.full(4, 3), 0))
    wide = make_node("q", "quantize", [x], type=TypeArray.of(1, np.full(4, 8), 1, Rounding.RND, Overflow.SAT))
    codes = Constant(rng.integers(-9, 9, (2, 256)), TypeArray.of(1, np.full((2, 256), 5), 2))
    table = make_node("y", "table", [wide], attrs={"values": codes, "index": (0, 1, 1, 0)})
    graph = verify(Graph((x, wide, table), ("x",), ("y",)))
    small = narrow(graph)
    assert small["y"].constant("values").shape == (2, 16)
    rows = np.array(np.meshgrid(*[range(8)] * 4)).reshape(4, -1).T
    frac = [g["y"].type.frac for g in (graph, small)]
    assert (to_float(evaluate(graph, rows), frac[0]) == to_float(evaluate(small, rows), frac[1])).all()


def test_equal_tables_are_kept_once_and_unread_ones_not_at_all() -> None:
    rng = np.random.default_rng(10)
    x = make_node("x", "input", type=TypeArray.of(1, [4, 4, 4], 0))
    row = rng.integers(1, 9, 16)
    values = Constant(np.stack([row, row, rng.integers(1, 9, 16)]), TypeArray.of(0, np.full((3, 16), 4), 2))
    table = make_node("y", "table", [x], attrs={"values": values, "index": (0, 1, 0)})
    small = optimise(verify(Graph((x, table), ("x",), ("y",))))
    assert small["y"].constant("values").shape == (1, 16) and small["y"].attrs["index"] == (0, 0, 0)
    assert len(lower(small).tables) == 1


@pytest.mark.parametrize("width", [24, 40, 60])
def test_wide_values_stay_exact(width: int) -> None:
    """Sums and products beyond float64 and beyond int64, against Python's integers."""
    rng = np.random.default_rng(11)
    x = make_node("x", "input", type=TypeArray.of(1, np.full((3, 2, 1), width), 3))
    k = Constant(rng.integers(-(1 << 20), 1 << 20, (2, 2, 1, 2)), TypeArray.of(1, np.full((2, 2, 1, 2), 21), 1))
    b = Constant(np.array([5, -3]), TypeArray.of(1, [4, 4], -2))
    attrs = {"kernel": k, "bias": b, "strides": (1, 1), "pads": (0, 0, 0, 0), "dilation": (1, 1), "groups": 1}
    conv = make_node("conv", "conv2d", [x], attrs=attrs)
    flat = make_node("flat", "reshape", [conv], attrs={"shape": (4,)})
    graph = verify(Graph((x, conv, flat), ("x",), ("flat",)))
    rows = random_rows(graph, 20)
    image = rows.astype(object).reshape(20, 3, 2, 1)
    kernel = k.mantissas.astype(object)
    want = np.zeros((20, 2, 2), object)
    for r, i, o in np.ndindex(20, 2, 2):
        want[r, i, o] = (image[r, i : i + 2, :, 0] * kernel[:, :, 0, o]).sum() + (int(b.mantissas[o]) << 6)
    got = evaluate(graph, rows).astype(object) << (4 - flat.type.frac.astype(object))
    assert (got == want.reshape(20, 4)).all()
    assert (lower(graph).evaluate(rows) == evaluate(graph, rows)).all()


X = make_node("x", "input", type=TypeArray.of(1, np.full((4, 4, 2), 5), 2))
FLAT = make_node("flat", "input", type=TypeArray.of(1, np.full(6, 5), 2))


def zeros(*shape: int) -> Constant:
    return Constant(np.zeros(shape, np.int64), TypeArray.of(0, np.zeros(shape), 0))


CONV: dict[str, Attr] = {
    "kernel": zeros(3, 3, 2, 4),
    "bias": zeros(4),
    "strides": (1, 1),
    "pads": (0, 0, 0, 0),
    "dilation": (1, 1),
    "groups": 1,
}
POOL: dict[str, Attr] = {"size": (2, 2), "strides": (2, 2), "pads": (0, 0, 0, 0)}
EINSUM: dict[str, Attr] = {"equation": "abc,cd->abd", "kernel": zeros(2, 3), "bias": zeros(4, 4, 3)}


@pytest.mark.parametrize(
    ("op", "inputs", "attrs", "why"),
    [
        ("conv2d", [FLAT], CONV, r"\(height, width, channels\), not \(6,\)"),
        ("conv2d", [X], {**CONV, "groups": 2}, "2 groups of 2 channels"),
        ("conv2d", [X], {**CONV, "strides": (0, 1)}, "strides must be 2 integers of at least 1"),
        ("conv2d", [X], {**CONV, "strides": 1}, "strides must be 2 integers"),
        ("conv2d", [X], {**CONV, "pads": (1, 1)}, "pads must be 4 integers"),
        ("conv2d", [X], {**CONV, "dilation": (2, 2)}, "a window of 5 does not fit 4 elements"),
        ("conv2d", [X], {**CONV, "bias": zeros(3)}, "kernel .* and bias"),
        ("conv2d", [X], {k: v for k, v in CONV.items() if k != "groups"}, "has attributes"),
        ("max_pool2d", [X], {**POOL, "pads": (2, 0, 0, 0)}, "nothing but padding"),
        ("max_pool2d", [X], {**POOL, "size": (5, 1)}, "does not fit"),
        ("sum_pool2d", [X], {**POOL, "size": (0, 1)}, "size must be"),
        ("einsum", [X], {**EINSUM, "equation": "abc,cd"}, "is no equation"),
        ("einsum", [X], {**EINSUM, "equation": "abb,bd->abd"}, "is no equation"),
        ("einsum", [X], {**EINSUM, "equation": "abc,cd->abe"}, "is no equation"),
        ("einsum", [X], {**EINSUM, "equation": "...c,cd->...d"}, "is no equation"),
        ("einsum", [X], {**EINSUM, "equation": "ab,cd->ad"}, "gives 2 axes"),
        ("einsum", [X], {**EINSUM, "equation": "abc,ad->bcd"}, "a is both 4 and 2"),
        ("einsum", [X], {**EINSUM, "bias": zeros(3)}, "shape of the result"),
        ("subtract", [X, FLAT], {}, "its inputs have shapes"),
        ("multiply", [X], {}, r"reads 2 input\(s\), not 1"),
        ("scale", [X], {"factor": zeros(2)}, "factor has shape"),
        ("bias", [FLAT], {"bias": zeros(2)}, "bias has shape"),
        ("concatenate", [], {"axis": 0}, "at least one input"),
        ("concatenate", [X, FLAT], {"axis": 0}, "differ in more than axis"),
        ("concatenate", [X, X], {"axis": 3}, "none of the 3 axes"),
        ("permute", [X], {"dims": (0, 1, 1)}, "no order of the axes"),
        ("pad", [X], {"pads": (1, 1)}, "pads must be 6 integers"),
        ("reshape", [X], {"shape": (5, 5)}, "cannot reshape"),
        ("take", [FLAT], {"index": (0, 1), "shape": (3,)}, "2 places for a result of shape"),
        ("take", [FLAT], {"index": (0, 6), "shape": (2,)}, "none of the 6 elements"),
        ("take", [FLAT], {"index": (0, -2), "shape": (2,)}, "index must be integers of at least -1"),
        ("take", [FLAT], {"index": (), "shape": (0,)}, "shape must be integers of at least 1"),
        ("leaky_relu", [X], {"shift": -1}, "shift must be an integer of at least 0"),
        ("table", [FLAT], {"values": zeros(1, 31), "index": (0,) * 6}, "has 32 codes, values only 31"),
        ("table", [FLAT], {"values": zeros(1, 32), "index": (1,) * 6}, "one of 1 tables"),
        ("table", [FLAT], {"values": zeros(32), "index": (0,) * 6}, "must be"),
    ],
)
def test_what_does_not_fit_is_refused(op: str, inputs: list[Node], attrs: dict[str, Attr], why: str) -> None:
    with pytest.raises(GraphError, match=why):
        make_node("n", op, inputs, attrs=attrs)


def test_a_table_of_too_many_codes_is_refused() -> None:
    x = make_node("x", "input", type=TypeArray.of(1, [21], 0))
    with pytest.raises(GraphError, match="at most 20"):
        make_node("n", "table", [x], attrs={"values": zeros(1, 2), "index": (0,)})


def product_circuit() -> Circuit:
    a = make_node("a", "input", type=TypeArray.of(1, [8, 3], 2))
    b = make_node("b", "input", type=TypeArray.of(1, [6, 3], 1))
    product = make_node("y", "multiply", [a, b])
    return lower(verify(Graph((a, b, product), ("a", "b"), ("y",))))


def test_a_product_takes_the_stages_of_its_adder_tree() -> None:
    circuit = product_circuit()
    assert circuit.count(Opcode.MUL) == 2
    assert pipeline(circuit, 8).latency == 1
    slow = pipeline(circuit, 1)
    assert slow.latency > 1 and register_bits(slow) > register_bits(pipeline(circuit, 8))
