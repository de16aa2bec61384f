"""A layer whose weights are sums of a few signed powers of two, in C++ without a product: terms with moved binary points, added or subtracted.

A term x 2^k is a variable with the bits of x and another binary point, so that no bit is computed and none is lost.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwq.codegen.cpp_sums import sums
from hwq.codegen.cpp_text import Section, ap_type, from_bits, summary
from hwq.fixed import FixedType
from hwq.ir import Node
from hwq.ir.ops import constants, is_matrix, odd_form, spec_of
from hwq.passes.wires import csd

Moved = dict[tuple[int, int], str]  # (input element, power of two) -> the variable that holds their product


def in_shifts(node: Node, terms: int) -> bool:
    """Whether every weight of a linear node, or factor of a scale, is the sum of at most `terms` signed powers of two."""
    factor = spec_of(node.op).factor
    if not (factor or is_matrix(node)) or terms < 1:
        return False
    weights = node.constant(factor) if factor else constants(node)[0]
    mantissas = np.unique(np.abs(odd_form(weights)[0]))
    return all(len(csd(int(v))) <= terms for v in mantissas if v)


def shift_section(node: Node, inputs: Sequence[Node], what: str) -> Section:
    """The statements of a linear node whose weights are written as shifts; `what` describes it in the comment."""
    source = inputs[0]
    moved: dict[tuple[int, int], str] = {}
    lines = (_scaled if spec_of(node.op).factor else _summed)(node, source, moved)
    views = [line for (element, power), term in sorted(moved.items()) for line in _view(source, element, power, term)]
    return Section(summary(node, what), (*views, *lines))


def _scaled(node: Node, source: Node, moved: Moved) -> list[str]:
    factor, frac = (a.ravel() for a in odd_form(node.constant(spec_of(node.op).factor)))
    lines = []
    for i, t in enumerate(node.type):
        if t.width:
            lines.append(f"{ap_type(t)} {node.name}_{i} = 0;")
            lines += _added(node, source, moved, (i, i), (int(factor[i]), int(frac[i])))
    return lines


def _summed(node: Node, source: Node, moved: Moved) -> list[str]:
    k, k_frac = (a.ravel() for a in odd_form(constants(node)[0]))
    return sums(node, source, lambda out, element, w: _added(node, source, moved, (out, element), (int(k[w]), int(k_frac[w]))))


def _added(node: Node, source: Node, moved: Moved, place: tuple[int, int], factor: tuple[int, int]) -> list[str]:
    """Statements that add an input element times a factor to a result: one a digit, none for padding and what is always zero.

    Args:
        place: the elements of the result and of the input; factor: (mantissa, frac), which is mantissa 2^-frac.
    """
    (out, element), (mantissa, frac) = place, factor
    if element < 0 or not source.type.width.flat[element]:
        return []
    terms = [(sign, _term(moved, node, source, element, position - frac)) for position, sign in csd(mantissa)]
    return [f"{'add' if sign > 0 else 'subtract'}_term({node.name}_{out}, {term});" for sign, term in terms]


def _term(moved: Moved, node: Node, source: Node, element: int, power: int) -> str:
    """The variable that holds input element times 2^power: the element itself for power 0."""
    if power == 0:
        return f"{source.name}_{element}"
    return moved.setdefault((element, power), f"{node.name}_in{element}_{'up' if power > 0 else 'down'}{abs(power)}")


def _view(source: Node, element: int, power: int, term: str) -> list[str]:
    t = source.type[element]
    moved = FixedType(t.signed, t.width, t.frac - power)
    bits = f"{term}_bits"
    high = t.width - 1
    return [
        f"ap_uint<{t.width}> {bits} = {source.name}_{element}.range({high}, 0);",
        *from_bits(moved, term, bits),
    ]
