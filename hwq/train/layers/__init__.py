"""Quantised Keras layers: drop-in for their Keras counterparts, serialisable to .keras.

A layer that computes quantises what it reads, and its output is exact; layers that only move values (Flatten, Reshape,
Permute, ZeroPadding, Concatenate, ReLU, LeakyReLU by a power of two) are Keras' own. `exact=True` makes a layer compute what
the design computes (wrap or saturate, exact ties, tables) instead of the training surrogate; `hwq.train.freeze` makes such a
model from a trained one.
"""

from hwq.train.layers.activation import QActivation, QSoftmax
from hwq.train.layers.affine import QAffine
from hwq.train.layers.conv import QConv1D, QConv2D, QDepthwiseConv1D, QDepthwiseConv2D, QSeparableConv1D, QSeparableConv2D
from hwq.train.layers.dense import QDense, QEinsumDense
from hwq.train.layers.kernel import KernelLayer, QuantizedLayer
from hwq.train.layers.merge import QAdd, QAverage, QMaximum, QMinimum, QMultiply, QSubtract
from hwq.train.layers.norm import QBatchNormalization
from hwq.train.layers.part import COSTS, Part
from hwq.train.layers.pool import (
    QAveragePooling1D,
    QAveragePooling2D,
    QGlobalAveragePooling1D,
    QGlobalAveragePooling2D,
    QGlobalMaxPooling1D,
    QGlobalMaxPooling2D,
    QMaxPooling1D,
    QMaxPooling2D,
)
from hwq.train.layers.quantize import Quantize
from hwq.train.layers.totals import (
    bit_variables,
    layer_costs,
    penalised_variables,
    priced,
    priced_by_layer,
    quantized_layers,
    total_costs,
)

__all__ = [
    "COSTS",
    "KernelLayer",
    "Part",
    "QActivation",
    "QAdd",
    "QAffine",
    "QAverage",
    "QAveragePooling1D",
    "QAveragePooling2D",
    "QBatchNormalization",
    "QConv1D",
    "QConv2D",
    "QDense",
    "QDepthwiseConv1D",
    "QDepthwiseConv2D",
    "QEinsumDense",
    "QGlobalAveragePooling1D",
    "QGlobalAveragePooling2D",
    "QGlobalMaxPooling1D",
    "QGlobalMaxPooling2D",
    "QMaxPooling1D",
    "QMaxPooling2D",
    "QMaximum",
    "QMinimum",
    "QMultiply",
    "QSeparableConv1D",
    "QSeparableConv2D",
    "QSoftmax",
    "QSubtract",
    "Quantize",
    "QuantizedLayer",
    "bit_variables",
    "layer_costs",
    "penalised_variables",
    "priced",
    "priced_by_layer",
    "quantized_layers",
    "total_costs",
]
