"""Steps around tables of 1 / x and 1 / sqrt(x): fine enough for the smallest numbers that the rows have, as far as a table goes.

A quantiser's step follows the greatest number that it sees. Of a norm the smallest one matters as much: its reciprocal is the greatest. So
the table's input gets the bits that tell the smallest from its neighbours, what is summed up to it is no coarser, and the table's result
keeps its bits at the smallest reciprocal, in what reads it, too. Other quantisers stay out: the numbers that are normalised have their own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import numpy as np

from hwq.backend import keras, ops
from hwq.layers import Part, QActivation, QAdd, QMean, QSubtract, QSum, Quantize, quantized_layers
from hwq.layers.tracing import UNCHANGED, Trace
from hwq.tensors import Floats

if TYPE_CHECKING:
    from keras import KerasTensor

MOST_BITS = 12  # of such a table's input to begin with: a margin, and a step that training halves, still fit a table
TOLD_APART = 2  # bits of the smallest number
SMALLEST = 2.0**-24  # below which all functions with a pole have one value
MOVES = (*UNCHANGED, "Permute", "Rearrange", "UpSampling1D", "UpSampling2D", "RepeatVector")
Ends = tuple[float, float]


def seen(model: keras.Model) -> dict[str, Ends]:
    """The least and the greatest number that each such table was given, zeros left out, while its quantiser looked."""
    return {
        layer.name: (float(ops.min(layer.quantizer.low)), float(ops.max(layer.quantizer.high)))
        for layer in quantized_layers(model)
        if isinstance(layer, QActivation) and layer.pole
    }


def told_apart(model: keras.Model, ends: dict[str, Ends]) -> None:
    """Refine the steps around each table, once all quantisers have chosen theirs.

    Args:
        ends: as `seen` gives them.
    """
    if not ends:
        return
    trace = Trace.of(model.outputs)
    for layer in quantized_layers(model):
        if layer.name not in ends or not isinstance(layer, QActivation):
            continue
        low, high = ends[layer.name]
        top = max(abs(low), abs(high))
        if not top > 0:
            continue
        _refine(layer.quantizer, _input_steps(layer, low, top))
        f = int(np.max(_fractions(layer.quantizer)))
        for index in trace.calls.get(id(layer), ()):
            node = layer._inbound_nodes[index]
            _refine_sums(node.input_tensors[0], f)
            if layer.pole == "reciprocal":
                _refine_result(layer, trace, node.output_tensors[0], top)


def _input_steps(layer: QActivation, low: float, top: float) -> float:
    """Fractional bits that tell the smallest number, and what the function adds to it, from its neighbours."""
    added = float(getattr(layer.function, "epsilon", 0.0))
    whole = math.ceil(math.log2(top))
    most = MOST_BITS - (low < 0)
    smallest = low + added if low > 0 else 2.0 ** (whole - most)  # of both signs: nobody knows how near to zero they come
    smallest = max(smallest, SMALLEST)
    return min(TOLD_APART - math.floor(math.log2(smallest)), max(most, layer.quantizer.bits) - whole)


def _fractions(quantizer: Quantize) -> Floats:
    f: Floats = np.asarray(ops.convert_to_numpy(quantizer.f), np.float64)
    return np.round(f, 0)


def _refine(quantizer: Quantize, f: float) -> None:
    """At least so many fractional bits."""
    quantizer.f.assign(np.maximum(np.asarray(ops.convert_to_numpy(quantizer.f)), f))


def _refine_sums(tensor: KerasTensor, f: int) -> None:
    """What is added up to the table's input: each term so fine that all of them together are within half a step."""
    layer, index, _ = tensor._keras_history
    while type(layer).__name__ in MOVES:
        tensor = layer._inbound_nodes[index].input_tensors[0]
        layer, index, _ = tensor._keras_history
    if isinstance(layer, (QSum, QMean)):
        _refine(layer.quantizer, f + (math.ceil(math.log2(layer.count)) if isinstance(layer, QSum) else 0))
    elif isinstance(layer, (QAdd, QSubtract)):
        for quantizer in layer.quantizers():
            _refine(quantizer, f + 1)


def _refine_result(layer: QActivation, trace: Trace, result: KerasTensor, top: float) -> None:
    """The table's result, and what reads it, with as many bits at the smallest reciprocal as the result was given for the greatest."""
    reach = np.asarray([top, 2.0 ** -(float(np.max(_fractions(layer.quantizer))) + 1)])
    least, most = np.abs(np.asarray(ops.convert_to_numpy(layer.function(ops.convert_to_tensor(reach))), np.float64))
    f = layer.output_quantizer.bits - math.ceil(math.log2(least))
    pending, readers = [result], [layer.output_quantizer]
    while pending:
        tensor = pending.pop()
        for reader, made in trace.readers.get(id(tensor), []):
            if type(reader).__name__ in MOVES:
                pending.append(made)
            elif isinstance(reader, Part):
                sources = next(n.input_tensors for n in reader._inbound_nodes if any(t is made for t in n.output_tensors))
                found = cast("list[Quantize]", getattr(reader, "input_quantizers", None) or [])
                readers += [q for q, source in zip(found, sources, strict=False) if source is tensor]
    for quantizer in readers:
        _refine(quantizer, f)
        whole = np.asarray(ops.convert_to_numpy(quantizer.integer))
        quantizer.integer.assign(np.minimum(whole, math.ceil(math.log2(most))))
