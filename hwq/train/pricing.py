"""Measured prices while training: every few epochs the network is read as a design, and its layers are priced anew.

The unit of the prices stays that of EBOPs: they are scaled once, so that the first network costs what its EBOPs are, which keeps the
meaning of beta.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hwq.backend import ops
from hwq.cost.layer_bits import layer_bits
from hwq.cost.prices import Prices, linear_cost, prices_from, within
from hwq.errors import TrainingError
from hwq.layers import COSTS, Part, layer_costs, quantized_layers
from hwq.tensors import Singles, Tensor
from hwq.train.config import TrainConfig
from hwq.train.control import Control
from hwq.train.engine import Engine, EngineState

REFRESHES = 12  # over the trunk


@dataclass(slots=True)
class Pricing:
    """The prices of the layers of every network of a population, kept in its `Control`.

    Args:
        engine: whose model is priced.
        config: its `prices` are the coefficients of a cost model of the moment "training".
        x: training rows.
    """

    engine: Engine
    config: TrainConfig
    x: Singles
    layers: list[Part] = field(init=False)

    def __post_init__(self) -> None:
        self.layers = quantized_layers(self.engine.model)

    def due(self, control: Control, epoch: int, total: int) -> bool:
        """Whether prices are missing, or were found some epochs ago."""
        return not control.prices or (epoch > 0 and epoch % max(1, total // REFRESHES) == 0)

    def refresh(self, state: EngineState, control: Control) -> None:
        """Price every network of the population anew, within a trust region around its prices so far.

        Raises:
            TrainingError: the first network costs nothing.
        """
        old = control.prices if len(control.prices) == state.size else [None] * state.size
        control.prices = [within(before, self._prices(state, member)) for member, before in enumerate(old)]
        if control.scale is None:
            costs = {name: {k: float(ops.convert_to_numpy(v)) for k, v in cost.items()} for name, cost in self._costs(state)}
            priced = linear_cost(self._every(control.prices[0]), costs)
            if priced <= 0:
                raise TrainingError("the measured prices are all zero", hint="measure more designs: hwq calibrate")
            control.scale = sum(cost["ebops"] for cost in costs.values()) / priced

    def table(self, control: Control) -> Singles:
        """(networks, layers, costs): prices in the unit of EBOPs, in the order in which the engine wants them."""
        return np.array([self._rows(prices, control.scale or 1.0) for prices in control.prices], np.float32)

    def _rows(self, prices: Prices, scale: float) -> list[list[float]]:
        every = self._every(prices)
        return [[scale * every[layer.name].get(cost, 0.0) for cost in COSTS] for layer in self.layers]

    def _every(self, prices: Prices) -> Prices:
        """With the layers that are no matrix: they pay what the model says of their kind (`Part.priced_as`), which does not move.

        EBOPs that the model does not know, or has never seen, cost as much as those of matrices do on average.
        """
        mean = float(np.mean([p["ebops"] for p in prices.values()])) if prices else 1.0
        every = dict(prices)
        for layer in self.layers:
            if layer.name not in prices:
                known = {cost: units * self.config.prices.get(feature, 0.0) for cost, (feature, units) in layer.priced_as.items()}
                every[layer.name] = {"ebops": mean} | {cost: price for cost, price in known.items() if price}
        return every

    def _prices(self, state: EngineState, member: int) -> Prices:
        self.engine.assign(state, member)
        graph = self.engine.graph(self.x)
        return prices_from(self.config.prices, layer_bits(graph))

    def _costs(self, state: EngineState) -> list[tuple[str, dict[str, Tensor]]]:
        self.engine.assign(state, 0)
        return layer_costs(self.engine.model)
