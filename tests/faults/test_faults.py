"""Every way in which a tool can fail or lie: each ends in a typed error, stores nothing, and the next call with a good tool succeeds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import report_samples as samples
from fake_runs import fake, make_run, prove, put, real, stat_json

import hwq
from hwq.design.plans import plan
from hwq.design.target import Target, Work
from hwq.errors import HwqError, ReportError, RunError, ToolError, ToolMissingError, ToolTimeoutError
from hwq.flow.synth import SynthResult, synth
from hwq.measure.store import Store
from hwq.reports.yosys import read_stat
from hwq.run.directory import RunDir
from hwq.synthesis.importing import import_plan
from hwq.tools.find import variable

BOARDS = {"yosys": "zcu104", "vivado": "zcu104", "vitis": "zcu104", "nextpnr-ecp5": "ulx3s-85f"}
PART = "xczu7ev-ffvc1156-2-e"


# what good tools leave behind
def stat_files(text: str | None = None) -> str:
    """Yosys, and another report in the place of its own."""
    return real("yosys") + ("" if text is None else put("yosys/stat.json", text))


def utilisation(lut: int = 5123, state: str = "Routed", top: str = "hwq_top", device: str = PART, dsp: int = 12) -> str:
    text = samples.utilisation(lut=lut, state=state, dsp=dsp, tiles="0", uram=0)
    return text.replace(": top\n", f": {top}\n").replace(PART, device)


def timing(wns: str = "0.110", state: str = "Routed") -> str:
    said = samples.MET if not wns.startswith("-") else samples.MISSED
    return samples.timing(wns, said).replace(": top\n", ": hwq_top\n").replace(": Routed\n", f": {state}\n")


def vivado(stages: str = "synth place route", **changes: str) -> str:
    """A Vivado that does one stage a call; `changes` replaces a file, or leaves it out where the text is empty."""
    body = 'stage=$(basename "${@: -1}" .tcl)\ncase "$stage" in\n'
    for stage, state in (("synth", "Optimized"), ("place", "Fully Placed"), ("route", "Routed")):
        files = {
            f"{stage}.dcp": "checkpoint",
            f"{stage}_utilization.rpt": utilisation(state=state),
            f"{stage}_utilization_hierarchical.rpt": "rows",
            f"{stage}_timing.rpt": timing(state=state),
            "route_power.rpt": samples.power(),
        }
        for key, text in changes.items():
            if key.replace("__", ".") in files:
                files[key.replace("__", ".")] = text
        body += f"{stage})\n" + "".join(
            put(f"vivado/{n}", t) for n, t in files.items() if t and (stage == "route" or "power" not in n)
        )
        body += ";;\n" if stage in stages else "exit 1;;\n"
    return body + "esac\necho 'INFO: [Common 17-206] Exiting Vivado at now'\n"


def csynth(lut: str = "5667", ff: str = "100", dsp: str = "7", top: str = "hwq_top", part: str = PART) -> str:
    text = samples.csynth_xml(version="2023.2", lut=lut, dsp="DSP").replace("<TopModelName>top", f"<TopModelName>{top}")
    text = text.replace("xc7z020-clg400-1", part).replace("<FF>100", f"<FF>{ff}").replace("<DSP>7", f"<DSP>{dsp}")
    return text.replace("<BRAM_18K>3", "<BRAM_18K>0") if lut == "0" else text


def hls(text: str | None = None, after: str = "") -> str:
    return put("hls_prj/solution1/syn/report/csynth.xml", csynth() if text is None else text) + after


def cosim(verdict: str = "Pass") -> str:
    text = samples.cosim((verdict, "13", "13", "14", "5", "5", "6"))
    return put("hls_prj/solution1/sim/report/hwq_top_cosim.rpt", text)


def pnr(lut: object = 900) -> str:
    cells = {"TRELLIS_COMB": lut, "TRELLIS_FF": 90, "MULT18X18D": 0, "DP16KD": 0}
    used = {name: {"used": n, "available": 83640} for name, n in cells.items()}
    return json.dumps({"fmax": {"clk": {"achieved": 80.0, "constraint": 50}}, "utilization": used, "critical_paths": []})


def nextpnr(report: str | None = None, after: str = "") -> str:
    """nextpnr, and another report in the place of its own."""
    return real("nextpnr-ecp5") + ("" if report is None else put("nextpnr/routed.json", report)) + after


GOOD = {
    "yosys": stat_files(),
    "vivado": vivado(),
    "vitis_hls": hls() + cosim(),
    "nextpnr-ecp5": nextpnr(),
    "ecppack": real("ecppack"),
}


@dataclass(frozen=True)
class Fault:
    """A broken tool, and what must be said of it."""

    kind: str
    tool: str
    body: str
    error: type[HwqError]
    words: str
    hint: str = ""
    stage: str | None = None
    banner: str | None = None


SMALL_PART = utilisation(state="Synthesized", device="xc7z020clg400-1")
ERROR = "echo 'ERROR: it went wrong'"
FAULTS = {
    "hangs": Fault("yosys", "yosys", "sleep 1000", ToolTimeoutError, "limit of 1 s"),
    "hangs behind a child": Fault("yosys", "yosys", "(sleep 1000) & wait", ToolTimeoutError, "limit of 1 s"),
    "ignores the polite signals": Fault("yosys", "yosys", "trap '' INT TERM HUP; sleep 1000", ToolTimeoutError, "limit"),
    "killed": Fault("yosys", "yosys", stat_files() + "kill -9 $$", ToolError, "SIGKILL"),
    "crashes": Fault("yosys", "yosys", stat_files() + "kill -SEGV $$", ToolError, "SIGSEGV"),
    "exit 1 with a good report": Fault("yosys", "yosys", stat_files() + "exit 1", ToolError, "exit code 1"),
    "exit 0 with an error line": Fault("yosys", "yosys", stat_files() + ERROR, ToolError, "it went wrong"),
    "exit 0 without a report": Fault("yosys", "yosys", "exit 0", ToolError, "left no yosys/stat.json"),
    "exit 0 without the netlist": Fault(
        "yosys", "yosys", put("yosys/stat.json", stat_json()), ToolError, "left no yosys/netlist.v"
    ),
    "empty report": Fault("yosys", "yosys", stat_files() + ": > yosys/stat.json", ToolError, "is empty"),
    "old report": Fault("yosys", "yosys", stat_files() + "touch -d 2001-01-01 yosys/stat.json", ToolError, "older than the run"),
    "half a report": Fault("yosys", "yosys", stat_files(stat_json()[:90]), ReportError, "JSON"),
    "all zero": Fault("yosys", "yosys", stat_files(stat_json(0, 0)), ReportError, "zero"),
    "negative": Fault("yosys", "yosys", stat_files(stat_json(-5, 3)), ReportError, "cell counts"),
    "counts that are words": Fault("yosys", "yosys", stat_files(stat_json("many", 3)), ReportError, "cell counts"),
    "trimmed": Fault("yosys", "yosys", stat_files(stat_json(2, 3)), ReportError, "trimmed"),
    "another top": Fault("yosys", "yosys", stat_files(stat_json(top="other")), ReportError, "top is other"),
    "disk full": Fault(
        "yosys", "yosys", "echo 'ERROR: write failed: No space left on device'; exit 1", ToolError, "disk full", "free some space"
    ),
    "disk full, exit 0": Fault(
        "yosys", "yosys", stat_files() + "echo 'tee: x: No space left on device'", ToolError, "disk full", "free some space"
    ),
    "out of memory": Fault(
        "yosys", "yosys", "echo 'terminate called: std::bad_alloc'; exit 134", ToolError, "out of memory", "jobs"
    ),
    "too old": Fault("yosys", "yosys", stat_files(), ToolError, "too old: hwq needs 0.23", "HWQ_YOSYS", banner="Yosys 0.9 (old)"),
    "licence after a good csynth": Fault(
        "vitis",
        "vitis_hls",
        hls(after="echo 'ERROR: [Common 17-345] A valid license was not found'; exit 1"),
        ToolError,
        "licence",
        "LICENSE",
    ),
    "licence, exit 0": Fault(
        "vitis",
        "vitis_hls",
        hls(after="echo 'ERROR: [Common 17-345] A valid license was not found'"),
        ToolError,
        "licence",
        "LICENSE",
    ),
    "part missing": Fault(
        "vitis",
        "vitis_hls",
        "echo \"ERROR: [HLS 200-1023] Part 'xczu7ev' is not installed.\"; exit 1",
        ToolError,
        "part missing",
        "AMD",
    ),
    "compile error": Fault(
        "vitis", "vitis_hls", "echo \"ERROR: [HLS 207-3771] use of undeclared identifier 'w'\"; exit 1", ToolError, "compile error"
    ),
    "stops unrolling": Fault(
        "vitis",
        "vitis_hls",
        "echo \"ERROR: [XFORM 203-504] Stop unrolling loop 'l' in function 'f'\"; exit 1",
        ToolError,
        "unroll stopped",
        "too large",
    ),
    "all-zero csynth.xml": Fault("vitis", "vitis_hls", hls(csynth("0", "0", "0")), ReportError, "zero"),
    "csynth of another part": Fault("vitis", "vitis_hls", hls(csynth(part="xc7z020-clg400-1")), ReportError, "part is xc7z020"),
    "csynth of another top": Fault("vitis", "vitis_hls", hls(csynth(top="myproject")), ReportError, "top is myproject"),
    "half a csynth.xml": Fault("vitis", "vitis_hls", hls(csynth()[:700]), ReportError, "csynth.xml"),
    "killed by the kernel": Fault(
        "vitis", "vitis_hls", "echo '/tools/loader: line 312: 4711 Killed'; exit 137", ToolError, "killed"
    ),
    "over-utilised": Fault(
        "vivado",
        "vivado",
        "echo 'ERROR: [DRC UTLZ-1] Resource utilization: LUT as Logic over-utilized in Top Level Design'; exit 1",
        ToolError,
        "over-utilised",
        "fit",
        "route",
    ),
    "utilisation of another part": Fault(
        "vivado",
        "vivado",
        vivado(synth_utilization__rpt=utilisation(state="Optimized", device="xc7z020clg400-1")),
        ReportError,
        "part is xc7z",
    ),
    "utilisation of another top": Fault(
        "vivado",
        "vivado",
        vivado(synth_utilization__rpt=utilisation(state="Optimized", top="other")),
        ReportError,
        "top is other",
    ),
    "no timing report": Fault(
        "vivado", "vivado", vivado(route_timing__rpt=""), ToolError, "left no vivado/route_timing.rpt", "", "route"
    ),
    "route report of a design that is not routed": Fault(
        "vivado",
        "vivado",
        vivado(route_utilization__rpt=utilisation(state="Synthesized")),
        ReportError,
        "expected routed",
        "",
        "route",
    ),
    "routed design trimmed to nothing": Fault(
        "vivado",
        "vivado",
        vivado(route_utilization__rpt=utilisation(lut=3, dsp=0)),
        ReportError,
        "trimmed",
        "",
        "route",
    ),
    "half a power report": Fault(
        "vivado", "vivado", vivado(route_power__rpt=samples.power()[:900]), ReportError, "power", "", "route"
    ),
    "co-simulation that failed, exit 0": Fault("vitis", "vitis_hls", hls() + cosim("Fail"), ReportError, "cosim.rpt", "", "cosim"),
    "half a utilisation report": Fault(
        "vivado", "vivado", vivado(synth_utilization__rpt=utilisation(state="Optimized")[:1500]), ReportError, "synth_utilization"
    ),
    "does not fit an ECP5": Fault(
        "nextpnr-ecp5",
        "nextpnr-ecp5",
        "echo \"ERROR: Unable to place cell 'w1', no BELs remaining to implement cell type 'TRELLIS_COMB'\"; exit 1",
        ToolError,
        "over-utilised",
        "fit",
        "route",
    ),
    "half a nextpnr report": Fault("nextpnr-ecp5", "nextpnr-ecp5", nextpnr(pnr()[:120]), ReportError, "JSON", "", "route"),
    "nextpnr counts that are words": Fault(
        "nextpnr-ecp5", "nextpnr-ecp5", nextpnr(pnr("many")), ReportError, "no count", "", "route"
    ),
    "no routed netlist": Fault(
        "nextpnr-ecp5",
        "nextpnr-ecp5",
        nextpnr(after="rm nextpnr/netlist.json"),
        ToolError,
        "left no nextpnr/netlist.json",
        "",
        "route",
    ),
    "an empty bitstream": Fault(
        "nextpnr-ecp5", "ecppack", "mkdir -p board; : > board/hwq_top.bit", ToolError, "hwq_top.bit is empty", "", "bitstream"
    ),
}


class Bench:
    """A run, a store, and a folder of fake tools."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path, self.patch = path, monkeypatch
        self.run, self.store = make_run(path / "run"), path / "s.sqlite"
        (path / "tools").mkdir()
        monkeypatch.setenv("HWQ_CACHE", str(path / "cache"))

    def tools(self, kind: str, **broken: tuple[str, str | None]) -> None:
        names = {"nextpnr-ecp5": ("yosys", "nextpnr-ecp5", "ecppack"), "vitis": ("vitis_hls",)}.get(kind, (kind,))
        for name in names:
            body, banner = broken.get(name, (GOOD[name], None))
            self.patch.setenv(variable(name), str(fake(self.path / "tools", name, body, banner)))

    def synth(self, kind: str, stage: str | None = None) -> SynthResult:
        prove(self.run, BOARDS[kind])
        return synth(
            self.run,
            Target.of(BOARDS[kind], tool=kind, stage=stage),
            store_path=self.store,
            work=Work(timeout_s=1 if self.hanging else 300),
        )[1][0]

    hanging = False

    @property
    def starts(self) -> list[str]:
        path = self.path / "tools" / "starts"
        return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_an_error_and_never_a_value(name: str, bench: Bench) -> None:
    fault = FAULTS[name]
    bench.hanging = fault.error is ToolTimeoutError
    bench.tools(fault.kind, **{fault.tool: (fault.body, fault.banner)})
    with pytest.raises(fault.error) as caught:
        bench.synth(fault.kind, fault.stage)
    assert fault.words in caught.value.message and fault.hint in (caught.value.hint or "") and caught.value.exit_code != 0
    # earlier stages of a chain may have been measured well; the failed one must not
    failed = {None: ("synth", "csynth"), "route": ("route",), "bitstream": ("bitstream",), "cosim": ()}[fault.stage]
    kept = Store.open(bench.store).find()
    assert not [m for m in kept if m.key.stage in failed] or name == "an empty bitstream"
    bench.hanging = False
    bench.tools(fault.kind)
    result = bench.synth(fault.kind, fault.stage)
    assert not result.reused and result.measurement is not None and (result.measurement.resources.lut or 0) > 8


