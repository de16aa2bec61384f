"""Lint and tests on each supported Python: `nox`, or `nox -s tests-3.12`. An interpreter that is not installed is skipped."""

from __future__ import annotations

import nox

PYTHONS = ("3.11", "3.12", "3.13")
nox.options.error_on_missing_interpreters = False
nox.options.stop_on_first_error = True


def install(session: nox.Session) -> None:
    """The pinned environment of `make`, with this checkout in it."""
    session.install("-r", "requirements.lock")
    session.install("--no-deps", "--no-build-isolation", "-e", ".")


@nox.session(python=PYTHONS)
def lint(session: nox.Session) -> None:
    """What `make lint` runs."""
    install(session)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """What `make test` runs, with a store of its own; arguments after -- go to pytest."""
    install(session)
    split = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
    session.run("python", "-m", "pytest", "-q", *split, *session.posargs, env={"HWQ_STORE": ""})
