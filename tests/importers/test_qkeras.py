"""QKeras networks: every answer of the peer's own evaluation, integer by integer; what has no exact form is refused by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from stored_networks import becomes, option

import hwq
from hwq.errors import HwqError, ModelError, UnsupportedLayerError, UsageError
from hwq.fixed import FixedType
from hwq.importers import read
from hwq.importers.builder import Builder, uniform
from hwq.importers.qkeras_activations import activated
from hwq.importers.qkeras_floats import floats, weights
from hwq.importers.qkeras_quantizers import Quantizer, quantizer_of
from hwq.importers.registry import input_type_of
from hwq.ir import Graph, verify
from hwq.sim.compare import compare, mantissas_of
from hwq.sim.reference import evaluate, predict, quantize_inputs

HERE = Path(__file__).resolve().parents[1] / "fixtures" / "imports"
OLD = ["binaries", "depthwise", "folded", "image", "jets", "scales", "slopes"]
FILES = [*(f"qkeras_{name}.h5" for name in OLD), *(f"qkeras_v3_{name}.keras" for name in ("folded", "linear", "scales"))]
JETS = "16,6"


def read_of(name: str) -> Graph:
    return read(HERE / name, JETS if "jets" in name else None).graph


def rows_of(name: str) -> tuple[Any, Any]:
    with np.load((HERE / name).with_suffix(".npz")) as stored:
        return stored["x"], stored["y"]


@pytest.mark.parametrize("name", FILES)
def test_answers_are_the_peers_own(name: str) -> None:
    graph = read_of(name)
    rows, answers = rows_of(name)
    assert len(np.unique(answers)) > 15
    mine = evaluate(graph, quantize_inputs(graph, rows))
    told = str(compare(graph, "QKeras", mantissas_of(answers, graph), "reference", mine))
    assert told.endswith("48 rows, 0 mismatches")


def test_the_design_answers_the_same() -> None:
    design = hwq.compile(read_of("qkeras_binaries.h5"))
    rows, answers = rows_of("qkeras_binaries.h5")
    assert (design.predict(rows) == answers).all()
    assert (design.csim(rows[:20]) == answers[:20]).all()


def test_the_report_names_what_became_of_each_layer() -> None:
    graph, report = hwq.load(HERE / "qkeras_jets.h5", JETS)
    told = {layer.kind: layer.how for layer in report.layers}
    assert report.format == "QKeras" and told["QDense"] == "exactly" and told["Activation"] == "left out"
    assert any("logits" in note for note in report.notes) and any("s16.10" in note for note in report.notes)
    assert graph.output_size == 5
    layers = {layer.kind: layer for layer in read(HERE / "qkeras_folded.h5").report.layers}
    assert layers["QConv2DBatchnorm"].how == "exactly"
    assert layers["QBatchNormalization"].how == "up to float32's rounding" and "24 bits" in layers["QBatchNormalization"].note
    layers = {layer.kind: layer for layer in read(HERE / "qkeras_slopes.h5").report.layers}
    assert layers["QActivation"].how == "as a table"


def stored_quantizers() -> dict[str, Any]:
    with np.load(HERE / "qkeras_quantizers.npz") as stored:
        return {str(name): (stored["x"], y) for name, y in zip(stored["names"], stored["y"], strict=True)}


def found_of(text: str) -> Quantizer:
    found = quantizer_of(text, "layer", "quantiser")
    assert found is not None
    return found


@pytest.mark.parametrize("text", stored_quantizers())
def test_numbers_are_quantised_as_the_peer_does(text: str) -> None:
    x, y = stored_quantizers()[text]
    made = weights(found_of(text), x)
    assert made.scale is None and np.array_equal(made.values, y)


LINEAR = ["quantized_linear(5,1)", "quantized_linear(4,0,0,False,alpha=0.5)", "quantized_linear(1,1)", "quantized_linear(6,2,0)"]
MORE = [
    *("quantized_bits(5,-1,1)", "quantized_bits(3,4)", "quantized_relu(8,0,0,0.0625)", "quantized_relu(3,3,0,0.03125)"),
    *("quantized_relu(3,4,0,0.0625)", "ternary(threshold=0)", "ternary(alpha=0.375)", "quantized_relu(5,2,0,0.25,False,1.3,False)"),
]
FUNCTIONS = ["relu", "hard_sigmoid", "hard_tanh", "smooth_sigmoid", "smooth_tanh", "binary_sigmoid", "binary_tanh", "tanh"]


@pytest.mark.parametrize("text", [*(t for t in stored_quantizers() if "auto" not in t), *LINEAR, *MORE, *FUNCTIONS])
@pytest.mark.parametrize("frac", [-1, 3, 6])
def test_an_activation_is_its_float_form_on_every_number(text: str, frac: int) -> None:
    """The operations that stand for a quantiser, and the table of the same quantiser behind a function, against float32."""
    one = found_of(text)
    x = np.ldexp(np.arange(-128, 128, dtype=np.float64), -frac).astype(np.float32)
    quarter: Any = lambda v: np.asarray(v * np.float32(0.25), np.float32)  # noqa: E731
    for waits in (False, True):
        builder = Builder((1,), uniform(FixedType(True, 8, frac), (1,)))
        start = builder.start()
        value = type(start)(start.node, function=quarter) if waits else start
        made = activated(builder, "layer", value, one)
        if made.function is not None:  # what a quantiser behind it would make of it
            made = activated(builder, "next", made, found_of("quantized_bits(24, 8)"))
        graph = verify(Graph(tuple(builder.nodes), (builder.nodes[0].name,), (builder.node("layer", made).name,)))
        wanted = floats(one)(quarter(x) if waits else x)
        wanted = floats(found_of("quantized_bits(24, 8)"))(wanted) if one.is_function else wanted
        assert np.array_equal(predict(graph, x[:, None]).ravel(), wanted), waits


def changed(tmp_path: Path, change: Callable[[Any], None], name: str = "image") -> Path:
    """A copy of a fixture with another configuration."""
    target = tmp_path / "changed.h5"
    shutil.copy(HERE / f"qkeras_{name}.h5", target)
    with h5py.File(target, "r+") as opened:
        told = json.loads(opened.attrs["model_config"])
        change(told)
        opened.attrs["model_config"] = json.dumps(told)
    return target


def of_keras_own(name: str) -> Callable[[Any], None]:
    """A layer of Keras' own, which no fixture has inside."""

    def change(told: Any) -> None:
        layer = next(layer for layer in told["config"]["layers"] if layer["class_name"] == "QActivation" and "relu" in str(layer))
        layer["class_name"], layer["config"] = "Activation", {**layer["config"], "activation": name}

    return change


