"""Random graphs with extreme types, many of them in one design, through every evaluator: integer equality and nothing else.

Steps up to a hundred bits apart, mixed signs, widths of 0 and 1 and around 32 and 64, symmetric saturation of two bits, every op of the
registry. A batch of graphs becomes one graph whose parts share nothing, so that one compilation serves all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from every_op import MODES
from networks import GROWN, Grower

from hwq import boards
from hwq.codegen.build import Form, build
from hwq.fixed import TypeArray
from hwq.fixed.arithmetic import IntArray
from hwq.ir import Constant, Graph, Node, verify
from hwq.passes import optimise
from hwq.passes.lower import lower
from hwq.sim.compare import compare, to_types
from hwq.sim.csim import csim
from hwq.sim.emulator import _fits as fits
from hwq.sim.emulator import emulator
from hwq.sim.netlist import evaluate_mapped
from hwq.sim.reference import evaluate
from hwq.sim.rtlsim import NETLIST, rtlsim
from hwq.tools.yosys import run_script

WIDTHS = (0, 1, 1, 2, 2, 3, 4, 5, 7, 8, 12, 15, 16, 17, 30, 31, 32, 33, 34, 47, 61, 62, 63)
PORT = 60  # bits of an output, at most: ports carry 63


class Extreme(Grower):
    """A grower of graphs whose types have nothing in common."""

    def __init__(self, seed: int, widest: int = 63, spread: int = 100) -> None:
        rounding, overflow = MODES[seed % len(MODES)]
        super().__init__(seed, rounding, overflow)
        self.most = widest
        self.widths = [w for w in WIDTHS if w <= widest]
        # most graphs keep their steps together, so that ranges meet; some tear them apart
        self.spread = int(self.rng.choice([2, 6, 20, spread]))
        self.center = int(self.rng.choice([0, 0, 0, int(self.rng.integers(-spread, spread + 1))]))

    def types(self, shape: tuple[int, ...], *, signed: bool = True, most: int = 63) -> TypeArray:
        widths = [w for w in self.widths if w <= most]
        if self.rng.random() < 0.5:
            widths = [w for w in widths if w <= 8]
        width = self.rng.choice(widths, shape)
        frac = self.center + self.rng.integers(-self.spread, self.spread + 1, shape) // 2
        return TypeArray.of(self.rng.random(shape) < 0.5, width, frac, self.rounding, self.overflow)

    def quantize(self, x: Node) -> Node:
        """To types of which some begin at the steps of x, some at the other end of its range, and some far from both."""
        rounding, overflow = MODES[int(self.rng.integers(len(MODES)))]
        free = self.types(x.shape, most=min(self.most, PORT))
        near = x.type.frac + self.rng.integers(-3, 4, x.shape)
        top = x.type.frac - x.type.width + free.width + self.rng.integers(-2, 3, x.shape)
        far = x.type.frac + self.rng.integers(-100, 101, x.shape)
        frac = np.choose(self.rng.integers(0, 4, x.shape), [free.frac, near, top, far])
        types = TypeArray.of(free.signed, free.width, frac, rounding, overflow)
        return self.append("quantize", [x], types)

    def narrow_enough(self, x: Node, most: int | None = None) -> Node:
        limit = most or self.most
        if int(x.type.width.max(initial=0)) <= limit:
            return x
        y = self.quantize(x)
        if int(y.type.width.max(initial=0)) > limit:
            t = y.type
            y = self.append("quantize", [x], TypeArray.of(t.signed, np.minimum(t.width, limit), t.frac, t.rounding, t.overflow))
        return y

    def constant(self, shape: tuple[int, ...]) -> Constant:
        bits = int(self.rng.choice([1, 2, 3, 4, 8, min(self.most, 31), min(self.most, 54)]))
        low = 0 if self.rng.random() < 0.3 else -(1 << (bits - 1))
        mantissas = self.rng.integers(low, 1 << (bits - 1), shape, endpoint=True)
        mantissas = np.where(self.rng.random(shape) < self.rng.uniform(0, 0.6), 0, mantissas)
        spread = int(self.rng.choice([1, 4, self.spread]))
        frac = self.rng.integers(-spread, spread + 1, shape)
        return Constant(mantissas, TypeArray.of(mantissas < 0, np.where(mantissas == 0, 0, bits + 1), frac))


def extreme_graph(seed: int, widest: int = 63, spread: int = 100) -> Graph:
    """A random graph of one to five operations, the first of them the seed's turn among all; outputs fit a port."""
    g = Extreme(seed, widest, spread)
    shape = tuple(int(n) for n in g.rng.choice([1, 1, 2, 2, 3], 3))
    inputs = 1 + int(g.rng.random() < 0.5)
    for _ in range(inputs):
        g.images.append(g.append("input", [], g.types(shape)))
    for k in range(int(g.rng.integers(1, 6))):
        late = g.images[-3:] if g.rng.random() < 0.8 else g.images
        x = g.narrow_enough(late[int(g.rng.integers(len(late)))])
        op = GROWN[seed % len(GROWN)] if k == 0 else GROWN[int(g.rng.integers(len(GROWN)))]
        y = g.one(x, op)
        if y.type.size <= 16 and int(y.type.width.max(initial=0)) <= 250:
            g.images.append(y)
        else:
            g.nodes = [n for n in g.nodes if n is not y]
    read = {name for node in g.nodes for name in node.inputs}
    names = []
    for node in [n for n in g.nodes if n.name not in read and (n.op != "input" or len(g.nodes) == inputs)]:
        names.append((g.quantize(node) if g.rng.random() < 0.4 else g.narrow_enough(node, PORT)).name)
    return verify(Graph(tuple(g.nodes), tuple(n.name for n in g.nodes if n.op == "input"), tuple(names)))


