"""Run logs to a typed status: one line of each kind of failure in an otherwise good log."""

from __future__ import annotations

import itertools

import pytest
import report_samples as samples

from hwq.reports import Status
from hwq.reports.logs import outcome, status_of

UNROLL = "because it may cause large runtime and excessive memory usage"
HARMLESS = (
    "ERROR: [HLS 200-642] The 'config_array_partition -maximum_size' command is not supported.",
    "ERROR: [HLS 200-101] config_array_partition: Unknown option '-maximum_size'.",
    "ERROR: [HLS 200-101] config_array_partition: Unknown option '4096'.",
)
FAILURES = [
    (Status.LICENCE, "ERROR: [Common 17-345] A valid license was not found for feature 'Synthesis' and/or device 'xc7k410t'."),
    (Status.PART_MISSING, "ERROR: [HLS 200-1023] Part 'xcvu13p-flga2577-2-e' is not installed."),
    (Status.PART_MISSING, "ERROR: [Coretcl 2-106] Specified part could not be found."),
    (Status.COMPILE_ERROR, "ERROR: [HLS 200-70] Compilation errors found: In file included from a.cpp:1:"),
    (Status.COMPILE_ERROR, "ERROR: [HLS 207-3776] use of undeclared identifier 'counters' (wrr.c:8:31)"),
    (Status.COMPILE_ERROR, "ERROR: [SYNCHK 200-61] a.cpp:27: unsupported memory access on variable 'features'"),
    (Status.COMPILE_ERROR, "ERROR: [SIM 211-100] 'csim_design' failed: compilation error(s)."),
    (Status.COMPILE_ERROR, "ERROR: [COSIM 212-317] C++ compile error."),
    (Status.COMPILE_ERROR, "ERROR: [Synth 8-439] module 'top' not found"),
    (Status.COMPILE_ERROR, "@E [HLS-70] Compilation errors found: a.cpp"),
    (Status.FAILED, "ERROR: [COSIM 212-4] *** C/RTL co-simulation finished: FAIL ***"),
    (Status.FAILED, "ERROR [AP-1] Could not read script 'build_prj.tcl'."),
    (Status.OVER_UTILISED, "ERROR: [DRC UTLZ-1] Resource utilization: CARRY8 over-utilized in Top Level Design"),
    (Status.OVER_UTILISED, "ERROR: [Place 30-640] Place Check : This design requires more RAMB36 cells than are available."),
    (Status.OVER_UTILISED, "ERROR: [Place 30-69] Placer could not place all instances"),
    (Status.UNROLL_STOPPED, f"ERROR: [XFORM 203-504] Stop unrolling loop 'MultLoop' (a.h:52) in function 'f' {UNROLL}"),
    (Status.UNROLL_STOPPED, f"ERROR: [v++ 200-1471] Stop unrolling loop 'L' (a.cpp:11) in function 'f' {UNROLL}"),
    (Status.TIMING_MISSED, "CRITICAL WARNING: [Route 35-39] The design did not meet timing requirements."),
    (Status.TIMING_MISSED, "CRITICAL WARNING: [Timing 38-282] The design failed to meet the timing requirements."),
    (Status.TRIMMED, "ERROR: [Place 30-494] The design is empty"),
    (Status.OUT_OF_MEMORY, "terminate called after throwing an instance of 'std::bad_alloc'"),
    (Status.OUT_OF_MEMORY, "ERROR: [Common 17-1] Out of memory"),
    (Status.KILLED, '/opt/Vivado/2016.2/bin/loader: line 164: 14499 Killed                  "$RDI_PROG" "$@"'),
    (Status.KILLED, "Killed"),
    (Status.TIMED_OUT, "ERROR: simulation timed out"),
    (Status.FAILED, "Abnormal program termination (11)"),
    (Status.COMPILE_ERROR, "ERR: [SIM 100] 'csim_design' failed: compilation error(s)."),
    (Status.FAILED, "ERR: [SIM 100] CSim failed with errors."),
    (Status.FAILED, "Error: MISMATCH at output index 1"),
    (Status.FAILED, "make: *** [csim.mk:76: csim.exe] Error 1"),
]


@pytest.mark.parametrize(("status", "line"), FAILURES, ids=[line[:40] for _, line in FAILURES])
def test_each_failure_has_its_status(status: Status, line: str) -> None:
    counted = line.startswith(("ERROR", "@E"))
    assert status_of(samples.log(line)) == (status, int(counted), line if counted else None)
    found = outcome(
        samples.log(*HARMLESS, line, "ERROR: [HLS 200-478] vivado returned an error", "ERROR: [Common 17-69] Command failed")
    )
    assert (found.status, found.error_lines) == (status, 5 + counted)
    assert found.first_error == HARMLESS[0] and found.decisive is not None and found.decisive in line


def test_harmless_errors_are_counted_and_no_failure() -> None:
    assert status_of(samples.log(*HARMLESS)) == (Status.OK, 3, HARMLESS[0])
    other = "ERROR: [HLS 200-101] set_part: Unknown option '-x'."
    assert status_of(samples.log(other))[0] is Status.COMPILE_ERROR


