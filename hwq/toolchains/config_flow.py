"""AMD's config flow, v++ and vitis-run: what `hwq.toolchains.hls` does by Tcl, by config files."""

from __future__ import annotations

from hwq.toolchains import hls
from hwq.toolchains.base import Auto, Request, Script, Toolchain
from hwq.toolchains.steps import Step
from hwq.toolchains.vivado import LICENCE, OBTAIN
from hwq.tools.programs import Program

TEST_DATA = ("tb_data/inputs.dat", "tb_data/expected.dat")
_WORK = ("--work_dir", "hls_work")
_IMPL = "hls_work/hls/impl/report/verilog/"
_USED = ("AMD's config flow", "2023.1", "2025.2", "C synthesis uses Tcl", OBTAIN)
COMPILER = Program("v++", *_USED, licence=LICENCE, compiles=True)
RUNNER = Program("vitis-run", *_USED, licence=LICENCE, compiles=True)


def steps(request: Request) -> tuple[Step, ...]:
    top = request.top
    return (
        _run("csim", "--csim", f"hls_work/hls/csim/report/{top}_csim.log", "hls_sim"),
        Step(
            "vpp-csynth",
            "csynth",
            COMPILER.name,
            ("-c", "--mode", "hls", "--config", "hls_config.cfg", *_WORK),
            ("hls_work/hls/syn/report/csynth.xml",),
            "hls/vpp_csynth.log",
            hls.read_csynth,
        ),
        _run("cosim", "--cosim", f"hls_work/hls/sim/report/{top}_cosim.rpt", "hls_sim"),
        _run("export", "--package", "hls_work/hls/impl/export.zip|hls_work/*.zip|hls_work/hls/impl/ip/*.zip", "hls"),
        _run("synth", "--impl", f"{_IMPL}export_syn.xml", "hls_syn"),
        _run("route", "--impl", f"{_IMPL}export_impl.xml", "hls_impl"),
    )


def _run(stage: str, action: str, output: str, config: str) -> Step:
    arguments = ("--mode", "hls", action, "--config", f"{config}_config.cfg", *_WORK)
    return Step(f"vpp-{stage}", stage, RUNNER.name, arguments, (output,), f"hls/vpp_{stage}.log", hls.READERS.get(stage))


def scripts(request: Request) -> tuple[Script, ...]:
    values = {"top": request.top, **hls.values_of(request)}

    def config(name: str, flow: str = "", data: tuple[str, ...] = ()) -> Script:
        file = f"{name}_config.cfg"
        return Script(file, "tcl/hls_config.cfg.j2", {**values, "flow": flow, "data": data, "config": file})

    return config("hls"), config("hls_sim", data=TEST_DATA), config("hls_syn", "syn"), config("hls_impl", "impl")


TOOLCHAIN = Toolchain(
    name="v++",
    listed="vitis",
    programs=(COMPILER, RUNNER),
    chains={
        "csim": ("vpp-csim",),
        "csynth": ("vpp-csynth",),
        "cosim": ("vpp-csynth", "vpp-cosim"),
        "export": ("vpp-csynth", "vpp-export"),
        "synth": ("vpp-csynth", "vpp-synth"),
        "route": ("vpp-csynth", "vpp-route"),
    },
    default_stage="csynth",
    steps=steps,
    scripts=scripts,
    auto=Auto.VENDOR,
    compiles=True,
    multiplies=True,
)
