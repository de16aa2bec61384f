"""Constant matrices and networks as adder graphs: hwq against da4ml and against unshared signed-digit trees.

Matrices go through each solver in a process of its own (CPU seconds, peak memory). Networks are lowered twice, by hwq and
with da4ml's solutions in the place of hwq's own, then through the same emitter and the same Yosys script. Both get exact
bounds on every wire, which da4ml by itself does not have; so the LUT ratios are on its side.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import environments
import numpy as np
from table import Row

from hwq import boards
from hwq.codegen.ports import ports_of
from hwq.codegen.verilog import verilog_files
from hwq.cost.features import circuit_features
from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.ir import Circuit, Constant, Graph, Node, Opcode, make_node, verify
from hwq.passes import optimise
from hwq.passes.adders import AdderOptions, da4ml
from hwq.passes.adders.problem import Problem, Solution
from hwq.passes.cones import tabulate
from hwq.passes.lower import lower
from hwq.passes.pipeline import levels_for, pipeline
from hwq.reports.types import Resources
from hwq.reports.yosys import read_stat
from hwq.sim.reference import evaluate
from hwq.toolchains.scripts import script_files
from hwq.tools.yosys import run_script

BOARD = "xcvu9p"
TOP = "hwq_top"
ADDERS_BAR, LUT_MEAN_BAR, LUT_WORST_BAR = 1.02, 0.97, 1.03


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


def by_da4ml(problem: Problem) -> Solution:
    """A problem solved in da4ml's own environment."""
    kernel, rows = da4ml.matrix_of(problem)
    if not kernel.any():
        return da4ml.converted(problem, [])
    solved = environments.da4ml(kernel.astype(int), [problem.low[i] for i in rows], [problem.high[i] for i in rows])
    return da4ml.converted(problem, solved.stages)


def solved_alone(case: Matrix) -> dict[str, float]:
    """hwq's solver in a fresh process: adders, cost, CPU seconds, peak memory."""
    given = json.dumps({"kernel": case.make().tolist(), "low": case.low, "high": case.high})
    argv = [sys.executable, str(Path(__file__).with_name("hwq_solve.py"))]
    done = subprocess.run(argv, input=given, capture_output=True, text=True, check=True)
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def rows(*, quick: bool) -> Iterator[Row]:
    """All rows, each as soon as it is measured."""
    for case in MATRICES:
        if case.quick or not quick:
            yield from _matrix_rows(case)
    graphs = [(case.name, of_matrix(case)) for case in SYNTHESISED if case.quick or not quick]
    graphs += [(f"network {'-'.join(map(str, sizes))}", network(sizes, seed)) for sizes, seed, q in NETWORKS if q or not quick]
    ratios = []
    for name, graph in graphs:
        mine = resources(name, graph, AdderOptions(), tables=True)
        theirs, trees = (resources(name, graph, options) for options in (AdderOptions(by_da4ml), AdderOptions("naive")))
        ratios.append(mine["lut"] / theirs["lut"])
        yield Row("adders", name, "LUT + inverters / da4ml", ratios[-1], "x", 1.0, LUT_WORST_BAR)
        yield Row("adders", name, "LUT without inverters / da4ml", mine["plain"] / theirs["plain"], "x", 1.0)
        yield Row("adders", name, "flip-flops / da4ml", mine["ff"] / theirs["ff"], "x", 1.0)
        yield Row("adders", name, "LUT + inverters", mine["lut"], "LUT", theirs["lut"])
        yield Row("adders", name, "LUT + inverters of unshared trees", trees["lut"], "LUT", theirs["lut"])
        yield Row("adders", name, "latency", mine["latency"], "cycles", theirs["latency"])
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    yield Row("adders", "all", "LUT + inverters / da4ml, geometric mean", mean, "x", 1.0, LUT_MEAN_BAR)


# bits of an input and of an activation, magnitude bits of a weight, share of zeros
LOW_BIT = (((16, 16, 5), 1, 2, 0.6), ((16, 16, 5), 2, 2, 0.7), ((16, 24, 5), 2, 2, 0.85), ((16, 24, 5), 3, 3, 0.85))


