"""Fronts of networks: the data sets that they are compared on, LUTs of their points, areas and ratios."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.common.datasets import spec
from benchmarks.common.synthesis import BOARD, design

Cost = Literal["lut", "ebops"]


@dataclass(frozen=True, slots=True)
class Case:
    """A data set, the network on it, and the corner from which areas are measured: accuracy and LUT that no front should be worse than.

    `settings` are of training; besides, `short` those of feedback, which trains often, `quick` those of a quick run, and `refine` those of
    refining for the frontier.
    """

    name: str
    model: str
    accuracy: float
    lut: float
    settings: Mapping[str, Any] = field(default_factory=dict)
    short: Mapping[str, Any] = field(default_factory=dict)
    quick: Mapping[str, Any] = field(default_factory=dict)
    refine: Mapping[str, Any] = field(default_factory=dict)

    @property
    def spec(self) -> str:
        """What hwq loads."""
        return spec(self.name)

    @property
    def hidden(self) -> list[int]:
        """Units of the hidden layers."""
        return [int(units) for units in self.model.partition(":")[2].split(",")]


# in larger portions than by default, MNIST one way only: where there are many rows, refining a whole front would take hours
ONE_WAY, TWO_WAYS = {"ways": [[0.04, 0.3]]}, {"ways": [[0.04, 0.3], [0.04, 0.1]]}
CASES = {
    case.name: case
    for case in (
        Case("digits", "mlp:64,32", 0.80, 8192, {"max_points": 16}, quick={"epochs": 200}),
        Case("jets", "mlp:64,32,32", 0.60, 16384, {"batch_size": 2048, "max_points": 16}, {"epochs": 60}, {"epochs": 15}, TWO_WAYS),
        Case("mnist", "mlp:64,32", 0.85, 32768, {"batch_size": 1024, "max_points": 16}, {"epochs": 60}, {"epochs": 15}, ONE_WAY),
    )
}


@dataclass(frozen=True, slots=True)
class Found:
    """A finished network."""

    lut: float
    val_accuracy: float
    test_accuracy: float
    ebops: float = 0.0


def points(run: Path, *, predicted: bool) -> list[Found]:
    """The points of a run with their LUTs, inverters counted, cheapest first; or with those that the model of compiled designs predicts."""
    from hwq.cost.predict import price_for
    from hwq.ir import parse, verify
    from hwq.run.directory import RunDir

    price = price_for(BOARD, None) if predicted else None
    found = []
    for p in RunDir.open(run).points():
        graph = verify(parse(p.graph_path.read_text()))
        lut = price(graph) if price else design(f"{run.name}, point {p.id}", graph).lut
        found.append(Found(lut, p.validated, p.test_accuracy or 0.0, p.ebops))
    return sorted(found, key=lambda f: f.lut)


def front(found: Iterable[Found]) -> list[Found]:
    """Those that validation rows say are better than every cheaper one, cheapest first: the test rows choose nothing."""
    kept: list[Found] = []
    for one in sorted(found, key=lambda f: (f.lut, -f.val_accuracy)):
        if not kept or one.val_accuracy > kept[-1].val_accuracy:
            kept.append(one)
    return kept


def hypervolume(found: Iterable[Found], case: Case) -> float:
    """Points of a hundred x octaves: the area between the front and the case's corner, test accuracy over log2 LUT.

    For each number of LUTs the point counts that validation rows would choose within it. LUTs are taken from the corner downwards.
    """
    kept = [f for f in front(found) if f.lut < case.lut]
    ends = [*(f.lut for f in kept[1:]), case.lut]
    return sum(
        100 * max(one.test_accuracy - case.accuracy, 0.0) * math.log2(end / one.lut) for one, end in zip(kept, ends, strict=True)
    )


def lut_ratio(mine: Sequence[Found], theirs: Sequence[Found], steps: int = 64, cost: Cost = "lut") -> tuple[float, float, float]:
    """(geometric mean of LUT of mine / theirs at equal test accuracy, the lowest and the highest accuracy of the range).

    log LUT is interpolated over test accuracy between the points of each front, over all accuracies that both fronts have. `cost` may
    be "ebops" instead.
    """
    a, b = (rising(f, cost) for f in (mine, theirs))
    low, high = max(a[0][0], b[0][0]), min(a[-1][0], b[-1][0])
    if not high > low:
        return math.nan, low, high
    levels = [low + (high - low) * k / (steps - 1) for k in range(steps)]
    logs = [_at(a, level) - _at(b, level) for level in levels]
    return math.exp(sum(logs) / steps), low, high


def rising(found: Iterable[Found], cost: Cost = "lut") -> list[tuple[float, float]]:
    """(test accuracy, log cost) of the points that none cheaper reaches in test accuracy, rising in both."""
    kept: list[tuple[float, float]] = []
    for one in sorted(found, key=lambda f: (getattr(f, cost), -f.test_accuracy)):
        if not kept or one.test_accuracy > kept[-1][0]:
            kept.append((one.test_accuracy, math.log(max(getattr(one, cost), 1.0))))
    return kept


def _at(curve: Sequence[tuple[float, float]], level: float) -> float:
    return float(np.interp(level, [x for x, _ in curve], [y for _, y in curve]))
