"""A float Keras model to its quantised twin, layer by layer, keeping the weights; what cannot be converted is refused by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hwq.errors import ModelError, UnsupportedLayerError
from hwq.frontend.report import ConversionReport
from hwq.train.backend import keras
from hwq.train.layers import QDense, Quantize

SUPPORTED = "InputLayer, Dense, BatchNormalization after Dense, ReLU, Activation, Flatten, Reshape, Add, Dropout, a final Softmax"


@dataclass(slots=True)
class _Converter:
    bits: int
    overflow: str
    outputs: set[int]
    known: dict[int, Any] = field(default_factory=dict)
    pairs: list[tuple[Any, Any, Any]] = field(default_factory=list)  # (quantised, dense, batch norm or None)
    converted: list[tuple[str, str]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def tensor(self, tensor: Any) -> Any:
        if id(tensor) not in self.known:
            self.known[id(tensor)] = self._convert(tensor)
        return self.known[id(tensor)]

    def _convert(self, tensor: Any) -> Any:
        layer, node_index, _ = tensor._keras_history
        if len(layer._inbound_nodes) > 1 and _used_twice(layer):
            raise UnsupportedLayerError(f"layer {layer.name!r} is used more than once", hint="give each use a layer of its own")
        kind = type(layer).__name__
        if kind == "InputLayer":
            if tensor.dtype not in ("float32", "float64", "float16"):
                raise UnsupportedLayerError(f"input {layer.name!r} has dtype {tensor.dtype}; only floats are quantised")
            return keras.Input(shape=tensor.shape[1:], name=layer.name)
        inputs = layer._inbound_nodes[node_index].input_tensors
        method = getattr(self, f"_{kind.lower()}", None)
        if method is None:
            raise UnsupportedLayerError(
                f"layer {layer.name!r} is a {kind}, which hwq does not convert", hint=f"supported: {SUPPORTED}"
            )
        if kind != "Dropout":
            self.converted.append((layer.name, kind))
        return method(layer, inputs, id(tensor) in self.outputs)

    def _dense(self, layer: Any, inputs: list[Any], final: bool, norm: Any = None) -> Any:
        q = QDense(layer.units, self.bits, self._overflow(inputs[0]), batch_norm=norm is not None, name=layer.name)
        if norm is not None:
            q.epsilon = float(norm.epsilon)
        y = q(self.tensor(inputs[0]))
        self.pairs.append((q, layer, norm))
        return self._activate(layer, y, final)

    def _overflow(self, source: Any) -> str:
        """The host quantises the design's inputs, so that saturating them costs nothing."""
        layer = source._keras_history[0]
        while type(layer).__name__ in ("Flatten", "Reshape", "Dropout"):
            layer = layer._inbound_nodes[0].input_tensors[0]._keras_history[0]
        return "SAT" if type(layer).__name__ == "InputLayer" else self.overflow

    def _activate(self, layer: Any, y: Any, final: bool) -> Any:
        name = getattr(layer.activation, "__name__", str(layer.activation))
        if name == "linear":
            return y
        if name == "relu":
            return keras.layers.ReLU(name=f"{layer.name}_relu")(y)
        if name == "softmax" and final:
            self.skipped.append((layer.name, "softmax of the outputs: the argmax is the same without it"))
            return y
        raise UnsupportedLayerError(
            f"layer {layer.name!r} has the activation {name}", hint="supported: linear, relu, and softmax at the output"
        )

    def _batchnormalization(self, layer: Any, inputs: list[Any], final: bool) -> Any:
        dense, index, _ = inputs[0]._keras_history
        plain = type(dense).__name__ == "Dense" and dense.activation.__name__ == "linear"
        if not plain or _consumers(dense) != 1:
            raise UnsupportedLayerError(
                f"layer {layer.name!r} is a BatchNormalization that does not follow a linear Dense",
                hint="put it between a Dense without activation and its activation",
            )
        self.converted.append((dense.name, "Dense"))
        return self._dense(dense, dense._inbound_nodes[index].input_tensors, False, norm=layer)

    def _relu(self, layer: Any, inputs: list[Any], final: bool) -> Any:
        if layer.max_value is not None or layer.negative_slope or layer.threshold:
            raise UnsupportedLayerError(
                f"layer {layer.name!r} is a ReLU with max_value, negative_slope or threshold", hint="use a plain ReLU"
            )
        return keras.layers.ReLU(name=layer.name)(self.tensor(inputs[0]))

    def _activation(self, layer: Any, inputs: list[Any], final: bool) -> Any:
        return self._activate(layer, self.tensor(inputs[0]), final)

    def _softmax(self, layer: Any, inputs: list[Any], final: bool) -> Any:
        if not final:
            raise UnsupportedLayerError(
                f"layer {layer.name!r} is a Softmax inside the model", hint="only one at the output is left out"
            )
        self.skipped.append((layer.name, "softmax of the outputs: the argmax is the same without it"))
        return self.tensor(inputs[0])

    def _dropout(self, layer: Any, inputs: list[Any], final: bool) -> Any:
        self.skipped.append((layer.name, "dropout does nothing at inference"))
        return self.tensor(inputs[0])

    def _flatten(self, layer: Any, inputs: list[Any], final: bool) -> Any:
        return keras.layers.Flatten(name=layer.name)(self.tensor(inputs[0]))

    def _reshape(self, layer: Any, inputs: list[Any], final: bool) -> Any:
        return keras.layers.Reshape(layer.target_shape, name=layer.name)(self.tensor(inputs[0]))

    def _add(self, layer: Any, inputs: list[Any], final: bool) -> Any:
        if len(inputs) != 2 or inputs[0].shape != inputs[1].shape:
            raise UnsupportedLayerError(
                f"layer {layer.name!r} adds {len(inputs)} tensors or broadcasts", hint="add two tensors of one shape"
            )
        terms = [
            Quantize(self.bits, self._overflow(t), name=f"{layer.name}_quantize_{i}")(self.tensor(t)) for i, t in enumerate(inputs)
        ]
        return keras.layers.Add(name=layer.name)(terms)


