"""Shift training against its bars: products in the design, fine-tuning from float, the step to the hard quantiser, LUTs beside HGQ.

    python benchmarks/methods.py [--check] [--quick] [--only ROW ...] [--out DIR] [--json FILE]

Everything is trained, proven and synthesised through `hwq compare`'s own stage into DIR, and goes on from there after a kill.
LUTs at equal accuracy: for validation accuracies evenly between 90 % (of digits) and the highest that both methods reach on a split,
the cheapest point of each that reaches it; the ratio is the geometric mean over these and over the splits. Test accuracies of the
same points are reported beside it. MNIST comes from keras.datasets' file, or from $HWQ_DATA/mnist.npz.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np
from table import Row, conclude

from hwq.data import load
from hwq.flow.compare.table import Request, compare
from hwq.run.directory import RunDir, best
from hwq.views.comparison import Comparison, Entry

BOARD = "xcvu9p"
FLOOR = 0.90  # least validation accuracy at which costs are compared
EPOCHS = 15  # of fine-tuning
LUT_BAR, DROP_BAR, JUMP_BAR = 0.77, 1.0, 0.5
POINTERS = ("> *y)", "*y = packed;")


@dataclass(frozen=True, slots=True)
class Bench:
    """Where the runs are, and how many seeds there are."""

    out: Path
    quick: bool

    @property
    def seeds(self) -> tuple[int, ...]:
        return (0,) if self.quick else (0, 1, 2, 3, 4)

    def compared(self) -> Comparison:
        """HGQ, shift and shift with two terms on digits."""
        methods = ("hgq", "shift") if self.quick else ("hgq", "shift", "shift:2")
        request = Request("digits", methods, BOARD, self.seeds, self.out / "digits", settings={"max_points": 8})
        return compare(request, tell=lambda line: print(line, file=sys.stderr))


def fine_tuning(bench: Bench) -> Iterator[Row]:
    """Points of test accuracy that at most 15 epochs from a float network lose: its best point by validation accuracy."""
    from hwq.train import trainer
    from hwq.train.config import TrainConfig

    for data in ("digits", "mnist"):
        drops = []
        for seed in bench.seeds if data == "digits" else bench.seeds[:1]:
            dataset, run = load(data, seed=seed), bench.out / "fine" / f"{data}-{seed}"
            config = TrainConfig(method="shift", seed=seed, epochs=EPOCHS, random_rows=16)
            trainer.train(dataset, config, run)
            directory = RunDir(run)
            drops.append(100 * (directory.meta()["float"]["test_accuracy"] - (best(directory.points()).test_accuracy or math.nan)))
        yield Row("shift", data, f"points lost in {EPOCHS} epochs from float, mean", mean(drops), "", None, DROP_BAR)


def hardening(bench: Bench) -> Iterator[Row]:
    """What the step from the soft to the hard quantiser costs, on validation rows."""
    bench.compared()
    jumps = []
    for seed in bench.seeds:
        found = RunDir(bench.out / "digits" / f"seed-{seed}" / "shift" / "run").meta()["hardening"]
        jumps.append(100 * (found["soft_val_accuracy"] - found["hard_val_accuracy"]))
    yield Row("shift", "digits", "points lost at hardening, mean", mean(jumps), "", None, JUMP_BAR)
    yield Row("shift", "digits", "points lost at hardening, worst", max(jumps), "")


def products(bench: Bench) -> Iterator[Row]:
    """Products in the C++ and multipliers in the netlist, over all points."""
    found = bench.compared()
    stars = dsp = 0.0
    for method in found.methods[1:]:
        for seed in bench.seeds:
            runs = bench.out / "digits" / f"seed-{seed}" / method.replace(":", "-")
            for path in runs.glob("run/synth/*/hls/hwq_top.cpp"):
                text = path.read_text()
                for pointer in POINTERS:
                    text = text.replace(pointer, "")
                stars += text.count("*")
            dsp += sum(e.dsp or 0 for e in found.of(method, seed))
    yield Row("shift", "digits", "* in the C++, all points", stars, "", None, 0)
    yield Row("shift", "digits", "DSP in the netlists, all points", dsp, "", None, 0)


def cheapest(points: list[Entry], level: float) -> Entry:
    return next(e for e in points if e.val_accuracy >= level)


def equal_accuracy(bench: Bench) -> Iterator[Row]:
    """LUTs of shift over LUTs of HGQ at equal validation accuracy."""
    found = bench.compared()
    for method in found.methods[1:]:
        ratios, gains = [], []
        for seed in bench.seeds:
            top = found.level(method, seed)
            if top is None or top < FLOOR:
                continue
            for level in np.linspace(FLOOR, top, 6):
                mine, reference = (cheapest(found.of(name, seed), float(level)) for name in (method, "hgq"))
                ratios.append(math.log((mine.lut or math.nan) / (reference.lut or math.nan)))
                gains.append(100 * (mine.test_accuracy - reference.test_accuracy))
        yield Row(method, "digits", "LUT / HGQ at equal accuracy", math.exp(mean(ratios)), "x", 1.0, LUT_BAR)
        yield Row(method, "digits", "test accuracy above HGQ's there", mean(gains), "points")
        for summary in found.summaries():
            if summary.method == method and summary.ratio:
                yield Row(method, "digits", "LUT / HGQ at the best that both reach", summary.ratio.mean, "x", 1.0)


ROWS = {"products": products, "fine_tuning": fine_tuning, "hardening": hardening, "equal_accuracy": equal_accuracy}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit with 1 where a figure falls short of its bar")
    parser.add_argument("--quick", action="store_true", help="one split, one term")
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--out", type=Path, help="folder of the runs; default a temporary one")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    bench = Bench(options.out or Path(tempfile.mkdtemp(prefix="hwq-methods-")), options.quick)
    rows = [row for name in options.only for row in ROWS[name](bench)]
    return conclude(rows, check=options.check, path=options.json)


if __name__ == "__main__":
    sys.exit(main())