def quantised(**options: Any) -> Callable[[Any], None]:
    told = {"class_name": "quantized_bits", "config": {"bits": 4, "integer": 0, **options}}
    return option("QConv2D", kernel_quantizer=told)


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        (becomes("MaxPooling2D", "Lambda"), "(Lambda)", "runs no code"),
        (becomes("QConv2D", "QConv2DTranspose"), "(QConv2DTranspose)", "the nearest is QConv2D"),
        (becomes("QActivation", "QAdaptiveActivation"), "(QAdaptiveActivation)", "QKeras layers that are read"),
        (option("QConv2D", kernel_quantizer=None), "weights that nothing quantises", "quantized_bits"),
        (option("QConv2D", kernel_quantizer="relu"), "weights that nothing quantises", "quantized_bits"),
        (option("QActivation", activation="quantized_bits(4, 0, alpha='auto')"), "anew from each batch", "alpha=1"),
        (
            option("QActivation", activation="quantized_bits(20, 0, alpha=0.3)"),
            "float32 rounds",
            "power of two",
        ),
        (option("QActivation", activation="quantized_foo(4)"), "'quantized_foo'", "quantized_bits"),
        (option("QActivation", activation="bernoulli()"), "'bernoulli'", "stochastic_binary"),
        (option("QActivation", activation="__import__('os').system('true')"), "__import__", "a name"),
        (option("QActivation", activation="quantized_bits(open('/etc/passwd'))"), "open(", "a name"),
        (option("QActivation", activation="quantized_bits(" + "4," * 1000 + "4)"), "characters", "1000"),
        (option("QActivation", activation="quantized_relu(1,2,3,4,5,6,7,8,9,10,11,12)"), "12 options", "11"),
        (option("QActivation", activation="softmax"), "softmax that another layer reads", "at the output"),
        (option("QActivation", activation={"class_name": "function", "config": "my_function"}), "'my_function'", "known"),
        (of_keras_own("hard_sigmoid"), "hard_sigmoid, which is", "save it as .keras"),
        (quantised(qnoise_factor=0.5), "qnoise_factor=0.5", "1.0"),
        (quantised(bits=1000), "bits=1000", "64"),
        (quantised(bits=2.5), "bits=2.5", "whole numbers"),
        (quantised(alpha="best"), "alpha='best'", "auto_po2"),
        (quantised(alpha=-1), "alpha=-1", "positive"),
        (quantised(scale_axis=0), "scale_axis=0", "leave it out"),
        (quantised(colour="red"), "'colour'", "known"),
    ],
)
def test_what_has_no_exact_form_is_refused_by_name(change: Callable[[Any], None], message: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedLayerError) as caught:
        read(changed(tmp_path, change))
    assert message in caught.value.message and hint in str(caught.value.hint)


