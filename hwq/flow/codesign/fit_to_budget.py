"""Landing on a budget: what a design will measure, learned from those measured beside it, and digits removed until it fits.

The compiled graph tells a cost to a few per cent. The designs that were measured in the same search are near relations of the next
one, so that the ratio of measured to predicted of the nearest of them takes most of the error away.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwq.boards import Board
from hwq.cost.find import ModelSource, comparable, find_models, selection
from hwq.cost.fit import fit
from hwq.cost.model import CostModel
from hwq.cost.predict import CompiledCost, compiled_cost, price_model, told_by
from hwq.cost.terms import COMPILED
from hwq.errors import CostModelError
from hwq.ir import Graph
from hwq.measure.store import Store
from hwq.posttraining.refine import Derivatives, Portions, portions
from hwq.synthesis.step_measurement import options_before
from hwq.toolchains.synthesiser import Synthesiser
from hwq.units import Period

NEARBY = 0.15  # of two costs, as a logarithm: how fast one says less of the other
PORTION = 0.03  # share of the digits (weighted by adder bits) that goes at once, at most
HALVINGS = 8  # of a portion that goes below the window
TRUST = 0.1  # in the gradient (`hwq.posttraining.refine`)
ROWS = 4096  # training rows looked at for each portion


@dataclass(frozen=True, slots=True)
class CompiledPrice:
    """LUTs and latency of a graph compiled for the search's board and clock; adder and comparator bits where nothing is fitted."""

    model: CostModel | None
    board: Board
    period: Period

    @classmethod
    def of(cls, board: Board, period: Period, synthesiser: Synthesiser, store_path: Path | str | None) -> CompiledPrice:
        """By the model of the very tool and stage or of another version of it, else by what the store knows of it, else by the model
        of another tool on the same family, whose scale the first measurement corrects."""
        tool, stage, store = synthesiser.tool, synthesiser.stage, Store.open(store_path)
        measuring = [s for s in synthesiser.steps if s.measures]
        source = ModelSource(tool.name, tool.version, stage, options_before(synthesiser, measuring[-1]) if measuring else "")
        found = find_models(board, source)
        model = found.model("lut", COMPILED) if found is not None else None
        if model is None:
            with suppress(CostModelError):
                model = fit(comparable(store, selection(board, source)), "lut")
        if model is None:
            with suppress(CostModelError):
                model = price_model(board.name, store_path, COMPILED)
        return cls(model, board, period)

    def __call__(self, graph: Graph) -> CompiledCost:
        return compiled_cost(graph, self.model, self.board, self.period)

    def __str__(self) -> str:
        return told_by(self.model)


@dataclass(frozen=True, slots=True)
class Correction:
    """Measured over predicted, of designs of this search: (predicted, measured) pairs, the last one the newest."""

    pairs: tuple[tuple[float, float], ...] = ()

    def ratio(self, predicted: float) -> float:
        """What to multiply a prediction by: the mean of the ratios, those of designs nearest in cost counting most; 1 without any."""
        weights = [math.exp(-abs(math.log(predicted / p)) / NEARBY) for p, _ in self.pairs]
        total = math.fsum(weights)
        if total <= 1e-6:
            return self.pairs[-1][1] / self.pairs[-1][0] if self.pairs else 1.0
        return math.exp(math.fsum(w * math.log(m / p) for w, (p, m) in zip(weights, self.pairs, strict=True)) / total)

    def corrected(self, predicted: float) -> float:
        """What a design of so many predicted LUTs will measure."""
        return predicted * self.ratio(predicted)


def land(
    graph: Graph,
    x: npt.NDArray[np.float32],
    *,
    derivatives: Derivatives,
    cost: Callable[[Graph], float],
    window: tuple[float, float],
    seed: int,
) -> tuple[Graph, float] | None:
    """Take digits away until the cost lies within the window, those first that the training loss misses least.

    Args:
        x: training rows, of the input's shape.
        derivatives: as of `hwq.posttraining.refine.refine`.
        window: lowest and highest cost, in the unit of `cost`. A network below it is returned as it is.

    Returns:
        The network and its cost, which lies below the window where one digit steps over it; None where all digits are gone first.
    """
    low, high = window
    rng = np.random.default_rng([seed, 7])
    now, price, halved = graph, cost(graph), 0
    while price > high:
        share = min(PORTION, 0.8 * (1 - (low + high) / 2 / price)) / 2**halved
        step = next(portions(now, x, derivatives, Portions(max(share, 1e-5), TRUST, rows=ROWS), rng), None)
        if step is None:
            return None
        after = cost(step)
        if after < low and halved < HALVINGS:
            halved += 1
            continue
        now, price, halved = step, after, max(halved - 1, 0)
    return now, price


def choose_starts(costs: Sequence[float], targets: Sequence[float]) -> list[int]:
    """For each target the cheapest network that costs at least as much, else the dearest: indices into `costs`."""
    order = sorted(range(len(costs)), key=lambda i: costs[i])
    return [next((i for i in order if costs[i] >= target), order[-1]) for target in targets]
