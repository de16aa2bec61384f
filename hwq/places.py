"""The one place that knows folders: what comes with hwq, the cache, the user's data, and whom they may belong to. No run is known here."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from hwq.errors import HwqError, UsageError

_PACKAGE = Path(__file__).resolve().parent


def cache() -> Path:
    """$HWQ_CACHE, else `hwq` in the user's cache folder: downloads, compiled libraries, work of tools. Anything in it may be deleted."""
    chosen = os.environ.get("HWQ_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hwq"


def user_data() -> Path:
    """`hwq` in the user's data folder: measurements and cost models."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "hwq"


def libraries(name: str) -> Path:
    """A folder for compiled code that this process loads: `name` in the cache, where nobody else can write it, else a temporary one."""
    return own_cache(name) or Path(tempfile.mkdtemp(prefix=f"hwq-{name}-"))


def own_cache(name: str) -> Path | None:
    """The folder `name` in the cache for what this process trusts as its own work; None where it cannot be had.

    Code that another user could have put there must not run, so that owner and mode of the folder are checked, and those of each file
    by `is_own`.
    """
    folder = cache() / name
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if folder.stat().st_uid == os.getuid():
            folder.chmod(0o700)
        if is_own(folder) and os.access(folder, os.W_OK):
            return folder
    return None


def is_own(path: Path) -> bool:
    """Whether a file or folder belongs to this user or to root, and nobody else may write it; False where it is not there or a link."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return (
        found.st_uid in (os.getuid(), 0) and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not stat.S_ISLNK(found.st_mode)
    )


def directory(name: str) -> Path:
    """The folder `name` ("boards", "hls_templates" or "cost_models").

    An installed wheel carries the folders as `hwq/_resources/<name>`; a checkout and an editable install have them at
    the top level, beside the package.

    Raises:
        HwqError: neither place has it: a broken installation.
    """
    for candidate in (_PACKAGE / "_resources" / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise HwqError(f"the folder {name!r} of hwq is missing", hint="reinstall hwq: pip install --force-reinstall hwq")


def as_path(path: object) -> Path:
    """A path as a user gives it.

    Raises:
        UsageError: no text and no path, or with a NUL.
    """
    if not isinstance(path, (str, Path)) or "\0" in str(path):
        raise UsageError(f"{path!r} is no path", hint="give a text or a pathlib.Path")
    return Path(path)
