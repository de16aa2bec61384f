"""The log of Bambu as its report, in the words of PandA 2024.10."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwq.flow.parse import parse_files
from hwq.reports import Report, Status, parse
from hwq.reports.logs import Outcome, outcome
from hwq.toolchains.faults import diagnose

HEAD = """\
                         High-Level Synthesis Tool
                         Politecnico di Milano - DEIB
                Copyright (C) 2004-2024 Politecnico di Milano
  Version: PandA 2024.10 - Revision 0123abc
  Executed with: bambu ../hls/hwq_top.cpp --top-fname=hwq_top --device-name=xc7z020-1clg484-VVD --clock-period=5 -O3 -v2
"""


def function(name: str = "hwq_top", states: int = 9, slack: str = "0.25", fmax: str = "210.526", ff: int = 1234) -> str:
    """What is printed of one function: two more control steps than states."""
    return f"""
    Module allocation information for function {name}:
      Number of complex operations: 3
    Scheduling Information of function {name}:
      Number of control steps: {states + 2}
      Minimum slack: {slack}
      Estimated max frequency (MHz): {fmax}
    State Transition Graph Information of function {name}:
      Number of states: {states}
      Minimum number of cycles: {states}
      Maximum number of cycles {states}
    Module binding information for function {name}:
      Number of modules instantiated: 77
      Estimated number of DSPs: 0
    Total number of flip-flops in function {name}: {ff}
"""


def read(text: str, folder: Path) -> Report:
    (folder / "csynth.log").write_text(text)
    return parse(folder / "csynth.log")


def test_the_numbers_of_the_top_function(tmp_path: Path) -> None:
    found = read(HEAD + function(), tmp_path)
    assert (found.kind, found.tool, found.version, found.top) == ("bambu", "Bambu", "2024.10", "hwq_top")
    assert (found.lat_min, found.lat_max, found.states, found.ff, found.lut) == (9, 9, 9, 1234, None)
    assert (found.clk_target_ns, found.wns_ns, found.device) == (5.0, 0.25, "xc7z020-1clg484-VVD")
    assert found.clk_est_ns == pytest.approx(4.75, abs=1e-4) and found.status is Status.OK
    (parsed,) = parse_files([tmp_path / "csynth.log"])
    shown = parsed.to_json()
    assert (shown["lat_max"], shown["states"], shown["ff"], shown["status"]) == (9, 9, 1234, "ok")


def test_a_function_below_the_top_leaves_its_flip_flops_open(tmp_path: Path) -> None:
    found = read(HEAD + function("helper", 3, "-0.5", "190.5", 40) + function(), tmp_path)
    assert (found.top, found.ff, found.lat_max, found.wns_ns) == ("hwq_top", None, 9, -0.5)
    assert [(m.name, m.depth, m.ff) for m in found.modules] == [("helper", 1, 40), ("hwq_top", 0, 1234)]
    assert read(HEAD + function("helper", ff=0) + function(), tmp_path).ff == 1234


def test_cycles_that_depend_on_data_are_unknown(tmp_path: Path) -> None:
    text = "\n".join(line for line in function().split("\n") if "number of cycles" not in line)
    found = read(HEAD + text, tmp_path)
    assert (found.lat_min, found.lat_max, found.states, found.status) == (None, None, 9, Status.OK)


def test_a_log_that_breaks_off(tmp_path: Path) -> None:
    found = read(HEAD + function()[:-40], tmp_path)
    assert found.status is Status.KILLED and "breaks off before the flip-flops of hwq_top" in str(found.reason)


ERROR = "../hls/hwq_top.cpp:31:11: error: 'is_neg' is a private member of 'ac_private::iv<1, false>'"


@pytest.mark.parametrize(
    ("lines", "status", "reason"),
    [
        (f"x.cpp:1:1: warning: no error: here\n{ERROR}\n1 error generated.\nError in compilation\n", "compile error", ERROR),
        ("Error in compilation\n", "compile error", "Error in compilation"),
        ("error -> Unexpected condition\n", "failed", "error -> Unexpected condition"),
    ],
)
def test_what_went_wrong_is_named(lines: str, status: str, reason: str, tmp_path: Path) -> None:
    found = read(HEAD + lines, tmp_path)
    assert (str(found.status), found.reason) == (status, reason)
    fault = diagnose(11, HEAD + lines)
    assert fault is not None and (fault.status, fault.line) == (status, reason)


def test_a_good_run_is_no_fault() -> None:
    assert diagnose(0, HEAD + function()) is None
    assert diagnose(1, HEAD + function()) is not None


def test_a_log_is_judged_by_what_bambu_says() -> None:
    assert outcome(HEAD + function()) == Outcome(Status.OK, 0, None, None)
    assert outcome(f"{HEAD}  {ERROR}  \n") == Outcome(Status.COMPILE_ERROR, 1, ERROR, ERROR)


def test_the_slowest_function_sets_the_clock(tmp_path: Path) -> None:
    for text in (
        function("helper", fmax="100.0") + function(fmax="200.0"),
        function("helper", fmax="200.0") + function(fmax="100.0"),
    ):
        assert read(HEAD + text, tmp_path).clk_est_ns == 10.0
    assert read(HEAD + function(), tmp_path).modules == ()


def test_states_and_flip_flops_are_enough(tmp_path: Path) -> None:
    kept = ("State Transition", "Number of states", "Total number")
    text = "\n".join(line for line in function().split("\n") if any(word in line for word in kept))
    assert (read(HEAD + text + "\n", tmp_path).status, read(HEAD + text + "\n", tmp_path).states) == (Status.OK, 9)
