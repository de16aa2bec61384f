"""HGQ2 networks: every answer of the peer's own evaluation, integer by integer; what has no exact form is refused by name."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stored_networks import becomes, layer_of, option

import hwq
from hwq.errors import ModelError, UnsupportedLayerError
from hwq.importers import read
from hwq.sim.compare import compare, mantissas_of
from hwq.sim.reference import evaluate, quantize_inputs

HERE = Path(__file__).resolve().parents[1] / "fixtures" / "imports"
NAMES = ["hgq2_branches", "hgq2_dense", "hgq2_image", "hgq2_tables"]


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_the_peers_own(name: str) -> None:
    found = read(HERE / f"{name}.keras")
    with np.load(HERE / f"{name}.npz") as stored:
        rows, answers = stored["x"], stored["y"]
    assert len(np.unique(answers)) > 50
    mine = evaluate(found.graph, quantize_inputs(found.graph, rows))
    assert str(compare(found.graph, "HGQ2", mantissas_of(answers, found.graph), "reference", mine)).endswith(
        "164 rows, 0 mismatches"
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_design_answers_the_same(name: str) -> None:
    design = hwq.compile(read(HERE / f"{name}.keras").graph)
    with np.load(HERE / f"{name}.npz") as stored:
        rows, answers = stored["x"], stored["y"]
    assert (design.predict(rows) == answers.reshape(design.predict(rows).shape)).all()
    if name == "hgq2_tables":  # a small one, through the generated C++ too
        assert (design.csim(rows[:20]) == answers[:20]).all()


def test_the_report_names_what_became_of_each_layer() -> None:
    graph, report = hwq.load(HERE / "hgq2_image.keras")
    told = {layer.kind: layer.how for layer in report.layers}
    assert report.format == "HGQ2" and told["QConv2D"] == "exactly" and told["Softmax"] == "left out"
    assert any("logits" in note for note in report.notes) and graph.output_size == 3
    told = {layer.kind: layer.how for layer in read(HERE / "hgq2_tables.keras").report.layers}
    assert told["QDenseT"] == "as a table"
    told = {layer.kind: layer.how for layer in read(HERE / "hgq2_dense.keras").report.layers}
    assert told["Dropout"] == "left out" and told["QBatchNormDense"] == "exactly"


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    other = tmp_path / "network.dat"
    shutil.copy(HERE / "hgq2_dense.keras", other)
    assert read(other).graph == read(HERE / "hgq2_dense.keras").graph


def changed(tmp_path: Path, change: Callable[[Any], None], name: str = "hgq2_dense") -> Path:
    """A copy of a fixture with another configuration."""
    target = tmp_path / "changed.keras"
    with zipfile.ZipFile(HERE / f"{name}.keras") as source, zipfile.ZipFile(target, "w") as archive:
        for member in source.namelist():
            data = source.read(member)
            if member == "config.json":
                told = json.loads(data)
                change(told)
                data = json.dumps(told).encode()
            archive.writestr(member, data)
    return target


def quantiser(kind: str, part: str, **options: Any) -> Callable[[Any], None]:
    def change(told: Any) -> None:
        layer_of(told, kind)["config"][part]["config"].update(options)

    return change


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        (becomes("Dropout", "Lambda"), "(Lambda)", "runs no code"),
        (becomes("QDense", "QDenseX"), "(QDenseX)", "the nearest is QDense"),
        (becomes("QDense", "QGRU"), "(QGRU)", "HGQ2 layers that are read"),
        (option("QDense", activation={"class_name": "function", "config": "my_function"}), "'my_function'", "known: linear"),
        (option("QDense", activation="softmax"), "ends in a softmax", "a layer of its own"),
        (quantiser("QDense", "iq_conf", round_mode="RND_INF"), "rounds activations by RND_INF", "TRN, RND, RND_CONV"),
        (quantiser("QDense", "kq_conf", q_type="float"), "has the type float", "kbi, kif"),
        (quantiser("QDense", "iq_conf", scaler=3.0), "scales", "without scaler"),
        (quantiser("QDense", "iq_conf", overflow_mode="WRAP_SM"), "has the overflow WRAP_SM", "SAT_SYM"),
    ],
)
def test_what_has_no_exact_form_is_refused_by_name(change: Callable[[Any], None], message: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedLayerError) as caught:
        read(changed(tmp_path, change))
    assert message in caught.value.message and hint in str(caught.value.hint)


def test_arrays_that_do_not_fit_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="arrays in the file"):
        read(changed(tmp_path, option("QDense", use_bias=False)))


def test_files_that_are_no_networks(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no file"):
        read(tmp_path / "none.keras")
    (tmp_path / "text.keras").write_text("no network")
    with pytest.raises(ModelError, match="of no format that hwq reads"):
        read(tmp_path / "text.keras")
    broken = tmp_path / "broken.keras"
    broken.write_bytes((HERE / "hgq2_dense.keras").read_bytes()[:6000])
    with pytest.raises(ModelError):
        read(broken)
    with pytest.raises(ModelError, match="is damaged"):
        read(changed(tmp_path, lambda told: told["config"].pop("output_layers")))
