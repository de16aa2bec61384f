"""`hwq codesign`: rounds of training, synthesis and correction until a design meets a budget as measured.

RUN/run.json             what was asked; `codesign`: the result, once there is one
RUN/codesign.json        the rounds that are finished
RUN/rounds/N/            what round N trained: a whole run in the first, a continued population after it; landed/ its networks within the budget
RUN/trials/              a run whose points are all designs that were measured
RUN/points/, RUN/synth/  the best design that meets the budget
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from hwq.boards import Board, load
from hwq.data import Dataset
from hwq.data import load as load_data
from hwq.design.budget import Budget, values_of
from hwq.design.target import Target, Work
from hwq.errors import BudgetError, RunError
from hwq.events import QUIET, Events, Notice
from hwq.files import read_fields, write_json
from hwq.flow.codesign.fit_to_budget import CompiledPrice
from hwq.flow.codesign.rounds import CLOSE, CodesignSession, Round, Trial
from hwq.flow.synth import synth
from hwq.flow.train import train
from hwq.locks import explain, one_writer
from hwq.posttraining.runs import begin, data_of, drawn
from hwq.run.directory import RunDir
from hwq.run.record import RunRecord
from hwq.toolchains.synthesiser import Synthesiser, choose
from hwq.train.config import TrainConfig
from hwq.units import Period

ROUNDS = 4
CONTINUED = 0.3  # epochs of a later round, as a part of those of the first
RECORD = "codesign.json"


@dataclass(frozen=True, slots=True)
class CodesignOptions:
    """What is asked for.

    Attributes:
        min_accuracy: on the validation rows; None: as accurate as it comes.
        rounds: at most.
        epochs: of each round after the first; None: a part of those of the first.
        tool, stage, clock: as of `hwq.flow.synth.synth`.
        start: a trained run that stands for the first round's; None: it is trained.
        store_path: where measurements are kept; None: the user's own store.
    """

    budget: Budget
    min_accuracy: float | None = None
    rounds: int = ROUNDS
    epochs: int | None = None
    tool: str = "auto"
    stage: str | None = None
    clock: Period | None = None
    start: Path | None = None
    store_path: Path | str | None = None


@dataclass(frozen=True, slots=True)
class CodesignSummary:
    """What came of a search.

    Attributes:
        best: the most accurate design on the validation rows that meets the budget as measured; None where none does.
        test_accuracy: its accuracy on the test rows, looked at last.
        problem: why the search failed, with `hint`; None where it did not.
    """

    run: Path
    tool: str
    priced_by: str
    rounds: tuple[Round, ...]
    best: Trial | None
    used: float | None
    test_accuracy: float | None
    problem: str | None = None
    hint: str | None = None

    def check(self) -> None:
        """Raises BudgetError: nothing fits, or the accuracy was not reached."""
        if self.problem is not None:
            raise BudgetError(self.problem, hint=self.hint)


@one_writer(lambda out: out)
def codesign(
    data: str,
    config: TrainConfig,
    out: Path,
    board_name: str,
    options: CodesignOptions,
    *,
    events: Events = QUIET,
) -> CodesignSummary:
    """Search a design of highest validation accuracy within a budget that is measured; a killed search goes on where it was.

    Args:
        config: of the first round; with `options.start`, that run's own takes its place.

    Raises:
        UsageError: a budget that the board cannot have or the tool not measure.
        RunError: the directory holds something else.
        DataError, ModelError, TrainingError, CostModelError, ToolError, PreflightError, MismatchError: of the steps.
    """
    say, place = events.note, _tool(load(board_name), options)
    board, synthesiser, period = place.board, place.synthesiser, place.period
    options.budget.require(board, synthesiser)
    dataset, config, first = _data(data, config, out, options, say)
    run = _begin(out, dataset, config, place, options)
    pricer = CompiledPrice.of(board, period, synthesiser, options.store_path)
    say(f"tool: {synthesiser.tool}, stage {synthesiser.stage}, clock {period}; predicted by {pricer}")
    if options.start is None:
        say("round 1: training the front")
        train(
            data, config, first, board=board.name, store_path=options.store_path, events=Events(note=say, progress=events.progress)
        )
    trained = RunDir.open(first)
    trials = begin(out / "trials", _derived(trained, dataset, run.record().derived or {}), drawn(dataset, config.seed))

    def measure(point: str) -> dict[str, float | None]:
        _, (result,) = synth(
            trials.path,
            Target.of(board.name, tool=synthesiser.kind, stage=synthesiser.stage, clock=period),
            point=point,
            store_path=options.store_path,
            work=Work(jobs=1, events=Events(point=lambda p, what: say(f"point {p}: {what}"), line=events.line)),
        )
        if result.measurement is None:
            raise RunError(f"the stage {synthesiser.stage} measures no design", hint="choose another --stage")
        return values_of(result.measurement)

    settings = _config(trained)
    epochs = options.epochs or max(1, round(CONTINUED * (settings.resolved(len(dataset.x_train)).epochs or 1)))
    session = CodesignSession(
        dataset, settings, trained, out, trials, options.budget, pricer, measure, epochs, say, events.progress
    )
    rounds = _rounds(session, options, say)
    return _result(run, session, rounds, options, str(synthesiser.tool), board)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where designs are measured."""

    board: Board
    synthesiser: Synthesiser
    period: Period


