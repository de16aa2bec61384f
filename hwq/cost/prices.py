"""Prices for training: a fitted model, linearised around the network as it is, for each layer and each kind of bit.

Around a network, a layer's cost changes as ebops x e + weight_bits x w + activation_bits x a. The three prices of a layer are chosen
so that taking one bit from all its weights, or from all its inputs, changes the linear cost by as much as the model says; of the many
that do, those with the largest e, since a bit of a weight costs in proportion to the bits that it meets. What an input costs by
itself (its relu, table and registers) is in a as well. They hold near that network only: `within` bounds how fast they may move.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from hwq.cost.layers import LayerBits, shared_bits
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
        network: the layers' bits as they are (`hwq.cost.layers.layer_bits`); layers of one source are added up.

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
    here = sum(shared_bits(layer) for layer in layers)
    weights = adder * max(here - sum(shared_bits(layer.fewer(weight=1)) for layer in layers), 0.0)
    inputs = adder * max(here - sum(shared_bits(layer.fewer(activation=1)) for layer in layers), 0.0)
    # what a bit less everywhere takes from the three costs of the linear form; a bit that is the last one stays
    taken = np.array([_taken(layer) for layer in layers]).sum(axis=0)
    of_weights, weight_bits, of_inputs, input_bits = (float(v) for v in taken)
    limits = [change / ebops for change, ebops in ((weights, of_weights), (inputs, of_inputs)) if ebops > 0]
    e = min(limits, default=0.0)
    if not limits:  # every bit is the last one: a weight costs the adder that it stands for
        ebops = sum(float((layer.weights * layer.inputs[:, None] * layer.present).sum()) * layer.places for layer in layers)
        e = adder * here / ebops if ebops else 0.0
    w = (weights - e * of_weights) / weight_bits if weight_bits else 0.0
    a = (inputs - e * of_inputs) / input_bits if input_bits else 0.0
    return dict(zip(LAYER_COSTS, (e, max(w, 0.0), max(a, 0.0) + alone), strict=True))


def _taken(layer: LayerBits) -> tuple[float, float, float, float]:
    """(EBOPs, weight bits) that one bit less of every weight takes, (EBOPs, activation bits) that one less of every input takes."""
    present = layer.present
    fewer = (layer.weights > 1) & present
    narrower = (layer.inputs > 1) & present.any(axis=1)
    p = layer.places
    of_weights = float((fewer * layer.inputs[:, None]).sum()) * p
    of_inputs = float((layer.weights * present * narrower[:, None]).sum()) * p
    return of_weights, float(fewer.sum()), of_inputs, float(narrower.sum())


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
