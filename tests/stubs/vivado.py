"""A stub of Vivado in batch mode: a design in memory, checkpoints on disk, reports of the state that the design is in."""

from __future__ import annotations

import fnmatch
import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

from stubs import rtl, vivado_reports
from stubs.base import FailedError, Options, Tcl, parse, say, version_numbers


@dataclass
class Design:
    """What is in memory, and what a checkpoint holds."""

    top: str
    part: str
    state: str
    sizes: dict[str, list[int]]  # module -> LUT, FF
    ports: dict[str, str]
    period: float | None = None
    uncertainty: float = 0.0
    delays: dict[str, float] = field(default_factory=dict)  # port -> what is outside of it
    properties: dict[str, str] = field(default_factory=dict)


# what each command needs, and what it makes of the design
STATES = {
    "opt_design": ({"Synthesized", "Optimized"}, "Optimized"),
    "place_design": ({"Synthesized", "Optimized"}, "Fully Placed"),
    "route_design": ({"Fully Placed", "Physopt postPlace"}, "Routed"),
}


class Vivado:
    def __init__(self, version: str) -> None:
        self.version = version
        self.design: Design | None = None
        self.sources: list[str] = []
        self.constraints: list[str] = []

    def commands(self) -> dict[str, object]:
        names = "read_verilog read_xdc synth_design opt_design place_design route_design phys_opt_design open_checkpoint "
        names += (
            "write_checkpoint report_utilization report_timing_summary report_power get_sites get_ports get_clocks set_property "
        )
        names += "create_clock set_clock_uncertainty set_input_delay set_output_delay close_design close_project"
        return {name: getattr(self, name) for name in names.split()}

    def _open(self) -> Design:
        if self.design is None:
            raise FailedError(
                "ERROR: [Common 17-53] User Exception: No open design. Please open an elaborated, synthesized design first."
            )
        return self.design

    def read_verilog(self, *words: str) -> str:
        self._read(parse("read_verilog", words, "-sv", "-library"), self.sources)
        return ""

    def read_xdc(self, *words: str) -> str:
        self._read(parse("read_xdc", words, "-unmanaged", "-mode -cells -ref"), self.constraints)
        return ""

    @staticmethod
    def _read(found: Options, into: list[str]) -> None:
        for name in found.rest:
            if not Path(name).is_file():
                raise FailedError(f"ERROR: [Common 17-55] File '{Path(name).absolute()}' does not exist")
            into.append(str(Path(name).absolute()))

    def synth_design(self, *words: str) -> str:
        switches = "-no_iobuf -rtl -quiet"
        found = parse("synth_design", words, switches, "-mode -top -part -max_dsp -directive -flatten_hierarchy -max_bram")
        if not self.sources:
            raise FailedError("ERROR: [Common 17-69] Command failed: no sources: nothing to synthesize")
        top, part = found.values.get("-top", ""), found.values.get("-part", "")
        if not part.startswith(("xc", "xa")):
            raise FailedError(f"ERROR: [Common 17-69] Command failed: invalid part '{part}'")
        say(f"Command: synth_design {' '.join(words)}\nStarting synth_design")
        texts = rtl.require(self.sources, top)
        sizes = {name: [s.lut, s.ff] for name, text in texts.items() for s in [rtl.size(text)]}
        self.design = Design(top, part, "Synthesized", sizes, rtl.ports(texts[top]))
        if found.values.get("-mode") != "out_of_context" and len(self.design.ports) > 500:
            raise FailedError("ERROR: [Place 30-415] IO Placement failed due to overutilization")
        constraints = Tcl(self.commands(), "vivado", lambda code: None)  # an XDC may use these commands alone
        for file in self.constraints:
            constraints.source(file)
        say("synth_design completed successfully")
        return ""

    def _advance(self, command: str, words: tuple[str, ...]) -> str:
        parse(command, words, "-quiet -tns_cleanup -no_timing_driven", "-directive")
        needed, after = STATES[command]
        design = self._open()
        say(f"Command: {command}")
        if design.state not in needed:
            raise FailedError(f"ERROR: [Common 17-69] Command failed: {command} cannot run on a design that is {design.state}")
        design.state = after
        say(f"{command} completed successfully")
        return ""

    def opt_design(self, *words: str) -> str:
        return self._advance("opt_design", words)

    def place_design(self, *words: str) -> str:
        lut, ff, capacity = *self.total(), vivado_reports.capacity(self._open().part)
        if lut > capacity.lut or ff > capacity.ff:
            line = f"This design requires {lut} of such cell types but only {capacity.lut} compatible sites are available"
            say("ERROR: [DRC UTLZ-1] Resource utilization: LUT as Logic over-utilized in Top Level Design (" + line + ")")
            raise FailedError("ERROR: [Vivado_Tcl 4-23] Error(s) found during DRC. Placer not run.")
        return self._advance("place_design", words)

    def route_design(self, *words: str) -> str:
        return self._advance("route_design", words)

    def phys_opt_design(self, *words: str) -> str:
        parse("phys_opt_design", words, "-quiet", "-directive")
        design = self._open()
        after = {"Fully Placed": "Physopt postPlace", "Routed": "Physopt postRoute"}.get(design.state)
        if after is None:
            raise FailedError("ERROR: [Vivado_Tcl 4-232] phys_opt_design needs a placed design")
        design.state = after
        return ""

    def open_checkpoint(self, *words: str) -> str:
        (name,) = parse("open_checkpoint", words, "-quiet", "-part").rest
        if not Path(name).is_file():
            raise FailedError(f"ERROR: [Common 17-55] File '{name}' does not exist")
        content = json.loads(Path(name).read_text())
        if version_numbers(content["version"]) > version_numbers(self.version):
            raise FailedError(f"ERROR: [Project 1-491] Checkpoint was created with {content['version']}, a newer version")
        self.design = Design(**content["design"])
        return ""

    def write_checkpoint(self, *words: str) -> str:
        found = parse("write_checkpoint", words, "-force -quiet")
        (name,) = found.rest
        if Path(name).exists() and "-force" not in found.switches:
            raise FailedError(
                f"ERROR: [Common 17-176] Overwrite of existing file isn't enabled. Please specify -force to overwrite {name}"
            )
        self._write(name, json.dumps({"version": self.version, "design": asdict(self._open())}))
        return ""

    def total(self) -> tuple[int, int]:
        """LUTs and flip-flops of the whole design; what opt_design removes is gone after it."""
        design = self._open()
        lut, ff = (sum(counts[k] for counts in design.sizes.values()) for k in (0, 1))
        return (lut if design.state == "Synthesized" else lut - lut // 20), ff

    def report_utilization(self, *words: str) -> str:
        found = parse("report_utilization", words, "-hierarchical -append -quiet", "-file -hierarchical_depth -cells")
        if "-append" in found.switches:
            raise FailedError("ERROR: the stub does not append")
        command = "report_utilization " + " ".join(words)
        if "-hierarchical" in found.switches:
            text = vivado_reports.hierarchical(self._open(), self.version, command, self.total())
        else:
            text = vivado_reports.utilisation(self._open(), self.version, command, self.total())
        self._write(found.values["-file"], text)
        return ""

    def report_timing_summary(self, *words: str) -> str:
        found = parse("report_timing_summary", words, "-quiet -no_header -warn_on_violation", "-file -max_paths -delay_type")
        command = "report_timing_summary " + " ".join(words)
        self._write(found.values["-file"], vivado_reports.timing(self._open(), self.version, command))
        return ""

    def report_power(self, *words: str) -> str:
        found = parse("report_power", words, "-quiet", "-file")
        self._write(found.values["-file"], vivado_reports.power(self._open(), self.version, "report_power"))
        return ""

    @staticmethod
    def _write(name: str, text: str) -> None:
        if not Path(name).parent.is_dir():
            raise FailedError(f"ERROR: [Common 17-37] Cannot open file '{name}' for writing")
        Path(name).write_text(text)

    def get_sites(self, *words: str) -> str:
        parse("get_sites", words, "-quiet", "-filter")
        self._open()
        return "BUFGCTRL_X0Y0 BUFGCTRL_X0Y1"

    def get_ports(self, *words: str) -> str:
        patterns = " ".join(parse("get_ports", words, "-quiet", "-filter").rest).split()
        names = self._open().ports
        found = [n for n in names if any(fnmatch.fnmatchcase(n, p.removesuffix("[*]")) for p in patterns)]
        if not found:
            say(f"WARNING: [Vivado 12-584] No ports matched '{' '.join(patterns)}'.")
        return " ".join(found)

    def get_clocks(self, *words: str) -> str:
        (name,) = parse("get_clocks", words, "-quiet").rest
        return name if self._open().period is not None else ""

    def set_property(self, *words: str) -> str:
        name, value, target = words
        if not target:
            raise FailedError("ERROR: [Common 17-55] 'set_property' expects at least one object.")
        self._open().properties[f"{name} {target}"] = value
        return ""

    def create_clock(self, *words: str) -> str:
        found = parse("create_clock", words, "-add", "-name -period -waveform")
        if found.rest != ["clk"]:
            raise FailedError("ERROR: [Vivado 12-4739] create_clock: No valid object(s) found for 'objects'")
        self._open().period = float(found.values["-period"])
        return ""

    def set_clock_uncertainty(self, *words: str) -> str:
        found = parse("set_clock_uncertainty", words, "-setup -hold")
        value, clock = found.rest
        if not clock:
            raise FailedError("ERROR: [Vivado 12-4739] set_clock_uncertainty: No valid object(s) found")
        self._open().uncertainty = float(value)
        return ""

    def set_input_delay(self, *words: str) -> str:
        return self._delay("set_input_delay", "input", words)

    def set_output_delay(self, *words: str) -> str:
        return self._delay("set_output_delay", "output", words)

    def _delay(self, command: str, direction: str, words: tuple[str, ...]) -> str:
        found = parse(command, words, "-max -min -add_delay", "-clock")
        value, names = found.rest
        design = self._open()
        wrong = [n for n in names.split() if design.ports[n] != direction]
        if not names or wrong or design.period is None:
            raise FailedError(f"ERROR: [Vivado 12-4739] {command}: No valid object(s) found: {names}")
        design.delays |= dict.fromkeys(names.split(), float(value))
        return ""

    def close_design(self, *words: str) -> str:
        parse("close_design", words, "-quiet")
        self.design = None
        return ""

    def close_project(self, *words: str) -> str:
        return self.close_design(*words)


def main(version: str, arguments: list[str]) -> None:
    if arguments == ["-version"]:
        print(
            f"Vivado v{version} (64-bit)\nSW Build 2405991 on Thu Dec  6 23:36:41 MST 2018"
            if version < "2024"
            else f"vivado v{version} (64-bit)"
        )
        return
    found = parse("vivado", arguments, "-nojournal -nolog -notrace", "-mode -log -journal -source -tempDir")
    say(f"\n****** Vivado v{version} (64-bit)\n  **** SW Build 1 on Thu Dec  6 23:36:41 MST 2018\n")
    if found.values.get("-mode") not in ("batch", "tcl") or found.rest:
        say("ERROR: [Common 17-165] the stub runs in batch mode only")
        sys.exit(1)
    log, script = found.values.get("-log"), found.values["-source"]
    if not Path(script).is_file():
        say(f"ERROR: [Common 17-55] cannot read '{script}'")
        sys.exit(1)
    if log:
        Path(log).write_text(f"# Vivado v{version}\n")
    vivado = Vivado(version)
    tcl = Tcl(
        vivado.commands(),
        f"/tools/Xilinx/Vivado/{version}/bin/unwrapped/lnx64.o/vivado",
        lambda code: say("INFO: [Common 17-206] Exiting Vivado at now..."),
    )
    say(f"source {script}")
    tcl.source(script)
    tcl._exit("0")
