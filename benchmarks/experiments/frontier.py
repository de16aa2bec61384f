"""LUT at equal test accuracy: hwq's full path (train, refine, compile) against HGQ2 0.2.0 with da4ml 0.6.0.

Same splits, network and batch size. hwq trains with its default options and refines every point (jets and MNIST in larger portions
than by default, MNIST one way); HGQ2 gets as many epochs of a logarithmically rising beta as hwq's training and refining took CPU
seconds, at its best learning rate, with a rate that falls at the end, then its ranges are traced anew on training and validation rows,
and da4ml makes Verilog of each network with its default solver and one register for each level of adders. Both go through the same
Yosys script; LUTs count inverters, as in the adders benchmark. log LUT is interpolated over test accuracy where both fronts reach it;
the ratio is the geometric mean over that range, then over seeds and data sets.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from benchmarks.common.datasets import flat
from benchmarks.common.environments import DA4ML, hgq2
from benchmarks.common.experiment import Context, Experiment
from benchmarks.common.fronts import CASES, Case, Found, lut_ratio, points
from benchmarks.common.processes import WORKERS, Program
from benchmarks.common.row import Peer, Row, at_most
from benchmarks.common.synthesis import BOARD, synthesised


@dataclass(frozen=True, slots=True)
class Settings:
    """Seeds; HGQ2's training time as a multiple of hwq's; up to how many EBOPs its networks are solved (0: all that compare)."""

    seeds: int = 3
    peer_time: float = 1.0
    peer_ebops: float = 0.0


EXPERIMENT = Experiment(
    "LUT at equal test accuracy of the whole path against HGQ2 with da4ml",
    cpu=("days", "30 min"),
    settings=Settings(),
    quick=Settings(seeds=1),
    tools=("yosys",),
)
WORKER = Program(WORKERS / "proof_worker.py", one_thread=True)
FIGURE = "LUT at equal accuracy / HGQ2 + da4ml"
BAR = 0.70
TOP = "peer_top"
# HGQ2's learning rate is the best of 1e-3, 3e-3 and 1e-2 on digits (the train benchmark); beta rises as far as hwq's
PEER = {"rate": 3e-3, "beta": [4e-6, 8e-4], "settle": 0.15, "points": 12}
_ENTRY = re.compile(r"read_verilog \S+")


def peer_lut(folder: Path) -> float:
    """LUTs, with inverters, of a folder of da4ml's Verilog through hwq's script."""
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


@dataclass(frozen=True, slots=True)
class Ours:
    """hwq's points as trained and as refined, CPU seconds of both stages, and the batch size."""

    trained: list[Found]
    refined: list[Found]
    cpu_s: float
    batch: int

    @classmethod
    def of(cls, context: Context[Settings], case: Case, seed: int) -> Ours:
        """Made, or gone on with."""
        from hwq.run.directory import RunDir

        settings = {"seed": seed, "model": case.model, **case.settings, **(case.quick if context.quick else {})}
        run = context.work / case.name / f"hwq-{seed}"
        better = run.with_name(f"{run.name}-refined")
        asked = (
            ("train", case.spec, run, json.dumps(settings)),
            ("refine", run, better, json.dumps({"data": case.spec, **case.refine})),
        )
        spent = [WORKER.once(out.with_name(f"{out.name}.json"), *a)["cpu_s"] for out, a in zip((run, better), asked, strict=True)]
        batch = RunDir.open(run).settings().whole("batch_size")
        return cls(points(run, predicted=False), points(better, predicted=False), sum(spent), batch)


