"""Pages that are made from docstrings are what the docstrings say now."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
assert _spec is not None and _spec.loader is not None
generate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate)


@pytest.fixture(scope="module")
def pages() -> dict[Path, str]:
    made: dict[Path, str] = generate.pages()
    return made


@pytest.mark.parametrize("path", [generate.INTERFACE, generate.ARCHITECTURE], ids=lambda p: p.stem)
def test_a_page_is_what_the_docstrings_say(path: Path, pages: dict[Path, str]) -> None:
    assert path.read_text() == pages[path], "run: python docs/generate.py"


def test_it_holds_every_name_and_package(pages: dict[Path, str]) -> None:
    import hwq

    text = pages[generate.INTERFACE]
    names = [
        *(f"hwq.{name}" for name in hwq.__all__),
        *(f"hwq.layers.{name}" for name in hwq.layers.__all__ if name.startswith("Q")),
    ]
    assert [name for name in [*names, "hwq.Design.synth"] if f"# {name}\n" not in text] == []
    packages = [path.parent.name for path in (ROOT / "hwq").glob("*/__init__.py")]
    assert [name for name in packages if f"| `hwq.{name}` | " not in pages[generate.ARCHITECTURE]] == []
