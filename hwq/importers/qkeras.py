"""QKeras (.h5 of Keras 2, .keras of Keras 3): its layers. Quantisers, and what they make of weights, are in files of their own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from hwq.errors import ModelError, UnsupportedLayerError
from hwq.importers import keras_layers
from hwq.importers.builder import Builder, Signal, StoredReader
from hwq.importers.fixed_point import dyadic, zeros
from hwq.importers.hgq_kernels import convolved
from hwq.importers.keras_files import KerasFile, StoredLayer, kinds_of
from hwq.importers.keras_layers import pooled, summed
from hwq.importers.qkeras_activations import activated
from hwq.importers.qkeras_floats import QuantizedWeights, floats, weights
from hwq.importers.qkeras_quantizers import OWN_FUNCTIONS, SIGNATURES, Quantizer, quantizer_of
from hwq.ir import Node
from hwq.tensors import Singles

PEER = "QKeras"
_ENDS = ("QDense", "QActivation", "QConv1D", "QConv2D", "QDenseBatchnorm")
SHORT = 12  # bits of a scale whose products float32 holds
SCALED = "its scale is a factor of 24 bits for each output: alpha='auto_po2' is exact and costs less"
NORMALISED = "its factors are float32 and take 24 bits each: a folded one (QConv2DBatchnorm) is exact and costs less"
FLOAT_BIAS = "its bias is float32: with a bias_quantizer it is exact and costs less"


def is_qkeras(config: object, packages: frozenset[str]) -> bool:
    """Whether a configuration is of QKeras: by the package of its classes, which older files do not tell, or by its quantisers."""
    return bool(packages & {"qkeras", "QKeras"}) or bool(kinds_of(config) & {*SIGNATURES, "QActivation"})


def logits(file: KerasFile) -> tuple[KerasFile, bool]:
    """A file without the softmax that its last layers have as their activation, and whether there was one."""
    read = {name for layer in file.layers for name in layer.sources}
    ends = [layer for layer in file.layers if layer.name in file.outputs and layer.name not in read and layer.kind in _ENDS]
    found = [layer.name for layer in ends if _is_softmax(layer.config.get("activation"))]
    layers = tuple(
        replace(layer, config={**layer.config, "activation": "linear"}) if layer.name in found else layer for layer in file.layers
    )
    return replace(file, layers=layers), bool(found)


def _is_softmax(told: Any) -> bool:
    return "softmax" in (told, told.get("config") if isinstance(told, Mapping) else None)


def _quantizer(layer: StoredLayer, part: str) -> Quantizer | None:
    return quantizer_of(layer.config.get(part), layer.name, part)


def _kernel(layer: StoredLayer, part: str, kernel: Singles) -> QuantizedWeights:
    """Raises UnsupportedLayerError: nothing quantises them."""
    found = _quantizer(layer, part)
    if found is None or found.is_function:
        raise UnsupportedLayerError(
            f"layer {layer.name!r} ({layer.kind}) has weights that nothing quantises: {part} is {found.kind if found else None}",
            hint="give it a quantiser, quantized_bits(6, 0, alpha=1) for example, and train again",
        )
    return weights(found.scaled_by_itself(), kernel)


def _bias(builder: Builder, layer: StoredLayer, bias: Singles, part: str = "bias_quantizer") -> Singles:
    """The bias, which is one number for each output whatever its scale."""
    found = _quantizer(layer, part)
    if found is None:
        if _is_long(bias):
            builder.rounded[layer.name] = FLOAT_BIAS
        return bias
    made = weights(found, bias)
    if made.scale is None:
        return made.values
    scaled = np.asarray(made.values * made.scale, np.float32)
    if _is_long(scaled):
        builder.rounded[layer.name] = FLOAT_BIAS
    return scaled


def _is_long(values: Singles) -> bool:
    return int(dyadic(values).types.width.max(initial=0)) > SHORT


def _leaving(builder: Builder, layer: StoredLayer, value: Signal) -> Signal:
    return activated(builder, layer.name, value, _quantizer(layer, "activation"))


def _scaled(builder: Builder, layer: StoredLayer, node: Node, scale: Singles | None, part: str = "scale") -> Node:
    """Times the scale of each output, which stands along the last axis."""
    if scale is None:
        return node
    if scale.size != 1 and scale.size != scale.shape[-1]:
        raise UnsupportedLayerError(f"layer {layer.name!r} has a scale along another axis than its outputs", hint="scale_axis=None")
    if _is_long(scale):
        builder.rounded[layer.name] = SCALED
    each = np.broadcast_to(scale.ravel(), (node.shape[-1],)) if scale.size in (1, node.shape[-1]) else None
    if each is None:  # a depthwise kernel has a scale for each multiple of a channel
        each = np.tile(scale.ravel(), node.shape[-1] // scale.size)
    return builder.add(f"{layer.name}_{part}", "scale", [node], layer.name, factor=dyadic(np.broadcast_to(each, node.shape)))


def _biased(builder: Builder, layer: StoredLayer, node: Node, bias: Singles | None) -> Signal:
    if bias is None or not bias.any():
        return Signal(node)
    constant = dyadic(np.broadcast_to(bias, node.shape))
    return Signal(builder.add(f"{layer.name}_bias", "bias", [node], layer.name, bias=constant))


def _arrays(layer: StoredLayer, kernels: list[str]) -> dict[str, Singles]:
    names = [*kernels, *(["bias"] if layer.config.get("use_bias", True) else [])]
    return {name: np.asarray(array, np.float32) for name, array in layer.variables(names).items()}


def _folded(layer: StoredLayer, arrays: dict[str, Singles], outputs: int) -> tuple[Singles, Singles]:
    """(factor of each output, bias) of a layer that takes the normalisation behind it into its weights, in float32."""
    inner = layer.below("batchnorm") if not layer.by_name else layer
    config = layer.config
    if not config.get("center", True):
        raise UnsupportedLayerError(f"layer {layer.name!r} folds a normalisation without beta", hint="center=True")
    names = [*(["gamma"] if config.get("scale", True) else []), "beta", "moving_mean", "moving_variance"]
    norm = {name: np.asarray(array, np.float32) for name, array in inner.variables(names).items()}
    if any(array.shape != (outputs,) for array in norm.values()):
        raise ModelError(f"layer {layer.name!r} has a normalisation of other sizes than its {outputs} outputs")
    factor = np.float32(1) / np.sqrt(norm["moving_variance"] + np.float32(config["epsilon"]))
    factor = np.asarray(factor * norm.get("gamma", np.float32(1)), np.float32)
    before = arrays.get("bias", np.float32(0))
    return factor, np.asarray(factor * (before - norm["moving_mean"]) + norm["beta"], np.float32)


def _dense(builder: Builder, layer: StoredLayer, values: list[Signal]) -> Signal:
    arrays = _arrays(layer, ["kernel"])
    kernel, bias = arrays["kernel"], arrays.get("bias")
    if kernel.ndim != 2:
        raise ModelError(f"layer {layer.name!r} has weights of shape {kernel.shape}")
    if layer.kind == "QDenseBatchnorm":
        factor, bias = _folded(layer, arrays, kernel.shape[-1])
        kernel = factor * kernel
    made = _kernel(layer, "kernel_quantizer", kernel)
    bias = None if bias is None else _bias(builder, layer, bias)
    x = builder.node(layer.name, values[0])
    inside = bias if bias is not None and made.scale is None else np.zeros(kernel.shape[1], np.float32)
    node = builder.add(layer.name, "dense", [x], layer.name, kernel=dyadic(made.values), bias=dyadic(inside))
    if made.scale is None:
        return _leaving(builder, layer, Signal(node))
    return _leaving(builder, layer, _biased(builder, layer, _scaled(builder, layer, node, made.scale), bias))


def _conv(builder: Builder, layer: StoredLayer, values: list[Signal]) -> Signal:
    arrays = _arrays(layer, ["kernel"])
    kernel, bias = arrays["kernel"], arrays.get("bias")
    if layer.kind == "QConv2DBatchnorm":
        factor, bias = _folded(layer, arrays, kernel.shape[-1])
        kernel = factor * kernel
    made = _kernel(layer, "kernel_quantizer", kernel)
    bias = None if bias is None else _bias(builder, layer, bias)
    return _convolution(builder, layer, values[0], made, bias)


def _depthwise(builder: Builder, layer: StoredLayer, values: list[Signal]) -> Signal:
    arrays = _arrays(layer, ["depthwise_kernel"])
    kernel, bias = arrays["depthwise_kernel"], arrays.get("bias")
    if layer.kind == "QDepthwiseConv2DBatchnorm":
        factor, bias = _folded(layer, arrays, kernel.shape[-1] * kernel.shape[-2])
        kernel = factor.reshape(kernel.shape[-2:]) * kernel
    made = _kernel(layer, "depthwise_quantizer", kernel)
    bias = None if bias is None else _bias(builder, layer, bias)
    return _convolution(builder, _each_channel(layer, kernel), values[0], _by_channel(made), bias)


def _each_channel(layer: StoredLayer, kernel: Singles) -> StoredLayer:
    """The layer as a convolution of as many groups as channels."""
    return replace(layer, config={**layer.config, "groups": kernel.shape[-2]})


def _by_channel(made: QuantizedWeights) -> QuantizedWeights:
    """(..., channels, multiples) as the kernel of a convolution of groups: (..., 1, channels x multiples)."""
    shape = made.values.shape
    return QuantizedWeights(made.values.reshape(*shape[:-2], 1, shape[-2] * shape[-1]), made.scale)


def _separable(builder: Builder, layer: StoredLayer, values: list[Signal]) -> Signal:
    """One channel at a time, then across them; QKeras rounds nothing in between."""
    arrays = _arrays(layer, ["depthwise_kernel", "pointwise_kernel"])
    deep = _kernel(layer, "depthwise_quantizer", arrays["depthwise_kernel"])
    wide = _kernel(layer, "pointwise_quantizer", arrays["pointwise_kernel"])
    bias = _bias(builder, layer, arrays["bias"]) if "bias" in arrays else None
    first = _each_channel(layer, arrays["depthwise_kernel"])
    first = replace(first, config={**first.config, "activation": None})
    value = _convolution(builder, first, values[0], _by_channel(deep), None)
    plain = {"strides": 1, "padding": "valid", "activation": layer.config.get("activation")}
    return _convolution(builder, replace(layer, config=plain), value, wide, bias)


def _convolution(builder: Builder, layer: StoredLayer, value: Signal, made: QuantizedWeights, bias: Singles | None) -> Signal:
    x = builder.node(layer.name, value)
    outputs = (made.values.shape[-1],)
    inside = bias if bias is not None and made.scale is None else None
    node = convolved(builder, layer, x, dyadic(made.values), zeros(outputs) if inside is None else dyadic(inside))
    if made.scale is None:
        return _leaving(builder, layer, Signal(node))
    return _leaving(builder, layer, _biased(builder, layer, _scaled(builder, layer, node, made.scale), bias))


def _normalization(builder: Builder, layer: StoredLayer, values: list[Signal]) -> Signal:
    """A factor and an offset for each channel, in float32; QBatchNormalization quantises what they are computed from."""
    config = layer.config
    names = [*(["gamma"] if config.get("scale", True) else []), *(["beta"] if config.get("center", True) else [])]
    found = layer.variables([*names, "moving_mean", "moving_variance"])
    norm = {name: np.asarray(array, np.float32) for name, array in found.items()}
    if layer.kind == "QBatchNormalization":
        for name, part in (("gamma", "gamma"), ("beta", "beta"), ("moving_mean", "mean"), ("moving_variance", "variance")):
            quantizer = _quantizer(layer, f"{part}_quantizer")
            if name in norm and quantizer is not None:
                quantizer = quantizer.scaled_by_itself() if part in ("gamma", "variance") else quantizer
                made = weights(quantizer, norm[name])
                norm[name] = made.values if made.scale is None else np.asarray(made.values * made.scale, np.float32)
    x = builder.node(layer.name, values[0])
    axes = config.get("axis", -1)
    axis = (int(axes[0] if isinstance(axes, list) else axes) % (len(x.shape) + 1)) - 1
    factor = np.float32(1) / np.sqrt(norm["moving_variance"] + np.float32(config["epsilon"]))
    factor = np.asarray(factor * norm.get("gamma", np.float32(1)), np.float32)
    offset = np.asarray(norm.get("beta", np.float32(0)) - norm["moving_mean"] * factor, np.float32)
    along = [n if a == axis else 1 for a, n in enumerate(x.shape)]
    scale, bias = (dyadic(np.broadcast_to(v.reshape(along), x.shape)) for v in (factor, offset))
    if _is_long(factor) or _is_long(offset):
        builder.rounded[layer.name] = NORMALISED
    node = builder.add(f"{layer.name}_scale", "scale", [x], layer.name, factor=scale)
    return Signal(builder.add(layer.name, "bias", [node], layer.name, bias=bias))


def _activation(builder: Builder, layer: StoredLayer, values: list[Signal]) -> Signal:
    """QActivation, or Keras' own with a quantiser of QKeras; its functions are Keras' where QKeras has one of the same name."""
    if layer.kind == "Activation" and layer.config.get("activation") in OWN_FUNCTIONS:
        return keras_layers.READERS["Activation"](builder, layer, values)
    return activated(builder, layer.name, values[0], _quantizer(layer, "activation"))


def _average(builder: Builder, layer: StoredLayer, values: list[Signal]) -> Signal:
    """A mean; with a quantiser, the sum times what it makes of one part."""
    quantizer = _quantizer(layer, "average_quantizer")
    if quantizer is None:
        return _leaving(builder, layer, pooled(builder, layer, values[0]))
    total, count = summed(builder, layer, values[0])
    if quantizer.is_auto:
        raise UnsupportedLayerError(f"layer {layer.name!r} has a scale that QKeras computes from one number", hint="alpha=1")
    area = np.float32(count)
    part = floats(quantizer)(np.asarray(np.float32(1) / area))
    late = layer.by_name  # older ones divide first

    def mean(x: Singles) -> Singles:
        return np.asarray((((x / area) * area) if late else x) * part, np.float32)

    node = builder.node(layer.name, total)
    if _is_exact(node, mean, float(part)):
        node = builder.add(f"{layer.name}_scale", "scale", [node], layer.name, factor=dyadic(np.full(node.shape, part)))
        return _leaving(builder, layer, Signal(node))
    return _leaving(builder, layer, Signal(node, function=mean))


def _is_exact(node: Node, mean: Any, part: float) -> bool:
    """Whether float32 rounds none of the means of a sum's numbers."""
    steps = node.type.frac.astype(np.int64)
    frac = int(steps.max())
    low, high = (int(v) for v in ((node.type.lowest << (frac - steps)).min(), (node.type.highest << (frac - steps)).max()))
    if math.log2(high - low + 1) > 18:
        return True  # a table takes no more: the design is exact, and QKeras rounds in float32
    totals = np.ldexp(np.arange(low, high + 1, dtype=np.float64), -frac)
    return bool((mean(totals.astype(np.float32)).astype(np.float64) == totals * part).all())


READERS: dict[str, StoredReader] = {
    "QDense": _dense,
    "QDenseBatchnorm": _dense,
    "QConv1D": _conv,
    "QConv2D": _conv,
    "QConv2DBatchnorm": _conv,
    "QDepthwiseConv2D": _depthwise,
    "QDepthwiseConv2DBatchnorm": _depthwise,
    "QSeparableConv1D": _separable,
    "QSeparableConv2D": _separable,
    "QBatchNormalization": _normalization,
    "BatchNormalization": _normalization,
    "QActivation": _activation,
    "Activation": _activation,
    "QAveragePooling2D": _average,
    "QGlobalAveragePooling2D": _average,
}
