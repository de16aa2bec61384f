"""The search for the front: one network's bits become dearer and dearer, then the best of its states settle, side by side.

The trunk is HGQ's rising beta. Every network that it passes is still falling when it is seen, at the full learning rate, so the
front is finished by letting a population of them settle: each at the beta at which it was seen, with a learning rate that falls to
zero, and for the second half with bitwidths that stay as they are. Weights oscillate about the thresholds of their rounding, on the
wrong side of which some stop: so the running average of each network's parameters is a candidate as well as the network itself.
Both resume from the last checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hwq.cost.features import graph_features
from hwq.data import Dataset
from hwq.errors import TrainingError
from hwq.events import Progress, Watch
from hwq.files import write_json
from hwq.ir import Graph
from hwq.run.directory import RunDir
from hwq.tensors import Singles
from hwq.train import checkpoint, pareto
from hwq.train.config import TrainConfig
from hwq.train.control import Control
from hwq.train.engine import Engine, EngineState, Rates, batches, stack
from hwq.train.history import History
from hwq.train.pareto import Candidate
from hwq.train.pricing import Pricing
from hwq.train.recipes import Recipe, recipe_of

COLLAPSED_EPOCHS = 20  # so many in a row at chance, and the rest of a rising beta brings nothing any more
SETTLING_RATE, SETTLED_RATE = 0.5, 0.02  # shares of the learning rates in the first and the last epoch of settling
LOOKS = 12  # at compiled graphs, in each phase
FAR = 2.0  # times the budget: what is larger would take long to compile, and is on its way down anyhow
FREE = 0.5  # of the settling epochs in which bitwidths go on falling


@dataclass(slots=True)
class FrontSearch:
    """One search on one engine; `archive` is the front so far."""

    engine: Engine
    dataset: Dataset
    config: TrainConfig
    run: RunDir
    report: Watch
    save_seconds: float
    pricing: Pricing | None = None
    lut: Callable[[Graph], float] | None = None  # what a budget of LUTs is held against; None: the prices of bits
    archive: list[Candidate] = field(default_factory=list)
    recipe: Recipe = field(init=False)
    _history: History = field(init=False)
    _losses: Singles = field(init=False)
    _saved: float = 0.0
    _scale: float | None = None  # of the measured prices, which the population takes over

    def __post_init__(self) -> None:
        self.recipe = recipe_of(self.config)

    @property
    def chance(self) -> float:
        """Score on the validation rows of the best constant answer: of classes always their most frequent one."""
        return self.dataset.task.chance(self.dataset.y_val)

    @property
    def _constant(self) -> str:
        return "naming the most frequent class" if self.dataset.task.name == "classes" else "giving the same answer"

    def run_all(self) -> list[Candidate]:
        """Trunk and settling, or what is left of them.

        Raises:
            TrainingError: the loss became infinite, or no network was ever better than chance.
        """
        start = self.engine.start()
        found = checkpoint.load_state(self.run.checkpoint, start)
        phase, epoch, control, state = "bits", 0, Control.start(self.config, 1), None
        if found is not None:
            self.archive = found.archive
            phase, epoch, control, state = (
                found.phase,
                found.epoch,
                Control.load(self.config, found.control),
                EngineState(*found.state),
            )
        self._saved = time.monotonic()
        self._history = History(self.run.path / "history.csv", epoch if phase == "bits" else self.config.trunk_epochs + epoch)
        if phase == "bits":
            self._trunk(start if state is None else state, epoch, control)
            epoch, state = 0, None
        self._scale = control.scale
        if self.config.settle_epochs and self.archive:
            if state is None:
                state, control = self._branch()
            self._settle(state, epoch, control)
        if not any(c.val_accuracy > self.chance for c in self.archive):
            raise TrainingError(
                f"no network was better than always {self._constant}: training collapsed",
                hint="a lower --beta-start or --learning-rate, more --initial-bits, or more epochs",
            )
        return self.archive

    def _trunk(self, state: EngineState, done: int, control: Control) -> None:
        total, collapsed = self.config.trunk_epochs, 0
        for epoch in range(done, total):
            self._reprice(state, control, epoch, total)
            self._compile(state, control, epoch, total)
            state = self._epoch(state, epoch, control, 1.0, "bits")
            if self.config.method == "shift" and epoch + 1 == self.config.warm_epochs:
                self._note_hardening(state, epoch)
            val = self._look(state, epoch, total, control, "bits", keep=epoch >= self.config.warm_epochs)
            collapsed = (
                collapsed + 1
                if epoch >= self.config.warm_epochs and val <= self.chance + self.dataset.task.margin(self.chance)
                else 0
            )
            last = epoch + 1 == total or collapsed == COLLAPSED_EPOCHS
            self._save(state, "bits", epoch + 1, control, now=last)
            if last:
                break

    def _note_hardening(self, state: EngineState, epoch: int) -> None:
        """Accuracy on the validation rows before and after the soft quantiser becomes the hard one, for run.json."""
        x, y = self.dataset.x_val, self.dataset.y_val
        soft, ((hard, _),) = self.engine.soft_accuracy(state, x, y), self.engine.validate(state, x, y)
        write_json(self.run.checkpoint / "hardening.json", {"epoch": epoch, "soft_val_accuracy": soft, "hard_val_accuracy": hard})

    def _branch(self) -> tuple[EngineState, Control]:
        """The population that settles: states of the archive, evenly over the logarithm of cost."""
        chosen = pareto.thin(self.archive, self.config.population, chance=self.chance)
        states = []
        for candidate in chosen:
            checkpoint.load_weights(weights_path(self.run, candidate), self.engine.model)
            states.append(self.engine.start())
        while len(states) < self.config.population:  # a short front: the best ones twice, so that the shape stays as compiled
            states.append(states[-1])
            chosen.append(chosen[-1])
        found = Control.at(self.config, [c.beta for c in chosen])
        found.scale = self._scale
        return stack(states), found

    def _settle(self, state: EngineState, done: int, control: Control) -> None:
        total, first = self.config.settle_epochs, self.config.trunk_epochs
        for epoch in range(done, total):
            self._reprice(state, control, epoch, 2 * total)
            self._compile(state, control, epoch, total)
            falling = 0.5 * (1 + np.cos(np.pi * epoch / total))
            rate = SETTLED_RATE + (SETTLING_RATE - SETTLED_RATE) * falling
            state = self._epoch(state, first + epoch, control, rate, "settle", held=epoch >= FREE * total)
            self._look(state, epoch, total, control, "settle", keep=True)
            self._save(state, "settle", epoch + 1, control, now=epoch + 1 == total)

    def _reprice(self, state: EngineState, control: Control, epoch: int, total: int) -> None:
        if self.pricing is not None and self.pricing.due(control, epoch, total):
            self.pricing.refresh(state, control)

    def _compile(self, state: EngineState, control: Control, epoch: int, total: int) -> None:
        """Every few epochs, hold what a budget of LUTs is steered by against the compiled graphs of the networks that are near it."""
        if self.lut is None or "lut" not in self.config.budget:
            return
        if len(control.ratios) != state.size:
            control.ratios = [1.0] * state.size
        elif epoch % max(1, total // LOOKS):
            return
        for member in range(state.size):
            self.engine.assign(state, member)
            graph = self.engine.graph(self.dataset.x_train)
            bits = self.config.budgeted(graph_features(graph))
            if 0 < bits <= FAR * self.config.budget["lut"]:
                control.ratios[member] = self.lut(graph) / bits

    def _epoch(
        self, state: EngineState, number: int, control: Control, rate: float, phase: str, *, held: bool = False
    ) -> EngineState:
        order = batches(len(self.dataset.x_train), self.config.batch_size or 1, self.config.seed, number)
        begun = self.recipe.before(self.engine, state, number)
        table = self.pricing.table(control) if self.pricing is not None else None
        after, losses = self.engine.epoch(begun, order, control.betas, Rates(rate, float(not held), self.recipe.l1(number)), table)
        if not np.isfinite(losses).all():
            done = number if phase == "bits" else number - self.config.trunk_epochs
            self._save(state, phase, done, control, now=True)
            raise TrainingError(
                f"the loss is not a number any more, in epoch {number + 1}; the state before it is kept",
                hint="a lower --learning-rate or --beta-end",
            )
        self._losses = losses
        return after

    def _look(self, state: EngineState, epoch: int, total: int, control: Control, phase: str, *, keep: bool) -> float:
        """Validate every network of the population and its average, archive those that belong to the front; the best accuracy."""
        number = epoch if phase == "bits" else self.config.trunk_epochs + epoch
        seen = self._candidates(state, number, control, 0, keep=keep)
        averages = self._candidates(state.averaged, number, control, state.size, keep=keep) if self.recipe.averages and keep else []
        for candidate, costs in seen:
            self._history.add(number, phase, candidate, float(self._losses[candidate.member]), costs)
        control.steer([costs for _, costs in seen], epoch, phase)
        best = max(candidate.val_accuracy for candidate, _ in [*seen, *averages])
        ebops = min(costs["ebops"] for _, costs in seen)
        task = self.dataset.task
        told = (task.score(best), ebops, control.betas[0], len(self.archive), task.metric, task.lower)
        self.report(Progress(phase, epoch + 1, total, *told))
        return best

    def _candidates(
        self, state: EngineState, number: int, control: Control, first: int, *, keep: bool
    ) -> list[tuple[Candidate, dict[str, float]]]:
        """Every network of a population as a candidate, members counted from `first`, and its costs."""
        found = []
        seen = self.engine.validate(state, self.dataset.x_val, self.dataset.y_val)
        for member, ((val, costs), beta) in enumerate(zip(seen, control.betas, strict=True)):
            candidate = Candidate(number, val, costs["ebops"], beta, first + member)
            after = pareto.insert(self.archive, candidate) if keep else self.archive
            if candidate in after:
                self.engine.assign(state, member)
                checkpoint.save_weights(weights_path(self.run, candidate), self.engine.model)
            self.archive = after
            found.append((candidate, costs))
        return found

    def _save(self, state: EngineState, phase: str, done: int, control: Control, *, now: bool) -> None:
        if now and phase == "bits" and done < self.config.trunk_epochs and self.archive:
            done = self.config.trunk_epochs  # ended early: resuming goes on with what comes after
        if now or time.monotonic() - self._saved > self.save_seconds:
            checkpoint.save_state(
                self.run.checkpoint, state, phase=phase, epoch=done, archive=self.archive, control=control.to_json()
            )
            self._saved = time.monotonic()


def weights_path(run: RunDir, candidate: Candidate) -> Path:
    """Where a candidate's weights are kept until the run is finished."""
    return run.checkpoint / f"seen-{candidate.key}.npz"
