"""How far a long command has come, on standard error: bars in a terminal, elsewhere a plain line every ten seconds."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from hwq.cli.common import EVERY_S, console, note

if TYPE_CHECKING:
    import rich.progress

    from hwq.events import Progress


def elapsed(seconds: float) -> str:
    """`45 s`, `2:05`, `1:02:05`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


class Bar:
    """Training progress: one bar a phase in a terminal; else at most one line every ten seconds, for logs.

    A phase that is followed by another one, or by the end, before its last step was stopped early, which is said in both.
    """

    def __init__(self, label: str = "", *, began: float | None = None) -> None:
        """`label` stands before each line; `began` is when the command did, by time.monotonic, where not now."""
        self.label = label
        self.bars: rich.progress.Progress | None = None
        self.tasks: dict[str, rich.progress.TaskID] = {}
        self.began = self.last = time.monotonic() if began is None else began
        self.phase, self.step, self.steps = "", 0, 0
        self.best: float | None = None
        self.metric = "accuracy"

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, kind: object = None, *_: object) -> None:
        if kind is None:
            self.finished()
        self.pause()

    def pause(self) -> None:
        """Leave the bars as they are, so that lines can be written; later progress begins new ones."""
        if self.bars is not None:
            self.bars.stop()
            self.bars, self.tasks = None, {}

    def finished(self) -> None:
        """Say whether the phase that ended was stopped early."""
        if self.phase and self.step < self.steps:
            told = f"{self._named()}stopped early, after {self.step} of {self.steps} steps{self._told()}"
            if self.bars is not None:
                self.bars.console.print(told)
            else:
                note(told)
        self.phase, self.best = "", None

    def __call__(self, p: Progress) -> None:
        if p.phase != self.phase or p.step < self.step:
            self.finished()
        self.phase, self.step, self.steps = p.phase, p.step, p.steps
        if p.val_accuracy is not None:
            known = p.val_accuracy if self.best is None else self.best
            self.best = min(p.val_accuracy, known) if p.lower else max(p.val_accuracy, known)
            self.metric = p.metric
        if sys.stderr.isatty():
            self._draw(p)
        elif (now := time.monotonic()) - self.last >= EVERY_S:
            self.last = now
            cost = f", {p.ebops:.0f} EBOPs" if p.ebops else ""
            note(f"{self._named()}{p.step}/{p.steps}{self._told()}{cost}, {elapsed(now - self.began)}")

    def _named(self) -> str:
        return f"  {self.label}{': ' if self.label else ''}{self.phase} "

    def _told(self) -> str:
        return f", best validation {self.metric} {self.best:.4f}" if self.best is not None else ""

    def _draw(self, p: Progress) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Shown

        if self.bars is None:
            columns = (
                TextColumn("{task.description:7}"),
                BarColumn(30),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[told]}"),
            )
            self.bars = Shown(*columns, console=console(stderr=True))
            self.bars.start()
        if p.phase not in self.tasks:
            self.tasks[p.phase] = self.bars.add_task(p.phase, total=p.steps, told="")
        told = [f"validation {p.val_accuracy:.4f}" if p.val_accuracy is not None else "", f"{p.ebops:.0f} EBOPs" if p.ebops else ""]
        told += [f"{p.kept} points" if p.kept else ""]
        self.bars.update(self.tasks[p.phase], completed=p.step, told="  ".join(filter(None, told)))


class Bars:
    """Training progress anew for each method and split, with its name in front where there is no terminal."""

    def __init__(self) -> None:
        self.label, self.began = "", time.monotonic()
        self.bar = Bar(began=self.began)

    def __call__(self, p: Progress) -> None:
        if p.of != self.label:
            self.bar.finished()
            self.bar.pause()
            last, self.label, self.bar = self.bar.last, p.of, Bar(p.of, began=self.began)
            self.bar.last = last  # one line in ten seconds, whosever it is
        self.bar(p)

    def stop(self) -> None:
        """Leave the bars as they are, so that lines can be written."""
        self.bar.pause()


class Counted:
    """Designs done of how many, as `hwq calibrate` tells them: each in a terminal, else at most one line every ten seconds; failures always."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self.began = self.last = time.monotonic()

    def __call__(self, design: str, what: str) -> None:
        if what != "synthesising":
            self.done += 1
        line = f"  {self.done}/{self.total} {design}: {what}"
        now = time.monotonic()
        if sys.stderr.isatty() or what.startswith("failed"):
            note(line)
        elif now - self.last >= EVERY_S:
            self.last = now
            note(f"{line}, {elapsed(now - self.began)}")
