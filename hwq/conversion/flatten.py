"""Models inside models, and layers made of others: the same layers called one by one, so that the conversion meets simple layers only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hwq.backend import keras
from hwq.conversion.floats import Given
from hwq.errors import ModelError, UnsupportedLayerError

if TYPE_CHECKING:
    from keras import KerasTensor, Operation

KerasTensors = list["KerasTensor"]
Swap = Callable[["Operation"], "Operation"]
# the results of a call of a layer, made of simpler ones; None where the layer is simple itself
Expand = Callable[["Operation", tuple[Given, ...], dict[str, Given]], "KerasTensors | None"]


@dataclass(frozen=True, slots=True)
class FlatModel:
    """A model of layers only.

    Attributes:
        inputs, outputs: in the model's order.
        layers: every layer and operation that is called, once.
        origin: id of a layer or operation that stands for part of a layer of the model -> (name, class) of that layer.
    """

    inputs: list[KerasTensor]
    outputs: list[KerasTensor]
    layers: list[Operation]
    origin: dict[int, tuple[str, str]]


def flat(model: keras.Model, swap: Swap | None = None, expand: Expand | None = None) -> FlatModel:
    """`model`, where it holds other models, or layers that are made of others, those of a call of all their layers one by one.

    Args:
        swap: what to call in the place of a layer, or the layer itself.
        expand: a layer as simpler ones.

    Raises:
        ModelError: an inner model that does not say what it reads.
    """
    walk = _Walk(swap or (lambda layer: layer), expand or (lambda layer, args, kwargs: None))
    inputs = [keras.Input(shape=t.shape[1:], dtype=t.dtype, name=t._keras_history[0].name) for t in model.inputs]
    walk.called += [x._keras_history[0] for x in inputs]
    outputs = walk.model(model, inputs, {})
    return FlatModel(inputs, outputs, list({id(layer): layer for layer in walk.called}.values()), walk.origin)


def inputs_of(tensor: KerasTensor) -> list[KerasTensor]:
    """What the call reads that a tensor is a result of."""
    layer, index, _ = tensor._keras_history
    return layer._inbound_nodes[index].input_tensors


def in_order(
    outputs: Sequence[KerasTensor],
    known: Callable[[KerasTensor], bool],
    before: Callable[[KerasTensor], KerasTensors],
    do: Callable[[KerasTensor], object],
) -> None:
    """`do` for each tensor that `outputs` depend on and that is not `known`, what it is made of (`before`) first.

    Without recursion: a recurrent layer unrolled is thousands of calls deep.
    """
    waiting = list(reversed(outputs))
    while waiting:
        tensor = waiting[-1]
        missing = [] if known(tensor) else [t for t in before(tensor) if not known(t)]
        if missing:
            waiting += reversed(missing)
            continue
        waiting.pop()
        if not known(tensor):
            do(tensor)


@dataclass(slots=True)
class _Walk:
    """Calls every layer anew, and adds it to `called`."""

    swap: Swap
    expand: Expand
    called: list[Operation] = field(default_factory=list)
    origin: dict[int, tuple[str, str]] = field(default_factory=dict)

    def model(
        self, model: keras.Model, inputs: list[KerasTensor], over: dict[str, bool], whose: tuple[str, str] | None = None
    ) -> KerasTensors:
        """The outputs of `model` for new inputs.

        Args:
            over: `training` where the model was called with it, for the layers that were not.
        """
        if not getattr(model, "outputs", None):
            raise ModelError(
                f"the model {model.name!r} inside the model has no symbolic inputs", hint="begin it with keras.Input(shape)"
            )
        known = {id(old): new for old, new in zip(model.inputs, inputs, strict=True)}
        return self.again(list(model.outputs), known, over, whose)

    def again(
        self, outputs: KerasTensors, known: dict[int, KerasTensor], over: dict[str, bool], whose: tuple[str, str] | None
    ) -> KerasTensors:
        """The tensors that stand for `outputs`, all calls between them and the `known` ones made anew."""

        def call(old: KerasTensor) -> None:
            layer, index, _ = old._keras_history
            node = layer._inbound_nodes[index]
            args, kwargs = node.arguments.fill_in(known)
            results = self._results(layer, args, kwargs, over, whose)
            known.update({id(t): new for t, new in zip(node.output_tensors, results, strict=True)})

        in_order(outputs, lambda t: id(t) in known, inputs_of, call)
        return [known[id(output)] for output in outputs]

    def _results(
        self,
        layer: Operation,
        args: tuple[Given, ...],
        kwargs: dict[str, Given],
        over: dict[str, bool],
        whose: tuple[str, str] | None,
    ) -> KerasTensors:
        sources = _tensors((args, kwargs))
        if isinstance(layer, keras.Model) and getattr(layer, "outputs", None):
            flag = {"training": kwargs["training"]} if kwargs.get("training") is not None else over
            return self.model(layer, sources, flag, whose)
        layer = self.swap(layer)
        made = self.expand(layer, args, kwargs)
        if made is not None:
            whose = whose or (layer.name, type(layer).__name__)
            given = {id(t) for t in sources}  # a layer that returns what it reads is told of, too
            made = [keras.layers.Identity(name=f"{layer.name}_same")(t) if id(t) in given else t for t in made]
            return self.again(made, {id(t): t for t in sources}, over, whose)
        self.called.append(layer)
        if whose is not None:
            self.origin[id(layer)] = whose
        takes = getattr(layer, "_call_has_training_arg", False) and kwargs.get("training") is None
        try:
            return _tensors(layer(*args, **{**kwargs, **(over if takes else {})}))
        except (TypeError, ValueError) as error:
            first = next((line for line in str(error).splitlines() if line.strip() and "xception enc" not in line), "")
            raise UnsupportedLayerError(
                f"layer {layer.name!r} cannot be called on rows of any number: {first}",
                hint="keep the rows apart, and their shape known",
            ) from error


def _tensors(structure: object) -> KerasTensors:
    """The tensors of a structure, each once."""
    found: KerasTensors = [t for t in keras.tree.flatten(structure) if isinstance(t, keras.KerasTensor)]
    return list({id(t): t for t in found}.values())
