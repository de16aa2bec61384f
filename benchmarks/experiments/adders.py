"""Constant matrices and networks as adder graphs: hwq against da4ml and against unshared signed-digit trees.

Matrices go through each solver in a process of its own (CPU seconds, peak memory). Networks are lowered three times: by hwq
with sums of three operands and of two, and with da4ml's solutions in the place of hwq's own, which add two; then through the same emitter
and the same Yosys script. All get exact bounds on every wire, which da4ml by itself does not have; so the LUT ratios are on its side.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from benchmarks.common.environments import DA4ML
from benchmarks.common.experiment import Context, Experiment, NoSettings
from benchmarks.common.fronts import CASES
from benchmarks.common.processes import WORKERS, Program
from benchmarks.common.row import Peer, Row, at_most
from benchmarks.common.synthesis import Made, design, resources
from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.ir import Constant, Graph, Node, make_node, parse, verify
from hwq.passes import optimise
from hwq.passes.adders import AdderOptions, da4ml
from hwq.passes.adders.problem import Problem, Solution
from hwq.run.directory import RunDir

EXPERIMENT = Experiment(
    "Adders, LUTs and solving time of constant matrices and networks beside da4ml",
    cpu=("80 min", "5 min"),
    settings=NoSettings(),
    tools=("yosys",),
)
RATIO = "LUT + inverters / da4ml"
ADDERS_BAR, LUT_MEAN_BAR, LUT_WORST_BAR = 1.02, 0.65, 0.90
TABLES_BAR = 1.03
TWO_BAR, TWO_FF_BAR = 0.72, 0.90  # LUT, and flip-flops at the same clock, of rows of three to those of two
TWO = "two operands"


@dataclass(frozen=True, slots=True)
class Matrix:
    """A random constant matrix and its bars. `low`, `high` bound every input."""

    name: str
    make: Callable[[], np.ndarray]
    low: int = -128
    high: int = 127
    cpu_s: float | None = None
    peak_mb: float | None = None
    quick: bool = True


def trained_like(n: int, seed: int = 0) -> np.ndarray:
    """73 % zeros, 4 bits: what per-weight training leaves."""
    rng = np.random.default_rng(seed)
    kernel = rng.integers(-8, 8, (n, n))
    return np.where(rng.random((n, n)) < 0.73, 0, kernel)


def dense(n: int, bits: int = 4, seed: int = 1, zeros: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    kernel = rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), (n, n))
    return np.where(rng.random((n, n)) < zeros, 0, kernel)


MATRICES = (
    Matrix("64x64 trained-like", lambda: trained_like(64), cpu_s=0.5),
    Matrix("64x64 dense 4 bit", lambda: dense(64), cpu_s=0.5, quick=False),
    Matrix("256x256 trained-like", lambda: trained_like(256), cpu_s=10, peak_mb=300, quick=False),
    Matrix("128x128 dense 4 bit", lambda: dense(128), cpu_s=10, quick=False),
)

# Small enough for Yosys in minutes.
SYNTHESISED = (MATRICES[0], Matrix("32x32 dense 4 bit", lambda: dense(32), -8, 7, quick=False))


def network(sizes: tuple[int, ...], seed: int) -> Graph:
    """A perceptron as training with per-weight bits leaves it: 0 to 6 bits a weight, most of them none, 2 to 6 bits an activation."""
    rng = np.random.default_rng(seed)
    nodes: list[Node] = [make_node("x", "input", type=TypeArray.of(1, rng.integers(4, 9, sizes[0]), 4))]
    for k, (n, m) in enumerate(itertools.pairwise(sizes)):
        bits = np.maximum(rng.integers(-6, 7, (n, m)), 0)
        kernel = np.where(bits > 0, rng.integers(-(1 << 20), 1 << 20, (n, m)) >> (21 - np.maximum(bits, 1)), 0)
        frac = rng.integers(2, 6, (n, m))
        weights = Constant(kernel, TypeArray.of(1, np.where(kernel == 0, 0, 7), frac))
        bias = Constant(rng.integers(-32, 32, m), TypeArray.of(1, np.full(m, 6), 5))
        nodes.append(make_node(f"dense_{k}", "dense", [nodes[-1]], attrs={"kernel": weights, "bias": bias}))
        if k < len(sizes) - 2:
            nodes.append(make_node(f"relu_{k}", "relu", [nodes[-1]]))
            kind = TypeArray.of(np.zeros(m, int), rng.integers(2, 7, m), rng.integers(1, 4, m), Rounding.RND, Overflow.SAT)
            nodes.append(make_node(f"quantize_{k}", "quantize", [nodes[-1]], type=kind))
    return optimise(verify(Graph(tuple(nodes), ("x",), (nodes[-1].name,))))


NETWORKS = (((16, 32, 16, 5), 0, True), ((16, 64, 32, 32, 5), 1, False), ((24, 24, 24, 10), 2, False), ((40, 16, 8), 3, False))


def of_matrix(case: Matrix) -> Graph:
    """A graph of one dense layer without bias."""
    kernel = case.make()
    n, m = kernel.shape
    width = max(case.high.bit_length(), (-case.low - 1).bit_length()) + (case.low < 0)
    x = make_node("x", "input", type=TypeArray.of(int(case.low < 0), np.full(n, width), 0))
    weights = Constant(kernel, TypeArray.of(1, np.where(kernel == 0, 0, 8), 0))
    none = Constant(np.zeros(m, np.int64), TypeArray.of(0, np.zeros(m, np.int64), 0))
    return verify(Graph((x, make_node("y", "dense", [x], attrs={"kernel": weights, "bias": none})), ("x",), ("y",)))


@dataclass(frozen=True, slots=True)
class Solved:
    """What da4ml answers: its stages, CPU seconds and peak memory on one thread."""

    stages: list[SimpleNamespace]
    cpu_s: float
    peak_mb: float

    @classmethod
    def of(cls, kernel: np.ndarray, low: Sequence[int], high: Sequence[int]) -> Solved:
        """x @ kernel, by default options."""
        given = {"kernel": kernel.tolist(), "low": list(low), "high": list(high)}
        answer = DA4ML.answer("da4ml_solve.py", given, one_thread=True)
        return cls([SimpleNamespace(**stage) for stage in answer["stages"]], answer["cpu_s"], answer["peak_mb"])


def by_da4ml(problem: Problem) -> Solution:
    """A problem solved in da4ml's own environment."""
    kernel, rows = da4ml.matrix_of(problem)
    if not kernel.any():
        return da4ml.converted(problem, [])
    solved = Solved.of(kernel.astype(int), [problem.low[i] for i in rows], [problem.high[i] for i in rows])
    return da4ml.converted(problem, solved.stages)


