"""What a target refuses when it is made, and boards that a command refuses before it reads or trains anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from command_line import called
from networks import random_network

import hwq
from hwq.boards import load
from hwq.design.target import Work
from hwq.errors import UsageError
from hwq.flow.allocate import AllocateOptions
from hwq.units import Period


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tool", "x"),
        ("tool", None),
        ("stage", "x"),
        ("style", "x"),
        ("io", "x"),
        ("adders", "x"),
        ("adders", None),
        ("registered_inputs", "no"),
        ("fold", "x"),
        ("interval", 0),
    ],
)
def test_a_word_that_is_none_is_refused_when_it_is_said(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"{name}|interval"):
        hwq.Target.of("xcvu9p", **{name: value})


@pytest.mark.parametrize(("board", "clock"), [("xcvu9p", Period(5.0)), (load("xcvu9p"), "200MHz"), (load("xcvu9p"), 5.0)])
def test_names_are_for_of(board: Any, clock: Any) -> None:
    with pytest.raises(UsageError, match=r"a target has no (board|clock)=") as caught:
        hwq.Target(board, clock)
    assert "Target.of" in str(caught.value.hint)


@pytest.mark.parametrize("board", ["nosuch", ""])
@pytest.mark.parametrize(
    "command",
    [
        ("train", "wine", "--model", "mlp:4", "--epochs", "1"),
        ("allocate", "nowhere.keras", "wine", "--budget", "lut=100"),
        ("ptq", "nowhere.keras", "wine"),
        ("report", "."),
    ],
    ids=lambda command: command[0],
)
def test_a_wrong_board_is_said_first(
    command: tuple[str, ...], board: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = () if command[0] == "report" else ("--out", str(tmp_path / "run"))
    code, said = called(capsys, monkeypatch, *command, *out, "--board", board)
    assert code == 7 and "board" in said, said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("loss", [-1.0, 101.0, float("nan"), float("inf")])
def test_a_loss_that_no_accuracy_has_is_refused(loss: float) -> None:
    with pytest.raises(UsageError, match="max_loss"):
        AllocateOptions(max_loss=loss)


@pytest.mark.parametrize("command", ["synth", "allocate", "calibrate", "compare"])
def test_nobody_works_at_no_job_at_a_time(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said = called(capsys, monkeypatch, command, "--jobs", "0")
    assert code == 2 and "--jobs" in said


@pytest.mark.parametrize("command", ["synth", "calibrate"])
def test_nobody_has_no_time(command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, said = called(capsys, monkeypatch, command, "--timeout", "0")
    assert code == 2 and "--timeout" in said


@pytest.mark.parametrize("limit", [0, -1.0, float("nan"), float("inf"), 10**400, "60", True])
def test_a_limit_in_which_no_program_ends_is_refused(limit: Any) -> None:
    with pytest.raises(UsageError, match="a limit of"):
        Work(timeout_s=limit)
    design = hwq.compile(random_network(1, (3, 2)))
    with pytest.raises(UsageError, match="a limit of"):
        design.synth(timeout_s=limit)
    assert Work(timeout_s=0.5).timeout_s == 0.5 and Work().timeout_s is None
