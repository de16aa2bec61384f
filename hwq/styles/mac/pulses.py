"""Signals that are high at one clock of each row: from the clock at which it is taken, and from the ends of folded products."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_NEAR = 40  # clocks by which registers delay a signal; a counter delays it further


@dataclass(slots=True)
class Pulses:
    """Each from the latest one before it that is there anyway.

    Attributes:
        bases: clock -> the signal that is high then.
        interval: rows are at least so many clocks apart, so that a counter that counts no further has one row at a time.
        wanted: clocks of the others.
    """

    bases: Mapping[int, str]
    interval: int
    wanted: Sequence[int]
    _delays: dict[int, tuple[int, bool]] = field(default_factory=dict)  # clock -> (clock that it follows, whether by a counter)

    def __post_init__(self) -> None:
        known = sorted(self.bases)
        for clock in sorted(set(self.wanted) - set(self.bases)):
            base = max(k for k in known if k < clock)
            last = max([base, *(k for k in self._delays if k < clock)])
            if clock - base <= _NEAR:
                self._delays[clock] = base, False
                continue
            while clock - last > self.interval:  # a row at a time
                self._delays[last + self.interval] = last, True
                last += self.interval
            self._delays[clock] = last, True

    def name(self, clock: int) -> str:
        """The signal of a clock that was wanted."""
        if clock in self.bases:
            return self.bases[clock]
        base, counted = self._delays[clock]
        return f"at{clock}" if counted else f"{self.bases[base]}_later[{clock - base}]"

    def lines(self) -> list[str]:
        """The declarations of the signals, those of `bases` left out."""
        found: list[str] = []
        for base, name in sorted(self.bases.items()):
            far = max((clock - base for clock, (b, counted) in self._delays.items() if b == base and not counted), default=0)
            if far:
                kept = f"{{{name}_later[{far - 1}:1], {name}}}" if far > 1 else name
                found += [f"reg [{far}:1] {name}_later = 0;", f"always @(posedge clk) {name}_later <= {kept};"]
        for clock, (base, counted) in sorted(self._delays.items()):
            if counted:
                found += self._counter(clock, base)
        return found

    def _counter(self, clock: int, base: int) -> list[str]:
        bits = (clock - base).bit_length()
        left = f"left{clock}"
        return [
            f"reg [{bits - 1}:0] {left} = 0;",
            f"wire at{clock} = {left} == {bits}'d1;",
            f"always @(posedge clk) if ({self.name(base)}) {left} <= {bits}'d{clock - base}; else if ({left} != 0) {left} <= {left} - 1'b1;",
        ]
