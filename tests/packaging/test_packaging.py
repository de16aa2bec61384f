"""hls_templates/, boards/ and cost_models/ are found after `pip install .`, after `pip install -e .`, and from a checkout."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIND = (
    "from hwq.places import directory; from hwq import boards; from hwq.templates import environment; import hwq\n"
    "from hwq.cost.library import read\n"
    "environment().get_template('verilog/top.v.j2'); read(directory('cost_models') / 'xcup-yosys-synth.toml').rows()\n"
    "print(len(boards.load_all()), directory('boards'), hwq.__file__)"
)


def pip(*arguments: str) -> None:
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    done = subprocess.run([sys.executable, "-m", "pip", *arguments, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def look(cwd: Path, *path: Path) -> list[str]:
    """What a fresh interpreter finds with only `path` before the installed packages, started in `cwd`."""
    start = f"import sys; sys.path[:0] = {[str(p) for p in path]!r}\n"
    done = subprocess.run([sys.executable, "-c", start + FIND], capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_installed(tmp_path: Path) -> None:
    target = tmp_path / "site"
    pip("install", "--target", str(target), str(ROOT))
    count, boards, package = look(tmp_path, target)
    assert Path(package).is_relative_to(target) and Path(boards) == target / "hwq" / "_resources" / "boards"
    assert int(count) == len(list((ROOT / "boards").glob("*.toml")))
    assert (target / "hwq" / "_resources" / "hls_templates" / "cpp" / "top.cpp.j2").is_file()


def test_editable(tmp_path: Path) -> None:
    """A virtual environment of its own, which sees this one's packages, with an editable hwq."""
    import venv

    home = tmp_path / "venv"
    venv.create(home, system_site_packages=False, with_pip=False, symlinks=True)
    site = next((home / "lib").glob("python*/site-packages"))
    pip("install", "--target", str(site), "-e", str(ROOT))
    mine = [p for p in sys.path if p.endswith("site-packages")]
    (site / "zz_packages.pth").write_text("\n".join(mine))
    done = subprocess.run([str(home / "bin" / "python"), "-c", FIND], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    _, boards, package = done.stdout.split()
    assert Path(boards) == ROOT / "boards" and Path(package) == ROOT / "hwq" / "__init__.py"


def test_checkout(tmp_path: Path) -> None:
    _, boards, package = look(tmp_path, ROOT)
    assert Path(boards) == ROOT / "boards" and Path(package) == ROOT / "hwq" / "__init__.py"


def test_version_is_told_once() -> None:
    import hwq

    metadata = pytest.importorskip("importlib.metadata")
    assert metadata.version("hwq") == hwq.__version__
