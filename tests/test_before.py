"""What hwq 0.1.0 wrote still opens: a run with designs, a store, a quantised Keras model. The files were made by 0.1.0 itself."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hwq.design.target import Target
from hwq.design.trained import Run
from hwq.flow.report import gather
from hwq.flow.synth import synth
from hwq.measure.store import Store
from hwq.run.directory import RunDir

BEFORE = Path(__file__).parent / "fixtures" / "0.1.0"


@pytest.fixture
def before(tmp_path: Path) -> Path:
    shutil.copytree(BEFORE, tmp_path / "0.1.0")
    return tmp_path / "0.1.0"


def test_its_report_is_the_same(before: Path) -> None:
    """But for its verdicts: they do not say which files they judged, and are not believed."""
    told = json.loads((before / "report.json").read_text())
    report = gather(before / "run", store_path=before / "store.sqlite")
    for row, was in zip(report.rows, told["rows"], strict=True):
        for name in ("point", "test_accuracy", "ebops", "lut", "ff", "dsp", "latency_cycles"):
            assert getattr(row, name) == was[name], name


def test_its_points_predict_and_are_measured_again(before: Path) -> None:
    run = RunDir(before / "run")
    x, _ = run.vectors()
    for point in run.points():
        assert np.array_equal(Run(run.path).design(point.id).predict(x), point.logits())
    known = {m.key.design: m.resources.lut for m in Store.open(before / "store.sqlite").find()}
    assert len(known) == len(run.points()) == 2
    _, (result,) = synth(run.path, Target.of("xcvu9p", adders="two"), point=run.points()[0].id, store_path=before / "new.sqlite")
    assert result.measurement is not None and result.simulation.mismatches == 0
    # the Verilog is another text than that of 0.1.0, of the same adders
    assert result.measurement.resources.lut == pytest.approx(known[result.measurement.key.design], abs=3)


@pytest.mark.parametrize(
    "imports",
    [
        "import hwq, keras",
        *(pytest.param(s, marks=pytest.mark.slow) for s in ("import keras, hwq", "import hwq, hwq.layers, keras")),
    ],
)
def test_its_keras_file_loads_with_hwq_alone(imports: str, before: Path) -> None:
    """In a process of its own, which has imported nothing of hwq but `hwq`."""
    code = (
        f"import numpy as np\n{imports}\n"
        f"stored = np.load({str(before / 'twin.npz')!r})\n"
        f"twin = keras.models.load_model({str(before / 'twin.keras')!r})\n"
        # the softmax behind the design is of floats, whose last bit depends on TensorFlow's libraries
        "assert np.allclose(twin.predict(stored['x'], verbose=0), stored['keras'], rtol=0, atol=1e-6)\n"
        "assert np.array_equal(hwq.compile(twin, data=stored['x'], strict=True).predict(stored['x']), stored['design'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
