"""How far a design is when Vivado reports on it: the words of its reports, which differ between the kinds of reports and versions."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """The design's state; the values are how hwq names them."""

    SYNTHESISED = "synthesised"
    OPTIMISED = "optimised"
    PLACED = "placed"
    ROUTED = "routed"

    def __str__(self) -> str:
        return self.value


_WORDS = {
    "synthesized": State.SYNTHESISED,
    "optimized": State.OPTIMISED,
    "placed": State.PLACED,
    "fully placed": State.PLACED,
    "physopt": State.PLACED,
    "physopt postplace": State.PLACED,  # phys_opt_design moves and copies cells; the design stays placed
    "routed": State.ROUTED,
    "fully routed": State.ROUTED,
    "physopt postroute": State.ROUTED,
}
PHYSICAL = (State.PLACED, State.ROUTED)


def state_of(words: str) -> State | None:
    """`Physopt postPlace` -> placed; None for words that hwq does not know, and for states that are none of a whole design."""
    return _WORDS.get(" ".join(words.lower().split()))


def is_placed(words: str) -> bool:
    """Whether the design has been placed, so that what was trimmed is gone from its counts."""
    return state_of(words) in PHYSICAL
