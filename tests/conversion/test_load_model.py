"""Float models of files: those of Keras 2, and what is refused before anything is built."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from hwq.backend import keras
from hwq.conversion.load_model import load_model
from hwq.errors import ModelError, UnsupportedLayerError
from hwq.train import models

TINY = Path(__file__).resolve().parents[3] / "shared" / "data" / "tiny"
PEER = Path(__file__).resolve().parents[1] / "fixtures" / "imports" / "hgq2_dense.keras"


def edited(path: Path, kind: str, options: dict[str, Any], name: str | None = None) -> None:
    """Give the first layer of a class other options, or another class, in the file's configuration."""
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        layer = next(layer for layer in config["config"]["layers"] if layer["class_name"] == kind)
        layer["config"].update(options)
        layer["class_name"] = name or kind
        file.attrs["model_config"] = json.dumps(config)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    model = keras.Sequential(
        [keras.Input((6, 6, 2)), keras.layers.DepthwiseConv2D(3), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    model.save(tmp_path / "net.h5")
    return tmp_path / "net.h5"


def test_a_depthwise_convolution_of_keras_2_loads(saved: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(4, 6, 6, 2)).astype(np.float32)
    wanted = np.asarray(load_model(saved)(rows))
    edited(saved, "DepthwiseConv2D", {"groups": 1})
    model = models.build(str(saved), (6, 6, 2), 3)
    assert (np.asarray(model(rows)) == wanted).all() and type(model.layers[0]) is keras.layers.DepthwiseConv2D
    edited(saved, "DepthwiseConv2D", {"groups": 2})
    with pytest.raises(ModelError, match="cannot load"):
        load_model(saved)


def test_a_lambda_is_refused_before_it_runs(saved: Path) -> None:
    edited(saved, "Flatten", {}, "Lambda")
    with pytest.raises(UnsupportedLayerError, match="Lambda layer"):
        load_model(saved)


def test_a_quantised_network_is_named() -> None:
    with pytest.raises(UnsupportedLayerError, match="quantised already, by hgq") as caught:
        load_model(PEER)
    assert "hwq convert" in str(caught.value.hint)


@pytest.mark.skipif(not TINY.is_dir(), reason="the reference networks of MLPerf Tiny are not here")
@pytest.mark.parametrize(("name", "parameters"), [("vww_96", 221_794), ("str_ww_ref_model", 47_707), ("ad01", 269_992)])
def test_the_files_of_mlperf_tiny_load(name: str, parameters: int) -> None:
    assert load_model(TINY / f"{name}.h5").count_params() == parameters
