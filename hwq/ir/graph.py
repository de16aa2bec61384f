"""Graph: a network as a list of tensor operations on integers, every element with its own fixed-point type.

No batch axis: shapes are those of one sample. What each operation means is in `hwq.ir.ops`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from hwq.errors import GraphError
from hwq.fixed import TypeArray
from hwq.fixed.arithmetic import IntArray, greatest


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """A constant tensor: integer mantissas beside their types (a weight of width 0 is absent)."""

    mantissas: IntArray
    types: TypeArray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.types.shape

    @property
    def nonzero(self) -> int:
        """How many elements are not zero."""
        return int(np.count_nonzero(self.mantissas))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Constant) and self.types == other.types and bool((self.mantissas == other.mantissas).all())

    __hash__ = None  # type: ignore[assignment]


MOST_ELEMENTS = 1 << 22  # of a tensor
MOST_IN_TEXT = 1 << 24  # of all types and constants of a text

Attr: TypeAlias = int | str | bool | tuple[int, ...] | Constant


@dataclass(frozen=True, slots=True)
class Node:
    """One operation.

    Attributes:
        name: unique in its graph; letters, digits and underscores, so that it is a C++ and Verilog name as it stands.
        op: a key of `hwq.ir.ops.OPS`.
        inputs: names of the nodes it reads.
        attrs: the operation's constants and options.
        type: the types of its result, one per element.
        source: the layer of the user's model that it came from.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    type: TypeArray
    attrs: Mapping[str, Attr] = field(default_factory=dict)
    source: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        return self.type.shape

    def constant(self, name: str) -> Constant:
        """The attribute `name`, which must be a Constant."""
        value = self.attrs.get(name)
        if not isinstance(value, Constant):
            raise GraphError(f"node {self.name} ({self.op}) has no constant {name!r}")
        return value

    def integers(self, name: str) -> tuple[int, ...]:
        """The attribute `name`, which must be a tuple of integers."""
        value = self.attrs.get(name)
        if not isinstance(value, tuple):
            raise GraphError(f"node {self.name} ({self.op}): {name} must be a tuple of integers, not {value!r}")
        return value

    def integer(self, name: str) -> int:
        """The attribute `name`, which must be an integer."""
        value = self.attrs.get(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise GraphError(f"node {self.name} ({self.op}): {name} must be an integer, not {value!r}")
        return value

    def with_(self, **changes: object) -> Node:
        return replace(self, **changes)  # type: ignore[arg-type]


FLOAT64_BITS = 52  # widest number that float64 sums exactly in any order


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in topological order, with the names of those that are the design's inputs and outputs.

    Example:
        >>> import hwq
        >>> from hwq.fixed import TypeArray
        >>> from hwq.ir import make_node, verify
        >>> x = make_node("x", "input", type=TypeArray.of(1, [4, 4], 0))
        >>> graph = verify(hwq.Graph((x, make_node("y", "relu", [x])), ("x",), ("y",)))
        >>> hwq.compile(graph).predict([[-3, 5]])
        array([[0., 5.]])
    """

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def __repr__(self) -> str:
        ends = (", ".join(names[:4]) + (", ..." if len(names) > 4 else "") for names in (self.inputs, self.outputs))
        return f"<Graph: {len(self.nodes)} nodes, {' -> '.join(ends)}>"

    def __getitem__(self, name: str) -> Node:
        for node in self.nodes:
            if node.name == name:
                return node
        raise GraphError(f"the graph has no node {name!r}")

    def by_name(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    @property
    def widest(self) -> int:
        """Bits of the widest number of all, which decides whether floats compute the design exactly."""
        return max(greatest(node.type.width) for node in self.nodes)

    def users(self, name: str) -> tuple[Node, ...]:
        """The nodes that read `name`, in order."""
        return tuple(node for node in self.nodes if name in node.inputs)

    def with_nodes(self, nodes: Iterable[Node]) -> Graph:
        return replace(self, nodes=tuple(nodes))

    @property
    def input_size(self) -> int:
        """Elements of all inputs together."""
        return sum(self[name].type.size for name in self.inputs)

    @property
    def output_size(self) -> int:
        return sum(self[name].type.size for name in self.outputs)


def fresh_name(wanted: str, taken: set[str]) -> str:
    """`wanted` with nothing but letters, digits and underscores, a letter first, and unlike every name of `taken`, which it joins."""
    base = re.sub(r"\W", "_", wanted, flags=re.ASCII).strip("_") or "node"
    base = base if base[0].isalpha() else f"n_{base}"
    name, number = base, 1
    while name in taken:
        number += 1
        name = f"{base}_v{number}"
    taken.add(name)
    return name
