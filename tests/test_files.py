"""Files written whole or not at all: what a killed process left beside a file goes when it is written again."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

from hwq.files import write_text


def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path: Path) -> None:
    code = "import sys, os; from pathlib import Path; from hwq.files import atomic_write\natomic_write(Path(sys.argv[1]), lambda _: os._exit(9))"
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.json")], check=False)
    assert killed.returncode == 9 and len(list(tmp_path.iterdir())) == 1
    mine = {
        f".a.json.{platform.node()}.{os.getppid()}.part",  # of a process that still runs
        f".a.json.elsewhere.{killed.returncode}.part",  # of another machine
        ".b.json.x.part",
    }
    for name in mine:
        (tmp_path / name).write_text("half")
    write_text(tmp_path / "a.json", "whole")
    assert {p.name for p in tmp_path.iterdir()} == {"a.json", *mine}
    assert (tmp_path / "a.json").read_text() == "whole"