def quantize_model(model: Any, *, bits: int = 6, overflow: str = "WRAP") -> tuple[Any, ConversionReport]:
    """The quantised twin of a float model, with its weights; the bitwidths still have to be initialised from data.

    Args:
        model: a built Sequential or functional model of one input and one output.
        bits: initial bits of every layer's largest weight and of every activation.
        overflow: WRAP or SAT, of the activations behind the input.

    Raises:
        UnsupportedLayerError: names the layer, and what is supported.
        ModelError: the model is not built, or has several inputs or outputs.
    """
    if not getattr(model, "built", False) or not getattr(model, "outputs", None):
        raise ModelError("the model has no input shape yet", hint="begin it with keras.Input(shape), or call it once on data")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ModelError(f"the model has {len(model.inputs)} inputs and {len(model.outputs)} outputs; hwq takes one of each")
    converter = _Converter(bits, overflow, {id(model.outputs[0])})
    outputs = converter.tensor(model.outputs[0])
    twin = keras.Model(converter.tensor(model.inputs[0]), outputs, name=model.name)
    for q, dense, norm in converter.pairs:
        _copy(q, dense, norm)
    return twin, ConversionReport(tuple(dict.fromkeys(converter.converted)), tuple(converter.skipped))


def _copy(q: Any, dense: Any, norm: Any) -> None:
    q.kernel.assign(dense.kernel)
    q.bias.assign(dense.bias if dense.use_bias else np.zeros(dense.units, "float32"))
    if norm is None:
        return
    q.mean.assign(norm.moving_mean)
    q.variance.assign(norm.moving_variance)
    if norm.scale:
        q.gamma.assign(norm.gamma)
    if norm.center:
        q.beta.assign(norm.beta)


def _consumers(layer: Any) -> int:
    return (
        sum(len(node.outputs[0]._keras_history[0]._outbound_nodes) for node in layer._inbound_nodes) if layer._inbound_nodes else 0
    )


def _used_twice(layer: Any) -> bool:
    """Whether the layer's nodes belong to one model (Keras keeps a second node when a Sequential wraps its layers)."""
    shapes = [tuple(id(t) for t in node.input_tensors) for node in layer._inbound_nodes]
    return len(set(shapes)) > 1
