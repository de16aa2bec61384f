"""Choosing the synthesis tool and running it over a written BuildPlan. Reading its reports is left to `hwq.reports`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hwq.boards import Board
from hwq.errors import ToolMissingError, UsageError
from hwq.tools.find import Tool
from hwq.tools.process import ToolRun
from hwq.tools.vendor import find_hls, find_vivado, hls_argv, require, run_checked
from hwq.tools.yosys import find_yosys, run_script

KINDS = ("yosys", "vitis", "vivado")
STAGES = {"yosys": "synth", "vitis": "csynth", "vivado": "synth"}


@dataclass(frozen=True, slots=True)
class Synthesiser:
    """A tool of one kind: yosys, vitis (any HLS generation) or vivado."""

    kind: str
    tool: Tool

    @property
    def stage(self) -> str:
        return STAGES[self.kind]


def choose(wanted: str, board: Board) -> Synthesiser:
    """`auto` is the vendor's own synthesis where it is installed, else Yosys.

    Raises:
        ToolMissingError: not installed, or nothing installed takes the board.
        UsageError: the board's part is not for that tool.
    """
    if wanted != "auto":
        if wanted not in board.tools:
            raise UsageError(f"{wanted} does not take {board.part}", hint=f"tools for {board.name}: {', '.join(board.tools)}")
        return Synthesiser(wanted, _required(wanted))
    for kind, finder in (("vivado", find_vivado), ("vitis", find_hls)):
        tool = finder() if kind in board.tools else None
        if tool is not None:
            return Synthesiser(kind, tool)
    if "yosys" not in board.tools:
        raise ToolMissingError(f"nothing installed takes {board.part}", hint=f"it needs one of: {', '.join(board.tools)}")
    return Synthesiser("yosys", find_yosys())


def _required(kind: str) -> Tool:
    if kind == "yosys":
        return find_yosys()
    return require(find_vivado(), "vivado") if kind == "vivado" else require(find_hls(), "vitis_hls")


def synthesise(
    synthesiser: Synthesiser, folder: Path, *, timeout_s: float | None = None, notice: Callable[[str], None] | None = None
) -> tuple[ToolRun, list[Path]]:
    """Run the tool in the build folder; how it went, and its reports.

    Raises:
        ToolError: with the first error and what usually mends it.
    """
    tool = synthesiser.tool
    if synthesiser.kind == "yosys":
        stat = "yosys/stat.json"
        log = folder / "yosys" / "synth.log"
        return run_script("yosys/synth.ys", cwd=folder, log=log, outputs=[stat], timeout_s=timeout_s, notice=notice), [
            folder / stat
        ]
    if synthesiser.kind == "vivado":
        argv = [*tool.argv, "-mode", "batch", "-nojournal", "-log", "vivado/vivado.log", "-source", "vivado/synth.tcl"]
        expected = [folder / "vivado" / name for name in ("utilization.rpt", "timing.rpt")]
        return run_checked(
            tool, argv, cwd=folder, log=folder / "vivado" / "console.log", reports=lambda: expected, timeout_s=timeout_s
        )
    return run_checked(
        tool,
        hls_argv(tool, "hls/run_hls.tcl"),
        cwd=folder,
        log=folder / "hls" / "console.log",
        reports=lambda: sorted((folder / "hls_prj").glob("**/syn/report/csynth.xml")),
        timeout_s=timeout_s,
    )
