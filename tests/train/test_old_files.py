"""A .keras file that hwq 0.1.0 wrote (tests/fixtures/0.1.0) loads, and answers what it answered then.

Each load is in a process of its own: nothing but `hwq` and `keras` is imported, in either order. The logits are those of 0.1.0 to the
last bit. The twin ends in a softmax of floats, whose results are units in the last place off where TensorFlow takes another
library for it (TF_ENABLE_ONEDNN_OPTS, another CPU).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
OLD = ROOT / "tests" / "fixtures" / "0.1.0"
LOAD = """
import sys
{imports}
import numpy as np
old = np.load(sys.argv[2])
twin = keras.models.load_model(sys.argv[1])
answers = twin.predict(old["x"], verbose=0)
logits = keras.Model(twin.inputs[0], twin.get_layer("softmax_for_the_loss").input).predict(old["x"], verbose=0)
drawn = np.random.default_rng(0).normal(size=(64, 6, 6, 2)).astype("float32")  # the rows that the design was made from
design = hwq.compile(twin, data=drawn).predict(old["x"])
np.savez(sys.argv[3], keras=answers, logits=logits, design=design)
"""


@pytest.mark.parametrize("imports", ["import hwq, keras", "import keras, hwq"])
def test_a_twin_of_0_1_0_answers_as_it_did(imports: str, tmp_path: Path) -> None:
    old = np.load(OLD / "twin.npz")
    command = [sys.executable, "-c", LOAD.format(imports=imports), OLD / "twin.keras", OLD / "twin.npz", tmp_path / "now.npz"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    now = np.load(tmp_path / "now.npz")
    assert np.array_equal(now["logits"], old["design"])  # a design and its twin agree, and the design has no softmax
    assert np.array_equal(now["design"], old["design"])
    np.testing.assert_array_max_ulp(now["keras"], old["keras"], maxulp=4)  # exponential, sum, quotient: a unit or two each


def test_the_file_names_modules_that_have_moved() -> None:
    """Else it would prove nothing."""
    with zipfile.ZipFile(OLD / "twin.keras") as stored:
        config = json.loads(stored.read("config.json"))
    modules = {layer["module"] for layer in config["config"]["layers"]} | {config["module"]}
    assert {"hwq.train.layers.dense", "hwq.train.layers.conv", "hwq.train.model"} <= modules
