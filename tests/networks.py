"""Random integer networks for tests: dense layers, ReLU, quantise, skip connections, odd widths and steps."""

from __future__ import annotations

import itertools

import numpy as np

from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.ir import Attr, Constant, Graph, Node, make_node, verify


def random_constant(rng: np.random.Generator, shape: tuple[int, ...], bits: int = 4, zeros: float = 0.5) -> Constant:
    """Signed mantissas of `bits` bits at random steps, a share `zeros` of them absent."""
    mantissas = rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), shape)
    mantissas = np.where(rng.random(shape) < zeros, 0, mantissas)
    return Constant(mantissas, TypeArray.of(1, np.where(mantissas == 0, 0, bits), rng.integers(-1, 5, shape)))


def random_types(rng: np.random.Generator, size: int, *, signed: bool, rounding: Rounding, overflow: Overflow) -> TypeArray:
    return TypeArray.of(int(signed), rng.integers(0, 7, size), rng.integers(-1, 5, size), rounding, overflow)


def random_network(
    seed: int,
    sizes: tuple[int, ...] = (8, 6, 4),
    *,
    rounding: Rounding = Rounding.RND,
    overflow: Overflow = Overflow.WRAP,
    skip: bool = False,
) -> Graph:
    """A multilayer perceptron; with `skip`, each hidden layer is followed by an add of two quantised copies of itself."""
    rng = np.random.default_rng(seed)
    types = random_types(rng, sizes[0], signed=True, rounding=Rounding.RND, overflow=overflow)
    nodes = [make_node("x", "input", type=types)]
    for k, (n, m) in enumerate(itertools.pairwise(sizes)):
        attrs = {"kernel": random_constant(rng, (n, m)), "bias": random_constant(rng, (m,))}
        nodes.append(make_node(f"dense_{k}", "dense", [nodes[-1]], attrs=attrs, source=f"layer {k}"))
        if k < len(sizes) - 2:
            nodes.append(make_node(f"relu_{k}", "relu", [nodes[-1]]))
            nodes.append(_quantize(rng, f"q_{k}", nodes[-1], signed=False, rounding=rounding, overflow=overflow))
            if skip:
                other = _quantize(rng, f"s_{k}", nodes[-3], signed=True, rounding=rounding, overflow=overflow)
                nodes += [other, make_node(f"add_{k}", "add", [nodes[-1], other])]
    return verify(Graph(tuple(nodes), ("x",), (nodes[-1].name,)))


def _quantize(rng: np.random.Generator, name: str, source: Node, *, signed: bool, rounding: Rounding, overflow: Overflow) -> Node:
    return make_node(
        name, "quantize", [source], type=random_types(rng, source.type.size, signed=signed, rounding=rounding, overflow=overflow)
    )


