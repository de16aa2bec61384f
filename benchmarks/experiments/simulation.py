"""Simulating one network: hwq's emulator and C-simulation, built and run, beside hls4ml's C++ of it.

The network is 16-64-32-32-5 with random weights of 1 to 5 bits and activations of 4 to 7, every one with a type of its own; hls4ml
has one type a tensor, the narrowest that holds them all. Times are CPU seconds of one thread, so that a busy machine matters less.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.environments import HLS4ML
from benchmarks.common.experiment import BenchmarkError, Context, Experiment, NoSettings
from benchmarks.common.processes import Usage, children_cpu
from benchmarks.common.row import Peer, Row, at_most
from hwq import boards
from hwq.codegen.build import Build, build
from hwq.codegen.cpp_text import ap_type
from hwq.fixed import FixedType, Overflow, Rounding, TypeArray
from hwq.ir import Constant, Graph, Node, make_node, verify
from hwq.sim.csim import compiler_input, csim
from hwq.sim.emulator import emulator
from hwq.sim.reference import evaluate, predict, quantize_inputs
from hwq.sim.vectors import write_rows

EXPERIMENT = Experiment(
    "Building and running hwq's emulator and C-simulation of one network beside hls4ml's C++ of it",
    cpu=("5 min", "20 s"),
    settings=NoSettings(),
    tools=("g++",),
)
SIZES = (16, 64, 32, 32, 5)
EMULATOR_US, EMULATOR_BUILD_S = 0.2, 1.0  # 5 M inferences/s
CSIM_BUILD_S, CSIM_BUILD_MB = 6.0, 400.0


def network(zeros: float, seed: int = 0) -> Graph:
    """A multilayer perceptron with a share `zeros` of its weights absent."""
    rng = np.random.default_rng(seed)
    types = TypeArray.of(1, rng.integers(5, 9, SIZES[0]), rng.integers(1, 4, SIZES[0]), Rounding.RND, Overflow.SAT)
    nodes = [make_node("x", "input", type=types)]
    for number, (n, m) in enumerate(itertools.pairwise(SIZES)):
        bits = rng.integers(1, 6, (n, m))
        kernel = np.where(rng.random((n, m)) < zeros, 0, rng.integers(1, 1 << bits) * rng.choice([-1, 1], (n, m)))
        attrs = {"kernel": _constant(kernel, 6, 5), "bias": _constant(rng.integers(-20, 20, m), 6, 5)}
        nodes.append(make_node(f"dense_{number}", "dense", [nodes[-1]], attrs=attrs))
        if m != SIZES[-1]:
            nodes.append(make_node(f"relu_{number}", "relu", [nodes[-1]]))
            types = TypeArray.of(0, rng.integers(4, 8, m), rng.integers(1, 4, m), Rounding.TRN, Overflow.WRAP)
            nodes.append(make_node(f"q_{number}", "quantize", [nodes[-1]], type=types))
    return verify(Graph(tuple(nodes), ("x",), (nodes[-1].name,)))


def _constant(mantissas: np.ndarray, width: int, frac: int) -> Constant:
    return Constant(mantissas, TypeArray.of(1, np.where(mantissas == 0, 0, width), frac))


def _cases(context: Context[NoSettings]) -> Iterator[tuple[str, Build, dict[str, float] | None, bool]]:
    """(name, build, what hls4ml takes, whether the bars hold); --quick leaves the peer and the sparse network out."""
    for case, zeros in (("dense, 4 256 weights", 0.0), ("70 % zeros", 0.7))[: 1 if context.quick else 2]:
        graph = network(zeros)
        made = build(graph, boards.load("xcvu9p"))
        yield case, made, None if context.quick else hls4ml(graph), zeros == 0.0


def theirs(value: float) -> Peer:
    return Peer(value, HLS4ML.name, HLS4ML.version)


@EXPERIMENT.part
def emulated(context: Context[NoSettings]) -> Iterator[Row]:
    """The emulator: CPU time to build it, and of an inference."""
    for case, made, peer, _ in _cases(context):
        yield from emulator_rows(case, made, peer)


@EXPERIMENT.part
def csimulated(context: Context[NoSettings]) -> Iterator[Row]:
    """The C-simulation of the ap_fixed C++: CPU time and memory to build it, and CPU time of an inference."""
    for case, made, peer, bars in _cases(context):
        yield from csim_rows(case, made, peer, bar=bars)


def emulator_rows(case: str, made: Build, peer: dict[str, float] | None) -> Iterator[Row]:
    """Building and running the emulator, in an empty cache."""
    with tempfile.TemporaryDirectory() as cache, _variable("HWQ_CACHE", cache):
        emulator(*_tiny())  # finds g++ and asks its version, which is kept
        before = children_cpu()
        native = emulator(made.graph, made.circuit)
        build_s = children_cpu() - before
    x = np.random.default_rng(0).normal(size=(200_000, SIZES[0])).astype(np.float32)
    if not (native.predict(x[:2000]) == predict(made.graph, x[:2000])).all():
        raise BenchmarkError(f"{case}: the emulator is not bit-exact")
    times = []
    for _ in range(7):
        began = time.process_time()
        native.predict(x)
        times.append(time.process_time() - began)
    built, each = (theirs(peer["build_cpu_s"]), theirs(1e6 / peer["predict_per_s"])) if peer else (None, None)
    yield Row("emulator", case, "build", build_s, "CPU s", built, at_most(EMULATOR_BUILD_S))
    yield Row("emulator", case, "an inference", min(times) / len(x) * 1e6, "CPU us", each, at_most(EMULATOR_US))


def csim_rows(case: str, made: Build, peer: dict[str, float] | None, *, bar: bool) -> Iterator[Row]:
    """Building the ap_fixed C++ as the C-simulation does, and running it."""
    x = quantize_inputs(made.graph, np.random.default_rng(0).normal(size=(2000, SIZES[0])))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        made.plan.write(folder)
        sources, flags = compiler_input(made.plan.top, folder)
        used = Usage.of(("g++", *flags, *sources, "-o", "program"), folder)
        if not (csim(made, folder, x) == evaluate(made.graph, x)).all():
            raise BenchmarkError(f"{case}: the C-simulation is not bit-exact")
        before = children_cpu()
        write_rows(folder / "rows.dat", x)
        subprocess.run([str(folder / "sim" / "csim"), "rows.dat", "out.dat"], cwd=folder, check=True, capture_output=True)
        run_s = children_cpu() - before
    built, filled = (theirs(peer["build_cpu_s"]), theirs(peer["build_mb"])) if peer else (None, None)
    yield Row("csim", case, "build", used.cpu_s, "CPU s", built, at_most(CSIM_BUILD_S if bar else None))
    yield Row("csim", case, "build", used.peak_mb, "MB", filled, at_most(CSIM_BUILD_MB if bar else None))
    yield Row("csim", case, "an inference", run_s / len(x) * 1e6, "CPU us")


def hls4ml(graph: Graph) -> dict[str, float]:
    """What hls4ml needs to build and run the same network; its answer is kept."""
    given: dict[str, Any] = {"input": ap_type(_widest(graph["x"])), "layers": [], "rows": 20_000}
    for node in graph.nodes:
        if node.op == "dense":
            kernel, bias = node.constant("kernel"), node.constant("bias")
            values = [np.ldexp(c.mantissas.astype(float), -c.types.frac.astype(int)).tolist() for c in (kernel, bias)]
            relu = f"q_{node.name[-1]}"
            activation = ap_type(_widest(graph[relu])) if relu in {n.name for n in graph.nodes} else None
            given["layers"].append(
                {
                    "kernel": values[0],
                    "bias": values[1],
                    "weight": ap_type(FixedType(True, 6, 5)),
                    "result": ap_type(_widest(node)),
                    "relu": activation,
                }
            )
    answer: dict[str, float] = HLS4ML.answer("hls4ml_simulate.py", given)
    return answer


def _widest(node: Node) -> FixedType:
    """One type that holds every element's values."""
    types = [t for t in node.type if t.width]
    frac = max(t.frac for t in types)
    integer = max(t.integer + (not t.signed and any(u.signed for u in types)) for t in types)
    return FixedType(any(t.signed for t in types), integer + frac, frac)


def _tiny() -> tuple[Any, Any]:
    x = make_node("x", "input", type=TypeArray.of(1, [3], 0))
    made = build(verify(Graph((x, make_node("y", "relu", [x])), ("x",), ("y",))), boards.load("xcvu9p"))
    return made.graph, made.circuit


@contextlib.contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before