def theirs(value: float) -> Peer:
    return Peer(value, DA4ML.name, DA4ML.version)


@EXPERIMENT.part
def matrices(context: Context[NoSettings]) -> Iterator[Row]:
    """Adders of random matrices, and the CPU time and memory to find them."""
    for case in MATRICES:
        if case.quick or not context.quick:
            yield from _matrix_rows(case)


def _matrix_rows(case: Matrix) -> Iterator[Row]:
    kernel = case.make()
    given = {"kernel": kernel.tolist(), "low": case.low, "high": case.high}
    mine = Program(WORKERS / "hwq_solve.py").ask(given=given)
    peer = Solved.of(kernel, [case.low] * len(kernel), [case.high] * len(kernel))
    count = sum(op[2] in (0, 1) for stage in peer.stages for op in stage.ops)
    yield Row("adders", case.name, "adders / da4ml", mine["adders"] / count, "x", theirs(1.0), at_most(ADDERS_BAR))
    yield Row("adders", case.name, "adders", mine["adders"], "", theirs(count))
    yield Row("adders", case.name, "solve, CPU", mine["cpu_s"], "s", theirs(peer.cpu_s), at_most(case.cpu_s))
    yield Row("adders", case.name, "solve, peak memory", mine["peak_mb"], "MB", theirs(peer.peak_mb), at_most(case.peak_mb))


