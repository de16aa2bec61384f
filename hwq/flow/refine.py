"""`hwq refine`: points of a run with fewer signed digits, as a run of their own, proven again and measured against the old ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwq.cost.predict import Price, price_for
from hwq.data import Dataset
from hwq.design.target import Work
from hwq.ir import Graph, parse, verify
from hwq.locks import one_writer
from hwq.posttraining.derived import Origin, begin, copied, data_of, write_point
from hwq.posttraining.refine import RefineOptions, RefineStep
from hwq.posttraining.refine import refine as refine_graph
from hwq.posttraining.statistics import Floats
from hwq.run.directory import Point, RunDir

NAME = "refined"  # of its part of point.json
Tell = Callable[[str, str], None]  # (point, what is happening to it)


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


@one_writer(lambda run, out: out or refined(run))
def refine(
    run: Path,
    *,
    out: Path | None = None,
    point: str = "best",
    options: RefineOptions | None = None,
    board: str | None = None,
    price_board: str | None = None,
    data: str | None = None,
    store_path: Path | str | None = None,
    tell: Tell | None = None,
    progress: Callable[[str, RefineStep], None] | None = None,
) -> RefineSummary:
    """Remove digits from points of a run; the points of `out` have the numbers of those they come from.

    Args:
        run: of any method: only its graphs and its data are read.
        out: the new run; None: `run` with "-refined" behind it. Points that are there already are kept as they are.
        board: synthesise before and after, and price by what was measured on its family.
        price_board: price by what was measured on this board's family, and synthesise nothing.
        data: where the run's data is, when its name does not say.

    Raises:
        RunError, DataError, ModelError.
        MismatchError: a refined network is not bit-exact; it is not written.
        ToolError, PreflightError: of the synthesis, where a board was given.
    """
    say = tell or (lambda point, what: None)
    source = RunDir.open(run)
    points = source.select(point)
    dataset = data_of(source, data, lambda line: say("", line))
    options = options or RefineOptions()
    price = price_for(board or price_board, store_path)
    derived = {"method": "refine", "source": str(run), "options": _plain(options)}
    target = begin(out or refined(run), source.record().derive(derived), copied(source.vectors_path))
    found = [_one(source, p, target, dataset, price, options, say, progress) for p in points]
    if board is not None:
        found = _measured(source, target, found, board, store_path, say)
    return RefineSummary(target.path, str(price), tuple(found))


def refined(run: Path) -> Path:
    """Where the refined points of a run go when nothing else is asked."""
    whole = run.resolve() if run.name in ("", "..") else run
    return whole.with_name(whole.name + "-refined")


def _plain(options: RefineOptions) -> dict[str, object]:
    """As JSON gives it back."""
    return {**asdict(options), "ways": [list(way) for way in options.ways]}


def _one(
    source: RunDir,
    p: Point,
    target: RunDir,
    dataset: Dataset,
    price: Price,
    options: RefineOptions,
    say: Tell,
    progress: Callable[[str, RefineStep], None] | None,
) -> RefinedPoint:
    place = target.point_folder(p.id) / "point.json"
    if not place.is_file():
        say(p.id, "loading TensorFlow")
        from hwq.conversion.graph_model import GraphModel

        def derivatives(graph: Graph, rows: npt.NDArray[np.int64]) -> tuple[dict[str, Floats], dict[str, Floats]]:
            return GraphModel.of(graph).derivatives(dataset.x_train[rows], dataset.y_train[rows])

        say(p.id, f"refining, priced by {price}")
        result = refine_graph(
            verify(parse(p.graph_text())),
            (dataset.x_train, dataset.y_train),
            (dataset.x_val, dataset.y_val),
            derivatives=derivatives,
            price=price,
            options=options,
            progress=(lambda step: progress(p.id, step)) if progress else None,
        )
        say(p.id, "proving")
        refined = {"price": result.price, "val_accuracy_before": result.before.accuracy, "steps": [asdict(s) for s in result.steps]}
        write_point(target, p.id, result.graph, dataset, Origin(p.epoch, p.beta, p.terms, {NAME: refined}))
    return _before_and_after(p, target.point(p.id))


def _before_and_after(before: Point, after: Point) -> RefinedPoint:
    """Raises RunError: a record says no such thing."""
    told = after.told(NAME, "delete that point's folder and refine again")
    return RefinedPoint(
        after.id,
        told.number("price"),
        after.features("digits"),
        before.features("digits"),
        after.val_accuracy,
        told.share("val_accuracy_before"),
        math.nan if after.test_accuracy is None else after.test_accuracy,
        before.test_accuracy,
    )


def _measured(
    source: RunDir, target: RunDir, found: list[RefinedPoint], board: str, store_path: Path | str | None, say: Tell
) -> list[RefinedPoint]:
    """With the LUTs of the tool, before and after."""
    from hwq.flow.synth import synth

    luts: list[dict[str, float | None]] = []
    for run, when in ((source, "before"), (target, "after")):
        measured: dict[str, float | None] = {}

        def told(point: str, what: str, when: str = when) -> None:
            say(point, f"{when}: {what}")

        for one in found:
            _, (result,) = synth(run.path, board, point=one.point, store_path=store_path, work=Work(tell=told))
            measured[one.point] = result.measurement.resources.lut if result.measurement else None
        luts.append(measured)
    return [replace(one, lut_before=luts[0][one.point], lut=luts[1][one.point]) for one in found]
