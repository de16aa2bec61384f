"""The operation catalogue: one registry, `OPS`, and the one way to make a node.

What each op means is in the `hwq.ir.ops_*` files, a family each; its C++ in `hwq.codegen`, its adder graph in `hwq.passes.lower`;
a test fails while one of them is missing. `evaluate` is the meaning: everything else is checked against it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hwq.errors import GraphError
from hwq.fixed import TypeArray
from hwq.ir import ops_elementwise, ops_linear, ops_pool, ops_table, ops_unary, ops_wiring
from hwq.ir.graph import Attr, Node
from hwq.ir.intervals import Interval
from hwq.ir.spec import ANY, OpSpec, odd_form

_FAMILIES = (ops_unary, ops_linear, ops_elementwise, ops_wiring, ops_pool, ops_table)
OPS: dict[str, OpSpec] = {spec.name: spec for family in _FAMILIES for spec in family.SPECS}


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
    placeholder = TypeArray.of(0, np.zeros(0), 0)
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


__all__ = ["OPS", "OpSpec", "check_form", "make_node", "odd_form", "spec_of", "types_of"]
