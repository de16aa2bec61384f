"""One training run, from a float network to a finished Pareto front on disk; every stage resumes where a kill left it."""

from __future__ import annotations

import importlib.metadata
import math
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from hwq.backend import fresh, keras
from hwq.conversion import convert, freeze
from hwq.conversion.rows import check_codes
from hwq.cost.prices import linearisable
from hwq.data import Dataset
from hwq.data.task import CLASSES, Task
from hwq.errors import RunError, TrainingError
from hwq.events import Progress, Watch, quiet
from hwq.files import read_json, sha256_of, write_npz
from hwq.ir import Graph, parse
from hwq.layers import total_costs
from hwq.layers.activation import function_name
from hwq.locks import LOCKS
from hwq.run.directory import RunDir, best
from hwq.run.record import RunRecord, Scores
from hwq.train import checkpoint, models
from hwq.train.config import PRICES, TrainConfig
from hwq.train.engine import Engine, batches
from hwq.train.finish import Training, budgeted, finish, uniform_ebops
from hwq.train.float_training import compilable
from hwq.train.pareto import Candidate
from hwq.train.pricing import Pricing
from hwq.train.recipes import recipe_of
from hwq.train.search import FrontSearch
from hwq.train.summary import TrainSummary

SAVE_SECONDS = 10.0


def train(
    dataset: Dataset, config: TrainConfig, run: Path, *, lut: Callable[[Graph], float] | None = None, progress: Watch = quiet
) -> TrainSummary:
    """Train `config.model` on `dataset` into the run directory `run`, or go on with what is there.

    Args:
        lut: what a graph costs, where there is a budget of LUTs; None: what the prices of its bits say.

    Raises:
        RunError: the directory holds something else, or cannot be written.
        ModelError, TrainingError: the model does not fit, or training went wrong.
    """
    config = config.resolved(len(dataset.x_train))
    started = time.monotonic()
    found_run = _existing(dataset, config, run)
    if found_run is None or not found_run.record().trained:
        fresh(config.seed)
        float_model = logits_model(models.of_dataset(config.model, dataset, config.width), dataset.task)
        # what cannot be converted must fail now, before a run is there and hours have passed
        twin = convert.quantize_model(float_model)[0]
        recipe_of(config).check(twin)
        check_codes(twin, dataset.x_train)
    directory = found_run or _create(dataset, config, run)
    work = Training(dataset, config, directory, progress, lut)
    record = directory.record()
    if not record.trained:
        scores = Scores(**_train_float(float_model, work))
        twin, conversion = convert.convert(float_model, recipe_of(config).conversion())
        more: dict[str, object] = {"conversion": {"converted": conversion.converted, "skipped": conversion.skipped}}
        archive = _train_bits(twin, work)
        uniform8 = uniform_ebops(float_model, dataset, 8)
        more["finished"] = finish(twin, archive, work)
        hardening = directory.checkpoint / "hardening.json"
        if hardening.is_file():
            more["hardening"] = read_json(hardening)
        budget_met = None
        if config.budget:
            kept = [budgeted(parse(p.graph_text()), config, lut) for p in directory.points()]
            budget_met = bool(kept) and max(kept) <= next(iter(config.budget.values()))
        scores = replace(scores, test_accuracy=dataset.task.value(freeze.outputs(float_model, dataset.x_test), dataset.y_test))
        more["seconds"] = time.monotonic() - started
        found = RunRecord("trained", scores=scores, uniform8=uniform8, budget_met=budget_met, more=more)
        record = directory.update(lambda now: now.finished(found))
    points = directory.points()
    if not points:
        raise TrainingError("training kept no point", hint="a lower --beta-end, or more epochs")
    known = record.scores or Scores()
    return TrainSummary(
        math.nan if known.val_accuracy is None else known.val_accuracy,
        math.nan if known.test_accuracy is None else known.test_accuracy,
        len(points),
        best(points).id,
        found_run is not None,
        time.monotonic() - started,
        record.budget_met,
        record.task.metric,
    )


def train_float(dataset: Dataset, config: TrainConfig, out: Path, *, progress: Watch = quiet) -> None:
    """Train the float network of `config.model` by the rules of `train`, and save it whole as `out`, a .keras file.

    Raises:
        RunError: the file cannot be written.
        ModelError, TrainingError: the model does not fit, or training went wrong.
    """
    fresh(config.seed)
    model = logits_model(models.of_dataset(config.model, dataset, config.width), dataset.task)
    convert.quantize_model(model)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        _train_float(model, Training(dataset, config, RunDir(Path(folder)), progress))
        whole = Path(folder) / out.name
        model.save(whole)
        whole.replace(out)


def _existing(dataset: Dataset, config: TrainConfig, run: Path) -> RunDir | None:
    """The run directory of the same configuration; None where there is none yet.

    Raises:
        RunError: a run of another configuration, or files of something else.
    """
    if (run / "run.json").is_file():
        directory = RunDir.open(run)
        record = directory.record()
        # a run of an earlier version has no settings of methods that came later
        _same({**TrainConfig().to_json(), **(record.config or {})}, config.to_json(), run)
        _same(record.dataset.identity() if record.dataset else {}, dataset.told.identity(), run)
        directory.adopt()
        return directory
    if run.exists() and (not run.is_dir() or any(not _begun(path) for path in run.iterdir())):
        raise RunError(f"{run} is there already and is no run of hwq", hint="choose another --out")
    return None


