"""The operation catalogue: one registry, `OPS`, and the one way to make a node. No pass over a graph is here.

All that hwq knows of an operation is in its family's file here: its meaning, its adders, its C++, its Keras form, its cost. `evaluate` is
the meaning: everything else is checked against it. Passes, generators and cost models ask this registry and name no operation;
what they make of a form is theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hwq.errors import GraphError
from hwq.fixed import TypeArray
from hwq.ir.graph import Attr, Constant, Node
from hwq.ir.intervals import Interval
from hwq.ir.ops import elementwise, linear, pool, table, unary, wiring
from hwq.ir.spec import ANY, Matrix, OpSpec, odd_form
from hwq.ir.windows import Block, Index

_FAMILIES = (unary, linear, elementwise, wiring, pool, table)
OPS: dict[str, OpSpec] = {spec.name: spec for family in _FAMILIES for spec in family.SPECS}


def is_matrix(node: Node, *, weighted: bool = False) -> bool:
    """Whether a node is a product with constant matrices; `weighted`: that are attributes of it, and not ones alone."""
    matrix = spec_of(node.op).matrix
    return matrix is not None and (matrix.weighted or not weighted)


def is_wiring(node: Node) -> bool:
    """Whether a node only rearranges elements."""
    return spec_of(node.op).wiring is not None


def blocks(node: Node, shape: tuple[int, ...]) -> list[Block]:
    """The matrices of a node (`is_matrix`) whose input has `shape`, and where they are used."""
    return matrix_of(node).blocks(node, shape)


def constants(node: Node) -> tuple[Constant, Constant]:
    """(kernel, bias) of a matrix: what `blocks` indexes; a pool's are a one and a zero."""
    return matrix_of(node).constants(node)


def matrix_of(node: Node) -> Matrix:
    """Raises GraphError: the node is no product with a constant matrix."""
    found = spec_of(node.op).matrix
    if found is None:
        raise GraphError(f"node {node.name}: {node.op} is no product with a constant matrix")
    return found


def places(node: Node, shapes: Sequence[tuple[int, ...]]) -> Index:
    """For a node that only rearranges: for each element of the result, its place among all elements of the inputs, or -1 for zero.

    Raises:
        GraphError: it does something else.
    """
    found = spec_of(node.op).wiring
    if found is None:
        raise GraphError(f"node {node.name}: {node.op} does not only rearrange")
    return found(node, shapes)


def make_node(
    name: str,
    op: str,
    inputs: Sequence[Node] = (),
    *,
    attrs: Mapping[str, Attr] | None = None,
    type: TypeArray | None = None,
    source: str = "",
) -> Node:
    """Build and verify a node, inferring its type from its inputs' types where the op does not declare one.

    Raises:
        GraphError: an unknown op, a wrong number of inputs, attributes or shapes that do not fit.
    """
    spec = spec_of(op)
    if (type is None) == spec.declares_type:
        raise GraphError(f"node {name}: {op} {'needs' if spec.declares_type else 'infers'} its type")
    placeholder = TypeArray.of([], [], [])
    node = Node(name, op, tuple(n.name for n in inputs), type or placeholder, dict(attrs or {}), source)
    check_form(node)
    types = [n.type for n in inputs]
    spec.verify(node, types)
    if type is None:
        node = node.with_(type=types_of(node, spec.infer(node, types, [Interval.of(t) for t in types])))
    return node


def types_of(node: Node, bounds: Interval) -> TypeArray:
    """The narrowest types that hold the bounds of a node's result.

    Raises:
        GraphError: one would be beyond the limits of a type; names the node.
    """
    try:
        return bounds.types
    except GraphError as error:
        raise GraphError(f"node {node.name} ({node.op}): {error.message}", hint=error.hint) from error


def spec_of(op: str) -> OpSpec:
    if op not in OPS:
        raise GraphError(f"unknown operation {op!r}; known: {', '.join(sorted(OPS))}")
    return OPS[op]


def check_form(node: Node) -> None:
    """Arity and attribute names.

    Raises:
        GraphError: they are not those of the op.
    """
    spec = spec_of(node.op)
    if (len(node.inputs) != spec.arity and spec.arity != ANY) or (spec.arity == ANY and not node.inputs):
        wanted = "at least one input" if spec.arity == ANY else f"{spec.arity} input(s)"
        raise GraphError(f"node {node.name}: {node.op} reads {wanted}, not {len(node.inputs)}")
    if set(node.attrs) != set(spec.attrs):
        raise GraphError(f"node {node.name}: {node.op} has attributes {sorted(spec.attrs)}, not {sorted(node.attrs)}")


__all__ = [
    "OPS",
    "OpSpec",
    "blocks",
    "check_form",
    "constants",
    "is_matrix",
    "is_wiring",
    "make_node",
    "matrix_of",
    "odd_form",
    "places",
    "spec_of",
    "types_of",
]
