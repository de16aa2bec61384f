"""Serial and folded designs beside the parallel form: LUTs, flip-flops, block memories and clocks, through the same Yosys script."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from benchmarks.common.experiment import Context, Experiment, NoSettings
from benchmarks.common.row import Peer, Row, at_most
from benchmarks.common.synthesis import BOARD, synthesised
from benchmarks.experiments.adders import network
from hwq import boards
from hwq.codegen.build import Build, build
from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.ir import Constant, Graph, make_node, verify
from hwq.reports.types import Resources
from hwq.sim.reference import evaluate
from hwq.sim.routed import random_inputs
from hwq.styles.mac import model as mac_model
from hwq.styles.mac.style import Mac
from hwq.styles.serial import model
from hwq.styles.serial.style import Serial

EXPERIMENT = Experiment(
    "LUTs and clocks of serial and folded designs, beside the parallel form",
    cpu=("35 min", "2 min"),
    settings=NoSettings(),
    tools=("yosys",),
)
LAYER_LUT, LAYER_INTERVAL, SHARE, INTERVAL = 1900, 13, 0.45, 16  # the bars
ROWS = 1000
PART = "pynq-z2"
CODER, CODER_INTERVAL = (640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640), 4096
FOLDED = (256, 128), (4096, 1024, 256)  # a layer, and its intervals
NETWORKS = ((16, 64, 32, 32, 5), 1), ((64, 32, 16, 10), 4)


def layer(inputs: int = 64, outputs: int = 32) -> Graph:
    """Three of four weights zero, 4-bit weights and activations, ReLU and saturation."""
    rng = np.random.default_rng(0)
    kernel = rng.integers(-7, 8, (inputs, outputs))
    kernel = np.where(rng.random(kernel.shape) < 0.75, 0, kernel)
    x = make_node("x", "input", type=TypeArray.of(0, np.full(inputs, 4), 0))
    weights = Constant(kernel, TypeArray.of(1, np.where(kernel == 0, 0, 4), 0))
    none = Constant(np.zeros(outputs, np.int64), TypeArray.of(0, np.zeros(outputs, np.int64), 0))
    dense = make_node("y", "dense", [x], attrs={"kernel": weights, "bias": none})
    relu = make_node("r", "relu", [dense])
    narrow = make_node("q", "quantize", [relu], type=TypeArray.of(0, np.full(outputs, 4), -4, Rounding.TRN, Overflow.SAT))
    return verify(Graph((x, dense, relu, narrow), ("x",), ("q",)))


def trained_like(sizes: tuple[int, ...], seed: int = 0) -> Graph:
    """Dense layers with ReLU and saturation: weights normal and rounded to 6 bits, the smaller half of them zero; 6-bit activations."""
    rng = np.random.default_rng(seed)
    nodes = [make_node("x", "input", type=TypeArray.of(1, np.full(sizes[0], 8), 5))]
    for k, (n, m) in enumerate(itertools.pairwise(sizes)):
        kernel = np.clip(np.rint(rng.normal(size=(n, m)) * 13), -31, 31).astype(np.int64)
        kernel.ravel()[np.argsort(np.abs(kernel + rng.normal(size=kernel.shape) * 1e-3).ravel())[: kernel.size // 2]] = 0
        bias = rng.integers(-100, 100, m)
        attrs = {
            "kernel": Constant(kernel, TypeArray.of(1, np.where(kernel == 0, 0, 6), 7)),
            "bias": Constant(bias, TypeArray.of(1, np.where(bias == 0, 0, 8), 8)),
        }
        nodes.append(make_node(f"dense_{k}", "dense", [nodes[-1]], attrs=attrs))
        last = k == len(sizes) - 2
        if not last:
            nodes.append(make_node(f"relu_{k}", "relu", [nodes[-1]]))
        types = TypeArray.of(int(last), np.full(m, 8 if last else 6), 5, Rounding.RND, Overflow.SAT)
        nodes.append(make_node(f"q_{k}", "quantize", [nodes[-1]], type=types))
    return verify(Graph(tuple(nodes), ("x",), (nodes[-1].name,)))


def _synthesised(made: Build) -> Resources:
    return synthesised({name: text for name, text in made.plan.files.items() if name.startswith(("rtl/", "yosys/"))})


def _lut(made: Build) -> tuple[float, float]:
    """LUTs with inverters, and flip-flops."""
    found = _synthesised(made)
    return float((found.lut or 0) + (found.inverters or 0)), float(found.ff or 0)


def _rows(case: str, graph: Graph, digits: list[int]) -> Iterator[Row]:
    board = boards.load(BOARD)
    whole, registers = _lut(build(graph, board))
    serial = Serial.of(graph, board)
    rows = random_inputs(serial.optimised, ROWS)
    want = evaluate(serial.optimised, rows)

    def parallel(value: float) -> Peer:
        return Peer(value, "parallel")

    for digit in digits:
        made = serial.build(digit)
        lut, ff = _lut(made)
        differs = int((model.evaluate(serial.machine(digit), rows, (0, 0, 3)) != want).any(axis=1).sum())
        name = f"{case}, serial:{digit}"
        yield Row("styles", name, f"rows of {ROWS} that differ in the model", differs, "", None, at_most(0))
        yield Row("styles", name, "interval", made.interval, "cycles", parallel(1))
        yield Row("styles", name, "latency", made.plan.latency_cycles, "cycles")
        bar = at_most(LAYER_LUT) if case.startswith("layer") and made.interval <= LAYER_INTERVAL and digit == 1 else None
        yield Row("styles", name, "LUT + inverters", lut, "LUT", parallel(whole), bar)
        share = at_most(SHARE) if case.startswith("network") else None
        yield Row("styles", name, "LUT + inverters / parallel", lut / whole, "x", parallel(1.0), share)
        yield Row("styles", name, "flip-flops", ff, "FF", parallel(registers))


@EXPERIMENT.part
def layers(context: Context[NoSettings]) -> Iterator[Row]:
    """The layer of 64 x 32, with every digit that adds less than the parallel form."""
    graph = layer(16, 8) if context.quick else layer()
    serial = Serial.of(graph, boards.load(BOARD))
    digits = [d for d in range(1, serial.word) if serial.adds_less(d)]
    yield from _rows(f"layer {'16x8' if context.quick else '64x32'}", graph, digits[:2] if context.quick else digits)


@EXPERIMENT.part
def networks(context: Context[NoSettings]) -> Iterator[Row]:
    """Networks at an interval of at most 16."""
    for sizes, seed in () if context.quick else NETWORKS:
        graph = network(sizes, seed)
        digit = Serial.of(graph, boards.load(BOARD)).digit_for(INTERVAL)
        yield from _rows(f"network {'-'.join(map(str, sizes))}", graph, [digit])


def _folded(case: str, graph: Graph, interval: int, count: int, fits: bool = False) -> Iterator[Row]:
    """A folded design on a small part; with `fits`, all of it must fit the part."""
    board = boards.load(PART)
    mac = Mac.of(graph, board, interval=interval)
    rows = random_inputs(mac.optimised, count)[:count]
    differs = int((mac_model.evaluate(mac.machine(), rows, (0, 0, 3)) != evaluate(mac.optimised, rows)).any(axis=1).sum())
    made = mac.build()
    found = _synthesised(made)
    name = f"{case}, {made.plan.hardware}"
    yield Row("styles", name, f"rows of {count} that differ in the model", differs, "", None, at_most(0))
    yield Row("styles", name, "interval", made.interval, "cycles", None, at_most(interval))
    yield Row("styles", name, "latency", made.plan.latency_cycles, "cycles")
    for what, unit, used, there in (
        ("LUT + inverters", "LUT", (found.lut or 0) + (found.inverters or 0), board.lut),
        ("flip-flops", "FF", found.ff or 0, board.ff),
        ("block memories", "BRAM36", found.bram36 or 0, board.bram36),
        ("DSP", "DSP", found.dsp or 0, board.dsp),
    ):
        yield Row("styles", name, what, float(used), unit, Peer(there, PART), at_most(there) if fits else None)
    counted = float(made.features["mac_blocks"]) if made.features else 0.0
    yield Row(
        "styles", name, "block memories, counted before synthesis", counted, "BRAM36", Peer(float(found.bram36 or 0), "Yosys")
    )


@EXPERIMENT.part
def folded(context: Context[NoSettings]) -> Iterator[Row]:
    """A dense layer, half of its weights zero, at several intervals."""
    sizes, intervals = ((24, 16), (64,)) if context.quick else FOLDED
    for interval in intervals:
        yield from _folded(f"layer {'x'.join(map(str, sizes))}", trained_like(sizes), interval, 128)


@EXPERIMENT.part
def autoencoder(context: Context[NoSettings]) -> Iterator[Row]:
    """270 000 weights on a part with 53 200 look-up tables."""
    sizes = (32, 16, 4, 16, 32) if context.quick else CODER
    yield from _folded(f"auto-encoder {'-'.join(map(str, sizes))}", trained_like(sizes), CODER_INTERVAL, 64, fits=True)
