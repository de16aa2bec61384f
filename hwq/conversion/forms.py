"""Forms in which a model may come: functional, Sequential, a class of its own; and the structure of its inputs and outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwq.backend import keras
from hwq.conversion.floats import Given
from hwq.conversion.following import weights_first
from hwq.errors import ModelError

if TYPE_CHECKING:
    from keras import KerasTensor


def functional(model: keras.Model) -> keras.Model:
    """A model that is a class of its own as a functional one, where its call can be traced; others as they are."""
    if not isinstance(model, keras.Model) or isinstance(model, keras.Sequential) or getattr(model, "outputs", None):
        return model
    shapes: dict[str, Given] = getattr(model, "_build_shapes_dict", None) or {}
    if not shapes:
        return model
    made = {name.removesuffix("_shape"): _inputs(shape) for name, shape in shapes.items()}
    try:
        with weights_first():
            outputs = model.call(next(iter(made.values()))) if len(made) == 1 else model.call(**made)
        return keras.Model(next(iter(made.values())) if len(made) == 1 else list(made.values()), outputs, name=model.name)
    except Exception:  # the user's own code may raise anything on tensors without numbers
        return model


def _inputs(shape: Given) -> Given:
    if isinstance(shape, dict):
        return {name: _inputs(one) for name, one in shape.items()}
    if any(isinstance(one, (list, tuple)) for one in shape):
        return [_inputs(one) for one in shape]
    return keras.Input(tuple(shape)[1:])


def check_model(model: keras.Model) -> None:
    """Raises ModelError: no model, or one whose shapes are not known."""
    if not isinstance(model, keras.Model):
        raise ModelError(f"a {type(model).__name__} is no Keras model", hint="give a Sequential or a functional keras.Model")
    if not getattr(model, "outputs", None):
        if isinstance(model, keras.Sequential):
            raise ModelError("the model has no input shape yet", hint="begin it with keras.Input(shape), or call it once on data")
        raise ModelError(
            f"the model {model.name!r} is a class of its own ({type(model).__name__}): its layers are hidden in its call method",
            hint="call it once on data, so that its shapes are known, and write its call in layers and keras.ops; or trace it yourself: "
            "x = keras.Input(shape); model = keras.Model(x, model.call(x))",
        )
    if not model.built:
        raise ModelError("the model has no input shape yet", hint="begin it with keras.Input(shape), or call it once on data")


def like(model: keras.Model, old: list[KerasTensor], new: list[KerasTensor]) -> Given:
    """`new` in the structure in which the model has `old`: a tensor, a list, a dictionary."""
    place = {id(t): t for t in old}
    struct = getattr(model, "_inputs_struct" if old is model.inputs else "_outputs_struct", None)
    if struct is None:
        return new[0] if len(new) == 1 else new
    flat_old = keras.tree.flatten(struct)
    if len(flat_old) != len(new) or any(id(t) not in place for t in flat_old):
        return new[0] if len(new) == 1 else new
    return keras.tree.pack_sequence_as(struct, new)
