"""One round of a co-design: networks near the budget, trained or trained on; the best that fits, measured; what was predicted, corrected."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwq.data import Dataset
from hwq.design.budget import Budget
from hwq.events import Notice, Watch
from hwq.fields import Fields
from hwq.files import write_text
from hwq.flow.codesign.fit_to_budget import CompiledPrice, Correction, choose_starts, land
from hwq.ir import Graph, parse, text, verify
from hwq.posttraining.refine import Judged
from hwq.posttraining.runs import Origin, write_point
from hwq.run.directory import RunDir
from hwq.tensors import Floats
from hwq.train.config import TrainConfig
from hwq.train.pareto import Candidate

TRIES = 3  # designs measured in a round at most
LANDED = 4  # networks of a round that are brought into the budget
FAR = 1.8  # times the budget, above which digits are removed only where there is nothing nearer
FIRST_AIM = (0.976, 0.990)  # of the budget, for a round's first design: its network is a new one
AIM = (0.985, 0.996)  # once one of the round has been measured
CLOSE = 0.98  # of the budget: a design that uses so much of it is where it should be
SPREAD = (1.0, 1.06, 1.13, 1.22)  # targets of the population, as parts of the budget: what is above lands by digit removal


@dataclass(frozen=True, slots=True)
class Trial:
    """One design that was measured.

    Attributes:
        point: its number in RUN/trials.
        network: what it was made of.
        compiled: LUTs as the cost model has them; predicted: corrected by what was measured before.
        measured: by name of the limit; None: not reported.
        missed: limits that it breaks, as sentences.
    """

    round: int
    point: str
    network: str
    compiled: float
    predicted: float
    measured: dict[str, float | None]
    val_accuracy: float
    cross_entropy: float
    missed: tuple[str, ...]

    @classmethod
    def of(cls, told: Fields) -> Trial:
        """Raises RunError: hwq never wrote this."""
        measured = told.inner("measured")
        return cls(
            told.whole("round"),
            told.text("point"),
            told.text("network"),
            told.number("compiled"),
            told.number("predicted"),
            {name: measured.maybe_number(name) for name in measured.content},
            told.share("val_accuracy"),
            told.number("cross_entropy"),
            told.texts("missed"),
        )

    @property
    def lut(self) -> float:
        return float(self.measured.get("lut") or 0.0)

    @property
    def error(self) -> float:
        """The error of the prediction, relative to the measured LUTs."""
        return self.predicted / self.lut - 1 if self.lut else math.inf


@dataclass(frozen=True, slots=True)
class Round:
    """One round that is finished."""

    number: int
    trials: tuple[Trial, ...]

    @classmethod
    def of(cls, told: Fields) -> Round:
        """Raises RunError: hwq never wrote this."""
        return cls(told.whole("number"), tuple(map(Trial.of, told.objects("trials"))))

    def told(self, budget: float) -> list[str]:
        """A sentence for each design that was measured; `budget` in LUTs."""
        return [
            f"round {t.round}, point {t.point}: {t.predicted:.0f} LUT predicted, {t.lut:g} measured ({100 * t.error:+.1f} %), "
            f"{100 * t.lut / budget:.1f} % of the budget; validation {t.val_accuracy:.4f}"
            + (f"; misses {'; '.join(t.missed)}" if t.missed else "")
            for t in self.trials
        ]


@dataclass(frozen=True, slots=True)
class FrozenNetwork:
    """A frozen network and the weights from which it can be trained on; `compiled` is its LUTs before correction."""

    key: str
    graph: Graph
    candidate: Candidate
    weights: Path | None
    compiled: float
    latency_cycles: int


@dataclass(frozen=True, slots=True)
class Landed:
    """A network that should fit: its graph, what it is predicted to measure, and how it does on the validation rows."""

    source: FrozenNetwork
    graph: Graph
    cost: float
    judged: Judged

    def rank(self, low: float) -> tuple[bool, float, float]:
        """Those that use the budget before those that leave some of it, then the more accurate."""
        return self.cost >= low, self.judged.accuracy, -self.judged.cross_entropy


@dataclass(slots=True)
class CodesignSession:
    """What all rounds share, and the trials so far.

    Args:
        config: of the first round, with the prices that it found.
        first: the run of the first round.
        out: the directory of the search; trials: the run of the designs that are measured.
        measure: takes a point of `trials` to the stage, and returns what was measured.
        epochs: of each round after the first.
    """

    dataset: Dataset
    config: TrainConfig
    first: RunDir
    out: Path
    trials: RunDir
    budget: Budget
    pricer: CompiledPrice
    measure: Callable[[str], dict[str, float | None]]
    epochs: int
    say: Notice
    progress: Watch
    done: list[Trial] = field(default_factory=list)
    networks: list[FrozenNetwork] = field(default_factory=list)

    @property
    def correction(self) -> Correction:
        return Correction(tuple((t.compiled, t.lut) for t in self.done))

    def cost(self, graph: Graph) -> float:
        """LUTs that a network will measure."""
        return self.correction.corrected(self.pricer(graph).lut)

    def folder(self, number: int) -> Path:
        return self.out / "rounds" / str(number)

    def trained(self, number: int) -> list[FrozenNetwork]:
        """The networks of a round, trained now, or as they were left."""
        found = self._front() if number == 1 else self._continued(number)
        self.networks += found
        return found

    def _front(self) -> list[FrozenNetwork]:
        """The points of the first round's run."""
        return [
            self._network(f"front-{p.id}", p.graph_text(), Candidate(p.epoch, p.validated, p.ebops, p.beta), None)
            for p in self.first.points()
        ]

    def _network(self, key: str, graph_text: str, candidate: Candidate, weights: Path | None) -> FrozenNetwork:
        graph = verify(parse(graph_text))
        compiled = self.pricer(graph)
        return FrozenNetwork(key, graph, candidate, weights, compiled.lut, compiled.latency_cycles)

    def _continued(self, number: int) -> list[FrozenNetwork]:
        """A population that goes on from the networks nearest above its targets."""
        from hwq.train.approach import Approach, Start
        from hwq.train.checkpoint import read_archive

        archive, control = read_archive(self.first.checkpoint)
        origins = [(self.first.checkpoint / f"seen-{c.key}.npz", c) for c in archive]
        origins += [(n.weights, n.candidate) for n in self.networks if n.weights is not None]
        costs = [self._expected(candidate.ebops) for _, candidate in origins]
        targets = [part * self.budget.lut for part in SPREAD]
        chosen = choose_starts(costs, targets)
        starts = [Start(origins[i][0], origins[i][1].beta, target) for i, target in zip(chosen, targets, strict=True)]
        self.say("training on from networks of " + ", ".join(f"{costs[i]:.0f}" for i in chosen) + " LUT (predicted)")
        population = Approach(
            self.dataset,
            self.config,
            self.first.checkpoint / "float.npz",
            starts,
            self.epochs,
            self.folder(number),
            self.cost,
            control.get("scale"),
            number,
            self.progress,
        )
        return [
            self._network(f"round{number}-{f.candidate.key}", f.graph.read_text(), f.candidate, f.weights) for f in population.run()
        ]

    def _expected(self, ebops: float) -> float:
        """LUTs of a network of which only the EBOPs are known, by the network nearest in EBOPs."""
        nearest = min(self.networks, key=lambda n: abs(math.log(ebops / n.candidate.ebops)))
        return self.correction.corrected(ebops * nearest.compiled / nearest.candidate.ebops)

    def measured(self, number: int, networks: Sequence[FrozenNetwork]) -> Round:
        """Bring networks into the budget, measure the best one, and again with what was learned, until one fits closely."""
        trials: list[Trial] = []
        for attempt in range(TRIES):
            best = self._best(number, attempt, networks)
            if text(best.graph) in self._tried():
                break  # nothing new to be had: the next round may train one
            trial = self._trial(number, best)
            trials.append(trial)
            self.done.append(trial)
            if trial.lut <= self.budget.lut and (trial.missed or trial.lut >= CLOSE * self.budget.lut):
                break  # a limit that fewer digits do not mend, or just as wanted
        return Round(number, tuple(trials))

    def _tried(self) -> set[str]:
        """The graphs that have been measured."""
        return {(self.trials.point_folder(t.point) / "graph.hwq").read_text() for t in self.done}

    def _best(self, number: int, attempt: int, networks: Sequence[FrozenNetwork]) -> Landed:
        """The most accurate network that should fit; the cheapest of all, as it is, where none can be made to."""
        low, high = (part * self.budget.lut for part in (AIM if attempt else FIRST_AIM))
        slow = self.budget.limits.get("latency", math.inf)
        able = [n for n in networks if n.latency_cycles <= slow] or [min(networks, key=lambda n: n.latency_cycles)]
        costs = {n.key: self.correction.corrected(n.compiled) for n in able}
        above = sorted(
            (n for n in able if costs[n.key] > high and costs[n.key] <= FAR * self.budget.lut), key=lambda n: costs[n.key]
        )
        landed = [self._landed(number, attempt, n, (low, high)) for n in self._promising(above)]
        below = [Landed(n, n.graph, costs[n.key], self._judged(n.graph)) for n in able if costs[n.key] <= high]
        found = [*(one for one in landed if one is not None), *below]
        if not found:  # everything is far above: what digits alone make of the cheapest, until training has come nearer
            cheapest = min(able, key=lambda n: costs[n.key])
            one = self._landed(number, attempt, cheapest, (low, high))
            return one or Landed(cheapest, cheapest.graph, costs[cheapest.key], self._judged(cheapest.graph))
        return max(found, key=lambda one: one.rank(low))

    @staticmethod
    def _promising(above: Sequence[FrozenNetwork]) -> Sequence[FrozenNetwork]:
        """The cheapest, and of the others the most accurate."""
        rest = sorted(above[1:], key=lambda n: -n.candidate.val_accuracy)
        return [*above[:1], *rest[: LANDED - 1]]

    def _judged(self, graph: Graph) -> Judged:
        return Judged.of(graph, self.dataset.x_val, self.dataset.y_val)

    def _landed(self, number: int, attempt: int, network: FrozenNetwork, window: tuple[float, float]) -> Landed | None:
        """Digits of a network removed until it should fit; from its file where that is there already."""
        path = self.folder(number) / "landed" / f"{attempt}-{network.key}.hwq"
        if not path.is_file():
            from hwq.conversion.graph_model import GraphModel

            def derivatives(graph: Graph, rows: npt.NDArray[np.int64]) -> tuple[dict[str, Floats], dict[str, Floats]]:
                return GraphModel.of(graph).derivatives(self.dataset.x_train[rows], self.dataset.y_train[rows])

            self.say(f"removing digits of {network.key}: {self.correction.corrected(network.compiled):.0f} LUT (predicted)")
            found = land(
                network.graph, self.dataset.x_train, derivatives=derivatives, cost=self.cost, window=window, seed=self.config.seed
            )
            write_text(path, text(found[0]) if found else "")
        content = path.read_text()
        if not content:
            return None
        graph = verify(parse(content))
        return Landed(network, graph, self.cost(graph), self._judged(graph))

    def _trial(self, number: int, best: Landed) -> Trial:
        """Write a network as a point of the trials, proven, and measure it."""
        point = f"{len(self.done):04d}"
        place, candidate = self.trials.point_folder(point), best.source.candidate
        compiled = self.pricer(best.graph).lut
        self.say(f"point {point}: proving, {best.cost:.0f} LUT predicted, validation {best.judged.accuracy:.4f}")
        if not (place / "point.json").is_file() or (place / "graph.hwq").read_text() != text(best.graph):
            more = {"codesign": {"round": number, "network": best.source.key, "compiled": compiled, "predicted": best.cost}}
            write_point(self.trials, point, best.graph, self.dataset, Origin(candidate.epoch, candidate.beta, more=more))
        measured = self.measure(point)
        trial = Trial(
            number,
            point,
            best.source.key,
            compiled,
            best.cost,
            measured,
            best.judged.accuracy,
            best.judged.cross_entropy,
            tuple(self.budget.missed(measured)),
        )
        self.say(f"point {point}: {trial.lut:g} LUT measured, prediction {100 * trial.error:+.1f} %")
        return trial
