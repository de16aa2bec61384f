"""One writer at a time: locks on folders that say who holds them. What is written under them is not known here."""

from __future__ import annotations

import errno
import fcntl
import functools
import inspect
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, ParamSpec, TypeVar

from hwq.errors import RunError

LOCKS = (".writer.lock", ".run.lock")  # of who makes points, and of who changes run.json
_P = ParamSpec("_P")
_R = TypeVar("_R")


def explain(error: OSError, path: Path) -> RunError:
    """An operating system error on `path` as the user should read it."""
    hints = {
        errno.ENOSPC: "free some space, or choose another --out; what was finished is kept and the same command resumes",
        errno.EDQUOT: "the disk quota is used up: free some space, or choose another --out",
        errno.EROFS: "the file system is read-only: choose another --out",
        errno.EACCES: "no permission to write there: choose another --out",
        errno.EPERM: "no permission to write there: choose another --out",
        errno.ENOTDIR: "a part of the path is a file: choose another --out",
    }
    return RunError(f"cannot write {path}: {error.strerror or error}", hint=hints.get(error.errno or 0))


@contextmanager
def held(path: Path, *, wait: bool) -> Iterator[None]:
    """Hold the lock file `path`, which says who holds it (process, host, since when, command). The kernel releases it with the process.

    Args:
        wait: for another holder; False: refuse.

    Raises:
        RunError: another process holds it, which the message names; or it cannot be written.
    """
    made = not path.parent.exists()
    with _locked(path, wait) as stream:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
        command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200] if sys.argv else ""
        owner = f"process {os.getpid()} on {platform.node()} since {since} UTC: {command.encode('ascii', 'replace').decode()}"
        stream.truncate(0)
        stream.write(owner + "\n")
        stream.flush()
        try:
            yield
        finally:
            with suppress(OSError):
                stream.truncate(0)
                if made and all(p.name in LOCKS for p in path.parent.iterdir()):  # nothing came of it: leave nothing
                    for lock in path.parent.iterdir():
                        lock.unlink()
                    path.parent.rmdir()


def _locked(path: Path, wait: bool) -> IO[str]:
    """The lock file, open and locked; the kernel unlocks it when it is closed or the process ends."""
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stream = path.open("a+")
        except OSError as error:
            raise explain(error, path) from error
        try:
            fcntl.flock(stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(stream.fileno()), path.stat()):
                return stream
            stream.close()  # its holder removed it meanwhile: another file counts
        except BlockingIOError:
            stream.seek(0)
            owner = stream.read(500).strip() or "another process"
            stream.close()
            raise RunError(f"{path.parent} is in use by {owner}", hint="wait until it ends, or choose another --out") from None
        except OSError as error:
            stream.close()
            raise explain(error, path) from error


def one_writer(folder: Callable[..., Path], marker: str = "run.json") -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Decorate a function that makes the content of a folder: while it runs, a second one on the same folder is refused.

    Args:
        folder: called with the arguments of the function by name, gives the folder.
        marker: the file that says that a folder is one of hwq's.

    Raises:
        RunError: from the decorated function: another process works there; the message names it.
    """

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def claimed(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            place = folder(**{name: bound.arguments[name] for name in inspect.signature(folder).parameters})
            if place.exists() and not (place / marker).is_file() and not _only_begun(place):
                return function(*args, **kwargs)  # something else is there, which the function refuses itself
            with held(place / LOCKS[0], wait=False):
                return function(*args, **kwargs)

        return claimed

    return decorate


def _only_begun(place: Path) -> bool:
    """Whether a folder holds no more than what a call that was killed at its very beginning leaves."""
    return place.is_dir() and all(path.name in ("vectors.npz", *LOCKS) or path.suffix == ".part" for path in place.iterdir())
