"""Do measured prices help? Arms that differ in the price of a bit alone, compared by what Yosys makes of their networks.

    python benchmarks/feedback.py [--check] [--quick] [--data NAME ...] [--stage train|refine ...] [--arms NAME ...] [--seeds N]
        [--out DIR] [--json FILE]

train       hwq train with prices of bits: EBOPs, measured (--costs measured: the fitted model, linearised around the network),
            placebo: the measured ones, permuted between layers and terms, or layers: permuted, but each term as dear on average as
            it is, which tells what of a gain comes from knowing the layers
refine      hwq refine of what was trained on EBOPs, with prices of digits: the EBOPs that go with each, measured (the bits of adder
            that it frees), or placebo: these bits, each told of another digit

Same seeds, splits, epochs and architecture. A front's hypervolume is the area of test accuracy over log2 LUT (inverters counted, as
benchmarks/adders.py does) that it has above a corner, in points of a hundred x octaves; at each number of LUTs the point counts that
validation rows choose. Arms are compared seed by seed: paired t-test and Wilcoxon's signed-rank test, both two-sided. Jets come from
$HWQ_DATA/jets_regen.npz, MNIST from $HWQ_DATA/mnist.npz or keras.datasets' file. With --out, a second call goes on where the first
was stopped. --quick: digits, 3 seeds, few epochs, predicted LUTs.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean

import numpy as np
from proof import BOARD, CASES, ONE_WAY, Case, Found, hypervolume, lut_ratio, once, points
from table import Row, conclude

ARMS = {
    "ebops": {},
    "measured": {"costs": "measured"},
    "placebo": {"costs": "measured", "placebo": "all"},
    "layers": {"costs": "measured", "placebo": "layers"},
}
OTHERS = tuple(ARMS)[1:]
STAGES = {"train": OTHERS, "refine": ("measured", "placebo")}
P_BAR = 0.05


def run_of(case: Case, stage: str, arm: str, seed: int, options: argparse.Namespace) -> Path:
    """The run of an arm, made or gone on with where it is not finished."""
    folder = options.out / case.name
    if stage == "refine":
        source = run_of(case, "train", "ebops", seed, options)
        run = folder / f"ebops-{seed}-refined-{arm}"
        told = {"data": case.spec, "prices": arm, "shuffle": seed, **ONE_WAY}
        once(run.with_name(f"{run.name}.json"), "proof_worker.py", "refine", source, run, json.dumps(told))
        return run
    settings = {
        "seed": seed,
        "model": case.model,
        **case.settings,
        **case.short,
        **(case.quick if options.quick else {}),
        **ARMS[arm],
    }
    run = folder / f"{arm}-{seed}"
    once(run.with_name(f"{run.name}.json"), "proof_worker.py", "train", case.spec, run, json.dumps(settings))
    return run


def measured(case: Case, stage: str, arm: str, seed: int, options: argparse.Namespace) -> list[Found]:
    """The points of one run, trained, refined and measured as far as that is not there yet."""
    found = points(run_of(case, stage, arm, seed, options), predicted=options.predicted)
    told = f"{case.name}, {stage}, seed {seed}, {arm}: {hypervolume(found, case):.2f}; {told_points(found)}"
    print(told, file=sys.stderr, flush=True)
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
    from hwq.cost.layers import layer_bits
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


def rows(options: argparse.Namespace) -> Iterator[Row]:
    """Each arm against EBOPs on each data set, then over all."""
    for stage in options.stage:
        base, others = "ebops", [arm for arm in STAGES[stage] if arm in options.arms]
        every: dict[str, list[float]] = {arm: [] for arm in others}
        for name in options.data:
            case = CASES[name]
            found = {
                (arm, seed): measured(case, stage, arm, seed, options) for seed in range(options.seeds) for arm in (base, *others)
            }
            areas = {key: hypervolume(front, case) for key, front in found.items()}
            if stage == "train":
                gain = mean(room(run_of(case, stage, base, seed, options)) for seed in range(options.seeds))
                yield Row(f"{stage}, {name}", "prices of layers", "what they can gain, about", gain, "%")
            for arm in others:
                pairs = [(areas[arm, seed], areas[base, seed]) for seed in range(options.seeds)]
                relative = [100 * (mine / theirs - 1) for mine, theirs in pairs]
                every[arm] += relative
                group = f"{stage}, {name}"
                yield Row(group, arm, "hypervolume, mean", mean(a for a, _ in pairs), "%·octaves", mean(b for _, b in pairs))
                ratios = [lut_ratio(found[arm, seed], found[base, seed])[0] for seed in range(options.seeds)]
                ratios = [r for r in ratios if not math.isnan(r)]
                if ratios:
                    yield Row(group, arm, "LUT at equal accuracy / ebops", math.exp(mean(map(math.log, ratios))), "x", 1.0)
                yield from compared(group, arm, relative)
        if len(options.data) > 1:
            for arm in others:
                yield from compared(f"{stage}, all", arm, every[arm])


def compared(group: str, arm: str, relative: Sequence[float]) -> Iterator[Row]:
    """The gain over EBOPs, and how likely chance alone makes one so large; the bars of the proof."""
    gain, (by_t, by_rank) = mean(relative), paired(relative)
    yield Row(group, arm, "hypervolume gained", gain, "%")
    yield Row(group, arm, "seeds with a gain", sum(r > 0 for r in relative), f"of {len(relative)}")
    yield Row(group, arm, "p, Wilcoxon", by_rank, "")
    yield Row(group, arm, "p, paired t", by_t, "")
    # figures that must not be above a limit: what chance has in a gain, and whether the placebo has one that chance does not make
    if arm == "measured":
        yield Row(group, arm, "p of a gain", by_t if gain > 0 else 1.0, "", None, P_BAR)
    elif arm == "placebo":
        yield Row(group, arm, "better with p < 0.05", float(gain > 0 and by_t < P_BAR), "", None, 0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit with 1 where a figure falls short of its bar")
    parser.add_argument("--quick", action="store_true", help="digits, 3 seeds, few epochs, predicted LUTs")
    parser.add_argument("--data", nargs="+", choices=CASES, help="default: digits jets mnist")
    parser.add_argument("--stage", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--arms", nargs="+", choices=OTHERS, default=OTHERS, help="which to hold against EBOPs; default all")
    parser.add_argument("--seeds", type=int, help="how many; default 5")
    parser.add_argument("--predicted", action="store_true", help="LUTs of the fitted model of compiled designs, without Yosys")
    parser.add_argument("--out", type=Path, help="folder of the runs, from which a second call goes on; default a temporary one")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    options.data = options.data or (["digits"] if options.quick else list(CASES))
    options.seeds = options.seeds or (3 if options.quick else 5)
    options.predicted |= options.quick
    options.out = (options.out or Path(tempfile.mkdtemp(prefix="hwq-feedback-"))).resolve()
    return conclude(list(rows(options)), check=options.check, path=options.json)


if __name__ == "__main__":
    sys.exit(main())
