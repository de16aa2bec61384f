"""Quantised Keras layers: drop-in for their Keras counterparts, serialisable to .keras. Training loops and conversion stay out.

A layer that computes quantises what it reads, and its output is exact; layers that only move values (Flatten, Reshape,
Permute, ZeroPadding, Concatenate, ReLU, LeakyReLU by a power of two) are Keras' own. `exact=True` makes a layer compute what
the design computes (wrap or saturate, exact ties, tables) instead of the training surrogate; `hwq.conversion.freeze` makes such a
model from a trained one.
"""

from hwq.layers.activation import QActivation, QSoftmax
from hwq.layers.affine import QAffine
from hwq.layers.conv import QConv1D, QConv2D, QDepthwiseConv1D, QDepthwiseConv2D, QSeparableConv1D, QSeparableConv2D
from hwq.layers.dense import QDense, QEinsumDense
from hwq.layers.embedding import QCodes, QEmbedding
from hwq.layers.kernel import KernelLayer, QuantizedLayer
from hwq.layers.merge import QAdd, QAverage, QMaximum, QMinimum, QMultiply, QSubtract
from hwq.layers.model import BetaSchedule, QuantizedModel
from hwq.layers.norm import QBatchNormalization
from hwq.layers.part import COSTS, Part
from hwq.layers.pool import (
    QAveragePooling1D,
    QAveragePooling2D,
    QGlobalAveragePooling1D,
    QGlobalAveragePooling2D,
    QGlobalMaxPooling1D,
    QGlobalMaxPooling2D,
    QMaxPooling1D,
    QMaxPooling2D,
)
from hwq.layers.prelu import QPReLU
from hwq.layers.product import QEinsum
from hwq.layers.quantize import Quantize
from hwq.layers.rearrange import Rearrange
from hwq.layers.reduce import QMax, QMean, QMin, QSum
from hwq.layers.totals import (
    bit_variables,
    layer_costs,
    penalised_variables,
    priced,
    priced_by_layer,
    quantized_layers,
    total_costs,
)
from hwq.layers.transposed import QConv1DTranspose, QConv2DTranspose

__all__ = [
    "COSTS",
    "BetaSchedule",
    "KernelLayer",
    "Part",
    "QActivation",
    "QAdd",
    "QAffine",
    "QAverage",
    "QAveragePooling1D",
    "QAveragePooling2D",
    "QBatchNormalization",
    "QCodes",
    "QConv1D",
    "QConv1DTranspose",
    "QConv2D",
    "QConv2DTranspose",
    "QDense",
    "QDepthwiseConv1D",
    "QDepthwiseConv2D",
    "QEinsum",
    "QEinsumDense",
    "QEmbedding",
    "QGlobalAveragePooling1D",
    "QGlobalAveragePooling2D",
    "QGlobalMaxPooling1D",
    "QGlobalMaxPooling2D",
    "QMax",
    "QMaxPooling1D",
    "QMaxPooling2D",
    "QMaximum",
    "QMean",
    "QMin",
    "QMinimum",
    "QMultiply",
    "QPReLU",
    "QSeparableConv1D",
    "QSeparableConv2D",
    "QSoftmax",
    "QSubtract",
    "QSum",
    "Quantize",
    "QuantizedLayer",
    "QuantizedModel",
    "Rearrange",
    "bit_variables",
    "layer_costs",
    "penalised_variables",
    "priced",
    "priced_by_layer",
    "quantized_layers",
    "total_costs",
]
