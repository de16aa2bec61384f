"""Headers that are read once: made the second time, of the same answer, never of another compiler's, options or files, mended where damaged."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hwq.errors import RunError
from hwq.tools import headers as module
from hwq.tools.gxx import compile_program, find_gxx
from hwq.tools.headers import Headers, precompiled

OPTIONS = ("-std=c++14", "-O0")


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Headers:
    monkeypatch.setenv("HWQ_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "include"
    folder.mkdir()
    (folder / "answer.h").write_text("#pragma once\ninline int answer() { return 42; }\n")
    return Headers("answer", ("answer.h",), folder, OPTIONS)


def answer(known: Headers, folder: Path) -> int:
    """What a program says that includes the header itself, too."""
    (folder / "main.cpp").write_text('#include "answer.h"\nint main() { return answer(); }\n')
    flags = [*OPTIONS, "-I", str(known.folder)]
    compile_program(["main.cpp"], "main", cwd=folder, flags=flags, log=folder / "log", headers=known)
    return subprocess.run([folder / "main"], check=False).returncode


def test_made_the_second_time_and_used(known: Headers, tmp_path: Path) -> None:
    gxx = find_gxx()
    assert precompiled(known, gxx) is None
    made = precompiled(known, gxx)
    assert made is not None and precompiled(known, gxx) == made
    assert answer(known, tmp_path) == 42


def test_other_headers_options_or_compilers_have_their_own(known: Headers) -> None:
    gxx = find_gxx()
    for _ in range(2):
        made = precompiled(known, gxx)
    assert made is not None
    assert precompiled(Headers("answer", ("answer.h",), known.folder, ("-std=c++14", "-O1")), gxx) is None
    (known.folder / "answer.h").write_text("#pragma once\ninline int answer() { return 7; }\n")
    assert precompiled(known, gxx) is None


def test_a_changed_header_is_read(known: Headers, tmp_path: Path) -> None:
    assert [answer(known, tmp_path) for _ in range(3)] == [42] * 3
    (known.folder / "answer.h").write_text("#pragma once\ninline int answer() { return 7; }\n")
    assert [answer(known, tmp_path) for _ in range(3)] == [7] * 3


def test_a_damaged_one_is_taken_away(known: Headers, tmp_path: Path) -> None:
    for _ in range(2):
        made = precompiled(known, find_gxx())
    assert made is not None
    compiled = made.with_name("answer.h.gch")
    compiled.write_bytes(compiled.read_bytes()[:5000])
    assert answer(known, tmp_path) == 42


def test_one_that_others_may_write_is_not_used(known: Headers) -> None:
    for _ in range(2):
        made = precompiled(known, find_gxx())
    assert made is not None
    compiled = made.with_name("answer.h.gch")
    before = compiled.stat().st_ino
    compiled.chmod(0o666)
    assert precompiled(known, find_gxx()) == made
    assert compiled.stat().st_ino != before  # made anew


def test_a_cache_of_others_and_a_full_disk_are_done_without(
    known: Headers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cache" / "headers"
    folder.mkdir(parents=True)
    with monkeypatch.context() as patch:
        patch.setattr("hwq.places.is_own", lambda path: False)
        assert [answer(known, tmp_path) for _ in range(3)] == [42] * 3 and not list(folder.iterdir())

    def full(*_: object, **__: object) -> None:
        raise RunError("cannot write build.log: no space left")

    monkeypatch.setattr(module, "run", full)
    assert [answer(known, tmp_path) for _ in range(3)] == [42] * 3 and not list(folder.rglob("*.gch"))


def test_those_used_longest_ago_go(known: Headers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 1)
    made = []
    for text in ("1", "2"):
        (known.folder / "answer.h").write_text(f"#pragma once\ninline int answer() {{ return {text}; }}\n")
        precompiled(known, find_gxx())
        made.append(precompiled(known, find_gxx()))
    first, second = made
    assert first is not None and second is not None
    assert not first.with_name("answer.h.gch").exists() and second.with_name("answer.h.gch").exists()
