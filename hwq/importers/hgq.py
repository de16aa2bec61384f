"""HGQ and HGQ2 (.keras and .h5): layers with a quantiser for each element. Training state, EBOPs and attention layers stay out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwq.errors import ModelError, UnsupportedLayerError
from hwq.importers.builder import Builder, Signal
from hwq.importers.fixed_point import OVERFLOWS, ROUNDINGS, Fixed, whole_bits
from hwq.importers.functions import name_of, named
from hwq.importers.keras_files import StoredLayer


def quantizers(layer: StoredLayer, part: str) -> list[Fixed]:
    """The quantisers of a part, one for each input.

    Args:
        part: iq, kq, bq, oq or toq.

    Raises:
        UnsupportedLayerError: of a kind that has no exact form.
        ModelError: the file does not hold its bits.
    """
    told = layer.config.get(f"{part}_confs") if layer.config.get(f"{part}_confs") else layer.config.get(f"{part}_conf")
    arrays = layer.quantizer(part)
    if not arrays:
        raise ModelError(f"layer {layer.name!r} has no bits of its quantiser {part} in the file")
    each = told if isinstance(told, list) else [told] * len(arrays)
    if len(each) != len(arrays):
        raise ModelError(f"layer {layer.name!r} tells {len(each)} quantisers {part}, the file has the bits of {len(arrays)}")
    return [fixed(layer.name, part, one.get("config", one), found) for one, found in zip(each, arrays, strict=True)]


def fixed(layer: str, part: str, told: Mapping[str, Any], arrays: Mapping[str, Any]) -> Fixed:
    """A quantiser from its options and its arrays, named or numbered.

    Raises:
        UnsupportedLayerError: of a kind that has no exact form.
        ModelError: other arrays than a quantiser has.
    """
    kind = str(told.get("q_type")).lower()
    rounding = str(told.get("round_mode")).upper().removeprefix("S_")  # stochastic rounding is of training
    overflow = str(told.get("overflow_mode")).upper()
    for what, value, known in (
        ("type", kind, ("kbi", "kif")),
        ("rounding", rounding, ROUNDINGS),
        ("overflow", overflow, OVERFLOWS),
    ):
        if value not in known:
            raise UnsupportedLayerError(
                f"layer {layer!r}: its quantiser {part} has the {what} {value}", hint=f"known: {', '.join(known)}"
            )
    if told.get("scaler") not in (None, 1, 1.0) or told.get("affine") not in (None, [1, 0], [1.0, 0.0]):
        raise UnsupportedLayerError(f"layer {layer!r}: its quantiser {part} scales", hint="quantisers without scaler and affine")
    found = _bits(layer, part, kind, overflow, arrays)
    k, i, b_or_f = (whole_bits(found[name]) for name in ("k", "i", "b" if kind == "kbi" else "f"))
    f = b_or_f - i if kind == "kbi" else b_or_f
    weight = bool(told.get("is_weight")) and overflow == "WRAP" and bool(told.get("trainable", True))
    unbounded = weight and (kind == "kif" or rounding == "RND")
    return Fixed(k, i, f, rounding, overflow, unbounded)


def _bits(layer: str, part: str, kind: str, overflow: str, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """k, i and b or f by name: numbered arrays are in the order of Keras, those that are trained first."""
    wide = "b" if kind == "kbi" else "f"
    if "k" in arrays:
        found = {name: np.asarray(arrays[name]) for name in ("k", "i", wide) if name in arrays}
    else:
        ordered = [np.asarray(arrays[n]) for n in sorted(arrays, key=int)]
        ordered = [array for array in ordered if array.ndim]
        k = [array for array in ordered if array.dtype == np.uint8]
        rest = [array for array in ordered if array.dtype != np.uint8]
        # a range that wraps is not trained, and so comes after what is; else i is made after b and before f
        order = ("i", "f") if kind == "kif" and overflow != "WRAP" else (wide, "i")
        found = dict(zip(order, rest, strict=False)) | ({"k": k[0]} if k else {})
    if set(found) != {"k", "i", wide}:
        raise ModelError(f"layer {layer!r}: the file does not hold k, i and {wide} of its quantiser {part}")
    return found


def entering(builder: Builder, layer: StoredLayer, values: list[Signal]) -> list[Signal]:
    """Inputs through the layer's input quantisers."""
    if not layer.config.get("enable_iq", True):
        return values
    found = quantizers(layer, "iq")
    if len(found) != len(values):
        raise ModelError(f"layer {layer.name!r} has {len(found)} input quantisers for {len(values)} inputs")
    suffixes = ["quantize"] if len(values) == 1 else [f"quantize_{n}" for n in range(len(values))]
    return [builder.quantize(layer.name, v, q, s) for v, q, s in zip(values, found, suffixes, strict=True)]


def leaving(builder: Builder, layer: StoredLayer, value: Signal) -> Signal:
    """A result through the layer's activation and its output quantiser."""
    value = activated(builder, layer, value, layer.config.get("activation"))
    if layer.config.get("enable_oq"):
        value = builder.quantize(layer.name, value, quantizers(layer, "oq")[0], "out")
    return value


def activated(builder: Builder, layer: StoredLayer, value: Signal, told: Any) -> Signal:
    """Through a function by its name."""
    name = name_of(told, layer.name)
    if name == "linear":
        return value
    if name == "softmax":
        raise UnsupportedLayerError(f"layer {layer.name!r} ends in a softmax", hint="put it in a layer of its own, at the end")
    if name == "hard_sigmoid" and layer.by_name:
        raise UnsupportedLayerError(
            f"layer {layer.name!r} is a hard_sigmoid, which is x / 5 + 1 / 2 in Keras 2 and x / 6 + 1 / 2 in Keras 3; an .h5 file is of either",
            hint="save it as .keras",
        )
    node = builder.node(layer.name, value)
    if name == "relu":
        return Signal(builder.add(f"{layer.name}_relu", "relu", [node], layer.name))
    return Signal(node, function=named(name))
