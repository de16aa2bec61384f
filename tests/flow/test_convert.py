"""`hwq convert`: a peer's network as a run that the other commands take, with and without data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import good, invoked, refused

import hwq
from hwq.errors import ModelError, RunError, UnsupportedLayerError, UsageError
from hwq.fixed import TypeArray
from hwq.flow.convert import ConvertOptions, convert
from hwq.flow.report import gather
from hwq.flow.simulate import simulate
from hwq.importers import read
from hwq.ir import Constant, Graph, make_node, parse, text, verify
from hwq.posttraining.ranges import with_input_range
from hwq.posttraining.runs import data_of
from hwq.run.directory import RunDir
from hwq.sim.reference import predict, quantize_inputs

HERE = Path(__file__).resolve().parents[1] / "fixtures" / "imports"
FILE = HERE / "hgq2_tables.keras"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows whose labels are what the network answers, so that its accuracy is 1: none but its own scale gives that."""
    return labelled(tmp_path_factory.mktemp("data") / "rows.npz", 3.0)


def labelled(path: Path, scale: float) -> Path:
    rows = scale * np.random.default_rng(1).normal(size=(300, 4)).astype(np.float32) + scale / 3
    labels = hwq.compile(read(FILE).graph).predict(rows).argmax(axis=1)
    np.savez(path, x=rows, y=labels)
    return path


def test_with_data(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    summary = convert(FILE, out, data=str(data))
    assert (summary.val_accuracy, summary.test_accuracy) == (1.0, 1.0) and summary.format == "HGQ2"
    run = RunDir.open(out)
    point = run.point("0000")
    assert run.record().trained and point.graph_text() == text(read(FILE).graph)
    assert data_of(run, None).digest == run.data().digest  # a later command finds the same rows, unscaled
    assert point.told("imported", "again").text("format") == "HGQ2"
    again = convert(FILE, out, data=str(data))
    assert again == summary
    with pytest.raises(RunError, match="another"):
        convert(HERE / "hgq2_dense.keras", out, data=str(data))


def test_the_input_range_of_the_data(tmp_path: Path) -> None:
    data = labelled(tmp_path / "rows.npz", 0.5)
    summary = convert(FILE, tmp_path / "run", data=str(data), options=ConvertOptions(input_range="data"))
    note = next(n for n in summary.notes if "bits at most" in n)
    assert note.endswith("0 of 300 rows answer otherwise") and summary.test_accuracy == 1.0
    before, after = (g["x"].type for g in (read(FILE).graph, parse(RunDir.open(tmp_path / "run").point("0000").graph_text())))
    assert (after.width <= before.width).all() and (after.width < before.width).any() and after.overflow == before.overflow
    with pytest.raises(UsageError, match="traced on data"):
        convert(FILE, tmp_path / "other", options=ConvertOptions(input_range="data"))
    with pytest.raises(RunError, match="another"):
        convert(FILE, tmp_path / "run", data=str(data))


def test_without_data_every_command_takes_it(tmp_path: Path) -> None:
    out = tmp_path / "run"
    summary = convert(FILE, out)
    assert summary.val_accuracy is None and summary.test_accuracy is None
    (_, verdict), *_ = simulate(out, point="best")
    assert verdict.mismatches == 0 and {"csim", "rtl"} <= {c.stage_b for c in verdict.comparisons}
    assert gather(out).rows[0].val_accuracy is None
    with pytest.raises(RunError, match="imported without data"):
        _ = RunDir.open(out).point("0000").validated


def test_a_file_that_is_refused_leaves_no_run(tmp_path: Path) -> None:
    other = tmp_path / "a.keras"
    other.write_text("nothing")
    with pytest.raises(ModelError):
        convert(other, tmp_path / "run")
    assert not (tmp_path / "run" / "run.json").exists()


def test_data_of_another_shape(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"reads rows of shape \(4,\)"):
        convert(FILE, tmp_path / "run", data="wine")


def test_on_the_command_line(tmp_path: Path) -> None:
    done = invoked("convert", HERE / "hgq2_dense.keras", "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    assert "(QBatchNormDense): exactly" in done.output and "next: hwq synth" in done.output
    told = json.loads(good("convert", FILE, "--out", tmp_path / "json", "--json"))
    assert told["point"] == "0000" and told["test_accuracy"] is None


def test_a_float_model_is_named(tmp_path: Path) -> None:
    from hwq.backend import keras

    path = tmp_path / "net.keras"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(path)
    with pytest.raises(UnsupportedLayerError, match="float model") as caught:
        convert(path, tmp_path / "run")
    assert "hwq ptq" in str(caught.value.hint)


def test_tables_that_read_the_input_follow_its_range() -> None:
    types = TypeArray.of(1, [8, 8], 2)
    x = make_node("x", "input", type=types)
    codes = np.arange(256)[None, :] - 128
    values = Constant(codes * 3 + 1, TypeArray.of(1, np.full((1, 256), 11), 0))
    graph = Graph((x, make_node("y", "table", [x], attrs={"values": values, "index": (0, 0)})), ("x",), ("y",))
    rows = np.array([[0.0, -3.0], [7.5, 2.0], [3.25, -0.75]])
    narrow = with_input_range(graph, quantize_inputs(graph, rows))
    assert narrow["x"].type.signed.tolist() == [0, 1] and (narrow["x"].type.width < 8).all()
    assert (predict(verify(narrow), rows) == predict(graph, rows)).all()


def test_the_type_of_an_input_that_the_file_quantises_nowhere(tmp_path: Path) -> None:
    file, out = HERE / "qkeras_jets.h5", tmp_path / "run"
    error = refused(UnsupportedLayerError, "convert", file, "--out", out)
    assert "--input-type 16,6" in str(error.hint) and not out.exists()
    done = invoked("convert", file, "--out", out, "--input-type", "10,4")
    assert done.exit_code == 0 and "the input is s10.6" in done.output and "QKeras network" in done.output
    run = RunDir.open(out)
    assert parse(run.point("0000").graph_text()) == read(file, "10,4").graph