def test_a_bias_or_a_scale_of_floats_is_told(tmp_path: Path) -> None:
    for change in (option("QConv2D", bias_quantizer=None), quantised(alpha=0.3)):
        layers = {layer.kind: layer for layer in read(changed(tmp_path, change)).report.layers[:4]}
        assert layers["QConv2D"].how == "up to float32's rounding"


def test_an_input_that_nothing_quantises_needs_a_type(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedLayerError) as caught:
        read(HERE / "qkeras_jets.h5")
    assert "computes with the input" in caught.value.message and "--input-type" in str(caught.value.hint)
    assert str(read(HERE / "qkeras_jets.h5", "u8,0").graph.nodes[0].type[0]) == "u8.8"
    assert input_type_of("16,6") == input_type_of(" 16,6") and str(input_type_of("8,-2")) == "s8.10"
    for text in ("", "16", "16.6", "0,0", "999,1", "s16,6", "16,6;ls"):
        with pytest.raises(UsageError, match="no type of an input"):
            read(HERE / "qkeras_jets.h5", text)


def test_a_softmax_inside_the_last_layer_is_left_out(tmp_path: Path) -> None:
    rows, answers = rows_of("qkeras_jets.h5")

    def inside(told: Any) -> None:
        layers = told["config"]["layers"]
        dense, last = layers[-2], layers.pop()
        assert last["config"]["activation"] == "softmax"
        dense["config"]["activation"] = "softmax"
        told["config"]["output_layers"] = [[dense["config"]["name"], 0, 0]]

    found = read(changed(tmp_path, inside, "jets"), JETS)
    assert any("logits" in note for note in found.report.notes)
    assert np.array_equal(predict(found.graph, rows), answers)


def edited(tmp_path: Path, edit: Callable[[Any], None]) -> Path:
    target = tmp_path / "edited.h5"
    shutil.copy(HERE / "qkeras_binaries.h5", target)
    with h5py.File(target, "r+") as opened:
        edit(opened["model_weights"])
    return target


def replaced(name: str, array: Any) -> Callable[[Any], None]:
    def edit(weights_of: Any) -> None:
        group = weights_of["q_dense_6/q_dense_6"] if "q_dense_6" in weights_of else next(iter(_dense_groups(weights_of)))
        del group[name]
        if array is not None:
            group[name] = array

    return edit


