"""What each method does between the epochs: the slope of a soft quantiser, widths that are held, weights that are pruned.

A recipe is the configuration's and nothing else: it keeps no state of its own, so that a resumed run does as one that was never killed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwq.backend import keras, ops
from hwq.conversion.config import QuantizeConfig
from hwq.conversion.freeze import quantizers
from hwq.errors import UsageError
from hwq.layers import KernelLayer
from hwq.train.config import PRUNED_BY, TrainConfig
from hwq.train.engine import Engine, EngineState, kernel_layers

RAMP = 0.6  # share of the trunk in which the price of absolute weights rises (shift)
PRUNED_FROM = 0.1  # share of the trunk before pruning begins
BIAS_BITS = 8  # least width of a bias beside weights of a given width: one addition, whatever its width


@dataclass(frozen=True, slots=True)
class Recipe:
    """High Granularity Quantization: bits are parameters like others, and nothing is done between epochs.

    Epochs are counted from 0 over trunk and settling.
    """

    config: TrainConfig
    averages: ClassVar[bool] = True  # whether the running average of a network's parameters is a network of the method

    def conversion(self) -> QuantizeConfig:
        """How the float network becomes its twin."""
        return QuantizeConfig(bits=self.config.initial_bits, overflow=self.config.overflow)

    def check(self, model: keras.Model) -> None:
        """Refuse a network that the method's settings do not fit.

        Raises:
            UsageError: they do not.
        """

    def before(self, engine: Engine, state: EngineState, epoch: int) -> EngineState:
        """The state with which an epoch begins."""
        return state

    def l1(self, epoch: int) -> float:
        """Price of the absolute weights in an epoch."""
        return self.config.l1


@dataclass(frozen=True, slots=True)
class Shift(Recipe):
    """Sums of powers of two: soft at first, at a slope that rises geometrically, then hard."""

    def conversion(self) -> QuantizeConfig:
        return QuantizeConfig(
            bits=self.config.initial_bits,
            overflow=self.config.overflow,
            weight_terms=self.config.terms,
            weight_levels=self.config.levels,
            activations=self.config.activations,
        )

    def slope(self, epoch: int) -> float:
        """0, for hard, from the end of the annealing on."""
        last = self.config.warm_epochs
        if epoch >= last:
            return 0.0
        start, end = self.config.slope_start, self.config.slope_end
        return float(start * (end / start) ** (epoch / max(last - 1, 1)))

    def before(self, engine: Engine, state: EngineState, epoch: int) -> EngineState:
        slope = self.slope(epoch)
        return engine.with_variables(state, {id(layer.slope): slope for layer in kernel_layers(engine.model)})

    def l1(self, epoch: int) -> float:
        return self.config.l1 * min(1.0, (epoch + 1) / max(RAMP * self.config.trunk_epochs, 1))


@dataclass(frozen=True, slots=True)
class Uniform(Recipe):
    """One width for all, or given ones: steps follow the largest weight of each output channel and the range of each layer's input."""

    averages = False  # its widths are given, and what is pruned is zero in no average

    def conversion(self) -> QuantizeConfig:
        return QuantizeConfig(
            bits=self.config.bits, overflow=self.config.overflow, weight_granularity="channel", granularity="tensor"
        )

    def check(self, model: keras.Model) -> None:
        self.given(model)

    def before(self, engine: Engine, state: EngineState, epoch: int) -> EngineState:
        engine.assign(state)
        reads = {}
        for layer, (weights, inputs) in self.given(engine.model):
            layer.hold_width(np.asarray(weights), max(int(np.max(weights)), BIAS_BITS))
            reads[id(layer.quantizer)] = inputs
        for quantizer in quantizers(engine.model):
            bits = reads.get(id(quantizer), self.config.bits)
            if epoch:
                quantizer.f.assign(bits - np.ceil(ops.convert_to_numpy(quantizer.integer)))
            else:  # before the first epoch nothing has been tracked, and the ranges are those of all training rows
                quantizer.f.assign(ops.convert_to_numpy(quantizer.f) + bits - self.config.bits)
        return engine.with_model(state)

    def given(self, model: keras.Model) -> list[tuple[KernelLayer, tuple[int | Sequence[int], int]]]:
        """Every layer with a kernel, and the bits of its weights and of what it reads.

        Raises:
            UsageError: widths for a layer, or for channels, that the network does not have.
        """
        layers, widths = kernel_layers(model), self.config.widths
        unknown = sorted(widths.keys() - {layer.name for layer in layers})
        if unknown:
            raise UsageError(f"there are widths for {unknown[0]}, which is no layer of the network", hint=_names(layers))
        found = [(layer, widths.get(layer.name, (self.config.bits, self.config.bits))) for layer in layers]
        for layer, (weights, _) in found:
            if np.size(weights) not in (1, layer.kernel_f.shape[-1]):
                raise UsageError(f"{layer.name} has {layer.kernel_f.shape[-1]} channels, not {np.size(weights)}")
        return found

    def l1(self, epoch: int) -> float:
        return 0.0


@dataclass(frozen=True, slots=True)
class Prune(Uniform):
    """Uniform width, and the smallest weights of the network set to zero, more and more of them on a cubic schedule.

    Hawks et al., "Ps and Qs", arXiv 2102.11289; the schedule is that of Zhu and Gupta, arXiv 1710.01878.
    """

    def sparsity(self, epoch: int) -> float:
        first, last = PRUNED_FROM * self.config.trunk_epochs, int(PRUNED_BY * self.config.trunk_epochs)
        share = min(max((epoch + 1 - first) / max(last - first, 1e-9), 0.0), 1.0)
        return float(self.config.sparsity * (1 - (1 - share) ** 3))

    def before(self, engine: Engine, state: EngineState, epoch: int) -> EngineState:
        engine.assign(state)
        kernels = [v for layer in kernel_layers(engine.model) for v in layer.kernels()]
        values = [ops.convert_to_numpy(v) for v in kernels]
        magnitudes = np.concatenate([np.abs(v).ravel() for v in values])
        count = math.ceil(self.sparsity(epoch) * len(magnitudes))
        if count:
            threshold = np.partition(magnitudes, count - 1)[count - 1]
            for variable, value in zip(kernels, values, strict=True):
                variable.assign(np.where(np.abs(value) <= threshold, 0, value))
        return super(Prune, self).before(engine, engine.with_model(state), epoch)


def _names(layers: list[KernelLayer]) -> str:
    return "its layers: " + ", ".join(layer.name for layer in layers)


def recipe_of(config: TrainConfig) -> Recipe:
    """The recipe of the configuration's method."""
    kinds: dict[str, type[Recipe]] = {"hgq": Recipe, "shift": Shift, "uniform": Uniform, "prune": Prune}
    return kinds[config.method](config)