@EXPERIMENT.part
def networks(context: Context[NoSettings]) -> Iterator[Row]:
    """LUTs of matrices and networks whose adders each solver found, same Yosys script."""
    graphs = [(case.name, of_matrix(case)) for case in SYNTHESISED if case.quick or not context.quick]
    graphs += [
        (f"network {'-'.join(map(str, sizes))}", network(sizes, seed)) for sizes, seed, q in NETWORKS if q or not context.quick
    ]
    for name, graph in graphs:
        mine = resources(name, graph, AdderOptions(), tables=True, three=True)
        before = resources(name, graph, AdderOptions(), tables=True)
        peer, trees = (resources(name, graph, options) for options in (AdderOptions(by_da4ml), AdderOptions("naive")))
        yield Row("adders", name, RATIO, mine.lut / peer.lut, "x", theirs(1.0), at_most(LUT_WORST_BAR))
        yield Row("adders", name, "LUT without inverters / da4ml", mine.plain / peer.plain, "x", theirs(1.0))
        yield Row("adders", name, "flip-flops / da4ml", mine.ff / peer.ff, "x", theirs(1.0))
        yield Row("adders", name, "LUT + inverters", mine.lut, "LUT", theirs(peer.lut))
        yield Row("adders", name, "LUT + inverters of unshared trees", trees.lut, "LUT", theirs(peer.lut))
        yield Row("adders", name, "levels of adders", mine.levels, "", theirs(peer.levels))
        yield Row("adders", name, "latency", mine.latency, "cycles", theirs(peer.latency))
        ratio = mine.lut / before.lut
        yield Row("adders", name, "LUT + inverters / two operands", ratio, "x", Peer(1.0, TWO), at_most(TWO_BAR))
        yield Row("adders", name, "LUT without inverters / two operands", mine.plain / before.plain, "x", Peer(1.0, TWO))
        yield Row("adders", name, "flip-flops / two operands", mine.ff / before.ff, "x", Peer(1.0, TWO), at_most(TWO_FF_BAR))
        yield Row("adders", name, "levels of adders / two operands", mine.levels / before.levels, "x", Peer(1.0, TWO))


@dataclass(frozen=True, slots=True)
class Ratio:
    """A figure of rows of three over that of rows of two, and its bar over all points of a data set."""

    figure: str
    of: Callable[[Made], float]
    limit: float | None = None


RATIOS = (
    Ratio("LUT without inverters", lambda made: made.plain, TWO_BAR),
    Ratio("LUT + inverters", lambda made: made.lut, TWO_BAR),
    Ratio("flip-flops", lambda made: made.ff, TWO_FF_BAR),
    Ratio("levels of adders", lambda made: made.levels),
)
POINTS = 8  # of a training: as many as in the demo
TRAIN = Program(WORKERS / "proof_worker.py", one_thread=True)


@EXPERIMENT.full_part
def trained(context: Context[NoSettings]) -> Iterator[Row]:
    """LUTs and flip-flops of networks that hwq trains, those of the demo among them, with rows of three and of two."""
    for case in CASES.values():
        run = context.work / case.name
        settings = {**case.settings, "seed": 0, "model": case.model, "max_points": POINTS}
        TRAIN.once(run.with_name(f"{case.name}.json"), "train", case.spec, run, json.dumps(settings))
        graphs = [(f"{case.name} {p.id}", verify(parse(p.graph_path.read_text()))) for p in RunDir.open(run).points()]
        yield from _of_two(case.name, [(name, design(name, graph), design(name, graph, "two")) for name, graph in graphs])


