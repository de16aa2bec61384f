"""Fixed-point types, and the only code in hwq that rounds, wraps or saturates. No graph and no tensor of a framework is known here."""

from hwq.fixed.arithmetic import quantize_float, requantize, saturate, shift_round, to_float, wrap
from hwq.fixed.types import FixedType, Overflow, Rounding, TypeArray

__all__ = [
    "FixedType",
    "Overflow",
    "Rounding",
    "TypeArray",
    "quantize_float",
    "requantize",
    "saturate",
    "shift_round",
    "to_float",
    "wrap",
]
