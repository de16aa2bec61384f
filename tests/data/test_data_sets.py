"""Named sets, files and functions become the same kind of data set; bad ones are refused in one line with a hint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hwq.data import Dataset, load
from hwq.errors import DataError

RNG = np.random.default_rng(7)
X = RNG.normal(size=(60, 3)) * [1, 10, 1000] + [0, 5, -300]
Y = np.repeat([0, 1, 2], 20)


def refused(spec: str) -> DataError:
    """The error, which must be one line and have a hint of one line."""
    with pytest.raises(DataError) as caught:
        load(spec, seed=0)
    assert "\n" not in caught.value.message
    assert caught.value.exit_code == 3
    return caught.value


def npz(folder: Path, **arrays: Any) -> str:
    np.savez(folder / "data.npz", **arrays)
    return str(folder / "data.npz")


def csv(folder: Path, text: str) -> str:
    (folder / "data.csv").write_text(text)
    return str(folder / "data.csv")


def shares(labels: np.ndarray, n_classes: int) -> np.ndarray:
    return np.bincount(labels, minlength=n_classes) / len(labels)


class TestNamedSets:
    @pytest.mark.parametrize(
        ("name", "rows", "shape", "classes"),
        [("digits", 1797, (64,), 10), ("breast_cancer", 569, (30,), 2), ("wine", 178, (13,), 3)],
    )
    def test_parts_are_stratified_and_whole(self, name: str, rows: int, shape: tuple[int, ...], classes: int) -> None:
        data = load(name, seed=3)
        parts = [(data.x_train, data.y_train), (data.x_val, data.y_val), (data.x_test, data.y_test)]
        assert sum(len(x) for x, _ in parts) == rows
        assert (data.shape, data.n_classes, data.name) == (shape, classes, name)
        whole = np.concatenate([y for _, y in parts])
        for x, y in parts:
            assert (x.dtype, y.dtype, len(x)) == (np.float32, np.int64, len(y))
            assert np.isfinite(x).all()
            np.testing.assert_allclose(shares(y, classes), shares(whole, classes), atol=1.5 / len(y))

    def test_digits_are_sixteenths_and_every_image_is_used_once(self) -> None:
        from sklearn.datasets import load_digits

        data = load("digits", seed=0)
        rows = np.concatenate([data.x_train, data.x_val, data.x_test])
        assert rows.min() == 0
        assert rows.max() == 1
        mine, theirs = (sorted(map(bytes, (r * 16).astype(np.uint8))) for r in (rows, load_digits().data / 16))
        assert mine == theirs

    def test_the_split_follows_the_seed(self) -> None:
        assert load("digits", seed=1).digest == load("digits", seed=1).digest
        assert load("digits", seed=1).digest != load("digits", seed=2).digest
        assert len(load("digits", seed=1).digest) == 16

    def test_standardised_by_the_training_rows_alone(self) -> None:
        data = load("wine", seed=0)
        np.testing.assert_allclose(data.x_train.mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(data.x_train.std(axis=0), 1, atol=1e-5)
        assert np.abs(data.x_test.mean(axis=0)).max() > 1e-3

    def test_a_misspelt_name(self) -> None:
        error = refused("digit")
        assert (error.message, error.hint) == ("there is no data set 'digit'", "did you mean digits?")
        assert "digits, breast_cancer, wine, mnist, jets" in str(refused("zzzz").hint)


class TestFiles:
    @pytest.mark.parametrize("suffix", ["npz", "csv", "parquet"])
    def test_all_kinds_give_the_same(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"data.{suffix}"
        frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(kind=Y)
        if suffix == "npz":
            np.savez(path, x=X, y=Y)
        elif suffix == "csv":
            frame.to_csv(path, index=False)
        else:
            frame.to_parquet(path)
        data = load(str(path), seed=5)
        assert data.n_classes == 3
        np.savez(tmp_path / "reference.npz", x=X, y=Y)
        assert data.digest == load(str(tmp_path / "reference.npz"), seed=5).digest

    def test_given_parts_are_kept(self, tmp_path: Path) -> None:
        x, y = X.astype(np.float32), Y
        data = load(npz(tmp_path, x_train=x, y_train=y, x_val=x[::3], y_val=y[::3], x_test=x[:25], y_test=y[:25]), seed=0)
        np.testing.assert_array_equal(data.y_val, y[::3])
        np.testing.assert_array_equal(data.y_test, y[:25])
        assert len(data.x_train) == 60
        wide = (x.astype(np.float64) - x.mean(axis=0, dtype=np.float64)) / x.std(axis=0, dtype=np.float64)
        np.testing.assert_array_equal(data.x_test, wide.astype(np.float32)[:25])
        only_test = load(npz(tmp_path, x_train=x, y_train=y, x_test=x[:25], y_test=y[:25]), seed=0)
        assert (len(only_test.x_train), len(only_test.x_val)) == (48, 12)

    def test_text_labels_have_one_numbering_in_all_parts(self, tmp_path: Path) -> None:
        names = np.array(["cat", "dog", "eel"])[Y]
        data = load(npz(tmp_path, x_train=X, y_train=names, x_test=X[30:], y_test=names[30:]), seed=0)
        np.testing.assert_array_equal(data.y_test, Y[30:])  # no cat among them, yet dog stays 1

    def test_one_hot_boolean_and_column_labels(self, tmp_path: Path) -> None:
        plain = load(npz(tmp_path, x=X, y=Y), seed=0).digest
        assert load(npz(tmp_path, x=X, y=np.eye(3)[Y]), seed=0).digest == plain
        assert load(npz(tmp_path, x=X, y=Y[:, None]), seed=0).digest == plain
        assert load(npz(tmp_path, x=X, y=Y.astype(np.float32)), seed=0).digest == plain
        assert load(npz(tmp_path, x=X, y=Y > 0), seed=0).n_classes == 2

    def test_images_keep_their_shape(self, tmp_path: Path) -> None:
        images = RNG.integers(0, 256, (60, 4, 5), dtype=np.uint8)
        assert load(npz(tmp_path, x=images, y=Y), seed=0).shape == (4, 5)

    def test_a_constant_feature_does_not_divide_by_zero(self, tmp_path: Path) -> None:
        data = load(npz(tmp_path, x=np.c_[X, np.full(60, 9.5)], y=Y), seed=0)
        assert (data.x_train[:, 3] == 0).all()

    def test_a_named_label_column_wins_over_the_last(self, tmp_path: Path) -> None:
        rows = "\n".join(f"{'no' if i % 2 else 'yes'},{i},{i * 2}" for i in range(40))
        data = load(csv(tmp_path, "Label,a,b\n" + rows), seed=0)
        assert (data.n_classes, data.shape) == (2, (2,))

    def test_a_csv_file_without_header_keeps_its_first_row(self, tmp_path: Path) -> None:
        rows = "\n".join(f"{i}.5,{i * 2},{i % 2}" for i in range(40))
        data = load(csv(tmp_path, rows), seed=0)
        assert len(data.x_train) + len(data.x_val) + len(data.x_test) == 40
        counted = load(csv(tmp_path, "0,1,2\n" + rows), seed=0)
        assert len(counted.x_train) + len(counted.x_val) + len(counted.x_test) == 40

    def test_whole_numbers_with_gaps_in_pandas_types(self, tmp_path: Path) -> None:
        frame = pd.DataFrame({"a": pd.array(range(40), dtype="Int64"), "y": pd.Categorical(["u", "v"] * 20)})
        frame.to_parquet(tmp_path / "data.parquet")
        assert load(str(tmp_path / "data.parquet"), seed=0).n_classes == 2


class TestBadFiles:
    def test_missing(self, tmp_path: Path) -> None:
        assert "there is no file" in refused(str(tmp_path / "nothing.csv")).message
        assert refused("digits.npz").hint == "did you mean the named set digits?"

    @pytest.mark.parametrize("suffix", ["npz", "csv", "parquet"])
    @pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe garbage" * 20, b"PK\x03\x04 cut short"])
    def test_damaged(self, tmp_path: Path, suffix: str, content: bytes) -> None:
        path = tmp_path / f"data.{suffix}"
        path.write_bytes(content)
        error = refused(str(path))
        assert str(path) in error.message
        assert error.hint

    def test_a_cut_archive(self, tmp_path: Path) -> None:
        path = Path(npz(tmp_path, x=X, y=Y))
        path.write_bytes(path.read_bytes()[:-300])
        assert "cannot read" in refused(str(path)).message

    def test_pickled_objects_are_not_run(self, tmp_path: Path) -> None:
        assert "cannot read" in refused(npz(tmp_path, x=np.array([{}] * 60, dtype=object), y=Y)).message

    def test_nan_names_the_column_and_counts_the_rows(self, tmp_path: Path) -> None:
        x = X.copy()
        x[[3, 9], 1] = np.nan
        x[4, 2] = np.inf
        assert "NaN or infinity in 3 rows, first in feature 1" in refused(npz(tmp_path, x=x, y=Y)).message
        frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(label=Y)
        frame.loc[[3, 9], "b"] = np.nan
        frame.to_csv(tmp_path / "data.csv", index=False)
        assert "in 2 rows, first in column 'b'" in refused(str(tmp_path / "data.csv")).message

    def test_numbers_beyond_float32(self, tmp_path: Path) -> None:
        assert "infinity in 60 rows" in refused(npz(tmp_path, x=X + 1e39, y=Y)).message

    def test_nan_in_the_test_part(self, tmp_path: Path) -> None:
        x_test = np.full((4, 3), np.nan)
        error = refused(npz(tmp_path, x_train=X, y_train=Y, x_test=x_test, y_test=Y[:4]))
        assert "test part: NaN" in error.message

    @pytest.mark.parametrize(
        ("label", "told"),
        [
            (-1, "label -1 in row 17 is out of range 0..2"),
            (10**12, f"label {10**12} in row 17 is out of range 0..59"),
            (0.5, "whole numbers or texts"),
        ],
    )
    def test_labels_that_are_no_classes(self, tmp_path: Path, label: float, told: str) -> None:
        y = Y.astype(np.float64) if isinstance(label, float) else Y.astype(np.int64)
        y[17] = label
        assert told in refused(npz(tmp_path, x=X, y=y)).message

    def test_a_test_label_that_training_has_not(self, tmp_path: Path) -> None:
        error = refused(npz(tmp_path, x_train=X, y_train=Y, x_test=X[:4], y_test=np.array([0, 1, 3, 2])))
        assert "test part: label 3 in row 2 is out of range 0..2" in error.message

    @pytest.mark.parametrize("y", [np.full(60, np.nan), Y.astype(complex), np.full(60, np.datetime64("2020-01-01"))])
    def test_labels_of_strange_kinds(self, tmp_path: Path, y: np.ndarray) -> None:
        assert "labels must be whole numbers" in refused(npz(tmp_path, x=X, y=y)).message

    @pytest.mark.parametrize(
        ("arrays", "told"),
        [
            ({"x": X, "y": Y[:-1]}, "60 rows but labels of shape (59,)"),
            ({"x": X, "y": np.zeros((60, 2))}, "labels of shape (60, 2)"),
            ({"x": X[:, 0], "y": Y}, "got an array of shape (60,)"),
            ({"x": X[:0], "y": Y[:0]}, "got an array of shape (0, 3)"),
            ({"x": X.astype(str).reshape(60, 3), "y": Y[::-1], "z": Y}, None),
            ({"x": np.array([["a"]] * 60), "y": Y}, "the features are no numbers"),
            ({"x": X * 1j, "y": Y}, "the features are no numbers"),
            ({"rows": X, "y": Y}, "has no 'x'; it holds rows, y"),
            ({"x_train": X}, "has no 'y_train'"),
            ({}, "it holds nothing"),
            ({"x": X, "y": Y, "x_test": X}, "only one of x_test and y_test"),
            ({"x": X, "y": Y, "y_val": Y}, "only one of x_val and y_val"),
            ({"x": X, "y": Y, "x_test": X[:, :2], "y_test": Y}, "rows of shape (2,), but training rows of shape (3,)"),
            ({"x": X, "y": np.zeros(60, int)}, "all 60 rows are of one class, 0; a classifier needs at least two"),
            ({"x": X, "y": np.r_[Y[:-4], [3] * 4]}, "class 3 has 4 rows"),
            ({"x": X, "y": Y + 1}, "class 0 has 0 rows"),
        ],
        ids=lambda v: None if not isinstance(v, str) else v[:30],
    )
    def test_arrays_that_do_not_fit(self, tmp_path: Path, arrays: dict[str, np.ndarray], told: str | None) -> None:
        if told is None:  # numbers written as text are numbers
            assert load(npz(tmp_path, **arrays), seed=0).n_classes == 3
        else:
            assert told in refused(npz(tmp_path, **arrays)).message

    def test_too_few_rows_for_so_many_classes(self, tmp_path: Path) -> None:
        error = refused(npz(tmp_path, x=RNG.normal(size=(50, 2)), y=np.repeat(np.arange(10), 5)))
        assert "40 rows of 10 classes are too few" in error.message

    def test_tables_without_numbers_or_labels(self, tmp_path: Path) -> None:
        rows = "\n".join(f"{i},red,{i % 2}" for i in range(40))
        assert "column 'colour' is no number" in refused(csv(tmp_path, "a,colour,y\n" + rows)).message
        assert "1 column(s)" in refused(csv(tmp_path, "a\n1\n2\n")).message
        assert "2 rows have no label in column 'y'" in refused(csv(tmp_path, "a,y\n1,\n2,0\n3,\n")).message
        assert refused(csv(tmp_path, "a,y\n"))


class TestFunctions:
    @pytest.fixture(autouse=True)
    def module(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "my_data_sets.py").write_text(
            "import numpy as np\n"
            "from hwq.data import Dataset, load\n"
            "x, y = np.arange(180.0).reshape(60, 3), np.repeat([0, 1, 2], 20)\n"
            "def pair(): return x, y\n"
            "def parts(): return dict(x_train=x, y_train=y, x_test=x[:9], y_test=y[:9])\n"
            "def ready(): return load('wine', seed=0)\n"
            "def spoilt():\n"
            "    d = load('wine', seed=0)\n"
            "    return Dataset('w', d.x_train * np.nan, d.y_train, d.x_val, d.y_val, d.x_test, d.y_test, 3)\n"
            "def fails(): raise RuntimeError('no disk\\nat all')\n"
            "def nothing(): pass\n"
            "number = 3\n"
        )
        (tmp_path / "my_broken_module.py").write_text("def f(:\n")
        monkeypatch.chdir(tmp_path)

    def test_what_may_be_returned(self) -> None:
        assert load("my_data_sets:pair", seed=0).n_classes == 3
        assert len(load("my_data_sets:parts", seed=0).y_test) == 9
        assert isinstance(load("my_data_sets:ready", seed=0), Dataset)

    @pytest.mark.parametrize(
        ("spec", "told"),
        [
            ("my_data_sets:spoilt", "x_train: NaN or infinity"),
            ("my_data_sets:fails", "RuntimeError: no disk"),
            ("my_data_sets:nothing", "returned NoneType"),
            ("my_data_sets:number", "has no function 'number'"),
            ("my_data_sets:pare", "has no function 'pare'"),
            ("my_data_sets:", "has no function ''"),
            ("no_such_module_here:f", "cannot import 'no_such_module_here'"),
            ("my_broken_module:f", "cannot import 'my_broken_module'"),
            (":f", "cannot import ''"),
        ],
    )
    def test_what_may_not(self, spec: str, told: str) -> None:
        error = refused(spec)
        assert told in error.message
        assert error.hint
