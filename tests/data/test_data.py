"""Data sets: what is accepted, the seeded split, and one clear error for each kind of bad input."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hwq.data import load
from hwq.data.download import fetch
from hwq.errors import DataError


def rows(n: int = 60, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(3, 2, (n, 4)).astype(np.float32), np.arange(n) % classes


@pytest.mark.parametrize("name", ["digits", "breast_cancer", "wine"])
def test_named_sets(name: str) -> None:
    data = load(name, seed=1)
    assert data.x_train.dtype == np.float32 and data.n_classes == len(np.unique(data.y_train))
    assert load(name, seed=1).digest == data.digest != load(name, seed=2).digest


@pytest.mark.parametrize("suffix", ["npz", "csv", "parquet"])
def test_files(suffix: str, tmp_path: Path) -> None:
    x, y = rows()
    path = tmp_path / f"set.{suffix}"
    if suffix == "npz":
        np.savez(path, x=x, y=y)
    else:
        frame = pd.DataFrame(x, columns=list("abcd")).assign(label=np.array(["ga", "bu", "zo"])[y])
        frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    data = load(str(path), seed=0)
    assert (len(data.x_train), len(data.x_val), len(data.x_test)) == (38, 10, 12)
    assert abs(float(data.x_train.mean())) < 1e-5 and data.n_classes == 3


def test_an_official_test_part_is_kept(tmp_path: Path) -> None:
    x, y = rows()
    np.savez(tmp_path / "s.npz", x_train=x, y_train=y, x_test=x[:7], y_test=y[:7])
    assert load(str(tmp_path / "s.npz"), seed=0).y_test.tolist() == y[:7].tolist()


def test_a_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_set.py").write_text(
        "import numpy as np\ndef get():\n    return np.ones((30, 2)), np.arange(30) % 2\ndef bad():\n    1 / 0\n"
    )
    assert load("my_set:get", seed=0).n_classes == 2
    bad = {"my_set:bad": "ZeroDivisionError", "my_set:none": "no function", "no_set:get": "cannot import"}
    for spec, word in bad.items():
        with pytest.raises(DataError, match=word):
            load(spec, seed=0)


def broken(kind: str, path: Path) -> None:
    x, y = rows()
    if kind == "nan":
        x[5, 2] = np.nan
    if kind == "negative":
        y[3] = -1
    if kind == "fraction":
        y = y + 0.5
    if kind == "short":
        y = y[:-1]
    if kind == "rare":
        y[:2] = 3
    if kind == "no_labels":
        np.savez(path, x=x)
    else:
        np.savez(path, x=x, y=y)
    if kind == "cut":
        path.write_bytes(path.read_bytes()[:200])


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("nan", "NaN or infinity in 1 rows, first in feature 2"),
        ("negative", "label -1 in row 3"),
        ("fraction", "whole numbers"),
        ("short", "60 rows but labels"),
        ("rare", "class 3 has 2 rows"),
        ("no_labels", "has no 'y'"),
        ("cut", "cannot read"),
    ],
)
def test_bad_data_is_named(kind: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.npz"
    broken(kind, path)
    with pytest.raises(DataError, match=words) as caught:
        load(str(path), seed=0)
    assert caught.value.hint


@pytest.mark.parametrize(("spec", "hint"), [("digit", "digits"), ("nowhere.csv", "path"), ("digits.csv", "digits")])
def test_missing_data_suggests(spec: str, hint: str) -> None:
    with pytest.raises(DataError) as caught:
        load(spec, seed=0)
    assert hint in (caught.value.hint or "")


PAYLOAD = bytes(range(256)) * 50


class Handler(http.server.BaseHTTPRequestHandler):
    """/whole sends all; /cut promises more than it sends."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path != "/none" else 404)
        self.send_header("Content-Length", str(len(PAYLOAD)))
        self.end_headers()
        self.wfile.write(PAYLOAD if self.path == "/whole" else PAYLOAD[:1000])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("HWQ_CACHE", str(tmp_path / "cache"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()


def test_download_is_cached_and_checked(server: str) -> None:
    right, told = hashlib.sha256(PAYLOAD).hexdigest(), []
    path = fetch(f"{server}/whole", "f.bin", sha256=right, notice=told.append)
    assert path.read_bytes() == PAYLOAD and told
    assert fetch("http://127.0.0.1:9/closed", "f.bin", sha256=right) == path


@pytest.mark.parametrize(
    ("page", "digest", "word"),
    [
        ("whole", "0" * 64, "checksum"),
        ("cut", hashlib.sha256(PAYLOAD).hexdigest(), "cut short|download"),
        ("none", "0" * 64, "Not Found"),
    ],
)
def test_a_bad_download_leaves_nothing(server: str, page: str, digest: str, word: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=word):
        fetch(f"{server}/{page}", "f.bin", sha256=digest)
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]


def test_offline_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HWQ_CACHE", str(tmp_path))
    with pytest.raises(DataError, match="cannot download"):
        fetch("http://127.0.0.1:9/closed", "f.bin", sha256="0" * 64)
