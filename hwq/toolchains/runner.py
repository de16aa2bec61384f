"""Running the steps of a plan, and believing them only when exit code, log and files agree.

A finished step leaves `steps/<name>.json` in the plan's folder: what ran, how it ended, and the hash of every file it made. The record
is written last and whole, so a step either has finished or has not; a plan that ran on another machine carries its records with it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from hwq.errors import RunError, ToolError
from hwq.events import Notice, quiet
from hwq.fields import Fields
from hwq.files import read_fields, sha256_of, write_json
from hwq.locks import explain
from hwq.toolchains.faults import Fault, diagnose
from hwq.toolchains.registry import program
from hwq.toolchains.steps import Step
from hwq.tools.find import Tool
from hwq.tools.process import ToolRun, run

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Record:
    """A finished step.

    Attributes:
        plan: digest of the plan that it belongs to.
        inputs: records it built on, as step name -> what they made, so that a changed predecessor makes it void.
        outputs: path relative to the folder -> SHA-256.
        began: seconds since the epoch; seconds, peak_mb: what it took; peak_mb is None where it was not measured.
        host: the machine.
    """

    step: str
    stage: str
    plan: str
    tool: str
    version: str
    returncode: int
    began: float
    seconds: float
    peak_mb: float | None
    host: str
    log: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    format: int = FORMAT

    @classmethod
    def of(cls, told: Fields) -> Record:
        """Raises RunError: a member is missing, of another kind, or one that no record has."""
        if unknown := sorted(told.rest(*cls.__slots__)):
            raise RunError(f"it has {unknown[0]!r}", hint=told.hint)
        step, stage, plan, tool, version = (told.text(name) for name in ("step", "stage", "plan", "tool", "version"))
        began, seconds = (told.number(name, least=0.0, most=1e11) for name in ("began", "seconds"))
        return cls(
            step,
            stage,
            plan,
            tool,
            version,
            told.whole("returncode", least=-1000),
            began,
            seconds,
            told.number("peak_mb", least=0.0, most=1e11) if told.has("peak_mb") else None,
            told.text("host"),
            told.text("log"),
            told.texts_by_name("inputs"),
            told.texts_by_name("outputs"),
            told.whole("format", FORMAT),
        )

    @property
    def fingerprint(self) -> str:
        """Over what it made and with what."""
        content = json.dumps([self.tool, self.version, sorted(self.outputs.items())])
        return hashlib.sha256(content.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Basis:
    """What a step is run for: a plan's digest, and the fingerprints of the steps before it."""

    plan: str
    inputs: Mapping[str, str]

    @classmethod
    def of(cls, plan: str, before: Mapping[str, Record]) -> Basis:
        return cls(plan, {name: record.fingerprint for name, record in before.items()})


@contextmanager
def locked(folder: Path, notice: Notice = quiet) -> Iterator[None]:
    """Keep other processes from running steps in the same folder; the lock ends with its holder, however that ends.

    Raises:
        RunError: the folder cannot be written.
    """
    path = folder / "steps" / ".lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("wb")
    except OSError as error:
        raise explain(error, path) from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            notice("waiting for another hwq that works on it")
            fcntl.flock(stream, fcntl.LOCK_EX)
        except OSError as error:
            raise explain(error, path) from error
        yield


def record_path(folder: Path, name: str) -> Path:
    return folder / "steps" / f"{name}.json"


def read_record(folder: Path, step: Step, *, sealed: bool = True) -> Record | None:
    """The record of a step, or None where it has not finished.

    Args:
        sealed: a record without a seal is refused; those of hwq 0.1.0 have none.

    Raises:
        RunError: there is one, but it is damaged or of another version of hwq.
    """
    path = record_path(folder, step.name)
    if not path.exists():
        return None
    hint = "delete it: the step then runs again"
    try:
        told = read_fields(path, sealed=sealed)
    except RunError as error:
        raise RunError(error.message, hint=hint) from error
    try:
        record = Record.of(told)
    except RunError as error:
        raise RunError(f"{path} is no record of a step: {error.message}", hint=hint) from error
    if record.format != FORMAT or record.step != step.name:
        raise RunError(f"{path} is a record of {record.step!r} in format {record.format}", hint=hint)
    if unnamed := _unnamed(step, record):
        raise RunError(f"{path} names no {unnamed}, which the step makes", hint=hint)
    return record


