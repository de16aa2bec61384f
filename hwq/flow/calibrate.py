"""`hwq calibrate`: measure the designs of the experiment on a board, and fit cost models to them and to everything else that is known."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path

from hwq.boards import Board, load
from hwq.codegen.build import build
from hwq.cost.experiment import ExperimentDesign, trials
from hwq.cost.features import VERSION
from hwq.cost.find import ModelSource, comparable, find_models, model_family, own_models, selection
from hwq.cost.fit import fit_all
from hwq.cost.library import file_name, to_text, write_rows
from hwq.cost.model import CostModel, ModelKey
from hwq.errors import CostModelError, ReportError, ToolError
from hwq.events import QUIET, Events
from hwq.files import write_text
from hwq.measure.measurement import Measurement
from hwq.measure.store import Store
from hwq.places import cache
from hwq.synthesis.single import Bench, measured
from hwq.synthesis.step_measurement import options_before
from hwq.toolchains.synthesiser import Synthesiser, choose
from hwq.units import Period

DESIGNS = 60  # enough for every term of a model
MANY_FAILURES = 3  # at the very start, and the tool itself is what fails


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a calibration came to.

    Attributes:
        measured: designs that a tool ran for now; known: those that were in the store already.
        failed: designs that the tool gave up on, as sentences.
        files: one for each stage on the way, of models that were fitted.
        models: all of them; refused: why others could not be fitted, as sentences.
    """

    board: str
    tool: str
    measured: int
    known: int
    failed: tuple[str, ...]
    files: tuple[Path, ...]
    models: tuple[CostModel, ...]
    refused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CalibrateOptions:
    """How much is measured, and where.

    Attributes:
        stage: one of `hwq.toolchains.steps.STAGES`; the tool's own default when None.
        budget_minutes: no design is begun after so long; None: all `designs` are measured.
        designs: of the experiment; jobs: so many at a time.
        work: where files are generated; the user's cache when None. A killed calibration goes on from there.
        out: where the models go; `hwq.cost.find.own_models` when None.
        timeout_s: limit for each program on one design.
    """

    tool: str = "auto"
    stage: str | None = None
    budget_minutes: float | None = None
    designs: int = DESIGNS
    jobs: int = 2
    store_path: Path | str | None = None
    work: Path | None = None
    out: Path | None = None
    timeout_s: float | None = 1800.0


def calibrate(board_name: str, options: CalibrateOptions | None = None, *, events: Events = QUIET) -> Calibration:
    """Measure designs that the store does not know yet, and write the models of every stage on the way.

    Raises:
        BoardError, UsageError, ToolMissingError, StoreError, RunError.
        ToolError: the tool fails on the first designs.
        CostModelError: no model at all can be fitted.
    """
    asked = options or CalibrateOptions()
    board = load(board_name)
    synthesiser = choose(asked.tool, board, stage=asked.stage, period_ns=board.default_clock.ns)
    store, folder = Store.open(asked.store_path), (asked.work or _cache()) / board.name
    job = _Calibrating(Bench(board, synthesiser, store, folder, timeout_s=asked.timeout_s), events)
    deadline = None if asked.budget_minutes is None else time.monotonic() + 60 * asked.budget_minutes
    new, known, failed = _run(job, trials(asked.designs), asked.jobs, deadline)
    files, models, refused = fit_stages(store, board, synthesiser, asked.out or own_models())
    if not models:
        raise CostModelError(f"no model can be fitted: {'; '.join(refused)}", hint="more --designs or --budget-minutes")
    return Calibration(board.name, str(synthesiser.tool), new, known, tuple(failed), tuple(files), tuple(models), tuple(refused))


def fit_stages(store: Store, board: Board, synthesiser: Synthesiser, out: Path) -> tuple[list[Path], list[CostModel], list[str]]:
    """Fit and write the models of every stage that the steps of `synthesiser` measure; (files, models, why others are missing)."""
    files, models, refused = [], [], []
    for step in (s for s in synthesiser.steps if s.measures):
        program = synthesiser.tool_of(step)
        options = options_before(synthesiser, step)
        key = ModelKey(model_family(board, program.name), program.name, program.version, step.stage, options)
        rows = known_rows(store, board, key)
        found, missing = fit_all(rows)
        refused += [f"{key}: {reason}" for reason in missing]
        if found:
            path = out / file_name(key)
            write_text(path, to_text(key, found, f"data: {path.with_suffix('.csv').name}"))
            _write_data(path.with_suffix(".csv"), rows)
            files.append(path)
            models += found
    return files, models, refused


def known_rows(store: Store, board: Board, key: ModelKey) -> list[Measurement]:
    """What the store holds for a key, and what existing models of the same version were fitted to; each design once."""
    source = ModelSource(key.tool, key.version, key.stage, key.options)
    rows = comparable(store, selection(board, source, VERSION))
    existing = find_models(board, source)
    # files of hwq 0.1.0 do not say their options
    if existing is not None and existing.exact and replace(existing.library.key, options=key.options) == key:
        rows += existing.library.rows()
    first: dict[tuple[str, str], Measurement] = {}
    for m in rows:
        if m.features.get("counted") == VERSION:
            first.setdefault((m.key.design, m.key.plan), m)
    return list(first.values())


def _write_data(path: Path, rows: Iterable[Measurement]) -> None:
    import io

    text = io.StringIO()
    write_rows(text, list(rows))
    write_text(path, text.getvalue())


def _cache() -> Path:
    return cache() / "calibrate"


@dataclass(frozen=True, slots=True)
class _Calibrating:
    """What all designs of one call share."""

    bench: Bench
    events: Events


def _run(job: _Calibrating, queue: Iterator[ExperimentDesign], jobs: int, deadline: float | None) -> tuple[int, int, list[str]]:
    """(measured now, known before, failures): `jobs` designs at a time, begun while there is time."""
    done: list[bool] = []
    failed: list[str] = []
    pool = ThreadPoolExecutor(max(1, jobs))
    waiting: dict[Future[bool], ExperimentDesign] = {}
    try:
        more = True
        while more or waiting:
            while more and len(waiting) < max(1, jobs):
                trial = next(queue, None)
                more = trial is not None and (deadline is None or time.monotonic() < deadline)
                if trial is not None and more:
                    waiting[pool.submit(_measured, trial, job)] = trial
            finished, _ = wait(waiting, return_when=FIRST_COMPLETED) if waiting else (set(), set())
            for future in finished:
                trial = waiting.pop(future)
                try:
                    done.append(future.result())
                except (ToolError, ReportError) as error:
                    failed.append(f"{trial.name}: {error.message}")
                    job.events.point(trial.name, f"failed: {error.message}")
                    if not done and len(failed) >= MANY_FAILURES:
                        raise
    except BaseException as error:
        pool.shutdown(wait=not isinstance(error, KeyboardInterrupt), cancel_futures=True)
        raise
    pool.shutdown()
    return sum(done), len(done) - sum(done), failed


def _measured(trial: ExperimentDesign, job: _Calibrating) -> bool:
    """Measure one design on the way to the stage; False where the store knew it."""
    board = job.bench.board
    say = job.events.of(trial.name)
    made = build(trial.graph, board, Period(board.default_clock.ns / trial.speed))
    found = measured(made, job.bench, f"{trial.name}-", group=trial.group, begun=lambda _: say("synthesising"))
    say("measured before" if found.reused else "done")
    for doubt in found.doubts:
        say(f"warning: {doubt}")
    return not found.reused
