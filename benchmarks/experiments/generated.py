"""That a change of the house changes nothing that is generated: files, graphs and features of two checkouts, hash by hash.

The networks are those of the tests: stored ones, of runs and of peers; random graphs of every op in every mode, each op alone, and image
networks for streams.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import hwq
from benchmarks.common.experiment import BenchmarkError, Context, Experiment
from benchmarks.common.processes import ROOT, WORKERS, Program
from benchmarks.common.row import Row, at_least, at_most
from hwq.errors import HwqError
from hwq.fixed import FixedType
from hwq.ir import Graph, parse, text, verify

sys.path += [str(ROOT / "tests"), str(ROOT / "tests" / "sim")]
from every_op import MODES, ops_of_one_input, ops_of_two_inputs
from networks import random_graph, random_network
from test_stream import classifier, image_to_image, signal

FIXTURES = ROOT / "tests" / "fixtures"
TYPED = {"qkeras_jets.h5": FixedType(True, 16, 10)}  # a file that quantises its input nowhere
HINT = "--set against=FOLDER, a checkout of the commit before: git worktree add FOLDER COMMIT"


@dataclass(frozen=True, slots=True)
class Settings:
    """What this checkout is compared with, how many random graphs, and how many stored networks at most."""

    against: str = ""
    graphs: int = 24
    stored: int = 10


EXPERIMENT = Experiment(
    "Generated files, graphs and features of two checkouts: hashes that differ",
    cpu=("6 min", "40 s"),
    settings=Settings(),
    quick=Settings(graphs=3, stored=2),
)


@EXPERIMENT.part
def files(context: Context[Settings]) -> Iterator[Row]:
    """Every form, style and board of the same graphs, made by both."""
    asked = context.settings
    other = Path(asked.against).resolve()
    if not asked.against or not (other / "hwq" / "__init__.py").is_file():
        raise BenchmarkError(f"{asked.against or 'nothing'} is no checkout to compare with; give {HINT}")
    stored = dict(list(_stored())[: asked.stored])
    given = {name: text(graph) for name, graph in {**stored, **_graphs(asked.graphs)}.items()}
    mine, its = (Program(WORKERS / "generated.py").ask(place, given=given) for place in (ROOT, other))
    if Path(its["at"]).parent.parent != other:
        raise BenchmarkError(f"the worker took hwq from {its['at']}, not from {other}")
    first, second = mine["found"], its["found"]
    different = sorted(name for name in {*first, *second} if first.get(name) != second.get(name))
    apart = [name for name in different if name.split(",")[0] in stored]
    for name in different[:20]:
        context.say(f"{name}: {second.get(name)} there, {first.get(name)} here")
    case = f"{len(given)} networks, against {its['version']}"
    yield Row("generated", case, "hashes that differ", len(different), f"of {len(first)}", bar=at_most(0))
    yield Row("generated", case, "hashes", len(first), "", bar=at_least(100))
    yield Row("stored", case, "networks", len(stored), "", bar=at_least(min(asked.stored, 10)))
    yield Row(
        "stored",
        case,
        "hashes that differ",
        len(apart),
        f"of {sum(name.split(',')[0] in stored for name in first)}",
        bar=at_most(0),
    )


def _stored() -> Iterator[tuple[str, Graph]]:
    """The networks that lie in the repository: points of a run of 0.1.0, and files of HGQ2, QKeras and QONNX."""
    for path in sorted(FIXTURES.glob("*/run/points/*/graph.hwq")):
        yield f"point {path.parent.name} of {path.parents[3].name}", verify(parse(path.read_text()))
    for path in sorted(FIXTURES.glob("imports/*.*"), key=lambda p: (p.stat().st_size, p.name)):  # the small ones first
        if path.suffix in (".keras", ".h5", ".onnx"):
            try:
                yield path.name, hwq.load(path, input_type=TYPED.get(path.name))[0]
            except HwqError as error:
                raise BenchmarkError(f"{path.name} is not read: {error}") from error


def _graphs(count: int) -> dict[str, Graph]:
    found = {f"random {seed}": random_graph(seed, *MODES[seed % len(MODES)]) for seed in range(count)}
    found |= {f"perceptron {seed}": random_network(seed, skip=seed == 4) for seed in (3, 4)}
    found |= {"classifier": classifier(), "image to image": image_to_image(), "signal": signal()}
    for number in (0, len(MODES) - 1):
        found[f"ops of one input, mode {number}"] = ops_of_one_input(MODES[number])[0]
        found[f"ops of two inputs, mode {number}"] = ops_of_two_inputs(MODES[number])[0]
    return found
