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
from hwq.cost.features import circuit_features, enclosed_bits, graph_features
from hwq.cost.model import fit, training_prices
from hwq.errors import CostModelError, StoreError
from hwq.fixed import TypeArray
from hwq.ir import Constant, Graph, make_node, verify
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


def family(n: int, noise: float = 0.0) -> list[Measurement]:
    rng = np.random.default_rng(0)
    rows = []
    for i in range(n):
        adder, clamp = rng.uniform(100, 5000), rng.uniform(0, 1)
        lut = 0.8 * adder * (1 + noise * rng.normal())
        bits = {"ebops": adder * 2, "weight_bits": adder / 3, "activation_bits": 50.0}
        rows.append(measurement(i, lut, adder_bits=adder, clamp_bits=clamp, adders=adder / 8, **bits))
    return rows


def test_fit_finds_the_coefficient_and_its_error() -> None:
    model = fit(family(20, 0.05), "lut")
    assert set(model.coefficients) == {"adder_bits"} and abs(model.coefficients["adder_bits"] - 0.8) < 0.03
    assert 0.02 < model.cv_error < 0.08
    inside = model.predict({"adder_bits": 1000.0})
    assert abs(inside.value - 800) < 30 and not inside.out_of_range
    assert model.predict({"adder_bits": 1e6}).out_of_range
    with pytest.raises(CostModelError, match="adder_bits"):
        model.predict({})


def test_fits_that_are_refused() -> None:
    with pytest.raises(CostModelError, match="too few"):
        fit(family(2), "lut")
    with pytest.raises(CostModelError, match="cross-validation"):
        fit(family(12, 0.9), "lut")
    mixed = family(6)
    mixed[0] = replace(mixed[0], key=replace(mixed[0].key, version="0.71"))
    with pytest.raises(CostModelError, match="different"):
        fit(mixed, "lut")


def test_one_design_measured_twice_counts_once() -> None:
    rows = family(2)
    again = replace(rows[0], key=replace(rows[0].key, plan="other", board="vcu118"))
    with pytest.raises(CostModelError, match="2 measured designs"):
        fit([*rows, again], "lut")


def test_prices_for_training() -> None:
    prices = training_prices(family(10)).coefficients
    assert prices and all(value >= 0 for value in prices.values()) and set(prices) <= {"ebops", "weight_bits", "activation_bits"}


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
