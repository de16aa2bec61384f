"""The exception tree: every error a user can meet, with a hint and an exit code.

Nothing here formats for a terminal; `hwq.cli` prints `message`, then `hint`.
"""

from __future__ import annotations

from pathlib import Path


class HwqError(Exception):
    """Base of all errors that hwq raises on purpose.

    Args:
        message: one line: what was found and what was expected.
        hint: one line: how to mend it.

    Example:
        >>> import hwq
        >>> try:
        ...     hwq.boards.load("pynq")
        ... except hwq.errors.HwqError as error:
        ...     print(error, "-", error.hint)
        there is no board 'pynq' - did you mean pynq-z2?
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class HwqWarning(UserWarning):
    """Something that works, but perhaps not as its user thinks: said once, with `warnings.warn`; `hwq.cli` prints it as one line."""


class UsageError(HwqError):
    """An option or argument that cannot be meant (exit 2, as click's own usage errors)."""

    exit_code = 2


class DataError(HwqError):
    """A data set that is missing, malformed, or holds NaN or labels out of range."""

    exit_code = 3


class ModelError(HwqError):
    """A model that cannot be built, read or quantised."""

    exit_code = 4


class UnsupportedLayerError(ModelError):
    """A layer that hwq does not convert; the message names it and the supported ones."""


class TrainingError(ModelError):
    """Training that went wrong: NaN, collapse, a dead layer."""


class GraphError(HwqError):
    """An intermediate representation that breaks its own rules (a defect in hwq or in an edited text)."""

    exit_code = 5


class MismatchError(HwqError):
    """Two evaluators of one design disagree: the message names the first difference."""

    exit_code = 6


class BoardError(HwqError):
    """An unknown board, or a board file that breaks the schema."""

    exit_code = 7


class ToolError(HwqError):
    """An external program that failed; `log` is the file that holds its output."""

    exit_code = 8

    def __init__(self, message: str, *, hint: str | None = None, log: Path | None = None) -> None:
        super().__init__(message, hint=hint)
        self.log = log


class ToolMissingError(ToolError):
    """An external program that is not installed."""


class ToolTimeoutError(ToolError):
    """An external program that ran past its time limit and was killed."""


class ReportError(HwqError):
    """A tool report that cannot be read: names the file, the line where known, and the reason."""

    exit_code = 9

    def __init__(self, path: Path | str, reason: str, *, line: int | None = None, hint: str | None = None) -> None:
        where = f"{path}:{line}" if line is not None else f"{path}"
        super().__init__(f"{where}: {reason}", hint=hint)
        self.path = Path(path)
        self.line = line
        self.reason = reason


class StoreError(HwqError):
    """A measurement store that cannot be opened, read or written."""

    exit_code = 10


class CostModelError(HwqError):
    """A cost model that cannot be fitted, or a fit that failed its cross-validation."""

    exit_code = 11


class RunError(HwqError):
    """A run directory that is missing, incomplete, or cannot be written (disk full, read-only)."""

    exit_code = 12


class PreflightError(HwqError):
    """A design that will not fit, or that a tool will refuse, said before any tool starts."""

    exit_code = 13


class BudgetError(HwqError):
    """No design keeps the budget, or none is as accurate as was asked; says what came nearest."""

    exit_code = 14


def one_line(text: str) -> str:
    """A name of a file as a report and a message show it: what ends a line, or is not printed, is written out, as in \\x1b."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
