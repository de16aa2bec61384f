"""Training against plain Keras and HGQ2 0.2.0: time of a step, first epoch, calibration, fronts, and their hypervolume.

Times are CPU seconds of single processes that run one after another, peers and hwq in turn; the least of three repeats counts.
The hypervolume of a front is the area under its best test accuracy, above that of always naming the most frequent class, over log2 of
the exact EBOPs, between the cheapest and the dearest point of both fronts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.common.datasets import flat, spec
from benchmarks.common.environments import hgq2, installed
from benchmarks.common.experiment import Context, Experiment
from benchmarks.common.processes import WORKERS, Program
from benchmarks.common.row import Bar, Peer, Row, at_least, at_most


@dataclass(frozen=True, slots=True)
class Settings:
    """How often times are measured, and on how many seeds fronts and margins are."""

    repeats: int = 3
    front_seeds: int = 5
    margin_seeds: int = 3


EXPERIMENT = Experiment(
    "Training against plain Keras and HGQ2: step, first epoch, calibration, population, range margins, fronts",
    cpu=("10 h", "2 h"),
    settings=Settings(),
    quick=Settings(repeats=1, front_seeds=1, margin_seeds=1),
)
WORKER = Program(WORKERS / "train_worker.py")


@dataclass(frozen=True, slots=True)
class Front:
    """A data set, the network on it, and how both sides train it; beta and rate are HGQ2's."""

    data: str
    batch: int
    epochs: int
    hidden: tuple[int, ...] = (64, 32)
    beta: tuple[float, float] = (4e-6, 8e-4)
    rate: float = 3e-3


FRONTS = (Front("digits", 64, 882), Front("mnist", 1024, 100))
Ask = Callable[[], dict[str, Any]]


def theirs(value: float, what: str = "") -> Peer:
    return Peer(value, " ".join(filter(None, ("HGQ2", what))), hgq2().version)


