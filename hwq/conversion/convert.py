"""A float Keras model to its quantised twin, layer by layer, keeping the weights; what cannot be converted is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
import numpy.typing as npt

from hwq.backend import keras
from hwq.conversion import freeze
from hwq.conversion.config import QuantizeConfig
from hwq.conversion.converters import ARGMAX_NOTE, HINTS, KERNELS, KINDS, Copy, copy_weights, quantizes, twin_class
from hwq.conversion.flatten import flat
from hwq.conversion.operators import convert_operator, operator_quantizes
from hwq.conversion.rows import checked_rows
from hwq.errors import ModelError, UnsupportedLayerError, UsageError
from hwq.frontend.report import ConversionReport
from hwq.layers.model import QuantizedModel
from hwq.layers.tracing import IDENTITIES, UNCHANGED, Trace
from hwq.tensors import Config, Singles

if TYPE_CHECKING:
    from keras import KerasTensor, Operation
    from keras.layers import Node

    from hwq.conversion.floats import FloatLayer, FloatOperation

Layer = TypeVar("Layer", bound=keras.layers.Layer)

SUPPORTED = ", ".join(["InputLayer", *sorted(KINDS)])
GUESSED_ROWS = 256


@dataclass(slots=True)
class Conversion:
    """One conversion: what the functions of `hwq.conversion.converters` read and fill in."""

    config: QuantizeConfig
    trace: Trace
    output: int  # id of the model's output tensor
    known: dict[int, KerasTensor] = field(default_factory=dict)
    made: dict[tuple[int, str], keras.layers.Layer] = field(default_factory=dict)
    copies: dict[int, Copy] = field(default_factory=dict)
    converted: list[tuple[str, str]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    flags: dict[int, bool | None] = field(default_factory=dict)  # id of a layer -> `training` of its latest call
    names: set[str] = field(default_factory=set)
    own: dict[int, str] = field(default_factory=dict)
    configured: set[str] = field(default_factory=set)  # layers that have taken options of their own
    raw_input: KerasTensor | None = None
    quantized_input: bool = False

    def tensor(self, tensor: KerasTensor) -> KerasTensor:
        """The twin's tensor for a tensor of the float model."""
        if id(tensor) not in self.known:
            self.known[id(tensor)] = self._convert(tensor)
        return self.known[id(tensor)]

    def _convert(self, tensor: KerasTensor) -> KerasTensor:
        layer, node_index, _ = tensor._keras_history
        kind = type(layer).__name__
        if isinstance(layer, keras.layers.InputLayer):
            return self._input(layer, tensor)
        node = layer._inbound_nodes[node_index]
        if not isinstance(layer, keras.layers.Layer):
            result = convert_operator(self, cast("FloatOperation", layer), node, tensor, id(tensor) == self.output)
            if layer.name not in {name for name, _ in self.skipped}:
                self.converted.append((layer.name, kind))
            return result
        # a class of the user's own may share a name with one of Keras
        if kind not in KINDS or getattr(keras.layers, kind, None) is not type(layer):
            raise UnsupportedLayerError(f"layer {layer.name!r} is a {kind}, which hwq does not convert", hint=_hint(layer))
        self.notice(layer, node)
        result = KINDS[kind](self, cast("FloatLayer", layer), node.input_tensors, id(tensor) == self.output)
        if layer.name not in {name for name, _ in self.skipped} or kind in (*KERNELS, "BatchNormalization"):
            self.converted.append((layer.name, kind))
        return result

    def notice(self, layer: keras.layers.Layer, node: Node) -> None:
        """Refuse what Keras has quantised itself, and note what the twin does otherwise than the layer."""
        mode = getattr(layer, "quantization_mode", None)
        if mode is not None:
            raise UnsupportedLayerError(
                f"layer {layer.name!r} was quantised to {mode} by Keras: its kernel holds codes, which mean nothing without their scales",
                hint="give the float model, as it is before model.quantize(...)",
            )
        self.flags[id(layer)] = node.arguments.kwargs.get("training")
        if layer.compute_dtype != "float32":
            self.notes.append((layer.name, f"computes in {layer.compute_dtype} ({layer.dtype_policy.name}); converted in float32"))
        if not layer.trainable and layer.weights:
            self.notes.append((layer.name, "trainable=False: its weights stay as they are, its bitwidths are learned"))

    def training_flag(self, layer: Operation) -> bool | None:
        """`training` as the model gives it to a layer; None where it leaves it to the caller."""
        return self.flags.get(id(layer))

    def make(self, layer: Operation, part: str, factory: Callable[[], Layer]) -> Layer:
        """The twin of (a part of) a float layer: made once, so that a layer that is called twice has one twin, called twice."""
        key = (id(layer), part)
        if key not in self.made:
            try:
                self.made[key] = factory()
            except (TypeError, ValueError) as error:
                if layer.name not in self.config.layers:
                    raise
                given = dict(self.config.layers[layer.name])
                raise UsageError(
                    f"layer {layer.name!r} does not take all of the options {given}", hint=str(error).splitlines()[0]
                ) from error
        return cast(Layer, self.made[key])  # what the same factory has made

    def options(self, source: KerasTensor, *, weights: bool = False) -> Config:
        """The quantisers' options of the twin of a layer that reads the float tensor `source`."""
        config = self.config
        out: Config = {"bits": config.bits, "overflow": self.overflow(source), "rounding": config.rounding}
        if config.granularity is not None:
            out["granularity"] = config.granularity
        if weights:
            names = ("weight_granularity", "weight_rounding", "weight_terms", "weight_levels")
            out.update({name: getattr(config, name) for name in names})
        return out

    def overrides(self, layer: Operation, options: Config) -> Config:
        """`options` with what the configuration says for this layer alone."""
        self.configured.add(layer.name)
        return {**options, **self.config.layers.get(layer.name, {})}

    @property
    def table_bits(self) -> int:
        return self.config.table_bits or min(self.config.bits + 2, 10)

    def only_reader(self, tensor: KerasTensor, layer: Operation) -> bool:
        """Whether nothing but one call of `layer` reads the tensor, and neither it nor the tensor's layer is called twice."""
        before = tensor._keras_history[0]
        shared = self.trace.shared(before) or self.trace.shared(layer)
        return len(self.trace.readers[id(tensor)]) == 1 and id(tensor) != self.output and not shared

    def own_name(self, layer: Operation) -> str:
        """The name of the twin of `layer`: its own, but for layers of nested models that share one."""
        return self.own[id(layer)]

    def name(self, wanted: str) -> str:
        """A name for a layer that the float model has not: Keras refuses two of one name."""
        name, number = wanted, 1
        while name in self.names:
            number += 1
            name = f"{wanted}_{number}"
        self.names.add(name)
        return name

    def _input(self, layer: keras.layers.InputLayer, tensor: KerasTensor) -> KerasTensor:
        """The design has one quantised input: where one layer that quantises reads it, that one's quantiser; else one that all share."""
        if tensor.dtype not in ("float32", "float64", "float16", "bfloat16"):
            raise UnsupportedLayerError(
                f"input {layer.name!r} has dtype {tensor.dtype}; only floats are quantised",
                hint='keras.Input(shape, dtype="float32"): whole numbers are floats, too',
            )
        if tensor.dtype != "float32":
            self.notes.append((layer.name, f"reads {tensor.dtype}; the twin reads float32"))
        x = self.raw_input = keras.Input(shape=tensor.shape[1:], name=layer.name, dtype="float32")
        users = self.trace.users(tensor)
        if len(users) == 1 and _quantizes(users[0]) and not self.trace.shared(users[0]):
            return x
        self.quantized_input = True
        name = self.name(f"{layer.name}_quantize")
        granularity = self.config.granularity or ("channel" if len(tensor.shape) > 3 else "element")
        options: Config = {"bits": self.config.bits, "overflow": "SAT", "rounding": self.config.rounding}
        options["granularity"] = granularity
        return self.make(layer, "", lambda: twin_class("Quantize")(**self.overrides(layer, options), name=name))(x)

    def overflow(self, source: KerasTensor) -> str:
        """The host quantises the design's inputs, so that saturating them costs nothing."""
        layer, index, _ = source._keras_history
        while type(layer).__name__ in UNCHANGED:
            layer, index, _ = layer._inbound_nodes[index].input_tensors[0]._keras_history
        return "SAT" if type(layer).__name__ == "InputLayer" and not self.quantized_input else self.config.overflow


