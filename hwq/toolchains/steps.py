"""The commands of a plan: for every kind of tool and every stage, which programs run in which order and what each must leave behind.

Nothing runs here. `hwq.toolchains.runner` and the generated `run.sh` both work from this table, so that a plan does the same by hand, on a
tool server and under `hwq synth`. All paths are relative to the plan's folder; outputs are globs, alternatives separated by `|`.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwq.boards import Board
from hwq.errors import UsageError
from hwq.toolchains.bambu import DEVICES as BAMBU_DEVICES
from hwq.toolchains.bambu import FOLDER as BAMBU
from hwq.toolchains.bambu import device
from hwq.toolchains.ecp5 import ecp5_part
from hwq.toolchains.vivado import STAGES as VIVADO

STAGES = ("csim", "csynth", "cosim", "export", "synth", "place", "route", "bitstream")
# what each kind of tool can do, and what `hwq synth` asks of it when no --stage is given
CHAINS: dict[str, dict[str, tuple[str, ...]]] = {
    "yosys": {"synth": ("yosys-synth",)},
    "nextpnr-ecp5": {
        "synth": ("yosys-synth",),
        "place": ("yosys-synth", "nextpnr-place"),
        "route": ("yosys-synth", "nextpnr-route"),
        "bitstream": ("yosys-synth", "nextpnr-route", "board-synth", "board-route", "board-pack"),
    },
    "vivado": {
        "synth": ("vivado-synth",),
        "place": ("vivado-synth", "vivado-place"),
        "route": ("vivado-synth", "vivado-place", "vivado-route"),
    },
    "vitis": {
        "csim": ("hls-csim",),
        "csynth": ("hls-csynth",),
        "cosim": ("hls-csynth", "hls-cosim"),
        "export": ("hls-csynth", "hls-export"),
        "synth": ("hls-csynth", "hls-synth"),
        "route": ("hls-csynth", "hls-route"),
    },
    "v++": {
        "csim": ("vpp-csim",),
        "csynth": ("vpp-csynth",),
        "cosim": ("vpp-csynth", "vpp-cosim"),
        "export": ("vpp-csynth", "vpp-export"),
        "synth": ("vpp-csynth", "vpp-synth"),
        "route": ("vpp-csynth", "vpp-route"),
    },
    "bambu": {"csynth": ("bambu-csynth",), "synth": ("bambu-csynth", "bambu-synth")},
}
DEFAULT_STAGE = {"yosys": "synth", "nextpnr-ecp5": "route", "vivado": "synth", "vitis": "csynth", "v++": "csynth", "bambu": "synth"}


@dataclass(frozen=True, slots=True)
class Step:
    """One program run.

    Attributes:
        name: its name in the plan; the record of a finished run is `steps/<name>.json`.
        stage: the stage that its reports measure.
        program: yosys, nextpnr-ecp5, ecppack, hls (any generation that takes Tcl), v++, vitis-run, vivado or bambu.
        arguments: what follows the program.
        outputs: globs of files that it must make anew; all are deleted before it starts.
        log: everything it prints.
        measures: whether its outputs hold a measurement of the design.
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
    measures: bool = True
    folder: str = ""
    optional: tuple[str, ...] = ()
    scratch: tuple[str, ...] = ()


def kinds_for(board: Board) -> tuple[str, ...]:
    """The kinds of tools that take the board."""
    wide = {"vitis": ("vitis", "v++"), "yosys": ("yosys", *(("bambu",) if board.yosys_family in BAMBU_DEVICES else ()))}
    return tuple(kind for tool in board.tools for kind in wide.get(tool, (tool,)))


def stages_for(kind: str, board: Board) -> tuple[str, ...]:
    """The stages of a kind that the board can be taken to."""
    return tuple(stage for stage in CHAINS[kind] if stage != "bitstream" or board.harness is not None)


