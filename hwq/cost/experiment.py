"""The designs that `hwq calibrate` measures: small ones that between them span what designs consist of, the same for everybody.

Each belongs to a group of designs that are alike; cross-validation leaves whole groups out. Weights look as training leaves them:
normally distributed, each with a step of its own, so that most are zero where steps are coarse.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.ir import Constant, Graph, Node, make_node, verify
from hwq.tensors import Shape

_SPEED = (0.5, 1.0, 2.0)  # clocks, in multiples of the board's default


@dataclass(frozen=True, slots=True)
class ExperimentDesign:
    """One design to measure.

    Attributes:
        group: which kind of design it is; alike designs have the same.
        number: which of its group; group and number decide the design.
        speed: its clock, as a multiple of the board's default.
        graph: the design.
    """

    group: str
    number: int
    speed: float
    graph: Graph

    @property
    def name(self) -> str:
        return f"{self.group}-{self.number:03d}"


@dataclass(slots=True)
class Maker:
    """Grows a graph node by node from one source of random numbers."""

    rng: np.random.Generator
    nodes: list[Node]

    @classmethod
    def of(cls, group: str, number: int) -> Maker:
        return cls(np.random.default_rng([number, *group.encode()]), [])

    def input(self, shape: Shape, *, most: int = 8, signed: float = 0.5, name: str = "x") -> Node:
        width = self.rng.integers(max(1, most - 4), most + 1, shape)
        types = TypeArray.of(self.rng.random(shape) < signed, width, self.rng.integers(0, 4, shape), Rounding.RND, Overflow.SAT)
        return self._add(make_node(name, "input", type=types))

    def op(self, op: str, *inputs: Node, **attrs: object) -> Node:
        return self._add(make_node(f"{op}_{len(self.nodes)}", op, inputs, attrs=attrs))  # type: ignore[arg-type]

    def quantize(self, x: Node, bits: float, *, overflow: Overflow = Overflow.WRAP, rounding: Rounding = Rounding.RND) -> Node:
        """To about `bits` bits an element: the highest that values reach, or one or two fewer, as calibration on data leaves."""
        need = x.type.width.astype(np.int64) - x.type.frac - x.type.signed  # integer bits
        whole = need - self.rng.integers(0, 3, x.shape)
        width = np.clip(np.rint(self.rng.normal(bits, 0.8, x.shape)), 0, 12).astype(np.int64)
        frac = np.clip(width - whole - x.type.signed, -8, 20)
        types = TypeArray.of(x.type.signed, width, frac, rounding, overflow)
        return self._add(make_node(f"quantize_{len(self.nodes)}", "quantize", [x], type=types))

    def weights(self, shape: Shape, bits: float, zeros: float) -> Constant:
        """Steps such that about a share `zeros` of normal weights rounds to zero and the others have about `bits` bits."""
        w = self.rng.normal(size=shape)
        f = np.rint(self.rng.normal(bits - 1.5, 0.8, shape)).astype(np.int64)
        mantissas = np.rint(w * np.exp2(f)).astype(np.int64)
        mantissas[self.rng.random(shape) < zeros] = 0
        return constant(mantissas, f)

    def dense(self, x: Node, columns: int, bits: float, zeros: float) -> Node:
        kernel = self.weights((x.shape[-1], columns), bits, zeros)
        return self.op("dense", x, kernel=kernel, bias=self.weights((columns,), bits, 0.3))

    def graph(self) -> Graph:
        read = {name for node in self.nodes for name in node.inputs}
        outputs = tuple(node.name for node in self.nodes if node.name not in read)
        return verify(Graph(tuple(self.nodes), tuple(n.name for n in self.nodes if n.op == "input"), outputs))

    def choose(self, *values: float) -> float:
        return float(self.rng.choice(np.array(values)))

    def whole(self, low: int, high: int) -> int:
        """A whole number, evenly over the logarithm."""
        return round(math.exp(self.rng.uniform(math.log(low), math.log(high))))

    def _add(self, node: Node) -> Node:
        self.nodes.append(node)
        return node


def constant(mantissas: npt.NDArray[np.int64], frac: npt.NDArray[np.int64]) -> Constant:
    """Integers worth mantissa * 2^-frac, in the narrowest signed types."""
    width = np.ceil(np.log2(np.abs(mantissas) + 1)).astype(np.int64) + 1
    return Constant(mantissas, TypeArray.of(1, np.where(mantissas == 0, 0, width), frac))


def _matrix(m: Maker) -> None:
    """One product with a matrix, its sums as they are or rounded."""
    rows, columns = m.whole(8, 64), m.whole(4, 32)
    x = m.input((rows,), most=int(m.choose(3, 4, 6, 8)), signed=m.choose(0, 0, 1))
    y = m.dense(x, columns, m.choose(1, 2, 3, 5), m.choose(0, 0.3, 0.6, 0.85))
    if m.rng.random() < 0.7:
        m.quantize(y, m.choose(3, 5, 8), overflow=Overflow.SAT if m.rng.random() < 0.3 else Overflow.WRAP)


def _network(m: Maker) -> None:
    """Layers of a perceptron with relu between."""
    x = m.input((m.whole(12, 64),), most=int(m.choose(4, 6, 8)), signed=m.choose(0, 1))
    overflow = Overflow.SAT if m.rng.random() < 0.3 else Overflow.WRAP
    rounding = Rounding.RND if m.rng.random() < 0.8 else Rounding.TRN
    bits, zeros = m.choose(1, 2, 3, 4), m.choose(0.2, 0.5, 0.7, 0.85)
    for _ in range(int(m.rng.integers(1, 4))):
        y = m.dense(x, m.whole(8, 40), bits, zeros)
        x = m.quantize(m.op("relu", y), m.choose(2, 3, 4, 6), overflow=overflow, rounding=rounding)
    m.dense(x, m.whole(2, 12), bits, zeros / 2)


def _relu(m: Maker) -> None:
    """Sums that are cut to zero below, rounded, and added up again at once."""
    x = m.input((m.whole(12, 40),), most=8)
    y = m.dense(x, m.whole(16, 40), 1.0, 0.8)
    y = m.quantize(m.op("relu", y), m.choose(3, 5, 7), overflow=Overflow.SAT if m.rng.random() < 0.5 else Overflow.WRAP)
    m.dense(y, m.whole(4, 12), 1.0, 0.6)


def _table(m: Maker) -> None:
    """Functions of one number, looked up."""
    functions: tuple[Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]], ...] = (
        np.tanh,
        lambda v: 1 / (1 + np.exp(-v)),
        lambda v: v / (1 + np.exp(-v)),
        np.exp,
        np.sin,
    )
    x = m.input((m.whole(8, 24),), most=int(m.choose(5, 7, 9)), signed=1.0)
    if m.rng.random() < 0.5:
        x = m.quantize(m.dense(x, m.whole(8, 16), 1.5, 0.7), m.choose(5, 7))
    codes = int((x.type.highest - x.type.lowest + 1).max())
    span = np.linspace(-4, 4, codes)
    out = int(m.rng.integers(2, 8))
    rows = np.stack([functions[int(m.rng.integers(len(functions)))](span) for _ in range(4)])
    scaled = np.rint(rows / np.abs(rows).max(axis=1, keepdims=True) * ((1 << out) - 1)).astype(np.int64)
    index = tuple(int(i) for i in m.rng.integers(0, 4, x.type.size))
    m.op("table", x, values=constant(scaled, np.full(scaled.shape, out)), index=index)


def _choice(m: Maker) -> None:
    """Greatest and least of two or more."""
    x = m.input((6, 6, m.whole(1, 3)), most=int(m.choose(4, 6, 10)), signed=m.choose(0, 1))
    if m.rng.random() < 0.7:
        m.op("max_pool2d", x, size=(2, 2), strides=(2, 2), pads=(0, 0, 0, 0))
    else:
        other = m.input(x.shape, most=int(m.choose(4, 6, 10)), signed=m.choose(0, 1), name="y")
        m.op("minimum" if m.rng.random() < 0.5 else "maximum", x, other)


def _clamp(m: Maker) -> None:
    """Wide sums brought to few bits with saturation."""
    x = m.input((m.whole(8, 40),), most=int(m.choose(4, 8, 12)), signed=1.0)
    y = m.dense(x, m.whole(12, 32), m.choose(1, 2, 4), 0.8)
    m.quantize(y, m.choose(3, 5, 7), overflow=Overflow.SAT, rounding=Rounding.RND if m.rng.random() < 0.5 else Rounding.RND_CONV)


def _image(m: Maker) -> None:
    """A convolution, pooled."""
    side, channels = int(m.rng.integers(4, 7)), m.whole(1, 3)
    x = m.input((side, side, channels), most=int(m.choose(3, 6, 8)), signed=m.choose(0, 1))
    kernel = m.weights((3, 3, channels, m.whole(2, 4)), m.choose(1, 2, 3), m.choose(0.4, 0.7))
    bias = m.weights(kernel.shape[3:], 2.0, 0.3)
    rest = {"strides": (1, 1), "pads": (0, 0, 0, 0), "dilation": (1, 1), "groups": 1}
    y = m.quantize(m.op("relu", m.op("conv2d", x, kernel=kernel, bias=bias, **rest)), m.choose(3, 5))
    if m.rng.random() < 0.7:
        pool = "max_pool2d" if m.rng.random() < 0.6 else "sum_pool2d"
        m.op(pool, y, size=(2, 2), strides=(2, 2), pads=(0, 0, 0, 0))


def _product(m: Maker) -> None:
    """Activations times activations."""
    x = m.input((m.whole(8, 20),), most=int(m.choose(3, 5, 8)), signed=m.choose(0, 1))
    y = m.quantize(m.dense(x, x.shape[0], 1.5, 0.6), m.choose(3, 5, 7))
    m.op("multiply", x, y)


_GROUPS: dict[str, tuple[Callable[[Maker], None], int]] = {
    "matrix": (_matrix, 7),
    "network": (_network, 5),
    "relu": (_relu, 2),
    "table": (_table, 2),
    "choice": (_choice, 2),
    "clamp": (_clamp, 2),
    "image": (_image, 2),
    "product": (_product, 2),
}
GROUPS = tuple(_GROUPS)


def trials(count: int) -> Iterator[ExperimentDesign]:
    """The first `count` designs, the same on every call: some of each group early, so that a short budget still spans them all."""
    made = dict.fromkeys(_GROUPS, 0)
    shares = {group: share for group, (_, share) in _GROUPS.items()}
    for _ in range(count):
        group = min(made, key=lambda g: (made[g] + 0.5) / shares[g])
        yield trial(group, made[group])
        made[group] += 1


def trial(group: str, number: int) -> ExperimentDesign:
    """One design of a group; a design that comes out empty is replaced by the next that does not."""
    for attempt in range(100):
        maker = Maker.of(group, 1000 * attempt + number)
        _GROUPS[group][0](maker)
        graph = maker.graph()
        if all(int(graph[name].type.width.max(initial=0)) for name in graph.outputs):
            break
    return ExperimentDesign(group, number, float(maker.rng.choice(_SPEED)), graph)
