"""Multipoint quantisation as published (Liu et al., AAAI 2021, arXiv 2002.09049): a channel's weights as a sum of low-bit vectors.

    w ~ sum_i a_i w_i,    w_i = Q(residual / scale),    a_i = <residual, w_i> / <w_i, w_i>

A channel gets another point while its output error on calibration rows is above the limit. In LUTs the sum is one more constant, which
costs more than the constants of plain fixed point; `hwq.posttraining.digits` is the form that an FPGA pays less for.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hwq.fixed.arithmetic import IntArray
from hwq.ir import Graph
from hwq.posttraining.quantize import Bits, coarse_rows, quantized, rounded_bias
from hwq.posttraining.ranges import retraced
from hwq.posttraining.rebuild import real
from hwq.posttraining.rounding import with_constants
from hwq.posttraining.statistics import linear_nodes, seen
from hwq.sim.reference import evaluate_nodes
from hwq.tensors import Floats

FACTOR_BITS = 8  # of each a_i, so that the sum stays a number of a few bits
SCALES = [0.05 * k for k in range(6, 21)]


def points(w: Floats, bits: int, count: int, moments: Floats | None = None, limit: float = 0.0) -> tuple[Floats, list[float]]:
    """(the sum of at most `count` points, the relative output error with 0, 1, ... of them) for the weights of one channel.

    Args:
        w: (n,).
        bits: of each vector's elements, sign included.
        moments: (n, n) second moments of the inputs; None: the error is that of the weights.
        limit: relative error at which no more points are added.
    """
    norm = _error(w, moments)
    total = np.zeros_like(w)
    errors = [1.0]
    while len(errors) <= count and errors[-1] > limit and norm > 0:
        total = total + _point(w - total, bits)
        errors.append(_error(w - total, moments) / norm)
    return total, errors


def _error(e: Floats, moments: Floats | None) -> float:
    squared = float(e @ (e if moments is None else moments @ e))
    return float(np.sqrt(max(squared, 0.0)))


def _point(residual: Floats, bits: int) -> Floats:
    """The best a_i w_i over scales: w_i whole numbers of `bits` bits."""
    limit = 2 ** (bits - 1) - 1
    best, least = np.zeros_like(residual), np.inf
    top = float(np.abs(residual).max(initial=0))
    for share in SCALES if top > 0 else ():
        scale = share * top / limit
        whole = np.clip(np.floor(residual / scale + 0.5), -limit, limit)
        power = float(whole @ whole)
        if not power:
            continue
        found = _short(float(residual @ whole) / power) * whole
        error = float(((residual - found) ** 2).sum())
        if error < least:
            best, least = found, error
    return best


def _short(value: float) -> float:
    """The nearest number of FACTOR_BITS bits."""
    mantissa, exponent = np.frexp(value)
    return float(np.ldexp(np.floor(mantissa * 2**FACTOR_BITS + 0.5), int(exponent) - FACTOR_BITS))


def multipoint(
    fine: Graph, choice: Mapping[str, Bits], rows: IntArray, *, count: int, limit: float = 0.0
) -> tuple[Graph, dict[str, list[list[float]]]]:
    """The network with at most `count` points a channel; the relative output errors of every channel by operation.

    Args:
        rows: input mantissas of `fine` for calibration rows.
        limit: relative output error at which a channel gets no more points.
    """
    graph = quantized(fine, choice, rows)
    inputs = coarse_rows(fine, graph, rows)
    told: dict[str, list[list[float]]] = {}
    for name in (node.name for node in linear_nodes(fine) if node.name in choice):
        w = real(fine[name].constant("kernel"))
        kernel, told[name] = w.copy(), []
        bias, bits = rounded_bias(fine[name], 8), choice[name].each(w.shape[-1])
        shift, many = np.zeros(bias.size), np.zeros(bias.size)
        for matrix in seen(graph, graph[name], evaluate_nodes(graph, inputs)):
            places = matrix.block.weights
            moments = matrix.moments(np.arange(len(places)), 0)
            for j in range(places.shape[1]):
                total, errors = points(w.ravel()[places[:, j]], int(bits[places[0, j] % len(bits)]), count, moments.second, limit)
                kernel.ravel()[places[:, j]] = total
                told[name].append(errors)
            error = kernel.ravel()[places] - w.ravel()[places]
            np.add.at(shift, matrix.biases, -(moments.means @ error))
            np.add.at(many, matrix.biases, 1)
        moved = bias + np.where(many > 0, shift / np.maximum(many, 1), 0).reshape(bias.shape)
        graph = with_constants(graph, {name: (kernel, np.floor(moved * 256 + 0.5) / 256)})
    return retraced(graph, inputs, narrower=True, apart=True), told