def _tool(board: Board, options: CodesignOptions) -> _Place:
    """The tool and clock: those asked for, else with a budget on fmax a tool that routes, and that clock."""
    wanted, stage, fmax = options.tool, options.stage, options.budget.limits.get("fmax")
    if fmax is not None and wanted == "auto" and stage is None:
        stage = "route"
    period = options.clock or (Period(1e3 / fmax) if fmax else board.default_clock)
    return _Place(board, choose(wanted, board, stage=stage, period_ns=period.ns), period)


def _data(data: str, config: TrainConfig, out: Path, options: CodesignOptions, say: Notice) -> tuple[Dataset, TrainConfig, Path]:
    """The data, the first round's configuration, and its run."""
    if options.start is None:
        dataset = load_data(data, seed=config.seed, notice=say)
        return dataset, config.resolved(len(dataset.x_train)), out / "rounds" / "1"
    run = RunDir.open(options.start)
    if not run.record().trained or not (run.checkpoint / "state.npz").is_file():
        raise RunError(f"{run.path} is no finished training", hint="finish it: the same hwq train command again")
    return data_of(run, data, say), _config(run), run.path


def _config(run: RunDir) -> TrainConfig:
    """The configuration that a run was trained with."""
    config = TrainConfig.of(run.settings())
    if config.method != "hgq":
        raise RunError(f"{run.path} was trained by {config.method}", hint="co-design goes on from runs of --method hgq")
    return config


def _begin(out: Path, dataset: Dataset, config: TrainConfig, place: _Place, options: CodesignOptions) -> RunDir:
    """The directory of the search; what is asked must be what was asked before."""
    synthesiser = place.synthesiser
    asked = {
        "method": "codesign",
        "board": place.board.name,
        "tool": synthesiser.tool.name,
        "version": synthesiser.tool.version,
        "stage": synthesiser.stage,
        "period_ns": place.period.ns,
        "budget": dict(options.budget.limits),
        "epochs": options.epochs,
        "start": None if options.start is None else str(options.start),
        "config": config.to_json(),
    }
    return begin(out, RunRecord("", config.to_json(), dataset.told, asked), drawn(dataset, config.seed))


def _derived(run: RunDir, dataset: Dataset, method: Mapping[str, object]) -> RunRecord:
    """The record of a run that goes on from `run` with the same data, which may lie elsewhere now."""
    return replace(run.record().derive(method), dataset=dataset.told)


