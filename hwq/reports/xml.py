"""XML of the vendor tools: parsed, or refused with the line where it breaks off."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from hwq.reports.text import Source

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Xml:
    """A root element and the file that it is of."""

    source: Source
    root: ET.Element

    def text(self, tag: str) -> str:
        """The text of `tag`; empty where there is none."""
        return (self.root.findtext(tag) or "").strip()

    def get(self, tag: str, convert: Callable[[str | None], T]) -> T:
        """The converted text of `tag`; that of an empty text where there is none.

        Raises:
            ReportError: it cannot be converted, or two elements of this name say different things.
        """
        found = [(element.text or "").strip() for element in self.root.findall(tag)]
        if len(set(found)) > 1:
            raise self.source.error(f"<{tag}> is there {len(found)} times, with {', '.join(found)}")
        return self.source.convert(f"<{tag}>", found[0] if found else None, convert)


def parse_xml(source: Source) -> Xml:
    """The whole tree.

    Raises:
        ReportError: no XML, or truncated.
    """
    try:
        return Xml(source, ET.fromstring(_plain(source.text)))
    except ET.ParseError as error:
        line, what = error.position[0], str(error).split(":", 1)[0]
        raise source.error(f"no complete XML: {what}", line) from error
    except ValueError as error:  # an encoding that the declaration names and the text, decoded already, cannot have
        raise source.error(f"no XML: {error}") from error


def _plain(text: str) -> str:
    """Without the declaration: its encoding was that of the bytes. Entities of its own have no place in a report."""
    head = text[:300].lstrip()
    if head.startswith("<?xml") and "?>" in head:
        return "\n" * text.count("\n", 0, text.index("?>")) + text.split("?>", 1)[1]  # lines keep their numbers
    return text
