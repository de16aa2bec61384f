"""Scripts of a plan: those of every toolchain that takes the board, those of the simulations, and run.sh.

Every tool is started in the build folder; scripts use relative paths only.
"""

from __future__ import annotations

from hwq.boards import Board
from hwq.templates import render
from hwq.toolchains.base import Request
from hwq.toolchains.registry import programs, stages_for, steps_for, toolchains_for
from hwq.toolchains.yosys import simulation_scripts
from hwq.tools.wasm import PREFIX
from hwq.units import Period


def script_files(top: str, board: Board, period: Period, latency: int | None = None, *, memories: bool = False) -> dict[str, str]:
    """Relative path -> text of every script; those for tools that cannot take the board's part are left out.

    Args:
        latency: clock cycles of the Verilog's pipeline, which the proofs of its netlist let pass; None for a design that is no
            pipeline, and then there are none.
        memories: whether the Verilog may need block memories: the simulation of its netlist then has models of them.
    """
    request = Request(top, board, period.ns, latency, memories)
    chosen = toolchains_for(board)
    scripts = (*simulation_scripts(request), *(script for t in chosen for script in t.scripts(request)))
    files = {script.path: render(script.template, **script.values) for script in scripts}
    chains = [
        (t.name, [(stage, steps_for(t.name, stage, board, top, period.ns)) for stage in stages_for(t.name, board)]) for t in chosen
    ]
    files["run.sh"] = render("shell/run.sh.j2", chains=chains, programs=programs(), asked=_asked(), prefix=PREFIX)
    return files


def _asked() -> list[tuple[str, list[str]]]:
    """[(argument, patterns of names)]: what programs are asked for their version by; builds of a package are asked as native ones."""
    found: dict[str, list[str]] = {}
    for program in programs():
        for name, argument in reversed(list(program.asked.items())):
            found.setdefault(argument, []).append(f"*{name}" if program.package else name)
    return sorted(found.items(), reverse=True)
