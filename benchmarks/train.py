"""Training against plain Keras and HGQ2 0.2.0: time of a step, first epoch, calibration, fronts, and their hypervolume.

    python benchmarks/train.py [--check] [--quick] [--only ROW ...] [--peers DIR] [--json FILE]

Times are CPU seconds of single processes that run one after another, peers and hwq in turn; the least of three repeats counts.
HGQ2 runs in an environment of its own, made on the first call. The hypervolume of a front is the area under its best test accuracy,
above that of always naming the most frequent class, over log2 of the exact EBOPs, between the cheapest and the dearest point of
both fronts. MNIST comes from keras.datasets' file, or from $HWQ_DATA/mnist.npz.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
PEER = HERE / "peers" / "hgq2_train.py"
FRONTS = {
    "digits": {"hidden": [64, 32], "batch": 64, "epochs": 882, "beta": [4e-6, 8e-4], "rate": 3e-3},
    "mnist": {"hidden": [64, 32], "batch": 1024, "epochs": 100, "beta": [4e-6, 8e-4], "rate": 3e-3},
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `good` where hwq's figure reaches the bar."""

    name: str
    peer: str
    hwq: str
    bar: str
    good: bool


class Bench:
    """The processes that measure."""

    def __init__(self, peers: Path, quick: bool) -> None:
        self.quick = quick
        self.scratch = Path(tempfile.mkdtemp(prefix="hwq-bench-"))
        self.peers, self._python = peers, None

    @property
    def repeats(self) -> int:
        return 1 if self.quick else 3

    def peer_python(self) -> str:
        """The interpreter of HGQ2's environment, which is made where it is missing."""
        python = self.peers / "hgq2" / "bin" / "python"
        if not python.is_file():
            print("making an environment for HGQ2 0.2.0", file=sys.stderr)
            subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=True)
            import tensorflow as tf

            wanted = ["HGQ2==0.2.0", f"tensorflow=={tf.__version__}"]
            subprocess.run([str(python), "-m", "pip", "install", "-q", *wanted], check=True)
        return str(python)

    def hwq(self, *arguments: object) -> dict[str, Any]:
        return self._run([sys.executable, str(HERE / "train_worker.py"), *map(str, arguments)])

    def hgq2(self, *arguments: object) -> dict[str, Any]:
        return self._run([self.peer_python(), str(PEER), *map(str, arguments)])

    def _run(self, command: list[str]) -> dict[str, Any]:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
        return json.loads(done.stdout.strip().splitlines()[-1])

    def least(self, runs: dict[str, Callable[[], dict[str, Any]]]) -> dict[str, dict[str, float]]:
        """Each run repeated, in turn; the least of each figure."""
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in runs}
        for _ in range(self.repeats):
            for name, run in runs.items():
                found[name].append(run())
        return {name: {key: min(one[key] for one in many) for key in many[0]} for name, many in found.items()}


def speed(bench: Bench) -> list[Row]:
    """A step, first epoch and memory of each way to train."""
    data = bench.scratch / "rows.npz"
    x = np.random.default_rng(0).normal(size=(33_200 * 5, 16)).astype(np.float32)
    np.savez(data, x_train=x, y_train=np.random.default_rng(1).integers(0, 5, len(x)))
    rows = []
    for batch, steps, fast_bar, fit_bar in ((33_200, 20, 0.8, 1.5), (2_048, 200, 0.4, 1.6)):
        got = bench.least(
            {
                **{path: partial(bench.hwq, "speed", path, batch, steps) for path in ("plain", "fast", "fit")},
                "xla": partial(bench.hgq2, "speed", data, batch, steps, 1),
                "no xla": partial(bench.hgq2, "speed", data, batch, steps, 0),
            }
        )
        unit = {name: one["step_ms"] / got["plain"]["step_ms"] for name, one in got.items()}
        good = unit["fast"] <= fast_bar
        peer = f"{unit['xla']:.2f} with XLA"
        rows.append(Row(f"step, batch {batch}, fast path / plain Keras fit", peer, f"{unit['fast']:.2f}", f"<= {fast_bar}", good))
        good = unit["fit"] <= fit_bar
        peer = f"{unit['no xla']:.2f}"
        rows.append(Row(f"step, batch {batch}, fit without XLA / plain", peer, f"{unit['fit']:.2f}", f"<= {fit_bar}", good))
        first = got["fast"]["first_epoch_s"]
        if batch == 33_200:
            rows.append(Row("first epoch, CPU s", f"{got['xla']['first_epoch_s']:.1f}", f"{first:.1f}", "<= 4", first <= 4))
            peak = got["fast"]["peak_mb"]
            rows.append(Row("peak memory, MB", f"{got['xla']['peak_mb']:.0f}", f"{peak:.0f}", "-", True))
    return rows


def population(bench: Bench) -> list[Row]:
    """What a front of 8 costs, in single runs of the same epochs."""
    rows = []
    for batch, epochs in ((64, 800), (2048, 400)):
        got = bench.least({"hwq": partial(bench.hwq, "population", batch, epochs)})["hwq"]
        ratio = got["front_s"] / got["one_s"]
        rows.append(Row(f"8-point front / one run, batch {batch}", "8", f"{ratio:.2f}", "<= 2.5", ratio <= 2.5))
    return rows


