"""The walk from a model's output to its input: each layer's reader makes the nodes of one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from hwq.errors import ModelError, UnsupportedLayerError
from hwq.frontend.keras.constants import quantizer_types
from hwq.ir import Attr, Node, fresh_name, make_node

LayerReader: TypeAlias = Callable[["Reader", Any, list[Node | None], tuple[int, ...]], Node]


@dataclass(slots=True)
class Reader:
    """The nodes made so far.

    Attributes:
        readers: class name of a layer -> its reader.
        known: id of a Keras tensor -> its node; None for the model's raw input, also reshaped: the first quantiser becomes the input node.
    """

    readers: Mapping[str, LayerReader]
    nodes: list[Node] = field(default_factory=list)
    known: dict[int, Node | None] = field(default_factory=dict)
    converted: list[tuple[str, str]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    input_name: str = "x"

    def add(self, name: str, op: str, sources: Sequence[Node], layer: str, **attrs: Attr) -> Node:
        """Append an operation; `name` is wanted, `layer` is the user's name of where it comes from."""
        self.nodes.append(make_node(self.name(name), op, sources, attrs=attrs, source=layer))
        return self.nodes[-1]

    def reshape(self, source: Node, shape: Sequence[int], layer: str) -> Node:
        """`source` in another shape; itself where that is its own."""
        if tuple(shape) == source.shape:
            return source
        return self.add(f"{layer}_reshape", "reshape", [source], layer, shape=tuple(int(n) for n in shape))

    def name(self, wanted: str) -> str:
        """A node's name that is not taken yet, as like `wanted` as it may be."""
        return fresh_name(wanted, self.names)

    def tensor(self, tensor: Any) -> Node | None:
        """The node of a Keras tensor."""
        if id(tensor) not in self.known:
            self.known[id(tensor)] = self._read(tensor)
        return self.known[id(tensor)]

    def _read(self, tensor: Any) -> Node | None:
        layer, node_index, _ = tensor._keras_history
        kind = type(layer).__name__
        if kind == "InputLayer":
            self.input_name = layer.name
            return None
        inputs = [self.tensor(t) for t in layer._inbound_nodes[node_index].input_tensors]
        if kind not in self.readers:
            raise UnsupportedLayerError(
                f"layer {layer.name!r} is a {kind}, which has no integer form",
                hint=f"supported: {', '.join(sorted(self.readers))}",
            )
        shape = tuple(int(n) for n in tensor.shape[1:])
        if kind in ("Flatten", "Reshape") and inputs[0] is None:
            node = None
        else:
            node = self.readers[kind](self, layer, inputs, shape)
        self.converted.append((layer.name, kind))
        return node

    def quantize(self, layer: Any, quantizer: Any, source: Node | None, suffix: str = "quantize") -> Node:
        """The quantised `source`; for the raw input, the design's input node.

        Raises:
            ModelError: a second quantiser at the raw input.
        """
        shape = source.shape if source is not None else tuple(quantizer.row_shape)
        types = quantizer_types(quantizer, shape)
        if source is not None:
            name = self.name(f"{layer.name}_{suffix}")
            self.nodes.append(make_node(name, "quantize", [source], type=types, source=layer.name))
            return self.nodes[-1]
        if any(node.op == "input" for node in self.nodes):
            raise ModelError(
                "two layers quantise the model's input, each in its own way", hint="put one Quantize layer behind the input"
            )
        self.nodes.append(make_node(self.name(self.input_name), "input", type=types, source=self.input_name))
        return self.nodes[-1]


def quantized(layer: Any, inputs: Sequence[Node | None]) -> list[Node]:
    """The inputs of a layer that has no quantiser of its own.

    Raises:
        ModelError: one of them is the raw input.
    """
    found = [node for node in inputs if node is not None]
    if len(found) != len(inputs):
        raise ModelError(
            f"layer {layer.name!r} reads the input before it is quantised", hint="put a Quantize layer behind the input"
        )
    return found


class Named:
    """A part of a layer under a name that tells whose part it is."""

    def __init__(self, part: Any, name: str) -> None:
        self._part, self.name = part, name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._part, attribute)
