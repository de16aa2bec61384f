"""Bambu 2024.10 (PandA): C synthesis for the nearest device whose delays it knows, then Yosys on the Verilog that it made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hwq.boards import Board
from hwq.toolchains import yosys
from hwq.toolchains.base import Request, Script, Toolchain
from hwq.toolchains.steps import Finished, Reading, Step
from hwq.tools.programs import Program, Unstreamed
from hwq.tools.yosys import PROGRAM as YOSYS

EVALUATOR = "bambu"  # of its Verilog (`hwq.sim.bambu`), as verdicts name it
PROGRAM = Program(
    "bambu",
    "open C synthesis",
    "2023.1",
    "2024.10",
    "the C++ is simulated with g++",
    "get PandA-bambu's AppImage",
    compiles=True,
    by_yosys_family=True,
    reports_clock=False,  # an estimate is no measured clock
    unstreamed=Unstreamed("Bambu, at any stage", "use --io parallel, or --tool yosys, vivado or vitis"),
)
FOLDER = "bambu"  # of a plan: Bambu leaves its working files where it runs
# Yosys' family -> the devices of AMD that Bambu 2024.10 has measured delays of (its etc/devices/Xilinx_devices), the usual choice first
DEVICES: dict[str, tuple[str, ...]] = {
    "xc7": (
        "xc7a100t-1csg324-VVD",
        "xc7z020-1clg484-VVD",
        "xc7z045-2ffg900-VVD",
        "xc7vx485t-2ffg1761-VVD",
        "xc7vx690t-3ffg1930-VVD",
    ),
    "xcu": ("xcku060-3ffva1156-VVD",),
    "xcup": ("xcu280-2Lfsvh2892-VVD",),
}


def device(board: Board) -> str:
    """The device nearest to the board's part: of its family, with the longest part of the name in common."""
    return max(DEVICES[board.yosys_family], key=lambda name: _alike(name, board.part))


def _alike(a: str, b: str) -> int:
    """How many characters two names begin with in common."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def steps(request: Request) -> tuple[Step, ...]:
    top, log = request.top, f"{FOLDER}/csynth.log"  # its estimates are printed: the log is its report
    arguments = (
        f"../hls/{top}.cpp",
        f"--top-fname={top}",
        "--generate-interface=INFER",
        "--compiler=I386_CLANG16",
        f"--device-name={device(request.board)}",
        f"--clock-period={request.period_ns:g}",
        "-I../hls",
        "-O3",
        "-v2",
    )
    compiled = Step(
        "bambu-csynth",
        "csynth",
        PROGRAM.name,
        arguments,
        (f"{FOLDER}/{top}.v", log),
        log,
        read_compiled,
        EVALUATOR,
        folder=FOLDER,
        optional=(f"{FOLDER}/*.mem",),  # the tables, where there are any
        scratch=(f"{FOLDER}/panda-temp", f"{FOLDER}/HLS_output"),
    )
    # the tables are found by their names alone: Yosys runs in the same folder
    mapped = yosys.map_step("bambu-synth", "synth", FOLDER, "netlist.v")
    return compiled, replace(mapped, arguments=("-q", "synth.ys"), folder=FOLDER, read=read_mapped)


def read_compiled(finished: Finished) -> Reading:
    """What Bambu says of the function that it compiled: flip-flops, estimated clock, cycles; a design without registers is no fault."""
    return _estimate(finished.folder / finished.step.log, finished.top)


def read_mapped(finished: Finished) -> Reading:
    """Yosys' counts, and the latency of what Bambu compiled."""
    latency = _estimate(finished.folder / FOLDER / "csynth.log", finished.top).latency
    return yosys.read_mapped(replace(finished, pipeline=latency))


def _estimate(path: Path, top: str) -> Reading:
    from hwq.reports import bambu, parse
    from hwq.toolchains.believing import believe, require_same, timing_of

    report = believe(path, parse(path), bambu.KIND)
    require_same(path, "top", report.top or "", top)
    return Reading(path, report.resources, timing_of(report), report.latency, whole=False)


def scripts(request: Request) -> tuple[Script, ...]:
    """To map its Verilog, and to simulate it (`hwq.sim.bambu`)."""
    synth = Script(f"{FOLDER}/synth.ys", "yosys/bambu.ys.j2", yosys.values_of(request))
    return synth, Script(f"{FOLDER}/sim.ys", "yosys/bambu_sim.ys.j2", {"top": request.top})


TOOLCHAIN = Toolchain(
    name="bambu",
    listed="yosys",
    programs=(PROGRAM, YOSYS),
    chains={"csynth": ("bambu-csynth",), "synth": ("bambu-csynth", "bambu-synth")},
    default_stage="synth",
    steps=steps,
    scripts=scripts,
    contents={f"{FOLDER}/": "synthesis of the C++ with Bambu"},
    takes=lambda board: board.yosys_family in DEVICES,
    compiles=True,
)
