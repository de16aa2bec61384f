"""Shift training against its bars: products in the design, fine-tuning from float, the step to the hard quantiser, LUTs beside HGQ.

Everything is trained, proven and synthesised through `hwq compare`'s own stage, and goes on from there after a kill.
LUTs at equal accuracy: for validation accuracies evenly between 90 % (of digits) and the highest that both methods reach on a split,
the cheapest point of each that reaches it; the ratio is the geometric mean over these and over the splits. Test accuracies of the
same points are reported beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import mean

import numpy as np

from benchmarks.common.datasets import spec
from benchmarks.common.experiment import Context, Experiment
from benchmarks.common.row import Peer, Row, at_most
from hwq.data import load
from hwq.events import Events
from hwq.fields import Fields, as_json
from hwq.flow.compare.table import CompareRequest, compare
from hwq.run.directory import RunDir, best
from hwq.run.record import Scores
from hwq.views.comparison import Entry, MethodComparison

BOARD = "xcvu9p"
FLOOR = 0.90  # least validation accuracy at which costs are compared
EPOCHS = 15  # of fine-tuning
LUT_BAR, DROP_BAR, JUMP_BAR = 0.77, 1.0, 0.5
POINTERS = ("> *y)", "*y = packed;")


HGQ = Peer(1.0, "HGQ, in hwq")


@dataclass(frozen=True, slots=True)
class Settings:
    """How many splits, and the methods beside HGQ."""

    seeds: int = 5
    methods: tuple[str, ...] = ("shift", "shift:2")


EXPERIMENT = Experiment(
    "Shift training beside HGQ: products, fine-tuning, the step to the hard quantiser, LUTs at equal accuracy",
    cpu=("5 h", "30 min"),
    settings=Settings(),
    quick=Settings(seeds=1, methods=("shift",)),
    tools=("yosys",),
)


def compared(context: Context[Settings]) -> MethodComparison:
    """HGQ and the other methods on digits; made once."""
    methods = ("hgq", *context.settings.methods)
    seeds = tuple(range(context.settings.seeds))
    request = CompareRequest("digits", methods, BOARD, seeds, context.work / "digits", settings={"max_points": 8})
    return compare(request, events=Events(note=context.say))


@EXPERIMENT.part
def fine_tuning(context: Context[Settings]) -> Iterator[Row]:
    """Points of test accuracy that at most 15 epochs from a float network lose: its best point by validation accuracy."""
    from hwq.train import trainer
    from hwq.train.config import TrainConfig

    for data in ("digits", "mnist"):
        drops = []
        for seed in range(context.settings.seeds if data == "digits" else 1):
            dataset, run = load(spec(data), seed=seed), context.work / "fine" / f"{data}-{seed}"
            config = TrainConfig(method="shift", seed=seed, epochs=EPOCHS, random_rows=16)
            trainer.train(dataset, config, run)
            directory = RunDir(run)
            scores = directory.record().scores or Scores()
            drops.append(100 * ((scores.test_accuracy or math.nan) - (best(directory.points()).test_accuracy or math.nan)))
        yield Row("shift", data, f"points lost in {EPOCHS} epochs from float, mean", mean(drops), "", bar=at_most(DROP_BAR))


@EXPERIMENT.part
def hardening(context: Context[Settings]) -> Iterator[Row]:
    """What the step from the soft to the hard quantiser costs, on validation rows."""
    compared(context)
    jumps = []
    for seed in range(context.settings.seeds):
        run = RunDir(context.work / "digits" / f"seed-{seed}" / "shift" / "run")
        found = Fields(as_json(run.record().more), str(run.path / "run.json")).inner("hardening")
        jumps.append(100 * (found.share("soft_val_accuracy") - found.share("hard_val_accuracy")))
    yield Row("shift", "digits", "points lost at hardening, mean", mean(jumps), "", bar=at_most(JUMP_BAR))
    yield Row("shift", "digits", "points lost at hardening, worst", max(jumps), "")


@EXPERIMENT.part
def products(context: Context[Settings]) -> Iterator[Row]:
    """Products in the C++ and multipliers in the netlist, over all points."""
    found = compared(context)
    stars = dsp = 0.0
    for method in found.methods[1:]:
        for seed in range(context.settings.seeds):
            runs = context.work / "digits" / f"seed-{seed}" / method.replace(":", "-")
            for path in runs.glob("run/synth/*/hls/hwq_top.cpp"):
                text = path.read_text()
                for pointer in POINTERS:
                    text = text.replace(pointer, "")
                stars += text.count("*")
            dsp += sum(e.dsp or 0 for e in found.of(method, seed))
    yield Row("shift", "digits", "* in the C++, all points", stars, "", bar=at_most(0))
    yield Row("shift", "digits", "DSP in the netlists, all points", dsp, "", bar=at_most(0))


def cheapest(points: list[Entry], level: float) -> Entry:
    return next(e for e in points if e.val_accuracy >= level)


@EXPERIMENT.part
def equal_accuracy(context: Context[Settings]) -> Iterator[Row]:
    """LUTs of shift over LUTs of HGQ at equal validation accuracy."""
    found = compared(context)
    for method in found.methods[1:]:
        ratios, gains = [], []
        for seed in range(context.settings.seeds):
            top = found.level(method, seed)
            if top is None or top < FLOOR:
                continue
            for level in np.linspace(FLOOR, top, 6):
                mine, reference = (cheapest(found.of(name, seed), float(level)) for name in (method, "hgq"))
                ratios.append(math.log((mine.lut or math.nan) / (reference.lut or math.nan)))
                gains.append(100 * (mine.test_accuracy - reference.test_accuracy))
        yield Row(method, "digits", "LUT / HGQ at equal accuracy", math.exp(mean(ratios)), "x", HGQ, at_most(LUT_BAR))
        yield Row(method, "digits", "test accuracy above HGQ's there", mean(gains), "points")
        for summary in found.summaries():
            if summary.method == method and summary.ratio:
                yield Row(method, "digits", "LUT / HGQ at the best that both reach", summary.ratio.mean, "x", HGQ)