def least(runs: Mapping[str, Ask], repeats: int) -> dict[str, dict[str, float]]:
    """Each run repeated, in turn; the least of each figure."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            found[name].append(run())
    return {name: {key: min(one[key] for one in many) for key in many[0]} for name, many in found.items()}


@EXPERIMENT.part
def speed(context: Context[Settings]) -> Iterator[Row]:
    """A step, first epoch and memory of each way to train."""
    peer, data = hgq2().program("hgq2_train.py"), context.work / "rows.npz"
    x = np.random.default_rng(0).normal(size=(33_200 * 5, 16)).astype(np.float32)
    np.savez(data, x_train=x, y_train=np.random.default_rng(1).integers(0, 5, len(x)))
    for batch, steps, fast_bar, fit_bar in ((33_200, 20, 0.8, 1.5), (2_048, 200, 0.4, 1.6)):
        runs: dict[str, Ask] = {path: partial(WORKER.ask, "speed", path, batch, steps) for path in ("plain", "fast", "fit")}
        runs |= {
            "xla": partial(peer.ask, "speed", data, batch, steps, 1),
            "no xla": partial(peer.ask, "speed", data, batch, steps, 0),
        }
        got = least(runs, context.settings.repeats)
        unit = {name: one["step_ms"] / got["plain"]["step_ms"] for name, one in got.items()}
        case, keras = f"batch {batch}", f"x Keras {installed('keras')} fit"
        yield Row("step", case, "fast path", unit["fast"], keras, theirs(unit["xla"], "with XLA"), at_most(fast_bar))
        yield Row("step", case, "fit without XLA", unit["fit"], keras, theirs(unit["no xla"], "without XLA"), at_most(fit_bar))
        if batch == 33_200:
            first, peak = (theirs(got["xla"][key], "with XLA") for key in ("first_epoch_s", "peak_mb"))
            yield Row("step", case, "first epoch", got["fast"]["first_epoch_s"], "CPU s", first, at_most(4))
            yield Row("step", case, "peak memory", got["fast"]["peak_mb"], "MB", peak)


@EXPERIMENT.part
def calibration(context: Context[Settings]) -> Iterator[Row]:
    """Tracing the ranges of 100 000 rows."""
    peer, data = hgq2().program("hgq2_train.py"), context.work / "calibration.npz"
    np.savez(data, x_train=np.random.default_rng(0).normal(size=(100_000, 16)).astype(np.float32))
    runs: dict[str, Ask] = {"hwq": partial(WORKER.ask, "calibrate", 100_000)}
    runs |= {"hgq2": partial(peer.ask, "calibrate", data, 100_000)}
    got = least(runs, context.settings.repeats)
    mine, other = got["hwq"]["calibrate_s"], got["hgq2"]["calibrate_s"]
    yield Row("calibration", "100 000 rows", "ranges", mine, "CPU s", theirs(other), at_most(0.5))


@EXPERIMENT.part
def population(context: Context[Settings]) -> Iterator[Row]:
    """What a front of 8 costs, in single runs of the same epochs."""
    for batch, epochs in ((64, 800), (2048, 400)):
        got = least({"hwq": partial(WORKER.ask, "population", batch, epochs)}, context.settings.repeats)["hwq"]
        apart = Peer(8.0, "8 runs")
        yield Row(
            "population", f"batch {batch}", "8-point front / one run", got["front_s"] / got["one_s"], "x", apart, at_most(2.5)
        )


@EXPERIMENT.part
def margins(context: Context[Settings]) -> Iterator[Row]:
    """Held-out rows that overflow at each range margin, of networks whose ranges come from the training rows alone."""
    for data, epochs in (("digits", 150), ("breast_cancer", 100), ("mnist", 6))[: 2 if context.quick else 3]:
        found = [WORKER.ask("margins", spec(data), seed, epochs) for seed in range(context.settings.margin_seeds)]
        for margin in ("1.0", "1.125", "1.25"):
            share = float(np.mean([one[margin]["overflow"] for one in found]))
            bits = float(np.mean([one[margin]["bits"] / one["1.0"]["bits"] for one in found]))
            yield Row("margins", f"{data}, margin {margin}", "overflow on held-out rows", 100 * share, "% of rows")
            yield Row("margins", f"{data}, margin {margin}", "bits of all activations / margin 1.0", bits, "x")


@EXPERIMENT.part
def wide(context: Context[Settings]) -> Iterator[Row]:
    """A layer of 1 024 inputs with default settings: it keeps its weights, and trains."""
    other, mine = hgq2().program("hgq2_train.py").ask("wide"), WORKER.ask("wide")  # a missing peer is told first
    gain = mine["last_accuracy"] / mine["first_accuracy"]
    yield Row("wide", "1 024 inputs, as converted", "zeros", 100 * mine["zeros"], "%", theirs(100 * other["zeros"]), Bar("<", 20))
    yield Row("wide", "1 024 inputs", "accuracy, last epoch / first", gain, "x", bar=Bar(">", 1.5))


@EXPERIMENT.part
def fronts(context: Context[Settings]) -> Iterator[Row]:
    """Hypervolume of fronts on digits and MNIST, seed by seed."""
    peer = hgq2().program("hgq2_train.py")
    for front in FRONTS:
        ratios = []
        for seed in range(context.settings.front_seeds):
            settings = {"model": f"mlp:{','.join(map(str, front.hidden))}", "max_points": 12}
            settings |= {"batch_size": front.batch, "epochs": front.epochs}
            told = {"hidden": front.hidden, "batch": front.batch, "epochs": front.epochs, "beta": front.beta, "rate": front.rate}
            mine = WORKER.ask("front", spec(front.data), seed, json.dumps(settings))
            other = peer.ask("front", flat(front.data, seed, context.work), json.dumps({**told, "seed": seed, "points": 12}))
            ratios.append(hypervolume(mine["points"], other["points"], 0.1))
            yield Row("hypervolume", f"{front.data}, seed {seed}", "hwq / HGQ2", ratios[-1], "x", theirs(1.0), Bar(">", 1.0))
        mean = math.prod(ratios) ** (1 / len(ratios))
        yield Row("hypervolume", f"{front.data}, all seeds", "hwq / HGQ2, mean", mean, "x", theirs(1.0), at_least(1.05))


def hypervolume(mine: list[list[float]], theirs: list[list[float]], chance: float) -> float:
    """hwq's area over HGQ2's."""
    costs = [max(point[0], 1.0) for point in (*mine, *theirs)]
    low, high = math.log2(min(costs)), math.log2(max(costs))

    def area(points: list[list[float]]) -> float:
        total, best, previous = 0.0, chance, low
        for ebops, accuracy, *_ in sorted(points):
            here = math.log2(max(ebops, 1.0))
            total, previous = total + (best - chance) * (here - previous), here
            best = max(best, accuracy)
        return total + (best - chance) * (high - previous)

    return area(mine) / area(theirs)
