"""How far the compiler goes: large dense layers, in processes of their own, and an image network of 32x32x3 as a stream.

python benchmarks/scale.py N        one dense layer of N x N, 6-bit weights, half of them zero: CPU seconds and memory
"""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from table import Row

from hwq import boards
from hwq.codegen.build import build
from hwq.codegen.stream import build_stream
from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.ir import Constant, Graph, Node, make_node, verify
from hwq.sim.compare import to_types
from hwq.sim.csim import csim
from hwq.sim.reference import evaluate
from hwq.sim.rtlsim import rtlsim

BOARD = "xcvu9p"
SIZES = (100, 320, 1024)
CPU_S, PEAK_MB, GROWTH = 120.0, 4096.0, 1.2  # the last: CPU time ~ weights to this power at most
FRAMES = 10


def layer(n: int) -> Graph:
    rng = np.random.default_rng(0)
    kernel = np.where(rng.random((n, n)) < 0.5, 0, rng.integers(-32, 32, (n, n)))
    x = make_node("x", "input", type=TypeArray.of(1, np.full(n, 6), 3))
    attrs = {"kernel": _constant(kernel, 6, 5), "bias": _constant(rng.integers(-16, 16, n), 6, 4)}
    return verify(Graph((x, make_node("y", "dense", [x], attrs=attrs)), ("x",), ("y",)))


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


def _constant(mantissas: np.ndarray, width: int, frac: object) -> Constant:
    return Constant(mantissas, TypeArray.of(1, np.where(mantissas == 0, 0, width), np.where(mantissas == 0, 0, frac)))


def dense_rows(*, quick: bool) -> Iterator[Row]:
    """Graph to C++ and Verilog, and how the time grows."""
    found: dict[int, float] = {}
    for n in SIZES[: 2 if quick else 3]:
        done = subprocess.run([sys.executable, __file__, str(n)], capture_output=True, text=True, check=True)
        answer = json.loads(done.stdout)
        found[n] = answer["cpu_s"]
        last = n == SIZES[-1]
        yield Row("scale", f"dense {n}x{n}", "graph to C++ and Verilog", answer["cpu_s"], "CPU s", None, CPU_S if last else None)
        yield Row("scale", f"dense {n}x{n}", "peak memory", answer["peak_mb"], "MB", None, PEAK_MB if last else None)
    first, last = min(found), max(found)
    power = math.log(found[last] / found[first]) / math.log((last / first) ** 2)
    yield Row("scale", f"{first**2} to {last**2} weights", "time ~ weights to the power", power, "", None, GROWTH)


def stream_rows(*, quick: bool) -> Iterator[Row]:
    """The image network: differences in C-simulation and RTL, and clocks for a frame."""
    graph, frames = image_network(), 2 if quick else FRAMES
    x = np.random.default_rng(1).integers(0, 64, (frames, 32 * 32 * 3))
    want = evaluate(graph, x)
    made = build_stream(graph, boards.load(BOARD))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        made.plan.write(folder)
        for name, run in (("csim", csim), ("RTL", rtlsim)):
            wrong = int((to_types(run(made, folder, x), made.graph, graph) != want).sum())
            yield Row("stream", "CNN 32x32x3", f"differences, {name}, {frames} frames", wrong, "", None, 0)
        clocks = int((folder / "sim" / "rtl.log").read_text().split()[0])
    pixels = 32 * 32
    yield Row("stream", "CNN 32x32x3", "clocks between frames / pixels", made.interval / pixels, "", None, 1.0)
    whole = (clocks - made.plan.latency_cycles) / (frames * pixels)
    yield Row("stream", "CNN 32x32x3", f"all clocks of {frames} frames / pixels, without latency", whole, "")


def main(n: int) -> None:
    """One measurement, as JSON."""
    graph = layer(n)
    began = time.process_time() + _children()
    made = build(graph, boards.load(BOARD))
    used = time.process_time() + _children() - began
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
    sys.stdout.write(json.dumps({"cpu_s": used, "peak_mb": peak, "files_mb": sum(map(len, made.plan.files.values())) / 1e6}))


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main(int(sys.argv[1]))
