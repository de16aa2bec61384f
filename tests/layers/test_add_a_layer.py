"""What docs/how-to/add-a-layer.md says, done: a file and its export take a layer of Keras through training to integers."""

from __future__ import annotations

from pathlib import Path

import keras
import pytest
from layer_harness import Case, check_close, check_layer
from toy_layer import QGlobalMaxPooling3D

import hwq.layers
from hwq.conversion import convert
from hwq.conversion.config import QuantizeConfig
from hwq.errors import UnsupportedLayerError

CASES = {
    "": Case(lambda x: keras.layers.GlobalMaxPooling3D()(x), ("QGlobalMaxPooling3D",), (2, 3, 2, 4)),
    "keepdims": Case(lambda x: keras.layers.GlobalMaxPooling3D(keepdims=True)(x), ("QGlobalMaxPooling3D",), (2, 2, 2, 3)),
}


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its export."""
    monkeypatch.setattr(hwq.layers, "QGlobalMaxPooling3D", QGlobalMaxPooling3D, raising=False)


@pytest.mark.usefixtures("exported")
@pytest.mark.parametrize("name", CASES)
def test_it_trains_and_equals_its_integers(name: str, tmp_path: Path) -> None:
    check_layer(CASES[name], tmp_path)
    check_close(CASES[name])


@pytest.mark.usefixtures("exported")
def test_it_quantises_what_it_reads_by_the_user_s_options() -> None:
    """The input that it alone reads has no quantiser before it; options for the layer by name reach it."""
    case = CASES[""]
    model, x = case.model(), case.rows()
    name = next(layer.name for layer in model.layers if isinstance(layer, keras.layers.GlobalMaxPooling3D))
    twin = convert.quantize(model, QuantizeConfig(layers={name: {"bits": 3}}), x)
    assert not [layer for layer in twin.layers if type(layer).__name__ == "Quantize"]
    (layer,) = [layer for layer in twin.layers if isinstance(layer, QGlobalMaxPooling3D)]
    assert layer.bits == 3 and layer.overflow == "SAT"


def test_it_is_not_known_elsewhere() -> None:
    """Without its export it is refused by name: nothing but the class has it."""
    with pytest.raises(UnsupportedLayerError, match="is a GlobalMaxPooling3D, which hwq does not convert"):
        convert.quantize(CASES[""].model(), QuantizeConfig(), CASES[""].rows())
