"""What the methods after training reach: refine, ptq, allocate, and the integer program.

    python benchmarks/allocation.py [--check] [--quick] [--only ROW ...] [--costs measured|predicted] [--json FILE]

Figures are of test rows; choices are made on training and validation rows alone. LUTs are the tool's for --costs measured, else adder
and comparator bits of the compiled graph. --quick takes one seed, few budgets, digits alone, and predicted costs. MNIST comes from
keras.datasets' file, or from $HWQ_DATA/mnist.npz.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from table import Row, conclude

from hwq.data import Dataset
from hwq.flow.allocate import AllocateOptions, Search
from hwq.posttraining.float_model import FloatModel

BOARD = "xcvu9p"


@dataclass(frozen=True, slots=True)
class Bench:
    """Where and how much is measured."""

    quick: bool
    costs: str
    scratch: Path

    @property
    def seeds(self) -> range:
        return range(1 if self.quick else 3)

    def trained(self, data: str, seed: int, model: str = "mlp:64,32", **options: Any) -> Path:
        """A run of hwq train with its default options, and so its float network too."""
        from hwq.flow.train import train
        from hwq.train.config import TrainConfig

        out = self.scratch / f"{data}-{seed}-{model.replace(':', '_').replace(',', '_')}"
        train(data, TrainConfig(model=model, seed=seed, **options), out)
        return out

    def lut(self, run: Path, point: str) -> float:
        """LUTs of a point."""
        from hwq.cost.predict import price_for
        from hwq.flow.synth import synth
        from hwq.ir import parse
        from hwq.run.directory import RunDir

        if self.costs == "predicted":
            (chosen,) = RunDir.open(run).select(point)
            return price_for(None, None)(parse(chosen.graph_path.read_text()))
        _, (result,) = synth(run, BOARD, point=point)
        return float(result.measurement.resources.lut)


def milp(bench: Bench) -> list[Row]:
    """Brute force where that is possible, and time at full size."""
    from hwq.posttraining.milp import Table, solve

    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(10 if bench.quick else 100):
        groups, choices = int(rng.integers(1, 7)), int(rng.integers(2, 5))
        table = Table(rng.exponential(1, (groups, choices)), rng.uniform(1, 100, (groups, choices)))
        budget = float(table.cost.min(axis=1).sum() * rng.uniform(1, 3))
        number = np.arange(groups)
        every = [c for c in itertools.product(range(choices), repeat=groups) if table.cost[number, c].sum() <= budget]
        least = min(float(table.loss[number, c].sum()) for c in every)
        wrong += abs(solve(table, budget=budget)[0].loss - least) > 1e-9 * max(least, 1)
    loss = np.sort(rng.exponential(1, (2000, 8)))[:, ::-1]
    cost = np.sort(rng.uniform(10, 200, (2000, 8)))
    began = time.process_time()
    solve(Table(loss, cost), budget=float(cost.min(axis=1).sum() * 2))
    seconds = time.process_time() - began
    return [
        Row("milp", "small tables", "not the optimum of brute force", wrong, "tables", limit=0),
        Row("milp", "2 000 groups x 8", "CPU time", seconds, "s", limit=60),
    ]


def multipoint(bench: Bench) -> list[Row]:
    """The relative output error of each channel with one more point over that before, at 2 bits."""
    from hwq.data import load
    from hwq.posttraining.float_model import read_float
    from hwq.posttraining.multipoint import multipoint as quantise
    from hwq.posttraining.quantize import uniform

    rows = []
    for data in ("digits", "wine", "breast_cancer"):
        run = bench.trained(data, 0, "mlp:32,16", epochs=20, population=1)
        network = read_float(str(run), load(data, seed=0))
        _, told = quantise(network.fine, uniform(network.fine, 2, 8), network.rows, count=4)
        errors = np.array([e for many in told.values() for e in many if len(e) == 5])
        ratio = float(np.exp(np.log(errors[:, 1:] / errors[:, :-1]).mean()))
        rows.append(Row("multipoint", data, "output error per added point", ratio, "ratio", limit=0.6))
    return rows


def refine(bench: Bench) -> list[Row]:
    """LUTs and test accuracy of the best point of each run, before and after."""
    from hwq.flow.refine import refine as run_refine

    rows = []
    for data in ("digits",) if bench.quick else ("digits", "mnist"):
        ratios, lost = [], []
        for seed in bench.seeds:
            options = {} if data == "digits" else {"epochs": 100, "batch_size": 1024}
            run = bench.trained(data, seed, **options)
            (one,) = run_refine(run, out=run.with_name(f"{run.name}-refined")).points
            after = bench.lut(run.with_name(f"{run.name}-refined"), one.point)
            ratios.append(after / bench.lut(run, one.point))
            lost.append(100 * ((one.test_accuracy_before or 0) - one.test_accuracy))
        rows.append(Row("refine", data, "LUT after / before", float(np.mean(ratios)), "ratio", limit=0.85))
        rows.append(Row("refine", data, "test accuracy lost", float(np.mean(lost)), "points", limit=0.2))
    return rows


def ptq(bench: Bench) -> list[Row]:
    """LUTs of digits over those of the cheapest uniform fixed point that is as accurate, over the upper end of the front.

    The compiled graph says which design is the cheapest of those that reach a test accuracy; only these are synthesised.
    """
    from hwq.cost.predict import price_for
    from hwq.flow.ptq import PtqOptions
    from hwq.flow.ptq import ptq as run_ptq
    from hwq.ir import parse
    from hwq.run.directory import RunDir

    price, levels = price_for(None, None), (0.5, 1.0, 2.0)
    ratios: dict[float, list[float]] = {below: [] for below in levels}
    for seed in bench.seeds:
        run = bench.trained("digits", seed)
        found: dict[str, list[tuple[float, float, Path, str]]] = {"uniform": [], "digits": []}
        for method, bits in (("uniform", (2, 3, 4, 5, 6)), ("digits", (6,))):
            for a in (6,) if bench.quick else (4, 5, 6):
                out = bench.scratch / f"ptq-{seed}-{method}-{a}"
                run_ptq(str(run), "digits", out, options=PtqOptions(method, bits, a, seed=seed))
                for p in RunDir.open(out).points():
                    found[method].append((price(parse(p.graph_path.read_text())), p.test_accuracy or 0.0, out, p.id))
        best = max(accuracy for _, accuracy, _, _ in found["uniform"])
        for below in levels:
            least = {m: min(one for one in found[m] if one[1] >= best - below / 100) for m in found}
            luts = {m: bench.lut(path, point) for m, (_, _, path, point) in least.items()}
            told = ", ".join(f"{m} {100 * least[m][1]:.1f} % {lut:.0f} LUT" for m, lut in luts.items())
            print(f"ptq, seed {seed}, {below:g} points below: {told}", file=sys.stderr, flush=True)
            ratios[below].append(luts["digits"] / luts["uniform"])
    case = "digits, {:g} points below the best uniform"
    return [
        Row("ptq", case.format(below), "LUT of digits / uniform", float(np.exp(np.log(r).mean())), "ratio", limit=1 / 1.4)
        for below, r in ratios.items()
    ]


SMALL = {"digits": "mlp:24,16", "wine": "mlp:12,8", "breast_cancer": "mlp:12,8"}  # what whole designs can be measured of in minutes
WIDTHS = {"weight_bits": (2, 3, 4, 5, 6), "activation_bits": (4, 6)}


def allocate(bench: Bench) -> list[Row]:
    """Budgets between the smallest and the largest uniform design: divergence against the best uniform width within the same budget.

    The bars are those of widths for channels; with one for each layer there is nothing to choose near the smallest design.
    """
    rows = []
    for granularity in ("layer", "channel"):
        bars = (0.2, 0, 5, 12) if granularity == "channel" else (None,) * 4
        found = [_budgets(bench, data, granularity) for data in (("digits",) if bench.quick else SMALL)]
        budgets = sum(one["budgets"] for one in found)
        errors = 100 * np.concatenate([one["errors"] for one in found])
        lost, over = (sum(one[name] for one in found) for name in ("lost", "over"))
        case = f"{', '.join(('digits',) if bench.quick else SMALL)}: {budgets} budgets, a width a {granularity}"
        rows += [
            Row("allocate", case, "no better than the best uniform width", lost / budgets, "share", limit=bars[0]),
            Row("allocate", case, "over budget", over, "designs", limit=bars[1]),
            Row("allocate", case, "prediction error, mean", float(np.mean(errors)), "%", limit=bars[2]),
            Row("allocate", case, "prediction error, largest", float(np.max(errors)), "%", limit=bars[3]),
        ]
    return rows


def _budgets(bench: Bench, data: str, granularity: str) -> dict[str, Any]:
    """One data set: how many budgets, lost to a uniform width, exceeded; relative errors of the last predictions.

    A budget is lost too where nothing fits, or where a uniform width within it diverges as little.
    """
    from hwq.errors import BudgetError
    from hwq.flow.allocate import prepare

    run = bench.trained(data, 0, SMALL[data], epochs=20, population=1)
    options = AllocateOptions(1.0, costs=bench.costs, granularity=granularity, **WIDTHS)
    search = prepare(*_float(run, data), bench.scratch / "trials", BOARD, options)
    plain = _plain(search)
    low, high = min(lut for lut, _ in plain), max(lut for lut, _ in plain)
    found: dict[str, Any] = {"budgets": 6 if bench.quick else 8, "lost": 0, "over": 0, "errors": []}
    for budget in np.geomspace(low * 1.02, high, found["budgets"]):
        alone = replace(search, glue=0.0, trials=[])
        try:
            trial, _ = alone.within(float(budget))
        except BudgetError:
            found["lost"] += 1
            continue
        found["errors"].append(abs(trial.predicted - trial.measured) / trial.measured)
        found["over"] += int(trial.measured > budget)
        best = min(loss for lut, loss in plain if lut <= budget)
        found["lost"] += int(trial.divergence >= best)
        told = f"{data}, {granularity}, {budget:.0f} LUT: {trial.measured:.0f}, predicted {trial.predicted:.0f}, {len(alone.trials)} trials"
        print(f"{told}; divergence {trial.divergence:.4g}, the best uniform width {best:.4g}", file=sys.stderr, flush=True)
    return found


def _plain(search: Search) -> list[tuple[float, float]]:
    """LUTs and divergence of every uniform width, measured as the trials are."""
    from hwq.posttraining.quantize import quantised, uniform

    network = search.network
    graphs = [
        quantised(network.fine, uniform(network.fine, b.weights, b.activations), network.rows) for b in search.options.choices
    ]
    return [(search.measure(graph), search.loss(graph)) for graph in graphs]


def _float(run: Path, data: str) -> tuple[FloatModel, Dataset]:
    from hwq.data import load
    from hwq.posttraining.float_model import read_float

    dataset = load(data, seed=0)
    return read_float(str(run), dataset), dataset


ROWS: dict[str, Callable[[Bench], list[Row]]] = {
    "milp": milp,
    "multipoint": multipoint,
    "refine": refine,
    "ptq": ptq,
    "allocate": allocate,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit with 1 where a figure falls short of its bar")
    parser.add_argument("--quick", action="store_true", help="one seed, few budgets, predicted costs")
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--costs", choices=["measured", "predicted"], help="default measured, predicted with --quick")
    parser.add_argument("--scratch", type=Path, help="where runs are kept, so that a second call goes on")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    costs = options.costs or ("predicted" if options.quick else "measured")
    scratch = options.scratch or Path(tempfile.mkdtemp(prefix="hwq-allocation-"))
    bench = Bench(options.quick, costs, scratch)
    rows: list[Row] = []
    for name in options.only:
        rows += ROWS[name](bench)
    return conclude(rows, check=options.check, path=options.json)


if __name__ == "__main__":
    sys.exit(main())
