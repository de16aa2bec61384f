"""What steers beta, the price of a bit operation: a schedule, or a budget that it is driven to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from hwq.cost.prices import Prices
from hwq.train.config import TrainConfig

GAIN, STRIDE = 1.0, 0.5  # of the logarithmic error that beta takes up in an epoch, and beta's greatest change, as a logarithm
ROOM = 0.94  # of a budget is steered for: ranges that are traced at the end need some bits more than the running ones
LEAD_GAIN, LEAD_STRIDE = 0.3, 0.15  # the same where a network is near its budget already


class Steering(TypedDict, total=False):
    """What a checkpoint keeps of a `Control`, and of `hwq.train.approach` (scale, ratios and firsts of its members)."""

    betas: list[float]
    first_cost: float | None
    epoch: int
    prices: list[Prices]
    scale: float | None
    ratios: list[float]
    firsts: list[float]


@dataclass(slots=True)
class Control:
    """The beta of every network of a population, epoch by epoch.

    Without a budget, beta follows the configuration's schedule while there is one network, and then stays. With one, it rises
    where a network costs more than the way from its first cost to the budget allows, and falls where it costs less.
    """

    config: TrainConfig
    betas: list[float]
    first_cost: float | None = None
    epoch: int = 0
    prices: list[Prices] = field(default_factory=list)  # of every network's layers, where they are measured ones
    scale: float | None = None  # EBOPs that one unit of these is worth: that of the first network
    ratios: list[float] = field(default_factory=list)  # each network's LUTs as compiled over those that its bits say; none: 1

    @classmethod
    def start(cls, config: TrainConfig, size: int) -> Control:
        return cls(config, [config.beta(0)] * size)

    @classmethod
    def at(cls, config: TrainConfig, betas: Sequence[float]) -> Control:
        return cls(config, list(betas))

    @classmethod
    def load(cls, config: TrainConfig, saved: Steering) -> Control:
        prices, scale, ratios = saved.get("prices", []), saved.get("scale"), saved.get("ratios", [])
        return cls(config, list(saved["betas"]), saved["first_cost"], saved["epoch"], prices, scale, ratios)

    def to_json(self) -> Steering:
        content: Steering = {"betas": self.betas, "first_cost": self.first_cost, "epoch": self.epoch}
        if self.prices:
            content["prices"], content["scale"] = self.prices, self.scale
        if self.ratios:
            content["ratios"] = self.ratios
        return content

    def steer(self, costs: Sequence[Mapping[str, float]], epoch: int, phase: str) -> None:
        """Set the betas of the next epoch from what the networks cost after this one."""
        if not self.config.budget:
            if phase == "bits":
                self.betas = [self.config.beta(epoch + 1)] * len(self.betas)
            return
        ratios = self.ratios or [1.0] * len(costs)
        used = [ratio * self.config.budgeted(c) for ratio, c in zip(ratios, costs, strict=True)]
        if self.first_cost is None:
            self.first_cost = used[0]
        limit = ROOM * next(iter(self.config.budget.values()))
        share = 1.0 if phase != "bits" else min(1.0, (epoch + 1) / max(0.7 * self.config.trunk_epochs, 1))
        allowed = self.first_cost * (limit / self.first_cost) ** share if self.first_cost > limit else limit
        self.betas = [_next(beta, cost, allowed, GAIN, STRIDE) for beta, cost in zip(self.betas, used, strict=True)]

    def lead(self, member: int, cost: float, allowed: float) -> None:
        """Set one network's next beta from what it costs and what it may cost now."""
        self.betas[member] = _next(self.betas[member], cost, allowed, LEAD_GAIN, LEAD_STRIDE)


def _next(beta: float, cost: float, allowed: float, gain: float, stride: float) -> float:
    error = math.log(max(cost, 1e-9) / allowed)
    return beta * math.exp(max(-stride, min(stride, gain * error)))
