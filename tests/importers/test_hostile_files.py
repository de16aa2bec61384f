"""Files as nobody should send them: refused in words with a hint; what is accepted answers as ONNX's own evaluator does."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from test_hgq import changed, layer_of, option

from hwq.errors import HwqError, ModelError, UnsupportedLayerError
from hwq.importers import read
from hwq.importers.fixed_point import dyadic, whole_bits
from hwq.sim.reference import predict

onnx = pytest.importorskip("onnx", reason="the extra hwq[qonnx] is not installed")
HERE = Path(__file__).resolve().parents[1] / "fixtures" / "imports"
KERNEL = np.array([[1, -0.5], [0.5, 0.25], [-1, 1], [0.75, -0.25]], np.float32)
ROWS = np.random.default_rng(1).integers(-12, 12, (40, 4)).astype(np.float32) / 8


def refused(path: Path, *words: str) -> None:
    with pytest.raises(HwqError) as caught:
        read(path)
    assert caught.value.hint and all(word in caught.value.message for word in words), caught.value.message


def node(op: str, inputs: list[str], output: str, **attributes: Any) -> Any:
    return onnx.helper.make_node(op, inputs, [output], **attributes)


def end(source: str) -> Any:
    return node("MatMul", [source, "K"], "y")


def net(path: Path, nodes: list[Any], outputs: tuple[str, ...] = ("y",), opset: int = 19, **constants: Any) -> Path:
    """A model that reads x, (n, 4); the constants s = 1/4 and z = 0 (int8), K are there, others are given."""
    given = {"s": np.array(0.25, np.float32), "z": np.array(0, np.int8), "K": KERNEL, **constants}
    kind = onnx.TensorProto.FLOAT
    ends = [onnx.helper.make_tensor_value_info(name, kind, None) for name in outputs]
    start = onnx.helper.make_tensor_value_info("x", kind, ["n", 4])
    tensors = [onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in given.items()]
    graph = onnx.helper.make_graph(nodes, "g", [start], ends, tensors)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(model, str(path))
    return path


def quantised(source: str, output: str, **options: Any) -> list[Any]:
    scale = options.pop("scale", "s")
    return [
        node("QuantizeLinear", [source, scale, "z"], f"{output}_q", **options),
        node("DequantizeLinear", [f"{output}_q", scale, "z"], output, **options),
    ]


def test_what_is_taken_answers_as_onnx_does(tmp_path: Path) -> None:
    """Steps for each channel along an axis told from either end, casts between floats, a ReLU6 in the words of both generations."""
    from onnx.reference import ReferenceEvaluator

    steps, zeros = np.array([1, 0.5, 0.25, 0.125], np.float32), np.zeros(4, np.int8)
    cases = {
        "plain": quantised("x", "d"),
        "channels": quantised("x", "d", scale="t", axis=1),
        "channels from the end": quantised("x", "d", scale="t", axis=-1),
        "float cast": [*quantised("x", "a"), node("Cast", ["a"], "d", to=onnx.TensorProto.FLOAT)],
        "clip": [*quantised("x", "a"), node("Clip", ["a", "low", "high"], "b"), *quantised("b", "d")],
    }
    for name, before in cases.items():
        more = {"t": steps, "low": np.float32(-0.5), "high": np.float32(0.5)}
        if "channels" in name:
            before[0].input[2] = before[1].input[2] = "zz"
            more["zz"] = zeros
        path = net(tmp_path / f"{name}.onnx", [*before, end("d")], **more)
        (wanted,) = ReferenceEvaluator(str(path)).run(None, {"x": ROWS})
        assert np.array_equal(predict(read(path).graph, ROWS), wanted), name
    older = [
        *quantised("x", "a"),
        node("Clip", ["a"], "b", min=-0.5, max=0.5),
        *quantised("b", "d"),
        end("d"),
    ]
    found = predict(read(net(tmp_path / "older.onnx", older, opset=10)).graph, ROWS)
    assert np.array_equal(found, predict(read(tmp_path / "clip.onnx").graph, ROWS))


CODES = [node("QuantizeLinear", ["x", "s", "z"], "q")]
GOOD = quantised("x", "d")
REFUSED: dict[str, tuple[list[Any], tuple[str, ...], str]] = {
    "cast to whole numbers": ([*GOOD, node("Cast", ["d"], "i", to=6), node("Cast", ["i"], "f", to=1), end("f")], ("y",), "casts to"),
    "codes in a product": ([*CODES, node("Cast", ["q"], "f", to=1), end("f")], ("y",), "codes of a QuantizeLinear"),
    "codes at the output": ([*GOOD, end("d"), node("QuantizeLinear", ["y", "s", "z"], "q2")], ("q2",), "holds codes"),
    "steps for the batch": ([*quantised("x", "d", scale="t", axis=0), end("d")], ("y",), "along axis 0"),
    "steps for blocks": ([*quantised("x", "d", scale="t", axis=1, block_size=2), end("d")], ("y",), "blocks"),
    "a softmax that is read": (
        [*GOOD, node("Softmax", ["d"], "p"), *quantised("p", "e"), end("e")], ("y", "p"), "(Softmax)",
    ),
    "another domain": ([*GOOD, node("Relu", ["d"], "r", domain="my.own"), end("r")], ("y",), "my.own"),
    "random": ([*GOOD, node("Dropout", ["d", "ratio", "yes"], "r"), end("r")], ("y",), "random"),
    "joined rows": ([*GOOD, node("Concat", ["d", "d"], "r", axis=0), end("r")], ("y",), "axis 0"),
    "no end of a range": ([*CODES, node("Clip", ["q"], "c"), node("DequantizeLinear", ["c", "s", "z"], "d"), end("d")], ("y",), "clips to"),
    "NaN": ([*GOOD, node("MatMul", ["d", "bad"], "y")], ("y",), "NaN"),
    "division by zero": ([*GOOD, node("Div", ["d", "nothing"], "r"), *quantised("r", "e"), end("e")], ("y",), "NaN"),
    "no inputs": ([*GOOD, onnx.helper.make_node("MatMul", [], ["y"])], ("y",), "nothing gives"),
    "a vector for a matrix": ([*GOOD, node("Gemm", ["d", "vector"], "y")], ("y",), ""),
    "no axis": ([*GOOD, node("Concat", ["d", "d"], "y")], ("y",), ""),
    "an impossible shape": ([*GOOD, node("Reshape", ["d", "odd"], "y")], ("y",), ""),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_be_another_number_is_refused(name: str, tmp_path: Path) -> None:
    nodes, outputs, words = REFUSED[name]
    more = {
        "t": np.array([1, 0.5, 0.25, 0.125], np.float32),
        "bad": KERNEL * np.float32(np.nan),
        "ratio": np.float32(0.5),
        "yes": np.array(True),
        "nothing": np.zeros(4, np.float32),
        "vector": np.ones(4, np.float32),
        "odd": np.array([0, 0, 0]),
    }
    refused(net(tmp_path / "n.onnx", nodes, outputs, **more), words)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e9, 1e30])
def test_bits_and_weights_are_finite(value: float) -> None:
    with pytest.raises(ModelError):
        whole_bits([1.0, value])
    if not np.isfinite(value):
        with pytest.raises(ModelError):
            dyadic([value, 1.0])
    with pytest.raises(ModelError):
        dyadic(np.ones(2, complex))


def weights(tmp_path: Path, change: Callable[[h5py.File], None]) -> Path:
    """A fixture whose arrays were changed."""
    target, inner = tmp_path / "w.keras", tmp_path / "model.weights.h5"
    with zipfile.ZipFile(HERE / "hgq2_dense.keras") as source, zipfile.ZipFile(target, "w") as archive:
        inner.write_bytes(source.read("model.weights.h5"))
        with h5py.File(inner, "r+") as opened:
            change(opened)
        for member in source.namelist():
            archive.writestr(member, inner.read_bytes() if member.endswith(".h5") else source.read(member))
    return target


def first_kernel(opened: h5py.File) -> str:
    found: list[str] = []
    opened.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) and item.ndim == 2 else None)
    return found[0]


def replaced(**options: Any) -> Callable[[h5py.File], None]:
    def change(opened: h5py.File) -> None:
        name = first_kernel(opened)
        shape = opened[name].shape
        del opened[name]
        opened.create_dataset(name, **{"shape": shape, "dtype": "f4", **options})

    return change


def test_bytes_come_from_the_file_alone(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"\x00\x00\x80?" * 4096)
    refused(weights(tmp_path, replaced(external=[(str(secret), 0, h5py.h5f.UNLIMITED)])), "in another file")

    def virtual(opened: h5py.File) -> None:
        name = first_kernel(opened)
        layout = h5py.VirtualLayout(shape=opened[name].shape, dtype="f4")
        layout[:] = h5py.VirtualSource("other.h5", "k", shape=opened[name].shape)
        del opened[name]
        opened.create_virtual_dataset(name, layout)

    refused(weights(tmp_path, virtual), "in another file")


@pytest.mark.parametrize(
    "change",
    [
        replaced(shape=(1 << 20, 1 << 20), chunks=(64, 64)),
        replaced(shape=(3,)),
        replaced(shape=(0, 5)),
        replaced(dtype=h5py.string_dtype()),
        replaced(data=None, fillvalue=np.nan),
    ],
    ids=["4 TB", "a vector", "empty", "texts", "NaN"],
)
def test_arrays_that_are_no_weights(change: Callable[[h5py.File], None], tmp_path: Path) -> None:
    refused(weights(tmp_path, change))


def test_a_configuration_that_unpacks_without_end(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.keras"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * (65 << 20) + b"{}")
        archive.writestr("model.weights.h5", b"")
    assert bomb.stat().st_size < 1 << 20
    refused(bomb, "64 MiB")


@pytest.mark.parametrize(
    "told", ["[]", "3", '{"config": 1}', '{"class_name": "Functional", "config": {"layers": 5}}', "[" * 200_000], ids=range(5)
)
def test_configurations_of_other_kinds(told: str, tmp_path: Path) -> None:
    target = tmp_path / "c.keras"
    with zipfile.ZipFile(HERE / "hgq2_dense.keras") as source, zipfile.ZipFile(target, "w") as archive:
        for member in source.namelist():
            archive.writestr(member, told if member == "config.json" else source.read(member))
    with pytest.raises(HwqError) as caught:
        read(target)
    assert caught.value.hint


def twice(told: Any) -> None:
    layers = told["config"]["layers"]
    layers[-1]["name"] = layers[-1]["config"]["name"] = layers[0]["name"]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (twice, "hgq2_dense"),
        (option("Flatten", data_format="channels_first"), "hgq2_image"),
        (lambda told: layer_of(told, "InputLayer")["config"].update(batch_shape=[None, 10**9]), "hgq2_dense"),
        (option("QDense", iq_conf=1), "hgq2_dense"),
        (lambda told: told["config"].update(output_layers=["nobody", 0, 0]), "hgq2_dense"),
        (option("QConv2D", strides=[0, 0]), "hgq2_image"),
        (option("QConv2D", dilation_rate=[]), "hgq2_image"),
    ],
)
def test_options_that_mean_another_network(change: Callable[[Any], None], name: str, tmp_path: Path) -> None:
    refused(changed(tmp_path, change, name))


@pytest.mark.parametrize("name", ["hgq2_dense.keras", "hgq2_tables.keras", "qonnx_dense.onnx", "qonnx_qcdq.onnx"])
def test_flipped_bytes_are_errors_in_words(name: str, tmp_path: Path) -> None:
    whole = (HERE / name).read_bytes()
    rng = np.random.default_rng(0)
    target = tmp_path / name
    for place in rng.integers(0, len(whole), 150):
        target.write_bytes(whole[:place] + bytes([whole[place] ^ int(rng.integers(1, 256))]) + whole[place + 1 :])
        try:
            read(target)
        except HwqError as error:
            assert error.hint


def test_a_relu_with_a_threshold_is_strict() -> None:
    from hwq.backend import keras
    from hwq.importers.builder import Builder, Signal
    from hwq.importers.keras_files import StoredLayer
    from hwq.importers.keras_layers import READERS

    x = np.array([-2, -0.5, 0, 0.5, 1, 1.5, 3], np.float32)
    for options in ({"threshold": 1.0}, {"threshold": 1.0, "negative_slope": 0.5}, {"threshold": 0.5, "max_value": 2.0}):
        builder = Builder((7,))
        from hwq.fixed import TypeArray

        builder.input = TypeArray.of(1, np.full(7, 8), 2)
        found = READERS["ReLU"](builder, StoredLayer("r", "ReLU", options, ("x",)), [builder.start()])
        assert isinstance(found, Signal) and found.function is not None
        assert np.array_equal(found.function(x), np.asarray(keras.layers.ReLU(**options)(x))), options


def test_layers_that_join_rows() -> None:
    from hwq.importers.keras_layers import row_axis

    assert [row_axis("c", axis, 2) for axis in (1, 2, -1, -2)] == [0, 1, 1, 0]
    for axis in (0, -3, 3):
        with pytest.raises(UnsupportedLayerError):
            row_axis("c", axis, 2)
