"""Damaged reports: an error with a reason, or the right value; never a crash, never another value."""

from __future__ import annotations

import dataclasses
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import report_samples as samples

from hwq.errors import ReportError
from hwq.reports import Report, Status, parse

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "reports"

WHOLE: dict[str, str] = {
    "flat": samples.utilisation(),
    "hierarchy": samples.hierarchy(),
    "kernels": samples.kernels(),
    "timing": samples.timing("-2.212", samples.MISSED, clocks=(("clk", "5.000", "200.000"), ("clk2", "10.000", "100.000"))),
    "paths": samples.timing_paths(samples.path("0.400", "MET"), samples.path("1.616", "MET")),
    "power": samples.power(),
    "module": samples.module_csynth(),
    "module of Vitis": samples.module_csynth("Vitis HLS", "2022.1"),
    "summary": samples.summary_csynth(),
    "summary in time": samples.summary_csynth(issue="-"),
    "summary of 2025.2": samples.summary_csynth(2025),
    "csynth.xml": samples.csynth_xml("2023.2", dsp="DSP", top_lut="5667"),
    "cosim": samples.cosim(),
    "export": samples.export(),
    "export_impl.xml": samples.export_xml(),
    "export_impl.rpt": samples.export_text(),
    # a module alone: what several modules come to stands at the end, and without it they are refused
    "stat of Yosys 0.23": samples.STAT_OLD[: samples.STAT_OLD.index("=== top")],
    "stat of Yosys 0.70": samples.STAT_NEW[: samples.STAT_NEW.index("=== top")],
}
# What one report says twice or more, and so what a damaged digit cannot change unseen.
SAID_TWICE: dict[str, tuple[str, ...]] = {
    "flat": ("lut", "ff", "bram", "dsp"),
    "hierarchy": ("lut",),
    "kernels": ("lut", "ff", "dsp", "bram", "uram"),
    "timing": ("wns_ns", "clk_target_ns"),
    "paths": ("wns_ns",),
    "power": ("power_w",),
    "module": ("lut", "ff", "dsp", "bram"),
    "export_impl.xml": ("lut", "ff", "dsp", "bram", "clk_est_ns", "wns_ns"),
    "export_impl.rpt": ("lut", "ff", "dsp", "bram"),
    "stat of Yosys 0.23": ("lut", "ff"),
    "stat of Yosys 0.70": ("lut", "ff"),
}


def attempt(path: Path, content: bytes) -> Report | None:
    """The report, or None for an error with a reason; anything else that is raised fails the test."""
    path.write_bytes(content)
    try:
        return parse(path)
    except ReportError as error:
        assert error.reason and str(path) in error.message
        return None


def values(report: Report) -> dict[str, object]:
    """What counts: all but the modules and the reason, which name what is cut off."""
    return {f.name: getattr(report, f.name) for f in dataclasses.fields(report) if f.name not in ("modules", "reason")}


def unlike(good: Report, other: Report | None) -> dict[str, tuple[object, object]]:
    """The fields that differ; none where `other` is an error."""
    if other is None:
        return {}
    a, b = values(good), values(other)
    return {key: (a[key], b[key]) for key in a if a[key] != b[key]}


@pytest.mark.parametrize("name", WHOLE)
def test_cut_at_every_line(name: str, tmp_path: Path) -> None:
    """The end of each kind is known: a file that lacks its last table, section or element is refused."""
    whole, path = WHOLE[name].encode(), tmp_path / "r.txt"
    good = parse(_put(path, whole))
    end = len(whole.rstrip())
    for match in re.finditer(b"\n", whole):
        cut = attempt(path, whole[: match.end()])
        assert (
            cut is None or (match.end() >= end - 40 and unlike(good, cut) == {}) or _only_details_left(name, whole, match.end())
        ), match.end()
        assert unlike(good, cut) == {}


def _only_details_left(name: str, whole: bytes, end: int) -> bool:
    """Between two sections, or two paths, of reports whose last ones need not be there."""
    return name in ("timing", "paths", "summary", "summary in time", "summary of 2025.2") and not whole[:end].rstrip().endswith(
        b"|"
    )


def _put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", WHOLE)
def test_cut_within_lines(name: str, tmp_path: Path) -> None:
    whole, path, rng = WHOLE[name].encode(), tmp_path / "r.txt", random.Random(7)
    good = parse(_put(path, whole))
    for _ in range(60):
        assert unlike(good, attempt(path, whole[: rng.randrange(len(whole) - 1)])) == {}


@pytest.mark.parametrize("name", SAID_TWICE)
def test_a_wrong_digit_in_what_is_said_twice(name: str, tmp_path: Path) -> None:
    """Every digit of the report, one after the other, replaced by every digit it is not, as far as the counts go."""
    whole, path, rng = WHOLE[name], tmp_path / "r.txt", random.Random(11)
    good = parse(_put(path, whole.encode()))
    digits = [match.start() for match in re.finditer(r"\d", whole)]
    for at in rng.sample(digits, min(120, len(digits))):
        wrong = rng.choice([c for c in "0123456789" if c != whole[at]])
        changed = unlike(good, attempt(path, (whole[:at] + wrong + whole[at + 1 :]).encode()))
        hidden = {key: pair for key, pair in changed.items() if key in SAID_TWICE[name] and not _too_small(pair)}
        assert hidden == {}, whole[max(0, at - 60) : at + 20]


