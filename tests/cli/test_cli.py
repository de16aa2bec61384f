"""The commands as a user meets them: help, JSON, and one line with a hint and an exit code for what goes wrong.

Common mistakes, word for word, are in `errors/`; what is here needs more than a command: a trained run, damaged data, no compiler.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import called, good, hwq

QUICK = ["--model", "mlp:4", "--epochs", "2", "--float-epochs", "1"]
Said = Callable[..., str]


def test_help_lists_the_commands() -> None:
    assert all(word in good("--help") for word in ("train", "synth", "sim", "report", "boards", "doctor"))


@pytest.mark.parametrize("command", ["train", "synth", "sim", "report", "boards", "doctor"])
def test_every_command_has_help_and_json(command: str) -> None:
    assert "--json" in good(command, "--help")


def test_json_is_json() -> None:
    """In a process: of all that libraries write, nothing gets between."""
    boards = json.loads(hwq("boards", "--json").stdout)
    assert {"xcvu9p", "ulx3s-85f"} <= {b["name"] for b in boards}
    assert {s["name"] for s in json.loads(hwq("doctor", "--json").stdout)} >= {"g++", "tensorflow"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli") / "run"
    good("train", "digits", *QUICK, "--out", path)
    return path


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Said:
    """What a command says that ends with this exit code: one error, and no traceback."""

    def call(code: int, *arguments: str | Path) -> str:
        found, told = called(capsys, monkeypatch, *map(str, arguments))
        assert found == code and "Traceback" not in told and told.count("error:") == 1, told
        return told

    return call


@pytest.mark.parametrize(("kind", "word"), [("nan", "NaN"), ("label", "label -4")])
def test_bad_data_leaves_no_run(kind: str, word: str, tmp_path: Path, fails: Said) -> None:
    x, y = np.ones((40, 3), np.float32), np.arange(40) % 2
    if kind == "nan":
        x[1, 1] = np.nan
    else:
        y[0] = -4
    np.savez(tmp_path / "d.npz", x=x, y=y)
    told = fails(3, "train", tmp_path / "d.npz", *QUICK, "--out", tmp_path / "run")
    assert word in told and "hint:" in told and not (tmp_path / "run").exists()


def test_unknown_layer_leaves_no_run(tmp_path: Path, fails: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = "keras.Input((64,)), keras.layers.Reshape((4, 4, 4, 1)), keras.layers.Conv3D(2, 2, name='volume'), "
    layers += "keras.layers.Flatten(), keras.layers.Dense(10)"
    (tmp_path / "volumes.py").write_text(f"import keras\ndef net():\n    return keras.Sequential([{layers}])\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    told = fails(4, "train", "digits", "--model", "volumes:net", "--out", "run")
    del sys.modules["volumes"]
    assert all(word in told for word in ("volume", "Conv3D", "does not convert", "Conv2D", "hint:"))
    assert not (tmp_path / "run").exists()


def test_missing_compiler(run: Path, tmp_path: Path, fails: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    place = [run, "--board", "kv260", "--store", tmp_path / "s.sqlite"]
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        told = fails(8, "synth", *place)
        assert "g++ is not installed" in told and "apt-get" in told
    monkeypatch.setenv("HWQ_GXX", "/nowhere")
    assert all("HWQ_GXX" in fails(8, command, *place) for command in ("synth", "sim"))


@pytest.mark.slow  # tests/faults has more of them
@pytest.mark.parametrize(
    ("body", "word"),
    [("echo 'ERROR: broken pass'; exit 1", "broken pass"), ("kill -9 $$", "SIGKILL")],
)
def test_yosys_that_fails(body: str, word: str, run: Path, tmp_path: Path, fails: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "yosys"
    fake.write_text(f'#!/bin/bash\nif [ "$1" = -V ]; then echo "Yosys 1.0"; exit 0; fi\n{body}\n')
    fake.chmod(0o755)
    monkeypatch.setenv("HWQ_YOSYS", str(fake))
    monkeypatch.setenv("HWQ_CACHE", str(tmp_path / "cache"))
    assert word in fails(8, "synth", run, "--board", "zcu104", "--store", tmp_path / "s.sqlite")


def test_disk_full_is_said_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    """A limit on file size, of a process of its own, stands for the full disk: every write beyond it fails."""
    full = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # noqa: E731
    done = hwq("train", "digits", *QUICK, "--out", tmp_path / "run", preexec_fn=full)
    assert done.returncode == 12 and "cannot write" in done.stderr and "Traceback" not in done.stderr
    assert not list((tmp_path / "run").rglob("*.part")) and not (tmp_path / "run" / "run.json").exists()
    good("train", "digits", *QUICK, "--out", tmp_path / "run")


def test_output_that_cannot_be_written(run: Path, fails: Said) -> None:
    assert "cannot write /proc/run" in fails(12, "train", "digits", *QUICK, "--out", "/proc/run")
    assert "/proc/page.html" in fails(12, "report", run, "--html", "/proc/page.html")


def test_another_configuration_in_the_same_place(run: Path, fails: Said) -> None:
    assert "another l1" in fails(12, "train", "digits", *QUICK, "--l1", "0.1", "--out", run)
