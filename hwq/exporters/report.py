"""What an export wrote, what it keeps of the network, and the proof. Writing is elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hwq.sim.compare import Comparison


@dataclass(frozen=True, slots=True)
class ExportReport:
    """A file, or a folder, that another package reads.

    Attributes:
        format: "qonnx", "keras" or "hls4ml".
        path: what was written.
        comparisons: the written file, executed on rows, against the integer reference; and, where hwq reads the format, the network
            read back against it. None of them has a mismatch.
        same_graph: whether the network that hwq reads back is the same, node by node; None where hwq does not read the format.
        keeps: what the file holds, as sentences.
        drops: what the format cannot hold.
        notes: what else to know.
    """

    format: str
    path: Path
    comparisons: tuple[Comparison, ...]
    same_graph: bool | None
    keeps: tuple[str, ...]
    drops: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.format}", *map(str, self.comparisons)]
        if self.same_graph is not None:
            lines.append("read back: " + ("the same graph" if self.same_graph else "the same answers from other nodes"))
        lines += [f"keeps: {text}" for text in self.keeps]
        lines += [f"drops: {text}" for text in self.drops]
        return "\n".join([*lines, *(f"note: {text}" for text in self.notes)])
