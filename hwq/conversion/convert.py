"""A float Keras model to its quantised twin, layer by layer, keeping the weights; what cannot be converted is refused by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
import numpy.typing as npt

from hwq import layers as q
from hwq.backend import keras
from hwq.conversion import freeze
from hwq.conversion.activations import ends_in_softmax, twin_class
from hwq.conversion.config import QuantizeConfig
from hwq.conversion.expand import expanded
from hwq.conversion.far_off import far_off
from hwq.conversion.flatten import FlatModel, flat, in_order, inputs_of
from hwq.conversion.forms import check_model, functional, like
from hwq.conversion.functional import convert_operator, operator_quantizes
from hwq.conversion.kinds import KERNELS, kind_of
from hwq.conversion.rows import checked_rows, input_of_codes
from hwq.conversion.twins import HINTS, Copy, converter_of, copy_weights, quantizes, supported
from hwq.errors import ModelError, UnsupportedLayerError, UsageError
from hwq.frontend.report import ConversionReport
from hwq.layers.model import QuantizedModel
from hwq.layers.tracing import IDENTITIES, UNCHANGED, Trace
from hwq.tensors import Config, Singles

if TYPE_CHECKING:
    from keras import KerasTensor, Operation
    from keras.layers import Node

    from hwq.conversion.floats import FloatLayer, FloatOperation

MadeLayer = TypeVar("MadeLayer", bound=keras.layers.Layer)

GUESSED_ROWS = 256
GENERAL = ("bits", "overflow", "rounding", "granularity", "signed")  # options of a layer that every part of it takes


@dataclass(slots=True)
class Conversion:
    """One conversion: what the functions of `hwq.conversion.twins` read and fill in."""

    config: QuantizeConfig
    trace: Trace
    answers: set[int]  # ids of the tensors that the model answers
    outputs: set[int]  # ids of the tensors that the model answers, and that nothing in it reads
    origin: dict[int, tuple[str, str]] = field(default_factory=dict)  # of parts of layers: `hwq.conversion.flatten.FlatModel`
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
    raw_inputs: dict[int, KerasTensor] = field(default_factory=dict)  # id of the float model's tensor -> the twin's
    quantized_inputs: set[int] = field(default_factory=set)  # ids of input layers of the float model

    def tensor(self, tensor: KerasTensor) -> KerasTensor:
        """The twin's tensor for a tensor of the float model.

        Raises:
            UnsupportedLayerError: names the layer; of a part also the layer that it is a part of.
        """
        if id(tensor) not in self.known:
            layer = tensor._keras_history[0]
            try:
                self.known[id(tensor)] = self._convert(tensor)
            except UnsupportedLayerError as error:
                whole, kind = self.origin.get(id(layer), ("", ""))
                if not whole or f"layer {whole!r}" in error.message:
                    raise
                raise UnsupportedLayerError(f"layer {whole!r} ({kind}): {error.message}", hint=error.hint) from error
        return self.known[id(tensor)]

    def _convert(self, tensor: KerasTensor) -> KerasTensor:
        layer, node_index, _ = tensor._keras_history
        kind = type(layer).__name__
        if isinstance(layer, keras.layers.InputLayer):
            return self._input(layer, tensor)
        node = layer._inbound_nodes[node_index]
        if not isinstance(layer, keras.layers.Layer):
            result = convert_operator(self, cast("FloatOperation", layer), node, tensor, id(tensor) in self.outputs)
            if layer.name not in {name for name, _ in self.skipped}:
                self.told(layer)
            return result
        kind = kind_of(layer)
        converter = converter_of(kind)
        if converter is None:
            raise UnsupportedLayerError(
                f"layer {layer.name!r} is a {type(layer).__name__}, which hwq does not convert", hint=_hint(layer)
            )
        self.notice(layer, node)
        self._one_shape(layer)
        result = converter(self, cast("FloatLayer", layer), node.input_tensors, id(tensor) in self.outputs)
        if layer.name not in {name for name, _ in self.skipped} or kind in (*KERNELS, "BatchNormalization"):
            self.told(layer)
        return result

    def _one_shape(self, layer: keras.layers.Layer) -> None:
        """A quantiser has a bitwidth for each element of one shape of rows."""
        calls = [layer._inbound_nodes[index] for index in self.trace.calls[id(layer)]]
        shapes = {tuple(tuple(t.shape[1:]) for t in node.input_tensors) for node in calls}
        if len(shapes) > 1 and _quantizes(layer):
            raise UnsupportedLayerError(
                f"layer {layer.name!r} is called on rows of different shapes: {' and '.join(str(s[0]) for s in sorted(shapes))}",
                hint="give each shape a layer of its own, or bring the rows to one shape",
            )

    def told(self, layer: Operation) -> None:
        """Say that a layer is converted, or the one that it is a part of."""
        self.converted.append(self.origin.get(id(layer), (layer.name, type(layer).__name__)))

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

    def make(self, layer: Operation, part: str, factory: Callable[[], MadeLayer]) -> MadeLayer:
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
        return cast(MadeLayer, self.made[key])  # what the same factory has made

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
        whole = self.origin.get(id(layer), (layer.name, ""))[0]
        self.configured |= {layer.name, whole}
        general = {name: value for name, value in self.config.layers.get(whole, {}).items() if name in options or name in GENERAL}
        return {**options, **(general if whole != layer.name else {}), **self.config.layers.get(layer.name, {})}

    @property
    def table_bits(self) -> int:
        return self.config.table_bits or min(self.config.bits + 2, 10)

    def only_reader(self, tensor: KerasTensor, layer: Operation) -> bool:
        """Whether nothing but one call of `layer` reads the tensor, and neither it nor the tensor's layer is called twice."""
        before = tensor._keras_history[0]
        shared = self.trace.shared(before) or self.trace.shared(layer)
        return len(self.trace.readers[id(tensor)]) == 1 and id(tensor) not in self.answers and not shared

    def own_name(self, layer: Operation) -> str:
        """The name of the twin of `layer`: its own, but for layers of nested models that share one, and for parts of layers."""
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
        """An input is quantised once: where one layer that quantises reads it, by that one's quantiser; else by one that all share."""
        users = self.trace.users(tensor)
        looked_up = [kind_of(user) == "Embedding" for user in users]
        if any(looked_up) and not all(looked_up):
            raise UnsupportedLayerError(
                f"input {layer.name!r} is read by an Embedding and by other layers", hint="give the codes an input of their own"
            )
        if not any(looked_up) and tensor.dtype not in ("float32", "float64", "float16", "bfloat16"):
            raise UnsupportedLayerError(
                f"input {layer.name!r} has dtype {tensor.dtype}; only floats are quantised",
                hint='keras.Input(shape, dtype="float32"): whole numbers are floats, too',
            )
        if tensor.dtype != "float32":
            self.notes.append((layer.name, f"reads {tensor.dtype}; the twin reads float32"))
        x = self.raw_inputs[id(tensor)] = keras.Input(shape=tensor.shape[1:], name=layer.name, dtype="float32")
        alone = len(users) == 1 and not self.trace.shared(users[0]) and id(tensor) not in self.answers
        if any(looked_up):
            most = max(int(cast("FloatLayer", user).input_dim) for user in users)
            return x if alone else self.make(layer, "", lambda: q.QCodes(most, name=self.name(f"{layer.name}_codes")))(x)
        if alone and _quantizes(users[0]) and not (self.outputs & self.results(users[0]) and ends_in_softmax(self, users[0])):
            return x
        self.quantized_inputs.add(id(layer))
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
        return "SAT" if type(layer).__name__ == "InputLayer" and id(layer) not in self.quantized_inputs else self.config.overflow

    def results(self, layer: Operation) -> set[int]:
        """Ids of what the model's calls of `layer` return."""
        return {id(t) for index in self.trace.calls[id(layer)] for t in layer._inbound_nodes[index].output_tensors}