def _begun(path: Path) -> bool:
    """Whether this is what a call killed at its very beginning leaves: the vectors, a lock or a temporary file, without run.json."""
    return path.name in ("vectors.npz", *LOCKS) or (
        path.name.startswith((".vectors.npz.", ".run.json.")) and path.suffix == ".part"
    )


def _create(dataset: Dataset, config: TrainConfig, run: Path) -> RunDir:
    directory = RunDir(run)
    _write_vectors(dataset, config, directory)
    versions = {name: importlib.metadata.version(name) for name in ("tensorflow", "keras", "numpy")}
    digests = {"vectors.npz": sha256_of(directory.vectors_path)}
    more = {"versions": versions}
    directory.save(RunRecord("training", config.to_json(), dataset.told, digests=digests, task=dataset.task, more=more))
    return directory


def _same(found: Mapping[str, object], wanted: Mapping[str, object], run: Path) -> None:
    differing = [key for key in wanted if found.get(key) != wanted[key]]
    if differing:
        key = differing[0]
        raise RunError(
            f"{run} is a run with another {key}: {found.get(key)!r} there, {wanted[key]!r} now",
            hint="choose another --out, or delete that run",
        )


def _write_vectors(dataset: Dataset, config: TrainConfig, directory: RunDir) -> None:
    """Test rows, then random rows uniform over 4 times the range of each training feature."""
    low, high = dataset.x_train.min(axis=0), dataset.x_train.max(axis=0)
    centre, half = (low + high) / 2, np.maximum((high - low) / 2, 1e-3)
    rng = np.random.default_rng([config.seed, 4])
    random = centre + 4 * half * rng.uniform(-1, 1, (config.random_rows, *dataset.shape))
    x = np.concatenate([dataset.x_test, random.astype(np.float32)])
    write_npz(directory.vectors_path, x=x, y=dataset.y_test)


def logits_model(model: keras.Model, task: Task = CLASSES) -> keras.Model:
    """The model without a final softmax, or of labels without a final sigmoid: training takes its outputs as logits."""
    if task.name in ("regression", "reconstruction"):
        return model
    layer, index, _ = model.outputs[0]._keras_history
    name, function = type(layer).__name__, function_name(getattr(layer, "activation", None))
    squashing = "softmax" if task.name == "classes" else "sigmoid"
    if (name == "Softmax" and squashing == "softmax") or (name == "Activation" and function == squashing):
        return keras.Model(model.inputs[0], layer._inbound_nodes[index].input_tensors[0], name=model.name)
    if name == "Dense" and isinstance(layer, keras.layers.Dense) and function == squashing:
        layer.activation = keras.activations.linear
    return model


def _train_float(model: keras.Model, work: Training) -> dict[str, float]:
    """Train the float network, keep the weights of its best epoch by validation accuracy, and stop when 30 epochs brought nothing."""
    dataset, config = work.dataset, work.config
    path = work.run.checkpoint / "float.npz"
    if not path.is_file():
        engine = Engine(
            compilable(model), config, dataset.x_train, dataset.y_train, False, task=dataset.task, weights=dataset.weights
        )
        state = best_state = engine.start()
        top, since = -math.inf, 0
        for epoch in range(config.float_epochs + 1):
            if epoch:
                order = batches(len(dataset.x_train), config.batch_size or 1, config.seed, -epoch % 2**31)
                state, losses = engine.epoch(state, order, [0.0])
                _finite(float(losses[0]))
            ((now, _),) = engine.validate(state, dataset.x_val, dataset.y_val)
            since += 1
            if now > top:
                top, since, best_state = now, 0, state
            task = dataset.task
            work.report(Progress("float", epoch, config.float_epochs, task.score(now), metric=task.metric, lower=task.lower))
            if since > 30:
                break
        engine.assign(best_state)
        checkpoint.save_weights(path, model)
    checkpoint.load_weights(path, model)
    return {"val_accuracy": dataset.task.value(freeze.outputs(model, dataset.x_val), dataset.y_val)}


def _finite(loss: float) -> None:
    if not np.isfinite(loss):
        raise TrainingError("the loss is not a number any more; what was saved before is kept", hint="a lower --learning-rate")


def _train_bits(model: keras.Model, work: Training) -> list[Candidate]:
    """Train weights and bitwidths; the archive of the best networks seen."""
    dataset, config = work.dataset, work.config
    freeze.initialise(model, dataset.x_train)
    prices = _prices(model, config)
    engine = Engine(model, config, dataset.x_train, dataset.y_train, True, prices, task=dataset.task, weights=dataset.weights)
    pricing = Pricing(engine, config, dataset.x_train) if config.costs == "measured" and linearisable(config.prices) else None
    return FrontSearch(engine, dataset, config, work.run, work.report, SAVE_SECONDS, pricing, work.lut).run_all()


def _prices(model: keras.Model, config: TrainConfig) -> dict[str, float] | None:
    """Measured prices in the unit of EBOPs: scaled so that the network costs at the start what its EBOPs are, which keeps beta's meaning."""
    if config.costs != "measured" or linearisable(config.prices):
        return None  # EBOPs, or prices of every layer's own: hwq.train.pricing
    costs = {name: float(value) for name, value in total_costs(model).items()}
    priced = sum(config.prices.get(name, 0.0) * costs[name] for name in PRICES)
    if priced <= 0:
        raise TrainingError("the measured prices are all zero", hint="measure some designs first: hwq synth RUN --point all")
    return {name: config.prices.get(name, 0.0) * costs["ebops"] / priced for name in PRICES}
