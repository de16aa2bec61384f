"""How far the compiler goes: large dense layers, in processes of their own, and an image network of 32x32x3 as a stream."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.common.experiment import Context, Experiment, NoSettings
from benchmarks.common.processes import WORKERS, Program
from benchmarks.common.row import Row, at_most
from hwq import boards
from hwq.codegen.stream import StreamBuild, build_stream
from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.ir import Constant, Graph, Node, make_node, verify
from hwq.sim.compare import to_types
from hwq.sim.csim import csim
from hwq.sim.reference import evaluate
from hwq.sim.rtlsim import rtlsim

EXPERIMENT = Experiment(
    "Compiling dense layers of up to 1024x1024, and an image network of 32x32x3 as a stream",
    cpu=("6 min", "2 min"),
    settings=NoSettings(),
    tools=("g++", "verilator", "yosys"),
)
BOARD = "xcvu9p"
SIZES = (100, 320, 1024)
CPU_S, PEAK_MB, GROWTH = 120.0, 4096.0, 1.2  # the last: CPU time ~ weights to this power at most
FRAMES = 10


def image_network() -> Graph:
    """Three convolutions, each with max pooling, and two dense layers; every weight and channel with a type of its own."""
    rng = np.random.default_rng(0)
    nodes = [make_node("image", "input", type=TypeArray.of(0, np.full((32, 32, 3), 6), 6))]

    def add(op: str, **given: object) -> Node:
        kind = given.pop("type", None)
        node = make_node(f"{op}_{len(nodes)}", op, [nodes[-1]], attrs=given, type=kind)  # type: ignore[arg-type]
        nodes.append(node)
        return node

    def weights(shape: tuple[int, ...], zeros: float) -> Constant:
        return _constant(np.where(rng.random(shape) < zeros, 0, rng.integers(-7, 8, shape)), 4, rng.integers(2, 5, shape))

    def activation() -> None:
        add("relu")
        shape = nodes[-1].shape
        add("quantize", type=TypeArray.of(0, np.full(shape, 4), np.arange(shape[-1]) % 2 + 1, Rounding.RND, Overflow.SAT))

    for outputs in (8, 8, 12):
        place = {"strides": (1, 1), "pads": (1, 1, 1, 1), "dilation": (1, 1), "groups": 1}
        add("conv2d", kernel=weights((3, 3, nodes[-1].shape[2], outputs), 0.5), bias=weights((outputs,), 0.0), **place)
        activation()
        add("max_pool2d", size=(2, 2), strides=(2, 2), pads=(0, 0, 0, 0))
    add("reshape", shape=(math.prod(nodes[-1].shape),))
    for outputs in (16, 10):
        add("dense", kernel=weights((nodes[-1].shape[0], outputs), 0.6), bias=weights((outputs,), 0.0))
        if outputs != 10:
            activation()
    return verify(Graph(tuple(nodes), ("image",), (nodes[-1].name,)))


def _constant(mantissas: np.ndarray, width: int, frac: int | np.ndarray) -> Constant:
    return Constant(mantissas, TypeArray.of(1, np.where(mantissas == 0, 0, width), np.where(mantissas == 0, 0, frac)))


@EXPERIMENT.part
def dense(context: Context[NoSettings]) -> Iterator[Row]:
    """Graph to C++ and Verilog, and how the time grows."""
    found: dict[int, float] = {}
    for n in SIZES[: 2 if context.quick else 3]:
        answer = Program(WORKERS / "scale_worker.py").ask(n)
        found[n] = answer["cpu_s"]
        seconds, memory = (CPU_S, PEAK_MB) if n == SIZES[-1] else (None, None)
        yield Row("scale", f"dense {n}x{n}", "graph to C++ and Verilog", answer["cpu_s"], "CPU s", bar=at_most(seconds))
        yield Row("scale", f"dense {n}x{n}", "peak memory", answer["peak_mb"], "MB", bar=at_most(memory))
    first, last = min(found), max(found)
    power = math.log(found[last] / found[first]) / math.log((last / first) ** 2)
    yield Row("scale", f"{first**2} to {last**2} weights", "time ~ weights to the power", power, "", bar=at_most(GROWTH))


@EXPERIMENT.part
def stream(context: Context[NoSettings]) -> Iterator[Row]:
    """The image network: differences in C-simulation and RTL, and clocks for a frame."""
    graph, frames = image_network(), 2 if context.quick else FRAMES
    x = np.random.default_rng(1).integers(0, 64, (frames, 32 * 32 * 3))
    want = evaluate(graph, x)
    made = build_stream(graph, boards.load(BOARD))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        made.plan.write(folder)
        for name, run in (("csim", csim), ("RTL", rtlsim)):
            wrong = int((to_types(run(made, folder, x), made.graph, graph) != want).sum())
            yield Row("stream", "CNN 32x32x3", f"differences, {name}, {frames} frames", wrong, "", bar=at_most(0))
        clocks = [_clocks(made, folder, x[:n]) for n in (frames // 2, frames)]
    # two runs apart: what filling and draining the pipeline take is in both
    each = (clocks[1] - clocks[0]) / (frames - frames // 2) / (32 * 32)
    yield Row("stream", "CNN 32x32x3", "clocks of a further frame / pixels, RTL", each, "", bar=at_most(1.0))


def _clocks(made: StreamBuild, folder: Path, x: np.ndarray) -> int:
    """Clocks that the RTL takes for these frames."""
    rtlsim(made, folder, x)
    return int((folder / "sim" / "rtl.log").read_text().split()[0])
