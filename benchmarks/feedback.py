"""Do measured prices help training? Arms that differ in the price of a bit alone, compared by what Yosys makes of their networks.

    python benchmarks/feedback.py [--check] [--quick] [--data NAME ...] [--seeds N] [--arms ARM ...] [--out DIR] [--json FILE]

ebops       hwq train
measured    hwq train --costs measured: the fitted cost model, linearised around the network
placebo     the same prices, permuted between layers and terms
refined     each of the three with hwq refine behind it (--refine)

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

from proof import CASES, Case, Found, ask, hypervolume, lut_ratio, points
from table import Row, failures, shown, write

ARMS = {"ebops": {}, "measured": {"costs": "measured"}, "placebo": {"costs": "measured", "placebo": True}}
P_BAR = 0.05


def trained(case: Case, arm: str, seed: int, options: argparse.Namespace) -> list[Found]:
    """The points of one run, trained, refined and measured as far as that is not there yet."""
    settings = {"model": case.model, "seed": seed, **case.settings, **(case.quick if options.quick else {}), **ARMS[arm]}
    run = options.out / case.name / f"{arm}-{seed}"
    done = run.with_name(f"{run.name}.json")
    if not done.is_file():
        told = ask("proof_worker.py", "train", case.spec, run, json.dumps(settings))
        done.write_text(json.dumps(told))
    if options.refine:
        refined = run.with_name(f"{run.name}-refined")
        finished = refined.with_name(f"{refined.name}.json")
        if not finished.is_file():
            finished.write_text(json.dumps(ask("proof_worker.py", "refine", run, refined, json.dumps({}))))
        run = refined
    found = points(run, predicted=options.predicted)
    area = hypervolume(found, case)
    print(f"{case.name}, seed {seed}, {arm}: {area:.2f}; " + told_points(found), file=sys.stderr, flush=True)
    return found


def told_points(found: Sequence[Found]) -> str:
    return " ".join(f"{100 * f.test_accuracy:.1f}%/{f.lut:.0f}" for f in found)


def paired(differences: Sequence[float]) -> tuple[float, float]:
    """p of the paired t-test and of Wilcoxon's signed-rank test, both two-sided; 1 where nothing differs."""
    from scipy import stats

    if len(differences) < 2 or not any(differences):
        return 1.0, 1.0
    return float(stats.ttest_1samp(differences, 0.0).pvalue), float(stats.wilcoxon(differences).pvalue)


def rows(options: argparse.Namespace) -> Iterator[Row]:
    """Each arm against EBOPs on each data set, then over all."""
    every: dict[str, list[float]] = {arm: [] for arm in options.arms}
    for name in options.data:
        case = CASES[name]
        found = {(arm, seed): trained(case, arm, seed, options) for seed in range(options.seeds) for arm in options.arms}
        areas = {key: hypervolume(front, case) for key, front in found.items()}
        base = [areas["ebops", seed] for seed in range(options.seeds)]
        yield Row(name, "ebops", "hypervolume, mean", mean(base), "%·octaves")
        for arm in options.arms[1:]:
            mine = [areas[arm, seed] for seed in range(options.seeds)]
            relative = [100 * (a / b - 1) for a, b in zip(mine, base, strict=True)]
            every[arm] += relative
            yield Row(name, arm, "hypervolume, mean", mean(mine), "%·octaves", mean(base))
            yield from compared(name, arm, relative)
            ratios = [lut_ratio(found[arm, seed], found["ebops", seed])[0] for seed in range(options.seeds)]
            ratios = [r for r in ratios if not math.isnan(r)]
            if ratios:
                yield Row(name, arm, "LUT at equal accuracy / ebops", math.exp(mean(map(math.log, ratios))), "x", 1.0)
    if len(options.data) > 1:
        for arm in options.arms[1:]:
            yield from compared("all", arm, every[arm])


def compared(data: str, arm: str, relative: Sequence[float]) -> Iterator[Row]:
    """The gain over EBOPs, and how likely chance alone makes one so large; the bars of the proof."""
    gain, (by_t, by_rank) = mean(relative), paired(relative)
    yield Row(data, arm, "hypervolume gained", gain, "%")
    yield Row(data, arm, "seeds with a gain", sum(r > 0 for r in relative), f"of {len(relative)}")
    yield Row(data, arm, "p, Wilcoxon", by_rank, "")
    yield Row(data, arm, "p, paired t", by_t, "")
    # as figures that must not be above a limit: p of a gain, and for the placebo 1 - p
    if arm == "measured":
        yield Row(data, arm, "chance of no gain", by_t if gain > 0 else 1.0, "", None, P_BAR)
    if arm == "placebo":
        yield Row(data, arm, "shown to be better", float(gain > 0 and by_t < P_BAR), "", None, 0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit with 1 where a figure falls short of its bar")
    parser.add_argument("--quick", action="store_true", help="digits, 3 seeds, few epochs, predicted LUTs")
    parser.add_argument("--data", nargs="+", choices=CASES, help="default: digits jets mnist")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--seeds", type=int, help="how many; default 5")
    parser.add_argument("--refine", action="store_true", help="refine the points of every arm before they are measured")
    parser.add_argument("--predicted", action="store_true", help="LUTs of the fitted model of compiled designs, without Yosys")
    parser.add_argument("--out", type=Path, help="folder of the runs, from which a second call goes on; default a temporary one")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    options.data = options.data or (["digits"] if options.quick else list(CASES))
    options.seeds = options.seeds or (3 if options.quick else 5)
    options.predicted |= options.quick
    options.arms = ["ebops", *(arm for arm in options.arms if arm != "ebops")]
    options.out = options.out or Path(tempfile.mkdtemp(prefix="hwq-feedback-"))
    found = []
    for row in rows(options):
        found.append(row)
    print(shown(found))
    if options.json:
        write(found, options.json)
    short = failures(found)
    for line in short:
        print(f"short of the bar: {line}", file=sys.stderr)
    return 1 if short and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
