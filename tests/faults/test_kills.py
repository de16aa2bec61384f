"""hwq killed at any moment of a synth of several points: nothing finished is lost, nothing is half-written, no tool runs on alone."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from command_line import begun
from fake_runs import fake, make_run, prove, real

from hwq.design.target import Target, Work
from hwq.flow.synth import synth
from hwq.measure.store import Store

BOARD, POINTS = "ulx3s-85f", 5
# writes its report a second time, in two halves, with a child of its own at work, so that a kill can fall anywhere
YOSYS = f"""
sleep 30 &
child=$!
{real("yosys")}
text=$(cat yosys/stat.json)
sleep 0.1
echo -n "${{text:0:60}}" > yosys/stat.json
sleep 0.1
echo "${{text:60}}" >> yosys/stat.json
kill $child
"""
Expected = dict[str, tuple[float | None, float | None]]


def start(run: Path, store: Path) -> multiprocessing.process.BaseProcess:
    """A whole `hwq synth` in a process of its own, without the seconds that importing takes."""

    def work() -> None:
        os.setsid()
        synth(run, Target.of(BOARD, tool="yosys"), point="all", store_path=store, work=Work(jobs=2))

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    return process


def alone(run: Path) -> list[str]:
    """Programs that still work below the run's folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                where = (entry / "cwd").readlink()
                if str(where).startswith(str(run)) and entry.name != str(os.getpid()):
                    found.append((entry / "cmdline").read_text())
            except OSError:
                continue
    return found


def check(run: Path, store: Path, expected: Expected) -> set[str]:
    """Every row is whole and right, every record readable; the designs that are stored."""
    rows = Store.open(store).find()
    for m in rows:
        assert (m.resources.lut, m.resources.ff) == expected[m.key.design]
    for path in run.glob("synth/*/steps/*.json"):
        assert json.loads(path.read_text())["outputs"]
    return {m.key.design for m in rows}


def undisturbed(run: Path, store: Path) -> Expected:
    """LUTs and FFs of every design, from a synth that nobody kills; nothing of it is left in the run."""
    prove(run, BOARD)
    synth(run, Target.of(BOARD, tool="yosys"), point="all", store_path=store)
    for path in run.glob("synth/*/steps/*.json"):
        path.unlink()
    return {m.key.design: (m.resources.lut, m.resources.ff) for m in Store.open(store).find()}


def kill_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: int) -> None:
    monkeypatch.setenv("HWQ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HWQ_YOSYS", str(fake(tmp_path, "yosys", YOSYS)))
    run, rng = make_run(tmp_path / "run", POINTS), random.Random(kills)
    expected = undisturbed(run, tmp_path / "undisturbed.sqlite")
    starts, stores = tmp_path / "starts", 0
    for number in range(kills):
        store = tmp_path / f"s{stores}.sqlite"
        before = check(run, store, expected)
        process = start(run, store)
        time.sleep(rng.uniform(0.0, 0.9))
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join(10)
        assert check(run, store, expected) >= before, f"kill {number} lost a measurement"
        for _ in range(50):
            if not alone(run):
                break
            time.sleep(0.05)
        assert alone(run) == [], f"kill {number} left a tool running"
        if len(check(run, store, expected)) == POINTS:  # all done: begin again with a store and steps of their own
            stores += 1
            for path in run.glob("synth/*/steps/*.json"):
                path.unlink()
    store = tmp_path / f"s{stores}.sqlite"
    done, begun = len(check(run, store, expected)), len(starts.read_text().splitlines())
    _, results = synth(run, Target.of(BOARD, tool="yosys"), point="all", store_path=store)
    assert len(results) == POINTS and set(check(run, store, expected)) == set(expected)
    again = len(starts.read_text().splitlines())
    assert again - begun <= POINTS - done, "a finished point was synthesised again"
    assert all(r.reused for r in synth(run, Target.of(BOARD, tool="yosys"), point="all", store_path=store)[1])
    assert len(starts.read_text().splitlines()) == again, "a second identical synth started a tool"


def test_an_interrupt_ends_the_tools_too(tmp_path: Path) -> None:
    """Ctrl-C at the terminal: exit code 130, and nothing of the tool is left."""
    run, store = make_run(tmp_path / "run"), tmp_path / "s.sqlite"
    prove(run, BOARD)
    hangs = fake(tmp_path, "yosys", "sleep 300 & wait")
    env = {"HWQ_CACHE": str(tmp_path / "cache"), "HWQ_YOSYS": str(hangs)}
    process = begun("synth", run, "--board", BOARD, "--tool", "yosys", "--store", store, env=env, stderr=subprocess.PIPE)
    for _ in range(600):
        if (tmp_path / "starts").exists() or process.poll() is not None:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted" in said, said
    for _ in range(100):
        if not alone(run):
            break
        time.sleep(0.05)
    assert alone(run) == [] and Store.open(store).find() == []


def test_two_at_once_do_the_work_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two calls of the same synth share the folders, the records and the store."""
    monkeypatch.setenv("HWQ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HWQ_YOSYS", str(fake(tmp_path, "yosys", YOSYS)))
    run, store = make_run(tmp_path / "run", POINTS), tmp_path / "s.sqlite"
    prove(run, BOARD)
    processes = [start(run, store) for _ in range(3)]
    for process in processes:
        process.join(60)
    assert [p.exitcode for p in processes] == [0, 0, 0]
    assert len((tmp_path / "starts").read_text().splitlines()) == POINTS and len(Store.open(store).find()) == POINTS


def test_a_few_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kill_often(tmp_path, monkeypatch, 6)


@pytest.mark.slow
def test_many_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kill_often(tmp_path, monkeypatch, 60)