def table_rows(*, quick: bool) -> Iterator[Row]:
    """Networks of so few bits that their functions fit tables, with and without."""
    for seed, (sizes, bits, weight_bits, zeros) in enumerate(LOW_BIT[:2] if quick else LOW_BIT):
        name = f"network {'-'.join(map(str, sizes))}, {bits} bits, {zeros:.0%} zeros"
        graph = low_bit_network(sizes, bits, weight_bits, zeros, seed)
        plain, found = (resources(name, graph, AdderOptions(), tables=tables) for tables in (False, True))
        yield Row("tables", name, "LUT + inverters with tables / without", found["lut"] / plain["lut"], "x", 1.0, LUT_WORST_BAR)
        yield Row("tables", name, "LUT + inverters", found["lut"], "LUT", plain["lut"])
        yield Row("tables", name, "flip-flops", found["ff"], "FF", plain["ff"])
        yield Row("tables", name, "latency", found["latency"], "cycles", plain["latency"])


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


def _matrix_rows(case: Matrix) -> Iterator[Row]:
    kernel = case.make()
    mine = solved_alone(case)
    theirs = environments.da4ml(kernel, [case.low] * len(kernel), [case.high] * len(kernel))
    count = sum(op[2] in (0, 1) for stage in theirs.stages for op in stage.ops)
    yield Row("adders", case.name, "adders / da4ml", mine["adders"] / count, "x", 1.0, ADDERS_BAR)
    yield Row("adders", case.name, "adders", mine["adders"], "", count)
    yield Row("adders", case.name, "solve, CPU", mine["cpu_s"], "s", theirs.cpu_s, case.cpu_s)
    yield Row("adders", case.name, "solve, peak memory", mine["peak_mb"], "MB", theirs.peak_mb, case.peak_mb)


def synthesised(files: Mapping[str, str]) -> Resources:
    """What Yosys makes of files by path, with yosys/synth.ys among them; known files are not run again."""
    digest = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:20]
    stat = environments.cache_folder() / f"yosys-{digest}.json"
    if not stat.is_file():
        with tempfile.TemporaryDirectory() as folder:
            for path, content in files.items():
                target = Path(folder) / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(content)
            run_script("yosys/synth.ys", cwd=Path(folder), log=Path(folder) / "log", outputs=["yosys/stat.json"])
            stat.write_text((Path(folder) / "yosys" / "stat.json").read_text())
    return read_stat(stat)


def resources(name: str, graph: Graph, options: AdderOptions, *, tables: bool = False) -> dict[str, float]:
    """A graph lowered, checked against the reference, pipelined for the default clock, and synthesised; results are kept.

    Args:
        tables: functions of a few bits become tables, as in every design that hwq builds.
    """
    board = boards.load(BOARD)
    circuit = lower(graph, options)
    if tables:
        circuit = tabulate(circuit, board.lut_inputs)
    _check(name, graph, circuit)
    period = board.default_clock
    staged = pipeline(circuit, levels_for(period.ns, board.adder_level_ns, board.overhead_ns))
    files = {**verilog_files(staged, ports_of(graph), TOP), **script_files(TOP, board, period)}
    found = synthesised(files)
    features = circuit_features(staged)
    lut, inverters = float(found.lut or 0), float(found.inverters or 0)
    return {
        "lut": lut + inverters,
        "plain": lut,
        "ff": float(found.ff or 0),
        "latency": features["latency_cycles"],
        "adders": float(circuit.count(Opcode.ADD, Opcode.SUB, Opcode.NEG)),
    }


def _check(name: str, graph: Graph, circuit: Circuit) -> None:
    rng = np.random.default_rng(0)
    low, high = (
        np.concatenate([getattr(graph[n].type, end).ravel() for n in graph.inputs]).astype(int) for end in ("lowest", "highest")
    )
    x = rng.integers(low, high + 1, (500, len(low)))
    if not (circuit.evaluate(x) == evaluate(graph, x)).all():
        sys.exit(f"{name}: the circuit differs from the reference")
