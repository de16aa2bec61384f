"""Changing the constants of a graph: values in and out, and nodes made anew on changed sources."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwq.fixed import TypeArray, to_float
from hwq.ir import Constant, Node
from hwq.ir.ops import make_node, spec_of
from hwq.tensors import Floats


def rebuilt(node: Node, sources: Sequence[Node]) -> Node:
    """The same operation on new sources, its type inferred afresh where it does not declare one."""
    if spec_of(node.op).declares_type:
        return node
    return make_node(node.name, node.op, sources, attrs=node.attrs, source=node.source)


def real(constant: Constant) -> Floats:
    """The values of a constant."""
    return to_float(constant.mantissas, constant.types.frac)


def exact(values: Floats) -> Constant:
    """Dyadic values as a constant, each at the coarsest step that holds it."""
    ratios = [float(v).as_integer_ratio() for v in values.ravel()]
    odd = [(n & -n).bit_length() - 1 if n else 0 for n, _ in ratios]
    mantissas = np.array([n >> z for (n, _), z in zip(ratios, odd, strict=True)], np.int64).reshape(values.shape)
    frac = np.array([d.bit_length() - 1 - z if n else 0 for (n, d), z in zip(ratios, odd, strict=True)]).reshape(values.shape)
    return Constant(mantissas, TypeArray.enclosing(np.minimum(mantissas, 0), np.maximum(mantissas, 0), frac))
