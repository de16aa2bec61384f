"""Searches to budgets: what part of each budget the best design uses as measured, after how many rounds, and how accurate it is.

    python benchmarks/codesign.py [--check] [--quick] [--only digits|mnist] [--work FOLDER] [--json FILE]

Each data set is trained once; every budget begins with that front (`hwq codesign --start`) and goes its own rounds. MNIST is read from
$HWQ_DATA or downloaded. A killed run goes on in the same --work folder. Beside each budget stands what HGQ alone has under it: the most
accurate point of the same front that keeps the budget by its predicted LUTs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from table import Row, conclude, write

from hwq.boards import load
from hwq.design.budget import Budget
from hwq.flow.codesign.landing import Pricer
from hwq.flow.codesign.search import CodesignOptions, CodesignSummary, codesign
from hwq.flow.train import train
from hwq.ir import parse, verify
from hwq.run.directory import RunDir
from hwq.toolchains.synthesis import choose
from hwq.train.config import TrainConfig

BOARD = "xcvu9p"


@dataclass(frozen=True, slots=True)
class Case:
    """One data set, how its front is trained, and the budgets of LUTs."""

    data: str
    config: TrainConfig
    round_epochs: int
    budgets: tuple[int, ...]


CASES = (
    Case("digits", TrainConfig(model="mlp:32,32", epochs=300, float_epochs=40, max_points=12), 90, (600, 1000, 1400)),
    Case(
        "mnist",
        TrainConfig(model="mlp:16,16", epochs=40, float_epochs=6, batch_size=256, max_points=12, beta_start=2e-5, beta_end=2e-3),
        8,
        (2000, 3000, 4500),
    ),
)
QUICK = (Case("digits", TrainConfig(model="mlp:16", epochs=60, float_epochs=20), 30, (400, 600)),)


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def front_accuracy(run: RunDir, budget: float, store: Path) -> float | None:
    """Validation accuracy of the best point of the front whose predicted LUTs keep the budget."""
    board = load(BOARD)
    price = Pricer.of(board, board.default_clock, choose("yosys", board, period_ns=board.default_clock.ns), store)
    points = [(price(verify(parse(p.graph_path.read_text()))).lut, p.val_accuracy) for p in run.points()]
    return max((accuracy for lut, accuracy in points if lut <= budget), default=None)


def rows_of(case: Case, budget: int, found: CodesignSummary, front: float | None) -> list[Row]:
    """Rows of one search; a bar on a least value is one on its negative."""
    name = f"{case.data}, {budget} LUT"
    used = found.used or 0.0
    rows = [
        Row("codesign", name, "measured LUT over budget", used, "", None, 1.0),
        Row("codesign", name, "budget not used", 1 - used, "", None, 0.05),
        Row("codesign", name, "rounds", len(found.rounds), "", None, 4),
        Row("codesign", name, "designs synthesised", sum(len(r.trials) for r in found.rounds), ""),
    ]
    if found.best is not None:
        accuracy = 100 * found.best.val_accuracy
        rows.append(Row("codesign", name, "validation accuracy", accuracy, "%", None if front is None else 100 * front))
        rows.append(Row("codesign", name, "test accuracy", 100 * (found.test_accuracy or 0.0), "%"))
    return rows


def measure(cases: tuple[Case, ...], work: Path) -> list[Row]:
    store, rows = work / "store.sqlite", []
    for case in cases:
        front = work / f"{case.data}-front"
        say(f"{case.data}: training the front")
        train(case.data, case.config, front)
        for budget in case.budgets:
            options = CodesignOptions(
                Budget({"lut": float(budget), "dsp": 0.0}), epochs=case.round_epochs, tool="yosys", start=front
            )
            found = codesign(
                case.data,
                case.config,
                work / f"{case.data}-{budget}",
                BOARD,
                options,
                store_path=store,
                tell=lambda line: say(f"  {line}"),
            )
            rows += rows_of(case, budget, found, front_accuracy(RunDir.open(front), budget, store))
            write(rows, work / "rows.json")
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit non-zero where a figure falls short")
    parser.add_argument("--quick", action="store_true", help="two small budgets on digits")
    parser.add_argument("--only", choices=[case.data for case in CASES])
    parser.add_argument("--work", type=Path, help="where runs are kept; a temporary folder when it is not given")
    parser.add_argument("--json", type=Path, help="also write the rows here")
    arguments = parser.parse_args()
    cases = QUICK if arguments.quick else tuple(c for c in CASES if arguments.only in (None, c.data))
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        rows = measure(cases, work)
    return conclude(rows, check=arguments.check, path=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