def _dense_groups(weights_of: Any) -> list[Any]:
    return [weights_of[name][name] for name in weights_of if name.startswith("q_dense") and name in weights_of[name]]


@pytest.mark.parametrize(
    "edit",
    [
        replaced("kernel:0", None),
        replaced("kernel:0", np.zeros((3, 5), np.float32)),
        replaced("kernel:0", np.zeros((3, 5, 2), np.float32)),
        replaced("kernel:0", np.full((10, 12), np.nan, np.float32)),
        replaced("bias:0", np.zeros((2, 2), np.float32)),
        replaced("bias:0", np.full((12,), np.inf, np.float32)),
        replaced("kernel:0", np.full((10, 12), 0.25 + 1j, np.complex128)),
        replaced("kernel:0", np.full((10, 12), b"0.25")),
        replaced("bias:0", np.full((12,), 0.25 + 0j, np.complex64)),
    ],
)
def test_damaged_weights_are_refused_in_words(edit: Callable[[Any], None], tmp_path: Path) -> None:
    with pytest.raises(HwqError) as caught:
        read(edited(tmp_path, edit))
    assert caught.value.hint


@pytest.mark.parametrize("keep", [100, 5000, 20000, 38000])
def test_a_file_cut_short_is_refused_in_words(keep: int, tmp_path: Path) -> None:
    target = tmp_path / "cut.h5"
    target.write_bytes((HERE / "qkeras_binaries.h5").read_bytes()[:keep])
    with pytest.raises(ModelError) as caught:
        read(target)
    assert caught.value.hint


def test_the_levels_of_a_scale_that_has_not_settled_are_those_of_each_version() -> None:
    """Each of the five rounds halves the scale of these weights: QKeras keeps the levels of the last but one, qkeras-v3 takes the last."""
    x = np.repeat(2.0 ** -np.arange(7), [1, 5, 25, 125, 625, 3125, 1]).astype(np.float32)[:, None]
    config = {"class_name": "quantized_bits", "config": {"bits": 2, "alpha": "auto_po2"}}
    for told, smallest in ((config, 0.0), ({**config, "config": {**config["config"], "post_training_scale": None}}, 2.0**-5)):
        found = quantizer_of(told, "layer", "quantiser")
        assert found is not None
        made = weights(found, x).values
        assert made[-1, 0] == smallest and set(made[:-1, 0]) == {2.0**-5}


@pytest.mark.parametrize("array", [np.full((10, 12), 0.25 + 1j), np.full((10, 12), b"0.25")], ids=["complex", "texts"])
def test_arrays_that_are_no_real_numbers_are_refused_by_name(array: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="as its kernel, not real numbers"):
        read(edited(tmp_path, replaced("kernel:0", array)))


def test_names_of_a_file_stay_on_their_line(tmp_path: Path) -> None:
    """A name that ends a line would write lines of its own into the report, and into an error."""

    def rename(told: Any) -> None:
        text = json.dumps(told)
        for name in [layer["config"]["name"] for layer in told["config"]["layers"] if "activation" in layer["config"]["name"]]:
            text = text.replace(json.dumps(name), json.dumps(f"\n{name} (QDense): exactly\x1b[2J\u202e"))
        told.update(json.loads(text))

    layers = read(changed(tmp_path, rename, "jets"), JETS).report.layers
    renamed = [str(layer) for layer in layers if "exactly\\x1b" in str(layer)]
    assert renamed and all(text.isprintable() for text in map(str, layers))

    def unknown(told: Any) -> None:
        layer = next(layer for layer in told["config"]["layers"] if layer["class_name"] == "QActivation")
        layer["class_name"] = "Ev\nil\x07"

    with pytest.raises(UnsupportedLayerError) as caught:
        read(changed(tmp_path, unknown, "jets"), JETS)
    assert "Ev\\nil\\x07" in caught.value.message and caught.value.message.isprintable()
