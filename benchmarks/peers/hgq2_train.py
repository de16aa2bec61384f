"""HGQ2's side of the train benchmark; runs in an environment of its own (HGQ2 0.2.0, TensorFlow) and prints one JSON object.

hgq2_train.py speed DATA.npz BATCH STEPS XLA     CPU ms a step and of the first epoch, peak memory
hgq2_train.py calibrate DATA.npz ROWS            CPU seconds of trace_minmax
hgq2_train.py front DATA.npz OPTIONS.json        one run with rising beta: (exact EBOPs, accuracy) of its front on the test rows
hgq2_train.py wide                               share of zeros in a converted layer of 1 024 inputs
"""

from __future__ import annotations

import json
import math
import os
import resource
import sys
from collections.abc import Callable, Mapping
from typing import TypeAlias

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import numpy.typing as npt
from hgq.config import LayerConfigScope, QuantizerConfigScope
from hgq.layers import QDense
from hgq.utils import trace_minmax
from hgq.utils.sugar import BetaScheduler, FreeEBOPs, PieceWiseSchedule


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def network(inputs: int, hidden: list[int], classes: int, beta: float) -> keras.Model:
    with (
        QuantizerConfigScope(place="all", default_q_type="kbi", overflow_mode="SAT_SYM"),
        QuantizerConfigScope(place="datalane", default_q_type="kif", overflow_mode="WRAP"),
        LayerConfigScope(enable_ebops=True, beta0=beta),
    ):
        layers = [QDense(units, activation="relu") for units in hidden]
        return keras.Sequential([keras.Input((inputs,)), *layers, QDense(classes)])


def compiled(model: keras.Model, rate: float, xla: bool) -> keras.Model:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"], jit_compile=xla)
    return model


def speed(path: str, batch: str, steps: str, xla: str) -> dict[str, float]:
    with np.load(path) as data:
        x, y = data["x_train"], data["y_train"]
    rows, wanted = min(len(x), int(batch) * 5), int(steps)
    x, y = x[:rows], y[:rows]
    model = network(x.shape[1], [64, 32, 32], 5, 1e-6)
    begin = cpu()
    compiled(model, 1e-3, xla == "1")

    def epoch() -> None:
        model.fit(x, y, batch_size=int(batch), epochs=1, verbose=0)

    epoch()
    first = cpu() - begin
    epoch()
    begin, done = cpu(), 0
    while done < wanted:
        epoch()
        done += rows // int(batch)
    step = (cpu() - begin) / done * 1e3
    return {"first_epoch_s": first, "step_ms": step, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def calibrate(path: str, rows: str) -> dict[str, float]:
    with np.load(path) as data:
        x = data["x_train"][: int(rows)]
    model = network(x.shape[1], [64, 32, 32], 5, 1e-6)
    model(x[:8])
    begin = cpu()
    trace_minmax(model, x, batch_size=8192, verbose=0)
    return {"calibrate_s": cpu() - begin}


Kept: TypeAlias = tuple[float, float, list[npt.NDArray[np.float32]]]  # validation accuracy, EBOPs and weights


class Front(keras.callbacks.Callback):
    """The networks of a run that no other one beats in both validation accuracy and EBOPs, weights kept in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Kept] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        accuracy, ebops = logs["val_accuracy"], logs["ebops"]
        if any(a >= accuracy and e <= ebops for a, e, _ in self.kept):
            return
        self.kept = [k for k in self.kept if not (accuracy >= k[0] and ebops <= k[1])]
        self.kept.append((accuracy, ebops, [np.array(v) for v in self.model.variables]))


def front(path: str, options: str) -> dict[str, object]:
    with np.load(path) as data:
        parts = {name: data[name] for name in data.files}
    chosen = json.loads(options)
    keras.utils.set_random_seed(chosen["seed"])
    classes = int(parts["y_train"].max()) + 1
    begin = cpu()
    model = compiled(network(parts["x_train"].shape[1], chosen["hidden"], classes, chosen["beta"][0]), chosen["rate"], True)
    (first, last), epochs = chosen["beta"], chosen["epochs"]
    schedule = PieceWiseSchedule([(0, first, "constant"), (int(epochs * 0.1), first, "log"), (epochs, last, "constant")])
    kept = Front()
    model.fit(
        parts["x_train"],
        parts["y_train"],
        batch_size=chosen["batch"],
        epochs=epochs,
        validation_data=(parts["x_val"], parts["y_val"]),
        validation_batch_size=4096,
        callbacks=[BetaScheduler(schedule), FreeEBOPs(), kept],
        verbose=0,
    )
    seen, points = np.concatenate([parts["x_train"], parts["x_val"]]), []
    for accuracy, _, weights in thinned(kept.kept, chosen["points"]):
        for variable, value in zip(model.variables, weights, strict=True):
            variable.assign(value)
        # its integer bits must cover what it will see, as its authors do before they export
        trace_minmax(model, seen, batch_size=4096, verbose=0)
        ebops = exact_ebops(model)
        scores = model.predict(parts["x_test"], batch_size=4096, verbose=0)
        points.append([ebops, float((scores.argmax(1) == parts["y_test"]).mean()), accuracy])
    return {"points": points, "cpu_s": cpu() - begin}


def exact_ebops(model: keras.Model) -> float:
    """EBOPs with the bits that each rounded weight encloses, as hwq counts them; biases are no multiplications."""
    total = 0.0
    for layer in model.layers:
        if isinstance(layer, QDense):
            kernel = keras.ops.convert_to_numpy(layer.qkernel)
            widths = np.broadcast_to(keras.ops.convert_to_numpy(layer.iq.bits_((1, kernel.shape[0]))), (1, kernel.shape[0]))
            enclosed = np.array([[enclosed_bits(float(v)) for v in row] for row in kernel])
            total += float((widths @ enclosed).sum())
    return total


def first_layer(model: keras.Model) -> QDense:
    """Its quantiser is that of the inputs."""
    layer = model.layers[0]
    if not isinstance(layer, QDense):
        raise TypeError(f"the network begins with {type(layer).__name__}, expected a QDense")
    return layer


def enclosed_bits(value: float) -> int:
    mantissa = abs(int(math.frexp(value)[0] * 2**53))
    return (mantissa // (mantissa & -mantissa)).bit_length() if mantissa else 0


def thinned(kept: list[Kept], count: int) -> list[Kept]:
    """At most `count` networks, evenly over the logarithm of EBOPs."""
    kept = sorted(kept, key=lambda k: k[1])
    if len(kept) <= count:
        return kept
    logs = np.log([max(k[1], 1.0) for k in kept])
    wanted = np.linspace(logs[0], logs[-1], count)
    return [kept[i] for i in sorted({int(np.abs(logs - w).argmin()) for w in wanted})]


def wide() -> dict[str, float]:
    model = network(1024, [64], 10, 1e-6)
    layer = first_layer(model)
    return {"zeros": float(np.mean(keras.ops.convert_to_numpy(layer.qkernel) == 0))}


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    commands: dict[str, Callable[..., Mapping[str, object]]] = {
        "speed": speed,
        "calibrate": calibrate,
        "front": front,
        "wide": wide,
    }
    sys.stdout.write(json.dumps(commands[command](*arguments)) + "\n")
