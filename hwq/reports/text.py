"""Files to lines and tables: encodings, line ends, damage, and ASCII tables whose columns are found by name."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hwq.errors import ReportError

T = TypeVar("T")
_BORDER = re.compile(r"\s*\+[-+=]*\+\s*")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
NOTHING = b"\0 \t\r\n\xff\xfe\xef\xbb\xbf"  # bytes that make no content: blanks and byte-order marks
_CONTROL_BYTES = bytes(k for k in range(128) if _CONTROL.match(chr(k)))
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
NEAR = 8  # lines below a heading within which its table begins, where other text may stand between
SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Source:
    """One file, read and decoded; `text` has only \\n as line end."""

    path: Path
    text: str

    @property
    def lines(self) -> list[str]:
        """The lines without their ends; the last may be cut."""
        return [line.rstrip() for line in self.text.split("\n")]

    def error(self, reason: str, line: int | None = None, hint: str | None = None) -> ReportError:
        """A ReportError about this file."""
        return ReportError(self.path, reason, line=line, hint=hint)

    def convert(self, what: str, text: str | None, convert: Callable[[str | None], T], line: int | None = None) -> T:
        """`convert(text)`, its ValueError turned into a ReportError that names the field."""
        try:
            return convert(text)
        except ValueError as error:
            raise self.error(f"{what}: {error}", line) from error


def read(path: Path) -> Source:
    """Read `path` whatever its encoding (UTF-8, UTF-16 with a mark, else Latin-1).

    Raises:
        ReportError: it cannot be read, is empty, or is no text.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ReportError(path, error.strerror or str(error)) from error
    if not raw.strip(NOTHING):
        raise ReportError(path, "the file is empty", hint="did the tool end before it wrote the report?")
    return Source(path, decode(path, raw))


def decode(path: Path, raw: bytes) -> str:
    """Bytes to text with \\n as the only line end.

    Raises:
        ReportError: UTF-16 that breaks off within a character.
    """
    for mark, encoding in _BOMS:
        if raw.startswith(mark):
            try:
                text = raw.decode(encoding)
            except UnicodeDecodeError as error:
                raise ReportError(path, f"damaged {encoding} text: {error.reason}") from error
            break
    else:
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            text = raw.decode("latin-1")  # a date or a user name in the code page of some desktop
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def refuse_damage(source: Source) -> None:
    """Reports hold no control characters; one that does was damaged.

    Raises:
        ReportError: with the line of the first.
    """
    data = source.text.encode(errors="replace")
    if len(data.translate(None, _CONTROL_BYTES)) == len(data):
        return  # far quicker than the expression, on files of which nearly all are whole
    found = _CONTROL.search(source.text)
    if found is not None:
        line = source.text.count("\n", 0, found.start()) + 1
        raise source.error(f"damaged: a control character (0x{ord(found[0]):02x}) where a report has none", line)


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of one line of a table, stripped, beside the first one as it stands (its indent is the depth)."""

    line: int
    cells: tuple[str, ...]
    raw: str

    @property
    def name(self) -> str:
        """The first cell."""
        return self.cells[0]


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table drawn with +, - and |. `columns`: names joined over the header's lines, lower case, single spaces."""

    line: int
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def index(self, *names: str) -> int | None:
        """Where the first of `names` stands."""
        return next((self.columns.index(name) for name in names if name in self.columns), None)


def is_border(line: str) -> bool:
    """A line such as +-----+----+."""
    return "+-" in line and _BORDER.fullmatch(line) is not None


def find_border(lines: Sequence[str], start: int, end: int | None = None) -> int | None:
    """The first border of lines[start:end]."""
    return next((i for i, line in enumerate(lines[start:end], start) if is_border(line)), None)


def is_table_line(line: str) -> bool:
    """A border, or a row."""
    stripped = line.lstrip()
    return stripped.startswith("|") or (stripped.startswith("+") and is_border(line))


def read_table(source: Source, lines: Sequence[str], start: int) -> tuple[TextTable, int]:
    """The table whose upper border is `lines[start]`, and the index of the line after it.

    Raises:
        ReportError: cut off, or a row that does not fit the columns.
    """
    end = start
    while end < len(lines) and is_table_line(lines[end]):
        end += 1
    block = [line.rstrip() for line in lines[start:end]]
    borders = [i for i, line in enumerate(block) if is_border(line)]
    if len(borders) < 2 or not is_border(block[-1]):
        raise source.error("the table is cut off: it has no lower border", end)
    top, *_, bottom = block
    if top != bottom:
        raise source.error("the table is damaged: its upper and lower borders differ", start + 1)
    edges = [i for i, char in enumerate(top) if char == "+"]
    head = borders[1] if len(borders) > 2 else 0  # a table of two borders has no header, or nothing but one
    columns = _names(block[1:head], edges) if head else ()
    rows = []
    for number, line in enumerate(block[head:], start + head + 1):
        if not is_border(line):
            rows.append(_row(source, line, edges, number))
        elif line != top:
            raise source.error("the table is damaged: its borders differ", number)
    return TextTable(start + 1, columns, tuple(rows)), end


def _names(header: Sequence[str], edges: Sequence[int]) -> tuple[str, ...]:
    """Column names. A cell of an upper header line may span several columns, and then belongs to each."""
    names: list[list[str]] = [[] for _ in edges[1:]]
    for line in header:
        bars = [i for i, char in enumerate(line) if char in "|+"]
        for k in range(len(edges) - 1):
            left = max((b for b in bars if b <= edges[k]), default=None)
            right = min((b for b in bars if b >= edges[k + 1]), default=None)
            if left is not None and right is not None:
                names[k].append(line[left + 1 : right].strip())
    return tuple(SPACE.sub(" ", " ".join(parts)).strip().lower() for parts in names)


def _row(source: Source, line: str, edges: Sequence[int], number: int) -> Row:
    """Cells are cut where the border has its crosses: a name may hold a bar of its own."""
    if len(line) > edges[-1] and all(line[edge] == "|" for edge in edges):
        pairs = itertools.pairwise(edges)
        cells = [line[a + 1 : b] for a, b in pairs]
        if line[edges[-1] + 1 :].strip():
            raise source.error("the row is longer than its table", number)
    else:
        cells = line.strip()[1:-1].split("|")
        if not line.rstrip().endswith("|") or len(cells) != len(edges) - 1:
            raise source.error("the row is cut or damaged: it does not fit the columns of its table", number)
    return Row(number, tuple(cell.strip() for cell in cells), cells[0])


def tables(source: Source, lines: Sequence[str], start: int = 0, end: int | None = None) -> Iterator[TextTable]:
    """Every table of lines[start:end].

    Raises:
        ReportError: as `read_table`.
    """
    at, stop = start, len(lines) if end is None else end
    while at < stop:
        if is_border(lines[at]):
            table, at = read_table(source, lines, at)
            yield table
        elif is_table_line(lines[at]) and lines[at].rstrip().endswith("|") and lines[at].count("|") > 2:
            raise source.error("a row without its table's upper border", at + 1)
        else:
            at += 1


def depth(row: Row, unit: int = 2) -> int:
    """How deep the first cell is indented, in steps of `unit` spaces beyond the one after the bar."""
    indent = len(row.raw) - len(row.raw.lstrip(" "))
    return max(0, indent - 1) // unit
