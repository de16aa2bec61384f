"""The toolchains that there are, and what is asked across them: for which boards, stages, programs and evaluators. A new one is a line here."""

from __future__ import annotations

from hwq.boards import Board
from hwq.errors import BoardError, UsageError
from hwq.toolchains import bambu, config_flow, hls, nextpnr, vivado, yosys
from hwq.toolchains.base import Auto, Request, Toolchain
from hwq.toolchains.steps import STAGES, Step
from hwq.tools.programs import Program
from hwq.tools.wasm import PREFIX

TOOLCHAINS: tuple[Toolchain, ...] = (
    yosys.TOOLCHAIN,
    nextpnr.TOOLCHAIN,
    vivado.TOOLCHAIN,
    hls.TOOLCHAIN,
    config_flow.TOOLCHAIN,
    bambu.TOOLCHAIN,
)


def kinds() -> tuple[str, ...]:
    """The names of all toolchains, as `--tool` takes them."""
    return tuple(t.name for t in TOOLCHAINS)


def toolchain(kind: str) -> Toolchain:
    """Raises UsageError: there is none of that name."""
    found = next((t for t in TOOLCHAINS if t.name == kind), None)
    if found is None:
        raise UsageError(f"there is no tool {kind!r}", hint=f"one of: {', '.join(kinds())}")
    return found


def programs() -> tuple[Program, ...]:
    """What their steps start, each once."""
    return tuple({p.name: p for t in TOOLCHAINS for p in t.programs}.values())


def contents() -> dict[str, str]:
    """What stands in the folders of a plan that belong to tools: path -> what is there."""
    return {path: what for t in TOOLCHAINS for path, what in t.contents.items()}


def default_stages() -> str:
    """For people, where each toolchain stops by itself: `csynth for vitis, synth for yosys`."""
    stages = {stage: [t.name for t in TOOLCHAINS if t.default_stage == stage] for stage in STAGES}
    return ", ".join(f"{stage} for {' and '.join(names)}" for stage, names in stages.items() if names)


def program(name: str) -> Program:
    """The program that a step names."""
    return {p.name: p for p in programs()}[name]


def program_of(tool: str) -> Program | None:
    """The program of a measurement, native or packaged; None for one that no toolchain here has."""
    plain = tool.removeprefix(PREFIX)
    return next((p for p in programs() if plain in p.called), None)


def toolchains_for(board: Board) -> tuple[Toolchain, ...]:
    """Those that take the board, in the order of its file.

    Raises:
        BoardError: its file lists a tool that no toolchain goes by.
    """
    listed = tuple(dict.fromkeys(t.listed for t in TOOLCHAINS))
    unknown = [name for name in board.tools if name not in listed]
    if unknown:
        raise BoardError(
            f"{board.name}.toml: tools has {unknown[0]!r}, expected one of {', '.join(listed)}", hint="correct the file"
        )
    return tuple(t for name in board.tools for t in TOOLCHAINS if t.listed == name and t.takes(board))


def automatic(board: Board, stage: str | None) -> list[str]:
    """The kinds that `--tool auto` tries, in order: the vendor's, then the open ones."""
    last = Auto.OPEN if stage is None else Auto.STAGED
    known = toolchains_for(board)
    able = [t for t in TOOLCHAINS if t in known and t.auto <= last and (stage is None or stage in t.chains)]
    return [t.name for t in sorted(able, key=lambda t: t.auto)]


def kinds_for(board: Board) -> tuple[str, ...]:
    """The names of the toolchains that take the board."""
    return tuple(t.name for t in toolchains_for(board))


def stages_for(kind: str, board: Board) -> tuple[str, ...]:
    """The stages of a kind that the board can be taken to."""
    return tuple(stage for stage in toolchain(kind).chains if stage != "bitstream" or board.harness is not None)


def steps_for(kind: str, stage: str, board: Board, top: str, period_ns: float) -> tuple[Step, ...]:
    """The steps to `stage`, in order.

    Raises:
        UsageError: the kind does not take the board, or has no such stage; the hint says which do.
    """
    able = toolchains_for(board)
    chosen = toolchain(kind)
    if chosen not in able:
        raise UsageError(f"{kind} does not take {board.part}", hint=f"tools for {board.name}: {', '.join(t.name for t in able)}")
    if stage not in chosen.chains:
        others = [t.name for t in able if stage in t.chains]
        other = f"; {stage} is for {', '.join(others)}" if others else ""
        raise UsageError(f"{kind} has no stage {stage}", hint=f"its stages: {', '.join(chosen.chains)}{other}")
    if stage == "bitstream" and board.harness is None:
        raise UsageError(f"{board.name} has no test harness", hint="add a [harness] table to its file: docs/how-to/add-a-board.md")
    table = {step.name: step for step in chosen.steps(Request(top, board, period_ns))}
    return tuple(table[name] for name in chosen.chains[stage])


def makers(board: Board) -> dict[str, Step]:
    """Evaluator -> the step that makes what it simulates, on this board."""
    from hwq.toolchains.plan import TOP  # it loads NumPy, which no --help should

    request = Request(TOP, board, board.default_clock.ns)
    return {step.proves: step for t in toolchains_for(board) for step in t.steps(request) if step.proves}
