"""Results on disk: JSON that is whole after every row, and the dated page."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import os
import platform
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.common.environments import installed
from benchmarks.common.processes import ROOT, replace_text
from benchmarks.common.row import Row, failures, markdown_table
from hwq.toolchains.registry import program_of
from hwq.tools.find import find

PACKAGES = ("numpy", "keras", "tensorflow")
SOURCES = ("hwq", "benchmarks", "hls_templates", "boards", "cost_models")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where figures come from: the commit, the date, the machine, the versions of tools and packages, the command."""

    command: str
    commit: str
    changed: bool
    hwq: str
    date: str
    cpus: int
    cpu: str
    python: str
    versions: dict[str, str]

    @classmethod
    def of(cls, command: str, tools: tuple[str, ...]) -> Origin:
        """That of a run that begins now."""
        import hwq

        versions = {name: installed(name) for name in PACKAGES} | {name: _tool(name) for name in tools}
        return cls(
            command=command,
            commit=_git("rev-parse", "HEAD"),
            changed=bool(_git("status", "--porcelain", "--untracked-files=no")),
            hwq=hwq.__version__,
            date=datetime.date.today().isoformat(),
            cpus=os.cpu_count() or 0,
            cpu=_cpu(),
            python=platform.python_version(),
            versions={name: found for name, found in versions.items() if found},
        )


@dataclass(slots=True)
class Results:
    """The rows of one experiment; `path` holds all of them after each one that is added."""

    path: Path
    origin: Origin
    help: str
    rows: list[Row] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    complete: bool = False

    def add(self, row: Row) -> None:
        self.rows.append(row)
        self.write()

    def finish(self) -> None:
        """All parts were run, or say why not."""
        self.complete = not self.errors
        self.write()

    def write(self) -> None:
        found: dict[str, Any] = {"experiment": self.path.stem, "help": self.help, "complete": self.complete}
        found |= dataclasses.asdict(self.origin)
        found |= {"errors": self.errors, "rows": [row.record() for row in self.rows]}
        replace_text(self.path, json.dumps(found, indent=1, allow_nan=False) + "\n")

    def page(self) -> str:
        """The figures as a page of docs/results."""
        origin = self.origin
        changed = " with uncommitted changes" if origin.changed else ""
        versions = ", ".join(f"{name} {version}" for name, version in origin.versions.items())
        short = "".join(f"- {line}\n" for line in failures(self.rows))
        peer = "figures of a peer stand beside its name and version"
        return (
            f"# {self.path.stem}, {origin.date}\n\n{self.help}.\n\n"
            f"    {origin.command}\n\n"
            f"hwq {origin.hwq}, commit {origin.commit[:12]}{changed}; Python {origin.python}, {versions}; {origin.cpus} x {origin.cpu}.\n"
            f"A row without a bar is reported only; {peer}.\n\n"
            f"{markdown_table(self.rows)}\n" + (f"\nShort of the bar:\n\n{short}" if short else "")
        )

    def write_page(self, folder: Path) -> Path:
        """Write the page under the date and the name."""
        path = folder / f"{self.origin.date}-{self.path.stem}.md"
        replace_text(path, self.page())
        return path


def source_digest() -> str:
    """What names the code: runs of one code are not gone on with by another."""
    digest = hashlib.sha256()
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:10]


def _git(*arguments: str) -> str:
    """What git says of the source tree; "unknown" where it has none."""
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def _tool(name: str) -> str:
    known = program_of(name)
    found = find(name) if known is None else known.look()
    return "" if found is None else found.version


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()