def _quantizes(layer: Operation) -> bool:
    return quantizes(cast("FloatLayer", layer)) if isinstance(layer, keras.layers.Layer) else operator_quantizes(layer)


def _hint(layer: Operation) -> str:
    kind = type(layer).__name__
    parents = [parent.__name__ for parent in type(layer).__mro__[1:] if getattr(keras.layers, parent.__name__, None) is parent]
    known = next((name for name in parents if name in KINDS), None)
    if known is not None and kind not in HINTS:
        return f"it is a class of its own; hwq reads {known} itself: take keras.layers.{known} in its place"
    return HINTS.get(kind, f"supported: {SUPPORTED}")


@contextmanager
def _in_float32() -> Iterator[None]:
    """Layers made inside compute in float32, whatever policy the user has set."""
    policy, floatx = keras.config.dtype_policy(), keras.config.floatx()
    try:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)


def _check(model: keras.Model) -> None:
    if not isinstance(model, keras.Model):
        raise ModelError(f"a {type(model).__name__} is no Keras model", hint="give a Sequential or a functional keras.Model")
    if not getattr(model, "outputs", None):
        if isinstance(model, keras.Sequential):
            raise ModelError("the model has no input shape yet", hint="begin it with keras.Input(shape), or call it once on data")
        raise ModelError(
            f"the model {model.name!r} is a class of its own ({type(model).__name__}): its layers are hidden in its call method",
            hint="trace it: x = keras.Input(shape); model = keras.Model(x, model.call(x))",
        )
    if not model.built:
        raise ModelError("the model has no input shape yet", hint="begin it with keras.Input(shape), or call it once on data")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ModelError(f"the model has {len(model.inputs)} inputs and {len(model.outputs)} outputs; hwq takes one of each")


