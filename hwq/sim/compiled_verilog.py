"""Who simulates the Verilog that an HLS compiler made of the C++: a line for each compiler whose interface is known here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hwq.events import Notice
from hwq.fixed.arithmetic import IntArray
from hwq.sim import bambu
from hwq.sim.compare import Comparison
from hwq.toolchains.bambu import EVALUATOR as BAMBU


@dataclass(frozen=True, slots=True)
class Compiled:
    """One compiler's Verilog.

    Attributes:
        verilog: where it is in a plan's folder.
        sources: what belongs to it in that folder: path -> SHA-256; empty where there is nothing.
        compare: the Verilog in that folder against the plan's graph, for input mantissas (rows, elements). Raises ToolMissingError,
            ReportError, ToolError.
    """

    verilog: str
    sources: Callable[[Path], dict[str, str]]
    compare: Callable[[Path, IntArray, Notice], Comparison]


# evaluator, as a step's `proves` names it -> the compiler's Verilog
COMPILED: dict[str, Compiled] = {BAMBU: Compiled(bambu.VERILOG, bambu.sources, bambu.compare_compiled)}