def _rounds(session: CodesignSession, options: CodesignOptions, say: Notice) -> list[Round]:
    """All rounds, those that are recorded as they were."""
    path = session.out / RECORD
    hint = "delete it: what was measured is known to the store"
    recorded = [Round.of(one) for one in read_fields(path, hint=hint).objects("rounds")] if path.is_file() else []
    rounds: list[Round] = []
    while not _enough(rounds, options):
        number = len(rounds) + 1
        networks = session.trained(number)
        if number <= len(recorded):
            rounds.append(recorded[number - 1])
            session.done += rounds[-1].trials
        else:
            rounds.append(session.measured(number, networks))
            write_json(path, {"rounds": [asdict(one) for one in rounds]})
        for line in rounds[-1].told(options.budget.lut):
            say(line)
    return rounds


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """The most accurate design on the validation rows that meets the budget; of equals that of least cross-entropy."""
    return max((t for t in trials if not t.missed), key=lambda t: (t.val_accuracy, -t.cross_entropy), default=None)


def _enough(rounds: Sequence[Round], options: CodesignOptions) -> bool:
    """Whether no further round is due: the last allowed one, the budget used and the accuracy reached, or two that brought nothing."""
    if len(rounds) < 2 or len(rounds) >= options.rounds:
        return len(rounds) >= options.rounds
    best = best_of([t for r in rounds for t in r.trials])
    if best is not None and best.lut >= CLOSE * options.budget.lut and best.val_accuracy >= (options.min_accuracy or 0.0):
        return True
    before = best_of([t for r in rounds[:-2] for t in r.trials])
    return len(rounds) > 2 and best is not None and best == before


def _result(
    run: RunDir, session: CodesignSession, rounds: Sequence[Round], options: CodesignOptions, tool: str, board: Board
) -> CodesignSummary:
    """Take the best design over into the run, and say what came of the search."""
    trials = [t for r in rounds for t in r.trials]
    best = best_of(trials)
    summary = CodesignSummary(run.path, tool, str(session.pricer), tuple(rounds), best, None, None)
    if best is None:
        nearest = min(trials, key=lambda t: (len(t.missed), t.lut))
        hint = "a larger budget, a smaller --model, more --rounds or --epochs"
        return replace(summary, problem=f"nothing keeps the budget: {'; '.join(nearest.missed)} at best", hint=hint)
    _take(session.trials, run, best.point)
    summary = replace(summary, used=best.lut / options.budget.lut, test_accuracy=run.point(best.point).test_accuracy)
    told = {"best": best.point, "lut": best.lut, "rounds": len(rounds)}
    found = _derived(session.first, session.dataset, {})
    run.update(
        lambda now: replace(
            now.finished(found),
            state=now.state,
            config=found.config,
            dataset=found.dataset,
            more={**now.more, **found.more, "codesign": told},
        )
    )
    if best.val_accuracy < (options.min_accuracy or 0.0):
        wanted = f"{best.val_accuracy:.4f} on the validation rows within the budget, {options.min_accuracy:.4f} was asked"
        return replace(summary, problem=wanted, hint="a larger budget, a larger --model, or more --epochs or --rounds")
    return summary


def _take(trials: RunDir, run: RunDir, point: str) -> None:
    """Copy a point with its generated files from the trials; one that was taken before goes."""
    source = trials.synthesised()
    folder = source.folders.get(point) if source else None
    if source is None or folder is None:
        raise RunError(f"{trials.path} does not say where point {point} was synthesised", hint="run the same command again")
    _copied(trials.point_folder(point), run.point_folder(point))
    _copied(trials.synth_folder(folder), run.synth_folder(folder))
    for other in run.points():
        if other.id != point:
            shutil.rmtree(other.folder)
    run.link(source.link, point, folder)


def _copied(origin: Path, target: Path) -> None:
    if not target.is_dir():
        partial = target.parents[1] / "taking.part"  # not beside the points, among which a kill would leave it
        try:
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(origin, partial)
            target.parent.mkdir(parents=True, exist_ok=True)
            partial.replace(target)
        except OSError as error:
            raise explain(error, target) from error
