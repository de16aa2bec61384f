"""Searches to budgets: what part of each budget the best design uses as measured, after how many rounds, and how accurate it is.

Each data set is trained once; every budget begins with that front (`hwq codesign --start`) and goes its own rounds. Beside each budget
stands what HGQ alone has under it: the most accurate point of the same front that keeps the budget by its predicted LUTs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common.datasets import spec
from benchmarks.common.experiment import Context, Experiment, NoSettings
from benchmarks.common.row import Peer, Row, at_least, at_most
from hwq.boards import load
from hwq.design.budget import Budget
from hwq.events import Events
from hwq.flow.codesign.fit_to_budget import CompiledPrice
from hwq.flow.codesign.search import CodesignOptions, CodesignSummary, codesign
from hwq.flow.train import train
from hwq.ir import parse, verify
from hwq.run.directory import RunDir
from hwq.toolchains.synthesiser import choose
from hwq.train.config import TrainConfig

EXPERIMENT = Experiment(
    "Searches to budgets of LUT: the part that is used as measured, rounds, and accuracy",
    cpu=("1 h", "10 min"),
    settings=NoSettings(),
    tools=("yosys",),
)
BOARD = "xcvu9p"


@dataclass(frozen=True, slots=True)
class Case:
    """One data set, how its front is trained, and the budgets of LUTs."""

    data: str
    config: TrainConfig
    round_epochs: int
    budgets: tuple[int, ...]


DIGITS = Case("digits", TrainConfig(model="mlp:32,32", epochs=300, float_epochs=40, max_points=12), 90, (600, 1000, 1400))
MNIST = Case(
    "mnist",
    TrainConfig(model="mlp:16,16", epochs=40, float_epochs=6, batch_size=256, max_points=12, beta_start=2e-5, beta_end=2e-3),
    8,
    (2000, 3000, 4500),
)
QUICK = Case("digits", TrainConfig(model="mlp:16", epochs=60, float_epochs=20), 30, (400, 600))


def front_accuracy(run: RunDir, budget: float, store: Path) -> float | None:
    """Validation accuracy of the best point of the front whose predicted LUTs keep the budget."""
    board = load(BOARD)
    price = CompiledPrice.of(board, board.default_clock, choose("yosys", board, period_ns=board.default_clock.ns), store)
    points = [(price(verify(parse(p.graph_path.read_text()))).lut, p.validated) for p in run.points()]
    return max((accuracy for lut, accuracy in points if lut <= budget), default=None)


def rows_of(case: Case, budget: int, found: CodesignSummary, front: float | None) -> list[Row]:
    """Rows of one search."""
    name = f"{case.data}, {budget} LUT"
    used = found.used or 0.0
    rows = [
        Row("codesign", name, "measured LUT / budget", used, "", bar=at_most(1.0)),
        Row("codesign", name, "part of the budget that is used", used, "", bar=at_least(0.95)),
        Row("codesign", name, "rounds", len(found.rounds), "", bar=at_most(4)),
        Row("codesign", name, "designs synthesised", sum(len(r.trials) for r in found.rounds), ""),
    ]
    if found.best is not None:
        peer = None if front is None else Peer(100 * front, "HGQ alone")
        accuracy = 100 * found.best.val_accuracy
        rows.append(Row("codesign", name, "validation accuracy", accuracy, "%", peer))
        rows.append(Row("codesign", name, "test accuracy", 100 * (found.test_accuracy or 0.0), "%"))
    return rows


def measured(context: Context[NoSettings], case: Case) -> Iterator[Row]:
    """All budgets of a data set from one front."""
    store, front = context.work / "store.sqlite", context.work / f"{case.data}-front"
    data = spec(case.data)
    context.say(f"{case.data}: training the front")
    train(data, case.config, front)
    for budget in case.budgets:
        limits = Budget({"lut": float(budget), "dsp": 0.0})
        options = CodesignOptions(limits, epochs=case.round_epochs, tool="yosys", start=front, store_path=store)
        run = context.work / f"{case.data}-{budget}"
        found = codesign(data, case.config, run, BOARD, options, events=Events(note=lambda line: context.say(f"  {line}")))
        yield from rows_of(case, budget, found, front_accuracy(RunDir.open(front), budget, store))


@EXPERIMENT.part
def digits(context: Context[NoSettings]) -> Iterator[Row]:
    """Three budgets on digits; with --quick two small ones."""
    yield from measured(context, QUICK if context.quick else DIGITS)


@EXPERIMENT.full_part
def mnist(context: Context[NoSettings]) -> Iterator[Row]:
    """Three budgets on MNIST."""
    yield from measured(context, MNIST)
