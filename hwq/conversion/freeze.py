"""From a trained twin to the model of the design: batch normalisation folded, weights rounded for good, ranges traced, exact arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import numpy as np

from hwq.backend import keras, ops, tf
from hwq.conversion import near_zero
from hwq.conversion.rows import answers_of, check_codes
from hwq.errors import ModelError, TrainingError
from hwq.frontend.keras import from_keras
from hwq.ir import Graph
from hwq.layers import Part, QSoftmax, Quantize, quantized_layers
from hwq.tensors import Config, Floats, Singles, Tensor

if TYPE_CHECKING:
    from keras import KerasTensor

Rows = Floats | Singles

CHUNK_VALUES = 1 << 24  # of the largest tensor at once
CHUNK_ROWS = 4096
WORTH_COMPILING = 3  # pieces
ROWS = 2048  # that ranges are read from while training goes on


def quantizers(model: keras.Model) -> list[Quantize]:
    """Every activation quantiser, those inside layers included, in the order of the layers."""
    return [q for layer in quantized_layers(model) for q in layer.quantizers()]


def initialise(model: keras.Model, x: Rows) -> None:
    """Choose every bitwidth: those of weights from their values, those of activations from the ranges of the rows `x`.

    Raises:
        TrainingError: a layer that is all zeros at the start.
    """
    check_codes(model, x)
    for layer in quantized_layers(model):
        _check_finite(layer)
        layer.initialise_weights()
    _look(model, x, "observe")
    ends = near_zero.seen(model)
    _settle(model, lambda quantizer: quantizer.settle_initial())
    near_zero.told_apart(model, ends)
    for layer in quantized_layers(model):
        if layer.is_dead():
            raise _dead(layer)


def _check_finite(layer: Part) -> None:
    for variable in layer.trainable_variables:
        if not np.isfinite(ops.convert_to_numpy(variable)).all():
            raise TrainingError(
                f"layer {layer.name!r} has NaN or infinity in its {variable.name}",
                hint="the float model's training diverged: a lower learning rate",
            )


def _dead(layer: Part) -> TrainingError:
    gammas = [one.gamma for one in (layer, *layer.parts()) if getattr(one, "batch_norm", False) and hasattr(one, "gamma")]
    if any(not np.any(ops.convert_to_numpy(gamma)) for gamma in gammas):
        return TrainingError(
            f"every gamma of the batch normalisation in layer {layer.name!r} is zero: nothing passes it",
            hint="train the float model first, or begin with gammas of one",
        )
    return TrainingError(
        f"every weight of layer {layer.name!r} is zero before training starts",
        hint="more initial bits, or a float model that has trained",
    )


def _settle(model: keras.Model, action: Callable[[Quantize], None]) -> None:
    """Do something to every quantiser; an error names the layer that it belongs to."""
    for layer in quantized_layers(model):
        for quantizer in layer.quantizers():
            try:
                action(quantizer)
            except (TrainingError, ModelError) as error:
                if quantizer is layer:
                    raise
                raise type(error)(f"layer {layer.name!r}: {error.message}", hint=error.hint) from error


def outputs(model: keras.Model, x: Rows) -> Rows:
    """The model's outputs for all rows, at inference, in pieces that fit the memory."""
    step = _chunk(model)
    return np.concatenate([ops.convert_to_numpy(answers_of(model, x[i : i + step])) for i in range(0, len(x), step)])


