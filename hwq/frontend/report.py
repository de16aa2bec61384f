"""What became of every layer of a model that was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hwq.errors import one_line


@dataclass(frozen=True, slots=True)
class ConversionReport:
    """Layers converted, as (name, class), and layers or parts of them left out, as (name, reason). A layer is in one of them, or an
    error was raised. `notes`: what else to know of a converted layer, as (name, note)."""

    converted: tuple[tuple[str, str], ...]
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, told: Mapping[str, Sequence[Sequence[str]]]) -> ConversionReport:
        """From what a saved model says, each part as lists of two texts, which are shown without control characters.

        Raises:
            KeyError, TypeError, ValueError: it says something else.
        """
        parts = ("converted", "skipped", "notes")
        return cls(*(tuple((one_line(str(name)), one_line(str(word))) for name, word in told[part]) for part in parts))

    def __str__(self) -> str:
        told = [f"{len(self.converted)} layers converted"]
        told += [f"left out: {name}: {reason}" for name, reason in self.skipped]
        return "\n".join(told + [f"note: {name}: {note}" for name, note in self.notes])
