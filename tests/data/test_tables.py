"""Tables as people have them: which column is the label, what is an index, how a text file is written; and every choice is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hwq.data import Dataset, load
from hwq.errors import DataError

RNG = np.random.default_rng(3)
ROWS = 60
LABEL = np.arange(ROWS) % 2


def read(path: Path, text: str | None = None) -> tuple[Dataset, str]:
    """The data of a file, written with this text, and what was told."""
    told: list[str] = []
    if text is not None:
        path.write_text(text)
    data = load(str(path), seed=0, notice=told.append)
    return data, "\n".join(told)


def lines(header: str, rows: list[str]) -> str:
    return "\n".join([header, *rows]) + "\n"


def count(data: Dataset) -> int:
    return len(data.x_train) + len(data.x_val) + len(data.x_test)


@pytest.mark.parametrize(
    ("titles", "label"),
    [
        (("x", "y", "label"), "label"),
        (("y", "class", "target"), "target"),
        (("Class", "y", "a"), "Class"),
        (("y", "a", "b"), "y"),
        (("a", " LABEL ", "b"), "LABEL"),
        (("a", "b", "labels"), "labels"),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_label_is_chosen_by_name_and_told(tmp_path: Path, titles: tuple[str, ...], label: str, kind: str) -> None:
    place = [t.strip() for t in titles].index(label)
    columns = [LABEL if i == place else np.arange(ROWS) * 7 % (11 + i) for i in range(3)]
    frame = pd.DataFrame(dict(zip(titles, columns, strict=True)))
    path = tmp_path / f"t.{kind}"
    frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
    data, told = read(path)
    assert data.n_classes == 2 and data.preprocess.label == label
    assert data.preprocess.features == tuple(t.strip() for i, t in enumerate(titles) if i != place)
    assert f"label column {label!r}" in told and data.told.preprocess == data.preprocess


def test_two_label_columns_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="columns Label and label may both be the label"):
        read(tmp_path / "t.csv", lines("Label,a,label", [f"{i % 2},{i * 3 % 7},{i % 2}" for i in range(ROWS)]))


def test_blanks_belong_to_no_title_and_no_cell(tmp_path: Path) -> None:
    data, _ = read(
        tmp_path / "t.csv", lines("a , label, site", [f"{i % 7} , {'yes ' if i % 2 else ' no'}, {i % 5}" for i in range(ROWS)])
    )
    assert data.preprocess.classes == ("no", "yes") and data.preprocess.features == ("a", "site")
    frame = pd.DataFrame({" a": np.arange(ROWS) % 7, "label ": np.where(LABEL, "yes ", " yes")})
    frame.loc[::3, "label "] = "no"
    frame.to_parquet(tmp_path / "t.parquet")
    data, _ = read(tmp_path / "t.parquet")
    assert data.preprocess.classes == ("no", "yes")


def test_what_pandas_leaves_behind_is_no_feature(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": RNG.normal(size=ROWS), "label": LABEL})
    path = tmp_path / "t.csv"
    frame.to_csv(path)
    data, told = read(path)
    assert data.shape == (1,) and "column '(without a name)' left out: it numbers or names the rows" in told
    pd.read_csv(path).to_csv(path)  # saved twice: "" and "Unnamed: 0"
    assert read(path)[0].shape == (1,)
    frame.sample(frac=1, random_state=1).to_csv(path)  # numbers of rows that were shuffled
    data, told = read(path)
    assert data.shape == (1,) and data.preprocess.left_out == ("",)
    frame.rename(index=lambda i: f"row {i}").to_csv(path)
    assert read(path)[0].shape == (1,)
    frame.reset_index().to_parquet(tmp_path / "t.parquet")
    data, told = read(tmp_path / "t.parquet")
    assert data.preprocess.features == ("a",) and "column 'index' left out" in told
    frame.reset_index().rename(columns={"index": "id"}).to_csv(path, index=False)
    data, told = read(path)
    assert data.preprocess.features == ("id", "a") and "column 'id' counts the rows, and is a feature as it stands" in told


@pytest.mark.parametrize("value", ["{}.5", "{}"])
def test_an_unnamed_column_of_values_is_kept(tmp_path: Path, value: str) -> None:
    data, _ = read(tmp_path / "t.csv", lines(",b,label", [f"{value.format(i % 9)},{i % 4},{i % 2}" for i in range(ROWS)]))
    assert data.preprocess.features == ("x0", "b")


def test_row_names_as_r_writes_them_do_not_shift_the_columns(tmp_path: Path) -> None:
    data, _ = read(tmp_path / "t.csv", lines("a,label", [f"{i + 1},{i % 9}.5,{i % 2}" for i in range(ROWS)]))
    assert data.preprocess.features == ("a",) and data.n_classes == 2
    data, _ = read(tmp_path / "t.csv", lines("a,label", [f"{i % 9}.5,{i % 2}," for i in range(ROWS)]))  # delimiters at the ends
    assert data.preprocess.features == ("a",) and data.n_classes == 2


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("header", [True, False])
def test_delimiters(tmp_path: Path, delimiter: str, header: bool) -> None:
    rows = [delimiter.join((f"{i % 7}.25", f"{i % 3}", f"{i % 2}")) for i in range(ROWS)]
    data, told = read(tmp_path / "t.csv", lines(delimiter.join("abc"), rows) if header else lines(rows[0], rows[1:]))
    assert (data.shape, data.n_classes, count(data)) == ((2,), 2, ROWS)
    assert ("separated by" in told) == (delimiter != ",")
    assert ("the first line is a row" in told) == (not header)


def test_decimal_commas(tmp_path: Path) -> None:
    data, told = read(tmp_path / "t.csv", lines("a;b;label", [f"{i % 7},25;{i % 3};{i % 2}" for i in range(ROWS)]))
    assert data.shape == (2,) and "decimals by commas" in told
    assert data.preprocess.mean[0] == pytest.approx(3.25, abs=0.6)


def test_delimiters_in_quotes(tmp_path: Path) -> None:
    data, _ = read(
        tmp_path / "t.csv", lines('"a;b","c;d",label', [f'"{i % 7}",{i % 3},"{"x;y" if i % 2 else "z;y"}"' for i in range(ROWS)])
    )
    assert data.preprocess.features == ("a;b", "c;d") and data.preprocess.classes == ("x;y", "z;y")


@pytest.mark.parametrize(
    ("first", "row"),
    [
        ("0,0,0", lambda i: f"{i % 3},{i * 7 % 5},{i % 2}"),
        ("1,1,1", lambda i: f"{i % 3},{i * 7 % 5},{i % 2}"),
        ("0,1,2", lambda i: f"{i % 3},{i * 7 % 5},{i % 3}"),
        ("1.0,1.0,1", lambda i: f"{i % 3},{i * 7 % 5},{i % 2}"),
        ("5.1,3.5,setosa", lambda i: f"{i % 3}.5,{i * 7 % 5}.5,{'setosa' if i % 2 else 'virginica'}"),
        ("-1e-3,.5,1", lambda i: f"{i % 3}e-3,{i * 7 % 5},{i % 2}"),
    ],
)
def test_a_first_row_is_never_lost(tmp_path: Path, first: str, row: object) -> None:
    assert callable(row)
    data, told = read(tmp_path / "t.csv", lines(first, [row(i) for i in range(ROWS - 1)]))
    assert count(data) == ROWS and data.preprocess.features == ("x0", "x1")
    assert "the first line is a row, not names: columns are called x0 to x2, the last one is the label" in told


@pytest.mark.parametrize("header", ["2019,2020,label", "0,1,label", "a,2,kind", "0,1,2", ",0,1"])
def test_names_that_are_numbers_are_no_row(tmp_path: Path, header: str) -> None:
    rows = [f"{i % 3}.5,{i * 7 % 5},{i % 2}" for i in range(ROWS)]
    if not header.startswith(","):
        assert count(read(tmp_path / "t.csv", lines(header, rows))[0]) == ROWS
        return
    data, told = read(tmp_path / "t.csv", lines(header, [f"{i},{i * 7 % 5},{i % 2}" for i in range(ROWS)]))
    assert count(data) == ROWS and data.shape == (1,) and "counts the columns" in told


def test_whole_numbers_below_column_numbers(tmp_path: Path) -> None:
    """DataFrame(integers).to_csv(index=False): no label is 2, so that the first line cannot be a row."""
    pd.DataFrame(np.c_[np.arange(ROWS) % 5, np.arange(ROWS) * 3 % 7, LABEL]).to_csv(tmp_path / "t.csv", index=False)
    data, told = read(tmp_path / "t.csv")
    assert count(data) == ROWS and "counts the columns (0, 1, 2 ...): taken as their names" in told


def test_marks_at_the_beginning_and_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xef\xbb\xbf\r\n\r\nlabel,b\r\n" + b"".join(b"%d,%d\r\n" % (i % 2, i % 7) for i in range(ROWS)))
    data, _ = read(path)
    assert data.preprocess.label == "label" and count(data) == ROWS


def test_a_row_longer_than_the_names_is_refused(tmp_path: Path) -> None:
    rows = [f"{i % 7},{i % 2}" for i in range(300)]
    rows[250] = "1,0,7"
    with pytest.raises(DataError, match="cannot read"):
        read(tmp_path / "t.csv", lines("a,label", rows))


def test_timestamps_keep_their_resolution(tmp_path: Path) -> None:
    t = 1.7e9 + np.arange(ROWS) * 0.25
    pd.DataFrame({"t": t, "label": LABEL}).to_csv(tmp_path / "t.csv", index=False)
    np.savez(tmp_path / "t.npz", x=t[:, None], y=LABEL)
    for name in ("t.csv", "t.npz"):
        data, _ = read(tmp_path / name)
        assert len(np.unique(np.concatenate([data.x_train, data.x_val, data.x_test]))) == ROWS
        assert data.preprocess.mean[0] == pytest.approx(t.mean(), abs=3)


def test_a_constant_becomes_zero_not_its_rounding(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=np.c_[np.full(ROWS, 0.1), RNG.normal(size=ROWS)], y=LABEL)
    data, _ = read(tmp_path / "t.npz")
    assert (data.x_train[:, 0] == 0).all() and data.preprocess.mean[0] == 0.1 and data.preprocess.deviation[0] == 1.0


def test_data_of_an_earlier_version_is_found_again(tmp_path: Path) -> None:
    """hwq 0.1.0 brought values to float32 before it scaled them: a run's digest is of those."""
    x = RNG.normal(size=(ROWS, 3)) + np.array([0.1, 100.3, 1e4])
    np.savez(tmp_path / "wide.npz", x=x, y=LABEL)
    np.savez(tmp_path / "narrow.npz", x=x.astype(np.float32), y=LABEL)
    earlier = load(str(tmp_path / "narrow.npz"), seed=0)
    now = load(str(tmp_path / "wide.npz"), seed=0)
    digest = earlier.digest
    assert now.digest != digest
    assert load(str(tmp_path / "wide.npz"), seed=0, digest=digest).digest == digest
    assert load(str(tmp_path / "wide.npz"), seed=0, digest="0" * 16).digest == now.digest


