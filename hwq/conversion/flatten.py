"""Models inside models: the same layers called one by one, so that the conversion meets layers only."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hwq.backend import keras
from hwq.errors import ModelError

if TYPE_CHECKING:
    from keras import KerasTensor, Operation


def flat(model: keras.Model, swap: Callable[[Operation], Operation] | None = None) -> tuple[KerasTensor, list[Operation]]:
    """The output tensor and the layers of `model`, where it holds other models those of a call of all their layers one by one.

    Args:
        model: one of one input and one output.
        swap: what to call in the place of a layer, or the layer itself.

    Raises:
        ModelError: an inner model that does not say what it reads.
    """
    if swap is None and not any(isinstance(layer, keras.Model) for layer in model.layers):
        return model.outputs[0], list(model.layers)
    source = model.inputs[0]
    x = keras.Input(shape=source.shape[1:], dtype=source.dtype, name=source.name)
    called = [x._keras_history[0]]
    output = _call(model, [x], called, swap or (lambda layer: layer), {})[0]
    return output, list({id(layer): layer for layer in called}.values())


def _call(
    model: keras.Model,
    inputs: list[KerasTensor],
    called: list[Operation],
    swap: Callable[[Operation], Operation],
    over: dict[str, bool],
) -> list[KerasTensor]:
    """The outputs of `model` for new inputs, each of its layers called anew and added to `called`.

    Args:
        over: `training` where the model was called with it, for the layers that were not.
    """
    if not getattr(model, "outputs", None):
        raise ModelError(
            f"the model {model.name!r} inside the model has no symbolic inputs", hint="begin it with keras.Input(shape)"
        )
    known = {id(old): new for old, new in zip(model.inputs, inputs, strict=True)}

    def tensor(old: KerasTensor) -> KerasTensor:
        if id(old) not in known:
            layer, index, _ = old._keras_history
            node = layer._inbound_nodes[index]
            sources = [tensor(t) for t in node.input_tensors]
            args, kwargs = node.arguments.fill_in(known)
            if isinstance(layer, keras.Model):
                given = {"training": kwargs["training"]} if kwargs.get("training") is not None else over
                results = _call(layer, sources, called, swap, given)
            else:
                layer = swap(layer)
                called.append(layer)
                takes = getattr(layer, "_call_has_training_arg", False) and kwargs.get("training") is None
                result = layer(*args, **{**kwargs, **(over if takes else {})})
                results = list(result) if isinstance(result, (list, tuple)) else [result]
            known.update({id(t): new for t, new in zip(node.output_tensors, results, strict=True)})
        return known[id(old)]

    return [tensor(output) for output in model.outputs]
