"""What every generation of the HLS compiler does with a project: compile and run the bench, synthesise, co-simulate, export."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
import shutil
import subprocess
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

import report_samples as samples

from stubs.base import FailedError, say, version_numbers

END = "INFO: [HLS 200-112] Total CPU user time: 1.94 seconds. Total elapsed time: 12.32 seconds; peak allocated memory: 1.071 GB."


@dataclass
class Project:
    """A project on disk: what was added to it and set in it, and the steps that have run."""

    root: str
    solution: str = ""
    top: str = ""
    part: str = ""
    period: float | None = None
    uncertainty: float | None = None
    files: dict[str, str] = field(default_factory=dict)  # absolute path -> flags
    bench: dict[str, str] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Where reports go: the solution."""
        return Path(self.root) / self.solution

    def save(self, marker: str) -> None:
        Path(self.root).mkdir(parents=True, exist_ok=True)
        (Path(self.root) / marker).write_text(json.dumps(asdict(self)))


def load(root: Path, marker: str) -> Project | None:
    path = root / marker
    return Project(**json.loads(path.read_text())) if path.is_file() else None


def report(project: Project, name: str, text: str) -> None:
    path = project.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def source_text(project: Project) -> str:
    """The sources as the compiler's own front end sees them: it does not define __BAMBU__."""
    text = "".join(Path(name).read_text() for name in project.files)
    return re.sub(r"#ifdef __BAMBU__.*?#else[^\n]*\n(.*?)#endif", r"\1", text, flags=re.DOTALL)


def check_front_end(project: Project, version: str) -> None:
    """What Vivado HLS does not know: the newer form of pragmas, the name of C++14."""
    if version_numbers(version) >= (2020, 2):
        return
    if any("c++14" in flags for flags in (*project.files.values(), *project.bench.values())):
        raise FailedError("ERROR: [HLS 200-70] Compilation errors found: error: invalid value 'c++14' in '-std=c++14'")
    if found := re.search(r"#pragma HLS INTERFACE mode=\w+.*", source_text(project)):
        raise FailedError(f"ERROR: [HLS 200-70] Pragma processing failed: unknown option in '{found[0]}'")


def compiled(project: Project) -> Path:
    """The bench as a program; kept by its text, as many versions compile the same one."""
    sources = [*project.files, *(name for name in project.bench if name.endswith((".cpp", ".cc", ".c")))]
    if len(sources) < 2:
        raise FailedError("ERROR: [SIM 211-100] 'csim_design' failed: no test bench file was added")
    headers = sorted({h for s in sources for h in Path(s).parent.glob("*.h")})
    content = b"".join(Path(name).read_bytes() for name in (*sources, *map(str, headers)))
    program = Path(os.environ["STUB_CACHE"]) / hashlib.sha256(content).hexdigest()[:16]
    if not program.is_file():
        part = program.with_suffix(f".{os.getpid()}")
        flags = sorted({f for flags in (*project.files.values(), *project.bench.values()) for f in flags.split()})
        flags = [f for f in flags if not f.startswith("-std=c++0x")]
        command = ["g++", *(flags or ["-std=c++11"]), "-O0", "-w", "-I", os.environ["STUB_AP_TYPES"], *sources, "-o", str(part)]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode:
            say(made.stderr[:2000])
            raise FailedError("ERROR: [SIM 211-100] 'csim_design' failed: compilation error(s).")
        part.rename(program)
    return program


def run_bench(project: Project, folder: Path) -> int:
    """Run the bench in `folder`: a folder that was added is there as a folder, a file beside the program."""
    program = compiled(project)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in project.bench:
        path = Path(name)
        if path.is_dir():
            shutil.copytree(path, folder / path.name)
        elif path.suffix not in (".cpp", ".cc", ".c", ".h"):
            shutil.copy(path, folder / path.name)
    done = subprocess.run([program], cwd=folder, capture_output=True, text=True, check=False)
    say(done.stdout + done.stderr)
    return done.returncode


def csim(project: Project, version: str) -> None:
    say("INFO: [SIM 211-2] *************** CSIM start ***************")
    check_front_end(project, version)
    code = run_bench(project, project.folder / "csim" / "build")
    report(
        project,
        f"csim/report/{project.top}_csim.log",
        f"INFO: [SIM 2] CSIM start\nINFO: [SIM 1] CSim done with {code} errors.\nINFO: [SIM 3] CSIM finish\n",
    )
    if code:
        raise FailedError("ERROR: [SIM 211-100] 'csim_design' failed: nonzero return value.")
    say("INFO: [SIM 211-1] CSim done with 0 errors.\nINFO: [SIM 211-3] *************** CSIM finish ***************")
    project.done.append("csim")


def csynth(project: Project, version: str) -> None:
    say(f"INFO: [HLS 200-1510] Running: csynth_design \nINFO: [HLS 200-1611] Setting target device to '{project.part}'")
    if not project.top or not project.files:
        raise FailedError("ERROR: [HLS 200-70] Cannot find C design: no top function or no file")
    if not project.part or project.period is None:
        raise FailedError("ERROR: [HLS 200-101] no part or no clock is set")
    check_front_end(project, version)
    if f"{project.top}(" not in source_text(project):
        raise FailedError(f"ERROR: [HLS 207-2] Cannot find the top function '{project.top}' in the design source.")
    project.done = [step for step in project.done if step == "csim"] + ["csynth"]
    report(project, "syn/report/csynth.xml", csynth_xml(project, version))
    report(project, f"syn/report/{project.top}_csynth.xml", csynth_xml(project, version))
    report(project, f"syn/verilog/{project.top}.v", f"module {project.top}(); endmodule\n")


