"""`hwq convert`: a peer's network as a run that the other commands take, with and without data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import hwq
from hwq.cli import cli
from hwq.errors import ModelError, RunError, UnsupportedLayerError
from hwq.flow.convert import convert
from hwq.flow.report import gather
from hwq.flow.simulate import simulate
from hwq.importers import read
from hwq.ir import text
from hwq.posttraining.derived import data_of
from hwq.run.directory import RunDir

HERE = Path(__file__).resolve().parents[1] / "fixtures" / "imports"
FILE = HERE / "hgq2_tables.keras"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows whose labels are what the network answers, so that its accuracy is 1: none but its own scale gives that."""
    rows = 3 * np.random.default_rng(1).normal(size=(300, 4)).astype(np.float32) + 1
    path = tmp_path_factory.mktemp("data") / "rows.npz"
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
    done = CliRunner().invoke(cli, ["convert", str(HERE / "hgq2_dense.keras"), "--out", str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    assert "(QBatchNormDense): exactly" in done.output and "next: hwq synth" in done.output
    done = CliRunner().invoke(cli, ["convert", str(FILE), "--out", str(tmp_path / "json"), "--json"])
    told = json.loads(done.stdout)
    assert told["point"] == "0000" and told["test_accuracy"] is None


def test_a_float_model_is_named(tmp_path: Path) -> None:
    from hwq.backend import keras

    path = tmp_path / "net.keras"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(path)
    with pytest.raises(UnsupportedLayerError, match="float model") as caught:
        convert(path, tmp_path / "run")
    assert "hwq ptq" in str(caught.value.hint)
