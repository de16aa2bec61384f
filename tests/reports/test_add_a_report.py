"""What docs/how-to/add-a-report.md says, done: a file and a row in the registry make a kind of report known by its content."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import report_samples as samples
import toy_report
from command_line import good

from hwq.errors import ReportError
from hwq.reports import parse, registry


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "name_that_says_nothing"
    path.write_text(toy_report.SAMPLE)
    return path


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The row in the registry."""
    kind = registry.TextKind(toy_report.is_toy, toy_report.read_toy)
    monkeypatch.setattr(registry, "TEXTS", (*registry.TEXTS, kind))


@pytest.mark.usefixtures("registered")
def test_its_values_by_its_content(report: Path, tmp_path: Path) -> None:
    found = parse(report)
    assert (found.kind, found.tool, found.version, found.top) == ("toy", "Toy", "1.5", "hwq_top")
    assert (found.lut, found.ff, found.dsp) == (321, 45, None) and found.resources.lut == 321
    report.write_bytes(toy_report.SAMPLE.replace("\n", "\r\n").encode("utf-16"))
    assert parse(report).lut == 321
    report.write_text(samples.utilisation())
    assert parse(report).kind == "vivado_utilization"  # the others are told as before


@pytest.mark.usefixtures("registered")
def test_damage_is_an_error_with_a_place(report: Path) -> None:
    for end in range(len(toy_report.SAMPLE.splitlines())):
        report.write_text("\n".join(toy_report.SAMPLE.splitlines()[:end]))
        with pytest.raises(ReportError):
            parse(report)
    report.write_text(toy_report.SAMPLE.replace("321", "3Z1"))
    with pytest.raises(ReportError, match=r":2: LUT: '3Z1' is no number"):
        parse(report)
    report.write_text(toy_report.SAMPLE.replace("321", "322"))
    with pytest.raises(ReportError, match="not the sum of its parts"):
        parse(report)


@pytest.mark.usefixtures("registered")
def test_the_command_shows_it(report: Path) -> None:
    (told,) = json.loads(good("report", "--parse", report, "--json"))
    assert told["kind"] == "toy" and told["lut"] == 321


def test_it_is_not_known_elsewhere(report: Path) -> None:
    with pytest.raises(ReportError, match="no report, and no log, that hwq knows"):
        parse(report)
