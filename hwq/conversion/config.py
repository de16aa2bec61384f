"""QuantizeConfig: how `hwq.quantize` turns a float model into its quantised twin. Imports no framework."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field

from hwq.errors import UsageError


@dataclass(frozen=True, slots=True)
class QuantizeConfig:
    """Options of the conversion.

    Attributes:
        bits: initial bits of the largest weight of each layer, and of each activation.
        overflow: WRAP, SAT or SAT_SYM, of hidden activations; the input saturates, since the host pays for that.
        rounding: RND, TRN or RND_CONV, of activations.
        granularity: which activations share a bitwidth: "element" (none), "channel", "tensor"; None: what each layer does by default
            (element; for convolutions and pooling channel; for tables tensor).
        weight_granularity: likewise of weights; "channel" is an output channel.
        weight_rounding: RND, TRN or RND_CONV, of weights.
        weight_terms: 0: fixed-point kernels. 1, 2, 3: every weight a sum of at most so many signed powers of two
            (docs/explanation/powers-of-two.md).
        weight_levels: how many powers of two a weight may be made of.
        activations: "fixed", or "pow2": behind every hidden ReLU the nearest power of two, by a table.
        table_bits: initial bits of the input of every table; None: `bits` + 2.
        softmax: of a softmax at the output: "drop" (the argmax is the same without it) or "table".
        layers: name of a layer of the float model -> options of its quantised twin, over all of the above.

    Raises:
        UsageError: an option that cannot be.
    """

    bits: int = 6
    overflow: str = "WRAP"
    rounding: str = "RND"
    granularity: str | None = None
    weight_granularity: str = "element"
    weight_rounding: str = "RND"
    weight_terms: int = 0
    weight_levels: int = 6
    activations: str = "fixed"
    table_bits: int | None = None
    softmax: str = "drop"
    layers: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("bits", "weight_terms", "weight_levels", "table_bits"):
            value = getattr(self, name)
            if value is None and name == "table_bits":
                continue
            if isinstance(value, bool) or not isinstance(value, numbers.Integral):
                raise UsageError(f"{name} must be a whole number, not {value!r}")
        if not 1 <= self.bits <= 30:
            raise UsageError(f"bits must be 1 to 30, not {self.bits}")
        if not 0 <= self.weight_terms <= 3 or not 1 <= self.weight_levels <= 16:
            raise UsageError("weight_terms must be 0 to 3 and weight_levels 1 to 16")
        if self.table_bits is not None and not 1 <= self.table_bits <= 13:
            raise UsageError(f"table_bits must be 1 to 13, not {self.table_bits}", hint="a table has a value for every code")
        choices = {
            "overflow": ("WRAP", "SAT", "SAT_SYM"),
            "rounding": ("RND", "TRN", "RND_CONV"),
            "granularity": (None, "element", "channel", "tensor"),
            "weight_granularity": ("element", "channel", "tensor"),
            "weight_rounding": ("RND", "TRN", "RND_CONV"),
            "softmax": ("drop", "table"),
            "activations": ("fixed", "pow2"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise UsageError(f"{name} is {getattr(self, name)!r}, expected one of {', '.join(map(str, allowed))}")
        if not isinstance(self.layers, Mapping) or not all(isinstance(options, Mapping) for options in self.layers.values()):
            raise UsageError(
                f"layers is {self.layers!r}: it says for the name of a layer its options", hint='layers={"dense": {"bits": 4}}'
            )
