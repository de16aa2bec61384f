"""A trained float model as a Graph of so many bits that it answers as the model does: where post-training methods begin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hwq.data import Dataset
from hwq.data.load import is_function
from hwq.errors import ModelError
from hwq.ir import Graph
from hwq.run.directory import RunDir
from hwq.run.record import RunRecord, Scores
from hwq.sim.reference import predict, quantize_inputs

FINE_BITS = 14  # of weights and activations: below the noise of any trained model
DRIFT = 0.005  # of the accuracy, at most, between the float model and its fine graph
CALIBRATION_ROWS = 4096
MODEL_FILES = (".keras", ".h5", ".hdf5")


@dataclass(frozen=True, slots=True, eq=False)
class FloatModel:
    """A float model and its fine graph.

    Attributes:
        fine: the graph.
        rows: input mantissas of `fine` for the calibration rows.
        numbers: which training rows those are.
        answers: (training rows, classes) the fine graph's probabilities at `temperature`: what takes the place of labels.
        temperature: what logits are divided by, half the usual distance of the first answer from the second.
        val_accuracy, test_accuracy: of the float model.
        converted, skipped: layers.
    """

    fine: Graph
    rows: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.int64]
    answers: npt.NDArray[np.float64]
    temperature: float
    val_accuracy: float
    test_accuracy: float
    converted: tuple[tuple[str, str], ...]
    skipped: tuple[tuple[str, str], ...]

    def found(self) -> RunRecord:
        """What run.json tells of it."""
        conversion = {"converted": [list(c) for c in self.converted], "skipped": [list(s) for s in self.skipped]}
        return RunRecord(scores=Scores(self.val_accuracy, self.test_accuracy), more={"conversion": conversion})


def read_float(spec: str, dataset: Dataset, *, seed: int = 0, margin: float = 1.125) -> FloatModel:
    """Load a trained float model and read it into a fine graph; labels are used for its own accuracy only.

    Args:
        spec: a .keras or .h5 file, or module:function returning a trained Keras model; or a run directory, whose float network is taken.

    Raises:
        ModelError, UnsupportedLayerError: no such model, or one that does not fit the data or cannot be converted.
    """
    if spec.startswith("mlp:"):
        raise ModelError(
            f"{spec} names a network that is not trained", hint="give a trained model: a .keras file, or a run directory"
        )
    if spec.endswith(MODEL_FILES) and not Path(spec).is_file():
        raise ModelError(f"there is no model file {spec}", hint='save one with model.save("net.keras"), or give a run directory')
    from hwq.conversion import convert, freeze
    from hwq.conversion.config import QuantizeConfig
    from hwq.frontend.keras import from_keras
    from hwq.train import models
    from hwq.train.engine import accuracy

    model = (
        _of_run(Path(spec), dataset)
        if (Path(spec) / "run.json").is_file()
        else models.build(spec, dataset.shape, dataset.n_classes)
    )
    numbers = np.sort(np.random.default_rng([seed, 7]).permutation(len(dataset.x_train))[:CALIBRATION_ROWS])
    x = dataset.x_train[numbers]
    twin, report = convert.convert(model, QuantizeConfig(bits=FINE_BITS, granularity="tensor"))
    freeze.initialise(twin, x)
    fine, _ = from_keras(freeze.freeze(twin, x, margin, "float64"))
    scores = [
        accuracy(freeze.outputs(model, rows), y) for rows, y in ((dataset.x_val, dataset.y_val), (dataset.x_test, dataset.y_test))
    ]
    found = float((predict(fine, dataset.x_val).argmax(axis=1) == dataset.y_val).mean())
    if scores[0] - found > DRIFT + 1 / len(dataset.y_val):
        raise ModelError(
            f"at {FINE_BITS} bits the model's validation accuracy falls from {scores[0]:.4f} to {found:.4f}",
            hint="are the rows on the scale that the model was trained on?",
        )
    logits = predict(fine, dataset.x_train)
    ordered = np.sort(logits, axis=1)
    temperature = max(float((ordered[:, -1] - ordered[:, -2]).mean()) / 2, 1e-6)
    chances = np.exp((logits - logits.max(axis=1, keepdims=True)) / temperature)
    chances /= chances.sum(axis=1, keepdims=True)
    return FloatModel(
        fine, quantize_inputs(fine, x), numbers, chances, temperature, scores[0], scores[1], report.converted, report.skipped
    )


def _of_run(path: Path, dataset: Dataset) -> Any:
    """The float network that a run of `hwq train` began with."""
    from hwq.train import checkpoint, models

    run = RunDir.open(path)
    weights = run.checkpoint / "float.npz"
    if not weights.is_file():
        raise ModelError(f"{path} keeps no float network", hint="give the .keras file that it was made from")
    spec = run.settings().text("model")
    if is_function(spec) and not spec.startswith("mlp:") and not spec.endswith(MODEL_FILES):
        raise ModelError(
            f"the network of {path} is what the function {spec} returns, and a run does not choose which code runs",
            hint=f"save its trained network as a .keras file, or name the function itself: {spec}",
        )
    model = models.build(spec, dataset.shape, dataset.n_classes)
    checkpoint.load_weights(weights, model)
    return model
