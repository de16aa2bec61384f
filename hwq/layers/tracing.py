"""Who reads what in a Keras model: a walk from its output, blind to calls of its layers that belong to other models.

A Keras layer remembers every call ever made of it (a Sequential calls its layers anew each time one is added), so that a
layer's own list of calls says nothing about one model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keras import KerasTensor, Operation

IDENTITIES = (  # they do nothing at inference
    "ActivityRegularization",
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
)
UNCHANGED = (*IDENTITIES, "Flatten", "Reshape")  # they hand on the values that they read


@dataclass(slots=True)
class Trace:
    """The calls that a model's outputs depend on.

    Attributes:
        calls: id of a layer -> its calls, by number.
        readers: id of a tensor -> (layer, tensor that the call returns) of each call that reads it, once for each time it does.
        operations: the layers, and the operators of the functional API between them, by id.
    """

    operations: dict[int, Operation] = field(default_factory=dict)
    calls: dict[int, set[int]] = field(default_factory=dict)
    readers: dict[int, list[tuple[Operation, KerasTensor]]] = field(default_factory=dict)

    @classmethod
    def of(cls, outputs: Sequence[KerasTensor]) -> Trace:
        trace, waiting = cls(), list(outputs)
        while waiting:
            tensor = waiting.pop()
            layer, index, _ = tensor._keras_history
            trace.operations[id(layer)] = layer
            calls = trace.calls.setdefault(id(layer), set())
            if index in calls:
                continue
            calls.add(index)
            for source in layer._inbound_nodes[index].input_tensors:  # a tensor twice where a call reads it twice
                trace.readers.setdefault(id(source), []).append((layer, tensor))
                waiting.append(source)
        return trace

    def shared(self, layer: Operation) -> bool:
        """Whether the model calls `layer` more than once."""
        return len(self.calls[id(layer)]) > 1

    def users(self, tensor: KerasTensor) -> list[Operation]:
        """The layers that compute with the values of `tensor`, those looked through that only hand them on."""
        out: list[Operation] = []
        for layer, result in self.readers.get(id(tensor), []):
            out += self.users(result) if type(layer).__name__ in UNCHANGED else [layer]
        return out
