"""QKeras quantisers as files tell them: their names and options, as text or as configurations. What they make of numbers is elsewhere."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hwq.errors import UnsupportedLayerError
from hwq.importers import functions

MOST_TEXT = 1000  # characters of a quantiser told as text
MOST_BITS = 64
MOST_WHOLE = 256  # integer bits, either way of the point
_TRAINING = ("temperature", "use_real_sigmoid", "training")  # of the stochastic ones
# options in the order in which text may give them without names, with what they are when left out
SIGNATURES: dict[str, dict[str, Any]] = {
    "quantized_bits": {
        **{"bits": 8, "integer": 0, "symmetric": 0, "keep_negative": True, "alpha": None, "use_stochastic_rounding": False},
        **{"scale_axis": None, "qnoise_factor": 1.0, "var_name": None, "use_ste": True, "use_variables": False},
        **{"elements_per_scale": None, "min_po2_exponent": None, "max_po2_exponent": None, "post_training_scale": None},
    },
    "quantized_linear": {
        **{"bits": 8, "integer": 0, "symmetric": 1, "keep_negative": True, "alpha": None, "use_stochastic_rounding": False},
        **{"scale_axis": None, "qnoise_factor": 1.0, "var_name": None, "use_variables": False},
    },
    "quantized_relu": {
        **{"bits": 8, "integer": 0, "use_sigmoid": 0, "negative_slope": 0.0, "use_stochastic_rounding": False},
        **{"relu_upper_bound": None, "is_quantized_clip": True, "qnoise_factor": 1.0, "var_name": None, "use_ste": True},
        **{"use_variables": False},
    },
    "quantized_tanh": {"bits": 8, "use_stochastic_rounding": False, "symmetric": False, "use_real_tanh": False},
    "quantized_sigmoid": {"bits": 8, "symmetric": False, "use_real_sigmoid": False, "use_stochastic_rounding": False},
    "quantized_ulaw": {"bits": 8, "integer": 0, "symmetric": 0, "u": 255.0},
    "quantized_po2": {
        **{"bits": 8, "max_value": None, "use_stochastic_rounding": False, "quadratic_approximation": False},
        **{"log2_rounding": "rnd", "qnoise_factor": 1.0, "var_name": None, "use_ste": True, "use_variables": False},
    },
    "quantized_relu_po2": {
        **{"bits": 8, "max_value": None, "negative_slope": 0, "use_stochastic_rounding": False},
        **{"quadratic_approximation": False, "log2_rounding": "rnd", "qnoise_factor": 1.0, "var_name": None},
        **{"use_ste": True, "use_variables": False},
    },
    "quantized_hswish": {
        **{"bits": 8, "integer": 0, "symmetric": 0, "alpha": None, "use_stochastic_rounding": False, "scale_axis": None},
        **{"qnoise_factor": 1.0, "var_name": None, "use_ste": True, "use_variables": False, "relu_shift": 3, "relu_upper_bound": 6},
        **{"keep_negative": True, "post_training_scale": None},
    },
    "binary": {
        **{"use_01": False, "alpha": None, "use_stochastic_rounding": False, "scale_axis": None, "elements_per_scale": None},
        **{"min_po2_exponent": None, "max_po2_exponent": None, "training": False},
    },
    "ternary": {"alpha": None, "threshold": None, "use_stochastic_rounding": False, "number_of_unrolls": 5},
    "stochastic_binary": {"alpha": None, "temperature": 6.0, "use_real_sigmoid": True, "training": False},
    "stochastic_ternary": {
        **{"alpha": None, "threshold": None, "temperature": 8.0, "use_real_sigmoid": True, "number_of_unrolls": 5},
        **{"training": False},
    },
}
OWN_FUNCTIONS = ("hard_sigmoid", "hard_tanh", "smooth_sigmoid", "smooth_tanh", "binary_sigmoid", "binary_tanh")
UNSET = ("scale_axis", "elements_per_scale", "min_po2_exponent", "max_po2_exponent")  # no file has them, as QKeras writes none


@dataclass(frozen=True, slots=True)
class Quantizer:
    """One quantiser, or a function of one number.

    Attributes:
        kind: its class, `binary` and `ternary` for the stochastic ones, which are the same when a network answers; or a function's name.
        options: all of them, by name; none of a function.
        refits: whether the levels follow the last scale of `auto_po2`, as QKeras does since it writes `post_training_scale`.
    """

    kind: str
    options: Mapping[str, Any]
    refits: bool = False

    @property
    def is_function(self) -> bool:
        return self.kind not in SIGNATURES

    @property
    def is_auto(self) -> bool:
        """Whether the scale is computed from what is quantised."""
        return isinstance(self.options.get("alpha"), str)

    def whole(self, name: str) -> int:
        return int(self.options[name])

    def is_set(self, name: str) -> bool:
        return bool(self.options[name])

    @property
    def alpha(self) -> npt.NDArray[np.float32]:
        """The scale that is told, 1 for none; of one that is computed from weights there is none."""
        told = self.options.get("alpha")
        return np.asarray(1.0 if told is None else told, np.float32)

    def scaled_by_itself(self) -> Quantizer:
        """As a layer takes it for its weights: without a scale, the powers of two that fit them."""
        if self.options.get("alpha", 0) is not None:
            return self
        more = {"symmetric": True} if "symmetric" in self.options else {}
        return Quantizer(self.kind, {**self.options, "alpha": "auto_po2", **more}, self.refits)


def quantizer_of(told: Any, layer: str, part: str) -> Quantizer | None:
    """A quantiser or a function of one number, from text or from a configuration.

    Args:
        told: None; text as `quantized_bits(4, 0, alpha=1)` or `relu`; or an object with class_name and config.
        part: of the layer, for messages.

    Raises:
        UnsupportedLayerError: one that hwq has not, by name.
    """
    if told is None:
        return None
    refits, positional = False, list[Any]()
    if isinstance(told, Mapping):
        kind = str(told.get("class_name")).rsplit(">", 1)[-1]
        config = told.get("config")
        if kind == "function" or not isinstance(config, Mapping):
            name = config if kind == "function" else kind
            return quantizer_of(str(name), layer, part)
        named = dict(config)
        refits = "post_training_scale" in config
    else:
        kind, positional, named = _read(str(told), layer, part)
    if kind not in SIGNATURES:
        if positional or named or kind not in (*functions.NAMES, *functions.SELF, "softmax", *OWN_FUNCTIONS):
            raise _refused(layer, part, f"is {kind!r}", f"known: {', '.join((*SIGNATURES, *OWN_FUNCTIONS, *functions.SELF))}")
        return Quantizer(kind, {})
    signature = SIGNATURES[kind]
    if len(positional) > len(signature):
        raise _refused(layer, part, f"{kind} has {len(positional)} options", f"{kind} has {len(signature)}")
    named = {**dict(zip(signature, positional, strict=False)), **named}
    if others := sorted(set(named) - set(signature)):
        raise _refused(layer, part, f"{kind} has the option {others[0]!r}", f"known: {', '.join(signature)}")
    options = {name: _plain(named.get(name, default)) for name, default in signature.items()}
    _require_sound(Quantizer(kind, options), layer, part)
    return Quantizer(kind.removeprefix("stochastic_"), _as_answering(kind, options), refits)


def _as_answering(kind: str, options: dict[str, Any]) -> dict[str, Any]:
    """With the options of the class that a stochastic one is when a network answers."""
    if not kind.startswith("stochastic_"):
        return options
    return {**SIGNATURES[kind.removeprefix("stochastic_")], **{n: v for n, v in options.items() if n not in _TRAINING}}


def _read(text: str, layer: str, part: str) -> tuple[str, list[Any], dict[str, Any]]:
    """(name, options without a name, options by name) of a call written as text: literals only, nothing is run."""
    if len(text) > MOST_TEXT:
        raise _refused(layer, part, f"is a text of {len(text)} characters", f"at most {MOST_TEXT}")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        if isinstance(tree, ast.Name):
            return tree.id, [], {}
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and all(k.arg for k in tree.keywords):
            positional = [ast.literal_eval(item) for item in tree.args]
            return tree.func.id, positional, {str(k.arg): ast.literal_eval(k.value) for k in tree.keywords}
    except (SyntaxError, ValueError):
        pass
    raise _refused(layer, part, f"is {text[:80]!r}", "a name, or a name with numbers and words in brackets")


def _plain(value: Any) -> Any:
    """An array of a file, in any of the ways in which Keras writes one, as an array; others as they are."""
    if isinstance(value, Mapping):
        inner = value.get("config", value.get("value"))
        value = inner.get("value") if isinstance(inner, Mapping) else inner
    if isinstance(value, (list, tuple)):
        return np.asarray(value, np.float32)
    return value


def _require_sound(one: Quantizer, layer: str, part: str) -> None:
    """Raises UnsupportedLayerError: options that no quantiser of QKeras has, or that leave numbers as they were."""
    known = one.options
    for name, most in (("bits", MOST_BITS), ("integer", MOST_WHOLE)):
        if name not in known:
            continue
        value = known[name]
        if isinstance(value, np.ndarray) or value is None or isinstance(value, str) or value != int(value):
            raise _refused(layer, part, f"{one.kind} has {name}={value}", "whole numbers of bits")
        if abs(int(value)) > most or (name == "bits" and value < 1):
            raise _refused(layer, part, f"{one.kind} has {name}={value}", f"from {1 if name == 'bits' else -most} to {most}")
    if known.get("qnoise_factor", 1.0) != 1.0:
        raise _refused(
            layer, part, f"{one.kind} has qnoise_factor={known['qnoise_factor']}", "1.0: with less it quantises in part only"
        )
    for name in UNSET:
        if known.get(name) is not None:
            raise _refused(layer, part, f"{one.kind} has {name}={known[name]}", "leave it out: a scale for each output")
    alpha = known.get("alpha")
    if isinstance(alpha, str) and alpha not in ("auto", "auto_po2"):
        raise _refused(layer, part, f"{one.kind} has alpha={alpha!r}", "None, a number, 'auto' or 'auto_po2'")
    if alpha is not None and not isinstance(alpha, str) and not (np.isfinite(alpha).all() and np.all(np.asarray(alpha) > 0)):
        raise _refused(layer, part, f"{one.kind} has alpha={alpha}", "a positive number")
    slope = known.get("negative_slope") or 0
    if slope and (math.frexp(slope)[0] != 0.5 or slope > 1):
        raise _refused(layer, part, f"{one.kind} has negative_slope={slope}", "a power of two up to 1")
    if known.get("log2_rounding", "rnd") not in ("rnd", "floor"):
        raise _refused(layer, part, f"{one.kind} rounds by {known['log2_rounding']}", "rnd or floor")


def _refused(layer: str, part: str, why: str, hint: str) -> UnsupportedLayerError:
    return UnsupportedLayerError(f"layer {layer!r}: its {part} {why}", hint=hint)
