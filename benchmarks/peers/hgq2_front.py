"""HGQ2's and da4ml's side of the frontier benchmark; runs in an environment of its own (HGQ2 0.2.0, da4ml 0.6.0).

hgq2_front.py DATA.npz FOLDER OPTIONS.json

One training run with beta rising logarithmically, in as many epochs as the given CPU seconds allow; then each network of its front:
ranges traced anew on training and validation rows, solved and written as Verilog by da4ml, default solver, one register for each
level of adders. Prints the CPU seconds and, for each network, accuracies of da4ml's own integers, and the folder of its Verilog.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.peers import hgq2_train as peer  # noqa: I001 - sets Keras' backend: before Keras itself
import keras
import numpy as np
import numpy.typing as npt
from da4ml.codegen import VerilogModel
from da4ml.converter import trace_model
from da4ml.trace import FixedVariableArray, HWConfig, comb_trace
from hgq.utils import trace_minmax
from hgq.utils.sugar import BetaScheduler, FreeEBOPs, PieceWiseSchedule

Parts: TypeAlias = dict[str, npt.NDArray[np.float32]]  # rows and labels of training, validation and test, by name

TIMED_EPOCHS = 5  # of the run's first beta, from which the number of epochs is told


@dataclass(frozen=True)
class Wanted:
    """At most so many networks, up to the first whose test accuracy is enough, none of more EBOPs than the most."""

    points: int
    enough: float
    most_ebops: float | None


class Cosine(keras.callbacks.Callback):
    """The learning rate falls with half a cosine over the last part of the run, as hwq's does."""

    def __init__(self, rate: float, epochs: int, share: float) -> None:
        super().__init__()
        self.rate, self.epochs, self.share = rate, epochs, share

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        done = max(0.0, (epoch / self.epochs - 1 + self.share) / self.share) if self.share else 0.0
        optimizer = self.model.optimizer
        if optimizer is None:
            raise RuntimeError("a model that is not compiled has no learning rate")
        optimizer.learning_rate = self.rate * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * done)))


def main(path: str, folder: str, options: str) -> dict[str, object]:
    with np.load(path) as data:
        parts = {name: data[name] for name in data.files}
    chosen = json.loads(options)
    keras.utils.set_random_seed(chosen["seed"])
    classes = int(parts["y_train"].max()) + 1
    first, last = chosen["beta"]
    model = peer.compiled(peer.network(parts["x_train"].shape[1], chosen["hidden"], classes, first), chosen["rate"], True)
    begin = peer.cpu()

    def fit(epochs: int, callbacks: list[keras.callbacks.Callback]) -> None:
        rows = {"batch_size": chosen["batch"], "validation_batch_size": 4096, "validation_data": (parts["x_val"], parts["y_val"])}
        model.fit(parts["x_train"], parts["y_train"], epochs=epochs, callbacks=callbacks, verbose=0, **rows)

    fit(1, [FreeEBOPs()])  # compiles
    before = peer.cpu()
    fit(TIMED_EPOCHS, [FreeEBOPs()])
    each = (peer.cpu() - before) / TIMED_EPOCHS
    epochs = chosen.get("epochs") or max(10, int((chosen["cpu_s"] - (peer.cpu() - begin)) / each))
    schedule = PieceWiseSchedule([(0, first, "constant"), (int(epochs * 0.1), first, "log"), (epochs, last, "constant")])
    kept = peer.Front()
    fit(epochs, [BetaScheduler(schedule), FreeEBOPs(), kept, Cosine(chosen["rate"], epochs, chosen["settle"])])
    trained = peer.cpu() - begin
    found = finished(model, kept, parts, Path(folder), Wanted(chosen["points"], chosen["enough"], chosen["most_ebops"]))
    return {"points": found, "cpu_s": trained, "epochs": epochs}


def finished(model: keras.Model, kept: peer.Front, parts: Parts, folder: Path, wanted: Wanted) -> list[dict[str, object]]:
    """The networks of the front through da4ml, cheapest first, as far as they are wanted."""
    seen, points = np.concatenate([parts["x_train"], parts["x_val"]]), []
    for number, (_, _, weights) in enumerate(peer.thinned(kept.kept, wanted.points)):
        for variable, value in zip(model.variables, weights, strict=True):
            variable.assign(value)
        # its integer bits must cover what it will see, as its authors do before they export
        trace_minmax(model, seen, batch_size=4096, verbose=0)
        ebops = peer.exact_ebops(model)
        if wanted.most_ebops and ebops > wanted.most_ebops:
            break
        solved = comb_trace(*trace_model(model, HWConfig(1, -1, -1), inputs=(rounded_inputs(model),)))
        place = folder / f"{number:04d}"
        VerilogModel(solved, "peer_top", place, latency_cutoff=1, print_latency=False).write()
        accuracy = {}
        for part in ("val", "test"):
            rounded = keras.ops.convert_to_numpy(peer.first_layer(model).iq(parts[f"x_{part}"], training=False))
            scores = solved.predict(np.asarray(rounded, np.float64), n_threads=1)
            accuracy[part] = float((scores.argmax(1) == parts[f"y_{part}"]).mean())
        keras_scores = model.predict(parts["x_test"], batch_size=4096, verbose=0)
        keras_accuracy = float((keras_scores.argmax(1) == parts["y_test"]).mean())
        points.append(
            {"folder": str(place), "ebops": ebops, "cost": float(solved.cost), "keras_accuracy": keras_accuracy}
            | {f"{part}_accuracy": value for part, value in accuracy.items()}
        )
        if accuracy["test"] >= wanted.enough:
            break
    return points


def rounded_inputs(model: keras.Model) -> FixedVariableArray:
    """Inputs that come rounded as the first layer wants them: the host does that, as for hwq, and the design has no adder for it."""
    kept, whole, fraction = (keras.ops.convert_to_numpy(v)[0].astype(np.int64) for v in peer.first_layer(model).iq.quantizer.kif)
    return FixedVariableArray.from_kif(kept, whole, fraction, HWConfig(1, -1, -1))


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(main(*sys.argv[1:])) + "\n")
