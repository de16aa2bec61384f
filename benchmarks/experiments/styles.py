"""Serial designs beside the parallel form: LUTs, flip-flops and clocks of each digit, through the same Yosys script."""

from __future__ import annotations

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
from hwq.sim.reference import evaluate
from hwq.sim.routed import random_inputs
from hwq.styles import model
from hwq.styles.serial import Serial

EXPERIMENT = Experiment(
    "LUTs and clocks of serial designs, beside the parallel form",
    cpu=("6 min", "1 min"),
    settings=NoSettings(),
    tools=("yosys",),
)
LAYER_LUT, LAYER_INTERVAL, SHARE, INTERVAL = 1900, 13, 0.45, 16  # the bars
ROWS = 1000
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


def _lut(made: Build) -> tuple[float, float]:
    """LUTs with inverters, and flip-flops."""
    found = synthesised({name: text for name, text in made.plan.files.items() if name.startswith(("rtl/", "yosys/"))})
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
