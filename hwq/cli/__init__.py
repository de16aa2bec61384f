"""The `hwq` command, one file each: options, texts, exit codes. What a command does is in `hwq.flow`; nothing is computed here."""

from __future__ import annotations

import difflib
import importlib
import io
import keyword
import os
import sys
import warnings
from typing import TextIO

import click

from hwq import __version__
from hwq.cli.common import printable
from hwq.cli.interrupts import heard
from hwq.errors import HwqError, HwqWarning

COMMANDS = {
    "train": "Learn a bitwidth for every weight; keep the Pareto front.",
    "allocate": "Choose widths for a trained float model by measured costs.",
    "ptq": "Quantise a trained float model without training it.",
    "convert": "Read a network that a peer has quantised, exactly, as a run.",
    "export": "Write a point for another package: QONNX, Keras, hls4ml.",
    "refine": "Remove signed digits from points of a run, and prove them again.",
    "compare": "Compare methods on the same splits: accuracy, measured cost, time.",
    "codesign": "Train, synthesise and train on until a measured design keeps a budget.",
    "synth": "Generate, prove, synthesise and measure points of a run.",
    "sim": "Compare Keras, integer reference, C-simulation and RTL, bit for bit.",
    "report": "Show a run: accuracy, predicted and measured cost.",
    "calibrate": "Measure what operations cost, and fit cost models.",
    "store": "Show, export and import measurements.",
    "import": "Take the reports of a plan that ran elsewhere back into its run.",
    "boards": "List the boards.",
    "doctor": "Say which tools are there and what to do about the others.",
}

MISSING = {  # parameter -> what to give for it
    "data": "for example: {call} digits",
    "model": "a trained float model, for example net.keras",
    "file": "the file that the peer's package saved, for example net.keras",
    "run": "the folder that hwq train made, for example runs/digits",
    "board": "for example --board xcvu9p; all of them: hwq boards",
    "budget": "for example --budget lut=1000",
}


class Lazy(click.Group):
    """A group whose commands are modules of this package, imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        # "import" is no name in Python: its module and function end in an underscore
        name = cmd_name + "_" if keyword.iskeyword(cmd_name) else cmd_name
        command = getattr(importlib.import_module(f"hwq.cli.{name}"), name)
        return command if isinstance(command, click.Command) else None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = difflib.get_close_matches(args[0], COMMANDS, n=1) if args else []
            if not near:
                raise
            raise click.UsageError(f"{error.message} Did you mean {near[0]!r}?", ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="hwq")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Train neural networks with a bitwidth for every weight, and measure what they cost on an FPGA."""
    ctx.obj = debug


def main() -> None:
    """The entry point: errors become one line, a hint and an exit code."""
    debug = "--debug" in sys.argv[1:2]
    _require_streams()
    warnings.showwarning = _show_warning
    try:
        with heard():
            code = cli(standalone_mode=False)  # of `ctx.exit`, which is no exception here
    except click.exceptions.Abort:
        _interrupted()
    except KeyboardInterrupt:
        _interrupted()
    except click.ClickException as error:
        click.echo(printable(_shown(error)), err=True)
        if isinstance(error, click.MissingParameter) and error.param is not None and error.param.name in MISSING:
            click.echo(f"hint: {MISSING[error.param.name].format(call=_call(error))}", err=True)
        sys.exit(error.exit_code)
    except HwqError as error:
        if debug:
            raise
        _fail(error.message, error.hint, error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
    except OSError as error:
        if debug:
            raise
        _fail(str(error), "a file could not be read or written; what was finished is kept", 12)
    except Exception as error:
        if debug:
            raise
        _fail(
            f"internal error: {type(error).__name__}: {error}",
            "this is a defect of hwq: please report it with the output of hwq --debug ...",
            70,
        )
    if code:
        sys.exit(code)


def _call(error: click.MissingParameter) -> str:
    """The command up to the argument that is missing: `hwq ptq MODEL`."""
    if error.ctx is None or error.param is None:
        return "hwq"
    before = error.ctx.command.params[: error.ctx.command.params.index(error.param)]
    names = [(p.name or "").upper() for p in before if isinstance(p, click.Argument)]
    return " ".join(["hwq", error.ctx.info_name or "", *names])


def _shown(error: click.ClickException) -> str:
    """What click prints of an error."""
    text = io.StringIO()
    error.show(text)
    return text.getvalue().rstrip("\n")


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None, line: str | None = None
) -> None:
    """hwq's own warnings as one line, other libraries' as Python shows them."""
    if issubclass(category, HwqWarning):
        click.echo(printable(f"warning: {message}"), err=True)
    else:
        click.echo(printable(warnings.formatwarning(message, category, filename, lineno, line)), err=True, nl=False)


def _require_streams() -> None:
    """Standard streams that exist and take every character, whatever the terminal's encoding.

    A closed stream is replaced, since the next file to be opened would get its number and what is printed; without a standard output the
    command ends.
    """
    closed = []
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            closed.append(number)
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    if 2 in closed or sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - it stays open
    if 1 in closed or sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        _fail("standard output is closed", "redirect it to a file, or to /dev/null", 1)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _fail(message: str, hint: str | None, code: int) -> None:
    click.secho(f"error: {printable(message)}", fg="red", err=True)
    if hint:
        click.echo(f"hint: {printable(hint)}", err=True)
    sys.exit(code)


def _interrupted() -> None:
    click.echo("interrupted; what was finished is kept, and the same command goes on from there", err=True)
    sys.stderr.flush()
    # worker threads may still wait for tools; leaving at once makes the kernel end those tools with us
    os._exit(130)
