"""LUT at equal test accuracy: hwq's full path (train, refine, compile) against HGQ2 0.2.0 with da4ml 0.6.0.

    python benchmarks/frontier.py [--check] [--quick] [--data NAME ...] [--seeds N] [--peer-time X] [--peer-ebops N]
        [--peers DIR] [--out DIR] [--json FILE]

Same splits, network and batch size. hwq trains with its default options and refines every point (jets and MNIST in larger portions
than by default, MNIST one way); HGQ2 gets as many epochs of a logarithmically rising beta as hwq's training and refining took CPU
seconds, at its best learning rate, with a rate that falls at the end, then its ranges are traced anew on training and validation rows,
and da4ml makes Verilog of each network with its default solver and one register for each level of adders. Both go through the same
Yosys script; LUTs count inverters, as in benchmarks/adders.py. log LUT is interpolated over test accuracy where both fronts reach it;
the ratio is the geometric mean over that range, then over seeds and data sets. Peers run in an environment of their own, made on the
first call. With --out, a second call goes on where the first was stopped. Jets come from $HWQ_DATA/jets_regen.npz, MNIST from
$HWQ_DATA/mnist.npz or keras.datasets' file.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import numpy as np
from proof import BOARD, CASES, HERE, Case, Found, lut_ratio, once, points
from table import Row, conclude
from train import Bench

DA4ML = "da4ml==0.6.0"
BAR = 0.70
TOP = "peer_top"
# HGQ2's learning rate is the best of 1e-3, 3e-3 and 1e-2 on digits (benchmarks/train.py); beta rises as far as hwq's
PEER = {"rate": 3e-3, "beta": [4e-6, 8e-4], "settle": 0.15, "points": 12}
_ENTRY = re.compile(r"read_verilog \S+")


def peer_python(folder: Path) -> str:
    """The interpreter of an environment with HGQ2 and da4ml, made where it is missing."""
    python = Bench(folder, False).peer_python()
    known = subprocess.run([python, "-c", "import da4ml.codegen"], capture_output=True, check=False)
    if known.returncode:
        subprocess.run([python, "-m", "pip", "install", "-q", DA4ML], check=True)
    return python


def flat(case: Case, seed: int, folder: Path) -> Path:
    """hwq's split as a file that the peer can read."""
    from hwq.data import load

    dataset = load(case.spec, seed=seed)
    parts = {f"{kind}_{part}": getattr(dataset, f"{kind}_{part}") for kind in "xy" for part in ("train", "val", "test")}
    path = folder / f"data-{seed}.npz"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **{name: value.reshape(len(value), -1) if name[0] == "x" else value for name, value in parts.items()})
    return path


def peer_lut(folder: Path) -> float:
    """LUTs, with inverters, of a folder of da4ml's Verilog through hwq's script."""
    from adders import synthesised

    from hwq import boards
    from hwq.toolchains.scripts import script_files

    unused = {f"{TOP}_wrapper.v", "lookup_table.v"}  # the latter wants a file, and these networks have no tables
    sources = [path for path in sorted((folder / "src").rglob("*.v")) if path.name not in unused]
    board = boards.load(BOARD)
    script = script_files(TOP, board, board.default_clock)["yosys/synth.ys"]
    script = _ENTRY.sub("read_verilog " + " ".join(f"rtl/{path.name}" for path in sources), script, count=1)
    content = {f"rtl/{path.name}": path.read_text() for path in sources} | {"yosys/synth.ys": script}
    found = synthesised(content)
    return float((found.lut or 0) + (found.inverters or 0))


def by_hwq(case: Case, seed: int, options: argparse.Namespace) -> tuple[list[Found], list[Found], float, int]:
    """Points as trained, points as refined, CPU seconds of both stages, and the batch size."""
    from hwq.run.directory import RunDir

    settings = {"seed": seed, "model": case.model, **case.settings, **(case.quick if options.quick else {})}
    run = options.out / case.name / f"hwq-{seed}"
    spent = once(run.with_name(f"{run.name}.json"), "proof_worker.py", "train", case.spec, run, json.dumps(settings))["cpu_s"]
    better = run.with_name(f"{run.name}-refined")
    spent += once(
        better.with_name(f"{better.name}.json"),
        "proof_worker.py",
        "refine",
        run,
        better,
        json.dumps({"data": case.spec, **case.refine}),
    )["cpu_s"]
    batch = int(RunDir.open(run).meta()["config"]["batch_size"])
    return points(run, predicted=False), points(better, predicted=False), spent, batch