def merged(graphs: Sequence[Graph]) -> Graph:
    """One graph of all: their inputs and outputs one after the other, the nodes of graph k named g<k>_..."""
    nodes: list[Node] = []
    for k, graph in enumerate(graphs):
        nodes += [n.with_(name=f"g{k}_{n.name}", inputs=tuple(f"g{k}_{i}" for i in n.inputs)) for n in graph.nodes]
    names = [tuple(f"g{k}_{n}" for k, g in enumerate(graphs) for n in getattr(g, part)) for part in ("inputs", "outputs")]
    return verify(Graph(tuple(nodes), *names))


def extreme_rows(graph: Graph, rows: int, seed: int = 0) -> np.ndarray:
    """Mantissas of which a third are codes at the ends of their types and around zero."""
    rng = np.random.default_rng(seed)
    types = [t for name in graph.inputs for t in graph[name].type]
    columns = []
    for t in types:
        free = rng.integers(t.lowest, t.highest, rows, endpoint=True)
        small = rng.integers(max(t.lowest, -3), min(t.highest, 3), rows, endpoint=True)
        ends = rng.choice([t.lowest, t.highest, min(t.lowest + 1, t.highest), max(t.highest - 1, t.lowest), 0], rows)
        columns.append(np.choose(rng.integers(0, 6, rows), [small, ends, free, free, free, free]))
    return np.stack(columns, axis=1).astype(np.int64)


@dataclass(slots=True)
class Tally:
    """How many graphs each evaluator has seen, and how many values were compared."""

    cases: dict[str, int] = field(default_factory=dict)
    values: int = 0

    def __str__(self) -> str:
        return ", ".join(f"{name} {count}" for name, count in self.cases.items()) + f" cases; {self.values} values"


@dataclass(frozen=True, slots=True)
class Batch:
    """Graphs of some seeds, to be proven together."""

    graphs: tuple[Graph, ...]
    whole: Graph
    rows: np.ndarray
    want: IntArray

    @classmethod
    def of(cls, graphs: Sequence[Graph], rows: int) -> Batch:
        whole = merged(graphs)
        x = extreme_rows(whole, rows)
        return cls(tuple(graphs), whole, x, evaluate(whole, x))

    def check(self, name: str, got: IntArray, source: Graph, tally: Tally) -> None:
        result = compare(self.whole, "reference", self.want, name, to_types(got, source, self.whole))
        assert result.mismatches == 0, str(result)
        tally.cases[name] = tally.cases.get(name, 0) + len(self.graphs)
        tally.values += self.want.size


def prove(batch: Batch, folder: Path, tally: Tally, stages: Sequence[str], terms: int = 1) -> None:
    """Compare what the `stages` make of the batch with the reference.

    Args:
        stages: of "circuit", "emulator", "csim", "adders", "rtl", "netlist".
    """
    board = boards.load("xcvu9p")
    made = build(batch.whole, board, form=Form(terms=terms))
    if "netlist" in stages or "rtl" in stages or "csim" in stages:
        made.plan.write(folder)
    batch.check("optimised", evaluate(made.graph, batch.rows), made.graph, tally)

    def adders() -> IntArray:
        other = build(batch.whole, board, form=Form(style="adders"))
        other.plan.write(folder / "adders")
        return csim(other, folder / "adders", batch.rows)

    def netlist() -> IntArray:
        run_script("yosys/synth.ys", cwd=folder, log=folder / "yosys" / "synth.log", outputs=[NETLIST])
        found = evaluate_mapped(made, folder, batch.rows)
        assert found is not None, "no simulator has the cells of this netlist"
        return found

    runs: dict[str, Callable[[], IntArray]] = {
        "lowered": lambda: lower(batch.whole).evaluate(batch.rows),
        "circuit": lambda: made.circuit.evaluate(batch.rows),
        "emulator": lambda: emulator(made.graph, made.circuit).evaluate(batch.rows),
        "csim": lambda: csim(made, folder, batch.rows),
        "adders": adders,
        "rtl": lambda: rtlsim(made, folder, batch.rows),
        "netlist": netlist,
    }
    for name in stages:
        batch.check(name, runs[name](), batch.whole if name == "lowered" else made.graph, tally)


def native(graphs: Sequence[Graph]) -> list[Graph]:
    """Those that the emulator runs as native code: no wire has more than 128 bits."""
    return [g for g in graphs if fits(optimise(g), lower(optimise(g)))]
