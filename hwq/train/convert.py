"""A float Keras model to its quantised twin, layer by layer, keeping the weights; what cannot be converted is refused by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hwq.errors import ModelError, UnsupportedLayerError
from hwq.frontend.report import ConversionReport
from hwq.train.backend import keras
from hwq.train.layers import QDense, Quantize
from hwq.train.tracing import UNCHANGED, Trace

KINDS = ("Activation", "Add", "BatchNormalization", "Dense", "Dropout", "Flatten", "ReLU", "Reshape", "Softmax")
SUPPORTED = "InputLayer, Dense, BatchNormalization after Dense, ReLU, Activation, Flatten, Reshape, Add, Dropout, a final Softmax"


@dataclass(slots=True)
class _Converter:
    bits: int
    overflow: str
    trace: Trace
    outputs: set[int]
    known: dict[int, Any] = field(default_factory=dict)
    pairs: list[tuple[Any, Any, Any]] = field(default_factory=list)  # (quantised, dense, batch norm or None)
    converted: list[tuple[str, str]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    raw_input: Any = None
    quantised_input: bool = False

    def tensor(self, tensor: Any) -> Any:
        if id(tensor) not in self.known:
            self.known[id(tensor)] = self._convert(tensor)
        return self.known[id(tensor)]

    def _convert(self, tensor: Any) -> Any:
        layer, node_index, _ = tensor._keras_history
        if self.trace.shared(layer):
            raise UnsupportedLayerError(f"layer {layer.name!r} is used more than once", hint="give each use a layer of its own")
        kind = type(layer).__name__
        if kind == "InputLayer":
            return self._input(layer, tensor)
        if kind not in KINDS:
            raise UnsupportedLayerError(
                f"layer {layer.name!r} is a {kind}, which hwq does not convert", hint=f"supported: {SUPPORTED}"
            )
        inputs = layer._inbound_nodes[node_index].input_tensors
        result = getattr(self, f"_{kind.lower()}")(layer, inputs, id(tensor) in self.outputs)
        if kind not in ("Dropout", "Softmax"):
            self.converted.append((layer.name, kind))
        return result

    def name(self, wanted: str) -> str:
        """A name for a layer that the float model has not: Keras refuses two of one name."""
        name, number = wanted, 1
        while name in self.names:
            number += 1
            name = f"{wanted}_{number}"
        self.names.add(name)
        return name

    def _input(self, layer: Any, tensor: Any) -> Any:
        """The design has one quantised input: where one Dense or Add reads it, that one's quantiser; else a quantiser that all share."""
        if tensor.dtype not in ("float32", "float64", "float16"):
            raise UnsupportedLayerError(f"input {layer.name!r} has dtype {tensor.dtype}; only floats are quantised")
        x = self.raw_input = keras.Input(shape=tensor.shape[1:], name=layer.name)
        users = self.trace.users(tensor)
        if len(users) == 1 and type(users[0]).__name__ in ("Dense", "Add"):
            return x
        self.quantised_input = True
        return Quantize(self.bits, "SAT", name=self.name(f"{layer.name}_quantize"))(x)

    def _dense(self, layer: Any, inputs: list[Any], final: bool, norm: Any = None) -> Any:
        x = self.tensor(inputs[0])  # before asking who quantises the input: only now that is settled
        q = QDense(layer.units, self.bits, self._overflow(inputs[0]), batch_norm=norm is not None, name=layer.name)
        if norm is not None:
            q.epsilon = float(norm.epsilon)
        y = q(x)
        self.pairs.append((q, layer, norm))
        return self._activate(layer, y, final)

    def _overflow(self, source: Any) -> str:
        """The host quantises the design's inputs, so that saturating them costs nothing."""
        layer = source._keras_history[0]
        while type(layer).__name__ in UNCHANGED:
            layer = layer._inbound_nodes[0].input_tensors[0]._keras_history[0]
        return "SAT" if type(layer).__name__ == "InputLayer" and not self.quantised_input else self.overflow

    def _activate(self, layer: Any, y: Any, final: bool) -> Any:
        name = getattr(layer.activation, "__name__", str(layer.activation))
        if name == "linear":
            return y
        if name == "relu":
            return keras.layers.ReLU(name=self.name(f"{layer.name}_relu"))(y)
        if name == "softmax" and final:
            self.skipped.append((layer.name, "softmax of the outputs: the argmax is the same without it"))
            return y
        raise UnsupportedLayerError(
            f"layer {layer.name!r} has the activation {name}", hint="supported: linear, relu, and softmax at the output"
        )

    def _batchnormalization(self, layer: Any, inputs: list[Any], final: bool) -> Any:
        dense, index, _ = inputs[0]._keras_history
        plain = type(dense).__name__ == "Dense" and dense.activation.__name__ == "linear"
        if not plain or len(self.trace.readers[id(inputs[0])]) != 1 or self.trace.shared(dense):
            raise UnsupportedLayerError(
                f"layer {layer.name!r} is a BatchNormalization that does not follow a linear Dense",
                hint="put it between a Dense without activation and its activation",
            )
        if layer.axis not in (-1, len(inputs[0].shape) - 1):
            raise UnsupportedLayerError(
                f"layer {layer.name!r} normalises axis {layer.axis}", hint="normalise the last axis, that of the Dense's units"
            )
        result = self._dense(dense, dense._inbound_nodes[index].input_tensors, False, norm=layer)
        self.converted.append((dense.name, "Dense"))
        return result

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
        sources = [self.tensor(t) for t in inputs]
        terms = [
            Quantize(self.bits, self._overflow(t), name=self.name(f"{layer.name}_quantize_{i}"))(source)
            for i, (t, source) in enumerate(zip(inputs, sources, strict=True))
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
    converter = _Converter(bits, overflow, Trace.of(model.outputs[0]), {id(model.outputs[0])})
    converter.names.update(layer.name for layer in model.layers)
    outputs = converter.tensor(model.outputs[0])
    if not converter.pairs:
        raise ModelError("the model has no Dense layer: there is nothing to quantise", hint=f"supported: {SUPPORTED}")
    twin = keras.Model(converter.raw_input, outputs, name=model.name)
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
