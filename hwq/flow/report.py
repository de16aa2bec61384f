"""`hwq report`: gather what a run's points cost and reached, with predictions made without the point's own measurement."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from hwq.boards import DEFAULT_BOARD, Board, load
from hwq.cost.features import features
from hwq.cost.find import Beside, Found, ModelSource, comparable, find_models, selection
from hwq.cost.model import CostModel, Prediction
from hwq.cost.predict import design_models
from hwq.design.point import NETLISTS, VERDICT
from hwq.design.verdict import Verdict, judged_inputs, rows_told
from hwq.errors import CostModelError, ReportError, RunError, ToolError, UsageError
from hwq.files import inside, sha256_of
from hwq.ir import digest, parse, verify
from hwq.measure.measurement import Measurement
from hwq.measure.store import Store
from hwq.passes import optimise
from hwq.passes.compiling import circuit_of
from hwq.run.directory import Point, RunDir, best
from hwq.run.record import Link, Synthesised
from hwq.synthesis.step_measurement import key_of
from hwq.synthesis.step_reports import from_archive, reread
from hwq.toolchains.manifest import BUILD, Manifest
from hwq.toolchains.plan import TOP
from hwq.toolchains.registry import steps_for
from hwq.views.model import PointRow, RunReport

TARGETS = ("lut", "ff")


def gather(run: Path, *, store_path: Path | str | None = None, board: str | None = None) -> RunReport:
    """Everything known of a run; starts no tool. What is not synthesised is compiled in memory, and its costs are predicted.

    Args:
        board: whose costs to show; None: those of the board that the run was last synthesised for.

    Raises:
        RunError: no run, or no finished point.
        BoardError: there is no such board.
    """
    if board is not None:
        load(board)
    directory = RunDir.open(run)
    record = directory.record()
    x, labels = directory.vectors()
    points, moved = _whole(directory, labels)
    last = directory.synthesised()
    if last is not None and board not in (None, last.link.board):
        last = None  # nothing is known to be measured there
    guess = _Guess.of(last.link.board if last else board or DEFAULT_BOARD, store_path)
    store = Store.open(store_path) if last else None
    rows: list[PointRow] = []
    warnings: list[str] = list(moved)
    known = [_artefacts(directory, last, p, (len(x), labels)) for p in points]
    designs = [one.manifest.design for one in known if one.manifest is not None]
    beside = Beside(_comparable(store, last.link, designs) if store and last else [], _found(last), TARGETS)
    for p, one in zip(points, known, strict=True):
        warnings += one.doubts
        measurement, doubt = _measured(directory, store, one.manifest, last, p)
        warnings += doubt
        row = _row(p, one, measurement, beside, chosen=p.id == best(points).id)
        # what was not synthesised is predicted; what was changed since is not looked at
        rows.append(guess.complete(row, p) if one.manifest is None and not one.doubts else row)
    if last is not None:
        models = tuple(str(model) for model in beside.without(""))
    else:
        models = tuple(str(guess.models[target]) for target in TARGETS if target in guess.models)
    float_accuracy = record.scores.test_accuracy if record.scores else None
    return RunReport(
        title=str(run),
        dataset=str(directory.data()) if directory.record().dataset else "no data",
        model=directory.settings().text("model"),
        board=last.link.board if last else None,
        tool=f"{last.link.tool} {last.link.version}".strip() if last else None,
        period_ns=next((one.manifest.period_ns for one in known if one.manifest), last.link.period_ns) if last else None,
        float_accuracy=math.nan if float_accuracy is None else float_accuracy,
        uniform8_ebops=(record.uniform8 or {}).get("ebops", math.nan),
        rows=tuple(rows),
        cost_models=models,
        metric=record.task.metric,
        better="lower" if record.task.lower else "higher",
        warnings=tuple(warnings),
        predicted_for=str(guess) if last is None else "",
    )


@dataclass(frozen=True, slots=True)
class _Guess:
    """Predicts what points would cost on a board that they were not synthesised for."""

    board: Board
    models: Mapping[str, CostModel]

    @classmethod
    def of(cls, name: str, store_path: Path | str | None) -> _Guess:
        board = load(name)
        return cls(board, design_models(board, store_path))

    def __str__(self) -> str:
        known = (
            "" if self.models else f" (no LUT and FF: nothing is measured on its family; hwq calibrate --board {self.board.name})"
        )
        return f"{self.board.name} at {self.board.default_clock}{known}"

    def complete(self, row: PointRow, point: Point) -> PointRow:
        """The row with predictions."""
        graph = optimise(verify(parse(point.graph_text())))
        circuit = circuit_of(graph, self.board, self.board.default_clock)
        found = _predicted([self.models[target] for target in TARGETS if target in self.models], features(graph, circuit))
        return replace(_costed(row, found), latency_predicted=circuit.latency)


def _costed(row: PointRow, found: Mapping[str, Prediction]) -> PointRow:
    """The row with predictions, by target; as it is where there is none."""
    lut, ff = found.get("lut"), found.get("ff")
    if lut is not None:
        row = replace(row, lut_predicted=lut.value, lut_error=lut.relative_error, lut_beyond=lut.out_of_range)
    if ff is not None:
        row = replace(row, ff_predicted=ff.value, ff_error=ff.relative_error, ff_beyond=ff.out_of_range)
    return row


@dataclass(frozen=True, slots=True)
class _Artefacts:
    """build.json and sim.json of a point, where it has been synthesised, each left out where it is not of the files as they are; and why."""

    manifest: Manifest | None = None
    verdict: Verdict | None = None
    doubts: tuple[str, ...] = ()


def _artefacts(directory: RunDir, last: Synthesised | None, point: Point, rows: tuple[int, npt.NDArray[Any]]) -> _Artefacts:
    """One point; `rows` are how many the run has, and the labels of the test rows."""
    name = last.folders.get(point.id) if last else None
    if last is None or name is None:
        return _Artefacts()
    try:
        folder = inside(directory.path / "synth", name)
        if not (folder / BUILD).is_file():
            return _Artefacts(doubts=(f"point {point.id}: {folder} is gone: hwq synth makes it again",))
        manifest = Manifest.read(folder, sealed=last.sealed)
        verdict = Verdict.read(folder / VERDICT, sealed=last.sealed) if (folder / VERDICT).is_file() else None
        if manifest.point != point.id or manifest.design != digest(parse(point.graph_text())):
            raise RunError(f"{folder} is of another design: it was moved or changed")
        changed = manifest.changed(folder)
    except RunError as error:
        return _Artefacts(doubts=(f"point {point.id}: {error}; hwq synth makes it again",))
    if changed is not None:
        doubt = f"point {point.id}: {changed} in {folder} is missing or was changed: hwq synth generates and proves it again"
        return _Artefacts(manifest, doubts=(doubt,))
    netlists = {name: sha256_of(folder / name) for name in NETLISTS.values() if verdict is not None and name in verdict.judged}
    if verdict is not None and not verdict.holds_for({**judged_inputs(manifest, point, directory), **netlists}):
        doubt = f"point {point.id}: proven with other files than those that are there: hwq sim proves it again"
        return _Artefacts(manifest, doubts=(doubt,))
    count, labels = rows
    if (
        verdict is not None
        and last.sealed
        and not verdict.covers(count, point.accuracy_by_answers(labels), stream=manifest.streamed)
    ):
        doubt = f"point {point.id}: the proof in {folder} leaves out an evaluator or rows: hwq sim proves it again"
        return _Artefacts(manifest, doubts=(doubt,))
    return _Artefacts(manifest, verdict)


def _whole(directory: RunDir, labels: npt.NDArray[Any]) -> tuple[list[Point], list[str]]:
    """The points whose record is of the files beside it, and what is wrong with the others, which are not shown.

    Raises:
        RunError: there is none.
    """
    points, doubts = [], []
    found = directory.select("all")
    for p in found:
        try:
            directory.require(p, labels)
            points.append(p)
        except RunError as error:
            doubts.append(f"point {p.id} is left out: {error}")
    if not points:
        raise RunError(f"no point of {directory.path} is as it was written; {doubts[0]}", hint="put the files back, or train again")
    return points, doubts


def _measured(
    directory: RunDir, store: Store | None, manifest: Manifest | None, last: Synthesised | None, point: Point
) -> tuple[Measurement | None, list[str]]:
    """The measurement that the link names, by its whole key, where the store says what the reports in the folder say; and why not."""
    if store is None or last is None or manifest is None:
        return None, []
    link, board = last.link, load(last.link.board)
    folder = directory.path / "synth" / last.folders[point.id]
    try:
        steps = steps_for(link.kind, link.stage, board, TOP, link.period_ns)
        step = [s for s in steps if s.measures][-1]
        stored = store.get(key_of(board, step, link.tool, link.version, link.options, manifest))
        if stored is None:
            return None, []
        told = reread(step, folder, board, manifest, sealed=last.sealed) or from_archive(
            step, store.artefacts(stored.key), board, manifest
        )
    except (RunError, ToolError, ReportError, UsageError, IndexError) as error:
        return None, [f"point {point.id}: {error}; hwq synth measures it again"]
    if told is not None and told != (stored.resources, stored.timing, stored.latency):
        return None, [
            f"point {point.id}: the store and the reports that it came from tell different numbers: hwq synth reads them again"
        ]
    return stored, []


def _comparable(store: Store, link: Link, designs: list[str]) -> list[Measurement]:
    """Measurements of the same family, tool and version, whatever run they are from; where only some are drawn, none of this run."""
    return comparable(store, selection(load(link.board), _source(link)), designs)


def _found(last: Synthesised | None) -> Found | None:
    """The cost models of the tool that the run was synthesised with last."""
    return find_models(load(last.link.board), _source(last.link)) if last else None


def _source(link: Link) -> ModelSource:
    return ModelSource(link.tool, link.version, link.stage, link.options)


def _predicted(models: list[CostModel], counted: Mapping[str, float]) -> dict[str, Prediction]:
    """What the models say of a design, by target; nothing where it was generated before its features were counted as now."""
    try:
        return {model.target: model.predict(counted) for model in models}
    except CostModelError:
        return {}


def _row(point: Point, known: _Artefacts, measurement: Measurement | None, beside: Beside, *, chosen: bool) -> PointRow:
    manifest, verdict = known.manifest, known.verdict
    predicted: dict[str, Prediction] = {}
    if manifest is not None and not manifest.hardware:  # models are of designs that take a row a clock
        predicted = _predicted(beside.without(manifest.design), manifest.features)
    resources = measurement.resources if measurement else None
    row = PointRow(
        point=point.id,
        epoch=point.epoch,
        val_accuracy=point.val_accuracy,
        test_accuracy=point.test_accuracy,
        simulated_accuracy=verdict.accuracy if verdict else None,
        ebops=point.ebops,
        lut=resources.lut if resources else None,
        lut_predicted=None,
        lut_error=None,
        lut_beyond=False,
        ff=resources.ff if resources else None,
        ff_predicted=None,
        dsp=resources.dsp if resources else None,
        latency_cycles=measurement.latency.max_cycles if measurement else None,
        latency_predicted=manifest.latency_cycles if manifest else None,
        slack_ns=measurement.timing.slack_ns if measurement else None,
        mismatches=verdict.mismatches if verdict else None,
        samples=verdict.samples if verdict else None,
        rows_told=rows_told(verdict.comparisons) if verdict else None,
        chosen=chosen,
    )
    return _costed(row, predicted)
