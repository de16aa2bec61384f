"""What became of every layer of a model that was read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConversionReport:
    """Layers converted, as (name, class), and layers left out, as (name, reason). A layer is in one of them, or an error was raised."""

    converted: tuple[tuple[str, str], ...]
    skipped: tuple[tuple[str, str], ...]
