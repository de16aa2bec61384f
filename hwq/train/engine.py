"""Whole epochs as one compiled call, for one network or for a population of them side by side.

All trained numbers of a network lie in one flat vector, and Adam works on that: few operations, so that compiling is quick and
a small batch is not slower than its arithmetic. Weights and bitwidths have steps of their own, so that the price of a bit keeps
its meaning whatever the weights' step is. A population is the same code mapped over a leading axis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hwq.backend import keras, ops, tf
from hwq.conversion.freeze import Freezer
from hwq.data.task import CLASSES, Task
from hwq.ir import Graph
from hwq.layers import (
    COSTS,
    KernelLayer,
    Part,
    bit_variables,
    penalised_variables,
    priced,
    priced_by_layer,
    quantized_layers,
    total_costs,
)
from hwq.tensors import Floats, Integers, Operand, Singles, Tensor, Variable
from hwq.train.config import FIXED_WIDTH, TrainConfig
from hwq.train.losses import Loss, loss_of

MOMENTS = (0.9, 0.999, 1e-7)  # Adam: decay of the mean, decay of the square, and the floor of its root
AVERAGED = 100.0  # steps that the running average of the parameters goes back, about


Tensors = tuple[Tensor, ...]
Member = tuple[Tensor, Tensors, Tensor, Tensor, Tensor]  # one network: params, others, mean, square, and its beta or its loss
Trained = Callable[["EngineState", Operand, Operand, Tensor, Tensor, Tensor], "tuple[EngineState, Tensor]"]
Validated = Callable[[Tensor, Tensors, Operand, Operand], tuple[Tensor, dict[str, Tensor]]]


@dataclass(frozen=True, slots=True)
class Rates:
    """How one epoch is trained.

    Attributes:
        weights: factor on the learning rates of the configuration.
        bits: factor on those of the bitwidths, beside it.
        l1: price of absolute weights, a multiple of beta; None: that of the configuration.
    """

    weights: float = 1.0
    bits: float = 1.0
    l1: float | None = None


AS_CONFIGURED = Rates()


class Batch(NamedTuple):
    """Rows of one step with their labels; weights None: all count the same."""

    x: Tensor
    y: Tensor
    weights: Tensor | None


class EngineState(NamedTuple):
    """A population of K networks while they train.

    Attributes:
        params: (K, P), weights, then bitwidths.
        others: what is kept but not trained, such as running ranges; each (K, ...).
        mean, square: (K, P), Adam's moments.
        step: optimiser steps so far, a scalar.
        average: (K, P), running average of params: what they oscillate about.
    """

    params: Tensor
    others: Tensors
    mean: Tensor
    square: Tensor
    step: Tensor
    average: Tensor

    @property
    def size(self) -> int:
        return int(self.params.shape[0])

    @property
    def averaged(self) -> EngineState:
        """The same with the average in the place of the parameters."""
        return self._replace(params=self.average)

    @classmethod
    def begin(cls, params: Tensor, others: Tensors) -> EngineState:
        """Adam and the average at their start."""
        return cls(params, others, tf.zeros_like(params), tf.zeros_like(params), tf.constant(0.0), tf.identity(params))


@dataclass(slots=True)
class Engine:
    """A model with data and compiled epochs; `quantized` decides whether bits are trained and priced.

    Args:
        x, y: all training rows and their labels; they stay in memory as they are.
        prices: of one unit of each cost (`hwq.cost.prices`); None: EBOPs.
        task: what the labels are, and the metric.
        weights: of each row in the loss, (rows,); None: all count the same.
    """

    model: keras.Model
    config: TrainConfig
    x: Operand
    y: Operand
    quantized: bool
    prices: Mapping[str, float] | None = None
    task: Task = CLASSES
    weights: Singles | None = None
    params: list[Variable] = field(default_factory=list)
    others: list[Variable] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    _loss: Loss = field(init=False)
    _weights: Tensor | None = field(init=False)
    _steps: Tensor = field(init=False)
    _bits: Tensor = field(init=False)  # 1 where a parameter is a bitwidth
    _penalised: Tensor = field(init=False)
    _blended: list[tuple[int, KernelLayer]] = field(default_factory=list)  # place of a kernel in params, and its layer
    _epoch: Trained = field(init=False)
    _validate: Validated = field(init=False)
    _freezer: Freezer | None = None

    def __post_init__(self) -> None:
        self.x, self.y = tf.constant(self.x), tf.constant(self.y)
        self._loss = loss_of(self.task, self.config.loss)
        self._weights = None if self.weights is None else tf.constant(self.weights)
        bits = bit_variables(self.model) if self.quantized else []
        taken = {id(v) for v in bits}
        self.params = [v for v in self.model.trainable_variables if id(v) not in taken] + bits
        self.others = [v for v in self.model.variables if not v.trainable]
        self.sizes = [int(np.prod(v.shape)) for v in self.params]
        bits_rate = 0.0 if self.config.method in FIXED_WIDTH else self.config.bits_learning_rate
        rates = [bits_rate if id(v) in taken else self.config.rate for v in self.params]
        self._steps = tf.constant(np.repeat(rates, self.sizes).astype(np.float32))
        self._bits = tf.constant(np.repeat([float(id(v) in taken) for v in self.params], self.sizes).astype(np.float32))
        pressed = {id(v) for v in penalised_variables(self.model)} if self.quantized else set()
        self._penalised = tf.constant(np.repeat([float(id(v) in pressed) for v in self.params], self.sizes).astype(np.float32))
        if self.quantized and self.config.method == "shift" and self.config.blend:
            places = {id(v): i for i, v in enumerate(self.params)}
            self._blended = [(places[id(layer.kernel)], layer) for layer in kernel_layers(self.model) if id(layer.kernel) in places]
        self._epoch = tf.function(self._run_epoch, jit_compile=True, autograph=False)
        self._validate = tf.function(self._run_validation, autograph=False)

    def start(self) -> EngineState:
        """The model as it is, as a population of one; Adam begins anew."""
        params = tf.concat([tf.reshape(v.value, (1, -1)) for v in self.params], 1)
        others = tuple(tf.identity(v.value)[None] for v in self.others)
        return EngineState.begin(params, others)

    def assign(self, state: EngineState, member: int = 0) -> None:
        """Write one network of the population into the model."""
        for variable, value in zip(self.params, self._split(state.params[member]), strict=True):
            variable.assign(value)
        for variable, value in zip(self.others, state.others, strict=True):
            variable.assign(value[member])

    def graph(self, x: Floats | Singles) -> Graph:
        """The graph of the network that the model holds, with ranges from the first rows of `x`."""
        self._freezer = self._freezer or Freezer(self.model)
        return self._freezer.graph(x, self.config.range_margin)

    def epoch(
        self,
        state: EngineState,
        order: Integers,
        betas: Sequence[float],
        rates: Rates = AS_CONFIGURED,
        layer_prices: Singles | None = None,
    ) -> tuple[EngineState, Singles]:
        """Train over the rows in `order`, (steps, batch), each network at its own beta; the state after it and the K mean losses.

        `layer_prices`, (K, layers, costs), takes the place of `prices`: those of each
        network's own layers (`hwq.layers.priced_by_layer`).
        """
        each = np.asarray(betas, np.float32)
        if layer_prices is not None:  # beta first, and the prices behind it
            each = np.concatenate([each[:, None], layer_prices.reshape(len(each), -1).astype(np.float32)], axis=1)
        l1 = self.config.l1 if rates.l1 is None else rates.l1
        scalars = tf.constant([rates.weights, l1, rates.bits], tf.float32)
        after, losses = self._epoch(state, self.x, self.y, tf.constant(order), tf.constant(each), scalars)
        return after, ops.convert_to_numpy(losses)

    def with_variables(self, state: EngineState, values: Mapping[int, float]) -> EngineState:
        """The state with other values of untrained variables, the same in each network; by the variables' id."""
        others = (
            tf.broadcast_to(tf.cast(values[id(v)], v.dtype), old.shape) if id(v) in values else old
            for v, old in zip(self.others, state.others, strict=True)
        )
        return state._replace(others=tuple(others))

    def with_model(self, state: EngineState) -> EngineState:
        """The state of a population of one with the values that the model's variables have; Adam goes on."""
        now = self.start()
        return state._replace(params=now.params, others=now.others)

    def validate(self, state: EngineState, x: Singles, y: Integers) -> list[tuple[float, dict[str, float]]]:
        """(score of the task's metric on these rows, exact costs) of each network; accuracy is a score."""
        found = []
        for member in range(state.size):
            seen, costs = self._validate(state.params[member], tuple(v[member] for v in state.others), x, y)
            score = float(seen) / len(y) if self.task.plain else self._score(seen, y)
            found.append((score, {name: float(value) for name, value in costs.items()}))
        return found

    def _score(self, answers: Tensor, y: Integers | Singles) -> float:
        return self.task.score(self.task.value(np.asarray(ops.convert_to_numpy(answers), np.float64), np.asarray(y)))

    def soft_accuracy(self, state: EngineState, x: Singles, y: Integers) -> float:
        """Score on these rows of the first network as it computes while training."""
        with self._scope(state.params[0], [v[0] for v in state.others]):
            if not self.task.plain:
                return self._score(self.model(x, training=True), y)
            return float(tf.reduce_mean(tf.cast(tf.equal(tf.argmax(self.model(x, training=True), axis=-1), y), tf.float32)))

    def _split(self, params: Tensor) -> list[Tensor]:
        return [tf.reshape(part, v.shape) for part, v in zip(tf.split(params, self.sizes), self.params, strict=True)]

    def _scope(self, params: Tensor, others: Sequence[Tensor]) -> keras.StatelessScope:
        """Inside it, the model computes with these values instead of its variables."""
        trained = zip(self.params, self._split(params), strict=True)
        return keras.StatelessScope(state_mapping=[*trained, *zip(self.others, others, strict=True)])

    def _run_validation(self, params: Tensor, others: Tensors, x: Operand, y: Operand) -> tuple[Tensor, dict[str, Tensor]]:
        with self._scope(params, others):
            answers = self.model(x, training=False)
            costs = total_costs(self.model, exact=True) if self.quantized else {}
        if not self.task.plain:
            return answers, costs
        right = tf.equal(tf.argmax(answers, axis=-1), y)
        return tf.reduce_sum(tf.cast(right, tf.int64)), costs

    def _run_epoch(
        self, state: EngineState, x: Operand, y: Operand, order: Tensor, betas: Tensor, scalars: Tensor
    ) -> tuple[EngineState, Tensor]:
        steps = order.shape[0]

        def body(i: Tensor, state: EngineState, losses: Tensor) -> tuple[Operand, EngineState, Tensor]:
            rows = order[i]
            weights = None if self._weights is None else tf.gather(self._weights, rows)
            after, now = self._population_step(state, Batch(tf.gather(x, rows), tf.gather(y, rows), weights), betas, scalars)
            return i + 1, after, losses + now

        none = tf.zeros_like(betas if len(betas.shape) == 1 else betas[:, 0])
        start: tuple[Operand, EngineState, Tensor] = (0, state, none)
        _, after, losses = tf.while_loop(lambda i, *_: i < steps, body, start)
        return after, losses / steps

    def _population_step(self, state: EngineState, batch: Batch, betas: Tensor, scalars: Tensor) -> tuple[EngineState, Tensor]:
        step = state.step + 1.0

        def one(member: Member) -> Member:
            return self._step(member, step, scalars, batch)

        each: Member = (state.params, state.others, state.mean, state.square, betas)
        if betas.shape[0] == 1:
            found = tf.nest.map_structure(lambda v: v[None], one(tf.nest.map_structure(lambda v: v[0], each)))
        else:
            found = tf.vectorized_map(one, each)
        params, others, mean, square, losses = found
        return EngineState(params, others, mean, square, step, state.average + (params - state.average) / AVERAGED), losses

    def _step(self, member: Member, step: Tensor, scalars: Tensor, batch: Batch) -> Member:
        """One network after one step of Adam, with its loss in the place of its beta."""
        x, y, weights = batch
        params, others, mean, square, beta = member
        with tf.GradientTape() as tape:
            tape.watch(params)
            with self._scope(params, others) as scope:
                losses = self._loss(y, self.model(x, training=True))
                loss = tf.reduce_mean(losses if weights is None else losses * weights)
                if self.quantized:
                    loss += self._resources(beta)
                    loss += (beta[0] if len(beta.shape) else beta) * scalars[1] * tf.reduce_sum(tf.abs(params * self._penalised))
        kept = tuple(_else(scope.get_current_value(v), old) for v, old in zip(self.others, others, strict=True))
        gradient = tape.gradient(loss, params)
        decay, decay_square, floor = MOMENTS
        mean = mean + (gradient - mean) * (1 - decay)
        square = square + (gradient * gradient - square) * (1 - decay_square)
        scale = scalars[0] * tf.sqrt(1 - decay_square**step) / (1 - decay**step)
        steps = self._steps * (1.0 + self._bits * (scalars[2] - 1.0))
        after = self._blend(params, others) - steps * scale * mean / (tf.sqrt(square) + floor)
        if self.quantized and self.config.method == "prune":  # what is pruned stays so: a weight that is trained is never just 0
            after = tf.where(tf.equal(params, 0.0) & (self._penalised > 0), 0.0, after)
        return after, kept, mean, square, loss

    def _resources(self, beta: Tensor) -> Tensor:
        """The resource term of the loss, at a beta that may have the prices of the layers behind it."""
        if not len(beta.shape):
            return beta * priced(total_costs(self.model), self.prices, self.config.gamma)
        return beta[0] * priced_by_layer(self.model, tf.reshape(beta[1:], (-1, len(COSTS))), self.config.gamma)

    def _blend(self, params: Tensor, others: Sequence[Tensor]) -> Tensor:
        """(1 - rho) w + rho Q(w) for kernels on powers of two (Yin et al., blended coarse gradient descent, arXiv 1808.05240)."""
        if not self._blended:
            return params
        parts = self._split(params)
        with self._scope(params, others):
            for place, layer in self._blended:
                parts[place] = parts[place] + self.config.blend * (layer.projected_kernel() - parts[place])
        return tf.concat([tf.reshape(part, (-1,)) for part in parts], 0)