def test_the_good_tools_are_good_and_not_started_twice(bench: Bench) -> None:
    for kind, stage, lut in (
        ("yosys", None, None),
        ("vivado", "route", 5123),
        ("vitis", None, 5667),
        ("nextpnr-ecp5", "bitstream", None),
    ):
        bench.tools(kind)
        result = bench.synth(kind, stage)
        assert result.measurement is not None and result.measurement.resources.lut
        assert lut is None or result.measurement.resources.lut == lut
        before = bench.starts
        again = bench.synth(kind, stage)
        assert again.reused and again.measurement == result.measurement and bench.starts == before


FLIP = """
import json
from pathlib import Path
path = Path("nextpnr/netlist.json")
netlist = json.loads(path.read_text())
for module in netlist["modules"].values():
    for cell in module["cells"].values():
        if cell["type"] == "TRELLIS_COMB" and "MODE" not in cell["parameters"]:
            cell["parameters"]["INITVAL"] = "".join("10"[int(bit)] for bit in cell["parameters"]["INITVAL"])
path.write_text(json.dumps(netlist))
"""


def test_a_design_by_itself_believes_no_wrong_route(bench: Bench) -> None:
    """A placer that changes what the design computes: nothing of it is stored, and a good one is asked again."""
    design = hwq.compile(RunDir(bench.run).points()[0].graph_path, BOARDS["nextpnr-ecp5"])
    flip = f"'{sys.executable}' -c '{FLIP}'\n"
    bench.tools("nextpnr-ecp5", **{"nextpnr-ecp5": (nextpnr(after=flip), None)})
    with pytest.raises(ReportError, match=r"differ|mismatch"):
        design.synth("nextpnr-ecp5", "route", store_path=bench.store)
    assert "route" not in {m.key.stage for m in Store.open(bench.store).find()}
    bench.tools("nextpnr-ecp5")
    assert design.synth("nextpnr-ecp5", "route", store_path=bench.store).key.stage == "route"


