"""Sums over all quantised layers of a model: costs, bitwidths, kernels. A layer called n times costs n times: a design has n of it."""

from __future__ import annotations

from collections.abc import Mapping

from hwq.backend import keras, ops
from hwq.layers.part import COSTS, Part
from hwq.layers.tracing import Trace
from hwq.tensors import Operand, Tensor, Variable


def quantized_layers(model: keras.Model) -> list[Part]:
    """The layers that have bitwidths, in the model's order."""
    return [layer for layer in model.layers if isinstance(layer, Part)]


def total_costs(model: keras.Model, *, exact: bool = False) -> dict[str, Tensor]:
    """ebops, weight_bits and activation_bits of a quantised model, each a scalar tensor; differentiable unless `exact`."""
    calls = Trace.of(model.outputs).calls
    totals = {name: ops.zeros((), "float32") for name in COSTS}
    for layer in quantized_layers(model):
        times = float(len(calls.get(id(layer), (0,))))
        for name, cost in layer.costs(exact).items():
            totals[name] = totals[name] + times * ops.cast(cost, "float32")
    return totals


def layer_costs(model: keras.Model) -> list[tuple[str, dict[str, Tensor]]]:
    """(name, costs) of every quantised layer, all its calls counted, in the model's order."""
    calls = Trace.of(model.outputs).calls
    found = []
    for layer in quantized_layers(model):
        times = float(len(calls.get(id(layer), (0,))))
        found.append((layer.name, {name: times * ops.cast(cost, "float32") for name, cost in layer.costs(False).items()}))
    return found


def priced_by_layer(model: keras.Model, prices: Operand, gamma: float | Tensor) -> Tensor:
    """As `priced`, with prices of their own for every layer: (layers, costs), in the order of `quantized_layers` and COSTS."""
    costs = [[cost[name] for name in COSTS] for _, cost in layer_costs(model)]
    table = ops.stack([ops.stack(row) for row in costs])
    return ops.sum(prices * table) + gamma * ops.sum(table[:, 1:])


def bit_variables(model: keras.Model) -> list[Variable]:
    """The trained bitwidths."""
    return [v for layer in quantized_layers(model) for v in layer.bits_weights()]


def penalised_variables(model: keras.Model) -> list[Variable]:
    """The weights that an L1 penalty presses: kernels, no biases."""
    return [v for layer in quantized_layers(model) for v in layer.kernels()]


def priced(costs: Mapping[str, Tensor], prices: Mapping[str, float] | None, gamma: float | Tensor) -> Tensor:
    """The resource term of the loss at beta = 1: the price of what is used (None: EBOPs), plus gamma for every bit.

    The second part is what brings a bit to 0 whose partner is 0 already and so costs no EBOPs (HGQ).
    """
    total = costs["ebops"] if prices is None else sum(prices.get(name, 0.0) * costs[name] for name in COSTS)
    return total + gamma * (costs["weight_bits"] + costs["activation_bits"])