@pytest.mark.parametrize(
    ("y", "told", "hint"),
    [
        (np.arange(ROWS) * 37 % 1009, "60 different labels in 60 rows are numbers rather than classes", "regression"),
        (np.r_[np.arange(30), np.arange(30)], "30 different labels in 60 rows are numbers rather than classes", "regression"),
        (RNG.normal(size=ROWS), "labels must be whole numbers or texts", "regression"),
        (np.full(ROWS, 3), "all 60 rows are of one class, 3", "another column"),
        (np.full(ROWS, "cat"), "all 60 rows are of one class, cat", "another column"),
        (np.r_[["dog"] * 57, ["cat"] * 3], "class 0 (cat) has 3 rows", "rare"),
        (LABEL + 1, "class 0 has 0 rows", "without gaps"),
    ],
    ids=["identifiers", "whole targets", "real targets", "one number", "one text", "rare", "from 1"],
)
def test_labels_that_are_no_classes(tmp_path: Path, y: np.ndarray, told: str, hint: str) -> None:
    np.savez(tmp_path / "t.npz", x=RNG.normal(size=(ROWS, 2)), y=y)
    with pytest.raises(DataError) as caught:
        read(tmp_path / "t.npz")
    assert told in caught.value.message and hint in str(caught.value.hint)


