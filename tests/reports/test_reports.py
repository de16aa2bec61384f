"""Report parsers on small files with the traps of real ones, and on a collection of real ones where it is at hand."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from hwq import boards
from hwq.errors import ReportError
from hwq.reports.csynth import read_csynth
from hwq.reports.numbers import number
from hwq.reports.types import Resources, require_logic
from hwq.reports.vivado import read_timing, read_utilization
from hwq.reports.yosys import read_stat

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "reports"

CSYNTH = """<profile><ReportVersion><Version>2020.1</Version></ReportVersion>
<UserAssignments><Part>xc7z020-clg400-1</Part><TopModelName>top</TopModelName>
<TargetClockPeriod>5.00</TargetClockPeriod><ClockUncertainty>0.62</ClockUncertainty></UserAssignments>
<PerformanceEstimates><SummaryOfTimingAnalysis><EstimatedClockPeriod>{estimate}</EstimatedClockPeriod></SummaryOfTimingAnalysis>
<SummaryOfOverallLatency><Best-caseLatency>{latency}</Best-caseLatency><Worst-caseLatency>{latency}</Worst-caseLatency>
<PipelineInitiationInterval>1</PipelineInitiationInterval></SummaryOfOverallLatency></PerformanceEstimates>
<AreaEstimates><Resources><BRAM_18K>3</BRAM_18K><DSP48E>7</DSP48E><FF>100</FF><LUT>{lut}</LUT></Resources></AreaEstimates></profile>"""

UTILISATION = """Copyright
| Tool Version : Vivado v.2023.1 (lin64) Build 1
| Design       : top
| Device       : xczu7ev
| Design State : Routed
1. CLB Logic
+----------------------------+------+-------+------------+-----------+-------+
|          Site Type         | Used | Fixed | Prohibited | Available | Util% |
+----------------------------+------+-------+------------+-----------+-------+
| CLB LUTs*                  | {lut} |     0 |          0 |    230400 |  <0.01 |
|   LUT as Logic             | 5120 |     0 |          0 |    230400 |  2.22 |
| CLB Registers              | 1986 |     0 |          0 |    460800 |  0.43 |
| CARRY8                     |  301 |     0 |          0 |     28800 |  1.05 |
+----------------------------+------+-------+------------+-----------+-------+
+-------------------+------+-------+------------+-----------+-------+
|     Site Type     | Used | Fixed | Prohibited | Available | Util% |
+-------------------+------+-------+------------+-----------+-------+
| Block RAM Tile    | 60.5 |     0 |          0 |       312 | 19.39 |
| DSPs              |    0 |     0 |          0 |      1728 |  0.00 |
+-------------------+------+-------+------------+-----------+-------+
"""

TIMING = """| Design Timing Summary
| ---------------------
    WNS(ns)      TNS(ns)  TNS Failing Endpoints
    -------      -------  ---------------------
{wns}

Clock  Waveform(ns)         Period(ns)      Frequency(MHz)
-----  ------------         ----------      --------------
clk    {{0.000 2.500}}        5.000           200.000
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_csynth(tmp_path: Path) -> None:
    found = read_csynth(write(tmp_path / "c.xml", CSYNTH.format(estimate="4.10", latency=7, lut=5667)))
    assert (found.resources.lut, found.resources.dsp, found.resources.bram36, found.resources.uram) == (5667, 7, 1.5, None)
    assert found.latency.max_cycles == 7 and found.timing.met is True
    late = read_csynth(write(tmp_path / "d.xml", CSYNTH.format(estimate="4.60", latency="?", lut=1)))
    assert late.timing.met is False and late.latency.max_cycles is None


@pytest.mark.parametrize("text", ["", "<profile>", CSYNTH[:300], "<other/>", CSYNTH.format(estimate="x", latency=1, lut=1)])
def test_damaged_csynth_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"c\.xml"):
        read_csynth(write(tmp_path / "c.xml", text))


def test_utilisation(tmp_path: Path) -> None:
    header, found = read_utilization(write(tmp_path / "u.rpt", UTILISATION.format(lut=5123)))
    assert (header.version, header.state) == ("2023.1", "Routed")
    assert found == Resources(lut=5123, ff=1986, dsp=0, bram36=60.5, carry=301)


