"""Headers that g++ reads once: a small design's simulation compiles in two thirds of the time when AMD's types, or CXXRTL's, need no reading.

A precompiled header is made the second time that it would have served, so that a single simulation does not pay for it. It lies in the
user's cache folder, under the digest of the compiler, the flags and every header in its folders; g++ refuses one of another compiler by itself.
"""

from __future__ import annotations

import hashlib
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hwq.errors import HwqError
from hwq.places import is_own, own_cache
from hwq.tools.find import Tool
from hwq.tools.process import run

KEPT = 6  # precompiled headers in the cache; each has some 80 MB


@dataclass(frozen=True, slots=True)
class Headers:
    """What a source begins with.

    Attributes:
        name: a word for it.
        includes: the headers, as in `#include <...>`, all with guards.
        folder: where those that are not the compiler's own lie.
        options: language and optimisation; sources compiled with others cannot use it. What they define must not matter to the headers.
    """

    name: str
    includes: tuple[str, ...]
    folder: Path
    options: tuple[str, ...]

    @property
    def text(self) -> str:
        return "".join(f"#include <{name}>\n" for name in self.includes)


def precompiled(headers: Headers, gxx: Tool) -> Path | None:
    """The header file to include before anything else, its compiled form beside it; None where there is none to use, or not yet."""
    with suppress(OSError, HwqError):  # a full disk, for one: then g++ reads them all
        folder = own_cache("headers")
        if folder is None:
            return None
        place = folder / _key(headers, gxx)
        header = place / f"{headers.name}.h"
        compiled = _compiled(header)
        if is_own(header) and is_own(compiled):
            compiled.touch()
            return header
        if not place.is_dir():  # the first time: only remembered
            place.mkdir(mode=0o700)
        elif _make(headers, header, gxx):
            _forget(folder)
            return header
    return None


def discard(header: Path) -> None:
    """Take away a compiled form that g++ could not use."""
    with suppress(OSError):
        _compiled(header).unlink()


def _compiled(header: Path) -> Path:
    return header.with_name(f"{header.name}.gch")


def _key(headers: Headers, gxx: Tool) -> str:
    digest = hashlib.sha256("\0".join((headers.text, *gxx.argv, gxx.version, *headers.options)).encode())
    for path in sorted(headers.folder.rglob("*.h")):
        digest.update(str(path).encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _make(headers: Headers, header: Path, gxx: Tool) -> bool:
    """Compile in a folder beside and rename, so that two processes at once do not see half a file; whether it was made."""
    with tempfile.TemporaryDirectory(dir=header.parent) as folder:
        text, fresh = Path(folder) / header.name, Path(folder) / _compiled(header).name
        text.write_text(headers.text)
        text.chmod(0o600)
        text.replace(header)
        argv = [*gxx.argv, *headers.options, "-I", str(headers.folder), "-x", "c++-header", str(header), "-o", str(fresh)]
        if run(argv, cwd=header.parent, log=header.parent / "build.log", tool=gxx).returncode:
            return False
        fresh.chmod(0o600)
        fresh.replace(_compiled(header))
    return True


def _forget(folder: Path) -> None:
    """Those that were used longest ago."""
    found = sorted((path for path in folder.glob("*/*.gch")), key=lambda path: path.stat().st_mtime)
    for path in found[: max(len(found) - KEPT, 0)]:
        path.unlink(missing_ok=True)
