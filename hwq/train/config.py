"""TrainConfig: everything that decides what a training run computes. Imports no framework."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hwq.data.task import TASKS as TASKS
from hwq.data.task import Asked
from hwq.errors import UsageError
from hwq.fields import Fields, Json

# Adam's steps of weights, best of 1e-3, 3e-3, 6e-3 and 1e-2 on three splits of digits; jets and MNIST agree
RATES = {"hgq": 6e-3}
STEPS = 15_000  # optimiser steps of a whole run: enough for the front to settle at every beta on the way
PRICES = ("ebops", "weight_bits", "activation_bits")
BUDGETS = ("ebops", "lut")
METHODS = ("hgq", "shift", "uniform", "prune")
FIXED_WIDTH = ("uniform", "prune")  # methods whose bitwidths are given, not learned
LEARNED = ("hgq", "shift")
READ_BY = {  # settings that some methods alone read
    **dict.fromkeys(("terms", "levels", "anneal", "blend", "activations"), ("shift",)),
    **dict.fromkeys(("bits", "widths"), FIXED_WIDTH),
    "sparsity": ("prune",),
    **dict.fromkeys(("beta_start", "beta_end", "warmup", "gamma", "l1", "bits_learning_rate", "initial_bits", "budget"), LEARNED),
}
SOFT_EPOCHS = 3  # of a short shift training, before the quantiser is hard
PRUNED_BY = 0.6  # share of the trunk after which all pruning is done, and only fine-tuning is left


def require_read(method: str, given: Iterable[str]) -> None:
    """Raises UsageError: one of the `given` settings is not read by the method, and would be lost without a word."""
    for name in given:
        methods = READ_BY.get(name, METHODS)
        if method not in methods:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{option} means nothing with --method {method}", hint=f"leave it out, or take --method {' or '.join(methods)}"
            )


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """One training run.

    Attributes:
        model: mlp:64,32 · a float .keras file · module:function returning a Keras model.
        epochs: of the quantised training, in which beta rises from beta_start to beta_end; None: chosen from the number of rows.
        float_epochs: at most so many for the float network that it starts from.
        batch_size: rows a step; None: chosen from the number of rows.
        learning_rate, bits_learning_rate: Adam's step for weights and for bitwidths (in bits); of weights None: RATES, by method.
        beta_start, beta_end: price of one effective bit operation (EBOP) in units of the loss, first and last.
        warmup: share of the trunk's epochs that stay at beta_start.
        settle: share of the epochs in which a population of the networks seen so far settles at falling learning rates.
        population: how many networks settle side by side.
        budget: {"ebops": N}, or {"lut": N} as the measured prices predict it: what beta is steered to, in place of its schedule.
        gamma: price of one bit of any weight or activation, as a multiple of beta.
        l1: price of the absolute weights, as a multiple of beta.
        initial_bits: bits of the largest weight of each layer, and of each activation, at the start.
        range_margin: factor on the observed range of every activation before its integer bits are chosen.
        overflow: WRAP or SAT, of hidden activations; the input saturates, since the host pays for that.
        max_points: points of the Pareto front to finish.
        random_rows: random rows at 4x the input range, beside the test rows, for the proofs.
        method: hgq, shift, uniform or prune: what is learned (docs/explanation/powers-of-two.md, docs/reference/methods.md).
        terms: shift: signed powers of two a weight at most.
        levels: shift: powers of two to choose from.
        slope_start, slope_end: shift: of the differentiable quantiser, first and last; then it is hard.
        anneal: shift: share of the trunk's epochs in which the slope rises; no network is kept before its end.
        blend: shift: share of the way to their powers of two that weights go in each step, beside the gradient (BCGD's rho).
        activations: shift: "fixed" (fixed point) or "pow2": powers of two behind every hidden ReLU.
        bits: uniform, prune: of every weight and activation, without sign.
        widths: uniform, prune: {layer: (bits of its weights, bits of what it reads)} in place of `bits`; those of weights may be a list,
            one for each output channel.
        width: factor on the hidden layers of an mlp.
        sparsity: prune: share of the weights that are zero at the end.
        costs: "ebops", or "measured" with `prices`: LUT for each unit of the features in PRICES; with the coefficients of a model of
            the moment "training" among them (`hwq.cost.prices`), every layer is priced by itself, and anew as it changes.
        task: what is learned, a name of `hwq.data.task.TASKS`, or "auto": by what the labels are.
        metric: what the front is chosen by, a name of `hwq.data.task.METRICS`; empty: the task's own.
        loss: a loss of Keras by name; empty: the task's own.
        labels: columns of a table that are the targets; empty: by name, else the last one.
        sample_weights: the column, or array, with the weight of each row; empty: all count the same.
        class_weights: "none", or "balanced": each class has the same weight.
        scaled: whether features are standardised by the training rows; False: taken as they are, as codes of an Embedding must be.
    """

    model: str = "mlp:64,32"
    seed: int = 0
    epochs: int | None = None
    float_epochs: int = 150
    batch_size: int | None = None
    learning_rate: float | None = None
    bits_learning_rate: float = 5e-3
    beta_start: float = 4e-6
    beta_end: float = 8e-4
    warmup: float = 0.1
    settle: float = 0.15
    population: int = 8
    budget: Mapping[str, float] = field(default_factory=dict)
    gamma: float = 1.0
    l1: float = 50.0
    initial_bits: int = 6
    range_margin: float = 1.125
    overflow: str = "WRAP"
    max_points: int = 8
    random_rows: int = 10_000
    method: str = "hgq"
    terms: int = 1
    levels: int = 6
    slope_start: float = 4.0
    slope_end: float = 64.0
    anneal: float = 0.1
    blend: float = 0.0
    activations: str = "fixed"
    bits: int = 6
    widths: Mapping[str, tuple[int | Sequence[int], int]] = field(default_factory=dict)
    width: float = 1.0
    sparsity: float = 0.5
    costs: str = "ebops"
    prices: Mapping[str, float] = field(default_factory=dict)
    task: str = "classes"
    metric: str = ""
    loss: str = ""
    labels: Sequence[str] = ()
    sample_weights: str = ""
    class_weights: str = "none"
    scaled: bool = True

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "initial_bits", "max_points", "population", "bits"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name} must be at least 1, not {value}")
        self._check_method()
        if max(self.initial_bits, self.bits) > 30:
            raise UsageError(f"initial_bits must be at most 30, not {self.initial_bits}: sums would be too wide to compute exactly")
        for name in ("learning_rate", "bits_learning_rate", "beta_start", "beta_end"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UsageError(f"{name} must be greater than 0, not {value}")
        for name in ("float_epochs", "gamma", "l1", "seed", "random_rows"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} must not be negative")
        if not 0 <= self.warmup < 1 or not 0 <= self.settle < 1 or self.range_margin < 1:
            raise UsageError("warmup and settle must be in [0, 1) and range_margin at least 1")
        if len(self.budget) > 1 or any(name not in BUDGETS or not limit > 0 for name, limit in self.budget.items()):
            raise UsageError(f"a budget is one of {', '.join(BUDGETS)} with a limit above 0, not {dict(self.budget)}")
        if self.overflow not in ("WRAP", "SAT") or self.costs not in ("ebops", "measured"):
            raise UsageError("overflow is WRAP or SAT, costs is ebops or measured")
        if self.class_weights not in ("none", "balanced"):
            raise UsageError(f"class_weights are none or balanced, not {self.class_weights!r}")
        if self.beta_end < self.beta_start:
            raise UsageError(f"beta rises: beta_end {self.beta_end} is below beta_start {self.beta_start}")

    def _check_method(self) -> None:
        if self.method not in METHODS:
            raise UsageError(f"method is {self.method!r}, expected one of {', '.join(METHODS)}")
        if not 1 <= self.terms <= 3 or not 1 <= self.levels <= 16:
            raise UsageError(f"terms must be 1 to 3 and levels 1 to 16, not {self.terms} and {self.levels}")
        if self.activations not in ("fixed", "pow2") or (self.activations == "pow2" and self.method != "shift"):
            raise UsageError("activations are fixed, or with --method shift pow2", hint="leave --activations out")
        if not 0 < self.slope_start <= self.slope_end or not 0 <= self.anneal < 1 or not 0 <= self.blend < 1:
            raise UsageError("the slope rises from above 0, anneal and blend are in [0, 1)")
        if not self.width > 0 or not 0 <= self.sparsity < 1:
            raise UsageError("width must be above 0 and sparsity in [0, 1)")
        if self.widths and self.method not in FIXED_WIDTH:
            raise UsageError("widths of layers are given to a method whose bitwidths are not learned", hint="add --method uniform")
        if any(not 1 <= bits <= 30 for weights, reads in self.widths.values() for bits in (*_each(weights), reads)):
            raise UsageError("widths must be 1 to 30")
        if self.budget and self.method in FIXED_WIDTH:
            raise UsageError(f"--method {self.method} has a given cost: no budget", hint="choose --bits, --width or --sparsity")

    @classmethod
    def of(cls, told: Fields) -> TrainConfig:
        """The settings of a run's record: what it does not say is at its default; what this version does not know is left out.

        Raises:
            RunError: a setting of another kind.
            UsageError: settings that do not go together.
        """
        readers = {f.name: _READERS[str(f.type)] for f in dataclasses.fields(cls)}
        found: dict[str, Any] = {name: read(told, name) for name, read in readers.items() if name in told.content}
        return cls(**found)

    def to_json(self) -> dict[str, object]:
        return {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}

    def resolved(self, rows: int) -> TrainConfig:
        """With learning rate, epochs and batch size chosen for `rows` training rows: about 18 steps an epoch, and STEPS steps in all."""
        fitting = 2 ** round(math.log2(max(rows / 18, 1)))
        batch = min(self.batch_size or min(max(fitting, 32), 2048), rows)
        chosen = replace(
            self, learning_rate=self.rate, batch_size=batch, epochs=self.epochs or max(1, round(STEPS / (rows // batch)))
        )
        # one width is one point, and one network settles
        return replace(chosen, population=1, max_points=1) if self.method in FIXED_WIDTH else chosen

    @property
    def asked(self) -> Asked:
        """What data is read for."""
        return Asked(self.task, self.metric, tuple(self.labels), self.sample_weights, self.class_weights == "balanced")

    @property
    def rate(self) -> float:
        """Adam's step for weights."""
        return RATES.get(self.method, 1e-3) if self.learning_rate is None else self.learning_rate

    @property
    def settle_epochs(self) -> int:
        """Epochs of the population that settles at the end."""
        return int(self.settle * (self.epochs or 0))

    @property
    def trunk_epochs(self) -> int:
        """Epochs in which one network's beta rises."""
        return (self.epochs or 0) - self.settle_epochs

    @property
    def warm_epochs(self) -> int:
        """Epochs at beta_start, from which no point is kept: the quantiser is soft yet, or the network not yet sparse."""
        share = {"shift": self.anneal, "prune": PRUNED_BY}.get(self.method, self.warmup)
        least = min(SOFT_EPOCHS, self.trunk_epochs // 3) if self.method == "shift" and self.anneal else 0
        return max(int(share * self.trunk_epochs), least)

    def beta(self, epoch: int) -> float:
        """beta_start during the warm-up, then rising geometrically to beta_end in the last epoch of the trunk."""
        if self.method in FIXED_WIDTH:
            return 0.0
        first, last = self.warm_epochs, self.trunk_epochs - 1
        if epoch < first or last <= first:
            return self.beta_start
        share = min(1.0, (epoch - first) / (last - first))
        return float(self.beta_start * (self.beta_end / self.beta_start) ** share)

    def budgeted(self, costs: Mapping[str, float]) -> float:
        """What a network uses of the budget: its EBOPs, or the LUTs that the measured prices predict."""
        if "lut" in self.budget:
            return sum(self.prices.get(name, 0.0) * costs[name] for name in PRICES)
        return costs["ebops"]


def _read_widths(told: Fields, name: str) -> dict[str, tuple[int | Sequence[int], int]]:
    layers = told.inner(name)
    found: dict[str, tuple[int | Sequence[int], int]] = {}
    for layer in layers.content:
        pair: dict[str, Json] = dict(zip(("weights", "reads"), layers.listed(layer), strict=False))
        one = Fields(pair, f"{layers.where}: {layer}", layers.hint)
        found[layer] = one.wholes("weights") if isinstance(pair.get("weights"), list) else one.whole("weights"), one.whole("reads")
    return found


# how a field of TrainConfig of each type is read from a record
_READERS: dict[str, Callable[[Fields, str], object]] = {
    "str": Fields.text,
    "bool": Fields.flag,
    "int": Fields.whole,
    "float": Fields.number,
    "int | None": lambda told, name: told.whole(name) if told.has(name) else None,
    "float | None": Fields.maybe_number,
    "Sequence[str]": Fields.texts,
    "Mapping[str, float]": Fields.numbers_by_name,
    "Mapping[str, tuple[int | Sequence[int], int]]": _read_widths,
}


def _each(bits: int | Sequence[int]) -> Sequence[int]:
    return [bits] if isinstance(bits, int) else bits


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else list(value) if isinstance(value, tuple) else value