def by_peer(context: Context[Settings], case: Case, seed: int, ours: Ours) -> tuple[list[Found], float]:
    """HGQ2's front through da4ml, and the CPU seconds that its training took.

    Networks are solved and synthesised by rising EBOPs up to the first whose test accuracy is enough, the highest that hwq reaches:
    above that nothing is compared, and the largest take da4ml and Yosys a quarter of an hour each. With peer_ebops, those above it are
    left out, and nothing is compared where only they reach.
    """
    settings, place = context.settings, context.work / case.name
    told = "" if settings.peer_time == 1 else f"-x{settings.peer_time:g}"
    told += f"-to{settings.peer_ebops:g}" if settings.peer_ebops else ""
    folder = place / f"hgq2-{seed}{told}"
    enough = max(f.test_accuracy for f in [*ours.trained, *ours.refined])
    chosen = {**PEER, "seed": seed, "hidden": case.hidden, "batch": ours.batch, "enough": enough}
    chosen |= {"cpu_s": settings.peer_time * ours.cpu_s, "most_ebops": settings.peer_ebops or None}
    program = hgq2().program("hgq2_front.py", one_thread=True)
    data = flat(case.name, seed, place)
    answer = program.once(folder.with_name(f"{folder.name}.json"), data, folder, json.dumps(chosen))
    rising = sorted(answer["points"], key=lambda p: float(p["ebops"]))
    # a kept answer may go further than is needed now
    needed = next((k + 1 for k, p in enumerate(rising) if p["test_accuracy"] >= enough), len(rising))
    found = [Found(peer_lut(Path(p["folder"])), p["val_accuracy"], p["test_accuracy"], p["ebops"]) for p in rising[:needed]]
    return sorted(found, key=lambda f: f.lut), answer["cpu_s"]


def both(value: float) -> Peer:
    return Peer(value, "HGQ2 + da4ml", f"{hgq2().version}, {DA4ML.version}")


def hgq2_alone(value: float) -> Peer:
    return Peer(value, "HGQ2", hgq2().version)


@EXPERIMENT.part
def digits(context: Context[Settings]) -> Iterator[Row]:
    """Digits, mlp:64,32."""
    yield from compared(context, CASES["digits"])


@EXPERIMENT.full_part
def jets(context: Context[Settings]) -> Iterator[Row]:
    """Jets, mlp:64,32,32."""
    yield from compared(context, CASES["jets"])


@EXPERIMENT.full_part
def mnist(context: Context[Settings]) -> Iterator[Row]:
    """MNIST, mlp:64,32; with peer_ebops=20000 in hours rather than days."""
    yield from compared(context, CASES["mnist"])


def compared(context: Context[Settings], case: Case) -> Iterator[Row]:
    """Ratios of one data set, as trained and as refined."""
    plain, full, bits = [], [], []
    hgq2().python()  # a peer that cannot be installed is told before anything is trained
    for seed in range(context.settings.seeds):
        ours = Ours.of(context, case, seed)
        theirs, used = by_peer(context, case, seed, ours)
        for label, front in (("hwq train", ours.trained), ("hwq", ours.refined), ("HGQ2 + da4ml", theirs)):
            told = " ".join(f"{100 * f.test_accuracy:.1f}%/{f.lut:.0f}" for f in front)
            context.say(f"{case.name}, seed {seed}, {label}: {told}")
        plain.append(lut_ratio(ours.trained, theirs)[0])
        bits.append(lut_ratio(ours.trained, theirs, cost="ebops")[0])
        ratio, low, high = lut_ratio([*ours.trained, *ours.refined], theirs)
        full.append(ratio)
        yield Row(case.name, f"seed {seed}", "training CPU", ours.cpu_s, "s", hgq2_alone(used))
        yield Row(case.name, f"seed {seed}", FIGURE, ratio, f"x, {100 * low:.1f}-{100 * high:.1f} %", both(1.0))
    # what of it is training alone, what training and compiling, and all of it
    figure = "EBOPs at equal accuracy / HGQ2, before refining"
    yield Row(case.name, "all seeds", figure, _geometric(bits), "x", hgq2_alone(1.0))
    yield Row(case.name, "all seeds", "LUT at equal accuracy, before refining", _geometric(plain), "x", both(1.0))
    yield Row(case.name, "all seeds", FIGURE, _geometric(full), "x", both(1.0), at_most(BAR))


@EXPERIMENT.summary
def over_all(rows: Sequence[Row]) -> Iterator[Row]:
    """The geometric mean over data sets and seeds, where there are several data sets."""
    each = [row for row in rows if row.figure == FIGURE and row.case.startswith("seed ")]
    if len({row.group for row in each}) > 1:
        yield Row("all", "all seeds", FIGURE, _geometric([row.value for row in each]), "x", both(1.0), at_most(BAR))


def _geometric(ratios: list[float]) -> float:
    """nan, which meets no bar, where one of them is."""
    return math.exp(mean(math.log(r) for r in ratios))
