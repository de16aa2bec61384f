"""Prices for training: what a fitted model says of the network as it is, for each layer and each kind of bit.

Around a network, a layer's cost changes as e x (EBOPs + weight bits) + a x activation bits: an adder is one bit wider than the
product that it adds, and an input pays for its own relu and quantiser besides. e is what the model says the layer's adders cost,
shared terms taken off, for each of these bits; a is the model's price of a relu bit. This is the secant from an empty layer, not the
tangent: a weight's last bit takes its adder with it, which a tangent does not see, and networks trained on tangents were worse
(docs/results/2026-11-22-measured-prices.md). The prices hold near that network only: `within` bounds how fast they may move.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from hwq.cost.layer_bits import LayerBits, shared_bits
from hwq.cost.model import CostModel
from hwq.cost.terms import LAYER_COSTS, TRAINING
from hwq.errors import CostModelError

Prices = dict[str, dict[str, float]]
TRUST = 1.5  # factor by which a price may change at once
_ADDERS = "net_adder_bits"
_ACTIVATIONS = ("net_relu_bits",)


def prices(model: CostModel, network: Sequence[LayerBits]) -> Prices:
    """The price of a unit of each of LAYER_COSTS, in units of the model's target, for each layer by its name.

    Args:
        model: of the moment "training" (`hwq.cost.terms`).
        network: the layers' bits as they are (`hwq.cost.layer_bits.layer_bits`); layers of one source are added up.

    Raises:
        CostModelError: a model of another moment.
    """
    if model.moment != TRAINING or not linearisable(model.coefficients):
        raise CostModelError(
            f"prices need a model of the moment {TRAINING!r}, not {model.moment!r}", hint="hwq calibrate makes one"
        )
    return prices_from(model.coefficients, network)


def linearisable(coefficients: Mapping[str, float]) -> bool:
    """Whether these are the coefficients of a model that prices can be made from."""
    return _ADDERS in coefficients


def prices_from(coefficients: Mapping[str, float], network: Sequence[LayerBits]) -> Prices:
    """As `prices`, from the coefficients alone."""
    adder = coefficients[_ADDERS]
    alone = sum(coefficients.get(name, 0.0) for name in _ACTIVATIONS)
    parts: dict[str, list[LayerBits]] = {}
    for layer in network:
        parts.setdefault(layer.source or layer.name, []).append(layer)
    return {name: _priced(layers, adder, alone) for name, layers in parts.items()}


def _priced(layers: Sequence[LayerBits], adder: float, alone: float) -> dict[str, float]:
    here = adder * sum(shared_bits(layer) for layer in layers)
    bits = sum(float((layer.weights * (layer.inputs[:, None] + 1) * layer.present).sum()) * layer.places for layer in layers)
    # a layer of columns of one weight each has no adder now, but would pay for the next weight
    each = here / bits if here and bits else adder
    return dict(zip(LAYER_COSTS, (each, each, alone), strict=True))


def within(old: Mapping[str, Mapping[str, float]] | None, new: Prices, trust: float = TRUST) -> Prices:
    """`new`, no price more than `trust` times or less than 1 / `trust` of what it was; one that was 0 may become anything."""
    if old is None:
        return new
    return {
        name: {
            kind: min(max(price, old[name][kind] / trust), old[name][kind] * trust) if old.get(name, {}).get(kind) else price
            for kind, price in layer.items()
        }
        for name, layer in new.items()
    }


def linear_cost(layer_prices: Mapping[str, Mapping[str, float]], costs: Mapping[str, Mapping[str, float]]) -> float:
    """What the prices say of a network whose layers have these costs; a layer without a price costs nothing."""
    return math.fsum(
        price * costs.get(name, {}).get(kind, 0.0) for name, layer in layer_prices.items() for kind, price in layer.items()
    )
