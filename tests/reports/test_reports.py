"""Report parsers on small files with the traps of real ones, and on a collection of real ones where it is at hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import report_samples as samples

from hwq import boards
from hwq.errors import ReportError
from hwq.reports.csynth import read_csynth
from hwq.reports.numbers import number
from hwq.reports.types import Resources, require_logic
from hwq.reports.vivado import read_timing, read_utilization
from hwq.reports.yosys import read_stat

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "reports"


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_csynth(tmp_path: Path) -> None:
    found = read_csynth(write(tmp_path / "c.xml", samples.csynth_xml()))
    assert (found.resources.lut, found.resources.dsp, found.resources.bram36, found.resources.uram) == (5667, 7, 1.5, None)
    assert found.latency.max_cycles == 7 and found.timing.met is True
    late = read_csynth(write(tmp_path / "d.xml", samples.csynth_xml(estimate="4.60", latency="?", lut="1")))
    assert late.timing.met is False and late.latency.max_cycles is None


@pytest.mark.parametrize("text", ["", "<profile>", samples.csynth_xml()[:300], "<other/>", samples.csynth_xml(estimate="x")])
def test_damaged_csynth_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"c\.xml"):
        read_csynth(write(tmp_path / "c.xml", text))


def test_utilisation(tmp_path: Path) -> None:
    header, found = read_utilization(write(tmp_path / "u.rpt", samples.utilisation()))
    assert (header.version, header.state) == ("2023.1", "Routed")
    assert found == Resources(lut=5123, ff=1986, dsp=12, bram36=60.5, uram=3, carry=301)


@pytest.mark.parametrize(
    ("wns", "said", "slack", "met"),
    [("0.110", samples.MET, 0.11, True), ("-2.212", samples.MISSED, -2.212, False), ("NA", samples.MET, None, True)],
)
def test_timing(wns: str, said: str, slack: float | None, met: bool | None, tmp_path: Path) -> None:
    _, found = read_timing(write(tmp_path / "t.rpt", samples.timing(wns, said)))
    assert (found.slack_ns, found.met, found.period_ns) == (slack, met, 5.0)


def test_several_clocks_leave_the_period_open(tmp_path: Path) -> None:
    two = samples.timing(clocks=(("clk", "5.000", "200.000"), ("clk2", "10.000", "100.000")))
    assert read_timing(write(tmp_path / "t.rpt", two))[1].period_ns is None


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
