"""Graphs and Verilog through one Yosys script: what it makes of them; known files are not run again."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common.environments import cache_folder
from benchmarks.common.experiment import BenchmarkError
from benchmarks.common.processes import replace_text
from hwq import boards
from hwq.boards import Adders
from hwq.codegen.build import Form, build
from hwq.codegen.ports import ports_of
from hwq.codegen.verilog import verilog_files
from hwq.cost.features import circuit_features
from hwq.ir import Circuit, Graph
from hwq.ir.circuit import ADDERS
from hwq.passes.adders import AdderOptions
from hwq.passes.adders.fuse import fuse
from hwq.passes.cones import tabulate
from hwq.passes.lower import lower
from hwq.passes.pipeline import half_levels, levels_for, operands_of, pipeline
from hwq.reports.types import Resources
from hwq.reports.yosys import read_stat
from hwq.sim.reference import evaluate
from hwq.toolchains.scripts import script_files
from hwq.tools.yosys import run_script

BOARD = "xcvu9p"
TOP = "hwq_top"


@dataclass(frozen=True, slots=True)
class Made:
    """What becomes of a graph. `lut` counts inverters, `plain` does not; `levels` are those of adders, registers aside."""

    lut: float
    plain: float
    ff: float
    latency: float
    adders: float
    levels: float


def synthesised(files: Mapping[str, str]) -> Resources:
    """What Yosys makes of files by path, with yosys/synth.ys among them; known files are not run again."""
    digest = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:20]
    stat = cache_folder() / f"yosys-{digest}.json"
    if not stat.is_file():
        with tempfile.TemporaryDirectory() as folder:
            for path, content in files.items():
                target = Path(folder) / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(content)
            run_script("yosys/synth.ys", cwd=Path(folder), log=Path(folder) / "log", outputs=["yosys/stat.json"])
            replace_text(stat, (Path(folder) / "yosys" / "stat.json").read_text())
    return read_stat(stat)


def resources(name: str, graph: Graph, options: AdderOptions, *, tables: bool = False, three: bool = False) -> Made:
    """A graph lowered, checked against the reference, pipelined for the default clock, and synthesised; results are kept.

    Args:
        tables: functions of a few bits become tables, as in every design that hwq builds.
        three: sums are rows of up to three operands, as in every design that hwq builds for this board.
    """
    board = boards.load(BOARD)
    circuit = lower(graph, options)
    if tables:
        circuit = tabulate(circuit, board.lut_inputs)
    if three:
        circuit = fuse(circuit)
    _check(name, graph, circuit)
    staged = pipeline(circuit, levels_for(board.default_clock.ns, board.adder_level_ns, board.overhead_ns))
    files = {**verilog_files(staged, ports_of(graph), TOP), **script_files(TOP, board, board.default_clock)}
    return _made(synthesised(files), staged)


def design(name: str, graph: Graph, adders: Adders = "auto") -> Made:
    """A graph as hwq builds it for the default clock, checked against the reference and synthesised; results are kept."""
    made = build(graph, boards.load(BOARD), form=Form(adders=adders))
    _check(name, made.graph, made.circuit)
    files = {path: text for path, text in made.plan.files.items() if path.startswith(("rtl/", "yosys/"))}
    return _made(synthesised(files), made.circuit)


def _made(found: Resources, circuit: Circuit) -> Made:
    """What Yosys counted of a pipelined circuit's Verilog."""
    lut, inverters = float(found.lut or 0), float(found.inverters or 0)
    return Made(
        lut=lut + inverters,
        plain=lut,
        ff=float(found.ff or 0),
        latency=circuit_features(circuit)["latency_cycles"],
        adders=float(circuit.count(*ADDERS)),
        levels=float(_levels(circuit)) / 2,
    )


def _levels(circuit: Circuit) -> int:
    """Half levels of adders on the longest way from an input to an output."""
    delay, arrival = half_levels(circuit).tolist(), [0] * len(circuit)
    for wire in range(len(circuit)):
        arrival[wire] = max((arrival[o] for o in operands_of(circuit, wire)), default=0) + delay[wire]
    return max((arrival[w] for w in circuit.outputs.tolist()), default=0)


def _check(name: str, graph: Graph, circuit: Circuit) -> None:
    rng = np.random.default_rng(0)
    low, high = (
        np.concatenate([getattr(graph[n].type, end).ravel() for n in graph.inputs]).astype(int) for end in ("lowest", "highest")
    )
    x = rng.integers(low, high + 1, (500, len(low)))
    if not (circuit.evaluate(x) == evaluate(graph, x)).all():
        raise BenchmarkError(f"{name}: the circuit differs from the reference")
