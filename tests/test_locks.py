"""One writer a run: who comes second is told who was first, what a dead process held is free, and links of many processes are all kept."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import begun
from fake_runs import make_run

from hwq.errors import RunError
from hwq.locks import LOCKS, held, one_writer
from hwq.run.directory import RunDir
from hwq.run.record import Link

LINK = Link("xcvu9p", "yosys", "yosys", "0.70", "synth", 5.0)


def folders_of(run: RunDir) -> dict[str, str]:
    found = run.synthesised()
    return dict(found.folders) if found else {}


def note(run: Path, name: str) -> None:
    for number in range(40):
        RunDir.open(run).link(LINK, f"{name}-{number}", f"folder-{number}")


def test_links_of_several_processes_are_all_kept(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    processes = [multiprocessing.get_context("fork").Process(target=note, args=(run, name)) for name in "ABC"]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [p.exitcode for p in processes] == [0, 0, 0]
    assert len(folders_of(RunDir.open(run))) == 120


def test_links_of_another_measurement_begin_anew(tmp_path: Path) -> None:
    run = RunDir.open(make_run(tmp_path / "run"))
    run.link(LINK, "0000", "a")
    run.link(LINK, "0001", "b")
    assert folders_of(run) == {"0000": "a", "0001": "b"}
    run.link(Link("xcvu9p", "yosys", "yosys", "0.71", "synth", 5.0), "0001", "c")
    assert folders_of(run) == {"0001": "c"} and run.record().synth["version"] == "0.71"


def test_the_second_is_told_who_is_first(tmp_path: Path) -> None:
    held_for = f"from hwq.locks import held; from pathlib import Path; import time\nwith held(Path({str(tmp_path / 'l')!r}), wait=False):\n"
    first = subprocess.Popen(
        [sys.executable, "-c", held_for + "    print('held', flush=True); time.sleep(60)"], stdout=subprocess.PIPE
    )
    assert first.stdout is not None and first.stdout.readline() == b"held\n"
    with pytest.raises(RunError, match=rf"in use by process {first.pid} on .* since 20\d\d-"), held(tmp_path / "l", wait=False):
        pytest.fail("two hold it")
    first.kill()
    first.wait()
    with held(tmp_path / "l", wait=False):  # a dead owner's lock is free
        assert f"process {os.getpid()} on" in (tmp_path / "l").read_text()
    assert (tmp_path / "l").read_text() == ""


def test_a_folder_of_something_else_gets_no_lock(tmp_path: Path) -> None:
    @one_writer(lambda out: out)
    def work(out: Path) -> list[str]:
        return sorted(p.name for p in out.iterdir()) if out.is_dir() else []

    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").touch()
    assert work(tmp_path / "letters") == ["a.txt"]
    assert work(out=tmp_path / "new") == [LOCKS[0]] and not (tmp_path / "new").exists()  # nothing came of it: nothing is left
    run = make_run(tmp_path / "run")
    assert LOCKS[0] in work(run) and (run / LOCKS[0]).is_file()


def train(out: Path, marker: Path) -> subprocess.Popen[str]:
    return begun("train", "wine", "--out", out, "--model", "mlp:4", stderr=subprocess.PIPE, cwd=marker)


def test_a_run_is_trained_by_one_process(tmp_path: Path) -> None:
    first = train(tmp_path / "run", tmp_path)
    for _ in range(1200):
        if (tmp_path / "run" / LOCKS[0]).exists() and (tmp_path / "run" / LOCKS[0]).read_text():
            break
        time.sleep(0.05)
    second = train(tmp_path / "run", tmp_path)
    _, said = second.communicate(timeout=120)
    assert (
        second.returncode == 12 and f"in use by process {first.pid} on" in said and "hwq train wine" not in said.split("hint:")[1]
    )
    first.kill()
    first.communicate(timeout=30)
    # what was killed is taken up by the next
    with held(tmp_path / "run" / LOCKS[0], wait=False):
        pass
