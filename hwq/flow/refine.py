"""`hwq refine`: points of a run with fewer signed digits, as a run of their own, proven again and measured against the old ones."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwq.cost.predict import CostSource, Price
from hwq.data import Dataset
from hwq.design.target import Work
from hwq.events import QUIET, Events
from hwq.ir import Graph, parse, verify
from hwq.locks import one_writer
from hwq.posttraining.refine import Evidence, RefineOptions
from hwq.posttraining.refine import refine as refine_graph
from hwq.posttraining.runs import Origin, begin, copied, data_of, write_point
from hwq.run.directory import Point, RunDir
from hwq.tensors import Floats

NAME = "refined"  # of its part of point.json


@dataclass(frozen=True, slots=True)
class RefinedPoint:
    """One point before and after.

    Attributes:
        price: of the compiled graph, relative to before.
        lut, lut_before: as measured; None where nothing was synthesised.
    """

    point: str
    price: float
    digits: float
    digits_before: float
    val_accuracy: float
    val_accuracy_before: float
    test_accuracy: float
    test_accuracy_before: float | None
    lut: float | None = None
    lut_before: float | None = None


@dataclass(frozen=True, slots=True)
class RefineSummary:
    """What came of a whole call; `priced_by` says what the price is."""

    run: Path
    priced_by: str
    points: tuple[RefinedPoint, ...]


@dataclass(frozen=True, slots=True)
class RefineRequest:
    """Which points are refined, and by which prices.

    Attributes:
        point: best, all, or a point's number.
        data: where the run's data is, when its name does not say.
        costs: whose measurements price digits.
        measured: synthesise before and after on the board of `costs`.
    """

    point: str = "best"
    data: str | None = None
    costs: CostSource = CostSource()  # noqa: RUF009  (frozen)
    measured: bool = False


@one_writer(lambda run, out: out or refined(run))
def refine(
    run: Path,
    *,
    out: Path | None = None,
    request: RefineRequest = RefineRequest(),
    options: RefineOptions | None = None,
    events: Events = QUIET,
) -> RefineSummary:
    """Remove digits from points of a run; the points of `out` have the numbers of those they come from.

    Args:
        run: of any method: only its graphs and its data are read.
        out: the new run; None: `run` with "-refined" behind it. Points that are there already are kept as they are.

    Raises:
        RunError, DataError, ModelError.
        MismatchError: a refined network is not bit-exact; it is not written.
        ToolError, PreflightError: of the synthesis, where it is asked for.
    """
    source = RunDir.open(run)
    points = source.select(request.point)
    dataset = data_of(source, request.data, lambda line: events.point("", line))
    options = options or RefineOptions()
    price = request.costs.price()
    derived = {"method": "refine", "source": str(run), "options": _plain(options)}
    target = begin(out or refined(run), source.record().derive(derived), copied(source.vectors_path))
    job = _Refining(target, dataset, price, options, events)
    found = [_one(p, job) for p in points]
    if request.measured and request.costs.board is not None:
        found = _measured((source, target), found, request.costs.board, request.costs.store_path, events)
    return RefineSummary(target.path, str(price), tuple(found))


def refined(run: Path) -> Path:
    """Where the refined points of a run go when nothing else is asked."""
    whole = run.resolve() if run.name in ("", "..") else run
    return whole.with_name(whole.name + "-refined")


def _plain(options: RefineOptions) -> dict[str, object]:
    """As JSON gives it back."""
    return {**asdict(options), "ways": [list(way) for way in options.ways]}


@dataclass(frozen=True, slots=True)
class _Refining:
    """What all points of one call share."""

    target: RunDir
    dataset: Dataset
    price: Price
    options: RefineOptions
    events: Events


def _one(p: Point, job: _Refining) -> RefinedPoint:
    place, dataset, say = job.target.point_folder(p.id) / "point.json", job.dataset, job.events.point
    if not place.is_file():
        say(p.id, "loading TensorFlow")
        from hwq.conversion.graph_model import GraphModel

        def derivatives(graph: Graph, rows: npt.NDArray[np.int64]) -> tuple[dict[str, Floats], dict[str, Floats]]:
            return GraphModel.of(graph).derivatives(dataset.x_train[rows], dataset.y_train[rows])

        say(p.id, f"refining, priced by {job.price}")
        result = refine_graph(
            verify(parse(p.graph_text())),
            Evidence((dataset.x_train, dataset.y_train), (dataset.x_val, dataset.y_val), derivatives),
            price=job.price,
            options=job.options,
            notice=lambda line: job.events.line(p.id, line),
        )
        say(p.id, "proving")
        refined = {"price": result.price, "val_accuracy_before": result.before.accuracy, "steps": [asdict(s) for s in result.steps]}
        write_point(job.target, p.id, result.graph, dataset, Origin(p.epoch, p.beta, p.terms, {NAME: refined}))
    return _before_and_after(p, job.target.point(p.id))


def _before_and_after(before: Point, after: Point) -> RefinedPoint:
    """Raises RunError: a record says no such thing."""
    told = after.told(NAME, "delete that point's folder and refine again")
    return RefinedPoint(
        after.id,
        told.number("price"),
        after.features("digits"),
        before.features("digits"),
        after.validated,
        told.share("val_accuracy_before"),
        math.nan if after.test_accuracy is None else after.test_accuracy,
        before.test_accuracy,
    )


def _measured(
    runs: tuple[RunDir, RunDir], found: list[RefinedPoint], board: str, store_path: Path | str | None, events: Events
) -> list[RefinedPoint]:
    """With the LUTs of the tool, before and after."""
    from hwq.flow.synth import synth

    luts: list[dict[str, float | None]] = []
    for run, when in zip(runs, ("before", "after"), strict=True):
        measured: dict[str, float | None] = {}

        def told(point: str, what: str, when: str = when) -> None:
            events.point(point, f"{when}: {what}")

        for one in found:
            _, (result,) = synth(run.path, board, point=one.point, store_path=store_path, work=Work(events=Events(point=told)))
            measured[one.point] = result.measurement.resources.lut if result.measurement else None
        luts.append(measured)
    return [replace(one, lut_before=luts[0][one.point], lut=luts[1][one.point]) for one in found]
