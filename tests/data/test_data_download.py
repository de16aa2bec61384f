"""Downloads from a server of our own: cached, checked, and nothing kept of a bad one. OpenML's and MNIST's ways are played back."""

from __future__ import annotations

import hashlib
import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from hwq.data import download, load, openml
from hwq.data import load as load_data
from hwq.errors import DataError

CONTENT = bytes(range(256)) * 9000  # 2.3 MB: several reads
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server:
    """Answers `pages`, and counts what is asked of it."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.cut: set[str] = set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                body = outer.pages.get(self.path)
                self.send_response(200 if body is not None else 404)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write((body or b"")[: -1000 if self.path in outer.cut else None])

            def log_message(self, format: str, *args: object) -> None:
                return None

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    made.pages["/file"] = CONTENT
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HWQ_DATA", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("urllib.request._opener", None)  # it keeps the proxies of whoever asked first in this process
    monkeypatch.setenv("HWQ_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def left(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob("*") if p.is_file()) if folder.exists() else []


def test_a_download_is_told_of_checked_and_kept(server: Server, cache: Path) -> None:
    told: list[str] = []
    path = download.fetch(f"{server.url}/file", "file.bin", sha256=SHA256, notice=told.append)
    assert path == cache / "file.bin"
    assert path.read_bytes() == CONTENT
    assert told[0].startswith("downloading file.bin")
    assert told[-1] == "file.bin: 2.3 of 2.3 MB"
    assert download.fetch(f"{server.url}/file", "file.bin", sha256=SHA256) == path
    assert server.asked == ["/file"]
    assert left(cache) == ["file.bin"]


def test_a_spoilt_cache_is_downloaded_again(server: Server, cache: Path) -> None:
    cache.mkdir()
    (cache / "file.bin").write_bytes(b"spoilt")
    assert download.fetch(f"{server.url}/file", "file.bin", sha256=SHA256).read_bytes() == CONTENT


def test_another_checksum_keeps_nothing(server: Server, cache: Path) -> None:
    with pytest.raises(DataError, match="another checksum"):
        download.fetch(f"{server.url}/file", "file.bin", sha256="0" * 64)
    assert left(cache) == []


def test_a_cut_download_keeps_nothing(server: Server, cache: Path) -> None:
    server.cut.add("/file")
    with pytest.raises(DataError) as caught:
        download.fetch(f"{server.url}/file", "file.bin", sha256=SHA256)
    assert "file.bin" in caught.value.message
    assert caught.value.hint
    assert left(cache) == []


def test_a_missing_file_on_the_server(server: Server, cache: Path) -> None:
    with pytest.raises(DataError, match="cannot download"):
        download.fetch(f"{server.url}/nothing", "file.bin", sha256=SHA256)


def offline() -> str:
    """An address where nobody listens."""
    made = Server()
    made.stop()
    return made.url


def test_offline_says_where_to_put_the_file(cache: Path) -> None:
    with pytest.raises(DataError) as caught:
        download.fetch(f"{offline()}/file", "file.bin", sha256=SHA256)
    assert "cannot download file.bin" in caught.value.message
    assert str(cache / "file.bin") in str(caught.value.hint)
    assert left(cache) == []


def test_a_silent_server_does_not_hang(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setattr(download, "TIMEOUT_S", 0.2)
        with pytest.raises(DataError, match="cannot download"):
            download.fetch(f"http://127.0.0.1:{mute.getsockname()[1]}/file", "file.bin", sha256=SHA256)


def mnist_bytes() -> bytes:
    rng = np.random.default_rng(0)
    buffer = io.BytesIO()
    y, y_test = np.arange(200) % 10, np.arange(50) % 10
    x, x_test = (rng.integers(0, 256, (len(part), 28, 28), dtype=np.uint8) for part in (y, y_test))
    np.savez(buffer, x_train=x, y_train=y, x_test=x_test, y_test=y_test)
    return buffer.getvalue()


def test_mnist(server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = mnist_bytes()
    server.pages["/mnist.npz"] = content
    module = __import__("hwq.data.load", fromlist=["load"])
    monkeypatch.setattr(module, "MNIST_URL", f"{server.url}/mnist.npz")
    with pytest.raises(DataError, match="another checksum"):  # the true checksum is in force
        load("mnist", seed=0)
    monkeypatch.setattr(module, "MNIST_SHA256", hashlib.sha256(content).hexdigest())
    data = load("mnist", seed=0)
    assert (len(data.x_train), len(data.x_val), len(data.x_test), data.shape) == (180, 20, 50, (28, 28))
    assert data.x_train.max() == 1.0
    assert data.x_train.min() == 0.0
    assert left(cache) == ["mnist.npz"]


def test_own_files_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mnist.npz").write_bytes(mnist_bytes())
    (tmp_path / "own" / f"{openml.JETS}.arff").write_text(ARFF)
    monkeypatch.setenv("HWQ_DATA", str(tmp_path / "own"))
    assert len(load("mnist", seed=0).x_test) == 50
    assert load("jets", seed=0).n_classes == 3


ROWS = "\n".join(f"{i / 7:.6g},{-i},{'gqt'[i % 3]}" for i in range(60))
ARFF = f"""% jets
@RELATION jets