def _chunk(model: keras.Model) -> int:
    tensors = [tensor for layer in model.layers for node in layer._inbound_nodes for tensor in node.output_tensors]
    largest = max((math.prod(n for n in tensor.shape[1:] if n) for tensor in tensors), default=1)
    return max(1, min(CHUNK_ROWS, CHUNK_VALUES // max(largest, 1)))


def _look(model: keras.Model, x: Rows, mode: str) -> None:
    """Pass all rows through the model while its quantisers record what they see."""
    for quantizer in quantizers(model):
        quantizer.begin(mode)
    step = _chunk(model)

    def look(rows: Tensor) -> None:
        answers_of(model, rows)

    if tf is not None and len(x) > WORTH_COMPILING * step:
        look = tf.function(look)
    try:
        for i in range(0, len(x), step):
            # one size for all pieces, so that it is compiled once: the last one begins earlier, seeing some rows twice changes no range
            look(ops.convert_to_tensor(x[max(min(i, len(x) - step), 0) :][:step]))
    finally:
        for quantizer in quantizers(model):
            quantizer.end()


def freeze(model: keras.Model, x: Rows, margin: float, dtype: str = "float32") -> keras.Model:
    """A model that computes what the design computes.

    Args:
        x: rows that the integer bits are traced on.
        margin: factor on the observed ranges.
        dtype: float32, or float64 where float32 cannot hold the accumulators.
    """
    return Freezer(model, dtype).freeze(x, margin)


class Freezer:
    """Freezes one network as often as it changes: what Keras takes long for, the copy of its layers, is made once.

    Args:
        dtype: as of `freeze`.
    """

    def __init__(self, model: keras.Model, dtype: str = "float32") -> None:
        self._model, self._dtype = without_softmax(model), dtype
        self._exact = _clone(self._model, lambda layer: layer.frozen_config(), dtype)

    def freeze(self, x: Rows, margin: float) -> keras.Model:
        """As `freeze`; it may be changed by the next call."""
        for layer in quantized_layers(self._model):
            layer.freeze_into(cast(Part, self._exact.get_layer(layer.name)))
        calibrate(self._exact, x, margin)
        return _with_tables(self._exact, self._dtype)

    def graph(self, x: Rows, margin: float) -> Graph:
        """The graph of a network in training, with ranges from the first ROWS rows of `x`."""
        return from_keras(self.freeze(x[:ROWS], margin))[0]


def without_softmax(model: keras.Model) -> keras.Model:
    """The model up to softmaxes of floats at its outputs, which are there for a loss on probabilities only."""
    lasts = [tensor._keras_history for tensor in model.outputs]
    if not any(type(layer) is keras.layers.Softmax for layer, _, _ in lasts):
        return model
    outputs = [
        layer._inbound_nodes[index].input_tensors[0] if type(layer) is keras.layers.Softmax else tensor
        for tensor, (layer, index, _) in zip(model.outputs, lasts, strict=True)
    ]
    return keras.Model(_one_or_all(model.inputs), _one_or_all(outputs), name=model.name)


def _one_or_all(tensors: list[KerasTensor]) -> KerasTensor | list[KerasTensor]:
    return tensors[0] if len(tensors) == 1 else list(tensors)


def calibrate(exact: keras.Model, x: Rows, margin: float) -> None:
    """Trace the range of every activation of a frozen model on rows, once through, and choose its integer bits."""
    _look(exact, x, "calibrate")
    _settle(exact, lambda quantizer: quantizer.settle_range(margin))


def _clone(model: keras.Model, config_of: Callable[[Part], Config], dtype: str) -> keras.Model:
    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = config_of(layer) if isinstance(layer, Part) else layer.get_config()
        return layer.__class__.from_config({**config, "dtype": dtype})

    # a design has no loss: Keras would copy that of a compiled model too, by names that it may not know
    bare = keras.Model(_one_or_all(model.inputs), _one_or_all(model.outputs), name=model.name)
    return keras.models.clone_model(bare, clone_function=clone)


def _with_tables(exact: keras.Model, dtype: str) -> keras.Model:
    """`exact` itself where it needs no tables, else a copy that has them: their sizes are known only now."""
    tables = {layer.name: [part.tabulate() for part in layer.tables()] for layer in quantized_layers(exact) if layer.tables()}
    if not tables:
        return exact

    def config_of(layer: Part) -> Config:
        shapes = [values.shape for values, _ in tables.get(layer.name, [])]
        if not shapes:
            return dict(layer.live_config())
        key, value = ("table_shapes", shapes) if isinstance(layer, QSoftmax) else ("table_shape", shapes[0])
        return {**layer.live_config(), key: value}

    final = _clone(exact, config_of, dtype)
    for layer in exact.layers:
        twin = final.get_layer(layer.name)
        known = {v.path: v for v in layer.variables}
        for variable in twin.variables:
            if variable.path in known:
                variable.assign(known[variable.path])
        if layer.name in tables:
            for part, (values, index) in zip(cast(Part, twin).tables(), tables[layer.name], strict=True):
                part.table.assign(values)
                part.index.assign(index)
    return final


def logits(model: keras.Model, x: Rows) -> Floats:
    """The exact model's outputs as float64, (rows, outputs)."""
    return outputs(model, x).astype(np.float64)
