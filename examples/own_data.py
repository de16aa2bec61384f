"""Your own data and your own Keras model, from the folder that holds this file:

hwq train own_data:rows --model own_data:network --out runs/own
hwq synth runs/own --board pynq-z2 --point all
hwq report runs/own --html runs/own/report.html
"""

from __future__ import annotations

import keras
import numpy as np


def rows() -> tuple[np.ndarray, np.ndarray]:
    """1 500 points of three rings with some noise: (rows, 2) features and class numbers."""
    rng = np.random.default_rng(0)
    labels = np.arange(1500) % 3
    radius = labels + 1 + 0.18 * rng.normal(size=1500)
    angle = rng.uniform(0, 2 * np.pi, 1500)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), labels


def network() -> keras.Model:
    """A small network with batch normalisation and a skip connection."""
    x = keras.Input((2,))
    h = keras.layers.Dense(16)(x)
    h = keras.layers.ReLU()(keras.layers.BatchNormalization()(h))
    skip = keras.layers.Dense(16, activation="relu")(h)
    return keras.Model(x, keras.layers.Dense(3)(keras.layers.Add()([h, skip])))
