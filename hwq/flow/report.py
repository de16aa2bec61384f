"""`hwq report`: gather what a run's points cost and reached, with predictions made without the point's own measurement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hwq.boards import DEFAULT_BOARD, Board, load
from hwq.cost.features import features
from hwq.cost.find import Beside, Found, ModelSource, comparable, find_models, selection
from hwq.cost.model import CostModel, Prediction
from hwq.cost.predict import design_models
from hwq.design.point import NETLISTS, VERDICT, changed_files
from hwq.design.verdict import Verdict, judged_inputs, rows_told
from hwq.errors import CostModelError, ReportError, RunError, ToolError, UsageError
from hwq.files import inside, read_json, sha256_of
from hwq.ir import digest, parse, verify
from hwq.measure.measurement import WHOLE, Key, Measurement
from hwq.measure.store import Store
from hwq.passes import optimise
from hwq.passes.compiling import circuit_of
from hwq.run.directory import Point, RunDir, best
from hwq.synthesis.readings import reread
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
    directory = RunDir.open(run)
    meta = directory.meta()
    points, moved = _whole(directory)
    link = _link(directory, meta)
    if link is not None and board not in (None, link["board"]):
        link = None  # nothing is known to be measured there
    guess = _Guess.of(link["board"] if link else board or DEFAULT_BOARD, store_path)
    store = Store.open(store_path) if link else None
    rows: list[PointRow] = []
    warnings: list[str] = list(moved)
    models: tuple[str, ...] = ()
    known = [_artefacts(directory, link, p) for p in points]
    designs = [summary["design"] for summary, _, _ in known if summary is not None]
    beside = Beside(_comparable(store, link, designs) if store and link else [], _found(link), TARGETS)
    for p, (summary, verdict, doubts) in zip(points, known, strict=True):
        warnings += doubts
        measurement, doubt = _measured(directory, store, summary, link, p)
        warnings += doubt
        row = _row(p, summary, verdict, measurement, beside, chosen=p.id == best(points).id)
        # what was not synthesised is predicted; what was changed since is not looked at
        rows.append(guess.complete(row, p) if summary is None and not doubts else row)
    if link is not None:
        models = tuple(str(model) for model in beside.without(""))
    else:
        models = tuple(str(guess.models[target]) for target in TARGETS if target in guess.models)
    config, data = meta["config"], meta["dataset"]
    return RunReport(
        title=str(run),
        dataset=f"{data['name']}: {data['train']} training, {data['validation']} validation, {data['test']} test rows",
        model=config["model"],
        board=link["board"] if link else None,
        tool=f"{link['tool']} {link['version']}".strip() if link else None,
        period_ns=link["period_ns"] if link else None,
        float_accuracy=meta.get("float", {}).get("test_accuracy", float("nan")),
        uniform8_ebops=meta.get("uniform8", {}).get("ebops", float("nan")),
        rows=tuple(rows),
        cost_models=models,
        warnings=tuple(warnings),
        predicted_for=str(guess) if link is None else "",
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
        lut, ff = found.get("lut"), found.get("ff")
        return replace(row, **_costs("lut", lut), **_costs("ff", ff), latency_predicted=circuit.latency)


def _costs(target: str, found: Prediction | None) -> dict[str, Any]:
    """The fields of a row for a prediction."""
    if found is None:
        return {}
    return {
        f"{target}_predicted": found.value,
        f"{target}_error": found.relative_error,
        f"{target}_beyond": found.out_of_range,
    }


def _artefacts(
    directory: RunDir, link: dict[str, Any] | None, point: Point
) -> tuple[dict[str, Any] | None, Verdict | None, list[str]]:
    """build.json and sim.json of a point, where it has been synthesised, each left out where it is not of the files as they are; and why."""
    name = (link or {}).get("folders", {}).get(point.id)
    if name is None:
        return None, None, []
    try:
        folder = inside(directory.path / "synth", str(name))
        sealed = "options" in (link or {})  # a link of hwq 0.1.0 has none, and neither have its records
        summary = read_json(folder / "build.json", sealed=sealed) if (folder / "build.json").is_file() else None
        if summary is None:
            return None, None, [f"point {point.id}: {folder} is gone: hwq synth makes it again"]
        verdict = Verdict.read(folder / VERDICT, sealed=sealed) if (folder / VERDICT).is_file() else None
        if summary["point"] != point.id or summary["design"] != digest(parse(point.graph_text())):
            raise RunError(f"{folder} is of another design: it was moved or changed")
        changed = changed_files(folder, summary)
    except (RunError, KeyError, TypeError, ValueError) as error:
        return None, None, [f"point {point.id}: {error}; hwq synth makes it again"]
    if changed is not None:
        return (
            summary,
            None,
            [f"point {point.id}: {changed} in {folder} is missing or was changed: hwq synth generates and proves it again"],
        )
    netlists = {name: sha256_of(folder / name) for name in NETLISTS.values() if verdict is not None and name in verdict.judged}
    if verdict is not None and not verdict.holds_for({**judged_inputs(summary, point, directory), **netlists}):
        return summary, None, [f"point {point.id}: proven with other files than those that are there: hwq sim proves it again"]
    return summary, verdict, []


def _whole(directory: RunDir) -> tuple[list[Point], list[str]]:
    """The points whose record is of the files beside it, and what is wrong with the others, which are not shown.

    Raises:
        RunError: there is none.
    """
    points, doubts = [], []
    found = directory.select("all")
    for p in found:
        try:
            p.require_files()
            points.append(p)
        except RunError as error:
            doubts.append(f"point {p.id} is left out: {error}")
    if not points:
        raise RunError(f"no point of {directory.path} is as it was written; {doubts[0]}", hint="put the files back, or train again")
    return points, doubts


def _link(directory: RunDir, meta: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the run was synthesised with last.

    Raises:
        RunError: the record says it in a way that hwq never writes.
    """
    link = meta.get("synth")
    if link is None:
        return None
    try:
        texts = all(isinstance(link[name], str) for name in ("board", "kind", "tool", "version", "stage"))
        if (
            texts
            and isinstance(link.get("options", ""), str)
            and isinstance(link["folders"], dict)
            and float(link["period_ns"]) > 0
        ):
            return dict(link)
    except (KeyError, TypeError, ValueError, AttributeError):
        pass
    raise RunError(f"{directory.path / 'run.json'} is damaged: its entry of the last synthesis", hint="run hwq synth again")


