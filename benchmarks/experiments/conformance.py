"""Every op in every evaluator, rounding and overflow: how many integers differ from the reference. Names that leave their comments.

The graphs are those of the tests (tests/every_op.py): all codes where the inputs have at most 16 bits together, random rows above.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.common.experiment import Context, Experiment, NoSettings
from benchmarks.common.processes import ROOT
from benchmarks.common.row import Row, at_most
from hwq import boards
from hwq.codegen.build import Form, build
from hwq.fixed import Overflow, Rounding
from hwq.ir import OPS, Graph
from hwq.sim.compare import compare, to_types
from hwq.sim.csim import csim
from hwq.sim.emulator import emulator
from hwq.sim.reference import evaluate
from hwq.sim.rtlsim import rtlsim

sys.path.append(str(ROOT / "tests"))
from every_op import MODES, ops_of_one_input, ops_of_two_inputs, quantisers
from networks import random_network, random_rows

EXPERIMENT = Experiment(
    "Every op in every evaluator, rounding and overflow: integers that differ from the reference",
    cpu=("30 min", "5 min"),
    settings=NoSettings(),
    tools=("g++", "yosys", "verilator"),
)
BOARD = "xcvu9p"
QUICK = (MODES[0], (Rounding.RND_CONV, Overflow.SAT))
EVIL = (
    'a"; int b; //',
    "a*/ int b; /*",
    "line\nint b;",
    "line\r\u2028\x85int b;",
    "a\\",
    "??/",
    '`include "x"',
    "{{ 1 // 0 }}",
    "\x00\x1b[31m",
)


@EXPERIMENT.part
def evaluators(context: Context[NoSettings]) -> Iterator[Row]:
    """One row an evaluator, over all graphs and modes."""
    modes = QUICK if context.quick else MODES
    different: Counter[str] = Counter()
    compared, ops = 0, set[str]()
    for graph, x in _graphs(modes):
        different.update(mismatches(graph, x))
        compared += len(x) * sum(graph[name].type.size for name in graph.outputs)
        ops |= {node.op for node in graph.nodes}
        context.say(f"conformance: {compared} integers, {sum(different.values())} mismatches")
    case = f"{len(ops)} of {len(OPS)} ops, {len(modes)} modes"
    for name in ("graph passes", "emulator", "csim multiply", "csim adders", "rtl"):
        yield Row("conformance", case, f"mismatches, {name}", different[name], f"of {compared}", bar=at_most(0))
    yield Row("conformance", case, "ops without a case", len(set(OPS) - ops), "ops", bar=at_most(0))


@EXPERIMENT.part
def names(context: Context[NoSettings]) -> Iterator[Row]:
    """Layer names that leave the comments of the generated code."""
    escaped = sum(map(escapes, EVIL))
    yield Row("conformance", f"{len(EVIL)} layer names", "names that change the code", escaped, "names", bar=at_most(0))


def _graphs(modes: tuple[tuple[Rounding, Overflow], ...] | list[tuple[Rounding, Overflow]]) -> Iterator[tuple[Graph, np.ndarray]]:
    for rounding in dict.fromkeys(rounding for rounding, _ in modes):
        yield quantisers(rounding)
    for seed, mode in enumerate(modes):
        yield ops_of_one_input(mode)
        yield ops_of_two_inputs(mode)
        graph = random_network(seed, (12, 10, 6), rounding=mode[0], overflow=mode[1], skip=True)
        yield graph, random_rows(graph, 100_000)


def mismatches(graph: Graph, x: np.ndarray) -> dict[str, int]:
    """Integers that differ from the reference, by evaluator; each is brought to the steps of the graph as given."""
    want = evaluate(graph, x)
    with tempfile.TemporaryDirectory() as place:
        made, adders = (build(graph, boards.load(BOARD), form=Form(style=style)) for style in ("multiply", "adders"))
        made.plan.write(Path(place, "multiply"))
        adders.plan.write(Path(place, "adders"))
        found = {
            "graph passes": evaluate(made.graph, x),
            "emulator": emulator(made.graph, made.circuit).evaluate(x),
            "csim multiply": csim(made, Path(place, "multiply"), x),
            "csim adders": csim(adders, Path(place, "adders"), x),
            "rtl": rtlsim(made, Path(place, "multiply"), x),
        }
    return {
        name: compare(graph, "reference", want, name, to_types(got, made.graph, graph)).mismatches for name, got in found.items()
    }


def escapes(name: str) -> bool:
    """Whether a layer of this name makes other code than one with a plain name, comments aside."""

    def code(source: str) -> dict[str, list[str]]:
        graph = random_network(1)
        graph = graph.with_nodes(node.with_(source=source) for node in graph.nodes)
        files = build(graph, boards.load(BOARD)).plan.files
        lines = {path: re.split(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]", text) for path, text in files.items()}
        return {path: [re.sub(r"//[^\\?]*$", "//", line) for line in lines[path]] for path in files if path != "graph.hwq"}

    return code(name) != code("plain")
