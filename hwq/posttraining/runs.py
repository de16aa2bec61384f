"""Runs that no training made: their data, their points, and the proof of each before it is written.

RUN/run.json      as a trained run's, and `derived`: the method with its options, which a second call must share
RUN/points/ID/    as a trained run's; keras.npz holds what Keras' operations make of the graph in float64
"""

from __future__ import annotations

import importlib.metadata
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwq.cost.features import graph_features
from hwq.data import Dataset, load
from hwq.data.load import is_function
from hwq.errors import DataError, MismatchError, RunError
from hwq.events import Notice, quiet
from hwq.fields import as_json
from hwq.files import sha256_of, write_npz
from hwq.ir import Graph, text, verify
from hwq.locks import LOCKS, explain
from hwq.passes import optimise
from hwq.passes.lower import lower
from hwq.run.directory import RunDir
from hwq.run.directory import write_point as write_record
from hwq.run.record import PointRecord, RunRecord
from hwq.sim.compare import Comparison, compare, mantissas_of, to_types
from hwq.sim.emulator import emulator
from hwq.sim.reference import evaluate, predict, quantize_inputs

RANDOM_ROWS = 10_000


def begin(out: Path, record: RunRecord, vectors: Callable[[Path], None]) -> RunDir:
    """The run directory of a method and its options, made where it is not there yet.

    Args:
        record: run.json; its `derived` and `dataset` are what must be the same when it is there already, but for the data's file.
        vectors: writes vectors.npz to a path.

    Raises:
        RunError: something else is there, or it cannot be written.
    """
    if (out / "run.json").is_file():
        run = RunDir.open(out)
        found = run.record()
        for there, wanted in ((found.derived or {}, as_json(record.derived or {})), (_data(found), _data(record))):
            differing = [key for key in wanted if there.get(key) != wanted[key]]
            if differing:
                key = differing[0]
                raise RunError(
                    f"{out} is a run with another {key}: {there.get(key)!r} there, {wanted[key]!r} now",
                    hint="choose another --out, or delete that run",
                )
        run.adopt()
        return run
    left = (
        [path for path in out.iterdir() if path.name not in ("vectors.npz", *LOCKS) and path.suffix != ".part"]
        if out.is_dir()
        else []
    )
    if left or (out.exists() and not out.is_dir()):
        raise RunError(f"{out} is there already and is no run of hwq", hint="choose another --out")
    run = RunDir(out)
    vectors(run.vectors_path)
    versions = {name: importlib.metadata.version(name) for name in ("tensorflow", "keras", "numpy")}
    digests = {"vectors.npz": sha256_of(run.vectors_path)}
    more = {**record.more, "versions": versions}
    run.save(replace(record, state=record.state or "trained", digests=digests, more=more))
    return run


def _data(record: RunRecord) -> dict[str, object]:
    """What is said of the data, but for its file, which may have moved."""
    told = record.dataset.to_json() if record.dataset else {}
    return {name: value for name, value in told.items() if name != "file"}


def copied(source: Path) -> Callable[[Path], None]:
    """Takes the vectors of another run."""

    def copy(target: Path) -> None:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f"{target.name}.part")
            shutil.copyfile(source, partial)
            partial.replace(target)
        except OSError as error:
            raise explain(error, target) from error

    return copy


def drawn(dataset: Dataset, seed: int) -> Callable[[Path], None]:
    """The test rows, then random rows uniform over 4 times the range of each training feature."""

    def write(target: Path) -> None:
        low, high = dataset.x_train.min(axis=0), dataset.x_train.max(axis=0)
        centre, half = (low + high) / 2, np.maximum((high - low) / 2, 1e-3)
        random = centre + 4 * half * np.random.default_rng([seed, 4]).uniform(-1, 1, (RANDOM_ROWS, *dataset.shape))
        write_npz(target, x=np.concatenate([dataset.x_test, random.astype(np.float32)]), y=dataset.y_test)

    return write


