"""Plain Keras models that hwq writes: loaded by Keras alone, equal to the integers, and read back as the same graph."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from every_op import MODES, ops_of_one_input, ops_of_two_inputs, quantisers
from export_cases import cases
from networks import random_constant
from random_graphs import extreme_graph

from hwq.errors import MismatchError, ModelError, UnsupportedLayerError
from hwq.exporters import export_graph, keras_layers
from hwq.exporters.rows import export_rows
from hwq.fixed import Overflow, Rounding, TypeArray
from hwq.importers import read
from hwq.ir import Graph, make_node, verify
from hwq.sim.compare import mantissas_of
from hwq.sim.reference import evaluate, quantize_inputs

ALONE = """
import sys, keras, numpy as np
with np.load(sys.argv[2]) as rows:
    answers = keras.saving.load_model(sys.argv[1]).predict(rows["x"], verbose=0)
np.savez(sys.argv[2], y=answers)
sys.exit("hwq" in sys.modules)
"""


@pytest.mark.parametrize("name", cases())
def test_a_file_is_the_network(name: str, tmp_path: Path) -> None:
    graph = cases()[name]
    report = export_graph(graph, tmp_path / "net.keras")
    assert [str(c) for c in report.comparisons] == [f"reference = {who}: 1000 rows, 0 mismatches" for who in ("Keras", "read back")]
    assert report.same_graph, report
    model = keras.saving.load_model(tmp_path / "net.keras")
    assert all(type(layer).__module__.startswith("keras.") for layer in model.layers)
    kept = {layer.name: layer.get_weights() for layer in model.layers}
    for node in graph.nodes:
        if node.op == "dense":
            kernel = node.constant("kernel")
            assert (kept[node.name][0] == np.ldexp(kernel.mantissas.astype(float), -kernel.types.frac.astype(int))).all()


def test_keras_alone_loads_it(tmp_path: Path) -> None:
    graph = cases()["network"]
    export_graph(graph, tmp_path / "net.keras")
    rows = export_rows(graph, 60)
    np.savez(tmp_path / "rows.npz", x=rows.astype(np.float32))
    command = [sys.executable, "-c", ALONE, str(tmp_path / "net.keras"), str(tmp_path / "rows.npz")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env={"PATH": "/usr/bin:/bin"}, timeout=200)
    assert done.returncode == 0, done.stderr[-1000:]
    with np.load(tmp_path / "rows.npz") as stored:
        answers = mantissas_of(stored["y"].astype(np.float64), graph)
    assert (answers == evaluate(graph, quantize_inputs(graph, rows))).all()


@pytest.mark.parametrize(("rounding", "overflow"), MODES[::2])
def test_every_op_comes_back_the_same(rounding: Rounding, overflow: Overflow, tmp_path: Path) -> None:
    report = export_graph(ops_of_one_input((rounding, overflow))[0], tmp_path / "net.keras")
    assert report.same_graph, report
    two = export_graph(ops_of_two_inputs((rounding, overflow))[0], tmp_path / "two.keras")
    assert [c.mismatches for c in two.comparisons] == [0]


@pytest.mark.parametrize("rounding", Rounding)
def test_every_code_is_quantised_alike(rounding: Rounding, tmp_path: Path) -> None:
    graph, rows = quantisers(rounding)
    floats = np.ldexp(rows.astype(np.float64), -graph["x"].type.frac.astype(np.int64))
    assert export_graph(graph, tmp_path / "net.keras", data=floats).same_graph


def window(**attrs: Any) -> Graph:
    rng = np.random.default_rng(0)
    x = make_node("x", "input", type=TypeArray.of(1, np.full((6, 5, 4), 5), 2, Rounding.RND, Overflow.SAT))
    told = {"strides": (1, 1), "pads": (0, 0, 0, 0), **attrs}
    if "size" in attrs:
        y = make_node("y", "max_pool2d" if attrs.pop("most", False) else "sum_pool2d", [x], attrs=told)
    else:
        kernel = random_constant(rng, (2, 3, 4 // told["groups"], 4), 4, 0.2)
        y = make_node(
            "y", "conv2d", [x], attrs={"dilation": (1, 1), **told, "kernel": kernel, "bias": random_constant(rng, (4,), 3, 0)}
        )
    return verify(Graph((x, y), ("x",), ("y",)))


@pytest.mark.parametrize(
    ("attrs", "same"),
    [
        ({"groups": 1, "strides": (2, 2), "pads": (1, 0, 2, 1)}, True),
        ({"groups": 1, "strides": (2, 1)}, True),
        ({"groups": 4, "dilation": (2, 1)}, True),
        ({"groups": 4, "strides": (1, 2)}, True),
        ({"groups": 1, "dilation": (1, 2), "strides": (2, 1)}, True),
        ({"groups": 2, "strides": (2, 2), "dilation": (2, 1)}, False),
        ({"size": (2, 3), "strides": (2, 2), "pads": (0, 1, 1, 0)}, True),
        ({"size": (2, 3), "strides": (1, 2)}, True),
    ],
)
def test_windows_that_keras_has_no_layer_for_are_exact(attrs: dict[str, Any], same: bool, tmp_path: Path) -> None:
    """TensorFlow lacks some strides, dilations and groups: other layers compute the same."""
    report = export_graph(window(**attrs), tmp_path / "net.keras")
    assert report.same_graph is same, report


def test_random_graphs_are_exact(tmp_path: Path) -> None:
    kept = 0
    for seed in range(24):
        try:
            kept += bool(export_graph(extreme_graph(seed, 10, 8), tmp_path / "net.keras").comparisons)
        except UnsupportedLayerError as error:
            assert "bits" in error.message and error.hint
    assert kept > 8


def test_a_wrong_file_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(keras_layers.WRITERS, "relu", lambda w, o: w.named(keras.ops.abs(w.tensors[o.inputs[0]]), o.name))
    with pytest.raises(MismatchError, match="first at sample"):
        export_graph(cases()["network"], tmp_path / "net.keras")
    assert not list(tmp_path.iterdir())


def changed(path: Path, change: Callable[[Any], None]) -> Path:
    """A copy of a .keras file with another configuration."""
    target = path.with_name("changed.keras")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                told = json.loads(content)
                change(told["config"]["layers"])
                content = json.dumps(told).encode()
            new.writestr(name, content)
    return target


def option(kind: str, **options: Any) -> Callable[[Any], None]:
    return lambda layers: next(one for one in layers if one["class_name"] == kind)["config"].update(options)


def renamed(kind: str, new: str) -> Callable[[Any], None]:
    return lambda layers: next(one for one in layers if one["class_name"] == kind).update(class_name=new)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (renamed("Relu", "Erf"), "(Erf)"),
        (option("Dense", activation="relu"), "has an activation"),
        (option("Round", decimals=2), "has options that are not read"),
        (option("Pad", mode="reflect"), "mode"),
        (option("Embedding", mask_zero=True), "entries a code"),
    ],
)
def test_what_is_not_exact_is_refused_by_name(change: Callable[[Any], None], message: str, tmp_path: Path) -> None:
    export_graph(ops_of_one_input((Rounding.RND_CONV, Overflow.SAT))[0], tmp_path / "net.keras")
    with pytest.raises(UnsupportedLayerError) as caught:
        read(changed(tmp_path / "net.keras", change))
    assert message in caught.value.message and caught.value.hint


@pytest.mark.parametrize("change", [lambda layers: layers.pop(), lambda layers: layers[1].update(inbound_nodes=[3])])
def test_a_damaged_file_is_an_error(change: Callable[[Any], None], tmp_path: Path) -> None:
    export_graph(cases()["network"], tmp_path / "net.keras")
    with pytest.raises(ModelError):
        read(changed(tmp_path / "net.keras", change))