def _of_two(name: str, designs: Sequence[tuple[str, Made, Made]]) -> Iterator[Row]:
    """Rows of networks as three and as two make them, and the geometric means."""
    for case, mine, before in designs:
        yield Row("trained", case, "LUT without inverters", mine.plain, "LUT", Peer(before.plain, TWO))
        yield Row("trained", case, "flip-flops", mine.ff, "FF", Peer(before.ff, TWO))
        yield Row("trained", case, "latency", mine.latency, "cycles", Peer(before.latency, TWO))
    for ratio in RATIOS:
        found = [ratio.of(mine) / ratio.of(before) for _, mine, before in designs]
        figure = f"{ratio.figure} / two operands"
        yield Row("trained", name, f"{figure}, geometric mean", _mean(found), "x", Peer(1.0, TWO), at_most(ratio.limit))
        yield Row("trained", name, f"{figure}, worst", max(found), "x", Peer(1.0, TWO))


def _mean(ratios: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


@EXPERIMENT.summary
def over_all(rows: Sequence[Row]) -> Iterator[Row]:
    """The geometric mean of the ratios."""
    ratios = [row.value for row in rows if row.figure == RATIO]
    if ratios:
        yield Row("adders", "all", f"{RATIO}, geometric mean", _mean(ratios), "x", theirs(1.0), at_most(LUT_MEAN_BAR))


# bits of an input and of an activation, magnitude bits of a weight, share of zeros
LOW_BIT = (((16, 16, 5), 1, 2, 0.6), ((16, 16, 5), 2, 2, 0.7), ((16, 24, 5), 2, 2, 0.85), ((16, 24, 5), 3, 3, 0.85))


@EXPERIMENT.part
def tables(context: Context[NoSettings]) -> Iterator[Row]:
    """Networks of so few bits that their functions fit tables, with and without."""
    for seed, (sizes, bits, weight_bits, zeros) in enumerate(LOW_BIT[:2] if context.quick else LOW_BIT):
        name = f"network {'-'.join(map(str, sizes))}, {bits} bits, {zeros:.0%} zeros"
        graph = low_bit_network(sizes, bits, weight_bits, zeros, seed)
        plain, found = (resources(name, graph, AdderOptions(), tables=tables) for tables in (False, True))

        def without(value: float) -> Peer:
            return Peer(value, "without tables")

        figure = "LUT + inverters with tables / without"
        yield Row("tables", name, figure, found.lut / plain.lut, "x", without(1.0), at_most(TABLES_BAR))
        yield Row("tables", name, "LUT + inverters", found.lut, "LUT", without(plain.lut))
        yield Row("tables", name, "flip-flops", found.ff, "FF", without(plain.ff))
        yield Row("tables", name, "latency", found.latency, "cycles", without(plain.latency))


def low_bit_network(sizes: tuple[int, ...], bits: int, weight_bits: int, zeros: float, seed: int) -> Graph:
    """A perceptron with unsigned inputs and activations of `bits` bits."""
    rng = np.random.default_rng(seed)
    nodes = [make_node("x", "input", type=TypeArray.of(0, np.full(sizes[0], bits), 0))]
    for k, (n, m) in enumerate(itertools.pairwise(sizes)):
        kernel = rng.integers(1 - (1 << weight_bits), 1 << weight_bits, (n, m))
        kernel = np.where(rng.random((n, m)) < zeros, 0, kernel)
        weights = Constant(kernel, TypeArray.of(1, np.where(kernel == 0, 0, weight_bits + 1), weight_bits))
        bias = Constant(rng.integers(-4, 4, m), TypeArray.of(1, np.full(m, 4), 2))
        nodes.append(make_node(f"dense_{k}", "dense", nodes[-1:], attrs={"kernel": weights, "bias": bias}))
        if k < len(sizes) - 2:
            nodes.append(make_node(f"relu_{k}", "relu", nodes[-1:]))
            kind = TypeArray.of(0, np.full(m, bits), 1, Rounding.RND, Overflow.SAT)
            nodes.append(make_node(f"quantize_{k}", "quantize", nodes[-1:], type=kind))
    return optimise(verify(Graph(tuple(nodes), ("x",), (nodes[-1].name,))))
