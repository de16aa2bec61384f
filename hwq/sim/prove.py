"""A formal proof by Yosys that the mapped netlist computes what the Verilog does, for every input and not only for those simulated.

First wire by wire (nets that kept their names, fast), then, for what is left open, the whole design as one question to the solver,
which is answered by a proof or by a counterexample. Designs without a multiplication of signals are usually done in seconds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwq.codegen.build import Build
from hwq.codegen.ports import Element
from hwq.errors import MismatchError, ToolError, ToolTimeoutError
from hwq.events import Notice, quiet
from hwq.sim.rtlsim import MAPS, NETLIST
from hwq.tools.yosys import run_script

PARTS_SHARE = 0.7  # of the time, for the proof wire by wire
COUNTEREXAMPLE = "sim/counterexample.json"


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of it: `proven`, or not finished in `limit_s` seconds; `method` is how it was proven."""

    proven: bool
    seconds: float
    limit_s: float
    method: str = ""

    def __str__(self) -> str:
        if self.proven:
            return f"netlist = RTL: proven for every input in {self.seconds:.1f} s ({self.method})"
        return f"netlist = RTL: not finished in {self.limit_s:g} s, neither proven nor refuted"


def prove(build: Build, folder: Path, timeout_s: float, *, notice: Notice = quiet) -> Proof:
    """Prove that the netlist in `folder` equals the RTL there.

    Raises:
        MismatchError: it does not; the message names the inputs and both outputs.
        ToolMissingError: no Yosys.
        ToolError: there is no netlist yet, or Yosys fails.
    """
    if not (folder / NETLIST).is_file():
        raise ToolError(f"there is no mapped netlist at {folder / NETLIST}", hint=MAPS)
    began = time.monotonic()
    (folder / COUNTEREXAMPLE).unlink(missing_ok=True)
    steps = (("parts", "wire by wire", timeout_s * PARTS_SHARE), ("whole", "as a whole", None))
    for name, method, limit in steps:
        left = timeout_s - (time.monotonic() - began)
        log = folder / "sim" / f"prove_{name}.log"
        try:
            run_script(f"sim/prove_{name}.ys", cwd=folder, log=log, outputs=(), timeout_s=max(limit or left, 0.1), notice=notice)
        except ToolTimeoutError:
            continue
        except ToolError:
            if (folder / COUNTEREXAMPLE).is_file():
                raise MismatchError(_difference(build, folder), hint=f"please report it with the files in {folder}") from None
            if name == "parts" and "unproven" in log.read_text(errors="replace"):
                continue
            raise
        return Proof(True, time.monotonic() - began, timeout_s, method)
    return Proof(False, time.monotonic() - began, timeout_s)


def _difference(build: Build, folder: Path) -> str:
    signals = {s["name"]: s for s in json.loads((folder / COUNTEREXAMPLE).read_text())["signal"]}
    x = _elements(_values(signals["in_x"])[1], build.ports.inputs)  # the solver's steps count from 1; before them is the state
    rtl, netlist = (_elements(_values(signals[name])[-1], build.ports.outputs) for name in ("gold_y", "gate_y"))
    return f"the mapped netlist is not the RTL: for the input mantissas {x} the RTL gives {rtl}, the netlist {netlist}"


def _values(signal: dict[str, Any]) -> list[int]:
    """A port's value at every step of a WaveJSON signal: `.` is as before, 0 and 1 stand for themselves, the rest names data."""
    data, out = iter(signal.get("data", ())), [0]
    for mark in signal["wave"]:
        bits = "" if mark == "." else mark if mark in "01" else next(data, "")
        out.append(out[-1] if mark == "." else int(bits or "0", 2))
    return out[1:]


def _elements(word: int, elements: Sequence[Element]) -> list[int]:
    out = []
    for e in elements:
        bits = (word >> e.offset) & ((1 << e.width) - 1)
        out.append(bits - (1 << e.width) if e.signed and e.width and bits >> (e.width - 1) else bits)
    return out
