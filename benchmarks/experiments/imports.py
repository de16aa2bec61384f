"""Networks that others have trained with HGQ2: what hwq reads of their files against the peer's own evaluation, integer by integer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common.environments import Library, hgq2, installed
from benchmarks.common.experiment import BenchmarkError, Context, Experiment
from benchmarks.common.row import Row, at_least, at_most
from hwq.importers import read
from hwq.ir import Graph
from hwq.sim.compare import Comparison, compare, mantissas_of
from hwq.sim.reference import evaluate, quantize_inputs

EARLIER = {"hgqlut_jets_850"}  # saved with HGQ2 0.1.6, whose options 0.2.0 does not take


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the networks and their rows are."""

    networks: str = "../shared/data/networks"
    rows: str = "../shared/data/jets_regen.npz"
    count: int = 4000


EXPERIMENT = Experiment("Networks of peers, imported", cpu=("90 s", "60 s"), settings=Settings(), quick=Settings(count=1000))


@EXPERIMENT.part
def networks(context: Context[Settings]) -> Iterator[Row]:
    """Each file in the folder on the first test rows."""
    files = sorted(p for p in Path(context.settings.networks).glob("*") if p.suffix in (".keras", ".h5"))
    if not files:
        raise BenchmarkError(f"no networks in {context.settings.networks}: give --set networks=FOLDER")
    with np.load(context.settings.rows) as stored:
        rows = stored["x_test"][: context.settings.count].astype(np.float32)
    place = context.work / "rows.npy"
    np.save(place, rows)
    for file in files:
        given = {"network": str(file.resolve()), "rows": str(place.resolve())}
        peer = earlier() if file.stem in EARLIER else hgq2()
        answers = np.asarray(peer.answer("hgq2_answer.py", given)["answers"])
        found = compared(read(file).graph, rows, answers)
        yield Row("imports", file.stem, "rows", found.samples, "", bar=at_least(min(1000, context.settings.count)))
        yield Row("imports", file.stem, "values that differ", found.mismatches, "", bar=at_most(0))


def compared(graph: Graph, rows: np.ndarray, answers: np.ndarray) -> Comparison:
    """The peer's answers with those of the integer reference."""
    mine = evaluate(graph, quantize_inputs(graph, rows))
    return compare(graph, "peer", mantissas_of(answers, graph), "reference", mine)


def earlier() -> Library:
    """HGQ2 as it was when networks of tables were first published."""
    return Library("HGQ2", "0.1.6", (f"tensorflow=={installed('tensorflow')}", "da4ml==0.5.1"))
