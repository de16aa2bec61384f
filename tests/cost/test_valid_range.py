"""When a prediction is out of range: beyond twice the greatest, or below half of the least value seen of a feature."""

from __future__ import annotations

import pytest

from hwq.cost.model import CostModel, ModelKey


@pytest.mark.parametrize(
    ("bits", "gates", "out"),
    [
        (100.0, 10.0, False),
        (50.0, 10.0, False),
        (49.9, 10.0, True),
        (400.0, 10.0, False),
        (400.1, 10.0, True),
        (100.0, 0.0, False),
        (100.0, 20.0, False),
        (100.0, 20.1, True),
    ],
)
def test_what_is_out_of_range(bits: float, gates: float, out: bool) -> None:
    ranges = {"bits": (100.0, 200.0), "gates": (0.0, 10.0)}
    model = CostModel(ModelKey("yosys", "0.0", "synth", "xcup"), "lut", {"bits": 1.0, "gates": 0.5}, 9, 0.1, 0.2, ranges)
    found = model.predict({"bits": bits, "gates": gates})
    assert found.out_of_range is out and found.value == bits + gates / 2
