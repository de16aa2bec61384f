"""What is said before any tool starts: fits or not, limits of the HLS compiler, expected time; --force goes on."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from fake_runs import fake, make_run, prove, real

from hwq import boards
from hwq.cost import find as models
from hwq.cost.terms import COMPILED, physics
from hwq.design.target import Target, Work
from hwq.errors import PreflightError
from hwq.events import Events
from hwq.flow import synth as flow
from hwq.measure.measurement import ROWS, Key, Measurement
from hwq.measure.store import Store
from hwq.reports.types import Latency, Resources, Timing
from hwq.synthesis.preflight import Preflight, duration, hls_limits
from hwq.toolchains.manifest import Manifest
from hwq.toolchains.plan import TOP
from hwq.toolchains.synthesiser import choose

BOARD = boards.load("zcu104")


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Yosys that notes its starts."""
    monkeypatch.setenv("HWQ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HWQ_YOSYS", str(fake(tmp_path, "yosys", real("yosys"))))
    return tmp_path / "starts"


def store_with(path: Path, bits: list[int], seconds: float = 10.0) -> Store:
    """Measured designs of 1.2 LUT a full adder and 1 FF a register bit, `seconds` for 100 adders."""
    store = Store.open(path)
    for n in bits:
        key = Key(f"d{n}", f"p{n}", "design", BOARD.name, "yosys", "0.70", "synth", ROWS)
        features = features_of(n)
        found = Resources(lut=1.2 * n, ff=n / 2)
        store.put(Measurement(key, BOARD.family, found, Timing(), Latency(), features, seconds * n / 1000, 1.0))
    return store


def summary(bits: float) -> Manifest:
    return described(features_of(bits))


def described(features: dict[str, float]) -> Manifest:
    return Manifest("d", "p", BOARD.name, "hwq_top", 5.0, 4, features)


def features_of(bits: float) -> dict[str, float]:
    zeros = dict.fromkeys(physics("lut", COMPILED, "xcup") or {}, 0.0)
    size = {"adder_bits": bits, "pair_bits": bits, "adders": bits / 10 - 1, "register_bits": bits / 2, "ff_bits": bits / 2}
    return {**zeros, "clamp_bits": 0.0, **size}


def test_a_model_predicts_with_its_error_and_the_time(tools: Path, tmp_path: Path) -> None:
    store = store_with(tmp_path / "s.sqlite", [500, 600, 700, 800, 1000, 1200, 1500, 1700, 2000])
    chosen = choose("yosys", BOARD, period_ns=5.0)
    forecast = Preflight(BOARD, chosen, store).forecast(tmp_path, summary(1200))
    lut, ff, dsp = forecast.resources
    assert lut.measured and lut.value == pytest.approx(1440) and lut.error < 0.01 and lut.available == BOARD.lut
    assert ff.value == pytest.approx(600) and dsp.value == 0 and forecast.seconds == pytest.approx(12.0)
    assert (
        forecast.limits == ()
        and "1440 LUT ± 0% of" in str(forecast)
        and "0 DSP of" in str(forecast)
        and "about 12 s" in str(forecast)
    )


def test_a_clock_is_told_where_a_model_knows_it(tmp_path: Path) -> None:
    board = boards.load("ulx3s-85f")
    chosen = choose("nextpnr-ecp5", board, period_ns=20.0)
    preflight = Preflight(board, chosen, Store.open(tmp_path / "s.sqlite"))
    model = preflight.models["period_ns"]
    features = {**dict.fromkeys(physics("lut", COMPILED, "ecp5") or {}, 50.0), "ff_bits": 500.0, "adders": 100.0, "wires": 400.0}

    def told(levels: float, carries: float) -> str:
        more = {**features, "clocked_levels": levels, "clocked_carries": carries}
        return str(preflight.forecast(tmp_path, described(more)))

    period = model.value({**features, "clocked_levels": 2.0, "clocked_carries": 20.0})
    assert f"{1e3 / period:.0f} MHz ± {model.cv_error:.0%}" in told(2.0, 20.0) and 120 < 1e3 / period < 250
    assert "MHz" not in told(0.0, 0.0)  # no way between registers
    assert "MHz" not in told(40.0, 400.0)  # no design that was measured has such ways


