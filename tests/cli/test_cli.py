"""The commands as a user meets them: help, JSON, and one line with a hint and an exit code for everything that goes wrong."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import command_line
import numpy as np
import pytest

QUICK = ["--model", "mlp:4", "--epochs", "2", "--float-epochs", "1"]


def hwq(*arguments: str, limit: int | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    """`limit`: bytes that a file may have."""

    def restrict() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return command_line.hwq(*arguments, preexec_fn=restrict, **options)


def test_help_lists_the_commands_and_loads_nothing_heavy() -> None:
    done = hwq("--help")
    assert done.returncode == 0 and all(word in done.stdout for word in ("train", "synth", "sim", "report", "boards", "doctor"))
    code = "import sys; sys.argv = ['hwq', '--help']\nimport hwq.cli\ntry: hwq.cli.main()\nexcept SystemExit: pass\n"
    code += (
        "print([m for m in ('numpy', 'tensorflow', 'keras', 'pandas', 'rich', 'jinja2', 'scipy', 'sklearn') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", ["train", "synth", "sim", "report", "boards", "doctor"])
def test_every_command_has_help_and_json(command: str) -> None:
    done = hwq(command, "--help")
    assert done.returncode == 0 and "--json" in done.stdout


def test_json_is_json() -> None:
    boards = json.loads(hwq("boards", "--json").stdout)
    assert {"xcvu9p", "ulx3s-85f"} <= {b["name"] for b in boards}
    assert {s["name"] for s in json.loads(hwq("doctor", "--json").stdout)} >= {"g++", "tensorflow"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli") / "run"
    done = hwq("train", "digits", *QUICK, "--out", str(path))
    assert done.returncode == 0, done.stderr
    return path


def data(path: Path, kind: str) -> str:
    x, y = np.ones((40, 3), np.float32), np.arange(40) % 2
    if kind == "nan":
        x[1, 1] = np.nan
    if kind == "label":
        y[0] = -4
    np.savez(path / "d.npz", x=x, y=y)
    return str(path / "d.npz")


def check(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    for word in (*words, "error:", "hint:"):
        assert word in done.stderr, done.stderr
    assert done.stderr.count("error:") == 1


@pytest.mark.parametrize(("kind", "word"), [("nan", "NaN"), ("label", "label -4")])
def test_bad_data_leaves_no_run(kind: str, word: str, tmp_path: Path) -> None:
    check(hwq("train", data(tmp_path, kind), *QUICK, "--out", str(tmp_path / "run")), 3, word)
    assert not (tmp_path / "run").exists()


def test_missing_file_and_unknown_name(tmp_path: Path) -> None:
    check(hwq("train", "nowhere.npz", "--out", str(tmp_path / "run")), 3, "nowhere.npz")
    check(hwq("train", "digit", "--out", str(tmp_path / "run")), 3, "did you mean digits")
    assert not (tmp_path / "run").exists()


def test_unknown_layer_leaves_no_run(tmp_path: Path) -> None:
    layers = "keras.Input((64,)), keras.layers.Reshape((4, 4, 4, 1)), keras.layers.Conv3D(2, 2, name='volume'), "
    layers += "keras.layers.Flatten(), keras.layers.Dense(10)"
    code = f"import keras\ndef net():\n    return keras.Sequential([{layers}])\n"
    (tmp_path / "mine.py").write_text(code)
    done = hwq("train", "digits", "--model", "mine:net", "--out", "run", cwd=tmp_path)
    check(done, 4, "volume", "Conv3D", "does not convert", "Conv2D")
    assert not (tmp_path / "run").exists()


def test_unknown_board_and_option(run: Path) -> None:
    check(hwq("synth", str(run), "--board", "xcvu9"), 7, "did you mean xcvu9p")
    done = hwq("synth", str(run), "--bord", "xcvu9p")
    assert done.returncode == 2 and "--board" in done.stderr
    assert hwq("synht").returncode == 2 and "synth" in hwq("synht").stderr
    assert hwq("synth", str(run), "--board", "xcvu9p", "--clock", "fast").returncode == 2
    check(hwq("synth", str(run), "--board", "xcvu9p", "--point", "99"), 12, "no point")
    check(hwq("report", str(run.parent)), 12, "no run directory")


def test_missing_compiler(run: Path, tmp_path: Path) -> None:
    store = str(tmp_path / "s.sqlite")
    check(
        hwq("synth", str(run), "--board", "kv260", "--store", store, env={"PATH": str(tmp_path)}),
        8,
        "g++ is not installed",
        "apt-get",
    )
    check(hwq("synth", str(run), "--board", "kv260", "--store", store, env={"HWQ_GXX": "/nowhere"}), 8, "HWQ_GXX")
    check(hwq("sim", str(run), "--board", "kv260", "--store", store, env={"HWQ_GXX": "/nowhere"}), 8, "HWQ_GXX")


@pytest.mark.slow  # tests/faults has more of them, in one process
@pytest.mark.parametrize(
    ("body", "word"),
    [("echo 'ERROR: broken pass'; exit 1", "broken pass"), ("kill -9 $$", "SIGKILL")],
)
def test_yosys_that_fails(body: str, word: str, run: Path, tmp_path: Path) -> None:
    fake = tmp_path / "yosys"
    fake.write_text(f'#!/bin/bash\nif [ "$1" = -V ]; then echo "Yosys 1.0"; exit 0; fi\n{body}\n')
    fake.chmod(0o755)
    env = {"HWQ_YOSYS": str(fake), "HWQ_CACHE": str(tmp_path / "cache")}
    check(hwq("synth", str(run), "--board", "zcu104", "--store", str(tmp_path / "s.sqlite"), env=env), 8, word)


def test_disk_full_is_said_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    """A limit on file size stands for the full disk: every write beyond it fails."""
    done = hwq("train", "digits", *QUICK, "--out", str(tmp_path / "run"), limit=20_000)
    assert done.returncode == 12 and "cannot write" in done.stderr and "Traceback" not in done.stderr
    assert not list((tmp_path / "run").rglob("*.part")) and not (tmp_path / "run" / "run.json").exists()
    check_again = hwq("train", "digits", *QUICK, "--out", str(tmp_path / "run"))
    assert check_again.returncode == 0, check_again.stderr


def test_output_that_cannot_be_written(run: Path) -> None:
    done = hwq("train", "digits", *QUICK, "--out", "/proc/run")
    assert done.returncode == 12 and "cannot write /proc/run" in done.stderr
    done = hwq("report", str(run), "--html", "/proc/page.html")
    assert done.returncode == 12 and "/proc/page.html" in done.stderr


def test_another_configuration_in_the_same_place(run: Path) -> None:
    check(hwq("train", "digits", *QUICK, "--l1", "0.1", "--out", str(run)), 12, "another l1")


def test_impossible_setting() -> None:
    assert hwq("train", "digits", "--epochs", "0").returncode == 2