def by_peer(
    case: Case, seed: int, cpu_s: float, batch: int, enough: float, options: argparse.Namespace
) -> tuple[list[Found], float]:
    """HGQ2's front through da4ml, and the CPU seconds that its training took.

    Networks are solved and synthesised by rising EBOPs up to the first whose test accuracy is `enough`, the highest that hwq reaches:
    above that nothing is compared, and the largest take da4ml and Yosys a quarter of an hour each. With --peer-ebops, those above it are left
    out, and nothing is compared where only they reach.
    """
    told = "" if options.peer_time == 1 else f"-x{options.peer_time:g}"
    told += f"-to{options.peer_ebops:g}" if options.peer_ebops else ""
    folder = options.out / case.name / f"hgq2-{seed}{told}"
    hidden = [int(units) for units in case.model.partition(":")[2].split(",")]
    chosen = {**PEER, "seed": seed, "hidden": hidden, "batch": batch, "cpu_s": options.peer_time * cpu_s, "enough": enough}
    chosen["most_ebops"] = options.peer_ebops
    data, python = flat(case, seed, options.out / case.name), peer_python(options.peers)
    kept = folder.with_name(f"{folder.name}.json")
    answer = once(kept, "peers/hgq2_front.py", data, folder, json.dumps(chosen), python=python)
    rising = sorted(answer["points"], key=lambda p: float(p["ebops"]))
    # a kept answer may go further than is needed now
    needed = next((k + 1 for k, p in enumerate(rising) if p["test_accuracy"] >= enough), len(rising))
    found = [Found(peer_lut(Path(p["folder"])), p["val_accuracy"], p["test_accuracy"], p["ebops"]) for p in rising[:needed]]
    return sorted(found, key=lambda f: f.lut), answer["cpu_s"]


def rows(options: argparse.Namespace) -> Iterator[Row]:
    """Ratios of each data set, as trained and as refined, then over all."""
    every = []
    for name in options.data:
        case, plain, full, bits = CASES[name], [], [], []
        for seed in range(options.seeds):
            trained, refined, spent, batch = by_hwq(case, seed, options)
            enough = max(f.test_accuracy for f in [*trained, *refined])
            theirs, used = by_peer(case, seed, spent, batch, enough, options)
            for label, front in (("hwq train", trained), ("hwq", refined), ("HGQ2 + da4ml", theirs)):
                told = " ".join(f"{100 * f.test_accuracy:.1f}%/{f.lut:.0f}" for f in front)
                print(f"{name}, seed {seed}, {label}: {told}", file=sys.stderr, flush=True)
            plain.append(lut_ratio(trained, theirs)[0])
            bits.append(lut_ratio(trained, theirs, cost="ebops")[0])
            ratio, low, high = lut_ratio([*trained, *refined], theirs)
            full.append(ratio)
            yield Row(name, f"seed {seed}", "training CPU", spent, "s", used)
            yield Row(
                name, f"seed {seed}", "LUT at equal accuracy / HGQ2 + da4ml", ratio, f"x, {100 * low:.1f}-{100 * high:.1f} %", 1.0
            )
        every += full
        # what of it is training alone, what training and compiling, and all of it
        yield Row(name, "all seeds", "EBOPs at equal accuracy / HGQ2, before refining", _geometric(bits), "x", 1.0)
        yield Row(name, "all seeds", "LUT at equal accuracy, before refining", _geometric(plain), "x", 1.0)
        yield Row(name, "all seeds", "LUT at equal accuracy / HGQ2 + da4ml", _geometric(full), "x", 1.0, BAR)
    if len(options.data) > 1:
        yield Row("all", "all seeds", "LUT at equal accuracy / HGQ2 + da4ml", _geometric(every), "x", 1.0, BAR)


def _geometric(ratios: list[float]) -> float:
    """nan, which meets no bar, where one of them is."""
    return math.exp(mean(math.log(r) for r in ratios))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit with 1 where a figure falls short of its bar")
    parser.add_argument("--quick", action="store_true", help="digits, one seed, few epochs")
    parser.add_argument("--data", nargs="+", choices=CASES, help="default: digits jets mnist")
    parser.add_argument("--seeds", type=int, help="how many; default 3")
    parser.add_argument("--peer-time", type=float, default=1.0, help="HGQ2's training time, as a multiple of hwq's; default 1")
    parser.add_argument("--peer-ebops", type=float, help="solve HGQ2's networks up to so many EBOPs only; default all that compare")
    parser.add_argument("--peers", type=Path, default=HERE.parent / "build" / "peers", help="where the peers' environments are")
    parser.add_argument("--out", type=Path, help="folder of the runs, from which a second call goes on; default a temporary one")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    options.data = options.data or (["digits"] if options.quick else list(CASES))
    options.seeds = options.seeds or (1 if options.quick else 3)
    options.out = (options.out or Path(tempfile.mkdtemp(prefix="hwq-frontier-"))).resolve()
    return conclude(list(rows(options)), check=options.check, path=options.json)


if __name__ == "__main__":
    sys.exit(main())