def _too_small(pair: tuple[object, object]) -> bool:
    """A change below what the report shows of its per cent (0.01 of the device), or of its clocks."""
    a, b = pair
    return isinstance(a, (int, float)) and isinstance(b, (int, float)) and abs(a - b) <= max(0.004 * abs(a), 0.0015)


@pytest.mark.parametrize("name", WHOLE)
def test_flipped_bits_never_crash(name: str, tmp_path: Path) -> None:
    whole, path, rng = WHOLE[name].encode(), tmp_path / "r.txt", random.Random(3)
    for _ in range(80):
        at = rng.randrange(len(whole))
        attempt(path, whole[:at] + bytes([whole[at] ^ (1 << rng.randrange(8))]) + whole[at + 1 :])


def _swap(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change


CONTRADICTIONS: dict[str, tuple[str, str, str]] = {
    "utilisation and its per cent": ("flat", "| CLB LUTs                |", "| CLB LUTs                | 9"),
    "a row cut in half": ("flat", "| CLB Registers           | 1986", "| CLB Regis\n| CLB Registers           | 1986"),
    "a section that was announced": ("flat", "\n4. ARITHMETIC\n---", "\n4. ARITHMETTC\n---"),
    "parts of a hierarchy": ("hierarchy", "| 120 |", "| 180 |"),
    "kernels and budget": ("kernels", "200 [ 40.00%]", "210 [ 40.00%]"),
    "WNS and its clock": ("timing", "-2.212", "-1.212"),
    "statement and slack": ("timing", samples.MISSED, samples.MET),
    "period and frequency": ("timing", "200.000", "250.000"),
    "begin and end of a path": ("paths", "slack                          0.400", "slack                          0.900"),
    "total and parts of power": ("power", "| 24.099 ", "| 25.099 "),
    "total of resources": ("module", "| 1258 ", "| 1259 "),
    "cycles and time": ("module of Vitis", "      638|", "      738|"),
    "minimum above maximum": ("module", "      638|", "      738|"),
    "one device": ("summary", "4893 (15%)", "4893 (75%)"),
    "one clock": ("summary in time", "     28|  140.000", "     29|  140.000"),
    "design and top module": ("csynth.xml", "<LUT>5667</LUT><AvailableResources>", ""),
    "cosimulation in order": (
        "cosim",
        "             13|             13|             14|",
        "             19|             13|             14|",
    ),
    "period and statement": ("export", "5.037", "4.037"),
    "slack and periods": ("export_impl.xml", "<AchievedClockPeriod>2.845", "<AchievedClockPeriod>2.945"),
    "version and build": ("summary", "2023.2 (Build", "2028.2 (Build"),
}


@pytest.mark.parametrize("what", CONTRADICTIONS)
def test_numbers_that_contradict_each_other(what: str, tmp_path: Path) -> None:
    name, old, new = CONTRADICTIONS[what]
    text = WHOLE[name]
    if new == "":
        text, old, new = samples.csynth_xml("2023.2", dsp="DSP", top_lut="5767"), "5767", "9767"
    squeezed = re.sub(r"\|  +", "|  ", text) if old not in text else text
    assert old in squeezed, "the sample has changed"
    assert attempt(tmp_path / "r.txt", squeezed.replace(old, new, 1).encode()) is None


def real_files() -> Iterator[Path]:
    """One file of each kind of report of the collection, and three of the common ones."""
    seen: dict[str, int] = {}
    for path in sorted(SHARED.glob("*/*")):
        report = attempt_real(path)
        if report is not None and report.kind != "log" and path.stat().st_size < 120_000:
            seen[report.kind] = seen.get(report.kind, 0) + 1
            if seen[report.kind] <= 3:
                yield path


def attempt_real(path: Path) -> Report | None:
    try:
        return parse(path)
    except ReportError:
        return None


def _cuts(raw: bytes, rng: random.Random) -> Iterator[bytes]:
    ends = [i + 1 for i, byte in enumerate(raw) if byte == 10]
    yield from (raw[:end] for end in ends)
    yield from (raw[: rng.randrange(len(raw))] for _ in range(100))


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="the collection of real reports is not here")
def test_real_reports_cut_anywhere(tmp_path: Path) -> None:
    rng, tried = random.Random(5), 0
    for path in real_files():
        raw, target = path.read_bytes(), tmp_path / f"x{path.suffix}"
        good = parse(path)
        for cut in _cuts(raw, rng):
            other = attempt(target, cut)
            if other is not None and other.status is not Status.NO_REPORT:
                assert unlike(good, other) == {}, (path, len(cut))
            tried += 1
    assert tried > 5000


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="the collection of real reports is not here")
def test_real_reports_with_flipped_bits(tmp_path: Path) -> None:
    """No crash; and a number changes unseen in fewer than one flip of a hundred, those where the report says it but once."""
    rng, tried, unseen = random.Random(5), 0, 0
    numbers = [
        f.name
        for f in dataclasses.fields(Report)
        if f.name not in ("modules", "reason", "device", "top", "version", "tool", "state")
    ]
    for path in real_files():
        raw, target, good = path.read_bytes(), tmp_path / f"x{path.suffix}", parse(path)
        if good.kind == "cosim transaction data":
            continue  # bare lists of numbers, each said once
        for _ in range(150):
            at = rng.randrange(min(len(raw), 15_000))
            other = attempt(target, raw[:at] + bytes([raw[at] ^ (1 << rng.randrange(8))]) + raw[at + 1 :])
            unseen += any(key in numbers for key in unlike(good, other))
            tried += 1
    assert tried > 3000 and unseen < 0.01 * tried, (unseen, tried)
