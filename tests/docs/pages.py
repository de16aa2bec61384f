"""The pages of the documentation and what they say to try: links, anchors, commands, code, paths."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INDEX = ROOT / "docs" / "README.md"
_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"!?\[[^\]\[]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+?)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page."""

    language: str
    text: str


@cache
def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def pages() -> list[Path]:
    """All that a reader may open, CHANGES.md included."""
    return [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGES.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def current() -> list[Path]:
    """Pages that describe the code as it is; results and changes describe a version."""
    return [page for page in pages() if page.name != "CHANGES.md" and page.parent.name != "results"]


def blocks(page: Path) -> list[Block]:
    return [Block(found[1], textwrap.dedent(found[2])) for found in _FENCE.finditer(read(page))]


def prose(text: str) -> str:
    """`text` without its fenced blocks."""
    return _FENCE.sub("", text)


def inline(page: Path) -> list[str]:
    """Spans of code in sentences and tables."""
    return [span.replace("\\|", "|") for span in _INLINE.findall(prose(read(page)))]


def links(page: Path) -> list[str]:
    """Targets of links within the repository."""
    text = _INLINE.sub("", prose(read(page)))
    return [target for target in _LINK.findall(text) if "://" not in target and not target.startswith("mailto:")]


def anchors(page: Path) -> set[str]:
    """What headings are called in a link, as GitHub makes it."""
    found: set[str] = set()
    for heading in _HEADING.findall(prose(read(page))):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        count = 1
        unique = name
        while unique in found:
            unique, count = f"{name}-{count}", count + 1
        found.add(unique)
    return found


def target_of(page: Path, link: str) -> tuple[Path, str]:
    """The file and the anchor that a link of `page` names."""
    path, _, anchor = link.partition("#")
    return (page.parent / path).resolve() if path else page, anchor


def commands(page: Path, program: str) -> Iterator[list[str]]:
    """Arguments after `program` in every line of a block without a language and every span that begins with it."""
    lines = [line.strip() for block in blocks(page) if block.language == "" for line in block.text.splitlines()]
    for line in [*lines, *inline(page)]:
        if line == program or line.startswith(program + " "):
            words = re.sub(r"\s#.*", "", line)[len(program) :].split()
            yield [word.strip("[](),;") for word in words]