def test_utilisation_cut_or_damaged(tmp_path: Path) -> None:
    text = UTILISATION.format(lut=5123)
    for cut in range(0, text.index("CLB Registers"), 97):
        with pytest.raises(ReportError):
            read_utilization(write(tmp_path / "u.rpt", text[:cut]))
    with pytest.raises(ReportError, match=r"u\.rpt:10"):
        read_utilization(write(tmp_path / "u.rpt", UTILISATION.format(lut="many")))


@pytest.mark.parametrize(
    ("wns", "slack", "met"), [("0.110  0 0", 0.11, True), ("-2.212 -5 9", -2.212, False), ("NA NA 0", None, None)]
)
def test_timing(wns: str, slack: float | None, met: bool | None, tmp_path: Path) -> None:
    _, found = read_timing(write(tmp_path / "t.rpt", TIMING.format(wns=f"      {wns}")))
    assert (found.slack_ns, found.met, found.period_ns) == (slack, met, 5.0)


def test_yosys(tmp_path: Path) -> None:
    cells = {"LUT2": 10, "LUT6": 5, "CARRY4": 3, "FDRE": 8, "INV": 2}
    found = read_stat(write(tmp_path / "s.json", json.dumps({"design": {"num_cells_by_type": cells}})))
    assert found == Resources(lut=15, ff=8, dsp=0, bram36=0, uram=0, carry=3, inverters=2)
    for text in ("", "{", "[]", '{"design": {}}', '{"design": {"num_cells_by_type": {"LUT2": "x"}}}'):
        with pytest.raises(ReportError):
            read_stat(write(tmp_path / "s.json", text))


def test_nothing_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="everything is zero"):
        require_logic(tmp_path, Resources(lut=0, ff=0, dsp=0))


@pytest.mark.parametrize(
    ("text", "value"), [("22080 [  2.53%]", 22080), ("<0.01", 0.01), ("60.5", 60.5), ("?", None), ("undef", None)]
)
def test_numbers(text: str, value: float | None) -> None:
    assert number(text) == value


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


@pytest.mark.skipif(not SHARED.is_dir(), reason="the collection of real reports is not here")
def test_real_reports() -> None:
    """Every csynth.xml, utilisation and timing report of the collection gives the listed values."""
    seen = 0
    with (SHARED / "index.csv").open() as stream:
        for row in csv.DictReader(stream):
            path, got = SHARED / row["file"], {}
            if row["kind"] == "csynth.xml":
                c = read_csynth(path)
                bram18 = None if c.resources.bram36 is None else c.resources.bram36 * 2
                got = {
                    "LUT": c.resources.lut,
                    "FF": c.resources.ff,
                    "DSP": c.resources.dsp,
                    "BRAM": bram18,
                    "lat_min": c.latency.min_cycles,
                }
                got |= {"lat_max": c.latency.max_cycles, "clk_est_ns": c.timing.period_ns, "clk_target_ns": c.target_ns}
            elif row["kind"] == "vivado_utilization":
                u = read_utilization(path)[1]
                got = {"LUT": u.lut, "FF": u.ff, "DSP": u.dsp, "BRAM": u.bram36, "URAM": u.uram}
            elif row["kind"] == "timing_summary":
                got = {"WNS_ns": read_timing(path)[1].slack_ns}
            seen += bool(got)
            assert {k: _float(row[k]) for k in got} == got, row["file"]
    assert seen == 108


@pytest.mark.skipif(not SHARED.is_dir(), reason="the collection of real reports is not here")
def test_boards_agree_with_real_reports() -> None:
    """Capacities are those of the AvailableResources of the same device in real reports."""
    import xml.etree.ElementTree as ET

    compared = set()
    for path in SHARED.glob("*/*.xml"):
        try:
            root = ET.parse(path).getroot()
        except ET.ParseError:
            continue  # transaction data that only looks like XML
        part, available = root.findtext(".//UserAssignments/Part") or "", root.find(".//AvailableResources")
        for board in boards.load_all():
            if (
                available is not None
                and part.replace("-", "")[:8] == board.part.replace("-", "")[:8]
                and part.split("-")[0] in board.part
            ):
                found = {c.tag: int(c.text or 0) for c in available}
                assert (found["LUT"], found["FF"], found["BRAM_18K"]) == (board.lut, board.ff, 2 * board.bram36), (part, board.name)
                compared.add(board.name)
    assert len(compared) >= 6
