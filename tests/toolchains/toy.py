"""A toolchain as docs/how-to/add-a-toolchain.md has one made: a whole file of `hwq/toolchains`, for a program that counts wires."""

from __future__ import annotations

import json

from hwq.toolchains.base import Request, Script, Toolchain
from hwq.toolchains.steps import Finished, Reading, Step
from hwq.tools.find import find
from hwq.tools.programs import Program, Unstreamed

PROGRAM = Program(
    "toy",
    "counting wires",
    "1.0",
    "2.0",
    "nobody counts wires",
    "write it yourself",
    lambda: find("toy"),
    reports_clock=False,
    unstreamed=Unstreamed("toy", "leave the stream out"),
)


def steps(request: Request) -> tuple[Step, ...]:
    arguments = ("toy/count.txt", "toy/wires.json")
    return (Step("toy-synth", "synth", PROGRAM.name, arguments, ("toy/wires.json",), "toy/synth.log", read),)


def read(finished: Finished) -> Reading:
    """A wire is taken for a LUT."""
    from hwq.reports.types import Resources, Timing
    from hwq.toolchains.believing import require_same

    path = finished.outputs["wires.json"]
    content = json.loads(path.read_text())
    require_same(path, "top", content["top"], finished.top)
    return Reading(path, Resources(float(content["wires"]), 0.0, 0.0, 0.0, 0.0), Timing(), finished.pipeline)


def scripts(request: Request) -> tuple[Script, ...]:
    return (Script("toy/count.txt", "toy/count.txt.j2", {"top": request.top}),)


TOOLCHAIN = Toolchain(
    name="toy",
    listed="yosys",
    programs=(PROGRAM,),
    chains={"synth": ("toy-synth",)},
    default_stage="synth",
    steps=steps,
    scripts=scripts,
    contents={"toy/": "a count of wires"},
)
