"""Finding the model that a user names: mlp:64,32 · a .keras file · module:function."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hwq.data.load import resolve
from hwq.errors import DataError, ModelError
from hwq.train.backend import keras


def build(spec: str, shape: tuple[int, ...], n_classes: int) -> Any:
    """The float model that `spec` names, for rows of `shape` and `n_classes` logits.

    Raises:
        ModelError: no such model, or one whose input or output does not fit the data.
    """
    if spec.startswith("mlp:"):
        model = _mlp(spec, shape, n_classes)
    elif spec.endswith(".keras"):
        model = _load(Path(spec))
    elif ":" in spec:
        model = _call(spec)
    else:
        raise ModelError(
            f"cannot read the model {spec!r}", hint="give mlp:64,32 (hidden layers), a .keras file, or module:function"
        )
    if tuple(model.input_shape[1:]) != tuple(shape):
        raise ModelError(f"the model {spec} reads rows of shape {tuple(model.input_shape[1:])}, the data has {tuple(shape)}")
    if tuple(model.output_shape[1:]) != (n_classes,):
        raise ModelError(f"the model {spec} has outputs of shape {tuple(model.output_shape[1:])}, the data {n_classes} classes")
    return model


def _mlp(spec: str, shape: tuple[int, ...], n_classes: int) -> Any:
    try:
        sizes = [int(part) for part in spec.removeprefix("mlp:").split(",") if part]
    except ValueError as error:
        raise ModelError(
            f"cannot read the hidden layers of {spec!r}", hint="whole numbers with commas between: mlp:64,32"
        ) from error
    if any(size <= 0 for size in sizes):
        raise ModelError(f"{spec!r}: a layer needs at least one unit")
    x = inputs = keras.Input(shape, name="x")
    if len(shape) > 1:
        x = keras.layers.Flatten(name="flatten")(x)
    for number, size in enumerate(sizes, 1):
        x = keras.layers.Dense(size, activation="relu", name=f"dense_{number}")(x)
    return keras.Model(inputs, keras.layers.Dense(n_classes, name="logits")(x), name="mlp")


def _load(path: Path) -> Any:
    if not path.is_file():
        raise ModelError(f"there is no model file {path}")
    try:
        return keras.saving.load_model(path, compile=False)
    except (ValueError, OSError, TypeError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"cannot load {path}: {first}", hint="save it with model.save('name.keras') in Keras 3") from error


def _call(spec: str) -> Any:
    try:
        model = resolve(spec)()
    except DataError as error:
        raise ModelError(error.message, hint=error.hint) from error
    if not isinstance(model, keras.Model):
        raise ModelError(f"{spec} returned {type(model).__name__}, expected a Keras model")
    return model