def test_the_cause_decides_and_not_what_passes_it_on() -> None:
    cause, passed = FAILURES[1][1], "ERROR: [HLS 200-478] vivado returned an error"
    for order in itertools.permutations((passed, cause, "ERROR: [Common 17-39] 'place_design' failed due to earlier errors.")):
        assert outcome(samples.log(*order)).decisive == cause
    assert status_of(samples.log(passed))[0] is Status.FAILED


def test_a_licence_that_was_got_or_refused() -> None:
    got = "INFO: [Common 17-349] Got license for feature 'Synthesis' and/or device 'xc7z020'"
    refused = "WARNING: [Common 17-348] Failed to get the license for feature 'Synthesis' and/or device 'xcku060'"
    assert status_of(samples.log(got))[0] is Status.OK
    assert status_of(samples.log(refused, got))[0] is Status.OK  # another feature gave it
    assert status_of(samples.log(refused, "synth_design failed"))[0] is Status.LICENCE
    assert status_of(samples.log("synth_design failed"))[0] is Status.FAILED


def test_words_that_mean_no_harm() -> None:
    calm = (
        "INFO: [Vivado 12-1] Waiting for synth_1 to finish (timeout in 360 minutes)...",
        "WARNING: [HLS 200-871] Estimated clock period (6.2 ns) exceeds the target",
        "   Compiling error_handler.cpp in debug mode",
        "WARNING: [Synth 8-1] ERROR in a comment of the source",
        "INFO: [SIM 211-1] CSim done with 0 errors.",
    )
    assert status_of(samples.log(*calm)) == (Status.OK, 0, None)


def test_a_log_that_breaks_off() -> None:
    cut = samples.log("INFO: [HLS 200-10] Checking synthesizability ...", "INFO: [SCHED 204-11] Starting scheduling ...", end="")
    found = outcome(cut)
    assert (
        found.status is Status.KILLED
        and found.decisive == "the log breaks off after 'INFO: [SCHED 204-11] Starting scheduling ...'"
    )
    assert (
        outcome("Vitis HLS - High-Level Synthesis from C v2022.2 (64-bit)\nTool Version Limit: 2019.12\n").status
        is Status.NO_REPORT
    )
    assert outcome("").status is Status.NO_REPORT


def test_the_end_of_a_log_stands_in_its_last_four_lines() -> None:
    for after in range(6):
        found = outcome(samples.log(end=samples.LOG_END + "".join(f"line {n}\n\n" for n in range(after))))
        assert found.status is (Status.OK if after < 4 else Status.KILLED)
        assert found.decisive == (None if after < 4 else f"the log breaks off after 'line {after - 1}'")


def test_an_error_behind_which_a_log_breaks_off() -> None:
    cause, passed = FAILURES[1][1], "ERROR: [HLS 200-478] vivado returned an error"
    assert outcome(samples.log(passed, cause, end="")).decisive == cause
    assert outcome(samples.log(cause, passed, end="")).decisive == cause
    later = outcome(samples.log(cause, "INFO: one more", "INFO: and one", end=""))
    assert later.decisive == f"{cause} (the log breaks off after 'INFO: and one')"
    assert outcome("Vitis HLS - High-Level Synthesis from C v2022.2 (64-bit)\n").decisive == (
        "nothing but the head of a log is in it: nothing was run"
    )


def test_errors_that_only_pass_on_a_failure() -> None:
    first, second = "ERROR: [HLS 200-478] vivado returned an error", "ERROR: [Common 17-69] Command failed"
    assert (outcome(samples.log(first, second)).status, outcome(samples.log(first, second)).decisive) == (Status.FAILED, first)
    front = "ERROR: [HLS 200-70] Pre-synthesis failed."
    for lines in ((front, second), (second, front)):
        assert (outcome(samples.log(*lines)).status, outcome(samples.log(*lines)).decisive) == (Status.COMPILE_ERROR, lines[0])


def test_the_last_line_of_a_head_may_be_cut() -> None:
    banner = "Vitis HLS - High-Level Synthesis from C v2022.2 (64-bit)\n"
    assert outcome(banner + "Copyr").status is Status.NO_REPORT
    assert outcome(banner + "INFO: [HLS 200-10] Running\nINF").status is Status.KILLED


def test_a_sign_without_an_error_is_quoted_as_a_line() -> None:
    assert outcome(samples.log("Killed")).decisive == "Killed"
    found = outcome(samples.log("x" * 250 + " std::bad_alloc"))
    assert found.decisive is not None and found.decisive == "x" * 200


def test_an_error_that_names_no_cause_beside_a_sign_of_one() -> None:
    vague = "ERROR: [HLS 200-478] vivado returned an error"
    refused = "WARNING: [Common 17-348] Failed to get the license for feature 'Synthesis' and/or device 'xcku060'"
    late = "CRITICAL WARNING: [Route 35-39] The design did not meet timing requirements."
    assert (outcome(samples.log(late, vague)).status, outcome(samples.log(late, vague)).decisive) == (
        Status.TIMING_MISSED,
        late,
    )
    found = outcome(samples.log(refused, late, vague))
    assert found.status is Status.LICENCE and found.decisive is not None and found.decisive in refused
    assert outcome(samples.log("Killed", refused, vague)).status is Status.KILLED
