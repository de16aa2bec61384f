"""BuildPlan: every generated file of one design for one board and clock, with a digest. It runs nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hwq.boards import Operands
from hwq.files import write_text

TOP = "hwq_top"


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """What a tool needs to build a design.

    Attributes:
        top: name of the top function and module; `rtl/<top>.v` and `hls/<top>.cpp` hold it.
        files: relative path (with `/`) -> text.
        board: name of the board, a file of `boards/`.
        part: the vendor's part name.
        period_ns: clock target.
        latency_cycles: pipeline depth of the Verilog.
        design: digest of the graph it was generated from.
        adders: operands of its sums, "two" or "three".
        hardware: the style of its Verilog (`hwq.styles`): "parallel", "serial:<bits a clock>", or "mac:<lanes>".
    """

    top: str
    files: Mapping[str, str]
    board: str
    part: str
    period_ns: float
    latency_cycles: int
    design: str
    adders: Operands = "two"
    hardware: str = "parallel"

    def __repr__(self) -> str:
        return f"<BuildPlan {self.top} for {self.board}: {len(self.files)} files, digest {self.digest}>"

    @property
    def digest(self) -> str:
        """16 hexadecimal digits over the names and contents of all files."""
        return digest_of({name: text.encode() for name, text in self.files.items()})

    def write(self, folder: Path) -> None:
        """Write the files below `folder`, leaving those alone that are already there with the same text."""
        for name, content in self.files.items():
            path = folder / name
            if not (path.is_file() and path.read_bytes() == content.encode()):
                write_text(path, content)
                if name.endswith(".sh"):
                    path.chmod(0o755)


def digest_of(files: Mapping[str, bytes]) -> str:
    """The digest of a plan's files, also of those that came back from another machine."""
    whole = hashlib.sha256()
    for name in sorted(files):
        whole.update(f"{name}\0{len(files[name])}\0".encode() + files[name])
    return whole.hexdigest()[:16]