def _unnamed(step: Step, record: Record) -> str | None:
    """An output of a step that its record leaves out: what is not named would be neither hashed nor looked at."""
    names = [PurePosixPath(name) for name in record.outputs]
    for pattern in step.outputs:
        if not any(name.match(alternative) for alternative in pattern.split("|") for name in names):
            return pattern
    return None


def still_valid(record: Record, folder: Path, tool: Tool | None, basis: Basis) -> bool:
    """Whether a step need not run again: same plan, tool and predecessors, and every file still as it was made."""
    if record.plan != basis.plan or dict(record.inputs) != dict(basis.inputs):
        return False
    if tool is not None and (record.tool, record.version) != (tool.name, tool.version):
        return False
    return not changed_outputs(record, folder)


def changed_outputs(record: Record, folder: Path) -> list[str]:
    """The files of a record that are missing or no longer what the tool wrote."""
    return [name for name, digest in record.outputs.items() if sha256_of(folder / name) != digest]


def matches(folder: Path, pattern: str) -> list[Path]:
    """The files that an output of a step names, of the first alternative that names any."""
    for alternative in pattern.split("|"):
        found = sorted(p for p in folder.glob(alternative) if p.is_file())
        if found:
            return found
    return []


def run_step(
    step: Step,
    tool: Tool,
    folder: Path,
    basis: Basis,
    *,
    timeout_s: float | None = None,
    on_line: Notice | None = None,
) -> Record:
    """Run one step to its end and write its record.

    Raises:
        ToolError: it could not be started, failed, was killed, or lacks a new output; says which, with its first error and a remedy.
        RunError: the folder cannot be written.
    """
    _clear(step, folder)
    log, began = folder / step.log, time.time()
    done = run(
        [*tool.argv, *program(step.program).lead(tool), *step.arguments],
        cwd=folder / step.folder,
        log=log,
        tool=tool,
        timeout_s=timeout_s,
        on_line=on_line,
    )
    fault = diagnose(done.returncode, log.read_text(errors="replace"))
    if fault is not None:
        raise failure(str(tool), step, done, fault)
    return _conclude(step, folder, basis, done, began)


def failure(tool: str, step: Step, done: ToolRun, fault: Fault) -> ToolError:
    return ToolError(
        f"{tool} failed at {step.stage} ({fault.status}; {done.ended}): {fault.line}",
        hint=fault.remedy or f"see {done.log}",
        log=done.log,
    )


def _clear(step: Step, folder: Path) -> None:
    """Remove the record and every output, so that whatever is there afterwards is new."""
    try:
        record_path(folder, step.name).unlink(missing_ok=True)
        for scratch in step.scratch:
            shutil.rmtree(folder / scratch, ignore_errors=True)
        for pattern in (*step.outputs, *step.optional):
            for alternative in pattern.split("|"):
                for path in folder.glob(alternative):
                    path.unlink()
                if "*" not in alternative:
                    (folder / alternative).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, folder / step.log) from error


def _conclude(step: Step, folder: Path, basis: Basis, done: ToolRun, began: float) -> Record:
    import platform

    outputs: dict[str, str] = {}
    for pattern in (*step.outputs, *step.optional):
        found = matches(folder, pattern)
        if not found and pattern not in step.optional:
            raise ToolError(f"{done.tool} ended well but left no {pattern}", hint=f"see {done.log}", log=done.log)
        for path in found:
            status = path.stat()
            if not status.st_size or status.st_mtime < began - 2:
                what = "is empty" if not status.st_size else "is older than the run"
                raise ToolError(f"{done.tool} ended well but {path.name} {what}", hint=f"see {done.log}", log=done.log)
            outputs[path.relative_to(folder).as_posix()] = sha256_of(path)
    record = Record(
        step=step.name,
        stage=step.stage,
        plan=basis.plan,
        tool=done.tool,
        version=done.version,
        returncode=done.returncode,
        began=round(began, 3),
        seconds=round(done.seconds, 3),
        peak_mb=round(done.peak_mb, 1),
        host=platform.node(),
        log=step.log,
        inputs=dict(basis.inputs),
        outputs=outputs,
    )
    write_json(record_path(folder, step.name), asdict(record))
    return record
