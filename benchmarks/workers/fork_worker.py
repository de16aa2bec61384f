"""Tests of one source tree again and again, each time in a fork of this process, which has imported everything but that tree.

A request is one line of JSON on standard input, the answer one line of JSON on standard output:

    {"paths": [...], "limit_s": 60}                     run these files, folders or tests, to the first that fails
    {"paths": [...], "limit_s": 60, "chosen": {...}}    of these files only the tests of these names, in this order, each for so many
                                                        CPU seconds at most; limit_s is for what comes before the first
    {"paths": [...], "limit_s": 60, "traced": [...]}    all of them, and tell which lines of the files below these folders each runs

The answer has `ends`, how pytest ended, below 0 where a signal stopped it; `failed`, the test that failed first; where lines were asked
for, `tests`, with the CPU seconds and the lines of each test; lines that were run before a test began, or for the fixtures of its file,
are told apart in `fixtures`, by file. Whatever the tests import from elsewhere is imported here after the first answer.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import random
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any

import pytest

TREE = str(Path.cwd()) + os.sep
ENOUGH = 300  # lines of one function in one test
Lines = dict[str, set[int]]  # file in the tree -> lines that were run
Local = Callable[[FrameType, str, Any], Any]


class Tracer:
    """Which lines of files below some folders are run, until it is asked.

    A function whose lines were all seen is looked at no more; one that goes on and on is taken for one that runs all of them.
    """

    def __init__(self, folders: list[str]) -> None:
        self.folders = tuple(TREE + folder + os.sep for folder in folders)
        self.left: dict[CodeType, set[int]] = {}
        self.seen: dict[CodeType, int] = {}
        self.found: Lines = {}

    def __enter__(self) -> Tracer:
        self.left, self.seen, self.found = {}, {}, {}
        threading.settrace(self._call)
        sys.settrace(self._call)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        sys.settrace(None)
        threading.settrace(None)

    def _call(self, frame: FrameType, event: str, argument: Any) -> Local | None:
        code = frame.f_code
        left = self.left.get(code)
        if left is None:
            left = set()
            if code.co_filename.startswith(self.folders):
                left |= {line for _, _, line in code.co_lines() if line} - {code.co_firstlineno}
                self._ran(code, {code.co_firstlineno})
            self.left[code], self.seen[code] = left, 0
        return self._line if left else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Local | None:
        code = frame.f_code
        left, self.seen[code] = self.left[code], self.seen[code] + 1
        if self.seen[code] > ENOUGH:
            self._ran(code, left)
            left.clear()
        elif frame.f_lineno in left:
            left.discard(frame.f_lineno)
            self._ran(code, {frame.f_lineno})
        return self._line if left else None

    def _ran(self, code: CodeType, lines: set[int]) -> None:
        self.found.setdefault(code.co_filename.removeprefix(TREE), set()).update(lines)


class Watch:
    """A plugin of pytest: chooses tests, and notes what fails and which lines are run."""

    def __init__(self, chosen: dict[str, int] | None, traced: list[str] | None) -> None:
        self.chosen, self.order = chosen, {name: i for i, name in enumerate(chosen or ())}
        self.tracer = None if traced is None else Tracer(traced)
        self.failed: str | None = None
        self.tests: dict[str, tuple[float, dict[str, list[int]]]] = {}
        self.fixtures: dict[str, Lines] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """The chosen tests in their order."""
        if self.chosen is not None:
            items[:] = sorted((item for item in items if item.nodeid in self.order), key=lambda item: self.order[item.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """What failed first."""
        if report.failed and not self.failed:
            self.failed = report.nodeid

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, None, None]:
        """Lines of fixtures, which other tests of the file may share; and how long the test may take."""
        if self.chosen is not None:
            _, most = resource.getrlimit(resource.RLIMIT_CPU)
            resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + self.chosen[item.nodeid], most))
        if self.tracer is None:
            return (yield)
        with self.tracer as tracer:
            result = yield
        known = self.fixtures.setdefault(item.nodeid.partition("::")[0], {})
        for path, lines in tracer.found.items():
            known.setdefault(path, set()).update(lines)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        """Lines of the test itself, and its time."""
        if self.tracer is None:
            return (yield)
        before = time.process_time()
        with self.tracer as tracer:
            try:
                return (yield)
            finally:
                found = {path: sorted(lines) for path, lines in tracer.found.items()}
                self.tests[item.nodeid] = (time.process_time() - before, found)


def in_fork(
    paths: list[str], limit_s: int, chosen: dict[str, int] | None = None, traced: list[str] | None = None
) -> dict[str, Any]:
    """Run pytest in a fork; what it answered and how it ended."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reader)
        sink = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(sink, stream)
        resource.setrlimit(resource.RLIMIT_CPU, (limit_s, resource.RLIM_INFINITY))
        random.seed()  # Hypothesis draws from it: no two runs have the same examples
        watch = Watch(chosen, traced)
        with tempfile.TemporaryDirectory(prefix="examples-") as examples:
            os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = examples
            ends = int(pytest.main(["-q", "-x", "-n", "0", "-p", "no:cacheprovider", "-k", "not postgresql", *paths], [watch]))
        answer: dict[str, Any] = {"ends": ends, "failed": watch.failed}
        if traced is not None:
            fixtures = {file: {path: sorted(lines) for path, lines in known.items()} for file, known in watch.fixtures.items()}
            elsewhere = [
                name for name, m in sys.modules.items() if (getattr(m, "__file__", None) or TREE).startswith(TREE) is False
            ]
            answer |= {"tests": watch.tests, "fixtures": fixtures, "modules": elsewhere}
        with os.fdopen(writer, "w") as out:
            json.dump(answer, out)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as given:
        text = given.read()
    _, status = os.waitpid(pid, 0)
    found: dict[str, Any] = json.loads(text) if text else {"ends": os.waitstatus_to_exitcode(status), "failed": None}
    return found


def main() -> None:
    """Answer requests until there are no more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        answer = in_fork(**json.loads(line))
        for name in answer.pop("modules", ()):
            with contextlib.suppress(Exception):  # whoever needs it in a fork tells why it cannot be imported
                importlib.import_module(name)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