def test_without_measurements_it_is_a_guess(tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "libraries", lambda _folder=None: [])
    chosen = choose("yosys", BOARD, period_ns=5.0)
    preflight = Preflight(BOARD, chosen, Store.open(tmp_path / "s.sqlite"))
    forecast = preflight.forecast(tmp_path, summary(1200))
    assert not forecast.resources[0].measured and "at a guess" in str(forecast) and forecast.seconds is None
    assert not preflight.forecast(tmp_path, summary(BOARD.lut * 1.9)).limits  # sharing may yet make it fit
    assert "will not fit zcu104" in preflight.forecast(tmp_path, summary(BOARD.lut * 2.1)).limits[0]


def test_far_from_what_was_measured_the_model_says_so(tools: Path, tmp_path: Path) -> None:
    store = store_with(tmp_path / "s.sqlite", [500, 600, 700, 800, 1000, 1200, 1500, 1700, 2000])
    forecast = Preflight(BOARD, choose("yosys", BOARD, period_ns=5.0), store).forecast(tmp_path, summary(50_000))
    lut = forecast.resources[0]
    assert lut.value == pytest.approx(60_000) and lut.beyond and not lut.measured and lut.error == 0.5
    assert f"60000 LUT of {BOARD.lut} (beyond what was measured)" in str(forecast)


def test_a_measured_design_that_does_not_fit(tools: Path, tmp_path: Path) -> None:
    store = store_with(tmp_path / "s.sqlite", list(range(150_000, 250_000, 10_000)))
    small = replace(BOARD, lut=100_000)
    preflight = Preflight(small, choose("yosys", small, period_ns=5.0), store)
    with pytest.raises(PreflightError, match=r"LUT ± .* of 100000 will not fit") as caught:
        preflight.check("0001", preflight.forecast(tmp_path, summary(200_000)))
    assert "--force" in (caught.value.hint or "") and caught.value.exit_code == 13


def test_a_limit_on_time_that_cannot_be_kept(tools: Path, tmp_path: Path) -> None:
    store = store_with(tmp_path / "s.sqlite", [500, 800, 1000], seconds=600.0)
    preflight = Preflight(BOARD, choose("yosys", BOARD, period_ns=5.0), store)
    assert not preflight.forecast(tmp_path, summary(1000), timeout_s=900).limits
    assert "10 min, more than the limit of 60 s" in preflight.forecast(tmp_path, summary(1000), timeout_s=60).limits[0]


def test_limits_of_hls() -> None:
    good = (
        'extern "C" void top(ap_uint<4096> x, ap_uint<10> *y) {\nint a[1024];\n#pragma HLS ARRAY_PARTITION variable=a complete\n}'
    )
    assert hls_limits(good) == []
    assert "port of 4097 bits" in hls_limits(good.replace("4096", "4097"))[0]
    assert "array a of 1025 elements" in hls_limits(good.replace("1024", "1025"))[0]
    assert "60000 statements" in hls_limits("x = 1;\n" * 60_000)[0]


def test_no_tool_starts_until_forced(tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, store = make_run(tmp_path / "run"), tmp_path / "s.sqlite"
    (design,) = prove(run, BOARD.name)
    small = replace(BOARD, lut=3)
    monkeypatch.setattr(flow, "PointDesign", lambda *_: design)
    started: list[str] = []
    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(str(a)) or real(*a, **k))
    with pytest.raises(PreflightError):
        flow.synth(run, Target.of(small, tool="yosys"), store_path=store)
    assert not tools.exists() and not [s for s in started if "synth.ys" in s]
    said: list[str] = []
    flow.synth(
        run,
        Target.of(small, tool="yosys"),
        store_path=store,
        work=Work(force=True, events=Events(point=lambda _, what: said.append(what))),
    )
    assert tools.exists() and any(s.startswith("expecting") for s in said)


def test_hls_reads_the_generated_source(tmp_path: Path) -> None:
    (tmp_path / "hls").mkdir()
    (tmp_path / "hls" / f"{TOP}.cpp").write_text("void top(ap_uint<5000> x, ap_uint<10> *y) {}")
    chosen = choose("vitis", BOARD, period_ns=5.0, planned=True)
    forecast = Preflight(BOARD, chosen, Store.open(tmp_path / "s.sqlite")).forecast(tmp_path, summary(100))
    assert "5000 bits" in forecast.limits[0] and [e.name for e in forecast.resources] == ["lut", "ff"]


def test_durations() -> None:
    assert [duration(s) for s in (45, 600, 7200)] == ["45 s", "10 min", "2.0 h"]
