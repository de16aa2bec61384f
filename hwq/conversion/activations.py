"""Activations: rectifiers, functions of one number by table, softmaxes. Each function is one of `hwq.conversion.twins`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hwq import layers as q
from hwq.backend import keras
from hwq.conversion.kinds import KERNELS, kind_of
from hwq.conversion.parts import Slope
from hwq.errors import UnsupportedLayerError
from hwq.layers.activation import function_name
from hwq.quantizers.powers import power_activation
from hwq.tensors import Config, Tensor

if TYPE_CHECKING:
    from keras import KerasTensor, Operation

    from hwq.conversion.convert import Conversion
    from hwq.conversion.floats import FloatLayer, FloatOperation

ARGMAX_NOTE = "softmax of the outputs: the design answers logits; the argmax is the same without it"


def twin_class(name: str) -> Callable[..., q.Part]:
    """The class of `hwq.layers` of that name. Some of its arguments are the user's: they are checked where it is called."""
    found: Callable[..., q.Part] = getattr(q, name)
    return found


def activate(c: Conversion, layer: FloatLayer, y: KerasTensor, source: KerasTensor, final: bool) -> KerasTensor:
    """The activation of `layer` on the twin's tensor y, as a layer of its own."""
    function = layer.activation
    name = function_name(function)
    if name == "linear":
        return y
    if name == "relu":
        y = c.make(layer, "relu", lambda: keras.layers.ReLU(name=c.name(f"{c.own_name(layer)}relu")))(y)
        if c.config.activations == "fixed" or final:
            return y
        return table(c, layer, y, source, power_activation, c.name(f"{c.own_name(layer)}_power"))
    if name == "softmax":
        return softmax_of(c, layer, y, source, final, c.name(f"{c.own_name(layer)}softmax"))
    return table(c, layer, y, source, function, c.name(f"{c.own_name(layer)}_{name}".rstrip("_")))


def activation(c: Conversion, layer: FloatLayer, inputs: list[KerasTensor], final: bool) -> KerasTensor:
    return activate(c, layer, c.tensor(inputs[0]), inputs[0], final)


def ends_in_softmax(c: Conversion, layer: Operation) -> bool:
    """Whether a layer whose result is the model's ends in a softmax that the design does without."""
    softmax = kind_of(layer) == "Softmax" or function_name(getattr(layer, "activation", None)) == "softmax"
    return softmax and c.config.softmax == "drop"


def softmax_of(c: Conversion, layer: FloatOperation, y: KerasTensor, source: KerasTensor, final: bool, name: str) -> KerasTensor:
    if final and c.config.softmax == "drop":
        c.skipped.append((layer.name, ARGMAX_NOTE))
        return y
    options = {k: v for k, v in c.options(source).items() if k in ("overflow", "rounding", "bits")}
    return c.make(
        layer, "softmax", lambda: twin_class("QSoftmax")(name=name, **c.overrides(layer, {**options, "bits": c.table_bits}))
    )(y)


def softmax(c: Conversion, layer: FloatLayer, inputs: list[KerasTensor], final: bool) -> KerasTensor:
    if layer.axis not in (-1, len(inputs[0].shape) - 1):
        raise UnsupportedLayerError(f"layer {layer.name!r} is a softmax over axis {layer.axis}", hint="take the last axis")
    return softmax_of(c, layer, c.tensor(inputs[0]), inputs[0], final, c.own_name(layer))


def table(
    c: Conversion, layer: FloatOperation, y: KerasTensor, source: KerasTensor, function: Callable[[Tensor], Tensor], name: str
) -> KerasTensor:
    options = {k: v for k, v in c.options(source).items() if k != "granularity"}
    options.update(bits=c.table_bits, output_bits=c.config.bits + 2)
    if getattr(function, "pole", ""):
        options["overflow"] = "SAT"  # a great number that wraps would be one near the pole
    own = c.overrides(layer, options) if kind_of(layer) not in KERNELS else options
    return c.make(layer, "table", lambda: twin_class("QActivation")(function, name=name, **own))(y)


@keras.saving.register_keras_serializable(package="hwq")
class BoundedReLU:
    """relu with a ceiling, a threshold or a slope below it, as keras.layers.ReLU has them: a function of one number."""

    def __init__(self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0) -> None:
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold

    def __call__(self, x: Tensor) -> Tensor:
        return keras.activations.relu(x, self.negative_slope, self.max_value, self.threshold)

    def get_config(self) -> Config:
        """What the function is made from again."""
        return {"max_value": self.max_value, "negative_slope": self.negative_slope, "threshold": self.threshold}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> BoundedReLU:
        """The function that `get_config` tells of."""
        return cls(**config)


def plain_relu(layer: FloatLayer) -> bool:
    """Whether a ReLU layer needs no table."""
    return layer.max_value is None and not layer.threshold and (not layer.negative_slope or power_of_two(layer.negative_slope))


def relu(c: Conversion, layer: FloatLayer, inputs: list[KerasTensor], final: bool) -> KerasTensor:
    x = c.tensor(inputs[0])
    if plain_relu(layer):
        return c.make(layer, "", lambda: keras.layers.ReLU(negative_slope=layer.negative_slope, name=c.own_name(layer)))(x)
    function = BoundedReLU(
        None if layer.max_value is None else float(layer.max_value), float(layer.negative_slope), float(layer.threshold)
    )
    return table(c, layer, x, inputs[0], function, c.own_name(layer))


def leaky_relu(c: Conversion, layer: FloatOperation, inputs: list[KerasTensor], final: bool) -> KerasTensor:
    slope = float(layer.negative_slope)
    if not power_of_two(slope):
        return table(c, layer, c.tensor(inputs[0]), inputs[0], Slope("leaky", slope), c.own_name(layer))
    return c.make(layer, "", lambda: keras.layers.LeakyReLU(negative_slope=slope, name=c.own_name(layer)))(c.tensor(inputs[0]))


def elu(c: Conversion, layer: FloatLayer, inputs: list[KerasTensor], final: bool) -> KerasTensor:
    return table(c, layer, c.tensor(inputs[0]), inputs[0], Slope("elu", float(layer.alpha)), c.own_name(layer))


def power_of_two(slope: float) -> bool:
    return 0 < slope <= 1 and math.frexp(float(slope))[0] == 0.5
