"""Do measured prices help? Arms that differ in the price of a bit alone, compared by what Yosys makes of their networks.

train       hwq train with prices of bits: EBOPs, measured (--costs measured: the fitted model, linearised around the network),
            placebo: the measured ones, permuted between layers and terms, or layers: permuted, but each term as dear on average as
            it is, which tells what of a gain comes from knowing the layers
refine      hwq refine of what was trained on EBOPs, with prices of digits: the EBOPs that go with each, measured (the bits of adder
            that it frees), or placebo: these bits, each told of another digit

Same seeds, splits, epochs and architecture. A front's hypervolume is the area of test accuracy over log2 LUT (inverters counted, as
in the adders benchmark) that it has above a corner, in points of a hundred x octaves; at each number of LUTs the point counts that
validation rows choose. Arms are compared seed by seed: paired t-test and Wilcoxon's signed-rank test, both two-sided.
--quick: digits, 3 seeds, few epochs, predicted LUTs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np

from benchmarks.common.experiment import BenchmarkError, Context, Experiment
from benchmarks.common.fronts import CASES, ONE_WAY, Case, Found, hypervolume, lut_ratio, points
from benchmarks.common.processes import WORKERS, Program
from benchmarks.common.row import Peer, Row, at_most
from benchmarks.common.synthesis import BOARD

ARMS: dict[str, dict[str, str]] = {
    "ebops": {},
    "measured": {"costs": "measured"},
    "placebo": {"costs": "measured", "placebo": "all"},
    "layers": {"costs": "measured", "placebo": "layers"},
}
OTHERS = tuple(ARMS)[1:]
STAGES = {"train": OTHERS, "refine": ("measured", "placebo")}
P_BAR = 0.05
WORKER = Program(WORKERS / "proof_worker.py", one_thread=True)


@dataclass(frozen=True, slots=True)
class Settings:
    """Data sets, seeds, arms beside EBOPs, and whether LUTs are those of the fitted model of compiled designs, without Yosys."""

    data: tuple[str, ...] = tuple(CASES)
    seeds: int = 5
    arms: tuple[str, ...] = OTHERS
    predicted: bool = False


EXPERIMENT = Experiment(
    "Measured prices of bits and digits against EBOPs and against a placebo",
    cpu=("days", "30 min"),
    settings=Settings(),
    quick=Settings(data=("digits",), seeds=3, predicted=True),
    tools=("yosys",),
)
At = Context[Settings]


@dataclass(frozen=True, slots=True)
class Run:
    """One arm of a stage on a data set with a seed."""

    case: Case
    stage: str
    arm: str
    seed: int

    def folder(self, context: At) -> Path:
        """Its run, made or gone on with where it is not finished."""
        place = context.work / self.case.name
        if self.stage == "refine":
            source = Run(self.case, "train", "ebops", self.seed).folder(context)
            run = place / f"ebops-{self.seed}-refined-{self.arm}"
            told = {"data": self.case.spec, "prices": self.arm, "shuffle": self.seed, **ONE_WAY}
            WORKER.once(run.with_name(f"{run.name}.json"), "refine", source, run, json.dumps(told))
            return run
        case = self.case
        settings = {"seed": self.seed, "model": case.model, **case.settings, **case.short}
        settings |= {**(case.quick if context.quick else {}), **ARMS[self.arm]}
        run = place / f"{self.arm}-{self.seed}"
        WORKER.once(run.with_name(f"{run.name}.json"), "train", case.spec, run, json.dumps(settings))
        return run

    def measured(self, context: At) -> list[Found]:
        """Its points, trained, refined and measured as far as that is not there yet."""
        found = points(self.folder(context), predicted=context.settings.predicted)
        area = hypervolume(found, self.case)
        context.say(f"{self.case.name}, {self.stage}, seed {self.seed}, {self.arm}: {area:.2f}; {told_points(found)}")
        return found


def told_points(found: Sequence[Found]) -> str:
    return " ".join(f"{100 * f.test_accuracy:.1f}%/{f.lut:.0f}" for f in found)


def paired(differences: Sequence[float]) -> tuple[float, float]:
    """p of the paired t-test and of Wilcoxon's signed-rank test, both two-sided; 1 where nothing differs."""
    from scipy import stats

    if len(differences) < 2 or not any(differences):
        return 1.0, 1.0
    return float(stats.ttest_1samp(differences, 0.0).pvalue), float(stats.wilcoxon(differences).pvalue)