def test_summary_says_what_was_done(tmp_path: Path) -> None:
    data, _ = read(tmp_path / "t.csv", lines("a,label", [f"{i % 9}.5,{'yes' if i % 2 else 'no'}" for i in range(ROWS)]))
    assert data.summary() == (
        "t.csv: 38 training, 10 validation, 12 test rows; label 'label'; 2 classes (no, yes); 1 features (a); standardised by the training rows"
    )
    told = load("digits").summary()
    assert told.endswith("64 features (pixel_0_0, pixel_0_1, pixel_0_2 ... pixel_7_7); divided by 16")


def test_a_missing_file_names_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "beans.csv").write_text("")
    with pytest.raises(DataError) as caught:
        load(str(tmp_path / "bean.csv"))
    assert caught.value.hint == f"did you mean {tmp_path / 'beans.csv'}?"
    with pytest.raises(DataError) as caught:
        load(str(tmp_path / "none" / "bean.csv"))
    assert caught.value.hint == f"there is no folder {tmp_path / 'none'}"
    (tmp_path / "beans.xlsx").write_text("")
    with pytest.raises(DataError) as caught:
        load(str(tmp_path / "beans.xlsx"))
    assert caught.value.hint == "a file must end in .npz, .csv, .tsv, .parquet"


def test_lines_marked_as_comments_at_the_top(tmp_path: Path) -> None:
    rows = [f"{i % 7},{i % 5},{i % 2}" for i in range(ROWS)]
    for top, features in (
        ("# a, b, label", ("a", "b")),  # as numpy.savetxt writes names
        ("# made on Monday\n\n#a,b,label", ("a", "b")),
        ("# made on Monday\n# by me\na,b,label", ("a", "b")),
        ("# made on Monday", ("x0", "x1")),
    ):
        data, told = read(tmp_path / "t.csv", lines(top, rows))
        assert data.preprocess.features == features and count(data) == ROWS
        assert ("begin with #" in told) == ("Monday" in top)


