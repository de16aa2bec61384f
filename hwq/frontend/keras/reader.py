"""The walk from a model's output to its input: each layer's reader makes the nodes of one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from hwq.errors import ModelError, UnsupportedLayerError
from hwq.frontend.keras.constants import quantizer_types
from hwq.ir import Attr, Node, fresh_name, make_node


@dataclass(frozen=True, slots=True)
class RawInput:
    """An input of the model before it is quantised, also reshaped: its first quantiser becomes the input node."""

    name: str


NodeOrInput: TypeAlias = Node | RawInput
LayerReader: TypeAlias = Callable[["Reader", Any, list[NodeOrInput], tuple[int, ...]], Node]


@dataclass(slots=True)
class Reader:
    """The nodes made so far.

    Attributes:
        readers: class name of a layer -> its reader.
        known: id of a Keras tensor -> its node, or the raw input that it is.
    """

    readers: Mapping[str, LayerReader]
    nodes: list[Node] = field(default_factory=list)
    known: dict[int, NodeOrInput] = field(default_factory=dict)
    converted: list[tuple[str, str]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    inputs: dict[str, Node] = field(default_factory=dict)  # by the name of the model's input layer

    def add(self, name: str, op: str, sources: Sequence[Node], layer: str, **attrs: Attr) -> Node:
        """Append an operation; `name` is wanted, `layer` is the user's name of where it comes from."""
        self.nodes.append(make_node(self.name(name), op, sources, attrs=attrs, source=layer))
        return self.nodes[-1]

    def reshape(self, source: Node, shape: Sequence[int], layer: str) -> Node:
        """`source` in another shape; itself where that is its own."""
        if tuple(shape) == source.shape:
            return source
        return self.add(f"{layer}_reshape", "reshape", [source], layer, shape=tuple(int(n) for n in shape))

    def reshape_again(self, source: Node) -> Node:
        """The same values under another name."""
        return self.add(f"{source.name}_again", "reshape", [source], source.source, shape=source.shape)

    def name(self, wanted: str) -> str:
        """A node's name that is not taken yet, as like `wanted` as it may be."""
        return fresh_name(wanted, self.names)

    def tensors(self, wanted: Sequence[Any]) -> list[NodeOrInput]:
        """The nodes of Keras tensors, what they depend on read first: without recursion, since unrolled layers are deep."""
        waiting = list(reversed(wanted))
        while waiting:
            tensor = waiting[-1]
            layer, index, _ = tensor._keras_history
            missing = [t for t in layer._inbound_nodes[index].input_tensors if id(t) not in self.known]
            if id(tensor) not in self.known and missing:
                waiting += reversed(missing)
                continue
            waiting.pop()
            if id(tensor) not in self.known:
                self.known[id(tensor)] = self._read(tensor)
        return [self.known[id(tensor)] for tensor in wanted]

    def _read(self, tensor: Any) -> NodeOrInput:
        layer, node_index, _ = tensor._keras_history
        kind = type(layer).__name__
        if kind == "InputLayer":
            return RawInput(layer.name)
        inputs = [self.known[id(t)] for t in layer._inbound_nodes[node_index].input_tensors]
        shape = tuple(int(n) for n in tensor.shape[1:])
        raw = inputs[0] if kind in ("Flatten", "Reshape") else None
        node = raw if isinstance(raw, RawInput) else self._nodes(layer, inputs, shape)
        self.converted.append((layer.name, kind))
        return node

    def _nodes(self, layer: Any, inputs: list[NodeOrInput], shape: tuple[int, ...]) -> Node:
        """By the reader of a layer of Keras, or as a layer of hwq says itself."""
        kind = type(layer).__name__
        if kind in self.readers:
            return self.readers[kind](self, layer, inputs, shape)
        integers: Callable[[Reader, list[NodeOrInput], tuple[int, ...]], Node] | None = getattr(layer, "integers", None)
        if integers is None:
            raise UnsupportedLayerError(
                f"layer {layer.name!r} is a {kind}, which has no integer form",
                hint=f"supported: the quantised layers of hwq.layers; of Keras {', '.join(sorted(self.readers))}",
            )
        return integers(self, inputs, shape)

    def line_by_line(self, name: str, op: str, lines: Node, layer: str = "") -> Node:
        """(lines, n, 1) to (lines, 1, 1): a pooling over each line. `layer` is where it comes from, where not the name tells."""
        n = lines.shape[1]
        return self.add(name, op, [lines], layer or name, size=(1, n), strides=(1, n), pads=(0, 0, 0, 0))

    def quantize(self, layer: str, quantizer: Any, source: NodeOrInput, suffix: str = "quantize") -> Node:
        """The quantised `source`; for a raw input, the design's input node. `layer` is the name of the layer that reads it.

        Raises:
            ModelError: a second quantiser at one raw input.
        """
        shape = tuple(quantizer.row_shape) if isinstance(source, RawInput) else source.shape
        types = quantizer_types(quantizer, shape)
        if isinstance(source, Node):
            name = self.name(f"{layer}_{suffix}")
            self.nodes.append(make_node(name, "quantize", [source], type=types, source=layer))
            return self.nodes[-1]
        if source.name in self.inputs:
            raise ModelError(
                f"two layers quantise the model's input {source.name!r}, each in its own way",
                hint="put one Quantize layer behind the input",
            )
        self.nodes.append(make_node(self.name(source.name), "input", type=types, source=source.name))
        self.inputs[source.name] = self.nodes[-1]
        return self.nodes[-1]


def quantized(layer: Any, inputs: Sequence[NodeOrInput]) -> list[Node]:
    """The inputs of a layer that has no quantiser of its own.

    Raises:
        ModelError: one of them is the raw input.
    """
    found = [node for node in inputs if isinstance(node, Node)]
    if len(found) != len(inputs):
        raise ModelError(
            f"layer {layer.name!r} reads the input before it is quantised", hint="put a Quantize layer behind the input"
        )
    return found
