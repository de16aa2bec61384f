"""The sums of a linear node as C++ statements, whatever its terms are: products by `cpp_ops`, shifts by `cpp_shifts`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hwq.codegen.cpp_text import ap_type, exact
from hwq.ir import Node
from hwq.ir.ops import blocks, constants, odd_form

TermText = Callable[[int, int, int], list[str]]


def sums(node: Node, source: Node, term: TermText) -> list[str]:
    """Each result begins with its bias, and gets its terms; results in order, those of width 0 left out.

    Args:
        term: statements that add to result `out` the input `element` (negative: padding) times the weight number `w` of the
            kernel's elements, which is not zero: (out, element, w).
    """
    kernel, bias = constants(node)
    k = odd_form(kernel)[0].ravel()
    b, b_frac = (a.ravel() for a in odd_form(bias))
    lines: list[list[str]] = [[] for _ in range(node.type.size)]
    for block in blocks(node, source.shape):
        for window, outputs, biases in zip(block.windows, block.outputs, block.biases, strict=True):
            for j, out in enumerate(outputs.tolist()):
                t, at = node.type[out], biases[j]
                if not t.width:
                    continue
                lines[out].append(f"{ap_type(t)} {node.name}_{out} = {exact(int(b[at]), int(b_frac[at])) if b[at] else 0};")
                for i in np.flatnonzero(k[block.weights[:, j]]):
                    lines[out] += term(out, int(window[i]), int(block.weights[i, j]))
    return [line for part in lines for line in part]
