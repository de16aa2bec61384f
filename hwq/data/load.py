"""Finding the data that a user names: a built-in set, a file, or `module:function`."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hwq.data.dataset import Dataset, split
from hwq.data.download import Notice, fetch
from hwq.errors import DataError

MNIST_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
MNIST_SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
JETS = "hls4ml_lhcjets_hlf"
SUFFIXES = (".npz", ".csv", ".parquet")
LABEL_COLUMNS = ("label", "target", "class", "y")


def load(spec: str, *, seed: int = 0, notice: Notice | None = None) -> Dataset:
    """The data set that `spec` names.

    Args:
        spec: digits, breast_cancer, wine, mnist, jets; a .npz, .csv or .parquet file; or module:function.
        seed: of the split into training, validation and test rows.
        notice: told of downloads and their progress.

    Raises:
        DataError: nothing by that name, or data that cannot be used; with a hint.
    """
    if spec in NAMED:
        return NAMED[spec](seed, notice)
    path = Path(spec)
    if path.suffix.lower() in SUFFIXES:
        return _from_file(path, seed)
    if ":" in spec:
        return _from_function(spec, seed)
    near = difflib.get_close_matches(spec, NAMED, n=1)
    hint = (
        f"did you mean {near[0]}?"
        if near
        else f"named sets: {', '.join(NAMED)}; or a {', '.join(SUFFIXES)} file; or module:function"
    )
    raise DataError(f"there is no data set {spec!r}", hint=hint)


def _sklearn(name: str) -> Callable[[int, Notice | None], Dataset]:
    def make(seed: int, notice: Notice | None) -> Dataset:
        from sklearn import datasets

        bunch = getattr(datasets, f"load_{name}")()
        x = bunch.data / 16 if name == "digits" else bunch.data
        return split(name, x, bunch.target, seed=seed, standardise=name != "digits", description=f"scikit-learn {name}")

    return make


def _mnist(seed: int, notice: Notice | None) -> Dataset:
    local = Path(os.environ.get("HWQ_DATA", "")) / "mnist.npz"
    path = (
        local
        if os.environ.get("HWQ_DATA") and local.is_file()
        else fetch(MNIST_URL, "mnist.npz", sha256=MNIST_SHA256, notice=notice)
    )
    with np.load(path) as arrays:
        x, x_test = (arrays[key].astype(np.float32) / 255 for key in ("x_train", "x_test"))
        y, y_test = arrays["y_train"], arrays["y_test"]
    return split(
        "mnist", x, y, x_test=x_test, y_test=y_test, validation=0.1, seed=seed, standardise=False, description="MNIST, 28x28"
    )


def _jets(seed: int, notice: Notice | None) -> Dataset:
    from sklearn.datasets import fetch_openml

    from hwq.data.download import cache

    if notice:
        notice(f"reading {JETS} from OpenML (about 400 MB the first time)")
    try:
        bunch = fetch_openml(JETS, version=1, data_home=str(cache()), as_frame=False, parser="liac-arff")
    except Exception as error:  # fetch_openml lets through whatever the network, the cache or the parser raise
        raise DataError(
            f"cannot get {JETS} from OpenML: {error}", hint="check the network, or give a local file: hwq train jets.npz"
        ) from error
    return split("jets", bunch.data, bunch.target, seed=seed, description="OpenML hls4ml_lhcjets_hlf, 16 features")


NAMED: dict[str, Callable[[int, Notice | None], Dataset]] = {
    "digits": _sklearn("digits"),
    "breast_cancer": _sklearn("breast_cancer"),
    "wine": _sklearn("wine"),
    "mnist": _mnist,
    "jets": _jets,
}


def _from_file(path: Path, seed: int) -> Dataset:
    if not path.is_file():
        near = difflib.get_close_matches(path.stem, NAMED, n=1)
        hint = f"did you mean the named set {near[0]}?" if near else "check the path"
        raise DataError(f"there is no file {path}", hint=hint)
    try:
        arrays = _read_npz(path) if path.suffix.lower() == ".npz" else _read_table(path)
    except DataError:
        raise
    except Exception as error:  # NumPy, pandas and Arrow raise many kinds on damaged files
        raise DataError(f"cannot read {path}: {error}", hint="is it complete, and of the kind that its name says?") from error
    return _from_arrays(path.name, arrays, seed)


def _read_npz(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as content:
        return {key: content[key] for key in content.files}


def _read_table(path: Path) -> dict[str, Any]:
    import pandas as pd

    frame = pd.read_csv(path) if path.suffix.lower() == ".csv" else pd.read_parquet(path)
    if frame.shape[1] < 2:
        raise DataError(
            f"{path}: {frame.shape[1]} column(s); expected features and a label",
            hint="the label is the last column, or one named label",
        )
    label = next((c for c in frame.columns if str(c).lower() in LABEL_COLUMNS), frame.columns[-1])
    if frame[label].isna().any():
        raise DataError(
            f"{path}: {int(frame[label].isna().sum())} rows have no label in column {label!r}", hint="drop those rows first"
        )
    features = frame.drop(columns=[label])
    text = [str(c) for c in features.columns if features[c].dtype.kind not in "biuf"]
    if text:
        raise DataError(f"{path}: column {text[0]!r} is no number", hint="drop or encode text columns first")
    return {"x": features.to_numpy(np.float32), "y": frame[label].to_numpy()}


def _from_arrays(name: str, arrays: dict[str, Any], seed: int) -> Dataset:
    keys = ("x_train", "y_train") if "x_train" in arrays else ("x", "y")
    missing = [key for key in keys if key not in arrays]
    if missing:
        raise DataError(
            f"{name} has no {missing[0]!r}; it holds {', '.join(sorted(arrays)) or 'nothing'}",
            hint="give x and y, or x_train, y_train",
        )
    if ("x_test" in arrays) != ("y_test" in arrays):
        raise DataError(f"{name} has only one of x_test and y_test", hint="give both, or neither")
    return split(name, arrays[keys[0]], arrays[keys[1]], x_test=arrays.get("x_test"), y_test=arrays.get("y_test"), seed=seed)


def resolve(spec: str) -> Callable[..., Any]:
    """The function that `module:function` names; the current folder is searched as Python does for scripts.

    Raises:
        DataError: no such module or function.
    """
    module_name, _, function_name = spec.partition(":")
    added = str(Path.cwd())
    sys.path.insert(0, added)
    try:
        function = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, ValueError) as error:
        raise DataError(f"cannot import {module_name!r}: {error}", hint="the current folder and PYTHONPATH are searched") from error
    except AttributeError as error:
        raise DataError(f"{module_name} has no function {function_name!r}") from error
    finally:
        sys.path.remove(added)
    if not callable(function):
        raise DataError(f"{spec} is no function")
    return function  # type: ignore[no-any-return]


def _from_function(spec: str, seed: int) -> Dataset:
    function = resolve(spec)
    try:
        result = function()
    except Exception as error:  # the user's own code may raise anything
        raise DataError(f"{spec} failed: {type(error).__name__}: {error}", hint="it is called without arguments") from error
    if isinstance(result, Dataset):
        return result
    if isinstance(result, tuple) and len(result) == 2:
        result = {"x": result[0], "y": result[1]}
    if not isinstance(result, dict):
        raise DataError(
            f"{spec} returned {type(result).__name__}", hint="return (x, y), or a dict with x_train, y_train, x_test, y_test"
        )
    return _from_arrays(spec, result, seed)
