"""Finding the model that a user names: mlp:64,32 · a .keras or .h5 file · module:function."""

from __future__ import annotations

from pathlib import Path

from hwq.backend import keras
from hwq.conversion.load_model import SUFFIXES, load_model
from hwq.data import Dataset
from hwq.data.load import resolve
from hwq.errors import DataError, ModelError, UsageError


def build(spec: str, shape: tuple[int, ...], n_classes: int, width: float = 1.0) -> keras.Model:
    """The float model that `spec` names, for rows of `shape` and `n_classes` logits; `width` is a factor on the hidden layers of an mlp.

    Raises:
        ModelError: no such model, or one whose input or output does not fit the data.
        UsageError: a width for a model that has its own.
    """
    if width != 1 and not spec.startswith("mlp:"):
        raise UsageError(f"the model {spec} has widths of its own", hint="give --width with an mlp, as mlp:64,32")
    model = _mlp(spec, shape, n_classes, width) if spec.startswith("mlp:") else _found(spec)
    _check_shapes(model, spec, shape, n_classes)
    return model


def _found(spec: str) -> keras.Model:
    if spec.endswith(SUFFIXES):
        return load_model(Path(spec))
    if ":" in spec:
        return _call(spec)
    raise ModelError(
        f"cannot read the model {spec!r}", hint="give mlp:64,32 (hidden layers), a .keras or .h5 file, or module:function"
    )


def of_dataset(spec: str, dataset: Dataset, width: float = 1.0) -> keras.Model:
    """`build` for a data set: a network that reconstructs rows may answer in their shape."""
    if dataset.task.name != "reconstruction" or len(dataset.shape) < 2 or spec.startswith("mlp:"):
        return build(spec, dataset.shape, dataset.n_classes, width)
    model = _found(spec)
    if getattr(model, "outputs", None) and len(model.outputs) == 1 and tuple(model.outputs[0].shape[1:]) == dataset.shape:
        model = keras.Model(model.inputs[0], keras.layers.Flatten(name="rows")(model.outputs[0]), name=model.name)
    _check_shapes(model, spec, dataset.shape, dataset.n_classes)
    return model


def _check_shapes(model: keras.Model, spec: str, shape: tuple[int, ...], n_classes: int) -> None:
    inputs, outputs = getattr(model, "inputs", None), getattr(model, "outputs", None)
    if not inputs or not outputs:
        raise ModelError(
            f"the model {spec} does not say what it reads: it has no symbolic inputs",
            hint="make it a Sequential that begins with keras.Input(shape), or a functional keras.Model(inputs, outputs)",
        )
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelError(
            f"the model {spec} has {len(inputs)} inputs and {len(outputs)} outputs; expected one of each", hint="join them first"
        )
    reads, gives = tuple(inputs[0].shape[1:]), tuple(outputs[0].shape[1:])
    if reads != tuple(shape):
        raise ModelError(
            f"the model {spec} reads rows of shape {reads}, the data has {tuple(shape)}", hint=f"keras.Input({tuple(shape)})"
        )
    if gives != (n_classes,):
        raise ModelError(
            f"the model {spec} has outputs of shape {gives}, the data {n_classes} classes or targets",
            hint=f"end it with Dense({n_classes})",
        )


def _mlp(spec: str, shape: tuple[int, ...], n_classes: int, width: float) -> keras.Model:
    try:
        sizes = [
            int(part) if width == 1 else max(1, round(width * int(part))) for part in spec.removeprefix("mlp:").split(",") if part
        ]
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


def _call(spec: str) -> keras.Model:
    try:
        function = resolve(spec)
    except DataError as error:
        raise ModelError(error.message, hint=error.hint) from error
    try:
        model = function()
    except (Exception, SystemExit, GeneratorExit) as error:  # the user's own code may raise anything, and may ask to leave
        first = next(iter(str(error).splitlines()), "")
        raise ModelError(f"{spec} failed: {type(error).__name__}: {first}", hint="it is called without arguments") from error
    if not isinstance(model, keras.Model):
        raise ModelError(f"{spec} returned {type(model).__name__}, expected a Keras model")
    return model