@pytest.mark.parametrize("verdict", ["Pass", "Fail"])
def test_an_import_believes_no_failed_cosimulation(verdict: str, bench: Bench) -> None:
    bench.tools("vitis", vitis_hls=(hls() + cosim(verdict), None))
    (planned,) = plan(bench.run, Target.of(BOARDS["vitis"], tool="vitis", stage="cosim"), out=bench.path / "away")
    done = subprocess.run(
        [planned.folder / "run.sh", *planned.script.split()[1:]],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": f"{bench.path / 'tools'}:/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    if verdict == "Pass":
        assert import_plan(planned.folder, store_path=bench.store).measurements
        return
    with pytest.raises(ReportError, match=r"cosim\.rpt"):
        import_plan(planned.folder, store_path=bench.store)
    assert not Store.open(bench.store).find()


def test_a_later_stage_goes_on_from_the_earlier_one(bench: Bench) -> None:
    bench.tools("vivado", vivado=(vivado("synth place"), None))
    with pytest.raises(ToolError, match="exit code 1"):
        bench.synth("vivado", "route")
    bench.tools("vivado")
    result = bench.synth("vivado", "route")
    assert [m.key.stage for m in result.measurements] == ["synth", "place", "route"]
    assert bench.starts == ["vivado"] * 4  # synth, place, the failed route, and the route again


def test_a_missed_clock_is_a_result(bench: Bench) -> None:
    bench.tools("vivado", vivado=(vivado(synth_timing__rpt=timing("-1.500", "Synthesized")), None))
    found = bench.synth("vivado").measurement
    assert found is not None and found.timing.met is False and found.timing.slack_ns == -1.5


def test_a_missing_tool_and_one_that_is_no_program(bench: Bench) -> None:
    bench.patch.setenv("HWQ_YOSYS", "/nowhere/yosys")
    with pytest.raises(ToolMissingError, match="HWQ_YOSYS"):
        bench.synth("yosys")
    garbage = bench.path / "garbage"
    garbage.write_bytes(b"\x7fELF but not really")
    garbage.chmod(0o755)
    bench.patch.setenv("HWQ_YOSYS", str(garbage))
    with pytest.raises(ToolError, match="cannot start"):
        bench.synth("yosys")


def test_a_folder_that_cannot_be_written(bench: Bench) -> None:
    bench.tools("yosys")
    (design,) = prove(bench.run, "zcu104")
    (design.folder / "steps").write_text("a file where a folder should be")
    with pytest.raises(RunError):
        bench.synth("yosys")
    assert Store.open(bench.store).find() == []


def test_a_changed_or_damaged_record_runs_again(bench: Bench) -> None:
    """With no row in the store, a step is believed only if every file is as the tool left it."""
    bench.tools("yosys")
    bench.synth("yosys")
    (design,) = prove(bench.run, "zcu104")
    (design.folder / "yosys" / "stat.json").write_text(stat_json(999))
    bench.store.unlink()
    found = bench.synth("yosys").measurement
    assert (
        found is not None and found.resources == read_stat(design.folder / "yosys" / "stat.json") and bench.starts == ["yosys"] * 2
    )
    (design.folder / "steps" / "yosys-synth.json").write_text("{")
    bench.store.unlink()
    with pytest.raises(RunError, match="damaged"):
        bench.synth("yosys")


def test_a_child_that_lives_on_does_not_hold_the_run(bench: Bench) -> None:
    """A daemon that keeps the tool's output open, as licence and web daemons of vendors do."""
    bench.tools("yosys", yosys=(stat_files() + "setsid sleep 30 &", None))
    found = bench.synth("yosys").measurement
    assert found is not None and found.seconds < 25


def test_the_latency_of_another_compiler_is_not_ours(bench: Bench) -> None:
    """The cycles of hwq's pipeline belong to its own Verilog: an HLS compiler's come from its report, or are unknown."""
    bench.tools("yosys")
    ours = bench.synth("yosys").measurement
    export = samples.export_xml(run="impl").replace("xczu3eg-sbva484-1-e", PART).replace('MODULENAME="net"', 'MODULENAME="hwq_top"')
    body = hls() + put("hls_prj/solution1/impl/report/verilog/export_impl.xml", export)
    bench.tools("vitis", vitis_hls=(body, None))
    csynth_, routed = bench.synth("vitis", "route").measurements
    assert ours is not None and ours.latency.max_cycles and csynth_.latency.max_cycles == 7
    assert routed.latency.max_cycles is None and routed.resources.lut == 1906 and routed.timing.met is True


def test_power_is_kept(bench: Bench) -> None:
    bench.tools("vivado")
    found = bench.synth("vivado", "route").measurement
    assert found is not None and found.power_w == 24.099 and Store.open(bench.store).get(found.key) == found


def test_reports_and_logs_are_archived(bench: Bench) -> None:
    bench.tools("vivado")
    found = bench.synth("vivado").measurement
    assert found is not None
    kept = Store.open(bench.store).artefacts(found.key)
    assert {"vivado/synth_utilization.rpt", "vivado/synth_timing.rpt", "vivado/synth.log"} <= set(kept)
    assert b"CLB LUTs" in kept["vivado/synth_utilization.rpt"] and b"Exiting" in kept["vivado/synth.log"]
