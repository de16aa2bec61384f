"""What a toolchain is: everything that hwq knows of one kind of tool, as one value. Each has a file of its own beside this one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from hwq.boards import Board
from hwq.toolchains.steps import Step
from hwq.tools.programs import Program


class Auto(IntEnum):
    """When `--tool auto` takes a toolchain; lower ones are tried first."""

    VENDOR = 1  # the vendor's own, where it is installed
    OPEN = 2
    STAGED = 3  # only where a stage is asked for that needs it
    NEVER = 4  # only by its name


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be built.

    Attributes:
        top: the top module and function.
        latency: clock cycles of the Verilog's pipeline; None for a stream, and where only the commands are asked for.
        memories: whether the design may have block memories.
    """

    top: str
    board: Board
    period_ns: float
    latency: int | None = None
    memories: bool = False


@dataclass(frozen=True, slots=True)
class Script:
    """A generated file: its path in the plan, the template (below hls_templates/), and the template's values."""

    path: str
    template: str
    values: Mapping[str, object] = field(default_factory=dict)


def _nothing(_: Request) -> tuple[Script, ...]:
    return ()


def _any(_: Board) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Toolchain:
    """One kind of tool.

    Attributes:
        name: what `--tool` calls it.
        listed: how the files of boards list it; several toolchains may share a name.
        programs: all that its steps start.
        chains: stage -> names of the steps to it, in order.
        default_stage: where `hwq synth` stops when no --stage is given.
        steps: all its steps.
        scripts: the files that its steps work from.
        contents: what people are told of its folders in a plan: path -> what is there.
        takes: whether it takes a board that lists it.
        auto: when `--tool auto` takes it.
        compiles: whether it compiles the C++, so that its Verilog is not hwq's own and the limits of HLS compilers hold.
        multiplies: whether it decides by itself what goes into DSPs; the others are told to leave them alone.
    """

    name: str
    listed: str
    programs: tuple[Program, ...]
    chains: Mapping[str, tuple[str, ...]]
    default_stage: str
    steps: Callable[[Request], tuple[Step, ...]]
    scripts: Callable[[Request], tuple[Script, ...]] = _nothing
    contents: Mapping[str, str] = field(default_factory=dict)
    takes: Callable[[Board], bool] = _any
    auto: Auto = Auto.NEVER
    compiles: bool = False
    multiplies: bool = False