def steps_for(kind: str, stage: str, board: Board, top: str, period_ns: float) -> tuple[Step, ...]:
    """The steps to `stage`, in order.

    Raises:
        UsageError: the kind does not take the board, or has no such stage; the hint says which do.
    """
    kinds = kinds_for(board)
    if kind not in kinds:
        raise UsageError(f"{kind} does not take {board.part}", hint=f"tools for {board.name}: {', '.join(kinds)}")
    if stage not in CHAINS[kind]:
        able = [k for k in kinds if stage in CHAINS[k]]
        other = f"; {stage} is for {', '.join(able)}" if able else ""
        raise UsageError(f"{kind} has no stage {stage}", hint=f"its stages: {', '.join(CHAINS[kind])}{other}")
    if stage == "bitstream" and board.harness is None:
        raise UsageError(f"{board.name} has no test harness", hint="add a [harness] table to its file: docs/how-to/add-a-board.md")
    table = {step.name: step for step in _all(kind, board, top, period_ns)}
    return tuple(table[name] for name in CHAINS[kind][stage])


def _all(kind: str, board: Board, top: str, period_ns: float) -> tuple[Step, ...]:
    if kind in ("yosys", "nextpnr-ecp5"):
        return _open(board, top, period_ns)
    if kind == "vivado":
        return _vivado()
    if kind == "bambu":
        return _bambu(board, top, period_ns)
    return _hls(top) if kind == "vitis" else _config_flow(top)


def _yosys(name: str, stage: str, folder: str, *more: str, measures: bool = True) -> Step:
    outputs = (f"{folder}/stat.json", *(f"{folder}/{file}" for file in more))
    return Step(name, stage, "yosys", ("-q", f"{folder}/synth.ys"), outputs, f"{folder}/synth.log", measures)


def _open(board: Board, top: str, period_ns: float) -> tuple[Step, ...]:
    if board.yosys_family != "ecp5":
        return (_yosys("yosys-synth", "synth", "yosys", "netlist.v"),)
    part = ecp5_part(board.part).arguments
    bare = (*part, "--json", "yosys/netlist.json", "--out-of-context", "--freq", f"{1e3 / period_ns:g}", *_STEADY)
    pins = (*part, "--json", "board/netlist.json", "--lpf", "board/pins.lpf", *_STEADY)
    return (
        _yosys("yosys-synth", "synth", "yosys", "netlist.v", "netlist.json"),
        _nextpnr("place", (*bare, "--no-route", "--report", "nextpnr/placed.json"), ("nextpnr/placed.json",)),
        _nextpnr(
            "route",
            (*bare, "--report", "nextpnr/routed.json", "--write", "nextpnr/netlist.json"),
            ("nextpnr/routed.json", "nextpnr/netlist.json"),
        ),
        _yosys("board-synth", "bitstream", "board", "netlist.json", measures=False),
        Step(
            "board-route",
            "bitstream",
            "nextpnr-ecp5",
            (*pins, "--report", "board/routed.json", "--textcfg", f"board/{top}.config"),
            ("board/routed.json", f"board/{top}.config"),
            "board/route.log",
        ),
        Step(
            "board-pack",
            "bitstream",
            "ecppack",
            ("--compress", f"board/{top}.config", f"board/{top}.bit"),
            (f"board/{top}.bit",),
            "board/pack.log",
            measures=False,
        ),
    )


# a missed clock is a result, not a failure; a fixed seed gives the same route again
_STEADY = ("--seed", "1", "--timing-allow-fail")


def _nextpnr(stage: str, arguments: tuple[str, ...], outputs: tuple[str, ...]) -> Step:
    return Step(f"nextpnr-{stage}", stage, "nextpnr-ecp5", arguments, outputs, f"nextpnr/{stage}.log")


