"""A store of many measurements: CPU seconds and peak memory of each command that looks into it, in processes of their own.

The rows are those of the shipped calibration of Yosys on UltraScale+, scaled at random, with all their features: fifty numbers each.
They come in by `hwq store import`. A run of two points is synthesised (on paper) with the tool whose rows they are, so that
`hwq report` and the preflight of `hwq synth` fit their models to the store. Start-up and imports are counted.
"""

from __future__ import annotations

import csv
import random
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from benchmarks.common.experiment import Context, Experiment
from benchmarks.common.processes import ROOT, WORKERS, Usage
from benchmarks.common.row import Row, at_most
from hwq import boards
from hwq.cost.find import libraries
from hwq.design.point import PointDesign, code_digest
from hwq.design.target import Target
from hwq.measure.measurement import Key, Measurement
from hwq.run.directory import RunDir
from hwq.run.record import Link


@dataclass(frozen=True, slots=True)
class Settings:
    """How many measurements the store has."""

    rows: int = 200_000


EXPERIMENT = Experiment(
    "Commands that look into a store of 200 000 measurements: CPU time and peak memory",
    cpu=("2 min", "20 s"),
    settings=Settings(),
    quick=Settings(rows=5_000),
)
BOARD, TOOL, VERSION, STAGE = "xcvu9p", "yosys", "0.99", "synth"
SECONDS, PEAK_MB = 3.0, 300.0
WORKER = WORKERS / "store_worker.py"


def synthetic(count: int) -> Iterator[Measurement]:
    """Measurements as a team would gather them: a tenth of an experiment's kinds, the others of searches without a kind."""
    known = next(library for library in libraries() if "xcup" in library.path.name).rows()
    rng = random.Random(0)
    for number in range(count):
        row, size, noise = rng.choice(known), rng.uniform(0.5, 4.0), rng.uniform(0.95, 1.05)
        design, plan = f"{rng.getrandbits(256):064x}", f"{rng.getrandbits(256):064x}"
        features = {name: value * size for name, value in row.features.items()} | {"counted": row.features["counted"]}
        found = replace(row.resources, lut=round((row.resources.lut or 0) * size * noise), ff=round((row.resources.ff or 0) * size))
        key = Key(design, plan, "design", BOARD, TOOL, VERSION, STAGE)
        group = row.group if number % 10 == 0 else ""
        yield replace(row, key=key, resources=found, features=features, group=group, seconds=size * 4, host=f"host{number % 7}")


def write_table(path: Path, count: int) -> None:
    names = [f.name for f in fields(Key)]
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([*names, "body"])
        for m in synthetic(count):
            writer.writerow([*asdict(m.key).values(), m.body()])


def make_run(path: Path) -> Path:
    """A run of two points, generated for the tool; the build.json of one of them."""
    sys.path.insert(0, str(ROOT / "tests"))
    from fake_runs import make_run as trained

    trained(path, points=2)
    run, board = RunDir.open(path), boards.load(BOARD)
    summary = path
    for point in run.select("all"):
        design = PointDesign(run, point, Target.of(board), code_digest())
        design.summary()
        run.link(Link(BOARD, TOOL, TOOL, VERSION, STAGE, board.default_clock.ns), point.id, design.folder.name)
        summary = design.folder / "build.json"
    return summary


@EXPERIMENT.part
def commands(context: Context[Settings]) -> Iterator[Row]:
    """Import, info, report, the selection of calibrate, the preflight of synth, export."""
    with tempfile.TemporaryDirectory(dir=context.work) as place:  # a store that was filled before would be another case
        yield from measured(Path(place), context.settings.rows)


def measured(folder: Path, count: int) -> Iterator[Row]:
    store, table, run = folder / "s.sqlite", folder / "rows.csv", folder / "run"
    write_table(table, count)
    summary = make_run(run)
    hwq = ("-m", "hwq.cli")
    cases: list[tuple[str, tuple[str | Path, ...], float | None]] = [
        ("store import", (*hwq, "store", "import", table, "--store", store), None),
        ("store info", (*hwq, "store", "info", "--store", store), SECONDS),
        ("report", (*hwq, "report", run, "--store", store), SECONDS),
        ("calibrate, selection", (WORKER, "selection", store), SECONDS),
        ("synth, preflight", (WORKER, "preflight", store, summary), SECONDS),
        ("store export", (*hwq, "store", "export", folder / "out.csv", "--store", store), None),
    ]
    for name, command, limit in cases:
        used = Usage.of((sys.executable, *command), ROOT)
        case = f"{count} rows, {name}"
        yield Row("store", case, "CPU", used.cpu_s, "s", bar=at_most(limit))
        yield Row("store", case, "peak", used.peak_mb, "MB", bar=at_most(PEAK_MB))