def _quantizes(layer: Operation) -> bool:
    return quantizes(cast("FloatLayer", layer)) if isinstance(layer, keras.layers.Layer) else operator_quantizes(layer)


def _hint(layer: Operation) -> str:
    kind = type(layer).__name__
    parents = [parent.__name__ for parent in type(layer).__mro__[1:] if getattr(keras.layers, parent.__name__, None) is parent]
    known = next((name for name in parents if converter_of(name) is not None), None)
    if known is not None and kind not in HINTS:
        return f"its call is written in other functions than those of keras.ops that hwq knows: write it in those, or take keras.layers.{known}"
    return HINTS.get(kind, f"supported: {', '.join(['InputLayer', *supported()])}")


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


def convert(model: keras.Model, config: QuantizeConfig) -> tuple[QuantizedModel, ConversionReport]:
    """The quantised twin of a float model, with its weights; the bitwidths still have to be initialised from data.

    Raises:
        UnsupportedLayerError: names the layer, and what is supported.
        ModelError: the model is not built.
        UsageError: an option for a layer that the model has not.
    """
    model = functional(model)
    check_model(model)
    with _in_float32():
        return _converted(model, config)


def _converted(model: keras.Model, config: QuantizeConfig) -> tuple[QuantizedModel, ConversionReport]:
    made = flat(model, expand=expanded)
    trace = Trace.of(made.outputs)
    conversion = Conversion(config, trace, {id(t) for t in made.outputs}, set(), made.origin)
    ends = [_through_identities(t) for t in made.outputs]
    conversion.answers |= {id(t) for t in ends}
    conversion.outputs |= {id(t) for t in ends if not trace.users(t)}
    _name_all(conversion, made, config)
    in_order(made.outputs, lambda t: id(t) in conversion.known, lambda t: _before(conversion, t), conversion.tensor)
    outputs = [conversion.tensor(t) for t in made.outputs]
    idle = sorted(set(config.layers) - conversion.configured)
    if idle:
        raise UsageError(f"layer {idle[0]!r} has no quantiser of its own: it takes no options", hint="name the layer that reads it")
    unread = [t for t in made.inputs if id(t) not in conversion.raw_inputs]
    if unread:
        raise ModelError(f"nothing reads the input {unread[0].name!r}", hint="leave it out of the model")
    inputs = [conversion.raw_inputs[id(t)] for t in made.inputs]
    twin = QuantizedModel(
        *(like(model, old, new) for old, new in ((model.inputs, inputs), (model.outputs, outputs))), name=model.name
    )
    twin.logits = tuple(
        number for number, t in enumerate(ends) if id(t) in conversion.outputs and ends_in_softmax(conversion, t._keras_history[0])
    )
    for one in conversion.copies.values():
        copy_weights(one)
    told = (conversion.converted, conversion.skipped, conversion.notes)
    return twin, ConversionReport(*(tuple(dict.fromkeys(part)) for part in told))


