"""`hwq convert`: a network that a peer has quantised to a run of one point, exactly, so that every other command takes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwq.data import Dataset, load
from hwq.errors import ModelError
from hwq.events import QUIET, Events
from hwq.files import sha256_of, write_npz
from hwq.fixed import to_float
from hwq.importers import Layer, read
from hwq.ir import Graph
from hwq.locks import one_writer
from hwq.posttraining.derived import Origin, begin, drawn, write_point
from hwq.run.record import RunRecord
from hwq.sim.routed import random_inputs

POINT = "0000"


@dataclass(frozen=True, slots=True)
class ConvertSummary:
    """What was written.

    Attributes:
        format: of the file.
        layers: what became of each.
        notes: what to know of the network.
        val_accuracy, test_accuracy: None without data.
    """

    run: Path
    point: str
    format: str
    layers: tuple[Layer, ...]
    notes: tuple[str, ...]
    ebops: float
    val_accuracy: float | None
    test_accuracy: float | None


@one_writer(lambda out: out)
def convert(
    file: Path, out: Path, *, data: str | None = None, standardise: bool = False, seed: int = 0, events: Events = QUIET
) -> ConvertSummary:
    """Read a network of another package and write it as a run of one point.

    Args:
        file: what the peer saved.
        data: as `hwq train` takes it: for the accuracies, and for rows to prove the network on. Its rows are taken as they are: on the
            scale that the network was trained on. None: random rows over the range of the inputs.
        standardise: bring each feature to mean 0 and deviation 1 by the training rows, as `hwq train` does.
        seed: of the split and of the random rows.

    Raises:
        ModelError, UnsupportedLayerError: a file that cannot be read exactly; no run is left behind.
        DataError, RunError: of the data and the run.
        MismatchError: evaluators of the network disagree; no point is written.
    """
    events.note(f"reading {file}")
    found = read(file)
    dataset = None if data is None else load(data, seed=seed, notice=events.note, scaled=standardise)
    if dataset is not None:
        _require_fit(found.graph, dataset)
    derived = {"method": "convert", "model": str(file), "sha256": sha256_of(file)}
    report = found.report
    layers = {
        "converted": [[n.name, n.kind] for n in report.layers],
        "skipped": [],
        "notes": [["network", n] for n in report.notes],
    }
    config = {"model": str(file), "seed": seed, "scaled": standardise}
    record = RunRecord("training", config, dataset.told if dataset else None, derived, more={"conversion": layers})
    run = begin(out, record, drawn(dataset, seed) if dataset else _anywhere(found.graph))
    folder = run.point_folder(POINT)
    if not (folder / "point.json").is_file():
        told = {"format": report.format, "layers": [[n.name, n.kind, n.how, n.note] for n in report.layers]}
        write_point(run, POINT, found.graph, dataset, Origin(more={"imported": told}))
    run.update(lambda now: now.finished(RunRecord()))
    point = run.point(POINT)
    accuracies = (point.val_accuracy, point.test_accuracy)
    return ConvertSummary(run.path, POINT, report.format, report.layers, report.notes, point.ebops, *accuracies)


def _require_fit(graph: Graph, dataset: Dataset) -> None:
    wanted = graph[graph.inputs[0]].shape
    if int(np.prod(dataset.shape)) != int(np.prod(wanted)):
        raise ModelError(f"the network reads rows of shape {wanted}, the data has rows of shape {dataset.shape}")
    if graph.output_size < dataset.n_classes:
        raise ModelError(f"the network has {graph.output_size} outputs, the data {dataset.n_classes} classes")


def _anywhere(graph: Graph) -> Callable[[Path], None]:
    """Random rows over the whole range of the inputs, without labels."""

    def write(target: Path) -> None:
        node = graph[graph.inputs[0]]
        rows: npt.NDArray[np.float64] = to_float(random_inputs(graph), node.type.frac.ravel())
        write_npz(target, x=rows.reshape(-1, *node.shape).astype(np.float32), y=np.zeros(0, np.int64))

    return write
