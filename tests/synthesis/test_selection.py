"""Which measurements a fit gets: all comparable ones, a draw from a large store, and never those of the design that it predicts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from test_preflight import BOARD, features_of

from hwq.cost import find as models
from hwq.cost.find import Beside, Found, ModelSource, comparable, find_models, libraries, models_without, selection
from hwq.cost.fit import fit
from hwq.cost.model import CostModel
from hwq.cost.predict import price_model
from hwq.cost.terms import COMPILED
from hwq.measure.measurement import Key, Measurement
from hwq.measure.store import MOST, Store, _put
from hwq.reports.types import Latency, Resources, Timing


def row(number: int, board: str = BOARD.name, tool: str = "yosys", slope: float = 1.2) -> Measurement:
    size = 500.0 + 7 * number
    key = Key(f"d{number}", "p", "design", board, tool, "0.1", "synth")
    found = Resources(lut=slope * size, ff=size / 2)
    return Measurement(key, BOARD.family, found, Timing(), Latency(), {**features_of(size), "counted": 3.0}, 10.0, 1.0)


def filled(path: Path, rows: list[Measurement]) -> Store:
    store = Store.open(path)
    with store.database.transaction(write=True) as session:
        for m in rows:
            _put(session, m, {})
    return store


def test_rows_of_the_family_alone_are_comparable(tmp_path: Path) -> None:
    rows = [row(1), row(2, "xcvu9p"), row(3, "pynq-z2"), row(4, "ulx3s-85f"), row(5, "mine"), row(6, tool="other")]
    rows.append(replace(row(7, "theirs"), family="Artix-7"))
    store = filled(tmp_path / "s.sqlite", rows)
    found = comparable(store, selection(BOARD, ModelSource("yosys", "0.1", "synth")))
    # Yosys maps alike for all of UltraScale+; a board that hwq does not know must say the very family
    assert [m.key.board for m in found] == [BOARD.name, "xcvu9p"] and {m.family for m in found} == {"xcup"}
    assert comparable(store, selection(BOARD, ModelSource("yosys", "0.1", "synth"), 2.0)) == []
    vendor = filled(tmp_path / "v.sqlite", [row(1, tool="vivado"), row(2, "mine", "vivado"), row(3, "xcvu9p", "vivado")])
    own = comparable(vendor, selection(BOARD, ModelSource("vivado", "0.1", "synth")))
    assert [m.key.board for m in own] == [BOARD.name, "mine"] and {m.family for m in own} == {BOARD.family}


def test_a_large_store_gives_a_fit_what_it_needs(tmp_path: Path) -> None:
    rows = [row(n) for n in range(MOST + 30)]
    store = filled(tmp_path / "s.sqlite", rows)
    chosen = selection(BOARD, ModelSource("yosys", "0.1", "synth"))
    found = comparable(store, chosen)
    assert len(found) == MOST and store.count(chosen) == MOST + 30
    apart = found[0].key.design
    assert apart not in {m.key.design for m in comparable(store, chosen, [apart])}
    assert fit(found, "lut").coefficients["pair_bits"] == pytest.approx(fit(rows[:40], "lut").coefficients["pair_bits"], rel=0.02)


@pytest.mark.parametrize("shipped", [False, True])
def test_models_beside_a_design_are_made_without_it_and_once(
    shipped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [replace(row(n, slope=1.2 if n else 3.0), family="xcup") for n in range(12)]
    found: Found | None = None
    designs = ["", "d0", "elsewhere", "d0"]
    if shipped:
        library = next(library for library in libraries() if "xcup" in library.path.name)
        found = find_models(BOARD, ModelSource(library.key.tool, library.key.version, "synth"))
        assert found is not None and found.exact
        designs[1] = designs[3] = library.rows()[5].key.design
    expected = [models_without(design, rows, found, ("lut", "ff")) for design in designs]
    asked: list[str] = []

    def counted(design: str, *more: object) -> list[CostModel]:
        asked.append(design)
        return models_without(design, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(models, "models_without", counted)
    beside = Beside(rows, found, ("lut", "ff"))
    assert [beside.without(design) for design in designs] == expected
    assert sorted(asked) == ["", designs[1]] and expected[0] == expected[2] != expected[1]


def test_prices_come_from_the_tool_with_most_measurements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "libraries", lambda _folder=None: [])
    few, many = [row(n, tool="a", slope=1.0) for n in range(9)], [row(n, tool="z", slope=2.0) for n in range(10)]
    other = [row(n, "pynq-z2", "b", 3.0) for n in range(20)]
    filled(tmp_path / "s.sqlite", few + many + other)
    assert price_model(BOARD.name, tmp_path / "s.sqlite", COMPILED, "two").key.tool == "z"
    assert price_model(BOARD.name, tmp_path / "s.sqlite", COMPILED).key.adders == "three"  # nothing of that form is in the store
