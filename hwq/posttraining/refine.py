"""Refinement of a network that has its bits already: digits go in small portions, the rest makes up for them, validation says when to stop.

Each portion is chosen by what it changes in the training loss to second order (`hwq.posttraining.digits`), on fresh training rows; after
it, digits whose doubling or halving makes the loss less are moved, at no cost. The compiled graph says what a network costs, since the
adders that are shared count once. The cheapest network whose validation accuracy holds is the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwq.errors import UsageError
from hwq.events import Notice, quiet
from hwq.ir import FLOAT64_BITS, Graph, verify
from hwq.posttraining.digits import Removal
from hwq.posttraining.ranges import MARGIN, retraced
from hwq.sim.reference import evaluate_nodes, predict, quantize_inputs
from hwq.tensors import Floats

Derivatives = Callable[[Graph, npt.NDArray[np.int64]], tuple[dict[str, Floats], dict[str, Floats]]]
PriceOf = Callable[[Graph], float]
LabelledRows = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]  # (rows, *input shape), labels

CHANGED = 0.01  # of the rows: how many usually change sides, by which it is judged whether rows are enough to tell a loss
ONE_SIDED = 1.645  # standard errors that chance alone exceeds in one direction once in twenty times


@dataclass(frozen=True, slots=True)
class RefineOptions:
    """How far and how fast.

    Attributes:
        max_loss: points of a hundred of validation accuracy that may go.
        ways: (portion, trust) of each way that is gone from the first network on; the cheapest result of all counts. A portion is the
            share of the first digits (weighted by adder bits) that goes at a time, trust a factor on the gradient: first-order
            gains do not add up over many changes at once.
        moves: share of the digits that may be doubled or halved after each portion, for each hundredth of a portion.
        rows: training rows looked at for each portion.
        patience: share of the first digits that may go in vain before a way ends.
        seed: of the choice of rows.
    """

    max_loss: float = 0.2
    ways: tuple[tuple[float, float], ...] = ((0.02, 0.3), (0.02, 0.1))
    moves: float = 0.005
    rows: int = 16384
    patience: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_loss < 0 or not 0 <= self.moves < 1 or not 0 < self.patience <= 1:
            raise UsageError("max_loss must not be negative; moves and patience are shares of the digits")
        if self.rows < 1 or not self.ways or any(not 0 < portion < 1 or trust < 0 for portion, trust in self.ways):
            raise UsageError("rows must be at least 1, and each way a portion between 0 and 1 with a trust of at least 0")


@dataclass(frozen=True, slots=True)
class Judged:
    """A network on some rows: which it gets right, and the mean cross-entropy."""

    right: npt.NDArray[np.bool_]
    cross_entropy: float

    @property
    def accuracy(self) -> float:
        """Share of the rows."""
        return float(self.right.mean())

    @classmethod
    def of(cls, graph: Graph, x: npt.NDArray[np.float32], y: npt.NDArray[np.int64]) -> Judged:
        """Evaluate the integer reference on rows and labels."""
        logits = predict(graph, x)
        right = logits.argmax(axis=1) == y
        logits = logits - logits.max(axis=1, keepdims=True)
        told = logits[np.arange(len(y)), y] - np.log(np.exp(logits).sum(axis=1))
        return cls(right, float(-told.mean()))

    def lost(self, before: Judged) -> tuple[float, float]:
        """The accuracy lost, and one standard error of it: rows that changed sides may have done so by chance."""
        changed = int((self.right != before.right).sum())
        return before.accuracy - self.accuracy, float(np.sqrt(changed)) / len(self.right)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A network on validation rows; and, where those are few, on training rows, too (else None)."""

    validation: Judged
    train: Judged | None = None

    @classmethod
    def of(cls, graph: Graph, train: LabelledRows, validation: LabelledRows, max_loss: float) -> Judgement:
        """Evaluate the integer reference; training rows only where validation rows cannot tell a loss of `max_loss` points from chance."""
        found = Judged.of(graph, *validation)
        if np.sqrt(CHANGED / len(validation[0])) <= max_loss / 100:
            return cls(found)
        return cls(found, Judged.of(graph, *train))

    @property
    def accuracy(self) -> float:
        """On all rows that were looked at."""
        parts = [self.validation.right] if self.train is None else [self.validation.right, self.train.right]
        return float(np.concatenate(parts).mean())

    def keeps(self, before: Judgement, max_loss: float) -> bool:
        """Whether the accuracy lost is at most `max_loss` points.

        The cheapest of many networks is taken, and so one that validation rows flatter: where they are enough to tell such a loss
        from chance, it must hold with a standard error to spare. Few rows flatter the network before as well, since a point of a run is
        there for its accuracy on them: then the loss must hold on all rows that may be seen, those of training included, and on
        validation rows alone it must not be beyond the limit by more than chance explains, nineteen times of twenty.
        """
        lost, error = self.validation.lost(before.validation)
        limit = max_loss / 100 + 1e-12
        if self.train is None:
            return lost + error <= limit
        return before.accuracy - self.accuracy <= limit and lost <= limit + ONE_SIDED * error


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What refinement looks at.

    Attributes:
        train: training rows (rows, *input shape) and labels.
        validation: rows and labels that decide when to stop; with those of training where they are few (`Judgement`).
        derivatives: (graph, numbers of training rows) -> gradient and curvature of each row's loss by every linear operation's
            results, by name, as `hwq.conversion.graph_model` has them.
    """

    train: LabelledRows
    validation: LabelledRows
    derivatives: Derivatives


@dataclass(frozen=True, slots=True)
class RefineStep:
    """One network on way number `way`: `price` relative to the first."""

    way: int
    number: int
    price: float
    accuracy: float
    cross_entropy: float
    kept: bool

    def __str__(self) -> str:
        return f"portion {self.number}, price {self.price:.3f}, validation {self.accuracy:.4f}{'' if self.kept else ' (too low)'}"


@dataclass(frozen=True, slots=True)
class Refined:
    """The result and the way to it; `graph` is the first network itself where nothing cheaper kept its accuracy."""

    graph: Graph
    price: float
    judged: Judged
    before: Judged
    steps: tuple[RefineStep, ...]


def refine(
    graph: Graph,
    evidence: Evidence,
    *,
    price: PriceOf,
    options: RefineOptions,
    notice: Notice = quiet,
) -> Refined:
    """Make a network cheaper without training it.

    Args:
        evidence: what says which digits matter, and when to stop.
        price: what a network costs, in any unit.
        notice: told of every portion.
    """
    train, validation = evidence.train, evidence.validation
    first, start = Judgement.of(graph, train, validation, options.max_loss), price(graph)
    best, steps = (graph, 1.0, first), list[RefineStep]()
    for way, (portion, trust) in enumerate(options.ways):
        failed, rng = 0.0, np.random.default_rng([options.seed, way])
        settings = Portions(portion, trust, options.moves, options.rows)
        for now in portions(graph, train[0], evidence.derivatives, settings, rng):
            judged, cost = Judgement.of(now, train, validation, options.max_loss), price(now) / start
            holds = judged.keeps(first, options.max_loss)
            best = (now, cost, judged) if holds and cost < best[1] else best
            failed = 0.0 if holds else failed + portion
            steps.append(RefineStep(way, len(steps) + 1, cost, judged.validation.accuracy, judged.validation.cross_entropy, holds))
            notice(str(steps[-1]))
            if failed >= options.patience:
                break
    return Refined(best[0], best[1], best[2].validation, first.validation, tuple(steps))


@dataclass(frozen=True, slots=True)
class Portions:
    """How digits go: see `RefineOptions`."""

    portion: float = 0.02
    trust: float = 0.3
    moves: float = 0.005
    rows: int = 16384


def portions(
    graph: Graph, train: npt.NDArray[np.float32], derivatives: Derivatives, settings: Portions, rng: np.random.Generator
) -> Iterator[Graph]:
    """The network with one portion of its digits gone, then two, until none is left.

    It ends, too, where numbers become wider than Keras computes exactly: gradients that are trusted too far double digits without end.
    """
    now, total, moves = graph, 0.0, 0
    while True:
        chosen = np.sort(rng.permutation(len(train))[: settings.rows])
        inputs = quantize_inputs(now, train[chosen])
        gradient, curvature = derivatives(now, chosen)
        gradient = {name: value * settings.trust for name, value in gradient.items()}
        removal = Removal.begin(now, now, evaluate_nodes(now, inputs), curvature, gradient)
        if not total:
            total, moves = removal.bits, round(100 * settings.portion * settings.moves * removal.digits)
        if removal.remove(settings.portion * total) <= 0:
            return
        removal.repair(moves)
        now = removal.result()
        if now.widest <= FLOAT64_BITS:
            now = verify(retraced(now, inputs, margin=MARGIN))
        if now.widest > FLOAT64_BITS:
            return
        yield now
