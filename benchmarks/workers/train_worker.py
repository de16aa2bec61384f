"""hwq's side, and plain Keras', of the train benchmark: one measurement a process, one JSON object on standard output.

train_worker.py speed PATH BATCH STEPS          PATH: plain, fast or fit; CPU ms a step, CPU s of the first epoch, peak memory
train_worker.py calibrate ROWS                  CPU seconds of tracing the ranges of a trained network
train_worker.py population BATCH EPOCHS         CPU seconds of one run, and of one that ends in a front of 8
train_worker.py front DATA SEED OPTIONS.json    one run: (exact EBOPs, test accuracy) of its front
train_worker.py margins DATA SEED EPOCHS        rows of the test set that overflow, and bits of a row, at each range margin
train_worker.py wide                            zeros and accuracy of a converted layer of 1 024 inputs
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hwq.backend import keras
from hwq.conversion import convert, freeze
from hwq.data import load
from hwq.layers import QDense
from hwq.train import trainer
from hwq.train.config import TrainConfig
from hwq.train.engine import Engine, Rates, batches, stack

HIDDEN = (64, 32, 32)
MARGINS = (1.0, 1.0625, 1.125, 1.25, 1.5, 2.0)


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def rows(count: int, inputs: int = 16, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the shape of jet tagging; what is in them does not change how long a step takes."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, inputs)).astype(np.float32)
    return x, (x @ rng.normal(size=(inputs, classes))).argmax(1).astype(np.int64)


def network(inputs: int = 16, classes: int = 5) -> Any:
    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(units, activation="relu") for units in HIDDEN]
    return keras.Sequential([keras.Input((inputs,)), *hidden, keras.layers.Dense(classes)])


def speed(path: str, batch: str, steps: str) -> dict[str, float]:
    size = int(batch)
    x, y = rows(size * 5)
    model = network()
    if path != "plain":
        model, _ = convert.quantize_model(model)
        freeze.initialise(model, x[:4096])
    begin = cpu()
    if path == "fast":
        engine = Engine(model, TrainConfig(), x, y, quantized=True)
        state = engine.start()

        def epoch(number: int) -> None:
            nonlocal state
            state, _ = engine.epoch(state, batches(len(x), size, 0, number), [1e-6])
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        if path == "fit":
            model.price(1e-6, 1.0, 1e-4)
        model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"], jit_compile=False if path == "fit" else "auto")

        def epoch(number: int) -> None:
            model.fit(x, y, batch_size=size, epochs=1, verbose=0)

    epoch(0)
    first = cpu() - begin
    epoch(1)
    begin, number = cpu(), 2
    while (number - 2) * 5 < int(steps):
        epoch(number)
        number += 1
    step = (cpu() - begin) / ((number - 2) * 5) * 1e3
    return {"first_epoch_s": first, "step_ms": step, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def calibrate(count: str) -> dict[str, float]:
    x, _ = rows(int(count))
    model, _ = convert.quantize_model(network())
    freeze.initialise(model, x[:4096])
    exact = freeze.freeze(model, x[:4096], 1.125)
    begin = cpu()
    freeze.calibrate(exact, x, 1.125)
    return {"calibrate_s": cpu() - begin}


def population(batch: str, epochs: str) -> dict[str, float]:
    size, wanted = int(batch), int(epochs)
    x, y = rows(size * 18)
    model, _ = convert.quantize_model(network())
    freeze.initialise(model, x[:4096])
    config = TrainConfig(epochs=wanted, batch_size=size)
    times = []
    for trunk, settle in ((wanted, 0), (config.trunk_epochs, config.settle_epochs)):
        begin = cpu()
        engine = Engine(model, config, x, y, quantized=True)
        state = engine.start()
        for epoch in range(trunk):
            state, _ = engine.epoch(state, batches(len(x), size, 0, epoch), [1e-5])
        if settle:
            state = stack([state] * config.population)
            betas = np.geomspace(1e-5, 1e-3, config.population).tolist()
            for epoch in range(settle):
                state, _ = engine.epoch(state, batches(len(x), size, 0, trunk + epoch), betas, Rates(0.5))
        times.append(cpu() - begin)
    return {"one_s": times[0], "front_s": times[1]}


def front(data: str, seed: str, options: str) -> dict[str, object]:
    dataset = load(data, seed=int(seed))
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        begin = cpu()
        trainer.train(dataset, TrainConfig(seed=int(seed), random_rows=16, **json.loads(options)), run)
        used = cpu() - begin
        found = [json.loads(path.read_text()) for path in sorted(run.glob("points/*/point.json"))]
    return {"points": [[p["ebops"], p["test_accuracy"], p["val_accuracy"]] for p in found], "cpu_s": used}


def margins(data: str, seed: str, epochs: str) -> dict[str, object]:
    """Against the same network with integer bits to spare: other outputs are an overflow's work."""
    dataset = load(data, seed=int(seed))
    x, y, held_out = (v.reshape(len(v), -1) if v.ndim > 2 else v for v in (dataset.x_train, dataset.y_train, dataset.x_test))
    keras.utils.set_random_seed(int(seed))
    hidden = [keras.layers.Dense(units, activation="relu") for units in (64, 32)]
    model, _ = convert.quantize_model(
        keras.Sequential([keras.Input((x.shape[1],)), *hidden, keras.layers.Dense(dataset.n_classes)])
    )
    freeze.initialise(model, x[:4096])
    engine = Engine(model, TrainConfig(), x, y, quantized=True)
    state = engine.start()
    for epoch in range(int(epochs)):
        state, _ = engine.epoch(state, batches(len(x), 64, int(seed), epoch), [3e-6])
    engine.assign(state)
    roomy = freeze.logits(freeze.freeze(model, x, 64.0), held_out)
    found: dict[str, object] = {}
    for margin in MARGINS:
        exact = freeze.freeze(model, x, margin)
        scores = freeze.logits(exact, held_out)
        bits = sum(
            float(np.sum(np.asarray(q.high) > 0) and np.log2(np.asarray(q.high) + 1).sum()) for q in freeze.quantizers(exact)
        )
        found[str(margin)] = {
            "overflow": float((scores != roomy).any(axis=1).mean()),
            "accuracy": float((scores.argmax(1) == dataset.y_test).mean()),
            "bits": bits,
        }
    return found


def wide() -> dict[str, float]:
    x, y = rows(2000, 1024, 10)
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((1024,)), keras.layers.Dense(64, activation="relu"), keras.layers.Dense(10)])
    twin = convert.quantize(model, data=x)
    (dense, _) = (layer for layer in twin.layers if isinstance(layer, QDense))
    zeros = float(np.mean(np.asarray(dense.quantized(*dense.folded())[0]) == 0))
    twin.price(1e-7)
    twin.compile(keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    history = twin.fit(x, y, batch_size=64, epochs=5, verbose=0).history
    return {"zeros": zeros, "first_accuracy": history["accuracy"][0], "last_accuracy": history["accuracy"][-1]}


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    commands: dict[str, Callable[..., dict[str, Any]]] = {
        "speed": speed,
        "calibrate": calibrate,
        "population": population,
        "front": front,
        "margins": margins,
        "wide": wide,
    }
    sys.stdout.write(json.dumps(commands[command](*arguments)) + "\n")
