"""Keras files as data: the configuration of every layer, and its arrays. No class of the file is looked up, no object is made of it."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hwq.errors import ModelError, UnsupportedLayerError, one_line
from hwq.ir import fresh_name
from hwq.tensors import Numbers

StoredConfig = Mapping[str, Any]
MOST_BYTES = 1 << 31  # of a file's arrays, unpacked
MOST_CONFIG = 1 << 26  # bytes of the configuration, unpacked
REAL = "fiub"  # kinds of NumPy types that are real numbers
_QUANTIZER = re.compile(r"/quantizer(_\d+)?/")


@dataclass(frozen=True, slots=True)
class StoredLayer:
    """One layer.

    Attributes:
        name, kind: its name, and its class without the package.
        config: its options.
        sources: names of the layers that it reads, in order.
        arrays: path below the layer -> array, in the order of the file.
        by_name: whether the last part of a path is the variable's name; else its number.
        shape: of the rows that it was built for, without the batch; None where the file does not say.
    """

    name: str
    kind: str
    config: StoredConfig
    sources: tuple[str, ...]
    arrays: Mapping[str, Numbers] = field(default_factory=dict)
    by_name: bool = False
    shape: tuple[int, ...] | None = None

    def variables(self, names: Sequence[str]) -> dict[str, Numbers]:
        """The layer's own arrays by name.

        Args:
            names: all of them but scalars, in the order in which the layer makes them.

        Raises:
            ModelError: the file has others, or such as are no real numbers.
        """
        if self.by_name:
            # a quantiser's arrays have its name before them: they are the longer paths
            found = {path.rsplit("/", 1)[-1].split(":")[0]: array for path, array in self.arrays.items() if not self._of_part(path)}
            return {name: self._real(name, self._array(found, name)) for name in names}
        own = _numbered(self.arrays, "vars/")
        own = [array for array in own if array.ndim]  # scalars: what the peer prices a layer by
        if len(own) != len(names):
            raise ModelError(
                f"layer {self.name!r} ({self.kind}) has {len(own)} arrays in the file, {', '.join(names)} are expected"
            )
        return {name: self._real(name, array) for name, array in zip(names, own, strict=True)}

    def below(self, part: str) -> StoredLayer:
        """A part of the layer with arrays of its own, for example `bn_module`."""
        inner = {path[len(part) + 1 :]: array for path, array in self.arrays.items() if path.startswith(part + "/")}
        return StoredLayer(f"{self.name}/{part}", part, {}, (), inner, self.by_name)

    def quantizer(self, part: str) -> list[dict[str, Numbers]]:
        """The arrays of a quantiser, `iq` for example, by name where the file has names, else numbered; one entry for each input."""
        if self.by_name:
            groups: dict[str, dict[str, Numbers]] = {}
            for path, array in self.arrays.items():
                if f"/{self.name}_{part}/" in f"/{path}":
                    where, _, last = path.rpartition("/")
                    groups.setdefault(where, {})[last.split(":")[0]] = self._real(part, array)
            return list(groups.values())
        found: dict[str, dict[str, Numbers]] = {}
        for path, array in self.arrays.items():
            if path.startswith(part + "/"):
                where, _, number = path.rpartition("/vars/")
                found.setdefault(where, {})[number] = self._real(part, array)
        ordered = sorted(found, key=lambda where: [int(n) for n in re.findall(r"quantizer_(\d+)", where)])
        return [found[where] for where in ordered]

    def _real(self, name: str, array: Numbers) -> Numbers:
        """Raises ModelError: texts, complex numbers, or anything else that NumPy would make numbers of."""
        if array.dtype.kind not in REAL:
            raise ModelError(
                f"layer {self.name!r} ({self.kind}) holds {array.dtype} as its {name}, not real numbers", hint="is the file whole?"
            )
        return array

    def _of_part(self, path: str) -> bool:
        return any(f"/{self.name}_{part}/" in f"/{path}" for part in ("iq", "kq", "bq", "oq", "toq"))

    def _array(self, found: Mapping[str, Numbers], name: str) -> Numbers:
        if name not in found:
            raise ModelError(f"layer {self.name!r} ({self.kind}) has no array {name!r} in the file")
        return found[name]


@dataclass(frozen=True, slots=True)
class KerasFile:
    """A network of a file.

    Attributes:
        layers: in the file's order.
        outputs: names of the layers whose results are the network's.
        packages: the Python packages that its classes are from, for example {"keras", "hgq"}.
    """

    layers: tuple[StoredLayer, ...]
    outputs: tuple[str, ...]
    packages: frozenset[str]


def is_keras(path: Path) -> bool:
    """Whether a file is a Keras archive or an HDF5 file with a network in it, by its content."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return {"config.json", "model.weights.h5"} <= set(archive.namelist())
    with path.open("rb") as opened:
        return opened.read(8) == b"\x89HDF\r\n\x1a\n"