def _vivado() -> tuple[Step, ...]:
    def step(stage: str) -> Step:
        arguments = ("-mode", "batch", "-nojournal", "-log", f"vivado/{stage}_vivado.log", "-source", f"vivado/{stage}.tcl")
        outputs = tuple(f"vivado/{name}" for name in VIVADO[stage].outputs)
        return Step(f"vivado-{stage}", stage, "vivado", arguments, outputs, f"vivado/{stage}.log")

    return tuple(step(stage) for stage in VIVADO)


def _hls(top: str) -> tuple[Step, ...]:
    def step(stage: str, *outputs: str, measures: bool = True) -> Step:
        return Step(f"hls-{stage}", stage, "hls", (f"hls/{stage}.tcl",), outputs, f"hls/{stage}.log", measures)

    impl = "hls_prj/**/impl/report/verilog/"
    # Vivado HLS names one report <top>_export.xml for both depths, Vitis HLS one each
    return (
        step("csim", f"hls_csim/**/csim/report/{top}_csim.log", measures=False),
        step("csynth", "hls_prj/**/syn/report/csynth.xml"),
        step("cosim", f"hls_prj/**/sim/report/{top}_cosim.rpt", measures=False),
        step("export", "hls_prj/**/impl/export.zip|hls_prj/**/impl/ip/*.zip", measures=False),
        step("synth", f"{impl}export_syn.xml|{impl}{top}_export.xml"),
        step("route", f"{impl}export_impl.xml|{impl}{top}_export.xml"),
    )


def _config_flow(top: str) -> tuple[Step, ...]:
    work = ("--work_dir", "hls_work")
    impl = "hls_work/hls/impl/report/verilog/"

    def step(stage: str, action: str, output: str, *, config: str = "hls", measures: bool = False) -> Step:
        arguments = ("--mode", "hls", action, "--config", f"{config}_config.cfg", *work)
        return Step(f"vpp-{stage}", stage, "vitis-run", arguments, (output,), f"hls/vpp_{stage}.log", measures)

    compile_arguments = ("-c", "--mode", "hls", "--config", "hls_config.cfg", *work)
    return (
        step("csim", "--csim", f"hls_work/hls/csim/report/{top}_csim.log", config="hls_sim"),
        Step("vpp-csynth", "csynth", "v++", compile_arguments, ("hls_work/hls/syn/report/csynth.xml",), "hls/vpp_csynth.log"),
        step("cosim", "--cosim", f"hls_work/hls/sim/report/{top}_cosim.rpt", config="hls_sim"),
        step("export", "--package", "hls_work/hls/impl/export.zip|hls_work/*.zip|hls_work/hls/impl/ip/*.zip"),
        step("synth", "--impl", f"{impl}export_syn.xml", config="hls_syn", measures=True),
        step("route", "--impl", f"{impl}export_impl.xml", config="hls_impl", measures=True),
    )


def _bambu(board: Board, top: str, period_ns: float) -> tuple[Step, ...]:
    arguments = (
        f"../hls/{top}.cpp",
        f"--top-fname={top}",
        "--generate-interface=INFER",
        "--compiler=I386_CLANG16",
        f"--device-name={device(board)}",
        f"--clock-period={period_ns:g}",
        "-I../hls",
        "-O3",
        "-v2",
    )
    log = f"{BAMBU}/csynth.log"  # its estimates are printed: the log is its report
    return (
        Step(
            "bambu-csynth",
            "csynth",
            "bambu",
            arguments,
            (f"{BAMBU}/{top}.v", log),
            log,
            folder=BAMBU,
            optional=(f"{BAMBU}/*.mem",),  # the tables, where there are any
            scratch=(f"{BAMBU}/panda-temp", f"{BAMBU}/HLS_output"),
        ),
        Step(
            "bambu-synth",
            "synth",
            "yosys",
            ("-q", "synth.ys"),
            (f"{BAMBU}/stat.json", f"{BAMBU}/netlist.v"),
            f"{BAMBU}/synth.log",
            folder=BAMBU,  # the tables are found by their names alone
        ),
    )
