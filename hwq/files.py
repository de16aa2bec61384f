"""Files written whole or not at all, sealed records, and names that stay inside their folder. What the files mean is not known here.

A JSON record ends in a seal, the SHA-256 of the text before it: a record that was changed is not believed.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import platform
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from hwq.errors import RunError
from hwq.fields import Fields, Json
from hwq.locks import explain

SEALED, SEAL = "sealed", "seal"  # the first and the last member of a record
_SEAL_AT = re.compile(r',\s*"seal": "([0-9a-f]{64})"\s*\}\s*\Z')


def atomic_write(path: Path, write: Callable[[IO[bytes]], None]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to disk, and rename it to `path`.

    What processes of this machine left there of `path` when they were killed goes.

    Raises:
        RunError: the disk is full, read-only, or not permitted; `path` is then as it was.
    """
    temporary = path.with_name(f".{path.name}.{platform.node()}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        _tidy(path)
    except OSError as error:
        raise explain(error, path) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _tidy(path: Path) -> None:
    start = f".{path.name}.{platform.node()}."
    for left in path.parent.glob(f"{glob.escape(start)}*.part"):
        number = left.name.removeprefix(start).removesuffix(".part")
        if number.isdigit() and not _runs(int(number)):
            left.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # somebody else's
        return True
    return True


def write_text(path: Path, content: str) -> None:
    atomic_write(path, lambda stream: _ignore(stream.write(content.encode())))


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write a record with its seal, so that a later change of the file is noticed."""
    body = json.dumps({**content, SEALED: True}, indent=1, sort_keys=True).removesuffix("\n}")
    write_text(path, f'{body},\n "{SEAL}": "{hashlib.sha256(body.encode()).hexdigest()}"\n}}\n')


def write_npz(path: Path, **arrays: npt.NDArray[Any]) -> None:
    atomic_write(path, lambda stream: np.savez_compressed(stream, allow_pickle=False, **arrays))


def _ignore(_: object) -> None:
    return None


def read_json(path: Path, *, sealed: bool = False) -> dict[str, Json]:
    """The content of a record, without its seal.

    Args:
        sealed: a record without a seal is refused; those of hwq 0.1.0 have none.

    Raises:
        RunError: the file is missing, no JSON object, or not as it was written.
    """
    if path.exists() and not path.is_file():
        raise RunError(f"{path} is no file", hint="remove it and run the same command again")
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RunError(f"{path} is damaged: it is no text", hint="delete it and run the same command again") from error
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is damaged: {error}", hint="delete it and run the same command again") from error
    if not isinstance(content, dict):
        raise RunError(f"{path} is damaged: expected a JSON object")
    found = _SEAL_AT.search(text)
    if (found is None and (sealed or SEALED in content)) or (
        found and hashlib.sha256(text[: found.start()].encode()).hexdigest() != found[1]
    ):
        raise RunError(
            f"{path} is not as hwq wrote it: its seal does not fit",
            hint="put the file back, or delete it and run the same command again",
        )
    return {key: value for key, value in content.items() if key not in (SEALED, SEAL)}


def read_fields(path: Path, *, sealed: bool = False, hint: str | None = None) -> Fields:
    """As `read_json`, with its members to be checked one by one; `hint` says how the file is mended.

    Raises:
        RunError: the file is missing, no JSON object, or not as it was written.
    """
    return Fields(read_json(path, sealed=sealed), str(path), hint)


def is_sealed(path: Path) -> bool:
    """Whether a record has a seal, whatever it is worth; False where there is no such file."""
    return path.is_file() and _SEAL_AT.search(path.read_text(errors="replace")) is not None


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content; "" where it cannot be read, or is no regular file."""
    with suppress(OSError):
        if path.is_file():
            with path.open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
    return ""


def inside(folder: Path, name: str) -> Path:
    """The file `name` of a folder whose contents came from elsewhere.

    Raises:
        RunError: the name is absolute, or leads out of the folder, also by a link.
    """
    path = folder / name
    try:
        within = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # links that go in a circle, a NUL in the name
        within = False
    if not name or Path(name).is_absolute() or ".." in Path(name).parts or not within:
        raise RunError(f"{name!r} is no file inside {folder}", hint="the folder was changed: generate the plan again")
    return path


def require_digest(path: Path, wanted: str | None, hint: str) -> None:
    """Raises RunError: the file is missing, or not the one of this digest. None, of a record of hwq 0.1.0, asks for nothing."""
    found = sha256_of(path)
    if not found:
        raise RunError(f"cannot read {path}", hint=hint)
    if wanted is not None and found != wanted:
        raise RunError(f"{path} was changed: its SHA-256 is {found[:12]}..., expected {wanted[:12]}...", hint=hint)