def kinds_of(config: object) -> frozenset[str]:
    """Every class that a configuration names, without its package."""
    found: set[str] = set()
    pending = [config]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            if isinstance(item.get("class_name"), str):
                found.add(item["class_name"].rsplit(">", 1)[-1])
            pending += item.values()
        elif isinstance(item, list):
            pending += item
    return frozenset(found)


def packages_of(config: object) -> frozenset[str]:
    """First parts of the modules that a configuration names its classes by."""
    found: set[str] = set()
    pending = [config]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            for key in ("module", "registered_name", "class_name"):
                text = item.get(key)
                if isinstance(text, str) and (key == "module" or ">" in text):
                    found.add(re.split(r"[.>]", text)[0])
            pending += item.values()
        elif isinstance(item, list):
            pending += item
    return frozenset(found)


def config_of(path: Path) -> StoredConfig:
    """The configuration of a file's network.

    Raises:
        ModelError: there is none, or a huge one. Of a damaged file any error of json, zipfile or h5py (`hwq.importers.registry`).
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("config.json").file_size > MOST_CONFIG:
                raise ModelError(f"{path} has a configuration of more than {MOST_CONFIG >> 20} MiB")
            return _mapping(json.loads(archive.read("config.json")))
    import h5py

    with h5py.File(path, "r") as opened:
        if "model_config" not in opened.attrs:
            raise ModelError(f"{path} holds weights, and no network", hint="save the whole model: model.save('net.keras')")
        return _mapping(json.loads(opened.attrs["model_config"]))


def read_keras(path: Path) -> KerasFile:
    """A file's layers, with their arrays.

    Raises:
        ModelError: it holds more than a network. Of a damaged file any error of json, zipfile or h5py (`hwq.importers.registry`).
        UnsupportedLayerError: models within the model, several inputs, or a layer that is called twice.
    """
    return _network(config_of(path), *_arrays(path))


def _network(config: StoredConfig, arrays: Mapping[str, Numbers], by_name: bool) -> KerasFile:
    inner = _mapping(config["config"])
    kind = config["class_name"]
    if kind not in ("Functional", "Sequential", "Model"):
        raise UnsupportedLayerError(
            f"the network is a {one_line(str(kind))}, whose layers the file does not list",
            hint="save it as a functional or sequential model",
        )
    layers: list[StoredLayer] = []
    used: dict[str, int] = {}
    for told in inner["layers"]:
        own = _mapping(told["config"])
        raw = str(told.get("name") or own["name"])
        name = one_line(raw)
        if any(name == layer.name for layer in layers):
            raise ModelError(f"two layers have the name {name!r}", hint="give each layer a name of its own")
        cls = one_line(str(told["class_name"]).rsplit(">", 1)[-1])
        if cls in ("Functional", "Sequential", "Model"):
            raise UnsupportedLayerError(f"layer {name!r} is a model within the model", hint="save the layers of one flat model")
        if kind == "Sequential":
            sources: tuple[str, ...] = (layers[-1].name,) if layers else ()
        else:
            sources = _sources(name, told.get("inbound_nodes", []))
        prefix = f"{raw}/" if by_name else f"layers/{_place(cls, used)}/"
        mine = {path[len(prefix) :]: array for path, array in arrays.items() if path.startswith(prefix)}
        built = told.get("build_config") or {}
        layers.append(StoredLayer(name, cls, own, sources, mine, by_name, _row(built.get("input_shape"))))
    if kind == "Sequential":
        shape = (config.get("build_config") or {}).get("input_shape") or inner.get("build_input_shape")
        if layers[0].kind != "InputLayer":
            start = fresh_name("input", {layer.name for layer in layers})
            first = StoredLayer(start, "InputLayer", {"batch_shape": shape or own_shape(layers[0])}, ())
            layers = [first, StoredLayer(*_with_source(layers[0], start)), *layers[1:]]
        outputs: tuple[str, ...] = (layers[-1].name,)
    else:
        told_outputs = inner["output_layers"]
        ends = told_outputs if told_outputs and isinstance(told_outputs[0], list) else [told_outputs]
        outputs = tuple(one_line(str(end[0])) for end in ends)
    return KerasFile(tuple(layers), outputs, packages_of(config))


def own_shape(layer: StoredLayer) -> Any:
    """What a first layer says of the shape of rows."""
    return layer.config.get("batch_input_shape") or layer.config.get("batch_shape")


def _with_source(layer: StoredLayer, source: str) -> tuple[Any, ...]:
    return layer.name, layer.kind, layer.config, (source,), layer.arrays, layer.by_name, layer.shape


def _row(shape: Any) -> tuple[int, ...] | None:
    if isinstance(shape, list) and len(shape) > 1 and all(isinstance(n, int) for n in shape[1:]):
        return tuple(shape[1:])
    return None


def _sources(name: str, nodes: Sequence[Any]) -> tuple[str, ...]:
    """The layers that a layer reads, of both generations of the format.

    Raises:
        UnsupportedLayerError: it is called more than once.
    """
    if len(nodes) > 1:
        raise UnsupportedLayerError(f"layer {name!r} is called {len(nodes)} times", hint="use a layer for each call")
    if not nodes:
        return ()
    found: list[str] = []
    pending = [nodes[0]["args"] if isinstance(nodes[0], dict) else nodes[0]]
    while pending:
        item = pending.pop(0)
        if isinstance(item, dict):
            if item.get("class_name") == "__keras_tensor__":
                found.append(one_line(str(item["config"]["keras_history"][0])))
        elif isinstance(item, list):
            if len(item) >= 3 and isinstance(item[0], str) and all(isinstance(n, int) for n in item[1:3]):
                found.append(one_line(item[0]))
            else:
                pending = [*item, *pending]
    return tuple(found)


def _place(kind: str, used: dict[str, int]) -> str:
    """The folder of a layer's arrays: its class in snake case, numbered from the second one on."""
    name = re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", kind))).lower()
    count = used.get(name, 0)
    used[name] = count + 1
    return f"{name}_{count}" if count else name