def test_a_file_in_another_encoding_says_so(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(lines("a,label", [f"{i % 7},{i % 2}" for i in range(ROWS)]), encoding="utf-16")
    with pytest.raises(DataError, match="not written in UTF-8") as caught:
        read(path)
    assert caught.value.hint == "save it again as UTF-8"


def test_infinity_names_its_column(tmp_path: Path) -> None:
    rows = [f"{i % 7},{'inf' if i == 5 else i},{i % 2}" for i in range(ROWS)]
    with pytest.raises(DataError, match="infinity in 1 rows, first in column 'b'"):
        read(tmp_path / "t.csv", lines("a,b,label", rows))


def test_spellings_of_a_class_are_told(tmp_path: Path) -> None:
    rows = [f"{i % 7},{('yes', 'no', 'No')[i % 3]}" for i in range(ROWS)]
    data, told = read(tmp_path / "t.csv", lines("a,label", rows))
    assert data.n_classes == 3 and "labels No and no are different classes" in told


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "beans.csv").mkdir()
    with pytest.raises(DataError, match="is a folder"):
        load(str(tmp_path / "beans.csv"))


INDICES = {
    "put together": lambda frame: pd.concat([frame[:45], frame[:15].reset_index(drop=True)]),
    "shuffled and written twice": lambda frame: pd.concat(
        [frame.sample(frac=1, random_state=1).rename_axis("Unnamed: 0").reset_index()]
    ),
    "two levels": lambda frame: frame.set_axis(pd.MultiIndex.from_product([range(10), range(6)])),
    "times": lambda frame: frame.set_axis(np.arange(ROWS) * 0.5),
    "selected": lambda frame: frame.set_axis(np.arange(ROWS) * 3 + 7),
}