def _name_all(c: Conversion, made: FlatModel, config: QuantizeConfig) -> None:
    """Give every twin its name, and refuse options for layers that are not there."""
    layers = list({id(layer): layer for layer in (*made.layers, *c.trace.operations.values())}.values())
    names = {layer.name for layer in layers if id(layer) not in made.origin} | {name for name, _ in made.origin.values()}
    unknown = sorted(set(config.layers) - names - {layer.name for layer in layers})
    if unknown:
        raise UsageError(f"there is no layer {unknown[0]!r} in the model", hint=f"its layers: {', '.join(sorted(names))}")
    for layer in layers:
        whole = made.origin.get(id(layer), ("", ""))[0]
        c.own[id(layer)] = c.name(layer.name if layer.name.startswith(whole) else f"{whole}_{layer.name}")


def _before(c: Conversion, tensor: KerasTensor) -> list[KerasTensor]:
    """What must be converted first: a normalisation may take the place of the layer with a kernel that it reads."""
    sources = inputs_of(tensor)
    if type(tensor._keras_history[0]).__name__ != "BatchNormalization":
        return sources
    return [t for source in sources for t in (inputs_of(source) if kind_of(source._keras_history[0]) in KERNELS else [source])]


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


def quantize(model: keras.Model, config: QuantizeConfig | None = None, data: npt.ArrayLike | None = None) -> QuantizedModel:
    """A float Keras model, Sequential or functional, trained or not, to its quantised twin, ready for compile and fit.

    Args:
        model: a built model, of one or several inputs and outputs.
        config: `QuantizeConfig`; None: 6 bits to begin with, a bitwidth for every weight.
        data: rows (rows, ...) of the training data, from which the bitwidths of activations begin; a thousand are enough. Of several
            inputs a list in their order, or a dictionary by their names. None: rows drawn from the normal distribution, right only
            for inputs that are normalised.

    Returns:
        The twin, an ordinary Keras model. `twin.report` says what was converted and left out, and its `notes` where the twin is far from
        the float model on the data; it is saved with the twin. A softmax at the output stays for the loss's sake;
        `hwq.compile` leaves it out, since the argmax is the same without it.

    Raises:
        UnsupportedLayerError: a layer that cannot be converted, by name, with what to do.
        ModelError: the model is not built, or has nothing to quantise.
        DataError: rows that do not fit the model, NaN or infinity.
        TrainingError: a layer all of whose weights are zero.

    Example:
        >>> import keras, numpy as np, hwq
        >>> x = np.random.default_rng(0).normal(size=(100, 4)).astype("float32")
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="relu"), keras.layers.Dense(2)])
        >>> twin = hwq.quantize(model, hwq.QuantizeConfig(bits=8), data=x)
        >>> print(twin.report)
        2 layers converted
        >>> twin.compile("adam", "mse")
        >>> history = twin.fit(x, x[:, :2], epochs=1, verbose=0)
    """
    twin, report = convert(model, config or QuantizeConfig())
    rows = _guessed_rows(twin) if data is None else checked_rows(twin, data)
    freeze.initialise(twin, rows)
    if twin.logits:
        # the design does without it, but a loss on probabilities, as the float model has it, does not
        taken, name = {layer.name for layer in twin.layers}, "softmax_for_the_loss"
        outputs = list(twin.outputs)
        for number in twin.logits:
            while name in taken:
                name += "_"
            taken.add(name)
            outputs[number] = keras.layers.Softmax(name=name, dtype="float32")(outputs[number])
        twin = QuantizedModel(like(twin, twin.inputs, list(twin.inputs)), like(twin, twin.outputs, outputs), name=twin.name)
    told = None if data is None else far_off(functional(model), twin, rows)
    twin.report = report if told is None else replace(report, notes=(*report.notes, (twin.name, told)))
    return twin


def _guessed_rows(twin: QuantizedModel) -> Singles:
    """Rows of the normal distribution; whole numbers where a row of an Embedding is looked up."""
    rng, parts = np.random.default_rng(0), []
    counts = {id(input_of_codes(layer)): layer.count for layer in twin.layers if isinstance(layer, (q.QCodes, q.QEmbedding))}
    for tensor in twin.inputs:
        shape = (GUESSED_ROWS, math.prod(tensor.shape[1:]))
        drawn = rng.integers(0, counts[id(tensor)], shape) if id(tensor) in counts else rng.normal(size=shape)
        parts.append(drawn.astype(np.float32).reshape(-1, *tensor.shape[1:]))
    return checked_rows(twin, parts if len(parts) > 1 else parts[0])
