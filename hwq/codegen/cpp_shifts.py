"""A layer whose weights are sums of a few signed powers of two, in C++ without a product: terms with moved binary points, added or subtracted.

A term x 2^k is a variable with the bits of x and another binary point, so that no bit is computed and none is lost.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwq.codegen.cpp_text import Section, ap_type, exact, summary
from hwq.fixed import FixedType
from hwq.ir import Node
from hwq.ir.ops import odd_form
from hwq.ir.windows import LINEAR, blocks, constants
from hwq.passes.wires import csd


def in_shifts(node: Node, terms: int) -> bool:
    """Whether every weight of a linear node is the sum of at most `terms` signed powers of two."""
    if node.op not in LINEAR or terms < 1:
        return False
    mantissas = np.unique(np.abs(odd_form(constants(node)[0])[0]))
    return all(len(csd(int(v))) <= terms for v in mantissas if v)


def shift_section(node: Node, inputs: Sequence[Node], what: str) -> Section:
    """The statements of a linear node whose weights are written as shifts; `what` describes it in the comment."""
    source = inputs[0]
    kernel, bias = constants(node)
    k, k_frac = (a.ravel() for a in odd_form(kernel))
    b, b_frac = (a.ravel() for a in odd_form(bias))
    moved: dict[tuple[int, int], str] = {}
    lines: list[list[str]] = [[] for _ in range(node.type.size)]
    for block in blocks(node, source.shape):
        for window, outputs, biases in zip(block.windows, block.outputs, block.biases, strict=True):
            for j, out in enumerate(outputs.tolist()):
                t, name, at = node.type[out], f"{node.name}_{out}", biases[j]
                if not t.width:
                    continue
                lines[out].append(f"{ap_type(t)} {name} = {exact(int(b[at]), int(b_frac[at])) if b[at] else 0};")
                for i in np.flatnonzero(k[block.weights[:, j]]):
                    element = int(window[i])
                    if element < 0 or not source.type.width.flat[element]:
                        continue
                    w = block.weights[i, j]
                    for position, sign in csd(int(k[w])):
                        term = _term(moved, node, source, element, position - int(k_frac[w]))
                        lines[out].append(f"{'add' if sign > 0 else 'subtract'}_term({name}, {term});")
    views = [line for (element, power), term in sorted(moved.items()) for line in _view(node, source, element, power, term)]
    return Section(summary(node, what), (*views, *(line for part in lines for line in part)))


def _term(moved: dict[tuple[int, int], str], node: Node, source: Node, element: int, power: int) -> str:
    """The variable that holds input element times 2^power: the element itself for power 0."""
    if power == 0:
        return f"{source.name}_{element}"
    return moved.setdefault((element, power), f"{node.name}_in{element}_{'up' if power > 0 else 'down'}{abs(power)}")


def _view(node: Node, source: Node, element: int, power: int, term: str) -> list[str]:
    t = source.type[element]
    moved = FixedType(t.signed, t.width, t.frac - power)
    bits = f"{term}_bits"
    high = t.width - 1
    return [
        f"ap_uint<{t.width}> {bits} = {source.name}_{element}.range({high}, 0);",
        f"{ap_type(moved)} {term};",
        f"{term}.range({high}, 0) = {bits};",
    ]
