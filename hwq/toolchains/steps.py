"""A step of a plan: one program run, what it must leave behind, and how its reports are read. Which steps there are is not known here.

Nothing runs here. `hwq.toolchains.runner` and the generated `run.sh` both work from steps, so that a plan does the same by hand, on a
tool server and under `hwq synth`. All paths are relative to the plan's folder; outputs are globs, alternatives separated by `|`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hwq.boards import Board

if TYPE_CHECKING:  # reports are loaded when one is read
    from hwq.reports.types import Latency, Resources, Timing

STAGES = ("csim", "csynth", "cosim", "export", "synth", "place", "route", "bitstream")
# what a step makes that an evaluator can simulate (`Step.proves`); a compiler's Verilog goes by the compiler's name
MAPPED, ROUTED = "netlist", "routed"


@dataclass(frozen=True, slots=True)
class Reading:
    """What the reports of a step say.

    Attributes:
        path: the report with the counts.
        whole: whether the counts are those of the whole design; an HLS compiler's estimate may lack the logic.
    """

    path: Path
    resources: Resources
    timing: Timing
    latency: Latency
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Finished:
    """A step that has run: where its reports are, and of what they must be.

    Attributes:
        outputs: name of a file, without its folder -> where it is.
        pipeline: latency and interval of hwq's own Verilog.
    """

    step: Step
    folder: Path
    outputs: Mapping[str, Path]
    board: Board
    top: str
    pipeline: Latency


@dataclass(frozen=True, slots=True)
class Stamp:
    """Where a report says which version of the program wrote it.

    Attributes:
        file: its name, without the folder.
        version: from its text to the version; "" where it does not say. It may raise ValueError or AttributeError on a damaged text.
    """

    file: str
    version: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Step:
    """One program run.

    Attributes:
        name: its name in the plan; the record of a finished run is `steps/<name>.json`.
        stage: the stage that its reports measure.
        program: a `Program` of its toolchain, by name.
        arguments: what follows the program.
        outputs: globs of files that it must make anew; all are deleted before it starts.
        log: everything it prints.
        read: from its reports to the numbers of a measurement; None where they measure nothing. Raises ReportError.
        proves: the evaluator that can simulate what it makes: MAPPED, ROUTED, or that of a compiler; "" where none can.
        stamp: the report that says which version wrote it.
        folder: where the program runs, below the plan's; its arguments are relative to it, all other paths to the plan.
        optional: globs of files that it makes for some designs only; they belong to its outputs where they are there.
        scratch: folders that a run which was killed may have left; removed before it starts.
    """

    name: str
    stage: str
    program: str
    arguments: tuple[str, ...]
    outputs: tuple[str, ...]
    log: str
    read: Callable[[Finished], Reading] | None = None
    proves: str = ""
    stamp: Stamp | None = None
    folder: str = ""
    optional: tuple[str, ...] = ()
    scratch: tuple[str, ...] = ()

    @property
    def measures(self) -> bool:
        """Whether its outputs hold a measurement of the design."""
        return self.read is not None
