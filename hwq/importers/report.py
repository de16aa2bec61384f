"""What became of every layer of a file. Reading is elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from hwq.ir import Graph

EXACT, TABLE, LEFT_OUT = "exactly", "as a table", "left out"
ROUNDED = "up to float32's rounding"  # the weights are the peer's; the peer rounds its sums to float32, the design does not


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of the file.

    Attributes:
        name, kind: the peer's name of it, and the class.
        how: "exactly", "as a table", "up to float32's rounding" or "left out".
        note: what else to know of it.
    """

    name: str
    kind: str
    how: str
    note: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.kind}): {self.how}" + (f"; {self.note}" if self.note else "")


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What was read.

    Attributes:
        format: of the file, for example "HGQ2".
        layers: one entry for each layer of the file; a layer that cannot be taken is an error, never an entry.
        notes: what concerns the whole network.
    """

    format: str
    layers: tuple[Layer, ...]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join([f"{self.format}, {len(self.layers)} layers", *map(str, self.layers), *(f"note: {n}" for n in self.notes)])


@dataclass(frozen=True, slots=True)
class ImportedNetwork:
    """A network of a file, in integers, and what became of its layers."""

    graph: Graph
    report: ImportReport
