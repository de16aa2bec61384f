"""What a quantised model costs, summed over its layers: differentiable while it trains, exact for choosing between networks.

A layer that multiplies has `costs(exact)`, with the keys of `hwq.train.config.PRICES`; an activation quantiser of its own counts
with its bits. Exact EBOPs take the bits that the rounded weight encloses, from its first non-zero bit to its last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwq.train.backend import ops
from hwq.train.config import PRICES
from hwq.train.layers import QDense, Quantize


def total_costs(model: Any, *, exact: bool = False) -> dict[str, Any]:
    """ebops, weight_bits and activation_bits of one row."""
    totals = {name: ops.convert_to_tensor(0.0) for name in PRICES}
    for layer in model.layers:
        if isinstance(layer, QDense):
            for name, value in layer.costs(exact=exact).items():
                totals[name] = totals[name] + value
        elif isinstance(layer, Quantize):
            totals["activation_bits"] = totals["activation_bits"] + ops.sum(layer.widths())
    return totals


def priced(costs: Mapping[str, Any], prices: Mapping[str, float] | None, gamma: float) -> Any:
    """The resource term of the loss at beta = 1: the price of what is used, plus gamma for every bit.

    The second part is what brings a bit to 0 whose partner is 0 already and so costs no EBOPs (HGQ).
    """
    total = costs["ebops"] if prices is None else sum(prices.get(name, 0.0) * costs[name] for name in PRICES)
    return total + gamma * (costs["weight_bits"] + costs["activation_bits"])


def bit_variables(model: Any) -> list[Any]:
    """The trained bitwidths."""
    out: list[Any] = []
    for layer in model.layers:
        if isinstance(layer, QDense):
            out += layer.bits_weights()
        elif isinstance(layer, Quantize):
            out.append(layer.f)
    return out


def penalised_variables(model: Any) -> list[Any]:
    """The weights that an L1 penalty presses: kernels, no biases."""
    return [layer.kernel for layer in model.layers if isinstance(layer, QDense)]
