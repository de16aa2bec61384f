"""The Verilog of whole words in a design that takes a row every few clocks, and of the registers that keep them; of every such style.

What makes a word that is no operation of the circuit (a view of a stream, a sum of lanes) is its style's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hwq.codegen.verilog_ops import CircuitDraft, statement
from hwq.styles.serial.machine import Access, Word


@dataclass(slots=True)
class Words(CircuitDraft):
    """Words of a machine while they are written: names are those of this clock's words, or of registers that keep them."""

    given: dict[int, str] = field(default_factory=dict)

    def name(self, wire: int, stage: int) -> str:
        return self.given[wire]

    def computed(self, word: Word) -> tuple[list[str], str]:
        """The lines before an operation, and its value."""
        self.given = {a.wire: word_name(a) for a in word.operands}
        found = statement(self, word.wire)
        return list(found.before), found.value

    def kept(self, wire: int, value: str, enables: Sequence[str]) -> list[str]:
        """The wire of a word, and its registers, one behind the other, each with the signal that lets it in."""
        lines = [f"wire {self.kind(wire)} w{wire} = {value};"] if self.widths[wire] else []
        for k, enable in enumerate(enables):
            source = held_name(wire, k) if k else f"w{wire}"
            lines.append(f"always @(posedge clk) if ({enable}) {held_name(wire, k + 1)} <= {source};")
        return lines

    def outputs(self, accesses: Sequence[Access]) -> list[str]:
        """One assignment an output element."""
        lines = []
        for access, e in zip(accesses, self.ports.outputs, strict=True):
            if e.width:
                self.given = {access.wire: word_name(access)}
                lines.append(f"assign y[{e.offset + e.width - 1}:{e.offset}] = {self.bits(access.wire, 0, e.width)};")
        return lines or ["assign y = 1'b0;"]


def held_name(wire: int, k: int) -> str:
    """A word's register, the k-th from 1."""
    return f"w{wire}_h{k}"


def word_name(access: Access) -> str:
    return held_name(access.wire, access.held) if access.held else f"w{access.wire}"