def data_of(run: RunDir, spec: str | None, notice: Notice = quiet) -> Dataset:
    """The data that a run was made from.

    Args:
        spec: where it is; None: the file that the run was made from, or what the run names.

    Raises:
        DataError: not found, or other data than the run's.
        RunError: a run of another task than classes.
    """
    told, task = run.data(), run.record().task
    if not task.plain:
        raise RunError(
            f"{run.path} is a run of {task.name} by {task.metric}; this command takes runs of classes by accuracy",
            hint="hwq train, synth, sim and report take every task",
        )
    if spec is None and is_function(told.name):
        raise DataError(
            f"the run's data is what the function {told.name} returns, and a run does not choose which code runs",
            hint=f"name it yourself: --data {told.name}",
        )
    there = Path(told.file).is_file()  # else it may have moved with the run, or lie in this folder
    try:
        seed, scaled = run.settings().whole("seed", 0), run.settings().flag("scaled", True)
        dataset = load(spec or (told.file if there else told.name), seed=seed, notice=notice, digest=told.digest, scaled=scaled)
    except DataError as error:
        if spec is not None:
            raise
        raise DataError(f"the run's data {told.name!r} is not found: {error.message}", hint="say where it is: --data") from error
    if dataset.digest != told.digest:
        raise DataError(
            f"{spec or told.name} has digest {dataset.digest}, the run was made from {told.digest}",
            hint="say where the run's own data is: --data",
        )
    return dataset


def accuracy(graph: Graph, x: npt.NDArray[np.float32], y: npt.NDArray[np.int64]) -> float:
    """The accuracy of the integer reference."""
    return float((predict(graph, x).argmax(axis=1) == y).mean())


@dataclass(frozen=True, slots=True)
class Origin:
    """What is said of a point beside what its network shows.

    Attributes:
        epoch, beta: of the training that the network comes from; 0 where no training made it.
        terms: as of `hwq.run.record.PointRecord`.
        more: what the method says, by its own name.
    """

    epoch: int = 0
    beta: float = 0.0
    terms: int = 1
    more: Mapping[str, object] = field(default_factory=dict)


def write_point(run: RunDir, point: str, graph: Graph, dataset: Dataset | None, origin: Origin = Origin()) -> PointRecord:
    """Prove a network bit-exact, and write it as a point; what point.json holds. The test rows are looked at here.

    Args:
        dataset: what its accuracies are of; None: it has none.

    Raises:
        MismatchError: evaluators disagree; nothing is written.
    """
    from hwq.train.finish import widest_accumulator

    x, _ = run.vectors()
    logits = prove(graph, x)
    counted = graph_features(graph)
    record = PointRecord(
        origin.epoch,
        accuracy(graph, dataset.x_val, dataset.y_val) if dataset else None,
        counted["ebops"],
        origin.beta,
        accuracy(graph, dataset.x_test, dataset.y_test) if dataset else None,
        origin.terms,
        features=counted,
        widest_accumulator_bits=widest_accumulator(graph),
        keras_dtype="float64",
        more=origin.more,
    )
    return write_record(run.point_folder(point), text(graph), logits, record)


def prove(graph: Graph, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Compare the reference with Keras' operations and with the compiled circuit on rows, integer by integer; Keras' answers.

    Raises:
        MismatchError: names the first difference.
    """
    from hwq.conversion.graph_model import GraphModel

    verify(graph)
    inputs = quantize_inputs(graph, x)
    reference = evaluate(graph, inputs)
    logits = GraphModel.of(graph).logits(x)
    optimised = optimise(graph)
    native = to_types(emulator(optimised, lower(optimised)).evaluate(inputs), optimised, graph)
    comparisons: list[Comparison] = [
        compare(graph, "reference", reference, "keras", mantissas_of(logits, graph)),
        compare(graph, "reference", reference, "emulator", native),
    ]
    for comparison in comparisons:
        if comparison.mismatches:
            raise MismatchError(str(comparison), hint="please report it; nothing was written")
    return logits
