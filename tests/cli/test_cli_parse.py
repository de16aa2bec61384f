"""`hwq report --parse`: every file shows, also beside one that cannot be read; the exit code says whether all could."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import report_samples as samples
from command_line import invoked

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "reports"
KEYS = [
    "kind",
    "tool",
    "version",
    "device",
    "top",
    "lut",
    "ff",
    "dsp",
    "bram",
    "bram_unit",
    "uram",
    "lat_min",
    "lat_max",
    "ii_min",
    "ii_max",
]
KEYS += ["clk_target_ns", "clk_est_ns", "clk_uncert_ns", "wns_ns", "timing_met", "power_w", "status"]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    texts = {
        "u.rpt": samples.utilisation(),
        "cut.rpt": samples.utilisation()[:900],
        "run.log": samples.log("ERROR: [HLS 200-70] no"),
        "c.xml": samples.csynth_xml(),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return [tmp_path / name for name in texts]


def test_json_has_one_object_a_file(files: list[Path], tmp_path: Path) -> None:
    done = invoked("report", "--parse", *files, tmp_path / "none.rpt", "--json")
    found: list[dict[str, Any]] = json.loads(done.stdout)
    assert done.exit_code == 9 and [Path(f["file"]).name for f in found] == ["u.rpt", "cut.rpt", "run.log", "c.xml", "none.rpt"]
    assert all(set(KEYS) <= set(f) for f in found)
    flat, cut, log, xml, none = found
    assert (flat["lut"], flat["bram"], flat["bram_unit"], flat["status"], flat["power_w"]) == (5123, 60.5, "36K tile", "ok", None)
    assert isinstance(flat["lut"], int)
    assert cut["status"] == none["status"] == "no report" and "truncated" in cut["reason"] and "No such file" in none["reason"]
    assert all(cut[key] is None for key in KEYS if key != "status")
    assert (log["status"], log["error_lines"], log["first_error"]) == ("compile error", 1, "ERROR: [HLS 200-70] no")
    assert (xml["top"], xml["clk_est_ns"], xml["lat_max"]) == ("top", 4.1, 7)
    assert "1 of 5 files" not in done.stderr and "2 of 5 files" in done.stderr


def test_table(files: list[Path]) -> None:
    done = invoked("report", "--parse", files[0], files[3])
    assert done.exit_code == 0 and done.stderr == ""
    assert "5123" in done.stdout and "60.5×36K" in done.stdout and "3×18K" in done.stdout and "4.1 / 5" in done.stdout
    done = invoked("report", "--parse", files[1], files[2])
    assert done.exit_code == 9 and "compile error" in done.stdout and "cut.rpt: line" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--parse"], "at least one FILE"),
        (["--parse", "a.rpt", "--html", "x.html"], "--json alone"),
        ([], "Missing argument 'RUN'"),
        (["a", "b"], "--parse"),
    ],
)
def test_wrong_use(arguments: list[str], text: str) -> None:
    done = invoked("report", *arguments)
    assert done.exit_code == 2 and text in done.stderr


@pytest.mark.skipif(not SHARED.is_dir(), reason="the collection of real reports is not here")
def test_the_collection_at_once() -> None:
    """All 256 files in one call."""
    with (SHARED / "index.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    done = invoked("report", "--parse", "--json", *(SHARED / row["file"] for row in rows))
    found = json.loads(done.stdout)
    assert len(found) == len(rows) == 256
    assert {f["status"] for f in found} >= {"ok", "compile error", "over-utilised", "part missing", "timing missed", "trimmed"}
    assert [Path(f["file"]).name for f in found if f["kind"] is None] == []