def _measured(
    directory: RunDir, store: Store | None, summary: dict[str, Any] | None, link: dict[str, Any] | None, point: Point
) -> tuple[Measurement | None, list[str]]:
    """The measurement that the link names, where the store says what the reports in the folder say; and why not."""
    stored = _measurement(store, summary, link)
    if stored is None or link is None or summary is None:
        return stored, []
    folder = directory.path / "synth" / str(link["folders"][point.id])
    try:
        steps = steps_for(link["kind"], link["stage"], load(link["board"]), TOP, float(link["period_ns"]))
        told = reread([s for s in steps if s.measures][-1], folder, load(link["board"]), summary, sealed="options" in link)
    except (RunError, ToolError, ReportError, UsageError, IndexError) as error:
        return None, [f"point {point.id}: {error}; hwq synth measures it again"]
    if told is not None and told != (stored.resources, stored.timing, stored.latency):
        return None, [f"point {point.id}: the store and the reports in {folder} tell different numbers: hwq synth reads them again"]
    return stored, []


def _comparable(store: Store, link: dict[str, Any], designs: list[str]) -> list[Measurement]:
    """Measurements of the same family, tool and version, whatever run they are from; where only some are drawn, none of this run."""
    return comparable(store, selection(load(link["board"]), _source(link)), designs)


def _found(link: dict[str, Any] | None) -> Found | None:
    """The cost models of the tool that the run was synthesised with last."""
    return find_models(load(link["board"]), _source(link)) if link else None


def _source(link: dict[str, Any]) -> ModelSource:
    return ModelSource(link["tool"], link["version"], link["stage"], link.get("options", ""))


def _measurement(store: Store | None, summary: dict[str, Any] | None, link: dict[str, Any] | None) -> Measurement | None:
    """The one that the link names, by its whole key."""
    if store is None or summary is None or link is None:
        return None
    where = (link["board"], link["tool"], link["version"], link["stage"])
    return store.get(Key(summary["design"], summary["plan"], WHOLE, *where, link.get("options", "")))


def _predicted(models: list[CostModel], counted: Mapping[str, float]) -> dict[str, Prediction]:
    """What the models say of a design, by target; nothing where it was generated before its features were counted as now."""
    try:
        return {model.target: model.predict(counted) for model in models}
    except CostModelError:
        return {}


def _row(
    point: Any,
    summary: dict[str, Any] | None,
    verdict: Verdict | None,
    measurement: Measurement | None,
    beside: Beside,
    *,
    chosen: bool,
) -> PointRow:
    predicted: dict[str, Prediction] = {}
    if summary is not None:
        predicted = _predicted(beside.without(summary["design"]), summary["features"])
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
        latency_predicted=summary["latency_cycles"] if summary else None,
        slack_ns=measurement.timing.slack_ns if measurement else None,
        mismatches=verdict.mismatches if verdict else None,
        samples=verdict.samples if verdict else None,
        rows_told=rows_told(verdict.comparisons) if verdict else None,
        chosen=chosen,
    )
    return replace(row, **_costs("lut", predicted.get("lut")), **_costs("ff", predicted.get("ff")))
