"""Measured prices while training: every few epochs the network is read as a design, and its layers are priced anew.

The unit of the prices stays that of EBOPs: they are scaled once, so that the first network costs what its EBOPs are, which keeps the
meaning of beta.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hwq.cost.layers import layer_bits
from hwq.cost.prices import Prices, linear_cost, prices_from, within
from hwq.errors import TrainingError
from hwq.frontend.keras import from_keras
from hwq.train import freeze
from hwq.train.backend import ops
from hwq.train.config import TrainConfig
from hwq.train.control import Control
from hwq.train.engine import Engine, State
from hwq.train.layers import COSTS, layer_costs

REFRESHES = 12  # over the trunk
ROWS = 1024  # that activation ranges are read from


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
    x: Any
    names: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.names = [name for name, _ in layer_costs(self.engine.model)]

    def due(self, control: Control, epoch: int, total: int) -> bool:
        """Whether prices are missing, or were found some epochs ago."""
        return not control.prices or (epoch > 0 and epoch % max(1, total // REFRESHES) == 0)

    def refresh(self, state: State, control: Control) -> None:
        """Price every network of the population anew, within a trust region around its prices so far.

        Raises:
            TrainingError: the first network costs nothing.
        """
        old = control.prices if len(control.prices) == state.size else [None] * state.size
        control.prices = [within(before, self._prices(state, member)) for member, before in enumerate(old)]
        if control.scale is None:
            costs = {name: {k: float(ops.convert_to_numpy(v)) for k, v in cost.items()} for name, cost in self._costs(state)}
            priced = linear_cost(control.prices[0], costs)
            if priced <= 0:
                raise TrainingError("the measured prices are all zero", hint="measure more designs: hwq calibrate")
            control.scale = sum(cost["ebops"] for cost in costs.values()) / priced

    def table(self, control: Control) -> np.ndarray:
        """(networks, layers, costs): prices in the unit of EBOPs, in the order in which the engine wants them."""
        return np.array([self._rows(prices, control.scale or 1.0) for prices in control.prices], np.float32)

    def _rows(self, prices: Mapping[str, Mapping[str, float]], scale: float) -> list[list[float]]:
        """A layer that is no matrix pays for its EBOPs, as much as others do on average."""
        mean = float(np.mean([p["ebops"] for p in prices.values()])) if prices else 1.0
        other = {"ebops": mean}
        return [[scale * prices.get(name, other).get(cost, 0.0) for cost in COSTS] for name in self.names]

    def _prices(self, state: State, member: int) -> Prices:
        self.engine.assign(state, member)
        exact = freeze.freeze(self.engine.model, np.asarray(self.x[:ROWS]), self.config.range_margin, "float32")
        return prices_from(self.config.prices, layer_bits(from_keras(exact)[0]))

    def _costs(self, state: State) -> list[tuple[str, dict[str, Any]]]:
        self.engine.assign(state, 0)
        return layer_costs(self.engine.model)
