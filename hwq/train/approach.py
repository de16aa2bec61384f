"""Training on from networks that are known: each of a population is led to a cost of its own, and settles there.

A network starts from the weights and the beta with which it was seen. Its cost is that of its compiled graph, which is looked at every
few epochs; between looks it follows the network's EBOPs. Beta is steered so that the cost goes to its target over the first epochs and
stays there while the learning rates fall; at last the bitwidths are held, so that the weights settle on a grid that moves no more. Of
these last epochs the best networks near their targets are kept.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hwq.backend import fresh
from hwq.conversion import convert, freeze
from hwq.cost.prices import linearisable
from hwq.data import Dataset
from hwq.errors import TrainingError
from hwq.events import Progress, Watch, quiet
from hwq.files import read_fields, write_json, write_text
from hwq.ir import Graph, text
from hwq.train import checkpoint, models
from hwq.train.config import TrainConfig
from hwq.train.control import Control
from hwq.train.engine import Engine, EngineState, Rates, batches, stack
from hwq.train.finish import CandidateFreezer
from hwq.train.pareto import Candidate
from hwq.train.pricing import Pricing
from hwq.train.recipes import recipe_of
from hwq.train.search import SETTLED_RATE
from hwq.train.trainer import SAVE_SECONDS, logits_model

LED = 0.5  # share of the epochs in which the cost goes to its target
HELD = 0.3  # share of the epochs, the last ones, in which bitwidths are held and networks kept
HELD_RATE = 0.5  # of the learning rate, as these begin
NEAR = 0.06  # of these, as a logarithm: how far from its target a network may be
EACH = 2  # networks kept of each member
LOOKS = 12  # at compiled graphs
EPOCHS_APART = 1_000_000  # between the rounds' orders of rows
FOUND = "found.json"

Cost = Callable[[Graph], float]


@dataclass(frozen=True, slots=True)
class Start:
    """A network to go on from.

    Attributes:
        weights: file of `hwq.train.checkpoint.save_weights`.
        beta: its price of an EBOP.
        target: cost that it is led to, in the unit of the cost function.
    """

    weights: Path
    beta: float
    target: float


@dataclass(frozen=True, slots=True)
class FoundNetwork:
    """A network that was found, frozen: its graph is in the file `graph`, its trained weights in `weights`."""

    candidate: Candidate
    graph: Path
    weights: Path


@dataclass(slots=True)
class Approach:
    """One population on its way.

    Args:
        float_weights: of the float network that all came from.
        starts: one for each member.
        folder: for checkpoints, and what is found; a killed call goes on from there.
        cost: of a graph, as the targets are.
        scale: of measured prices (`Control.scale`), as of the run that the starts are from.
        round: its rows come in another order in each, so that a round that begins as the one before does not repeat it.
    """

    dataset: Dataset
    config: TrainConfig
    float_weights: Path
    starts: Sequence[Start]
    epochs: int
    folder: Path
    cost: Cost
    scale: float | None = None
    round: int = 2
    report: Watch = quiet
    engine: Engine = field(init=False)
    pricing: Pricing | None = None
    archive: list[Candidate] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)  # cost of an EBOP, of each member
    firsts: list[float] = field(default_factory=list)  # cost of each member at the start

    def run(self) -> list[FoundNetwork]:
        """Train, or go on, and freeze what was kept.

        Raises:
            TrainingError: the loss became infinite.
            RunError: a file is damaged, or cannot be written.
        """
        if not (self.folder / FOUND).is_file():
            self._prepare()
            self._train()
            self._finish()
        told = read_fields(self.folder / FOUND, hint="delete its folder and run the same command again")
        return [self._found(Candidate.of(one)) for one in told.objects("networks")]

    def _found(self, candidate: Candidate) -> FoundNetwork:
        return FoundNetwork(candidate, self.folder / "graphs" / f"{candidate.key}.hwq", self._weights(candidate.key))

    def _weights(self, key: str) -> Path:
        return self.folder / f"seen-{key}.npz"

    def _prepare(self) -> None:
        fresh(self.config.seed)
        data = self.dataset
        model = logits_model(models.build(self.config.model, data.shape, data.n_classes, self.config.width))
        checkpoint.load_weights(self.float_weights, model)
        twin, _ = convert.convert(model, recipe_of(self.config).conversion())
        freeze.initialise(twin, data.x_train)
        self.engine = Engine(twin, self.config, data.x_train, data.y_train, quantized=True)
        if self.config.costs == "measured" and linearisable(self.config.prices):
            self.pricing = Pricing(self.engine, self.config, data.x_train)

    def _train(self) -> None:
        states = []
        for start in self.starts:
            checkpoint.load_weights(start.weights, self.engine.model)
            states.append(self.engine.start())
        state, control, epoch = stack(states), Control.at(self.config, [s.beta for s in self.starts]), 0
        control.scale = self.scale
        saved = checkpoint.load_state(self.folder, state)
        if saved is not None:
            epoch, self.archive, state = saved.epoch, saved.archive, EngineState(*saved.state)
            control = Control.load(self.config, saved.control)
            self.ratios, self.firsts = saved.control["ratios"], saved.control["firsts"]
        written = time.monotonic()
        for now in range(epoch, self.epochs):
            state = self._epoch(state, now, control)
            if now + 1 == self.epochs or time.monotonic() - written > SAVE_SECONDS:
                steering = control.to_json()
                steering["scale"], steering["ratios"], steering["firsts"] = control.scale, self.ratios, self.firsts
                checkpoint.save_state(self.folder, state, phase="approach", epoch=now + 1, archive=self.archive, control=steering)
                written = time.monotonic()

    def _epoch(self, state: EngineState, epoch: int, control: Control) -> EngineState:
        if epoch % max(1, self.epochs // LOOKS) == 0:
            self._look(state)
        if self.pricing is not None and self.pricing.due(control, epoch, self.epochs):
            self.pricing.refresh(state, control)
        rate, held = self._rate(epoch)
        order = batches(len(self.dataset.x_train), self.config.batch_size or 1, self.config.seed, self.round * EPOCHS_APART + epoch)
        table = self.pricing.table(control) if self.pricing is not None else None
        state, losses = self.engine.epoch(state, order, control.betas, Rates(rate, float(not held)), table)
        if not np.isfinite(losses).all():
            raise TrainingError(
                f"the loss is not a number any more, in epoch {epoch + 1} of the continued training", hint="a lower --learning-rate"
            )
        seen = self.engine.validate(state, self.dataset.x_val, self.dataset.y_val)
        share = min(1.0, (epoch + 1) / max(LED * self.epochs, 1))
        for member, (start, (val, costs)) in enumerate(zip(self.starts, seen, strict=True)):
            cost = self.ratios[member] * costs["ebops"]
            if not held:
                control.lead(member, cost, self.firsts[member] * (start.target / self.firsts[member]) ** share)
            else:
                last = epoch + 1 == self.epochs
                self._keep(state, Candidate(epoch, val, costs["ebops"], control.betas[member], member), cost / start.target, last)
        best = max(val for val, _ in seen)
        self.report(Progress("approach", epoch + 1, self.epochs, best, min(c["ebops"] for _, c in seen), kept=len(self.archive)))
        return state

    def _rate(self, epoch: int) -> tuple[float, bool]:
        """The factor on the learning rates, which falls twice, and whether bitwidths are held."""
        first = min(round((1 - HELD) * self.epochs), self.epochs - 1)
        held = epoch >= first
        start, share = (HELD_RATE, (epoch - first) / (self.epochs - first)) if held else (1.0, epoch / self.epochs)
        return SETTLED_RATE + (start - SETTLED_RATE) * 0.5 * (1 + math.cos(math.pi * share)), held

    def _look(self, state: EngineState) -> None:
        """What an EBOP of each member costs, from its compiled graph."""
        costs = []
        for member in range(state.size):
            self.engine.assign(state, member)
            costs.append(max(self.cost(self.engine.graph(self.dataset.x_train)), 1.0))
        seen = self.engine.validate(state, self.dataset.x_val[:1], self.dataset.y_val[:1])
        self.ratios = [cost / max(found["ebops"], 1.0) for cost, (_, found) in zip(costs, seen, strict=True)]
        self.firsts = self.firsts or costs

    def _keep(self, state: EngineState, new: Candidate, relative: float, last: bool) -> None:
        """Keep a network where it is near its target and among the best of its member; the last one where there is no other."""
        rivals = sorted((c for c in self.archive if c.member == new.member), key=lambda c: (c.val_accuracy, c.epoch))
        if abs(math.log(max(relative, 1e-9))) > NEAR and (rivals or not last):
            return
        if len(rivals) >= EACH:
            if rivals[0].val_accuracy > new.val_accuracy:
                return
            self.archive.remove(rivals[0])
        self.engine.assign(state, new.member)
        checkpoint.save_weights(self._weights(new.key), self.engine.model)
        self.archive = [*self.archive, new]

    def _finish(self) -> None:
        networks, freezer = [], CandidateFreezer(self.engine.model, self.dataset, self.config)
        for number, candidate in enumerate(self.archive, 1):
            checkpoint.load_weights(self._weights(candidate.key), self.engine.model)
            frozen = freezer.freeze(candidate)
            write_text(self._found(candidate).graph, text(frozen.graph))
            networks.append(frozen.candidate)
            self.report(Progress("finish", number, len(self.archive), frozen.candidate.val_accuracy, frozen.candidate.ebops))
        write_json(self.folder / FOUND, {"networks": [plain(c) for c in networks]})


def plain(candidate: Candidate) -> dict[str, int | float]:
    """As JSON."""
    return {name: getattr(candidate, name) for name in ("epoch", "val_accuracy", "ebops", "beta", "member")}
