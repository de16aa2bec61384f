"""Whole epochs as one compiled TensorFlow call: data resident, rows gathered by an index that the caller shuffles.

Weights and bitwidths have an Adam of their own each, so that the price of a bit keeps its meaning whatever the weights' step is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwq.train.backend import keras, tf
from hwq.train.config import PRICES, TrainConfig
from hwq.train.layers import bit_variables, total_costs, total_l1


def _loss(labels: Any, scores: Any) -> Any:
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=scores))


@dataclass(slots=True)
class Loop:
    """A model with its optimisers and compiled epoch; `quantised` decides whether bits are trained and priced."""

    model: Any
    config: TrainConfig
    x: Any
    y: Any
    quantised: bool
    weights_optimizer: Any = None
    bits_optimizer: Any = None
    prices: Mapping[str, float] | None = None
    _epoch: Any = None
    _compiled_step: Any = None
    _validate: Any = None

    def __post_init__(self) -> None:
        self.x, self.y = tf.constant(self.x), tf.constant(self.y)
        bits = bit_variables(self.model) if self.quantised else []
        self.bits = bits
        taken = {id(v) for v in bits}
        self.weights = [v for v in self.model.trainable_variables if id(v) not in taken]
        self.weights_optimizer = keras.optimizers.Adam(self.config.learning_rate)
        self.weights_optimizer.build(self.weights)
        self.bits_optimizer = keras.optimizers.Adam(self.config.bits_learning_rate)
        self.bits_optimizer.build(bits)
        self._epoch = tf.function(self._run_epoch)
        self._compiled_step = tf.function(self._step, jit_compile=True)

    bits: Any = None
    weights: Any = None

    def variables(self) -> list[Any]:
        """Everything that a checkpoint holds, in a fixed order."""
        return [*self.model.variables, *self.weights_optimizer.variables, *self.bits_optimizer.variables]

    def epoch(self, order: np.ndarray, beta: float) -> float:
        """Train over the rows in `order`, (steps, batch); the mean loss."""
        return float(self._epoch(tf.constant(order), tf.constant(beta, tf.float32)))

    def validate(self, x: Any, y: Any) -> tuple[float, float]:
        """(accuracy on these rows, EBOPs as declared by the bitwidths), compiled on the first call."""
        if self._validate is None:
            self._validate = tf.function(self._run_validation)
        hits, ebops = self._validate(tf.constant(x), tf.constant(y))
        return float(hits) / len(y), float(ebops)

    def _run_validation(self, x: Any, y: Any) -> tuple[Any, Any]:
        right = tf.equal(tf.argmax(self.model(x, training=False), axis=-1), y)
        ebops = total_costs(self.model)["ebops"] if self.quantised else tf.constant(0.0)
        return tf.reduce_sum(tf.cast(right, tf.int64)), ebops

    def _run_epoch(self, order: Any, beta: Any) -> Any:
        total = tf.constant(0.0)
        for step in tf.range(tf.shape(order)[0]):
            rows = tf.gather(order, step)
            total += self._compiled_step(tf.gather(self.x, rows), tf.gather(self.y, rows), beta)
        return total / tf.cast(tf.shape(order)[0], tf.float32)

    def _step(self, x: Any, y: Any, beta: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = _loss(y, self.model(x, training=True))
            if self.quantised:
                loss += beta * self._price() + self.config.l1 * total_l1(self.model)
        trained = [v.value for v in [*self.weights, *self.bits]]
        gradients = tape.gradient(loss, trained)
        gradients = [tf.zeros_like(v) if g is None else g for v, g in zip(trained, gradients, strict=True)]
        self.weights_optimizer.apply(gradients[: len(self.weights)], self.weights)
        if self.bits:
            self.bits_optimizer.apply(gradients[len(self.weights) :], self.bits)
        return loss

    def _price(self) -> Any:
        costs = total_costs(self.model)
        if self.prices:
            priced = tf.add_n([self.prices.get(name, 0.0) * costs[name] for name in PRICES])
        else:
            priced = costs["ebops"]
        return priced + self.config.gamma * (costs["weight_bits"] + costs["activation_bits"])


def batches(rows: int, batch: int, seed: int, epoch: int) -> np.ndarray:
    """A shuffled index of shape (steps, batch) that depends on nothing but seed and epoch; rows that fill no batch wait for another epoch."""
    order = np.random.default_rng([seed, epoch]).permutation(rows).astype(np.int32)
    batch = min(batch, rows)
    return order[: rows // batch * batch].reshape(-1, batch)


def accuracy(scores: np.ndarray, labels: np.ndarray) -> float:
    """Share of rows whose highest score is at the label."""
    return float((scores.argmax(axis=1) == labels).mean())