def calibration(bench: Bench) -> list[Row]:
    """Tracing the ranges of 100 000 rows."""
    data = bench.scratch / "calibration.npz"
    np.savez(data, x_train=np.random.default_rng(0).normal(size=(100_000, 16)).astype(np.float32))
    got = bench.least({"hwq": partial(bench.hwq, "calibrate", 100_000), "hgq2": partial(bench.hgq2, "calibrate", data, 100_000)})
    mine, theirs = got["hwq"]["calibrate_s"], got["hgq2"]["calibrate_s"]
    return [Row("range calibration of 100 000 rows, CPU s", f"{theirs:.2f}", f"{mine:.2f}", "<= 0.5", mine <= 0.5)]


def wide(bench: Bench) -> list[Row]:
    """A layer of 1 024 inputs with default settings."""
    mine, theirs = bench.hwq("wide"), bench.hgq2("wide")
    trains = mine["zeros"] < 0.2 and mine["last_accuracy"] > 1.5 * mine["first_accuracy"]
    told = f"{100 * mine['zeros']:.0f} % zeros, accuracy {mine['first_accuracy']:.2f} to {mine['last_accuracy']:.2f}"
    return [Row("a 1 024-wide layer, as converted", f"{100 * theirs['zeros']:.0f} % zeros", told, "trains", trains)]


def margins(bench: Bench) -> list[Row]:
    """Held-out rows that overflow at the default range margin, of networks whose ranges come from the training rows alone."""
    rows = []
    for data, epochs in (("digits", 150), ("breast_cancer", 100), ("mnist", 6))[: 2 if bench.quick else 3]:
        found = [bench.hwq("margins", data, seed, epochs) for seed in range(1 if bench.quick else 3)]
        for margin in ("1.0", "1.125", "1.25"):
            share = np.mean([one[margin]["overflow"] for one in found])
            bits = np.mean([one[margin]["bits"] / one["1.0"]["bits"] for one in found])
            told = f"{100 * share:.2f} % of rows, {bits:.2f} x bits"
            rows.append(Row(f"overflow on held-out rows, {data}, margin {margin}", "-", told, "-", True))
    return rows


def fronts(bench: Bench) -> list[Row]:
    """Hypervolume on each data set, seed by seed."""
    rows = []
    for data, options in FRONTS.items():
        ratios = []
        for seed in range(1 if bench.quick else 5):
            mine = bench.hwq(
                "front",
                data,
                seed,
                json.dumps(
                    {"model": f"mlp:{','.join(map(str, options['hidden']))}", "max_points": 12}
                    | {"batch_size": options["batch"], "epochs": options["epochs"]}
                ),
            )
            theirs = bench.hgq2("front", arrays(bench, data, seed), json.dumps({**options, "seed": seed, "points": 12}))
            ratios.append(hypervolume(mine["points"], theirs["points"], 0.1))
            print(f"{data}, seed {seed}: {ratios[-1]:.3f}", file=sys.stderr)
        mean, worst = math.prod(ratios) ** (1 / len(ratios)), min(ratios)
        told = f"{mean:.2f}, least {worst:.2f} of {len(ratios)} seeds"
        rows.append(Row(f"hypervolume, {data}", "1.00", told, ">= 1.05, each > 1", mean >= 1.05 and worst > 1))
    return rows


def arrays(bench: Bench, data: str, seed: int) -> Path:
    """The same split as hwq's, flat, as a file that HGQ2's environment can read."""
    from hwq.data import load

    dataset = load(data, seed=seed)
    parts = {f"{kind}_{part}": getattr(dataset, f"{kind}_{part}") for kind in "xy" for part in ("train", "val", "test")}
    path = bench.scratch / f"{data}-{seed}.npz"
    np.savez(path, **{name: value.reshape(len(value), -1) if name[0] == "x" else value for name, value in parts.items()})
    return path


def hypervolume(mine: list[list[float]], theirs: list[list[float]], chance: float) -> float:
    """hwq's area over HGQ2's."""
    costs = [max(point[0], 1.0) for point in (*mine, *theirs)]
    low, high = math.log2(min(costs)), math.log2(max(costs))

    def area(points: list[list[float]]) -> float:
        total, best, previous = 0.0, chance, low
        for ebops, accuracy, *_ in sorted(points):
            here = math.log2(max(ebops, 1.0))
            total, previous = total + (best - chance) * (here - previous), here
            best = max(best, accuracy)
        return total + (best - chance) * (high - previous)

    return area(mine) / area(theirs)


ROWS = {"speed": speed, "calibration": calibration, "population": population, "margins": margins, "wide": wide, "fronts": fronts}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit with 1 where a figure falls short of its bar")
    parser.add_argument("--quick", action="store_true", help="one repeat, one seed")
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--peers", type=Path, default=HERE.parent / "build" / "peers", help="where the peers' environments are")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    bench = Bench(options.peers, options.quick)
    found = [row for name in options.only for row in ROWS[name](bench)]
    for row in [Row("", "HGQ2 0.2.0", "hwq", "bar", True), *found]:
        print(f"{row.name:52} {row.peer:>16} {row.hwq:>34} {row.bar:>18} {'' if row.good else 'SHORT'}")
    if options.json:
        options.json.write_text(json.dumps([{f: getattr(row, f) for f in Row.__slots__} for row in found], indent=1))
    short = [row.name for row in found if not row.good]
    if short:
        print(f"short of the bar: {'; '.join(short)}", file=sys.stderr)
    return 1 if short and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
