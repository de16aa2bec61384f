"""From a trained twin to the model of the design: batch normalisation folded, weights rounded for good, ranges traced, exact arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwq.errors import TrainingError
from hwq.train.backend import keras, ops
from hwq.train.layers import QDense, Quantize


def quantizers(model: Any) -> list[Any]:
    """Every activation quantiser, those inside QDense included, in the order of the layers."""
    out = []
    for layer in model.layers:
        if isinstance(layer, Quantize):
            out.append(layer)
        elif isinstance(layer, QDense):
            out.append(layer.quantizer)
    return out


def initialise(model: Any, x: np.ndarray) -> None:
    """Choose every bitwidth from the weights and from data, front to back.

    Raises:
        TrainingError: a layer that is all zeros at the start.
    """
    for layer in model.layers:
        if isinstance(layer, (QDense, Quantize)):
            layer.initialise(reaching(model, layer, x))
        if isinstance(layer, QDense):
            kernel, _ = layer.quantized(*layer.folded())
            if not np.any(np.asarray(kernel)):
                raise TrainingError(
                    f"every weight of layer {layer.name!r} is zero before training starts",
                    hint="more initial bits, or a float model that has trained",
                )


def reaching(model: Any, layer: Any, x: np.ndarray) -> np.ndarray:
    """The rows that reach `layer`, before its own quantiser."""
    source = layer._inbound_nodes[0].input_tensors[0]
    if source is model.inputs[0]:
        return x
    return outputs(keras.Model(model.inputs[0], source), x)


def outputs(model: Any, x: np.ndarray) -> np.ndarray:
    """The model's outputs for all rows, at inference, in pieces that fit the cache."""
    return np.concatenate([ops.convert_to_numpy(model(x[i : i + 4096], training=False)) for i in range(0, len(x), 4096)])


def freeze(model: Any, x: np.ndarray, margin: float, dtype: str = "float32") -> Any:
    """A model that computes what the design computes.

    Args:
        x: rows that the integer bits are traced on.
        margin: factor on the observed ranges.
        dtype: float32, or float64 where float32 cannot hold the accumulators.
    """

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        if isinstance(layer, (QDense, Quantize)):
            config.update(exact=True)
        if isinstance(layer, QDense):
            config.update(batch_norm=False)
        config["dtype"] = dtype
        return layer.__class__.from_config(config)

    exact = keras.models.clone_model(model, clone_function=clone)
    for layer in model.layers:
        twin = exact.get_layer(layer.name)
        if isinstance(layer, QDense):
            kernel, bias = layer.quantized(*layer.folded())
            for target, value in (
                (twin.kernel, kernel),
                (twin.bias, bias),
                (twin.kernel_f, layer.kernel_f),
                (twin.bias_f, layer.bias_f),
            ):
                target.assign(ops.convert_to_numpy(value))
        if isinstance(layer, (QDense, Quantize)):
            source, target = (layer.quantizer, twin.quantizer) if isinstance(layer, QDense) else (layer, twin)
            target.f.assign(np.round(ops.convert_to_numpy(source.f)))
            target.trace(reaching(exact, twin, x), margin)
    return exact


def logits(model: Any, x: np.ndarray) -> np.ndarray:
    """The exact model's outputs as float64, (rows, outputs)."""
    return outputs(model, x).astype(np.float64)
