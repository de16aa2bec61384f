"""`hwq ptq`: a trained float model to a run of bit-exact points, without a training step and without labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwq.cost.predict import CostSource
from hwq.data import load
from hwq.errors import UsageError
from hwq.events import QUIET, Events, Notice
from hwq.ir import Graph, verify
from hwq.locks import one_writer
from hwq.posttraining.float_model import FloatModel, read_float
from hwq.posttraining.multipoint import multipoint
from hwq.posttraining.quantize import quantized, uniform
from hwq.posttraining.refine import Portions, portions
from hwq.posttraining.rounding import adaptive
from hwq.posttraining.runs import Origin, accuracy, begin, drawn, write_point
from hwq.run.directory import best
from hwq.run.record import RunRecord, Scores
from hwq.tensors import Floats

METHODS = ("uniform", "adaptive", "multipoint", "digits")
TRUST, MOVES = 0.1, 0.001  # of Portions: a network with many digits has many changes in a portion
CHEAPER = 0.88  # the price of a point kept by `digits`, relative to the one before it


@dataclass(frozen=True, slots=True)
class PtqOptions:
    """One call.

    Attributes:
        method: "uniform" fixed point per channel, "adaptive" rounding of it, literal "multipoint", or signed "digits".
        bits: of weights; a point each (digits: the first is what digits are removed from).
        activation_bits: of the widest activation of each layer.
        points: multipoint: vectors a channel at most.
        error: multipoint: relative output error at which a channel gets no more points.
        adaptive: digits, too, begin with weights rounded for their layer's outputs.
        portion: digits: share that goes at a time.
        max_points: digits: how many networks on the way become points.
        seed: of the split, the calibration rows and the random rows of the proofs.
    """

    method: str = "digits"
    bits: tuple[int, ...] = (6,)
    activation_bits: int = 6
    points: int = 2
    error: float = 0.02
    adaptive: bool = False
    portion: float = 0.04
    max_points: int = 12
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UsageError(f"there is no method {self.method!r}", hint=f"choose one of {', '.join(METHODS)}")
        if not self.bits or any(not 2 <= b <= 14 for b in self.bits) or not 1 <= self.activation_bits <= 14:
            raise UsageError("bits must be 2 to 14, the sign included, and activation_bits 1 to 14")
        if self.points < 1 or self.max_points < 1 or not 0 < self.portion < 1 or self.error < 0:
            raise UsageError("points and max_points must be at least 1, portion between 0 and 1, error not negative")


@dataclass(frozen=True, slots=True)
class PtqSummary:
    """What came of it: the ids of the points, cheapest first, the best of them, the float model's test accuracy."""

    run: Path
    points: tuple[str, ...]
    best: str
    float_test_accuracy: float


@one_writer(lambda out: out)
def ptq(
    model: str,
    data: str,
    out: Path,
    *,
    options: PtqOptions | None = None,
    costs: CostSource = CostSource(),  # noqa: B008  (frozen)
    events: Events = QUIET,
) -> PtqSummary:
    """Quantise a trained float model after training.

    Args:
        model: a .keras file, module:function, or a run directory, whose float network is taken.
        data: as `hwq train` takes it; training rows calibrate without their labels, validation labels rank the points.
        costs: whose measurements price the points of `digits`, where there are any.

    Raises:
        BoardError, DataError, ModelError, UsageError, RunError.
        MismatchError: a point that is not bit-exact; it is not written.
    """
    options, say = options or PtqOptions(), events.note
    price = costs.price()  # before the model is read: a board that is none is said at once
    dataset = load(data, seed=options.seed, notice=say)
    asked = {**asdict(options), "bits": list(options.bits)}
    derived = {"method": "ptq", "model": model, "options": asked}
    record = RunRecord("training", {"model": model, "seed": options.seed}, dataset.told, derived)
    say("reading the model")
    # a model that cannot be read leaves no run behind
    network = None if (out / "run.json").is_file() else read_float(model, dataset, seed=options.seed)
    run = begin(out, record, drawn(dataset, options.seed))
    if not run.record().trained:
        network = network or read_float(model, dataset, seed=options.seed)
        for number, graph in enumerate(_graphs(network, dataset.x_train, price, options, say)):
            if not (run.point_folder(f"{number:04d}") / "point.json").is_file():
                found = write_point(run, f"{number:04d}", graph, dataset, Origin(more={"method": options.method}))
                say(f"point {number:04d}: {found.ebops:.0f} EBOPs, validation {found.val_accuracy:.4f}")
        told = network.found()
        run.update(lambda now: now.finished(told))
    points, scores = run.points(), run.record().scores or Scores()
    return PtqSummary(
        run.path, tuple(p.id for p in points), best(points).id, math.nan if scores.test_accuracy is None else scores.test_accuracy
    )


def _graphs(
    network: FloatModel, train: npt.NDArray[np.float32], price: Callable[[Graph], float], options: PtqOptions, say: Notice
) -> Iterator[Graph]:
    """The networks that become points, in a fixed order: a call that was killed makes the same ones again."""
    for bits in options.bits if options.method != "digits" else options.bits[:1]:
        choice = uniform(network.fine, bits, options.activation_bits)
        if options.method == "multipoint":
            yield verify(multipoint(network.fine, choice, network.rows, count=options.points, limit=options.error)[0])
            continue
        rounded = adaptive if options.method == "adaptive" or options.adaptive else quantized
        graph = verify(rounded(network.fine, choice, network.rows))
        yield graph
        if options.method == "digits":
            yield from _without_digits(graph, network, train, price, options, say)


def _without_digits(
    graph: Graph,
    network: FloatModel,
    train: npt.NDArray[np.float32],
    price: Callable[[Graph], float],
    options: PtqOptions,
    say: Notice,
) -> Iterator[Graph]:
    """Networks with fewer and fewer digits, evenly over the logarithm of the price, while they still answer as the float model."""
    from hwq.conversion.graph_model import GraphModel

    def derivatives(now: Graph, rows: npt.NDArray[np.int64]) -> tuple[dict[str, Floats], dict[str, Floats]]:
        return GraphModel.of(now).derivatives(train[rows], network.answers[rows], network.temperature)

    last, kept = price(graph), 1
    wanted = network.answers.argmax(axis=1)
    for now in portions(graph, train, derivatives, Portions(options.portion, TRUST, MOVES), np.random.default_rng(options.seed)):
        cost = price(now)
        if cost > CHEAPER * last:
            continue
        agrees = accuracy(now, train[network.numbers], wanted[network.numbers])
        say(f"price {cost:.0f}, agrees with the float model on {agrees:.4f} of the calibration rows")
        last, kept = cost, kept + 1
        yield now
        if kept >= options.max_points or agrees < AGREEING:
            return


AGREEING = 0.7  # of the answers, below which a network is not worth keeping


def bits_of(text: str) -> Sequence[int]:
    """ "4", "2,4,6" or "2-8" as numbers.

    Raises:
        UsageError: something else.
    """
    out: list[int] = []
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            out += range(int(first), int(last or first) + 1)
    except ValueError as error:
        raise UsageError(f"{text!r} is not like 4, 2,4,6 or 2-8") from error
    return out
