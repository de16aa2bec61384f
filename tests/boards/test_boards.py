"""Every shipped board obeys the schema, agrees with what the vendor's tools print, and bad files are named key by key."""

from __future__ import annotations

import csv
import re
from dataclasses import fields
from pathlib import Path

import pytest

from hwq import boards
from hwq.errors import BoardError

EXPECTED = [
    "alveo-u250", "alveo-u50", "arty-a7-100t", "ecp5-evn", "kv260", "pynq-z2", "ulx3s-85f",
    "vck190", "vcu118", "xcku115", "xcvu13p", "xcvu9p", "zcu102", "zcu104",
]  # fmt: skip
REPORTS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "reports"
# how the synthesis tools name the die in a report's Device line
DIES = {
    "xcvu9p": "xcvu9p", "vcu118": "xcvu9p", "xcvu13p": "xcvu13p", "alveo-u250": "xcu250", "alveo-u50": "xcu50",
    "xcku115": "xcku115", "zcu102": "xczu9eg", "zcu104": "xczu7ev", "kv260": "xck26", "pynq-z2": "xc7z020",
    "arty-a7-100t": "xc7a100t", "vck190": "xcvc1902",
}  # fmt: skip
GOOD = """
title = "A board"
part = "xc7a35tcpg236-1"
family = "Artix-7"
yosys_family = "xc7"
default_clock = "100MHz"
tools = ["vivado", "yosys"]
[capacity]
lut = 20800
ff = 41600
dsp = 90
bram36 = 50
uram = 0
[timing]
adder_level_ns = 1.7
overhead_ns = 1.2
"""


def test_the_boards_are_these() -> None:
    assert boards.names() == EXPECTED
    assert [b.name for b in boards.load_all()] == EXPECTED


@pytest.mark.parametrize("name", EXPECTED)
def test_each_board_is_plausible(name: str) -> None:
    b = boards.load(name)
    assert b.lut > 10_000
    assert b.ff in (b.lut, 2 * b.lut)  # one flip-flop a LUT in ECP5, two in AMD parts
    assert b.dsp > 100
    assert b.bram36 > 50
    assert 0.3 < b.adder_level_ns < 5
    assert 0.3 < b.overhead_ns < 3
    assert b.default_clock.ns > b.overhead_ns + b.adder_level_ns, "one adder must fit into a clock period"
    assert ("yosys" in b.tools) == (b.yosys_family != "")
    assert ("nextpnr-ecp5" in b.tools) == (b.yosys_family == "ecp5")
    assert ("vitis" in b.tools) == ("vivado" in b.tools) == b.part.startswith("xc")


def test_boards_with_one_die_agree() -> None:
    bare, kit = boards.load("xcvu9p"), boards.load("vcu118")
    own = {"name", "title"}
    assert [getattr(bare, f.name) for f in fields(bare) if f.name not in own] == [
        getattr(kit, f.name) for f in fields(kit) if f.name not in own
    ]


def _available(text: str) -> dict[str, float]:
    """Resource -> the "Available" column of a Vivado utilization report; SLR shares and other sections come after and are left out."""
    names = {
        "lut": r"(?:CLB|Slice) LUTs\*?", "ff": r"(?:CLB|Slice) Registers|Registers",
        "dsp": r"DSPs|DSP Slices", "bram36": r"Block RAM Tile", "uram": r"URAM",
    }  # fmt: skip
    header = next((line for line in text.splitlines() if line.startswith("|") and "Available" in line), None)
    if header is None:
        return {}
    column = [cell.strip() for cell in header.split("|")].index("Available")
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        for key, name in names.items():
            if key not in found and len(cells) > column and re.fullmatch(name, cells[1]) and cells[column].isdigit():
                found[key] = float(cells[column])
    return found


