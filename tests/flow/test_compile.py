"""hwq.compile: one object that predicts, simulates its own C++ and writes its files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from networks import random_network

import hwq
from hwq.errors import BoardError, DataError, ModelError, UsageError
from hwq.ir import text
from hwq.sim.reference import predict


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWQ_CACHE", str(tmp_path / "cache"))


def rows(count: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 6)) * 4


@pytest.mark.parametrize("style", ["multiply", "adders"])
def test_a_graph(style: str, tmp_path: Path) -> None:
    graph = random_network(3, (6, 5, 4))
    made = hwq.compile(graph, board="zcu104", clock="300MHz", style=style)
    x = rows(100)
    want = predict(graph, x)
    assert (made.predict(x) == want).all() and (made.csim(x) == want).all()
    folder = made.write(tmp_path / "out")
    assert (folder / "rtl" / "hwq_top.v").is_file() and ("adders" in style) == (
        "shared adder graph" in (folder / "hls" / "hwq_top.cpp").read_text()
    )
    summary = made.summary()
    assert "zcu104" in summary and "300 MHz" in summary and f"latency {made.build.plan.latency_cycles} cycles" in summary


def test_a_file(tmp_path: Path) -> None:
    graph = random_network(3, (6, 5, 4))
    (tmp_path / "graph.hwq").write_text(text(graph))
    x = rows(10)
    assert (hwq.compile(tmp_path / "graph.hwq").predict(x) == predict(graph, x)).all()


def test_a_twin_of_keras() -> None:
    """In a process of its own: the trained twin, frozen by hand, answers what the design answers."""
    program = """
import keras, numpy as np
import hwq
from hwq.errors import ModelError
from hwq.train.freeze import freeze
keras.utils.set_random_seed(0)
rows = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)
model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(6, activation="relu"), keras.layers.Dense(3)])
twin, _ = hwq.quantize(model, data=rows)
made = hwq.compile(twin, data=rows)
want = keras.ops.convert_to_numpy(freeze(twin, rows, 1.125, "float64")(rows.astype(np.float64)))
assert (made.predict(rows) == want.reshape(300, 3)).all()
for wrong in (lambda: hwq.compile(twin), lambda: hwq.compile(model)):
    try:
        wrong()
    except ModelError as error:
        assert error.hint
    else:
        raise SystemExit(1)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_what_cannot_be_meant_is_refused() -> None:
    graph = random_network(3, (6, 5, 4))
    with pytest.raises(ModelError, match="cannot compile a list"):
        hwq.compile([1, 2])
    with pytest.raises(ModelError, match="cannot read"):
        hwq.compile("no/such/graph.hwq")
    with pytest.raises(BoardError):
        hwq.compile(graph, board="zcu9999")
    with pytest.raises(UsageError):
        hwq.compile(graph, clock="fast")
    with pytest.raises(DataError):
        hwq.compile(graph).predict(np.full((3, 6), np.nan))
    with pytest.raises(DataError, match="at least one row"):
        hwq.compile(graph).csim(np.zeros((0, 6)))
