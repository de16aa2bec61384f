"""What the command line says of common mistakes, word for word: each file of `errors/` is a terminal session that is run again.

A line `$ hwq ...` is a case; what follows is what was printed on standard error, and the exit code. A new case is a new line:
`HWQ_WRITE_ERRORS=1 pytest tests/cli/test_error_texts.py` writes the rest, and `git diff` shows what was said before.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import called
from fake_runs import fake, make_run, prove

from hwq import errors
from hwq.cli import COMMANDS
from hwq.files import write_json
from hwq.places import directory
from hwq.run.directory import RunDir, write_point

SESSIONS = sorted(Path(__file__).with_name("errors").glob("*.txt"))
COMMANDS_PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "commands.md"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a user may have lying about: runs, plans, tables, networks and files that are none of these."""
    place = tmp_path_factory.mktemp("place")
    run = make_run(place / "runs" / "digits", 2)
    (design, _) = prove(run, "xcvu9p")
    design.folder.rename(place / "plan")
    (place / "empty").mkdir()
    (place / "notes.txt").write_text("nothing of use\n")
    (place / "empty.csv").write_text("")
    (place / "one.csv").write_text("a,b,label\n1,2,x\n")
    (place / "words.csv").write_text("a,b,label\n1,two,x\n3,4,y\n")
    (place / "good.csv").write_text("a,b,label\n" + "".join(f"{n},{n * n},{'xy'[n % 2]}\n" for n in range(40)))
    (place / "damaged.rpt").write_text("== Vitis HLS Report for 'top'\n====\n* Date: today\n")
    (place / "picture.keras").write_bytes(b"\x89PNG\r\n\x1a\n")
    np.savez(place / "array.npz", wrong=np.zeros(3))
    write_json(place / "runs" / "later" / "run.json", {"format": 99})
    wrong = make_run(place / "kept" / "wrong")  # Keras' answers are not those of its integers
    (point,) = RunDir(wrong).points()
    with np.load(point.folder / "keras.npz") as kept:
        write_point(point.folder, point.graph_text(), kept["logits"] + 1.0, replace(point.record, digests=None))
    (place / "models").mkdir()
    (place / "models" / "xcu-yosys-synth-two.toml").write_text("format = 99\n")
    return place


def different(session: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What only one session finds on its machine."""
    if session == "cost_models":
        monkeypatch.setenv("HWQ_COST_MODELS", str(place / "models"))
    if session == "without_yosys":
        monkeypatch.setenv("HWQ_YOSYS", "none")
    if session == "preflight":  # a board of few LUTs, and a tool that must not be started
        (place / "boards").mkdir()
        whole = (directory("boards") / "ulx3s-85f.toml").read_text()
        (place / "boards" / "tiny.toml").write_text(whole.replace("lut = 83640", "lut = 12"))
        monkeypatch.setattr("hwq.boards.directory", lambda _: place / "boards")
        monkeypatch.setenv("HWQ_YOSYS", str(fake(place, "yosys", "exit 1")))
    if session == "budget":
        save_float(place / "net.keras")
    if session == "interrupted":
        monkeypatch.setattr("hwq.boards.load_all", lambda: signal.raise_signal(signal.SIGINT))
        monkeypatch.setattr("os._exit", sys.exit)  # which would end the tests too
    if session == "defect":
        monkeypatch.setattr("hwq.boards.load_all", lambda: {}["one"])


def save_float(path: Path) -> None:
    """A float network for good.csv, as Keras saves it, with weights that are the same everywhere."""
    from hwq.backend import keras

    layers = [keras.layers.Dense(3, activation="relu"), keras.layers.Dense(2)]
    model = keras.Sequential([keras.Input((2,)), *layers])
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    model.save(path)


@pytest.fixture
def place(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder, without any tool but those of the operating system."""
    monkeypatch.chdir(made)
    monkeypatch.setenv("HWQ_STORE", str(made / "store.sqlite"))
    monkeypatch.setenv("HWQ_DATA", str(made / "data"))
    for tool in ("VIVADO", "VITIS_HLS", "VIVADO_HLS", "VITIS_RUN", "VXX", "BAMBU", "NEXTPNR_ECP5"):
        monkeypatch.setenv(f"HWQ_{tool}", "none")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys.modules["__main__"], "__package__", None, raising=False)  # else it is `python -m pytest` to click
    return made


def commands(session: str) -> Iterator[str]:
    return (line.removeprefix("$ hwq ") for line in session.splitlines() if line.startswith("$ hwq "))


def said(command: str, place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The command, what it prints on standard error, and its exit code; nothing of the machine."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # as Python does where no test runs
        code, told = called(capsys, monkeypatch, *shlex.split(command))
    assert "Traceback" not in told
    told = re.sub(r"\x1b\[\d*m", "", told).replace(f"{place}/", "").replace(str(place), "here")
    return f"$ hwq {command}\n{told}[exit code {code}]\n"


@pytest.mark.parametrize("path", SESSIONS, ids=lambda p: p.stem)
def test_a_session_says_the_same(
    path: Path, place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = path.read_text()
    different(path.stem, place, monkeypatch)
    found = "\n".join(said(command, place, capsys, monkeypatch) for command in commands(known))
    if os.environ.get("HWQ_WRITE_ERRORS"):
        path.write_text(found)
    assert found == known


def test_every_exit_code_and_command_has_a_case() -> None:
    """Each exit code in the documentation's table, which has those of all errors; success is no error."""
    whole = "".join(path.read_text() for path in SESSIONS)
    told = {int(code) for code in re.findall(r"\[exit code (\d+)\]", whole)}
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", COMMANDS_PAGE.read_text(), re.MULTILINE)}
    raised = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.HwqError)}
    assert told == documented - {0} and raised <= documented
    assert {*COMMANDS} == {command.split()[0] for command in commands(whole)} & {*COMMANDS}, "a command without a case"