def room(run: Path) -> float:
    """About how much, in percent, a right price for each layer can gain over EBOPs; the mean over the points of a run.

    Layers differ in LUTs per EBOP. If accuracy is to be had from any layer, with diminishing returns (each layer's share of the bits falls
    as its price rises, elasticity 1), equal prices cost half the variance of the logarithm of that ratio too much, layers weighted
    by their EBOPs. LUTs of layers are those predicted of the layer out of context.
    """
    from hwq.cost.layer_bits import layer_bits
    from hwq.cost.predict import price_for
    from hwq.ir import parse, verify
    from hwq.posttraining.sensitivity import part_of
    from hwq.posttraining.statistics import linear_nodes
    from hwq.run.directory import RunDir

    price, found = price_for(BOARD, None), []
    for p in RunDir.open(run).points():
        graph = verify(parse(p.graph_path.read_text()))
        ebops = {layer.name: float((layer.weights * layer.inputs[:, None] * layer.present).sum()) for layer in layer_bits(graph)}
        names = [node.name for node in linear_nodes(graph) if ebops.get(node.name)]
        weights = np.array([ebops[name] for name in names])
        ratios = np.log([max(price(verify(part_of(graph, name))), 1.0) for name in names]) - np.log(weights)
        mean_ratio = np.average(ratios, weights=weights)
        found.append(50 * float(np.average((ratios - mean_ratio) ** 2, weights=weights)))
    return mean(found)


@EXPERIMENT.part
def train(context: At) -> Iterator[Row]:
    """Prices of bits in training."""
    yield from of_stage(context, "train")


@EXPERIMENT.part
def refine(context: At) -> Iterator[Row]:
    """Prices of digits in refining what was trained on EBOPs."""
    yield from of_stage(context, "refine")


def of_stage(context: At, stage: str) -> Iterator[Row]:
    """Each arm against EBOPs on each data set, then over all."""
    settings = context.settings
    unknown = [name for name in settings.data if name not in CASES] + [arm for arm in settings.arms if arm not in OTHERS]
    if unknown:
        raise BenchmarkError(f"{unknown[0]!r} is neither data ({', '.join(CASES)}) nor an arm ({', '.join(OTHERS)})")
    others = [arm for arm in STAGES[stage] if arm in settings.arms]
    every: dict[str, list[float]] = {arm: [] for arm in others}
    for case in (CASES[name] for name in settings.data):
        fronts = {
            (arm, seed): Run(case, stage, arm, seed).measured(context)
            for seed in range(settings.seeds)
            for arm in ("ebops", *others)
        }
        if stage == "train":
            gain = mean(room(Run(case, stage, "ebops", seed).folder(context)) for seed in range(settings.seeds))
            yield Row(f"{stage}, {case.name}", "prices of layers", "what they can gain, about", gain, "%")
        for arm in others:
            relative = gains(fronts, case, arm, settings.seeds)
            every[arm] += relative
            yield from beside_ebops(f"{stage}, {case.name}", fronts, case, arm)
            yield from compared(f"{stage}, {case.name}", arm, relative)
    if len(settings.data) > 1:
        for arm in others:
            yield from compared(f"{stage}, all", arm, every[arm])


Fronts = Mapping[tuple[str, int], Sequence[Found]]


def gains(fronts: Fronts, case: Case, arm: str, seeds: int) -> list[float]:
    """Hypervolume gained over EBOPs in percent, seed by seed."""
    return [100 * (hypervolume(fronts[arm, s], case) / hypervolume(fronts["ebops", s], case) - 1) for s in range(seeds)]


def beside_ebops(group: str, fronts: Fronts, case: Case, arm: str) -> Iterator[Row]:
    """Hypervolume and LUTs at equal accuracy, means over the seeds."""
    seeds = sorted({seed for _, seed in fronts})
    mine, theirs = (mean(hypervolume(fronts[name, seed], case) for seed in seeds) for name in (arm, "ebops"))
    yield Row(group, arm, "hypervolume, mean", mine, "%·octaves", Peer(theirs, "EBOPs"))
    ratios = [lut_ratio(fronts[arm, seed], fronts["ebops", seed])[0] for seed in seeds]
    ratios = [r for r in ratios if not math.isnan(r)]
    if ratios:
        yield Row(group, arm, "LUT at equal accuracy / ebops", math.exp(mean(map(math.log, ratios))), "x", Peer(1.0, "EBOPs"))


def compared(group: str, arm: str, relative: Sequence[float]) -> Iterator[Row]:
    """The gain over EBOPs, and how likely chance alone makes one so large; the bars of the proof."""
    gain, (by_t, by_rank) = mean(relative), paired(relative)
    yield Row(group, arm, "hypervolume gained", gain, "%")
    yield Row(group, arm, "seeds with a gain", sum(r > 0 for r in relative), f"of {len(relative)}")
    yield Row(group, arm, "p, Wilcoxon", by_rank, "")
    yield Row(group, arm, "p, paired t", by_t, "")
    # figures that must not be above a limit: what chance has in a gain, and whether the placebo has one that chance does not make
    if arm == "measured":
        yield Row(group, arm, "p of a gain", by_t if gain > 0 else 1.0, "", bar=at_most(P_BAR))
    elif arm == "placebo":
        yield Row(group, arm, "better with p < 0.05", float(gain > 0 and by_t < P_BAR), "", bar=at_most(0))