@ATTRIBUTE zlogz REAL
@attribute 'c1 b0' NUMERIC
@ATTRIBUTE class {{g, q, t}}
@DATA
{ROWS}
"""


def describe(server: Server, **changes: str) -> None:
    said = {
        "id": "42468", "name": openml.JETS, "url": f"{server.url}/jets.arff", "default_target_attribute": "class",
        "md5_checksum": hashlib.md5(ARFF.encode()).hexdigest(),
    }  # fmt: skip
    server.pages["/api/v1/json/data/42468"] = json.dumps({"data_set_description": said | changes}).encode()
    server.pages["/jets.arff"] = ARFF.encode()


def test_jets_from_openml(server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    describe(server)
    monkeypatch.setattr(openml.openml, "__kwdefaults__", {"notice": None, "server": server.url})
    data = load("jets", seed=0)
    assert (data.name, data.n_classes, data.shape) == ("jets", 3, (2,))
    assert len(data.x_train) + len(data.x_val) + len(data.x_test) == 60
    again = load("jets", seed=0)
    assert again.digest == data.digest
    assert server.asked.count("/jets.arff") == 1
    assert left(cache) == [f"{openml.JETS}.arff"]


def test_arff_values_and_labels(tmp_path: Path) -> None:
    path = tmp_path / "a.arff"
    path.write_text(ARFF)
    table = openml.read_arff(path)
    assert table.x.shape == (60, 2)
    np.testing.assert_array_equal(table.x[:, 1], -np.arange(60))
    assert "".join(table.y[:4]) == "gqtg"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": "other"}, "is 'other', expected"),
        ({"md5_checksum": "0" * 32}, "another checksum"),
        ({"url": "nonsense"}, "cannot download"),
    ],
)
def test_openml_says_something_else(server: Server, cache: Path, changes: dict[str, str], told: str) -> None:
    describe(server, **changes)
    with pytest.raises(DataError) as caught:
        openml.openml(openml.JETS_ID, openml.JETS, server=server.url)
    assert told in caught.value.message
    assert caught.value.hint
    assert left(cache) == []


@pytest.mark.parametrize("said", [b"{}", b"[]", b"not json", b'{"data_set_description": {"name": "x"}}'])
def test_openml_answers_nonsense(server: Server, said: bytes) -> None:
    server.pages["/api/v1/json/data/42468"] = said
    with pytest.raises(DataError):
        openml.openml(openml.JETS_ID, openml.JETS, server=server.url)


def test_jets_offline() -> None:
    with pytest.raises(DataError) as caught:
        openml.openml(openml.JETS_ID, openml.JETS, server=offline())
    assert caught.value.message.startswith("cannot download hls4ml_lhcjets_hlf")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("@DATA", "@DAT", "no ARFF file"),
        ("ATTRIBUTE class", "ATTRIBUTE kind", "no column 'class'"),
        ("0.142857,", "red,", "is no number"),
    ],
)
def test_bad_arff(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = tmp_path / "a.arff"
    assert old in ARFF
    path.write_text(ARFF.replace(old, new))
    with pytest.raises(DataError, match=told):
        openml.read_arff(path)


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HWQ_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert download.cache() == tmp_path / "hwq"
    assert load_data is load
