"""From the archive to finished points: freeze, read into integers, choose by validation, and only then look at the test rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from hwq.backend import keras
from hwq.conversion import convert, freeze
from hwq.cost.features import graph_features
from hwq.cost.multiplications import multiplications
from hwq.data import Dataset
from hwq.data.task import Task
from hwq.errors import TrainingError
from hwq.events import Progress, Watch
from hwq.frontend.keras import from_keras
from hwq.ir import FLOAT64_BITS, Graph, text
from hwq.ir.ops import spec_of
from hwq.run.directory import RunDir, write_point
from hwq.run.record import PointRecord
from hwq.tensors import Floats, Singles
from hwq.train import checkpoint, pareto
from hwq.train.config import TrainConfig
from hwq.train.pareto import Candidate
from hwq.train.search import weights_path

FLOAT32_BITS = 23  # widest number that float32 sums exactly in any order


@dataclass(frozen=True, slots=True)
class Training:
    """What a run trains on, and where it keeps and tells it.

    Attributes:
        lut: what a graph costs, where there is a budget of LUTs; None: what the prices of its bits say.
    """

    dataset: Dataset
    config: TrainConfig
    run: RunDir
    report: Watch
    lut: Callable[[Graph], float] | None = None

    def progress(self, phase: str, step: int, steps: int, candidate: Candidate) -> Progress:
        """What to tell of a candidate: its metric as the user knows it."""
        task = self.dataset.task
        return Progress(
            phase, step, steps, task.score(candidate.val_accuracy), candidate.ebops, metric=task.metric, lower=task.lower
        )


@dataclass(frozen=True, slots=True)
class Frozen:
    """A candidate as a design: its exact Keras model of type `dtype`, and its graph."""

    candidate: Candidate  # with the frozen network's accuracy and exact EBOPs
    model: keras.Model
    graph: Graph
    dtype: str


def finish(model: keras.Model, archive: list[Candidate], work: Training) -> list[str]:
    """Write the points of the front; the ids, cheapest first. Running it again writes the same files.

    With a budget, only points that keep it are written, unless there is none.
    """
    dataset, config, run = work.dataset, work.config, work.run
    chance, freezer = dataset.task.chance(dataset.y_val), CandidateFreezer(model, dataset, config)
    graphs: dict[str, Graph] = {}
    front: list[Candidate] = []
    chosen = pareto.thin(archive, 3 * config.max_points, chance=chance)
    for number, candidate in enumerate(chosen, 1):
        checkpoint.load_weights(weights_path(run, candidate), model)
        one = freezer.freeze(candidate)
        graphs[candidate.key] = one.graph
        front = pareto.insert(front, one.candidate)
        work.report(work.progress("finish", number, len(chosen), one.candidate))
    limit = next(iter(config.budget.values()), None)
    fitting = [c for c in front if limit is not None and budgeted(graphs[c.key], config, work.lut) <= limit]
    front = fitting or front
    ids = []
    x, _ = run.vectors()
    for number, candidate in enumerate(pareto.thin(front, config.max_points, chance=chance)):
        ids.append(f"{number:04d}")
        checkpoint.load_weights(weights_path(run, candidate), model)
        _write(freezer.freeze(candidate), run, ids[-1], x, dataset, config)
    return ids


def budgeted(graph: Graph, config: TrainConfig, lut: Callable[[Graph], float] | None = None) -> float:
    """What the finished network uses of the budget: EBOPs, or LUTs, by `lut` or else by the prices of its bits."""
    return lut(graph) if lut is not None and "lut" in config.budget else config.budgeted(graph_features(graph))


class CandidateFreezer:
    """Freezes the network that a model holds, one candidate of a run after the other."""

    def __init__(self, model: keras.Model, dataset: Dataset, config: TrainConfig) -> None:
        self._model, self._dataset, self._config = model, dataset, config
        # ranges come from every row that selection may see; the test rows stay unseen
        self._seen = np.concatenate([dataset.x_train, dataset.x_val])
        self._freezers: dict[str, freeze.Freezer] = {}

    def freeze(self, candidate: Candidate) -> Frozen:
        """The network that the model holds now: its exact model, which the next call may change, graph, validation accuracy and EBOPs.

        Raises:
            TrainingError: numbers too wide for Keras to compute them exactly.
        """
        dtype = "float32"
        exact, graph = self._exact(dtype)
        if graph.widest > FLOAT32_BITS:
            dtype = "float64"
            exact, graph = self._exact(dtype)
        if graph.widest > FLOAT64_BITS:
            raise TrainingError(
                f"the design has numbers of {graph.widest} bits; Keras computes exactly up to {FLOAT64_BITS}",
                hint="fewer initial bits",
            )
        task, x, y = self._dataset.task, self._dataset.x_val, self._dataset.y_val
        val = task.score(task.value(freeze.logits(exact, x), y))
        return Frozen(replace(candidate, val_accuracy=val, ebops=graph_features(graph)["ebops"]), exact, graph, dtype)

    def _exact(self, dtype: str) -> tuple[keras.Model, Graph]:
        if dtype not in self._freezers:
            self._freezers[dtype] = freeze.Freezer(self._model, dtype)
        exact = self._freezers[dtype].freeze(self._seen, self._config.range_margin)
        return exact, from_keras(exact)[0]


def widest_accumulator(graph: Graph) -> int:
    """Bits of the widest result of arithmetic, before it is quantised."""
    return max((int(node.type.width.max(initial=0)) for node in graph.nodes if spec_of(node.op).sums), default=0)


def _write(one: Frozen, run: RunDir, point: str, x: Floats | Singles, dataset: Dataset, config: TrainConfig) -> None:
    folder = run.point_folder(point)
    outputs = freeze.logits(one.model, x)
    checkpoint.save_weights(folder / "weights.npz", one.model)
    task, shown = dataset.task, outputs[: len(dataset.y_test)]
    record = PointRecord(
        one.candidate.epoch,
        task.score(one.candidate.val_accuracy),
        one.candidate.ebops,
        one.candidate.beta,
        task.value(shown, dataset.y_test),
        config.terms if config.method == "shift" else 1,
        features=graph_features(one.graph),
        widest_accumulator_bits=widest_accumulator(one.graph),
        keras_dtype=one.dtype,
        task=task,
        more=_anomalies(task, shown, dataset),
    )
    write_point(folder, text(one.graph), outputs, record)


def _anomalies(task: Task, answers: Floats | Singles, dataset: Dataset) -> dict[str, object]:
    """For a reconstruction that is chosen by its error: how well that finds the labelled test rows."""
    y = dataset.y_test
    if task.name != "reconstruction" or task.metric == "auc" or y.shape[1] == dataset.n_classes or len(np.unique(y[:, -1])) < 2:
        return {}
    return {"test_auc": Task(task.name, "auc").value(answers, y)}


def uniform_ebops(float_model: keras.Model, dataset: Dataset, bits: int) -> dict[str, float]:
    """EBOPs of the float network with `bits` bits for every weight and activation: exact (enclosed bits), and as declared."""
    twin, _ = convert.quantize_model(float_model, bits=bits)
    freeze.initialise(twin, dataset.x_train)
    graph, _ = from_keras(freeze.freeze(twin, dataset.x_train, 1.0))
    types = {node.name: node.type for node in graph.nodes}
    count = sum(multiplications(node, [types[name] for name in node.inputs]) for node in graph.nodes)
    return {"ebops": graph_features(graph)["ebops"], "declared": float(bits * bits * count)}
