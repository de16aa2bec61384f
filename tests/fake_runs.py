"""A run directory without training, and tools that are small scripts: what the tests of failures, kills and plans work on."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path
from typing import Any

import numpy as np
from networks import random_network

from hwq import boards
from hwq.data.facts import DataFacts
from hwq.design.point import VERDICT, PointDesign, code_digest
from hwq.design.target import Target
from hwq.design.verdict import EVALUATORS, Verdict, judged_inputs
from hwq.files import sha256_of, write_npz
from hwq.ir import text
from hwq.run.directory import RunDir, write_point
from hwq.run.record import PointRecord, RunRecord
from hwq.sim.compare import Comparison
from hwq.sim.reference import predict

ROWS = 40


def make_run(path: Path, points: int = 1, sizes: tuple[int, ...] = (6, 5, 4)) -> Path:
    """A run with `points` random networks; its vectors and logits are those of the reference."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-4, 4, (ROWS, sizes[0])).astype(np.float32)
    write_npz(path / "vectors.npz", x=x, y=np.zeros(ROWS, np.int64))
    for number in range(points):
        graph = random_network(11 + number, sizes)
        logits = predict(graph, x)
        record = PointRecord(1, 0.5, 100.0 + number, 0.1, float((logits.argmax(axis=1) == 0).mean()))
        write_point(path / "points" / f"{number:04d}", text(graph), logits, record)
    dataset = DataFacts("none", train=1, validation=1, test=ROWS)
    digests = {"vectors.npz": sha256_of(path / "vectors.npz")}
    RunDir(path).save(RunRecord("", {"model": "mlp"}, dataset, digests=digests))
    return path


def prove(run: Path, board: str, **options: Any) -> list[PointDesign]:
    """Generate every point for a board and note it as proven, so that a test needs no compiler; `options` are those of its Target."""
    made = boards.load(board)
    designs = []
    for point in RunDir.open(run).points():
        design = PointDesign(RunDir.open(run), point, Target.of(made, **options), code_digest())
        summary = design.summary()
        comparisons = tuple(Comparison("reference", stage, ROWS, 0) for stage in EVALUATORS)
        judged = judged_inputs(summary, point, design.run)
        Verdict(comparisons, ROWS, point.test_accuracy or 0.0, judged).write(design.folder / VERDICT)
        designs.append(design)
    return designs


def script(path: Path, body: str) -> Path:
    """An executable shell script."""
    path.write_text(f"#!/bin/bash\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


BANNERS = {
    "yosys": "Yosys 0.70 (fake)",
    "vivado": "Vivado v2023.2 (64-bit)",
    "vitis_hls": "Vitis HLS v2023.2 (64-bit)",
    "nextpnr-ecp5": "nextpnr-ecp5 (Version nextpnr-0.7)",
    "ecppack": "ecppack Version 1.4",
}


def fake(folder: Path, name: str, body: str, banner: str | None = None) -> Path:
    """A tool that answers for its version and otherwise does `body`; every start adds a line to `<folder>/starts`."""
    answer = f'case "${{1:-}}" in -V|-version|--version) echo "{banner or BANNERS[name]}"; exit 0;; esac\n'
    return script(folder / name, answer + f"echo {name} \"$@\" >> '{folder}/starts'\n" + body)


def put(path: str, content: str) -> str:
    """A shell command that writes `content` to `path`."""
    return f"mkdir -p $(dirname {path}); cat > {path} <<'END_OF_FILE'\n{content}\nEND_OF_FILE\n"


def real(tool: str) -> str:
    """A shell command that does what the open tool does: its files come from the tool itself, of this call or an earlier one."""
    return f"'{sys.executable}' '{Path(__file__).with_name('cached_tool.py')}' {tool} \"$@\" || exit 1\n"


def stat_json(lut: Any = 300, ff: Any = 90, top: str = "hwq_top", **more: Any) -> str:
    """What `stat -json` of Yosys writes."""
    cells = {"LUT4": lut, "FDRE": ff, **more}
    counts = {"num_cells": sum(v for v in cells.values() if isinstance(v, int)), "num_cells_by_type": cells}
    return json.dumps({"creator": "Yosys 0.70", "modules": {f"\\{top}": counts}, "design": counts})
