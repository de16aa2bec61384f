"""Sums over all quantised layers of a model: costs, bitwidths, kernels. A layer called n times costs n times: a design has n of it."""

from __future__ import annotations

from typing import Any

from hwq.train.backend import ops
from hwq.train.layers.part import COSTS, Part
from hwq.train.tracing import Trace


def quantized_layers(model: Any) -> list[Any]:
    """The layers that have bitwidths, in the model's order."""
    return [layer for layer in model.layers if isinstance(layer, Part)]


def total_costs(model: Any) -> dict[str, Any]:
    """Differentiable ebops, weight_bits and activation_bits of a quantised model, each a scalar tensor."""
    calls = Trace.of(model.outputs[0]).calls
    totals = {name: ops.zeros(()) for name in COSTS}
    for layer in quantized_layers(model):
        times = float(len(calls.get(id(layer), (0,))))
        for name, cost in layer.costs().items():
            totals[name] = totals[name] + times * ops.cast(cost, "float32")
    return totals


def bit_variables(model: Any) -> list[Any]:
    """The trained bitwidths."""
    return [v for layer in quantized_layers(model) for v in layer.bits_weights()]


def total_l1(model: Any) -> Any:
    """Sum of the absolute weights of all kernels, a scalar tensor."""
    return sum((ops.sum(ops.abs(kernel)) for layer in quantized_layers(model) for kernel in layer.kernels()), start=ops.zeros(()))
