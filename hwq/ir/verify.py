"""The verifier: every rule a Graph must obey, run after each pass and after reading one from text."""

from __future__ import annotations

import re

import numpy as np

from hwq.errors import GraphError
from hwq.ir.graph import Constant, Graph, Node
from hwq.ir.intervals import Interval
from hwq.ir.ops import check_form, spec_of

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def verify(graph: Graph) -> Graph:
    """Return `graph` itself when it obeys the rules.

    Raises:
        GraphError: names the node and the rule.
    """
    seen: dict[str, Node] = {}
    for node in graph.nodes:
        if not _NAME.fullmatch(node.name):
            raise GraphError(f"{node.name!r} is no node name: letters, digits and underscores, a letter first")
        if node.name in seen:
            raise GraphError(f"two nodes are named {node.name}")
        missing = [name for name in node.inputs if name not in seen]
        if missing:
            raise GraphError(f"node {node.name} reads {missing[0]}, which is not defined before it")
        try:
            _verify_node(node, [seen[name] for name in node.inputs])
        except (ValueError, LookupError, TypeError, ArithmeticError) as error:  # attributes that an op does not expect
            raise GraphError(f"node {node.name} ({node.op}): {error}") from error
        seen[node.name] = node
    for kind, names in (("input", graph.inputs), ("output", graph.outputs)):
        if not names or len(set(names)) != len(names):
            raise GraphError(f"a graph needs at least one {kind}, each named once")
        for name in names:
            if name not in seen:
                raise GraphError(f"the {kind} {name} is no node")
    declared = {node.name for node in graph.nodes if node.op == "input"}
    if declared != set(graph.inputs):
        raise GraphError(f"the input nodes {sorted(declared)} are not the graph's inputs {sorted(graph.inputs)}")
    return graph


def _verify_node(node: Node, inputs: list[Node]) -> None:
    check_form(node)
    spec = spec_of(node.op)
    types = [n.type for n in inputs]
    spec.verify(node, types)
    for key, value in node.attrs.items():
        if isinstance(value, Constant):
            _verify_constant(node, key, value)
    if spec.declares_type:
        return
    # the declared inputs' types bound the result: it must fit the node's own type without loss
    bounds = spec.infer(node, types, [Interval.of(t) for t in types])
    if bounds.shape != node.shape:
        raise GraphError(f"node {node.name}: its type has shape {node.shape}, its value {bounds.shape}")


def _verify_constant(node: Node, key: str, constant: Constant) -> None:
    if constant.mantissas.shape != constant.types.shape:
        raise GraphError(f"node {node.name}: {key} has {constant.mantissas.shape} mantissas and {constant.types.shape} types")
    values = constant.mantissas.astype(object)
    if not np.logical_and(values >= constant.types.lowest, values <= constant.types.highest).all():
        raise GraphError(f"node {node.name}: a mantissa of {key} does not fit its type")
