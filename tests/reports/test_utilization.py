"""Utilisation: what is trimmed, over, missing or twice there, one step before and after; hierarchies and kernels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import report_samples as samples

from hwq.errors import ReportError
from hwq.reports import Report, Status
from hwq.reports.text import Source
from hwq.reports.utilization import flat_counts, read_flat, read_hierarchical, read_kernels, resources_of


def source(text: str) -> Source:
    return Source(Path("u.rpt"), text)


def flat(text: str) -> Report:
    return read_flat(source(text))


def without(text: str, name: str) -> str:
    """The report without the rows whose first cell begins so."""
    return "\n".join(line for line in text.split("\n") if not line.startswith(f"| {name}"))


@pytest.mark.parametrize(
    ("lut", "ff", "state", "status"),
    [
        (0, 0, "Synthesized", Status.TRIMMED),
        (0, 1, "Synthesized", Status.OK),
        (1, 0, "Synthesized", Status.OK),
        (8, 9, "Routed", Status.TRIMMED),
        (9, 0, "Routed", Status.OK),
    ],
)
def test_what_is_left_of_a_design(lut: int, ff: int, state: str, status: Status) -> None:
    assert flat(samples.utilisation(lut, ff, 0, "0", 0, state=state)).status is status


def rows(*sites: list[str]) -> str:
    """A report whose first table has these rows, too."""
    more = samples.table([samples.COLUMNS, *sites])
    return samples.utilisation().replace("1. CLB Logic\n------------\n\n", f"1. CLB Logic\n------------\n\n{more}\n")


@pytest.mark.parametrize(
    ("sites", "words"),
    [
        ([samples.site("CLB LUTs", "5123", 230400)], None),
        ([samples.site("CLB LUTs", "5124", 230400)], "CLB LUTs: 5123 here, 5124 above"),
        ([samples.site("CARRY8", "300", 28800)], None),
        ([["CLB LUTs", "", "0", "0", "230400", "2.22"]], "how many are used is not said"),
        ([samples.site("CLB LUTs", "5123", 230400, "2.23")], None),
        ([samples.site("CLB LUTs", "5123", 230400, "2.24")], "are not 2.24 %"),
        ([samples.site("CLB LUTs", "5123", 230400, "2.20")], "are not 2.2 %"),
        ([samples.site("CLB LUTs", "5123", 230400, "2.3")], None),
        ([samples.site("CLB LUTs", "5123", 230400, "")], "only one of available and utilisation"),
        ([samples.site("ISERDES", "3", 100, "")], None),
    ],
)
def test_rows_that_stand_twice_or_do_not_add_up(sites: list[list[str]], words: str | None) -> None:
    if words is None:
        assert flat(rows(*sites)).lut == 5123
        return
    with pytest.raises(ReportError, match=words):
        flat(rows(*sites))


@pytest.mark.parametrize(("used", "status"), [(1727, Status.OK), (1728, Status.OK), (1746, Status.OVER_UTILISED)])
def test_more_than_all_of_a_resource(used: int, status: Status) -> None:
    found = flat(samples.utilisation(dsp=used))
    assert found.status is status
    assert found.reason == (None if status is Status.OK else "101.04 % of a resource that the design needs is used")


def test_the_worst_of_several_is_told() -> None:
    assert flat(samples.utilisation(dsp=1746, uram=192)).reason == "200 % of a resource that the design needs is used"
    assert flat(samples.utilisation(dsp=3456, uram=97)).reason == "200 % of a resource that the design needs is used"


def test_carry_cells_are_found_among_the_primitives() -> None:
    assert resources_of(flat_counts(source(samples.utilisation()))).carry == 301
    assert (
        resources_of(flat_counts(source(without(samples.utilisation(), "CARRY8   ").replace("| CARRY8 ", "| CARRY8 ")))).carry
        is None
    )
    text = samples.utilisation()
    site = next(line for line in text.split("\n") if line.startswith("| CARRY8") and "28800" in line)
    assert resources_of(flat_counts(source(text.replace(f"{site}\n", "")))).carry == 301


def test_a_device_without_uram_and_one_whose_row_is_damaged() -> None:
    text = samples.utilisation(uram=None)
    assert flat(text).uram is None
    tile = next(line for line in text.split("\n") if line.startswith("|   RAMB18"))
    assert flat(text.replace(tile, f"{tile}\n{tile.replace('  RAMB18', 'XX only ')}")).uram is None
    with pytest.raises(ReportError, match=r"no URAM row, but .*XRAM") as caught:
        flat(text.replace(tile, f"{tile}\n{tile.replace('  RAMB18', 'XRAM    ')}"))
    assert caught.value.line == text.split("\n").index(tile) + 2


def test_tiles_of_which_no_halves_are_told() -> None:
    assert flat(without(samples.utilisation(), "  RAMB18")).bram == 60.5
    damaged = "\n".join(
        line.replace(" 1 ", " 0 ").replace("0.16", "0.00") if line.startswith("|   RAMB18") else line
        for line in samples.utilisation().split("\n")
    )
    with pytest.raises(ReportError, match="its parts make 60:"):
        flat(damaged)


def hierarchy(*found: list[str], **options: Any) -> Report:
    return read_hierarchical(source(samples.hierarchy(list(found) or None, **options)))


def row(name: str, lut: str = "90", ff: str = "120", module: str = "(top)", ram: str = "0", dsp: str = "0") -> list[str]:
    logic = "" if lut == "-" else lut
    return [name, module, lut, logic or "-", "0", "0", ff, ram, "0", "0", dsp]


def test_the_first_row_is_the_whole_design() -> None:
    assert hierarchy(row("top")).lut == 90
    for wrong in (row("top", lut="-"), row("top", ff="-"), row("  top")):
        with pytest.raises(ReportError, match="is not the whole design"):
            hierarchy(wrong)
    with pytest.raises(ReportError, match="the design is 'top', its first row 'tap'"):
        hierarchy(row("tap"))
    assert hierarchy(row("tap", module="other")).top == "top"


@pytest.mark.parametrize(
    ("lut", "ff", "ram", "dsp", "trimmed"),
    [("8", "5", "0", "0", True), ("9", "5", "0", "0", False), ("8", "5", "1", "0", False), ("8", "5", "0", "1", False)],
)
def test_a_placed_hierarchy_that_is_trimmed(lut: str, ff: str, ram: str, dsp: str, trimmed: bool) -> None:
    assert (hierarchy(row("top", lut, ff, ram=ram, dsp=dsp)).status is Status.TRIMMED) is trimmed


@pytest.mark.parametrize(("lut", "ff", "trimmed"), [("0", "0", True), ("1", "0", False), ("0", "1", False)])
def test_a_synthesised_hierarchy_that_is_trimmed(lut: str, ff: str, trimmed: bool) -> None:
    text = samples.hierarchy([row("top", lut, ff)]).replace(": Routed", ": Synthesized")
    assert (read_hierarchical(source(text)).status is Status.TRIMMED) is trimmed


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (("1000", "0"), None),
        (("500", "500"), None),
        (("500", "512"), None),
        (("500", "513"), "its parts make 1013"),
        (("500", "488"), None),
        (("500", "487"), "its parts make 987"),
    ],
)
def test_registers_are_those_of_the_parts(parts: tuple[str, str], words: str | None) -> None:
    found = [
        row("top", ff="1000"),
        row("  a", ff=parts[0], module="m"),
        row("    a1", ff=parts[0], module="m"),
        row("  b", ff=parts[1], module="m"),
    ]
    if words is None:
        assert [m.depth for m in hierarchy(*found).modules] == [0, 1, 2, 1]
        return
    with pytest.raises(ReportError, match=words):
        hierarchy(*found)


@pytest.mark.parametrize(("logic", "fine"), [("1000", True), ("1012", True), ("1013", False), ("988", True), ("987", False)])
def test_luts_are_those_of_the_kinds(logic: str, fine: bool) -> None:
    found = row("top", lut="1000")
    found[3] = logic
    if fine:
        assert hierarchy(found).lut == 1000
        return
    with pytest.raises(ReportError, match="its kinds make another sum"):
        hierarchy(found)


def kernels(text: str) -> Report:
    return read_kernels(source(text))


def test_kernels_and_their_budget() -> None:
    text = samples.kernels()
    found = kernels(text)
    assert (found.lut, found.ff, found.bram_unit, [m.name for m in found.modules]) == (200, 300, "36K tile", ["net", "net_1"])
    with pytest.raises(ReportError, match="ff: used and unused do not make the budget"):
        kernels(text.replace("700 [ 70.00%]", "701 [ 70.00%]"))
    top = next(line for line in text.split("\n") if line.startswith("| net "))
    with pytest.raises(ReportError, match="ff: 300 are used, but the kernels make 301"):
        kernels(text.replace(top, top.replace("300 [", "301 [")))
    assert kernels(text.replace(top, top.replace("300 [", "299 ["))).ff == 300
    with pytest.raises(ReportError, match="no row 'Used Resources'"):
        kernels(text.replace("Used Resources", "Used Resaurces"))


def test_luts_of_a_part_may_be_shared_and_others_not() -> None:
    assert hierarchy(row("top"), row("  a", lut="200", module="m")).lut == 90
    few = [row("top", ff="100"), row("  a", ff="100", module="m")]
    deep = [row(f"{'  ' * n}a{n}", ff=str(100 + 2 * (n - 1)), module="m") for n in (2, 3, 4)]
    with pytest.raises(ReportError, match="a3: 104 ff in a design of 100"):
        hierarchy(*few, *deep)
    deep[1] = row("      a3", ff="103", module="m")
    assert len(hierarchy(*few, *deep[:2]).modules) == 4


def test_a_column_that_is_new_is_no_harm_while_none_is_missing() -> None:
    text = samples.hierarchy([row("top")])
    assert read_hierarchical(source(text.replace("Instance |", "Instance |").replace("SRLs", "XRLs"))).lut == 90
    with pytest.raises(ReportError, match="no column of uram, but one called 'xram'"):
        read_hierarchical(source(text.replace("URAM", "XRAM")))


def test_kernels_in_kernels() -> None:
    text = samples.kernels()
    deepest = next(line for line in text.split("\n") if line.startswith("|    net_1"))
    more = text.replace(deepest, f"{deepest}\n{deepest.replace('   net_1   ', '      net_1')}")
    assert [m.depth for m in kernels(more).modules] == [0, 1, 2]
    none = text.replace("5 [ 12.50%]", "-          ").replace("9 [ 1.00%]", "-         ").replace("35 [ 87.50%]", "-           ")
    assert kernels(none).bram is None
