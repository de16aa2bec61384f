"""The collection of real reports, where it is at hand: every listed value, or a listed failure; none is copied into the project."""

from __future__ import annotations

import csv
import functools
from pathlib import Path

import pytest

from hwq.reports import Report, Status, parse

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "reports"
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the collection of real reports is not here")

NUMBERS = ("LUT", "FF", "DSP", "BRAM", "URAM", "lat_min", "lat_max", "II_min", "II_max")
NUMBERS += ("clk_target_ns", "clk_est_ns", "clk_uncert_ns", "WNS_ns", "power_W")
TEXTS = ("tool", "version", "device", "top", "BRAM_unit")
# Kinds whose tool, version and device the index has from elsewhere: the files themselves do not say, or say more.
ELSEWHERE = ("cosim", "log", "other", "csynth_design_size", "export_")


@functools.cache
def index() -> list[dict[str, str]]:
    with (SHARED / "index.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


@functools.cache
def parsed(file: str) -> Report:
    return parse(SHARED / file)


def listed(cell: str) -> float | None:
    """`19879(37.37%)` -> 19879; what is no number is unknown."""
    try:
        return float(cell.split("(")[0])
    except ValueError:
        return None


def test_every_value_is_the_listed_one() -> None:
    wrong = []
    for row in index():
        report = parsed(row["file"])
        for name in NUMBERS:
            if row[name] and listed(row[name]) != getattr(report, name.lower()):
                wrong.append((row["file"], name, row[name], getattr(report, name.lower())))
        met = {"yes": True, "no": False, "not stated": None, "": report.timing_met}[row["timing_met"]]
        if met is not report.timing_met:
            wrong.append((row["file"], "timing_met", row["timing_met"], report.timing_met))
        for name in TEXTS:
            if row[name] and not row["kind"].startswith(ELSEWHERE) and getattr(report, name.lower()) != row[name]:
                wrong.append((row["file"], name, row[name], getattr(report, name.lower())))
    assert len(index()) == 256 and wrong == []


def test_kinds_are_told_by_content() -> None:
    # an export report copied under a second name, and transaction data that the index calls "other"
    renamed = {"verilog__export_syn.rpt": "export_syn.rpt", "other": "cosim transaction data"}
    for row in index():
        kind = parsed(row["file"]).kind
        assert kind == row["kind"] or kind == renamed.get(row["kind"]), row["file"]


def test_logs_count_their_error_lines() -> None:
    seen = 0
    for row in index():
        if row["kind"] == "log":
            report, seen = parsed(row["file"]), seen + 1
            assert f"{report.error_lines} ERROR lines" == row["status"], row["file"]
            first = report.first_error or "no ERROR"
            assert first[:150] == row["note"][:150], row["file"]
            harmless = row["note"].startswith("ERROR: [HLS 200-101] config_array_partition") and report.error_lines == 2
            if report.error_lines and not harmless:
                assert report.status not in (Status.OK, Status.NO_REPORT), row["file"]
            else:
                assert report.status in (Status.OK, Status.NO_REPORT), row["file"]
    assert seen == 35


def test_what_is_no_measurement_is_not_ok() -> None:
    for row in index():
        report = parsed(row["file"])
        counts = [getattr(report, name) for name in ("lut", "ff", "dsp", "bram", "uram")]
        if report.lut is not None and not any(counts):
            assert report.status is Status.TRIMMED, row["file"]
        if report.timing_met is False:
            assert report.status is Status.TIMING_MISSED, row["file"]
