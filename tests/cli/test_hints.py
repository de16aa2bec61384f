"""What a newcomer does wrong in the first minutes gets a hint that fits, and every command that a message names can be given."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from command_line import called
from fake_runs import make_run

import hwq
from hwq.cli import COMMANDS, cli

ROOT = Path(hwq.__file__).parent


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run in runs/ and a table beside it."""
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "runs" / "digits", 1)
    (tmp_path / "beans.csv").write_text("")
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code", "hint"),
    [
        ("report runs/digit", 12, "did you mean runs/digits?"),
        ("report digits", 12, "did you mean runs/digits?"),
        ("report runs", 12, "the runs there are runs/digits"),
        ("sim runs/digits/run.json", 12, "the run is runs/digits"),
        ("sim runs/digits/points/0000", 12, "the run is runs/digits"),
        ("synth elsewhere/mine --board xcvu9p", 12, "the runs there are runs/digits"),
        ("refine empty", 12, "the runs there are runs/digits"),
        ("synth runs/digits --board xcvu9p --point 7", 12, "choose best, all or one of: 0000"),
        ("synth runs/digits --board xcvu9", 7, "xcvu9p"),
        ("synth runs/digits", 2, "for example --board xcvu9p; all of them: hwq boards"),
        ("report runs/digits --board nope", 7, "known boards"),
        ("train", 2, "for example: hwq train digits"),
        ("train digit", 3, "did you mean digits?"),
        ("train digits --method uniform --terms 2", 2, "leave it out, or take --method shift"),
        ("train digits --method prune --beta-start 1e-6", 2, "leave it out, or take --method hgq or shift"),
        ("train digits --sparsity 0.9", 2, "leave it out, or take --method prune"),
        ("train bean.csv", 3, "did you mean beans.csv?"),
        ("synth --board xcvu9p", 2, "the folder that hwq train made, for example runs/digits"),
        ("codesign digits --board xcvu9p", 2, "for example --budget lut=1000"),
        ("import empty", 12, "hwq synth RUN --board xcvu9p --dry-run --out FOLDER"),
        ("reprot runs/digits", 2, "Did you mean 'report'?"),
    ],
)
def test_the_hint_fits(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: str, code: int, hint: str
) -> None:
    ended, told = called(capsys, monkeypatch, *arguments.split())
    assert ended == code and hint in told.replace(f"{place}/", ""), told
    assert "Traceback" not in told


def test_without_any_run_the_hint_makes_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert called(capsys, monkeypatch, "report", "mine")[1].endswith("hint: make one with: hwq train digits --out mine\n")
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("")  # --out mine would be refused
    assert called(capsys, monkeypatch, "report", "mine")[1].endswith("hint: make one with: hwq train digits\n")


def strings(path: Path) -> Iterator[str]:
    """Every string literal of a file, what is put into it as X."""
    tree = ast.parse(path.read_text())
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(v.value) if isinstance(v, ast.Constant) else "X" for v in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.value


def named_commands() -> list[tuple[str, str, tuple[str, ...]]]:
    """(file, command, options) of every `hwq COMMAND --option` in a string of the package."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        for text in strings(path):
            for name, rest in re.findall(
                r"\bhwq (train|\w+(?= (?:RUN|--|digits))|synth|calibrate|report|sim|boards|doctor)\b([^;,.`)\n]*)", text
            ):
                found.append((str(path.relative_to(ROOT)), name, tuple(re.findall(r"--[a-z][\w-]*", rest))))
    return found


def test_every_command_in_a_message_is_there() -> None:
    named = named_commands()
    assert len(named) > 30
    wrong = []
    for where, name, options in named:
        if name not in COMMANDS:
            wrong.append(f"{where}: hwq {name}")
            continue
        module = importlib.import_module(f"hwq.cli.{name}_" if name == "import" else f"hwq.cli.{name}")
        command = getattr(module, f"{name}_" if name == "import" else name)
        assert isinstance(command, click.Command) and cli.get_command(click.Context(cli), name) is command
        known = {o for parameter in command.params for o in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
        if isinstance(command, click.Group):
            continue
        wrong += [f"{where}: hwq {name} {option}" for option in options if option not in known]
    assert wrong == []
