"""`hwq convert`: a network that a peer has quantised to a run of one point, exactly, so that every other command takes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwq.data import Dataset, load
from hwq.errors import ModelError, UsageError
from hwq.events import QUIET, Events
from hwq.files import sha256_of, write_npz
from hwq.fixed import to_float
from hwq.importers import ImportedNetwork, Layer, read
from hwq.ir import Graph
from hwq.locks import one_writer
from hwq.posttraining.ranges import with_input_range
from hwq.posttraining.runs import Origin, begin, drawn, write_point
from hwq.run.record import RunRecord
from hwq.sim.reference import predict, quantize_inputs
from hwq.sim.routed import random_inputs

POINT = "0000"
INPUT_RANGES = ("file", "data")


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


@dataclass(frozen=True, slots=True)
class ConvertOptions:
    """How the data is used.

    Attributes:
        standardise: bring each feature to mean 0 and deviation 1 by the training rows, as `hwq train` does.
        input_range: "file", that of the peer; or "data": the input holds the training rows, with a margin of an eighth, and beyond
            it wraps or saturates as the peer's does at its own range.
        seed: of the split and of the random rows.
        input_type: of an input that the file quantises nowhere, "16,6" as in `ap_fixed<16, 6>`; None: what the file asks of it.
    """

    standardise: bool = False
    input_range: str = "file"
    seed: int = 0
    input_type: str | None = None

    def __post_init__(self) -> None:
        if self.input_range not in INPUT_RANGES:
            raise UsageError(f"there is no input range {self.input_range!r}", hint=f"choose one of {', '.join(INPUT_RANGES)}")


@one_writer(lambda out: out)
def convert(
    file: Path, out: Path, *, data: str | None = None, options: ConvertOptions | None = None, events: Events = QUIET
) -> ConvertSummary:
    """Read a network of another package and write it as a run of one point.

    Args:
        file: what the peer saved.
        data: as `hwq train` takes it: for the accuracies, and for rows to prove the network on. Its rows are taken as they are: on the
            scale that the network was trained on. None: random rows over the range of the inputs.

    Raises:
        ModelError, UnsupportedLayerError: a file that cannot be read exactly; no run is left behind.
        DataError, RunError: of the data and the run.
        MismatchError: evaluators of the network disagree; no point is written.
    """
    options = options or ConvertOptions()
    seed = options.seed
    if options.input_range == "data" and data is None:
        raise UsageError("the range of the input is traced on data, and there is none", hint="give --data")
    events.note(f"reading {file}")
    found = read(file, options.input_type)
    dataset = None if data is None else load(data, seed=seed, notice=events.note, scaled=options.standardise)
    if dataset is not None:
        _require_fit(found.graph, dataset)
        found = _traced(found, dataset) if options.input_range == "data" else found
    derived = {"method": "convert", "model": str(file), "sha256": sha256_of(file), "input_range": options.input_range}
    derived |= {} if options.input_type is None else {"input_type": options.input_type}
    report = found.report
    layers = {
        "converted": [[n.name, n.kind] for n in report.layers],
        "skipped": [],
        "notes": [["network", n] for n in report.notes],
    }
    config = {"model": str(file), "seed": seed, "scaled": options.standardise}
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


def _traced(found: ImportedNetwork, dataset: Dataset) -> ImportedNetwork:
    """With the input's range from the training rows; its report says on how many of the other rows that changes an answer."""
    graph = with_input_range(found.graph, quantize_inputs(found.graph, dataset.x_train))
    rows = np.concatenate([dataset.x_train, dataset.x_val, dataset.x_test])
    other = int((predict(graph, rows) != predict(found.graph, rows)).any(axis=1).sum())
    bits = [int(g[g.inputs[0]].type.width.max()) for g in (found.graph, graph)]
    note = f"the input has {bits[1]} bits at most, as the training rows need, not {bits[0]}: {other} of {len(rows)} rows answer otherwise"
    return replace(found, graph=graph, report=replace(found.report, notes=(*found.report.notes[1:], note)))


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
