"""A store of many measurements: CPU seconds and peak memory of each command that looks into it, in processes of their own.

    python benchmarks/store.py [--rows 200000] [--check] [--json FILE] [--keep FOLDER]

The rows are those of the shipped calibration of Yosys on UltraScale+, scaled at random, with all their features: fifty numbers each.
They come in by `hwq store import`. A run of two points is synthesised (on paper) with the tool whose rows they are, so that
`hwq report` and the preflight of `hwq synth` fit their models to the store. Start-up and imports are counted.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from pathlib import Path

from table import Row, conclude

from hwq import boards
from hwq.cost.find import libraries
from hwq.design.point import Design, code_digest
from hwq.flow.synth import Link, add_link
from hwq.measure.measurement import Key, Measurement
from hwq.run.directory import RunDir

ROOT = Path(__file__).resolve().parents[1]
BOARD, TOOL, VERSION, STAGE = "xcvu9p", "yosys", "0.99", "synth"
SECONDS, PEAK_MB = 3.0, 300.0
# what `hwq calibrate` fits to, and what `hwq synth` knows before a tool starts, without the tools themselves
SELECTION = f"""
import sys
from hwq import boards
from hwq.cost.model import ModelKey
from hwq.flow.calibrate import known_rows
from hwq.cost.find import model_family
from hwq.measure.store import Store
board = boards.load({BOARD!r})
assert known_rows(Store.open(sys.argv[1]), board, ModelKey(model_family(board, {TOOL!r}), {TOOL!r}, {VERSION!r}, {STAGE!r}))
"""
PREFLIGHT = f"""
import json, sys
from pathlib import Path
from hwq import boards
from hwq.toolchains.steps import steps_for
from hwq.synthesis.preflight import Preflight
from hwq.measure.store import Store
from hwq.tools.find import Tool
from hwq.toolchains.synthesis import Synthesiser
board = boards.load({BOARD!r})
steps = steps_for({TOOL!r}, {STAGE!r}, board, "hwq_top", 5.0)
tools = {{step.program: Tool({TOOL!r}, ("yosys",), {VERSION!r}) for step in steps}}
preflight = Preflight(board, Synthesiser({TOOL!r}, {STAGE!r}, steps, tools), Store.open(sys.argv[1]))
summary = json.loads(Path(sys.argv[2]).read_text())
assert preflight.models and preflight.forecast(Path("."), summary).seconds
"""


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
        design = Design(run, point, board, board.default_clock, code_digest())
        design.summary()
        add_link(run, Link(BOARD, TOOL, TOOL, VERSION, STAGE, board.default_clock.ns), point.id, design.folder.name)
        summary = design.folder / "build.json"
    return summary


def used(*command: str | Path) -> tuple[float, float]:
    """CPU seconds and peak MB of a process that must succeed."""
    process = subprocess.Popen([sys.executable, *map(str, command)], stdout=subprocess.DEVNULL, cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(map(str, command))} failed")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def measured(folder: Path, count: int) -> Iterator[Row]:
    store, table, run = folder / "s.sqlite", folder / "rows.csv", folder / "run"
    write_table(table, count)
    summary = make_run(run)
    hwq = ("-m", "hwq.cli")
    cases: list[tuple[str, tuple[str | Path, ...], float | None]] = [
        ("store import", (*hwq, "store", "import", table, "--store", store), None),
        ("store info", (*hwq, "store", "info", "--store", store), SECONDS),
        ("report", (*hwq, "report", run, "--store", store), SECONDS),
        ("calibrate, selection", ("-c", SELECTION, store), SECONDS),
        ("synth, preflight", ("-c", PREFLIGHT, store, summary), SECONDS),
        ("store export", (*hwq, "store", "export", folder / "out.csv", "--store", store), None),
    ]
    for name, command, limit in cases:
        seconds, peak = used(*command)
        case = f"{count} rows, {name}"
        yield Row("store", case, "CPU", seconds, "s", None, limit)
        yield Row("store", case, "peak", peak, "MB", None, PEAK_MB)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hwq-store-") as place:
        folder = options.keep or Path(place)
        folder.mkdir(parents=True, exist_ok=True)
        rows = list(measured(folder, options.rows))
    return conclude(rows, check=options.check, path=options.json)


if __name__ == "__main__":
    sys.exit(main())
