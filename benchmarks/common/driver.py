"""The one driver: what --list shows, which parts run, rows as they come, results, pages, and the exit code."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.common.experiment import EXPERIMENTS, BenchmarkError, Context, Experiment, load, names
from benchmarks.common.processes import ROOT
from benchmarks.common.results import Origin, Results, source_digest
from benchmarks.common.row import Row, failures, text_table
from hwq.errors import HwqError

SHORT, CANNOT = 1, 2
EPILOG = """\
results    DIR/results/NAME.json, whole after every row; a selection of parts or a quick run has a file of its own
runs       DIR/runs: trained networks and the like. The same command on the same code goes on from there; changed code begins anew
peers      installed on first use in hwq's cache (HWQ_CACHE), where their answers and Yosys' are kept too
exit code  0; 1 with --check where a figure falls short of its bar; 2 where something could not be run: data, a peer or a tool is missing
"""


@dataclass(frozen=True, slots=True)
class Home:
    """Where experiments are and pages go."""

    experiments: Path = EXPERIMENTS
    pages: Path = ROOT / "docs" / "results"


@dataclass(frozen=True, slots=True)
class Call:
    """One experiment as it was asked for."""

    name: str
    parts: tuple[str, ...]
    quick: bool
    given: tuple[str, ...]

    @property
    def stem(self) -> str:
        """The name of its results: another selection, variant or setting does not overwrite them."""
        changed = [text.replace("=", "-").replace(",", "+").replace("/", "_") for text in self.given]
        return "-".join([self.name, *self.parts, *changed, *(["quick"] if self.quick else [])])

    @property
    def command(self) -> str:
        """What makes the same rows again."""
        chosen = [f"{self.name}:{part}" for part in self.parts] or [self.name]
        options = [*(["--quick"] if self.quick else []), *(word for text in self.given for word in ("--set", text))]
        return shlex.join(["python", "benchmarks/run.py", *chosen, *options])


def main(argv: Sequence[str], home: Home | None = None) -> int:
    """Run what is asked for; the exit code."""
    home = home or Home()
    parser = _parser()
    options = parser.parse_args(argv)
    if options.list == bool(options.names):
        parser.error("name a benchmark, or ask for --list")
    try:
        if options.list:
            print(listing(home.experiments))
            return 0
        calls = calls_of(options)
        experiments = [load(call.name, home.experiments) for call in calls]
        for call, experiment in zip(calls, experiments, strict=True):  # before anything is run
            experiment.chosen(call.parts, quick=call.quick)
            experiment.with_settings(_pairs(call.given), quick=call.quick)
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        return CANNOT
    codes = [0]
    for call, experiment in zip(calls, experiments, strict=True):
        results = carried_out(call, experiment, options.work.resolve())
        codes.append(concluded(results, check=options.check))
        if options.page and results.complete:
            print(f"page: {results.write_page(home.pages)}", file=sys.stderr)
    return max(codes)


def _parser() -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("benchmarks/run.py", description="hwq's benchmarks", epilog=EPILOG, formatter_class=formatter)
    parser.add_argument("names", nargs="*", metavar="NAME[:PART]", help="what to run")
    parser.add_argument(
        "--list", action="store_true", help="show all benchmarks, their parts, settings, and about how long they take"
    )
    parser.add_argument("--check", action="store_true", help="exit 1 where a figure falls short of its bar")
    parser.add_argument("--quick", action="store_true", help="the small variant")
    parser.add_argument("--page", action="store_true", help="also write docs/results/DATE-NAME.md, if all of it was run")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting of the benchmark; see --list"
    )
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "benchmarks", metavar="DIR", help="default build/benchmarks")
    return parser


def listing(folder: Path) -> str:
    """Every experiment with its help, CPU time, parts and settings."""
    lines = []
    for name in names(folder):
        experiment = load(name, folder)
        full, quick = experiment.cpu
        lines.append(f"{name:14}{experiment.help} (CPU {full}; --quick {quick})")
        width = max(len(part) for part in experiment.parts)
        for part in experiment.parts.values():
            lines.append(f"  {name}:{part.name:{width}}  {part.help}{'' if part.quick else ' (not with --quick)'}")
        default = experiment.settings
        lines += [f"  --set {key}={_shown(getattr(default, key))}" for key in getattr(default, "__dataclass_fields__", {})]
    return "\n".join(lines)


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def calls_of(options: argparse.Namespace) -> list[Call]:
    """The experiments in the order of the command line, each with all parts that are named of it."""
    parts: dict[str, list[str]] = {}
    for text in options.names:
        name, _, part = text.partition(":")
        parts.setdefault(name, []).extend([part] if part else [])
    whole = {text for text in options.names if ":" not in text}
    return [
        Call(name, () if name in whole else tuple(dict.fromkeys(found)), options.quick, tuple(options.set))
        for name, found in parts.items()
    ]


def _pairs(given: Sequence[str]) -> dict[str, str]:
    unclear = [text for text in given if "=" not in text]
    if unclear:
        raise BenchmarkError(f"--set {unclear[0]}: give KEY=VALUE")
    return {key: value for key, _, value in (text.partition("=") for text in given)}


def carried_out(call: Call, experiment: Experiment[Any], work: Path) -> Results:
    """Every part of a call, whose rows are written as they come; a part that cannot be run does not stop the others."""
    results = Results(work / "results" / f"{call.stem}.json", Origin.of(call.command, experiment.tools), experiment.help)
    results.write()
    variant = "-quick" if call.quick else ""
    runs = work / "runs" / f"{call.name}{variant}-{source_digest()}"
    runs.mkdir(parents=True, exist_ok=True)
    context = Context(runs, experiment.with_settings(_pairs(call.given), quick=call.quick), call.quick)
    with own_store(runs / "measurements.sqlite"):
        for part in experiment.chosen(call.parts, quick=call.quick):
            command = replace(call, parts=(part.name,)).command
            try:
                for row in part.run(context):
                    _keep(results, replace(row, command=command))
            except (BenchmarkError, HwqError) as error:
                hint = getattr(error, "hint", None)
                results.errors.append(f"{call.name}:{part.name} could not be run: {error}" + (f"; {hint}" if hint else ""))
                context.say(results.errors[-1])
    if results.rows:
        for summary in experiment.summaries:
            for row in summary(tuple(results.rows)):
                _keep(results, replace(row, command=call.command))
    results.finish()
    return results


def _keep(results: Results, row: Row) -> None:
    results.add(row)
    print(row, file=sys.stderr, flush=True)


@contextlib.contextmanager
def own_store(path: Path) -> Iterator[None]:
    """A measurement store of its own: figures must not depend on what a user has measured before."""
    before = os.environ.get("HWQ_STORE")
    os.environ["HWQ_STORE"] = str(path)
    try:
        yield
    finally:
        os.environ.pop("HWQ_STORE", None)
        if before is not None:
            os.environ["HWQ_STORE"] = before


def concluded(results: Results, *, check: bool) -> int:
    """Show the table, name what falls short and what could not be run; the exit code."""
    if results.rows:
        print(text_table(results.rows))
    print(f"results: {results.path}", file=sys.stderr)
    short = failures(results.rows)
    if short:
        print("short of the bar:", *short, sep="\n  ", file=sys.stderr)
    if results.errors:
        print("not complete:", *(line.splitlines()[0] for line in results.errors), sep="\n  ", file=sys.stderr)
        return CANNOT
    return SHORT if short and check else 0
