"""What the methods after training reach: refine, ptq, allocate, and the integer program.

Figures are of test rows; choices are made on training and validation rows alone. LUTs are the tool's for costs=measured, else adder
and comparator bits of the compiled graph. --quick takes one seed, few budgets, digits alone, and predicted costs.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.common.datasets import spec
from benchmarks.common.experiment import BenchmarkError, Context, Experiment
from benchmarks.common.row import Peer, Row, at_most
from hwq.data import Dataset
from hwq.flow.allocate import AllocateOptions, Search
from hwq.posttraining.float_model import FloatModel

BOARD = "xcvu9p"


@dataclass(frozen=True, slots=True)
class Settings:
    """Seeds of each figure, and where LUTs come from: "measured" by the tool, or "predicted"."""

    seeds: int = 3
    costs: str = "measured"


EXPERIMENT = Experiment(
    "Methods after training: LUTs and accuracy of refine, ptq and allocate, and the integer program",
    cpu=("4 h", "20 min"),
    settings=Settings(),
    quick=Settings(seeds=1, costs="predicted"),
    tools=("yosys",),
)


def trained(context: Context[Settings], data: str, seed: int, model: str = "mlp:64,32", **options: Any) -> Path:
    """A run of hwq train with its default options, and so its float network too."""
    from hwq.flow.train import train
    from hwq.train.config import TrainConfig

    told = "".join(f"-{key}-{value}" for key, value in options.items())
    out = context.work / f"{data}-{seed}-{model.replace(':', '_').replace(',', '_')}{told}"
    train(spec(data), TrainConfig(model=model, seed=seed, **options), out)
    return out


def lut_of(context: Context[Settings], run: Path, point: str) -> float:
    """LUTs of a point."""
    from hwq.cost.predict import price_for
    from hwq.flow.synth import synth
    from hwq.ir import parse
    from hwq.run.directory import RunDir

    if costs(context) == "predicted":
        (chosen,) = RunDir.open(run).select(point)
        return price_for(None, None)(parse(chosen.graph_path.read_text()))
    _, (result,) = synth(run, BOARD, point=point)
    if result.measurement is None:
        raise BenchmarkError(f"{run.name}, point {point}: no measurement: {result}")
    return float(result.measurement.resources.lut or 0)


def costs(context: Context[Settings]) -> Literal["measured", "predicted"]:
    """The setting, checked."""
    if context.settings.costs == "measured":
        return "measured"
    if context.settings.costs == "predicted":
        return "predicted"
    raise BenchmarkError(f"setting costs: {context.settings.costs!r} is neither measured nor predicted")


@EXPERIMENT.part
def milp(context: Context[Settings]) -> Iterator[Row]:
    """Brute force where that is possible, and time at full size."""
    from hwq.posttraining.milp import ChoiceTable, solve

    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(10 if context.quick else 100):
        groups, choices = int(rng.integers(1, 7)), int(rng.integers(2, 5))
        table = ChoiceTable(rng.exponential(1, (groups, choices)), rng.uniform(1, 100, (groups, choices)))
        budget = float(table.cost.min(axis=1).sum() * rng.uniform(1, 3))
        number = np.arange(groups)
        every = [c for c in itertools.product(range(choices), repeat=groups) if table.cost[number, c].sum() <= budget]
        least = min(float(table.loss[number, c].sum()) for c in every)
        wrong += abs(solve(table, budget=budget)[0].loss - least) > 1e-9 * max(least, 1)
    loss = np.sort(rng.exponential(1, (2000, 8)))[:, ::-1]
    cost = np.sort(rng.uniform(10, 200, (2000, 8)))
    began = time.process_time()
    solve(ChoiceTable(loss, cost), budget=float(cost.min(axis=1).sum() * 2))
    seconds = time.process_time() - began
    yield Row("milp", "small tables", "not the optimum of brute force", wrong, "tables", bar=at_most(0))
    yield Row("milp", "2 000 groups x 8", "CPU time", seconds, "s", bar=at_most(60))


@EXPERIMENT.part
def multipoint(context: Context[Settings]) -> Iterator[Row]:
    """The relative output error of each channel with one more point over that before, at 2 bits."""
    from hwq.data import load
    from hwq.posttraining.float_model import read_float
    from hwq.posttraining.multipoint import multipoint as quantise
    from hwq.posttraining.quantize import uniform

    for data in ("digits", "wine", "breast_cancer"):
        run = trained(context, data, 0, "mlp:32,16", epochs=20, population=1)
        network = read_float(str(run), load(data, seed=0))
        _, told = quantise(network.fine, uniform(network.fine, 2, 8), network.rows, count=4)
        errors = np.array([e for many in told.values() for e in many if len(e) == 5])
        ratio = float(np.exp(np.log(errors[:, 1:] / errors[:, :-1]).mean()))
        yield Row("multipoint", data, "output error per added point", ratio, "ratio", bar=at_most(0.6))


@EXPERIMENT.part
def refine(context: Context[Settings]) -> Iterator[Row]:
    """LUTs and test accuracy of the best point of each run, before and after."""
    from hwq.flow.refine import refine as run_refine

    for data in ("digits",) if context.quick else ("digits", "mnist"):
        ratios, lost = [], []
        for seed in range(context.settings.seeds):
            options: dict[str, Any] = {} if data == "digits" else {"epochs": 100, "batch_size": 1024}
            run = trained(context, data, seed, **options)
            (one,) = run_refine(run, out=run.with_name(f"{run.name}-refined")).points
            after = lut_of(context, run.with_name(f"{run.name}-refined"), one.point)
            ratios.append(after / lut_of(context, run, one.point))
            lost.append(100 * ((one.test_accuracy_before or 0) - one.test_accuracy))
        before = Peer(1.0, "before refining")
        yield Row("refine", data, "LUT after / before", float(np.mean(ratios)), "ratio", before, at_most(0.85))
        yield Row("refine", data, "test accuracy lost", float(np.mean(lost)), "points", bar=at_most(0.2))


@EXPERIMENT.part
def ptq(context: Context[Settings]) -> Iterator[Row]:
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
    for seed in range(context.settings.seeds):
        run = trained(context, "digits", seed)
        found: dict[str, list[tuple[float, float, Path, str]]] = {"uniform": [], "digits": []}
        for method, bits in (("uniform", (2, 3, 4, 5, 6)), ("digits", (6,))):
            for a in (6,) if context.quick else (4, 5, 6):
                out = context.work / f"ptq-{seed}-{method}-{a}"
                run_ptq(str(run), "digits", out, options=PtqOptions(method, bits, a, seed=seed))
                for p in RunDir.open(out).points():
                    found[method].append((price(parse(p.graph_path.read_text())), p.test_accuracy or 0.0, out, p.id))
        best = max(accuracy for _, accuracy, _, _ in found["uniform"])
        for below in levels:
            least = {m: min(one for one in found[m] if one[1] >= best - below / 100) for m in found}
            luts = {m: lut_of(context, path, point) for m, (_, _, path, point) in least.items()}
            told = ", ".join(f"{m} {100 * least[m][1]:.1f} % {lut:.0f} LUT" for m, lut in luts.items())
            context.say(f"ptq, seed {seed}, {below:g} points below: {told}")
            ratios[below].append(luts["digits"] / luts["uniform"])
    case = "digits, {:g} points below the best uniform"
    for below, r in ratios.items():
        ratio = float(np.exp(np.log(r).mean()))
        yield Row(
            "ptq", case.format(below), "LUT of digits / uniform", ratio, "ratio", Peer(1.0, "uniform widths"), at_most(1 / 1.4)
        )


SMALL = {"digits": "mlp:24,16", "wine": "mlp:12,8", "breast_cancer": "mlp:12,8"}  # what whole designs can be measured of in minutes
WEIGHT_BITS, ACTIVATION_BITS = (2, 3, 4, 5, 6), (4, 6)


@EXPERIMENT.part
def allocate(context: Context[Settings]) -> Iterator[Row]:
    """Budgets between the smallest and the largest uniform design: divergence against the best uniform width within the same budget.

    The bars are those of widths for channels; with one for each layer there is nothing to choose near the smallest design.
    """
    for granularity in ("layer", "channel"):
        bars = (0.2, 0.0, 5.0, 12.0) if granularity == "channel" else (None,) * 4
        found = [_budgets(context, data, granularity) for data in (("digits",) if context.quick else SMALL)]
        budgets = sum(one["budgets"] for one in found)
        errors = 100 * np.concatenate([one["errors"] for one in found])
        lost, over = (sum(one[name] for one in found) for name in ("lost", "over"))
        case = f"{', '.join(('digits',) if context.quick else SMALL)}: {budgets} budgets, a width a {granularity}"
        yield Row("allocate", case, "no better than the best uniform width", lost / budgets, "share", bar=at_most(bars[0]))
        yield Row("allocate", case, "over budget", over, "designs", bar=at_most(bars[1]))
        yield Row("allocate", case, "prediction error, mean", float(np.mean(errors)), "%", bar=at_most(bars[2]))
        yield Row("allocate", case, "prediction error, largest", float(np.max(errors)), "%", bar=at_most(bars[3]))


def _budgets(context: Context[Settings], data: str, granularity: str) -> dict[str, Any]:
    """One data set: how many budgets, lost to a uniform width, exceeded; relative errors of the last predictions.

    A budget is lost too where nothing fits, or where a uniform width within it diverges as little.
    """
    from hwq.errors import BudgetError
    from hwq.flow.allocate import Tools, prepare

    run = trained(context, data, 0, SMALL[data], epochs=20, population=1)
    options = AllocateOptions(
        1.0, costs=costs(context), weight_bits=WEIGHT_BITS, activation_bits=ACTIVATION_BITS, granularity=granularity
    )
    search = prepare(*_float(run, data), context.work / "trials", options, Tools(BOARD))
    plain = _plain(search)
    low, high = min(lut for lut, _ in plain), max(lut for lut, _ in plain)
    found: dict[str, Any] = {"budgets": 6 if context.quick else 8, "lost": 0, "over": 0, "errors": []}
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
        context.say(f"{told}; divergence {trial.divergence:.4g}, the best uniform width {best:.4g}")
    return found


def _plain(search: Search) -> list[tuple[float, float]]:
    """LUTs and divergence of every uniform width, measured as the trials are."""
    from hwq.posttraining.quantize import quantized, uniform

    network = search.network
    widths = [(w, a) for w in WEIGHT_BITS for a in ACTIVATION_BITS]
    graphs = [quantized(network.fine, uniform(network.fine, w, a), network.rows) for w, a in widths]
    return [(search.measure(graph), search.loss(graph)) for graph in graphs]


def _float(run: Path, data: str) -> tuple[FloatModel, Dataset]:
    from hwq.data import load
    from hwq.posttraining.float_model import read_float

    dataset = load(data, seed=0)
    return read_float(str(run), dataset), dataset
