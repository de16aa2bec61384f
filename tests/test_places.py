"""Compiled code is loaded from folders and files that nobody else can write."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from networks import random_network, random_rows

from hwq import places
from hwq.data.download import cache as download_cache
from hwq.passes import optimise
from hwq.passes.lower import lower
from hwq.sim.emulator import emulator
from hwq.sim.reference import evaluate

ROOT = os.getuid() == 0


def test_one_owner_knows_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hwq.flow import calibrate

    monkeypatch.setenv("HWQ_CACHE", str(tmp_path / "c"))
    assert places.cache() == download_cache() == tmp_path / "c"
    assert calibrate._cache() == tmp_path / "c" / "calibrate"
    assert places.libraries("native").parent == places.libraries("emulator").parent == tmp_path / "c"
    monkeypatch.delenv("HWQ_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert places.cache() == tmp_path / "hwq"


def test_a_file_that_others_can_write_is_not_ones_own(tmp_path: Path) -> None:
    file, link = tmp_path / "f", tmp_path / "l"
    file.touch(mode=0o644)
    link.symlink_to(file)
    assert places.is_own(file) and not places.is_own(link) and not places.is_own(tmp_path / "none")
    for mode in (0o666, 0o664, 0o646):
        file.chmod(mode)
        assert not places.is_own(file), oct(mode)


@pytest.mark.skipif(not ROOT, reason="only root can give a file to another user")
def test_code_of_another_user_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWQ_CACHE", str(tmp_path))
    graph = random_network(3)
    x = random_rows(graph, 50)
    circuit = lower(optimise(graph))
    made = emulator(optimise(graph), circuit)
    assert np.array_equal(made.evaluate(x), evaluate(optimise(graph), x))
    (library,) = (tmp_path / "emulator").glob("*.so")
    assert library.stat().st_mode & 0o077 == 0
    loaded: list[str] = []
    monkeypatch.setattr("hwq.sim.emulator.ctypes.CDLL", lambda path: loaded.append(path) or pytest.fail("loaded"))  # type: ignore[func-returns-value]
    before = library.stat().st_ino
    os.chown(library, 65534, 65534)
    with pytest.raises(pytest.fail.Exception):
        emulator(optimise(graph), circuit)
    # the library was built again before anything was loaded
    assert library.stat().st_ino != before and library.stat().st_uid == 0
    os.chown(tmp_path / "emulator", 65534, 65534)
    with pytest.raises(pytest.fail.Exception):
        emulator(optimise(graph), circuit)
    assert not Path(loaded[-1]).is_relative_to(tmp_path)
