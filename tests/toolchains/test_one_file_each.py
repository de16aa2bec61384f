"""What hwq knows of a tool stands in that tool's own files: nowhere else does a string name one."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from hwq import boards
from hwq.toolchains import registry
from hwq.toolchains.base import Request, Toolchain

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "hwq").rglob("*.py"))
CHAINS = sorted(p for p in (ROOT / "hwq" / "toolchains").glob("*.py") if re.search(r"^TOOLCHAIN\b", p.read_text(), re.MULTILINE))
# a tool's own files: its chain, how it is started, its reports, the simulation of what it makes
OWN = {ROOT / "hwq" / place / p.name for p in CHAINS for place in ("toolchains", "tools", "reports", "sim")}
OWN |= {*(ROOT / "hwq" / "toolchains").glob("*.py"), ROOT / "hwq" / "tools" / "verilator.py"}
_FORMATS = {"__init__", "registry", "text", "types", "xml", "parts", "numbers", "states"}  # of reports, whatever tool writes them
OWN |= {p for p in (ROOT / "hwq" / "reports").glob("*.py") if p.stem not in _FORMATS}
OWN.add(ROOT / "hwq" / "boards.py")  # a board says what Yosys calls its family
OWN.add(ROOT / "hwq" / "exporters" / "hls4ml.py")  # what hls4ml calls its back end
# "hls" is left out: it is also the folder of the C++ in every plan
NAMES = {*registry.kinds(), *(name for p in registry.programs() for name in (p.name, *p.called))} - {"hls"}
PEOPLE_SAY = {"Vivado", "Vitis", "Yosys", "nextpnr", "Bambu", "Verilator", "openFPGALoader"}
_PLAIN = "|".join(re.escape(name) for name in sorted((NAMES | PEOPLE_SAY) - {"v++"}))
_NAMED = re.compile(rf"{_PLAIN}|\bv\+\+(?!\))", re.IGNORECASE)  # `v++)` is a loop of C++


def pattern(rendered: str) -> str:
    """A template's name in the source, as a pattern of paths: what stands in braces may be anything."""
    return re.sub(r"\{\w*\}", "*", rendered) + ".j2"


def named(source: str) -> Iterator[tuple[int, str]]:
    """Lines and strings that name a tool, also as a part of a path, of a sentence or of a step's name; docstrings may."""
    tree = ast.parse(source)
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    first = [node.body[0] for node in ast.walk(tree) if isinstance(node, holders) and node.body]
    docstrings = {id(statement.value) for statement in first if isinstance(statement, ast.Expr)}
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
        if id(node) not in docstrings and _NAMED.search(text):
            yield node.lineno, text


@pytest.mark.parametrize("path", [p for p in FILES if p not in OWN], ids=lambda p: str(p.relative_to(ROOT)))
def test_a_tool_is_named_in_its_own_files_only(path: Path) -> None:
    assert list(named(path.read_text())) == [], "ask for a trait of the toolchain or program instead (hwq.toolchains.base)"


TEMPLATES = ROOT / "hls_templates"
# a tool's own templates: those that its own files render, one by one or a folder of them
_RENDERED = {found for p in OWN if p.is_file() for found in re.findall(r"([\w{}./]+)\.j2", p.read_text())}
OWN_TEMPLATES = [
    p for p in TEMPLATES.rglob("*.j2") if any(fnmatch(str(p.relative_to(TEMPLATES)), pattern(name)) for name in _RENDERED)
]


@pytest.mark.parametrize(
    "path", sorted({*TEMPLATES.rglob("*.j2")} - {*OWN_TEMPLATES, TEMPLATES / "words.j2"}), ids=lambda p: p.name
)
def test_a_template_names_no_tool(path: Path) -> None:
    """What a file does must follow from the traits that it is given; what it says to one tool alone is a word of words.j2."""
    assert [line for line in path.read_text().splitlines() if _NAMED.search(line)] == [], "give the template a trait, or a word"


def test_a_tool_in_a_template_is_seen() -> None:
    assert _NAMED.search('        yosys | nextpnr-ecp5 | ecppack) names="$1 yowasp-$1" ;;') and len(OWN_TEMPLATES) > 10


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('if kind in ("vitis", "v++"):\n    pass', ["vitis", "v++"]),
        ('record = folder / "steps" / "bambu-csynth.json"', ["bambu-csynth.json"]),
        ('name = f"yosys/{file}"', ["yosys/"]),
        ('hint = "with --tool vivado, or Yosys"', ["with --tool vivado, or Yosys"]),
        ('"""vivado"""\nfamily = board.yosys_family', []),
    ],
)
def test_what_counts_as_naming(source: str, found: list[str]) -> None:
    assert [text for _, text in named(source)] == found


@pytest.mark.parametrize("path", CHAINS, ids=lambda p: p.stem)
def test_every_toolchain_is_registered(path: Path) -> None:
    assert importlib.import_module(f"hwq.toolchains.{path.stem}").TOOLCHAIN in registry.TOOLCHAINS


@pytest.mark.parametrize("chain", registry.TOOLCHAINS, ids=lambda t: t.name)
def test_a_toolchain_is_whole(chain: Toolchain) -> None:
    """Its steps start its own programs, its chains are of its steps and end in what they are named by, some board takes it."""
    boards_for = [b for b in boards.load_all() if chain in registry.toolchains_for(b)]
    assert boards_for and chain.default_stage in chain.chains
    for board in boards_for:
        steps = {s.name: s for s in chain.steps(Request("hwq_top", board, 5.0))}
        assert {s.program for s in steps.values()} <= {p.name for p in chain.programs}
        assert {name for names in chain.chains.values() for name in names} <= {*steps}
        assert all(steps[names[-1]].stage == stage for stage, names in chain.chains.items())