class Grower:
    """Grows a random graph of every op, tensor by tensor; shapes stay small, and a quantise keeps widths below some twenty bits."""

    most = 14  # bits of what an op reads

    def __init__(self, seed: int, rounding: Rounding, overflow: Overflow) -> None:
        self.rng = np.random.default_rng(seed)
        self.rounding, self.overflow = rounding, overflow
        self.nodes: list[Node] = []
        self.images: list[Node] = []

    def types(self, shape: tuple[int, ...], *, signed: bool = True, most: int = 6) -> TypeArray:
        width, frac = self.rng.integers(0, most + 1, shape), self.rng.integers(-1, 4, shape)
        return TypeArray.of(self.rng.random(shape) < (0.8 if signed else 0.0), width, frac, self.rounding, self.overflow)

    def constant(self, shape: tuple[int, ...]) -> Constant:
        return random_constant(self.rng, shape, int(self.rng.integers(1, 5)), float(self.rng.uniform(0.1, 0.7)))

    def append(self, op: str, inputs: list[Node], type: TypeArray | None = None, **attrs: Attr) -> Node:
        name = f"{op}_{len(self.nodes)}" if inputs else f"x_{len(self.nodes)}"
        node = make_node(name, op, inputs, attrs=attrs, type=type, source=f"layer {len(self.nodes)}")
        self.nodes.append(node)
        return node

    def quantize(self, x: Node) -> Node:
        return self.append("quantize", [x], self.types(x.shape))

    def narrow_enough(self, x: Node, most: int | None = None) -> Node:
        return self.quantize(x) if int(x.type.width.max(initial=0)) > (most or self.most) else x

    def one(self, x: Node, op: str) -> Node:
        """`op` on the image x (and on others of its shape)."""
        rng = self.rng
        height, width, channels = x.shape
        pads = tuple(int(n) for n in rng.integers(0, 2, 4))
        window = {"size": (1, 2), "strides": (int(rng.integers(1, 3)), 1), "pads": (pads[0], 0, 0, pads[3])}
        if op == "conv2d":
            groups = channels if rng.random() < 0.4 else 1
            kernel = self.constant((2, 1, channels // groups, groups * int(rng.integers(1, 3))))
            rest = {
                "strides": (1, int(rng.integers(1, 3))),
                "pads": (1, pads[1], pads[2], 0),
                "dilation": (1 + pads[3] * (height > 1), 1),
            }
            return self.append(op, [x], kernel=kernel, bias=self.constant(kernel.shape[3:]), groups=groups, **rest)
        if op == "dense":
            m = int(rng.integers(1, 4))
            return self.append(op, [x], kernel=self.constant((channels, m)), bias=self.constant((m,)))
        if op == "einsum":
            choices = (
                ("abc,acd->abd", (height, channels, 2), (height, width, 2)),
                ("abc,bd->cad", (width, 2), (channels, height, 2)),
            )
            equation, kernel, out = choices[int(rng.integers(2))]
            return self.append(op, [x], equation=equation, kernel=self.constant(kernel), bias=self.constant(out))
        if op in ("max_pool2d", "sum_pool2d"):
            if width < 2:
                return x
            return self.append(op, [x], **(window if op == "sum_pool2d" else {**window, "pads": (0, 0, pads[2], pads[3])}))
        if op in ("scale", "bias"):
            return self.append(op, [x], **{"factor" if op == "scale" else "bias": self.constant(x.shape)})
        if op in ("add", "subtract", "multiply", "maximum", "minimum", "concatenate"):
            same = [n for n in self.images if n.shape == x.shape and int(n.type.width.max(initial=0)) <= self.most]
            other = same[int(rng.integers(len(same)))] if same else x
            return self.append(op, [x, other], **({"axis": int(rng.integers(-1, 3))} if op == "concatenate" else {}))
        if op == "permute":
            return self.append(op, [x], dims=tuple(int(d) for d in rng.permutation(3)))
        if op == "pad":
            return self.append(op, [x], pads=tuple(int(n) for n in rng.integers(0, 2, 6)))
        if op == "reshape":
            return self.append(op, [x], shape=(1, height, width * channels))
        if op == "take":
            size = x.type.size
            return self.append(op, [x], index=tuple(int(i) for i in rng.integers(-1, size, height * 6)), shape=(height, 3, 2))
        if op == "leaky_relu":
            return self.append(op, [x], shift=int(rng.integers(0, 4)))
        if op == "table":
            x = self.narrow_enough(x, 8)
            codes = int((x.type.highest - x.type.lowest + 1).max())
            return self.append(
                op, [x], values=self.constant((2, codes)), index=tuple(int(i) for i in rng.integers(0, 2, x.type.size))
            )
        return self.append(op, [x]) if op == "relu" else self.quantize(x)


GROWN = ("conv2d", "dense", "einsum", "max_pool2d", "sum_pool2d", "scale", "bias", "add", "subtract", "multiply", "maximum")
GROWN += ("minimum", "concatenate", "permute", "pad", "reshape", "leaky_relu", "table", "relu", "quantize", "take")


def random_graph(seed: int, rounding: Rounding = Rounding.RND, overflow: Overflow = Overflow.WRAP, ops: int = 8) -> Graph:
    """A random graph of `ops` operations of every kind, with branches: each reads one of the tensors so far, rather a late one."""
    g = Grower(seed, rounding, overflow)
    shape = tuple(int(n) for n in g.rng.integers(1, 4, 3))
    g.images.append(g.append("input", [], g.types(shape, most=5)))
    inputs = ["x_0"]
    if g.rng.random() < 0.5:
        g.images.append(g.append("input", [], g.types(shape, most=5)))
        inputs.append("x_1")
    for _ in range(ops):
        late = g.images[-3:] if g.rng.random() < 0.8 else g.images
        x = g.narrow_enough(late[int(g.rng.integers(len(late)))])
        y = g.one(x, GROWN[int(g.rng.integers(len(GROWN)))])
        if y.type.size <= 40:
            g.images.append(y)
        else:
            g.nodes = [n for n in g.nodes if n is not y]
    read = {name for node in g.nodes for name in node.inputs}
    outputs = [node.name for node in g.nodes if node.name not in read and node.op != "input"] or [g.nodes[-1].name]
    return verify(Graph(tuple(g.nodes), tuple(inputs), tuple(outputs)))


def random_rows(graph: Graph, rows: int, seed: int = 0) -> np.ndarray:
    """Input mantissas (rows, elements), all codes possible, extremes in the first rows."""
    rng = np.random.default_rng(seed)
    low = np.concatenate([graph[n].type.lowest.ravel() for n in graph.inputs]).astype(np.int64)
    high = np.concatenate([graph[n].type.highest.ravel() for n in graph.inputs]).astype(np.int64)
    x = rng.integers(low, high, (rows, len(low)), endpoint=True)
    x[0], x[1] = low, high
    return x