def csynth_xml(project: Project, version: str) -> str:
    lut, ff = counts(project)
    tag = "DSP48E" if version_numbers(version) < (2020, 2) else "DSP"
    period = project.period or 0.0
    uncertainty = period / 8 if project.uncertainty is None else project.uncertainty
    area = f"<BRAM_18K>0</BRAM_18K><{tag}>0</{tag}><FF>{ff}</FF><LUT>{lut}</LUT><URAM>0</URAM>"
    return f"""<profile><ReportVersion><Version>{version}</Version></ReportVersion>
<UserAssignments><unit>ns</unit><ProductFamily>x</ProductFamily><Part>{project.part}</Part><TopModelName>{project.top}</TopModelName>
<TargetClockPeriod>{period:.2f}</TargetClockPeriod><ClockUncertainty>{uncertainty:.2f}</ClockUncertainty></UserAssignments>
<PerformanceEstimates><PipelineType>yes</PipelineType>
<SummaryOfTimingAnalysis><unit>ns</unit><EstimatedClockPeriod>{period * 0.7:.3f}</EstimatedClockPeriod></SummaryOfTimingAnalysis>
<SummaryOfOverallLatency><unit>clock cycles</unit><Best-caseLatency>4</Best-caseLatency><Average-caseLatency>4</Average-caseLatency>
<Worst-caseLatency>4</Worst-caseLatency><Interval-min>1</Interval-min><Interval-max>1</Interval-max>
<PipelineInitiationInterval>1</PipelineInitiationInterval></SummaryOfOverallLatency></PerformanceEstimates>
<AreaEstimates><Resources>{area}</Resources><AvailableResources><LUT>1182240</LUT></AvailableResources></AreaEstimates></profile>
"""


def counts(project: Project) -> tuple[int, int]:
    """LUT and FF that follow from the text of the source."""
    lines = source_text(project).splitlines()
    return 20 + 7 * sum(("add" in line or "+" in line) for line in lines), 10 + 3 * sum("const" in line for line in lines)


def require_csynth(project: Project, command: str) -> None:
    if "csynth" not in project.done:
        raise FailedError(f"ERROR: [HLS 200-70] {command}: no synthesised design in the solution: run csynth_design first")


def cosim(project: Project, version: str) -> None:
    require_csynth(project, "cosim_design")
    say("INFO: [COSIM 212-47] Using XSIM for RTL simulation.\nINFO: [COSIM 212-302] Starting C TB testing ... ")
    code = run_bench(project, project.folder / "sim" / "wrapc")
    if code:
        say(f"ERROR: [COSIM 212-359] Aborting co-simulation: C TB simulation failed, nonzero return value '{code}'.")
        raise FailedError("ERROR: [COSIM 212-4] *** C/RTL co-simulation finished: FAIL ***")
    report(project, f"sim/report/{project.top}_cosim.rpt", samples.cosim(("Pass", "4", "4", "4", "1", "1", "1")))
    say("INFO: [COSIM 212-1000] *** C/RTL co-simulation finished: PASS ***")


def export(project: Project, version: str, flow: str, ip_version: str | None) -> None:
    require_csynth(project, "export_design")
    today = datetime.date.today()
    if version_numbers(version) <= (2021, 2) and today.year >= 2022 and ip_version is None:
        revision = today.strftime("%y%m%d") + "0900"
        say(f"ERROR: '{revision}' is an invalid argument. Please specify an integer value.\n    while executing")
        say(f'"rdi::set_property core_revision {revision} {{component component_1}}"\n    invoked from within')
        raise FailedError("ERROR: [IMPL 213-28] Failed to generate IP.")
    name = "impl/export.zip" if version_numbers(version) >= (2020, 2) else f"impl/ip/xilinx_com_hls_{project.top}_1_0.zip"
    path = project.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("component.xml", f"<version>{ip_version}</version>")
    if flow in ("syn", "impl"):
        kind = f"export_{flow}.xml" if version_numbers(version) >= (2020, 2) else f"{project.top}_export.xml"
        report(project, f"impl/report/verilog/{kind}", export_xml(project, version, flow))


def export_xml(project: Project, version: str, flow: str) -> str:
    lut, ff = counts(project)
    period = project.period or 0.0
    achieved = period * 0.5
    run = "impl" if flow == "impl" else "synth"
    return f"""<profile><RunData><RUN_TYPE>{run}</RUN_TYPE>
<VIVADO_VERSION>v.{version}</VIVADO_VERSION></RunData>
<TimingReport><TargetClockPeriod>{period:.3f}</TargetClockPeriod><AchievedClockPeriod>{achieved:.3f}</AchievedClockPeriod>
<TIMING_MET>TRUE</TIMING_MET></TimingReport>
<AreaReport><Resources><BRAM>0</BRAM><DSP>0</DSP><FF>{ff}</FF><LUT>{lut // 2}</LUT><URAM>0</URAM></Resources></AreaReport>
<RtlModules><RtlModule CELL="inst" DEPTH="0" IS_TOP="1" MODULENAME="{project.top}">
<Resources FF="{ff}" LUT="{lut // 2}"/></RtlModule></RtlModules>
<GeneralInfo NAME="General Information"><item NAME="Target device" VALUE="{project.part}"/></GeneralInfo></profile>
"""
