"""Layers and operations that are made of others, taken apart: a call becomes calls of simpler ones, on the same weights.

`hwq.conversion.flatten` calls this for every layer and operation of a float model; what comes out is looked at again. Layers that
are not known at all are taken apart by their own `call`, where that is written in layers and `keras.ops`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwq.backend import keras
from hwq.conversion.attention import ATTENTION
from hwq.conversion.floats import Formula, Given
from hwq.conversion.following import weights_first
from hwq.conversion.kinds import kind_of
from hwq.conversion.norms import NORMS
from hwq.conversion.operations import OPERATIONS
from hwq.conversion.recurrent import RECURRENT
from hwq.conversion.twins import HINTS, converter_of
from hwq.errors import HwqError, UnsupportedLayerError

if TYPE_CHECKING:
    from keras import KerasTensor, Operation

WHOLE: dict[str, Formula] = {**NORMS, **RECURRENT, **ATTENTION}


def expanded(layer: Operation, args: tuple[Given, ...], kwargs: dict[str, Given]) -> list[KerasTensor] | None:
    """The results of a call, made of calls of simpler layers and operations; None where it is simple itself, or cannot be taken apart.

    Raises:
        UnsupportedLayerError: a form of the layer that no hardware of fixed size has, by name.
    """
    with weights_first():
        return _expanded(layer, args, kwargs)


def _expanded(layer: Operation, args: tuple[Given, ...], kwargs: dict[str, Given]) -> list[KerasTensor] | None:
    if not isinstance(layer, keras.layers.Layer):
        form = OPERATIONS.get(type(layer).__name__)
        return None if form is None else _listed(form(layer, *args, **kwargs))
    kind = kind_of(layer)
    if converter_of(kind) is not None and kwargs.get("mask") is not None:
        raise UnsupportedLayerError(
            f"layer {layer.name!r} is given a mask: which steps count depends on the row",
            hint="leave out Masking and mask_zero; pad the rows with zeros instead",
        )
    if kind in WHOLE:
        return _listed(WHOLE[kind](layer, *args, **kwargs))
    known = converter_of(kind) is not None or kind in HINTS or kind == "InputLayer"
    return None if known else _by_its_call(layer, args, kwargs)


def _by_its_call(layer: Operation, args: tuple[Given, ...], kwargs: dict[str, Given]) -> list[KerasTensor] | None:
    given = {name: value for name, value in kwargs.items() if name != "training"}
    if getattr(layer, "_call_has_training_arg", False):
        given["training"] = kwargs.get("training")
    try:
        return _listed(layer.call(*args, **given))
    except HwqError:
        raise
    except Exception:  # the user's own code may raise anything on tensors without numbers
        return None


def _listed(results: Given) -> list[KerasTensor] | None:
    found = None if results is None else keras.tree.flatten(results)
    return found if found and all(isinstance(t, keras.KerasTensor) for t in found) else None