@pytest.mark.parametrize("kind", INDICES)
def test_an_index_of_any_kind_is_no_feature(kind: str, tmp_path: Path) -> None:
    frame = INDICES[kind](pd.DataFrame({"a": RNG.normal(size=ROWS), "label": LABEL}))
    frame.to_csv(tmp_path / "t.csv")
    data, told = read(tmp_path / "t.csv")
    assert data.preprocess.features == ("a",) and "left out" in told, told


@pytest.mark.parametrize("cells", [LABEL * 3 % 4, np.arange(ROWS) % 7, RNG.normal(size=ROWS)])
def test_a_feature_without_a_name_is_told(cells: np.ndarray, tmp_path: Path) -> None:
    rows = [f"{cell},{i * 0.3},{i % 2}" for i, cell in enumerate(cells)]
    data, told = read(tmp_path / "t.csv", lines(",b,label", rows))
    assert data.preprocess.features == ("x0", "b") and "column 'x0' has no name in the file, and is a feature" in told


@pytest.mark.parametrize("start", [1_700_000_000_000_000_000, np.uint64(18_446_744_073_709_550_000)])
def test_whole_numbers_that_no_float_holds_are_refused(start: int, tmp_path: Path) -> None:
    """Different ones would become the same."""
    frame = pd.DataFrame({"t": [int(start) + 10 * i for i in range(ROWS)], "label": LABEL})
    for kind in ("csv", "parquet"):
        path = tmp_path / f"t.{kind}"
        frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
        with pytest.raises(DataError, match=r"column 't'.*more than the 53 bits"):
            load(str(path))
    np.savez(tmp_path / "t.npz", x=frame[["t"]].to_numpy(), y=LABEL)
    with pytest.raises(DataError, match="more than the 53 bits"):
        load(str(tmp_path / "t.npz"))
    frame["t"] = [1_700_000_000 + i for i in range(ROWS)]
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert count(load(str(tmp_path / "t.csv"))) == ROWS


def test_arrays_that_are_not_read_are_told(tmp_path: Path) -> None:
    x = RNG.normal(size=(ROWS, 2))
    np.savez(tmp_path / "t.npz", x=x, y=LABEL, x_train=x, y_train=LABEL)
    assert "x and y left out" in read(tmp_path / "t.npz")[1]


def test_very_small_numbers_are_no_constant(tmp_path: Path) -> None:
    data, _ = read(tmp_path / "t.csv", lines("a,label", [f"{i}e-300,{i % 2}" for i in range(ROWS)]))
    x = np.concatenate([data.x_train, data.x_val, data.x_test])
    assert len(np.unique(x)) == ROWS and abs(float(data.x_train.std()) - 1) < 1e-5


def test_two_columns_of_the_labels_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2 columns are called 'label'"):
        read(tmp_path / "t.csv", lines("label,a,label", [f"{i % 2},{i},{i % 2}" for i in range(ROWS)]))


def test_a_first_row_of_a_rare_class_is_a_row(tmp_path: Path) -> None:
    rows = [f"{np.sin(i):.3f},{np.cos(i):.3f},{'rare' if i in (5, *range(280, 300)) else 'bc'[i % 2]}" for i in range(5, 300)]
    data, told = read(tmp_path / "t.csv", "\n".join(rows) + "\n")
    assert count(data) == 295 and "the first line is a row" in told
    years = [f"{np.sin(i):.3f},{np.cos(i):.3f},{'bc'[i % 2]}" for i in range(ROWS)]
    assert read(tmp_path / "t.csv", lines("2019,2020,class", years))[0].preprocess.features == ("2019", "2020")


def test_a_line_that_tells_excel_the_delimiter_is_no_row(tmp_path: Path) -> None:
    data, _ = read(tmp_path / "t.csv", "sep=;\n" + lines("a;label", [f"{i}.5;{i % 2}" for i in range(ROWS)]))
    assert data.preprocess.features == ("a",) and count(data) == ROWS