def kernel_layers(model: keras.Model) -> list[KernelLayer]:
    """The layers with a kernel, those inside others included."""

    def below(part: Part) -> list[KernelLayer]:
        return [*([part] if isinstance(part, KernelLayer) else []), *(one for inner in part.parts() for one in below(inner))]

    return [one for layer in quantized_layers(model) for one in below(layer)]


def _else(value: Tensor | None, fallback: Tensor) -> Tensor:
    return fallback if value is None else tf.convert_to_tensor(value)


def stack(states: Sequence[EngineState]) -> EngineState:
    """Several populations as one, Adam begun anew."""
    params = tf.concat([s.params for s in states], 0)
    others = tuple(tf.concat(parts, 0) for parts in zip(*(s.others for s in states), strict=True))
    return EngineState.begin(params, others)


def batches(rows: int, batch: int, seed: int, epoch: int) -> npt.NDArray[np.int32]:
    """A shuffled index of shape (steps, batch) that depends on nothing but seed and epoch; rows that fill no batch wait for another epoch."""
    order = np.random.default_rng([seed, epoch]).permutation(rows).astype(np.int32)
    batch = min(batch, rows)
    return order[: rows // batch * batch].reshape(-1, batch)


def accuracy(scores: Floats | Singles, labels: Integers) -> float:
    """Share of rows whose highest score is at the label."""
    return float((scores.argmax(axis=1) == labels).mean())
