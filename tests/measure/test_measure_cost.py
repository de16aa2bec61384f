"""The store: whole rows, unique keys, several writers. Cost models: fitted, cross-validated, refused, never mixed."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from networks import random_network

from hwq import boards
from hwq.codegen.build import build
from hwq.cost.features import circuit_features, graph_features
from hwq.cost.fit import Sample, conformal, fit, fit_all, fit_samples
from hwq.cost.library import file_name, read, to_text, write_rows
from hwq.cost.model import ModelKey
from hwq.cost.terms import COMPILED, LAYER_COSTS, LINEAR, physics
from hwq.errors import CostModelError, StoreError
from hwq.fixed import TypeArray
from hwq.ir import Constant, Graph, make_node, verify
from hwq.ir.spec import enclosed_bits
from hwq.measure.measurement import Key, Measurement
from hwq.measure.store import Store
from hwq.passes.lower import lower
from hwq.reports.types import Latency, Resources, Timing


def measurement(number: int = 0, lut: float = 100.0, **features: float) -> Measurement:
    key = Key(f"d{number}", f"p{number}", "design", "xcvu9p", "yosys", "0.70", "synth")
    return Measurement(
        key, "Virtex UltraScale+", Resources(lut=lut, ff=3, carry=None), Timing(), Latency(3, 3, 1), features, 1.5, 200.0, "now"
    )


def test_what_is_put_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "a" / "s.sqlite"
    store = Store.open(path)
    m = measurement(1, adder_bits=5.0)
    assert store.get(m.key) is None
    store.put(m)
    store.put(m)
    assert store.get(m.key) == m
    assert Store.open(path).find(tool="yosys", family="Virtex UltraScale+") == [m]
    assert store.find(tool="vivado") == []
    frame = store.to_frame()
    assert len(frame) == 1 and frame.lut[0] == 100 and frame.carry.isna()[0]


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    code = (
        "import sys; sys.path.insert(0, sys.argv[3]); from test_measure_cost import measurement; from hwq.measure.store import Store\n"
        "from pathlib import Path\n"
        "s = Store.open(Path(sys.argv[1]))\n"
        "for i in range(50): s.put(measurement(int(sys.argv[2]) + i))"
    )
    folder = str(Path(__file__).parent)
    env_path = str(Path(__file__).parents[1])
    env = {"PYTHONPATH": env_path, "PATH": "/usr/bin"}
    starts = [subprocess.Popen([sys.executable, "-c", code, str(path), str(n), folder], env=env) for n in (0, 100, 200, 300)]
    assert [p.wait(60) for p in starts] == [0, 0, 0, 0]
    assert len(Store.open(path).find()) == 200


def test_bad_stores_are_refused(tmp_path: Path) -> None:
    (tmp_path / "junk").write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match="junk"):
        Store.open(tmp_path / "junk")
    with sqlite3.connect(tmp_path / "newer") as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="schema 99"):
        Store.open(tmp_path / "newer")
    with pytest.raises(StoreError):
        Store.open(Path("/proc/nowhere/s.sqlite"))


def family(n: int, noise: float = 0.0, groups: int = 4) -> list[Measurement]:
    rng = np.random.default_rng(0)
    rows = []
    for i in range(n):
        adders, gates = rng.uniform(200, 5000), rng.uniform(0, 300)
        lut = (0.8 * adders + 1.2 * gates) * (1 + noise * rng.normal())
        found = {name: 0.0 for name in physics("lut", COMPILED, "") or {}}
        bits = {"ebops": adders * 2, "weight_bits": adders / 3, "activation_bits": 50.0}
        rows.append(
            replace(measurement(i, lut, **{**found, **bits, "pair_bits": adders, "relu_gates": gates}), group=f"g{i % groups}")
        )
    return rows


def test_fit_finds_the_coefficients_and_their_error() -> None:
    model = fit(family(40, 0.03), "lut")
    assert abs(model.coefficients["pair_bits"] - 0.8) < 0.03
    assert model.coefficients["table6"] > 0  # no design has a table: the physics stays, scaled
    assert 0.01 < model.cv_error < 0.06 and model.groups == 4
    inside = model.predict(family(40)[0].features)
    assert not inside.out_of_range and inside.low < inside.value < inside.high
    assert model.predict({**family(1)[0].features, "pair_bits": 1e6}).out_of_range
    assert model.predict({**family(1)[0].features, "table6": 50.0}).out_of_range  # never seen a table
    with pytest.raises(CostModelError, match="pair_bits"):
        model.predict({})


def test_coefficients_are_never_negative() -> None:
    rows = [
        replace(m, resources=Resources(lut=max(m.features["pair_bits"] - 2 * m.features["relu_gates"], 50.0))) for m in family(30)
    ]
    model = fit_samples(
        [Sample(m.features, float(m.resources.lut or 0), m.group) for m in rows], ModelKey.of(rows[0]), "lut", COMPILED,
        physics("lut", COMPILED, "") or {},
    )  # fmt: skip
    assert min(model.coefficients.values()) >= 0


def test_whole_groups_are_left_out() -> None:
    """One kind of design costs twice as much: seen only by leaving that kind out as a whole."""
    rows = family(40)
    odd = [replace(m, resources=Resources(lut=2 * (m.resources.lut or 0))) if m.group == "g0" else m for m in rows]
    mixed = [replace(m, group=f"h{i}") for i, m in enumerate(odd)]
    assert fit(odd, "lut").cv_worst > 0.45
    apart = _cross_validated(odd)
    assert apart > 1.1 * _cross_validated(mixed)


def _cross_validated(rows: list[Measurement]) -> float:
    samples = [Sample(m.features, float(m.resources.lut or 0), m.group) for m in rows]
    return fit_samples(samples, ModelKey.of(rows[0]), "lut", COMPILED, physics("lut", COMPILED, "") or {}).cv_error


def test_nine_of_ten_new_designs_lie_in_the_interval() -> None:
    """Over 20 fits to 60 designs, 200 new designs each: conformal intervals cover what they promise, and no more."""
    rng = np.random.default_rng(5)
    covered = []
    for _ in range(20):
        parts = rng.uniform(100, 3000, (260, 2))
        y = parts.sum(axis=1) + parts[:, 1] * rng.normal(0, 0.2, 260)
        spread, misses = conformal(parts[:60].sum(axis=1), y[:60], parts[:60])
        total = parts[60:].sum(axis=1)
        miss = np.concatenate([parts[60:], np.sqrt(total)[:, None]], axis=1) @ misses
        covered.append(float((np.abs(y[60:] - total) <= spread * miss).mean()))
        assert misses[1] > misses[0]  # the doubt belongs to the second term
    assert 0.87 <= np.mean(covered) <= 0.94, covered


def test_fits_that_are_refused() -> None:
    with pytest.raises(CostModelError, match="too few"):
        fit(family(2), "lut")
    with pytest.raises(CostModelError, match="cross-validation"):
        fit(family(12, 0.9), "lut")
    mixed = family(6)
    mixed[0] = replace(mixed[0], key=replace(mixed[0].key, version="0.71"))
    with pytest.raises(CostModelError, match="different"):
        fit(mixed, "lut")
    with pytest.raises(CostModelError, match="not predicted"):
        fit(family(6), "ff", "linear")


def test_one_design_measured_twice_counts_once() -> None:
    rows = family(2)
    again = replace(rows[0], key=replace(rows[0].key, plan="other", board="vcu118"))
    with pytest.raises(CostModelError, match="2 measured designs"):
        fit([*rows, again], "lut")


def test_prices_of_what_each_layer_knows_of_itself() -> None:
    prices = fit(family(12), "lut", LINEAR).coefficients
    assert set(prices) == set(LAYER_COSTS) and all(value >= 0 for value in prices.values())


def test_models_in_files_come_back(tmp_path: Path) -> None:
    rows = family(30, 0.02)
    models, refused = fit_all(rows)
    assert {(m.target, m.moment) for m in models} >= {("lut", COMPILED), ("lut", LINEAR)} and refused
    key = ModelKey.of(rows[0])
    path = tmp_path / file_name(key)
    assert path.name == "virtex-ultrascale-yosys-synth.toml"
    path.write_text(to_text(key, models))
    with path.with_suffix(".csv").open("w") as stream:
        write_rows(stream, rows)
    back = read(path)
    assert back.key == key
    for model in models:
        same = back.models[model.target, model.moment]
        found, wanted = same.predict(rows[3].features), model.predict(rows[3].features)
        assert abs(found.value - wanted.value) < 1e-4 * wanted.value and found.out_of_range == wanted.out_of_range
        assert abs(found.high - wanted.high) < 1e-3 * wanted.high
    data = sorted(back.rows(), key=lambda m: m.key.design)
    assert len(data) == 30 and {m.group for m in data} == {"g0", "g1", "g2", "g3"}
    first = next(m for m in rows if m.key.design == data[0].key.design)
    assert abs((data[0].resources.lut or 0) - (first.resources.lut or 0)) < 0.01 and data[0].latency.max_cycles == 3
    again = fit(data, "lut")
    assert abs(again.coefficients["pair_bits"] - back.models["lut", COMPILED].coefficients["pair_bits"]) < 1e-4


@pytest.mark.parametrize("text", ["", "format = 1", "format = 9", "no toml ["])
def test_damaged_model_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(CostModelError, match=r"a\.toml"):
        read(tmp_path / "a.toml")


def test_features_count_what_is_there() -> None:
    assert enclosed_bits(np.array([0, 1, 4, 5, -6, 96])).tolist() == [0, 1, 1, 3, 2, 2]
    made = build(random_network(3), boards.load("xcvu9p"))
    found = {**graph_features(made.graph), **circuit_features(made.circuit)}
    text = made.plan.files["rtl/hwq_top.v"]
    bits = sum(int(high) + 1 for high in re.findall(r"^ *(?:output )?reg .*\[(\d+):0\]", text, re.MULTILINE))
    assert found["register_bits"] == bits
    assert found["latency_cycles"] == made.plan.latency_cycles


def test_a_convolution_counts_at_every_place() -> None:
    """3 x 1 windows over 4 pixels of 5 bits: weights 3 (two bits) and -4 (one bit), two places; the products of two activations beside."""
    x = make_node("x", "input", type=TypeArray.of(0, np.full((4, 1, 1), 5), 0))
    kernel = Constant(np.array([3, 0, -4]).reshape(3, 1, 1, 1), TypeArray.of(1, np.full((3, 1, 1, 1), 4), 0))
    bias = Constant(np.array([1]), TypeArray.of(0, [1], 0))
    attrs = {"kernel": kernel, "bias": bias, "strides": (1, 1), "pads": (0, 0, 0, 0), "dilation": (1, 1), "groups": 1}
    conv = make_node("conv", "conv2d", [x], attrs=attrs)
    found = graph_features(verify(Graph((x, conv), ("x",), ("conv",))))
    assert found == {"ebops": 2 * 5 * (2 + 1), "weight_bits": 4, "activation_bits": 20, "nonzero": 3, "digits": 4}
    square = make_node("y", "multiply", [x, x])
    graph = verify(Graph((x, square), ("x",), ("y",)))
    assert graph_features(graph)["ebops"] == 4 * 25
    assert circuit_features(lower(graph))["product_bits"] == 4 * 25


def test_tables_and_choices_are_counted() -> None:
    x = make_node("x", "input", type=TypeArray.of(1, [4, 3], 0))
    values = Constant(np.arange(16).reshape(1, 16), TypeArray.of(0, np.full((1, 16), 4), 0))
    table = make_node("t", "table", [x], attrs={"values": values, "index": (0, 0)})
    pool = make_node("m", "minimum", [x, table])
    found = circuit_features(lower(verify(Graph((x, table, pool), ("x",), ("m",)))))
    assert found["table_bits"] == 4 * 16 + 3 * 8
    assert found["clamp_bits"] == 4 + 3
