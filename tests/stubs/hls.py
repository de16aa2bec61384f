"""A stub of vivado_hls, vitis_hls and vitis-run --tcl: projects and solutions, or components, on disk."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from stubs import hls_core as core
from stubs.base import Command, FailedError, Tcl, parse, say, version_numbers

CODE = "HLS 200-101"


class Hls:
    """The Tcl of one run; the solution must be open before anything runs."""

    def __init__(self, program: str, version: str) -> None:
        self.version, self.program = version, program
        self.marker = "vivado_hls.app" if program == "vivado_hls" else "hls.app"
        self.project: core.Project | None = None

    def commands(self) -> dict[str, Command]:
        names = "open_project close_project open_solution close_solution set_top add_files set_part create_clock "
        names += "set_clock_uncertainty csim_design csynth_design cosim_design export_design config_array_partition"
        if version_numbers(self.version) >= (2024, 1):
            names += " open_component close_component"
        return {name: getattr(self, name) for name in names.split()}

    def _project(self) -> core.Project:
        if self.project is None:
            raise FailedError("ERROR: [HLS 200-70] No project is open: use open_project first")
        return self.project

    def _solution(self) -> core.Project:
        if not self._project().solution:
            raise FailedError("ERROR: [HLS 200-70] No solution is open: use open_solution first")
        return self._project()

    def _open(self, command: str, words: tuple[str, ...], valued: str = "") -> str:
        found = parse(command, words, "-reset -upgrade", valued, CODE)
        (name,) = found.rest
        if self.project is not None:
            raise FailedError(f"ERROR: [HLS 200-70] {command}: another project is open: close_project first")
        root = Path(name).absolute()
        if "-reset" in found.switches:
            shutil.rmtree(root, ignore_errors=True)
        known = core.load(root, self.marker)
        say(f"INFO: [HLS 200-10] {'Opening' if known else 'Creating and opening'} project '{root}'.")
        self.project = known or core.Project(str(root))
        if command == "open_project":
            self.project.solution = ""
        self.project.save(self.marker)
        return ""

    def open_project(self, *words: str) -> str:
        return self._open("open_project", words)

    def open_component(self, *words: str) -> str:
        self._open("open_component", words, "-flow_target")
        self._project().solution = "hls"
        return self._save()

    def open_solution(self, *words: str) -> str:
        valued = "-flow_target" if version_numbers(self.version) >= (2020, 2) else ""
        found = parse("open_solution", words, "-reset", valued, CODE)
        project = self._project()
        (project.solution,) = found.rest
        if "-reset" in found.switches:
            shutil.rmtree(project.folder, ignore_errors=True)
            project.done, project.part, project.period, project.uncertainty = [], "", None, None
        return self._save()

    def close_project(self, *words: str) -> str:
        self.project = None
        return ""

    close_component = close_project

    def close_solution(self, *words: str) -> str:
        self._project().solution = ""
        return ""

    def _save(self) -> str:
        self._project().save(self.marker)
        return ""

    def set_top(self, *words: str) -> str:
        (self._project().top,) = parse("set_top", words, code=CODE).rest
        return self._save()

    def add_files(self, *words: str) -> str:
        found = parse("add_files", words, "-tb", "-cflags -csimflags -blackbox", CODE)
        into = self._project().bench if "-tb" in found.switches else self._project().files
        for name in " ".join(found.rest).split():
            if not Path(name).exists():
                raise FailedError(f"ERROR: [HLS 200-642] The source file '{name}' does not exist")
            say(f"INFO: [HLS 200-10] Adding {'test bench' if '-tb' in found.switches else 'design'} file '{name}' to the project")
            into[str(Path(name).absolute())] = found.values.get("-cflags", "")
        return self._save()

    def set_part(self, *words: str) -> str:
        (part,) = parse("set_part", words, "", "-tool", CODE).rest
        if not part.startswith(("xc", "xa")):
            raise FailedError(f"ERROR: [HLS 200-1023] Part '{part}' is not installed.")
        self._solution().part = part
        return self._save()

    def create_clock(self, *words: str) -> str:
        self._solution().period = float(parse("create_clock", words, "", "-period -name", CODE).values["-period"])
        return self._save()

    def set_clock_uncertainty(self, *words: str) -> str:
        (value,) = parse("set_clock_uncertainty", words, code=CODE).rest[:1]
        self._solution().uncertainty = float(value.removesuffix("%"))
        return self._save()

    def config_array_partition(self, *words: str) -> str:
        """Vitis HLS dropped -maximum_size: it says so as an error, and goes on."""
        parse("config_array_partition", words, "", "-maximum_size -complete_threshold", CODE)
        if version_numbers(self.version) >= (2020, 2) and "-maximum_size" in words:
            say("ERROR: [HLS 200-642] The 'config_array_partition -maximum_size' command is not supported.")
        return ""

    def csim_design(self, *words: str) -> str:
        parse("csim_design", words, "-clean -O -setup -profile", "-ldflags -argv -mflags", CODE)
        core.csim(self._solution(), self.version)
        return self._save()

    def csynth_design(self, *words: str) -> str:
        parse("csynth_design", words, "-dump_cfg -synthesis_check", "", CODE)
        core.csynth(self._solution(), self.version)
        return self._save()

    def cosim_design(self, *words: str) -> str:
        parse("cosim_design", words, "-O -setup", "-rtl -tool -trace_level -argv -ldflags", CODE)
        core.cosim(self._solution(), self.version)
        return self._save()

    def export_design(self, *words: str) -> str:
        valued = "-flow -rtl -format -version -description -vendor -library -display_name -output"
        found = parse("export_design", words, "-acc", valued, CODE)
        core.export(self._solution(), self.version, found.values.get("-flow", "none"), found.values.get("-version"))
        return self._save()


def main(program: str, version: str, arguments: list[str]) -> None:
    """As each generation is called: -f SCRIPT, or --mode hls --tcl SCRIPT."""
    names = {"vivado_hls": "Vivado(TM) HLS - High-Level Synthesis from C, C++ and SystemC", "vitis-run": "vitis-run"}
    banner = f"{names.get(program, 'Vitis HLS - High-Level Synthesis from C, C++ and OpenCL')} v{version} (64-bit)"
    if arguments in (["-version"], ["--version"]):
        print(banner)
        return
    if program == "vitis-run":
        found = parse("vitis-run", arguments, "", "--mode --tcl --work_dir")
        script = found.values["--tcl"]
    else:
        found = parse(program, arguments, "-i", "-f -l -tclargs")
        script = found.values["-f"]
    if found.rest or not Path(script).is_file():
        say(f"ERROR [AP-1] Could not read script '{script}'.")
        sys.exit(1)
    say(f"\n****** {banner}\n  **** SW Build 1\n")
    hls = Hls(program, version)
    executable = f"/tools/Xilinx/x/{version}/bin/unwrapped/lnx64.o/{'vitis_hls' if program == 'vitis-run' else program}"
    tcl = Tcl(hls.commands(), executable, lambda code: say(core.END))
    tcl.source(script)
    say("the script does not end with exit: the tool waits for commands")
    sys.exit(3)
