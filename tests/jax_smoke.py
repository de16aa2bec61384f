"""Run by test_layers_api.py in a process of its own, with KERAS_BACKEND=jax: convert, fit, freeze, and compare with the graph."""

from __future__ import annotations

import sys

import keras
import numpy as np

import hwq
from hwq.conversion import freeze
from hwq.frontend.keras import from_keras
from hwq.sim.reference import predict

layers = keras.layers
keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input((6, 6, 1)),
        layers.Conv2D(3, 3, activation="relu"),
        layers.BatchNormalization(),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(5, activation="tanh"),
        layers.Dense(2),
    ]
)
rng = np.random.default_rng(0)
x = rng.normal(size=(256, 6, 6, 1)).astype("float32")
y = (x.mean(axis=(1, 2, 3)) > 0).astype("int32")
twin = hwq.quantize(model, data=x)
before = np.asarray(twin.layers[1].kernel_f).copy()
twin.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
losses = twin.fit(x, y, batch_size=64, epochs=4, verbose=0).history["loss"]
exact = freeze.freeze(twin, x, 1.125)
rows = np.concatenate([x, rng.uniform(-16, 16, x.shape).astype("float32")])
same = np.array_equal(freeze.logits(exact, rows), predict(from_keras(exact)[0], rows))
moved = bool((np.asarray(twin.layers[1].kernel_f) != before).any())
sys.stdout.write(f"backend={keras.backend.backend()} fell={losses[-1] < losses[0]} moved={moved} same={same}\n")