def convert(model: keras.Model, config: QuantizeConfig) -> tuple[QuantizedModel, ConversionReport]:
    """The quantised twin of a float model, with its weights; the bitwidths still have to be initialised from data.

    Raises:
        UnsupportedLayerError: names the layer, and what is supported.
        ModelError: the model is not built, or has several inputs or outputs.
        UsageError: an option for a layer that the model has not.
    """
    _check(model)
    with _in_float32():
        return _converted(model, config)


def _converted(model: keras.Model, config: QuantizeConfig) -> tuple[QuantizedModel, ConversionReport]:
    end, layers = flat(model)
    trace = Trace.of(end)
    layers = list({id(layer): layer for layer in (*layers, *trace.operations.values())}.values())
    names = {layer.name for layer in layers}
    unknown = sorted(set(config.layers) - names)
    if unknown:
        raise UsageError(f"there is no layer {unknown[0]!r} in the model", hint=f"its layers: {', '.join(sorted(names))}")
    conversion = Conversion(config, trace, id(_through_identities(end)))
    conversion.own.update({id(layer): conversion.name(layer.name) for layer in layers})
    outputs = conversion.tensor(end)
    idle = sorted(set(config.layers) - conversion.configured)
    if idle:
        raise UsageError(f"layer {idle[0]!r} has no quantiser of its own: it takes no options", hint="name the layer that reads it")
    if not conversion.copies:
        raise ModelError("the model has no Dense or convolution: there is nothing to quantise", hint=f"supported: {SUPPORTED}")
    twin = QuantizedModel(conversion.raw_input, outputs, name=model.name)
    for one in conversion.copies.values():
        copy_weights(one)
    told = (conversion.converted, conversion.skipped, conversion.notes)
    return twin, ConversionReport(*(tuple(dict.fromkeys(part)) for part in told))


def _through_identities(tensor: KerasTensor) -> KerasTensor:
    """The tensor that the model's output is, layers looked through that do nothing at inference."""
    layer, index, _ = tensor._keras_history
    while type(layer).__name__ in IDENTITIES:
        tensor = layer._inbound_nodes[index].input_tensors[0]
        layer, index, _ = tensor._keras_history
    return tensor


def quantize_model(model: keras.Model, *, bits: int = 6, overflow: str = "WRAP") -> tuple[QuantizedModel, ConversionReport]:
    """`convert` with nothing but initial bits and the overflow mode of hidden activations."""
    return convert(model, QuantizeConfig(bits=bits, overflow=overflow))


def quantize(
    model: keras.Model, config: QuantizeConfig | None = None, data: npt.ArrayLike | None = None
) -> tuple[QuantizedModel, ConversionReport]:
    """A float Keras model, Sequential or functional, trained or not, to its quantised twin, ready for compile and fit.

    Args:
        model: a built model of one input and one output.
        config: `QuantizeConfig`; None: 6 bits to begin with, a bitwidth for every weight.
        data: rows (rows, ...) of the training data, from which the bitwidths of activations begin; a thousand are enough. None:
            rows drawn from the normal distribution, right only for inputs that are normalised.

    Returns:
        The twin, an ordinary Keras model, and what was converted and left out. A softmax at the output stays for the loss's sake;
        `hwq.compile` leaves it out, since the argmax is the same without it.

    Raises:
        UnsupportedLayerError: a layer that cannot be converted, by name, with what to do.
        ModelError: the model is not built, has several inputs or outputs, or nothing to quantise.
        DataError: rows that do not fit the model, NaN or infinity.
        TrainingError: a layer all of whose weights are zero.

    Example:
        >>> import keras, numpy as np, hwq
        >>> x = np.random.default_rng(0).normal(size=(100, 4)).astype("float32")
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="relu"), keras.layers.Dense(2)])
        >>> twin, report = hwq.quantize(model, hwq.QuantizeConfig(bits=8), data=x)
        >>> print(report)
        2 layers converted
        >>> twin.compile("adam", "mse")
        >>> history = twin.fit(x, x[:, :2], epochs=1, verbose=0)
    """
    twin, report = convert(model, config or QuantizeConfig())
    freeze.initialise(twin, _guessed_rows(model) if data is None else checked_rows(model, data))
    if any(note == ARGMAX_NOTE for _, note in report.skipped):
        # the design does without it, but a loss on probabilities, as the float model has it, does not
        taken, name = {layer.name for layer in twin.layers}, "softmax_for_the_loss"
        while name in taken:
            name += "_"
        softmax = keras.layers.Softmax(name=name, dtype="float32")
        twin = QuantizedModel(twin.inputs[0], softmax(twin.outputs[0]), name=twin.name)
    return twin, report


def _guessed_rows(model: keras.Model) -> Singles:
    return np.random.default_rng(0).normal(size=(GUESSED_ROWS, *model.inputs[0].shape[1:])).astype(np.float32)
