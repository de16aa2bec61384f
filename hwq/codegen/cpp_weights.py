"""The weights of a layer as named C++ constants.

To the hardware it makes no difference that a constant has a name, it is folded; to a C++ compiler it does: a multiplication is a new
function for every pair of types, and a literal in every statement is a constructor to be chosen in every statement.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hwq.codegen.cpp_text import ap_type, literal
from hwq.fixed import FixedType
from hwq.fixed.types import bits_for

SHARED_BITS = 16  # widest type that several weight values share
STEP = 4

Weight = tuple[int, int]  # an odd mantissa, and frac


def weight_name(node: str, weight: Weight) -> str:
    """A constant's name, for reading: `dense_n7_6` is -7 * 2^-6, `dense_p3_up2` is 3 * 2^2."""
    mantissa, frac = weight
    return f"{node}_{'n' if mantissa < 0 else 'p'}{abs(mantissa)}_{frac if frac >= 0 else f'up{-frac}'}"


def weight_lines(node: str, weights: Iterable[Weight]) -> list[str]:
    """A declaration for each different value: a literal of the value's own type, held by a type that values of similar size share."""
    lines: list[str] = []
    for group in _groups(sorted(set(weights), key=lambda w: (-w[1], abs(w[0]), w[0]))):
        held = ap_type(covering(group))
        lines += [f"const {held} {weight_name(node, w)} = {literal(*w)};" for w in group]
    return lines


def _groups(weights: Sequence[Weight]) -> list[list[Weight]]:
    groups: list[list[Weight]] = []
    for weight in weights:
        if groups and covering([*groups[-1], weight]).width <= SHARED_BITS:
            groups[-1].append(weight)
        else:
            groups.append([weight])
    return groups


def covering(weights: Sequence[Weight]) -> FixedType:
    """A signed type that holds all values, its integer and fractional bits rounded up to a step, so that layers share types, too."""
    frac = -(-max(f for _, f in weights) // STEP) * STEP
    scaled = [m << (frac - f) for m, f in weights]
    integer = bits_for(min(*scaled, -1), max(*scaled, 0)) - frac
    return FixedType(True, frac - (-integer // STEP) * STEP, frac)
