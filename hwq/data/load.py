"""Finding the data that a user names: a built-in set, a file, or `module:function`."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hwq.data.dataset import Dataset, Raw, checked, split
from hwq.data.download import fetch, local
from hwq.data.openml import JETS, JETS_ID, openml
from hwq.data.targets import split_targets, task_of
from hwq.data.task import Asked
from hwq.data.user_files import SUFFIXES, read, read_table
from hwq.errors import DataError
from hwq.events import Notice, quiet

MNIST_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
MNIST_SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
CLASSIFY = Asked()


def load(
    spec: str,
    *,
    seed: int = 0,
    notice: Notice = quiet,
    digest: str | None = None,
    scaled: bool = True,
    asked: Asked = CLASSIFY,
) -> Dataset:
    """The data set that `spec` names.

    Args:
        spec: digits, breast_cancer, wine, mnist, jets; a .npz, .csv, .tsv or .parquet file; or module:function.
        seed: of the split into training, validation and test rows.
        notice: told of downloads and their progress, and of what was decided about a file's columns.
        digest: of the data that is expected: where the same rows have it when they are prepared as hwq 0.1.0 did, they are.
        scaled: False takes the rows as they are: those of a network that was trained elsewhere.
        asked: what is to be learned, and which columns say it.

    Raises:
        DataError: nothing by that name, or data that cannot be used; with a hint.
    """
    found, file = _read(spec, notice, asked)
    if isinstance(found, Dataset):
        return checked(found) if found.task.name == "classes" else found
    for line in found.notes:
        notice(f"{found.name}: {line}")
    if not scaled and found.scale is None:
        found = replace(found, scale=1.0)
    asked = replace(asked, task=task_of(found.y)) if asked.task == "auto" else asked
    if asked.task != "classes":
        return replace(split_targets(found, asked, seed=seed), file=file)
    data = split(found, seed=seed, asked=asked)
    if digest not in (None, data.digest):
        earlier = split(found, seed=seed, rounded=True, asked=asked)
        data = earlier if earlier.digest == digest else data
    return replace(data, file=file)


def _read(spec: str, notice: Notice, asked: Asked) -> tuple[Raw | Dataset, str]:
    """What `spec` names, and the file that it is."""
    if spec in NAMED:
        return NAMED[spec](notice), ""
    path = Path(spec)
    if path.suffix.lower() in SUFFIXES:
        return _from_file(path, asked), str(path.resolve())
    if is_function(spec):
        return _from_function(spec, asked), ""
    near = difflib.get_close_matches(spec, NAMED, n=1)
    hint = (
        f"did you mean {near[0]}?"
        if near
        else f"named sets: {', '.join(NAMED)}; or a {', '.join(SUFFIXES)} file; or module:function"
    )
    if path.is_file():
        hint = f"a file must end in {', '.join(SUFFIXES)}"
    raise DataError(f"there is no data set {spec!r}", hint=hint)


def _sklearn(name: str) -> Callable[[Notice], Raw]:
    def make(notice: Notice) -> Raw:
        from sklearn import datasets

        bunch = getattr(datasets, f"load_{name}")()
        return Raw(
            name,
            bunch.data,
            bunch.target,
            features=tuple(map(str, bunch.feature_names)),
            classes=tuple(map(str, bunch.target_names)),
            scale=16.0 if name == "digits" else None,
            description=f"scikit-learn {name}",
        )

    return make


def _mnist(notice: Notice) -> Raw:
    path = local("mnist.npz") or fetch(MNIST_URL, "mnist.npz", sha256=MNIST_SHA256, notice=notice)
    arrays = read(path)
    missing = [key for key in ("x_train", "y_train", "x_test", "y_test") if key not in arrays]
    if missing:
        raise DataError(f"{path} is not the MNIST file: it has no {missing[0]!r}", hint=f"the file is {MNIST_URL}")
    x, y, x_test, y_test = (arrays[key] for key in ("x_train", "y_train", "x_test", "y_test"))
    return Raw("mnist", x, y, x_test=x_test, y_test=y_test, validation=0.1, scale=255.0, description="MNIST, 28x28")


def _jets(notice: Notice) -> Raw:
    table = openml(JETS_ID, JETS, notice=notice)
    return Raw("jets", table.x, table.y, features=table.features, description="OpenML hls4ml_lhcjets_hlf, 16 features")


NAMED: dict[str, Callable[[Notice], Raw]] = {
    "digits": _sklearn("digits"),
    "breast_cancer": _sklearn("breast_cancer"),
    "wine": _sklearn("wine"),
    "mnist": _mnist,
    "jets": _jets,
}


def _from_file(path: Path, asked: Asked) -> Raw:
    if path.is_dir():
        raise DataError(f"{path} is a folder, not a file of data", hint=_inside(path))
    if not path.is_file():
        near = difflib.get_close_matches(path.stem, NAMED, n=1)
        hint = f"did you mean the named set {near[0]}?" if near else _neighbours(path)
        raise DataError(f"there is no file {path}", hint=hint)
    if path.suffix.lower() == ".npz":
        return _from_arrays(path.name, read(path), asked)
    t = read_table(path, asked)
    return Raw(path.name, t.x, t.y, features=t.features, label=t.label, left_out=t.left_out, notes=t.notes, w=t.weights)


def _inside(folder: Path) -> str:
    there = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    return f"it holds {', '.join(there[:3])}: name one of them" if there else f"name a file: {', '.join(SUFFIXES)}"


def _neighbours(path: Path) -> str:
    """What is there in place of a missing file."""
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    there = sorted(p.name for p in path.parent.iterdir() if p.suffix.lower() in SUFFIXES)
    near = difflib.get_close_matches(path.name, there, n=1)
    return f"did you mean {path.parent / near[0]}?" if near else "check the path"


def _from_arrays(name: str, arrays: dict[str, Any], asked: Asked) -> Raw:
    if asked.task == "reconstruction":  # the rows are their own targets: labels are for the test
        arrays = {**{f"y{key[1:]}": np.zeros(len(rows)) for key, rows in arrays.items() if key.split("_")[0] == "x"}, **arrays}
    if asked.labels:
        raise DataError(f"{name} has no columns", hint="label columns are those of a table; arrays are x and y")
    if asked.weights and asked.weights not in arrays:
        raise DataError(f"{name} has no {asked.weights!r}", hint=f"it holds {', '.join(sorted(arrays))}")
    keys = ("x_train", "y_train") if "x_train" in arrays else ("x", "y")
    missing = [key for key in keys if key not in arrays]
    if missing:
        raise DataError(
            f"{name} has no {missing[0]!r}; it holds {', '.join(sorted(arrays)) or 'nothing'}",
            hint="give x and y, or x_train, y_train",
        )
    for part in ("val", "test"):
        if (f"x_{part}" in arrays) != (f"y_{part}" in arrays):
            raise DataError(f"{name} has only one of x_{part} and y_{part}", hint="give both, or neither")
    ignored = [key for key in ("x", "y") if key in arrays and keys[0] != "x"]
    notes = (f"{' and '.join(ignored)} left out: there are x_train and y_train",) if ignored else ()
    given = {key: arrays[key] for key in ("x_val", "y_val", "x_test", "y_test") if key in arrays}
    return Raw(name, arrays[keys[0]], arrays[keys[1]], **given, notes=notes, w=arrays[asked.weights] if asked.weights else None)


def is_function(spec: str) -> bool:
    """Whether `load` would run code for it: a `module:function`, and neither a named set nor a file."""
    return ":" in spec and spec not in NAMED and Path(spec).suffix.lower() not in SUFFIXES


def resolve(spec: str) -> Callable[..., Any]:
    """The function that `module:function` names; the current folder is searched as Python does for scripts.

    Raises:
        DataError: no such module or function.
    """
    module_name, _, function_name = spec.partition(":")
    added = str(Path.cwd())
    sys.path.insert(0, added)
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit, GeneratorExit) as error:  # the user's own code may raise anything, also while it is imported
        told = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(f"cannot import {module_name!r}: {told}", hint="the current folder and PYTHONPATH are searched") from error
    finally:
        sys.path.remove(added)
    function = getattr(module, function_name, None)
    if not callable(function):
        near = difflib.get_close_matches(function_name, [n for n in dir(module) if callable(getattr(module, n))], n=1)
        raise DataError(
            f"{module_name} has no function {function_name!r}",
            hint=f"did you mean {near[0]}?" if near else f"define it in {module_name}",
        )
    return function  # type: ignore[no-any-return]


def _from_function(spec: str, asked: Asked) -> Raw | Dataset:
    function = resolve(spec)
    try:
        result = function()
    except (Exception, SystemExit, GeneratorExit) as error:  # the user's own code may raise anything, and may ask to leave
        told = next(iter(str(error).splitlines()), "")
        raise DataError(f"{spec} failed: {type(error).__name__}: {told}", hint="it is called without arguments") from error
    if isinstance(result, Dataset):
        return result
    if isinstance(result, tuple) and len(result) == 2:
        result = {"x": result[0], "y": result[1]}
    if not isinstance(result, dict):
        raise DataError(
            f"{spec} returned {type(result).__name__}", hint="return (x, y), or a dict with x_train, y_train, x_test, y_test"
        )
    return _from_arrays(spec, result, asked)
