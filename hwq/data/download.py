"""Downloads into a cache: with progress, a checksum, and nothing half-written left behind."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO

from hwq.errors import DataError
from hwq.rundir import atomic_write

Notice = Callable[[str], None]
CHUNK = 1 << 20


def cache() -> Path:
    """$HWQ_CACHE, else the user's cache folder for hwq."""
    chosen = os.environ.get("HWQ_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hwq"


def sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fetch(url: str, name: str, *, sha256: str, notice: Notice | None = None) -> Path:
    """The cached file `name`, downloaded from `url` when it is not there with the right checksum.

    Raises:
        DataError: offline, refused, cut short, or another checksum; nothing is kept then.
    """
    target = cache() / name
    if target.is_file() and sha256_of(target) == sha256:
        return target
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            total = int(response.headers.get("Content-Length") or 0)
            atomic_write(target, lambda sink: _copy(response, sink, total, name, sha256, notice))
    except (urllib.error.URLError, OSError, TimeoutError) as error:
        reason = getattr(error, "reason", error)
        raise DataError(
            f"cannot download {name}: {reason}", hint=f"check the network, or put the file at {target} by hand"
        ) from error
    return target


def _copy(source: IO[bytes], sink: IO[bytes], total: int, name: str, sha256: str, notice: Notice | None) -> None:
    seen, whole, told = 0, hashlib.sha256(), 0
    while chunk := source.read(CHUNK):
        sink.write(chunk)
        whole.update(chunk)
        seen += len(chunk)
        if notice and total and seen * 10 // total > told:
            told = seen * 10 // total
            notice(f"{name}: {seen / 1e6:.1f} of {total / 1e6:.1f} MB")
    if total and seen != total:
        raise DataError(f"the download of {name} was cut short: {seen} of {total} bytes", hint="try again")
    if whole.hexdigest() != sha256:
        raise DataError(
            f"{name} has another checksum than expected",
            hint="the source has changed or the download was tampered with; nothing was kept",
        )