def _numbered(arrays: Mapping[str, Numbers], prefix: str) -> list[Numbers]:
    found = {int(path[len(prefix) :]): a for path, a in arrays.items() if path.startswith(prefix) and path[len(prefix) :].isdigit()}
    return [found[n] for n in sorted(found)]


def _arrays(path: Path) -> tuple[dict[str, Numbers], bool]:
    """(path -> array, whether the paths end in names)."""
    import h5py

    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("model.weights.h5").file_size > MOST_BYTES:
                raise ModelError(f"{path} has more than {MOST_BYTES >> 30} GiB of weights")
            packed: Any = io.BytesIO(archive.read("model.weights.h5"))
            by_name = False
    else:
        packed, by_name = path, True
    found: dict[str, Numbers] = {}
    with h5py.File(packed, "r") as opened:
        top = opened["model_weights"] if by_name else opened

        def visit(name: str, item: object) -> None:
            if not isinstance(item, h5py.Dataset) or name.startswith("optimizer"):
                return
            if item.external or item.is_virtual:  # its bytes would come from any file of this machine
                raise ModelError(f"{path} keeps {name} in another file", hint="save the model with its weights inside")
            if int(item.nbytes) + sum(array.nbytes for array in found.values()) > MOST_BYTES:
                raise ModelError(f"{path} has more than {MOST_BYTES >> 30} GiB of weights")
            found[name] = np.asarray(item)

        top.visititems(visit)
    return found, by_name


def _mapping(value: object) -> StoredConfig:
    """Raises TypeError: it is none."""
    if not isinstance(value, dict):
        raise TypeError(f"expected an object, found {type(value).__name__}")
    return value
