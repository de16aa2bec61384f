"""What the stubs of all vendor tools share: their Tcl, their options, their messages. They know nothing of hwq.

A stub keeps the state that the real tool keeps (open projects and designs, files added, steps run, files on disk) and writes reports that
follow from it; what the simulated version does not know is an error, as in the real tool.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

Command = Callable[..., str]


class FailedError(Exception):
    """The tool says this line and ends with an error."""


@dataclass
class Options:
    """A parsed command line: switches, values, and what stands alone."""

    switches: set[str] = field(default_factory=set)
    values: dict[str, str] = field(default_factory=dict)
    rest: list[str] = field(default_factory=list)


def parse(command: str, words: Iterable[str], switches: str = "", valued: str = "", code: str = "Common 17-170") -> Options:
    """`-flag` and `-name value`; anything else that begins with a dash is an error."""
    found, known, taking = Options(), set(switches.split()), set(valued.split())
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in known:
            found.switches.add(word)
        elif word in taking:
            if not rest:
                raise FailedError(f"ERROR: [{code}] {command}: missing value for option '{word}'")
            found.values[word] = rest.pop(0)
        elif word.startswith("-") and not word[1:2].isdigit():
            raise FailedError(f"ERROR: [{code}] {command}: Unknown option '{word}'.")
        else:
            found.rest.append(word)
    return found


def version_numbers(version: str) -> tuple[int, int]:
    year, release = version.split(".")[:2]
    return int(year), int(release)


def say(text: str) -> None:
    print(text, flush=True)


class Tcl:
    """An interpreter with the commands of a tool, and no others beside Tcl's own."""

    def __init__(self, commands: dict[str, Command], executable: str, end: Callable[[int], None]) -> None:
        import tkinter

        self.interp = tkinter.Tcl()
        self.end = end
        for name, function in {**commands, "exit": self._exit, "quit": self._exit}.items():
            self.interp.createcommand(f"__{name}", self._guard(function))
            self.interp.eval(
                f"catch {{rename {name} {{}}}}\nproc {name} args {{ set r [__{name} {{*}}$args]\n"
                'if {[string index $r 0] eq "!"} { return -code error [string range $r 1 end] }\nreturn [string range $r 1 end] }'
            )
        self.interp.eval(
            'rename info __info\nproc info args { if {[lindex $args 0] eq "nameofexecutable"} { return {' + executable + "} }\n"
            "uplevel 1 [list __info {*}$args] }"
        )

    @staticmethod
    def _guard(function: Command) -> Command:
        def call(*words: object) -> str:
            try:
                return "=" + (function(*(str(word) for word in words)) or "")
            except FailedError as error:
                return "!" + str(error)

        return call

    def _exit(self, code: str = "0") -> str:
        self.interp.eval("flush stdout")
        self.end(int(code))
        sys.stdout.flush()
        os._exit(int(code))

    def source(self, script: str) -> None:
        """Run a file to its end; an error ends the tool, as in batch mode."""
        import tkinter

        try:
            self.interp.call("source", script)
        except tkinter.TclError as error:
            text = str(error)
            say(text if text.startswith("ERROR") else f"ERROR: {text}")
            say('    while executing\n    (file "' + script + '")')
            self._exit("1")
