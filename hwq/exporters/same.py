"""Whether two graphs are the same network: node by node from the outputs back, whatever the nodes are called and how constants are written."""

from __future__ import annotations

import numpy as np

from hwq.fixed import TypeArray
from hwq.ir import Constant, Graph, Node
from hwq.ir.ops.table import code_counts, rows_of
from hwq.ir.spec import odd_form
from hwq.passes import optimise


def difference(one: Graph, other: Graph) -> str:
    """What first differs of both, once optimised, in operations, types or constants; nothing where they are the same network."""
    a, b = optimise(one), optimise(other)
    if len(a.inputs) != len(b.inputs) or len(a.outputs) != len(b.outputs):
        return "inputs or outputs"
    partner: dict[str, str] = dict(zip(a.inputs, b.inputs, strict=True))
    mine, theirs = a.by_name(), b.by_name()
    pending = [*zip(a.inputs, b.inputs, strict=True), *zip(a.outputs, b.outputs, strict=True)]
    while pending:
        name, match = (_past(known, told) for known, told in zip((mine, theirs), pending.pop(), strict=True))
        x, y = mine[name], theirs[match]
        told = f"{name} ({x.op}) and {match} ({y.op})"
        if partner.setdefault(name, match) != match:
            return f"{told}: the first is {partner[name]} elsewhere"
        if x.op != y.op or len(x.inputs) != len(y.inputs):
            return told
        if not _same_type(x.type, y.type):
            return f"the types of {told}"
        if not (_same_table(x, y, mine) if x.op == "table" else _same_attributes(x, y)):
            return f"the constants of {told}"
        read = zip(_read(mine, x), _read(theirs, y), strict=True)
        pending += [pair for pair in read if partner.get(pair[0]) != pair[1]]
    return ""


def _past(nodes: dict[str, Node], name: str) -> str:
    """The node itself, behind those that leave everything in its place."""
    node = nodes[name]
    if node.op == "permute" and node.integers("dims") == tuple(range(len(node.shape))):
        return _past(nodes, node.inputs[0])
    if node.op == "reshape" and nodes[_read(nodes, node)[0]].shape == node.shape:
        return _past(nodes, _read(nodes, node)[0])
    return name


def _read(nodes: dict[str, Node], node: Node) -> tuple[str, ...]:
    """What a node reads; of several shapes in a row only the last one counts."""
    if node.op != "reshape":
        return node.inputs
    source = nodes[node.inputs[0]]
    while source.op == "reshape":
        source = nodes[source.inputs[0]]
    return (source.name,)


def _same_type(x: TypeArray, y: TypeArray) -> bool:
    """The modes as far as they matter: of no bits none does, and SAT_SYM is SAT where nothing is signed and longer than a bit."""
    parts = ("signed", "width", "frac")
    if x.shape != y.shape or not all(bool((getattr(x, part) == getattr(y, part)).all()) for part in parts):
        return False
    symmetric = bool(((x.signed != 0) & (x.width > 1)).any())
    overflow = x.overflow == y.overflow or ("WRAP" not in (x.overflow, y.overflow) and not symmetric)
    return not x.width.any() or (x.rounding == y.rounding and overflow)


def _same_attributes(x: Node, y: Node) -> bool:
    if x.attrs.keys() != y.attrs.keys():
        return False
    for key, value in x.attrs.items():
        other = y.attrs[key]
        if isinstance(value, Constant) and isinstance(other, Constant):
            pairs = zip(odd_form(value), odd_form(other), strict=True)
            if value.shape != other.shape or not all(bool((p == q).all()) for p, q in pairs):
                return False
        elif key == "axis" and isinstance(value, int) and isinstance(other, int):
            if (value - other) % len(x.shape):
                return False
        elif key == "strides" and isinstance(value, tuple) and isinstance(other, tuple):
            if any(
                a != b and places > 1 for a, b, places in zip(value, other, x.shape, strict=False)
            ):  # at one place they say nothing
                return False
        elif value != other:
            return False
    return True


def _same_table(x: Node, y: Node, nodes: dict[str, Node]) -> bool:
    """By the entries of each element's own codes: rows have no order, and end in zeros that no code reads."""
    counts = code_counts(nodes[x.inputs[0]].type).ravel()
    found = []
    for node in (x, y):
        mantissas, frac = rows_of(node)
        index = np.array(node.integers("index"), np.int64)
        rows = mantissas[index][:, : int(counts.max(initial=0))]
        found.append((np.where(np.arange(rows.shape[1]) < counts[:, None], rows, 0), frac[index]))
    (a, a_frac), (b, b_frac) = found
    if a.shape != b.shape:
        return False
    up = np.maximum(a_frac, b_frac)
    return bool(((a << (up - a_frac)[:, None].astype(object)) == (b << (up - b_frac)[:, None].astype(object))).all())