@pytest.mark.skipif(not REPORTS.is_dir(), reason="the collection of real reports is not here")
def test_capacities_agree_with_real_reports() -> None:
    """Whole-device reports of the same die; what they print as available is what the board file must say."""
    with (REPORTS / "index.csv").open(newline="") as stream:
        rows = [r for r in csv.DictReader(stream) if r["kind"] == "vivado_utilization" and r["status"] != "failed"]
    compared, wrong = 0, []
    for name, die in DIES.items():
        board = boards.load(name)
        for row in rows:
            device = row["device"].lower()
            device = device if device.startswith("xc") else "xc" + device
            if not re.match(rf"{die}(?![0-9])", device):
                continue
            path = REPORTS / row["file"]
            for key, count in _available(path.read_text(errors="replace")).items():
                compared += 1
                if getattr(board, key) != count:
                    wrong.append(f"{name}.{key} = {getattr(board, key)}, but {row['file']} says {count:g}")
    assert wrong == []
    assert compared > 40


def test_an_unknown_board_is_answered_with_the_nearest() -> None:
    with pytest.raises(BoardError) as caught:
        boards.load("xcvu9")
    assert caught.value.message == "there is no board 'xcvu9'"
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("did you mean xcvu9p")
    assert caught.value.exit_code != 0


def test_a_board_like_nothing_lists_all() -> None:
    with pytest.raises(BoardError) as caught:
        boards.load("qqqqqqqq")
    for name in EXPECTED:
        assert name in str(caught.value.hint)


@pytest.mark.parametrize("name", ["../boards/xcvu9p", "", "xcvu9p.toml", "XCVU9P"])
def test_a_name_is_no_path(name: str) -> None:
    with pytest.raises(BoardError):
        boards.load(name)


def read(tmp_path: Path, text: str) -> boards.Board:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return boards.read(path)


def test_a_good_file_is_read(tmp_path: Path) -> None:
    b = read(tmp_path, GOOD)
    assert (b.name, b.lut, b.uram, b.default_clock.ns, b.tools) == ("mine", 20800, 0, 10.0, ("vivado", "yosys"))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("lut = 20800", "", "capacity.lut is missing, expected a whole number"),
        ("lut = 20800", "lut = -1", "capacity.lut is -1"),
        ("lut = 20800", 'lut = "20800"', "capacity.lut is '20800'"),
        ("lut = 20800", "lut = 20800.5", "capacity.lut is 20800.5"),
        ("lut = 20800", "lut = true", "capacity.lut is True"),
        ("adder_level_ns = 1.7", "adder_level_ns = 0", "timing.adder_level_ns is 0, expected a number greater than 0"),
        ("adder_level_ns = 1.7", "adder_level_ns = nan", "timing.adder_level_ns is nan"),
        ("overhead_ns = 1.2", "overhead_ns = inf", "timing.overhead_ns is inf"),
        ('part = "xc7a35tcpg236-1"', "part = 7", "part is 7, expected a text"),
        ('title = "A board"', 'title = ""', "title is '', expected a text"),
        ('yosys_family = "xc7"', 'yosys_family = "xc8"', "yosys_family is 'xc8', expected one of"),
        ('tools = ["vivado", "yosys"]', "tools = []", "tools is [], expected a list of"),
        ('tools = ["vivado", "yosys"]', "tools = [7]", "tools is [7], expected a list of texts"),
        ('default_clock = "100MHz"', 'default_clock = "100"', "default_clock is '100'"),
        ('default_clock = "100MHz"', "default_clock = 100", "default_clock is 100, expected a text"),
        ("[timing]", "[times]", "timing is missing, expected a table"),
        ("uram = 0", "uram = 0\nbrams = 4", "unknown key capacity.brams"),
        ('title = "A board"', 'title = "A board', "mine.toml"),
    ],
)
def test_a_bad_file_names_key_found_and_expected(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert GOOD.count(old) == 1
    with pytest.raises(BoardError) as caught:
        read(tmp_path, GOOD.replace(old, new))
    assert "mine.toml" in caught.value.message
    assert told in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_a_file_that_is_not_text_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    with pytest.raises(BoardError, match=r"bad\.toml"):
        boards.read(path)
    path.write_bytes(b"\xff\xfe\x00title")
    with pytest.raises(BoardError, match=r"bad\.toml"):
        boards.read(path)


def test_the_guide_shows_a_whole_file_that_is_read(tmp_path: Path) -> None:
    guide = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "add-a-board.md"
    example = re.search(r"```toml\n(.*?)```", guide.read_text(), re.DOTALL)
    assert example is not None
    assert read(tmp_path, example[1]).lut > 0
