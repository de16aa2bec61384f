"""The documentation agrees with the repository: links, anchors, commands with their options, code, paths and names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from pages import INDEX, ROOT, anchors, blocks, commands, current, inline, links, pages, read, target_of

from hwq import errors
from hwq.cli import COMMANDS, cli

PAGES = [pytest.param(page, id=page.relative_to(ROOT).as_posix()) for page in pages()]
CURRENT = [pytest.param(page, id=page.relative_to(ROOT).as_posix()) for page in current()]
_PATH = re.compile(r"(?:hwq|tests|boards|benchmarks|examples|hls_templates|cost_models)/[\w./-]*[\w/]")
_NAME = re.compile(r"\bhwq(?:\.[A-Za-z_]\w*)+")
_PLACEHOLDER = re.compile(r"^[A-Z][A-Z_]*$|^\.\.\.$|[<>…]")


def broken(page: Path) -> list[str]:
    """Links of a page whose file or anchor is missing."""
    found = []
    for link in links(page):
        target, anchor = target_of(page, link)
        if not target.exists():
            found.append(f"{link}: there is no such file")
        elif anchor and anchor not in anchors(target):
            found.append(f"{link}: there is no such heading")
    return found


@pytest.mark.parametrize("page", PAGES)
def test_links_and_anchors_hold(page: Path) -> None:
    assert broken(page) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A title\n[a](other.md) [b](#a-title) [c](#another-title) `[d](code.md)`\n```\n[e](block.md)\n```\n")
    assert broken(page) == ["other.md: there is no such file", "#another-title: there is no such heading"]


def test_every_page_is_reached_from_the_index() -> None:
    seen, pending = set(), [INDEX]
    while pending:
        page = pending.pop()
        if page not in seen:
            seen.add(page)
            targets = (target_of(page, link)[0] for link in links(page))
            pending += [target for target in targets if target.suffix == ".md" and target.exists()]
    missing = [page.relative_to(ROOT).as_posix() for page in (ROOT / "docs").rglob("*.md") if page not in seen]
    assert missing == []


def wrong(arguments: list[str]) -> Iterator[str]:
    """What the command line does not know of `hwq ARGUMENTS`: the command, its options, the values of choices."""
    context = click.Context(cli)
    command: click.Command = cli
    while arguments and isinstance(command, click.Group) and not arguments[0].startswith("-"):
        name = arguments.pop(0)
        if _PLACEHOLDER.search(name):
            return
        found = command.get_command(context, name)
        if found is None:
            yield f"there is no command {name!r}"
            return
        command = found
    options = {name: option for option in command.get_params(context) for name in option.opts if name.startswith("-")}
    for place, word in enumerate(arguments):
        for name in re.findall(r"^--?[a-z][a-z-]*", word):
            option = options.get(name)
            if option is None:
                if name not in ("-h", "--help"):
                    yield f"{command.name} has no option {name}"
            elif isinstance(option.type, click.Choice) and place + 1 < len(arguments):
                chosen = arguments[place + 1]
                if not _PLACEHOLDER.search(chosen) and any(one not in option.type.choices for one in chosen.split("|")):
                    yield f"{name} of {command.name} does not take {chosen!r}"


@pytest.mark.parametrize("page", CURRENT)
def test_commands_and_their_options_exist(page: Path) -> None:
    assert [f"hwq {' '.join(words)}: {fault}" for words in commands(page, "hwq") for fault in wrong(list(words))] == []


@pytest.mark.parametrize("words", ["trian digits", "train digits --budgets lut=3", "synth RUN --tool quartus", "store inform"])
def test_a_wrong_command_is_found(words: str) -> None:
    assert list(wrong(words.split()))


@pytest.mark.parametrize("page", CURRENT)
def test_scripts_that_python_starts_exist(page: Path) -> None:
    faults = []
    for first, *rest in commands(page, "python"):
        path = ROOT / (rest[0].replace(".", "/") + ".py" if first == "-m" else first)
        package = path.with_suffix("") / "__main__.py"
        if not path.exists() and not package.exists():
            faults.append(f"python {' '.join([first, *rest])}")
    assert faults == []


def absent(span: str) -> Iterator[str]:
    """Paths and dotted names in a span of code that the repository does not have."""
    for path in _PATH.findall(span):
        stays = span.startswith(path) and span[len(path) :][:1] not in ("<", "*")
        if stays and not re.search(r"\b[A-Z]{3,}\b", path) and not (ROOT / path).exists():
            yield path
    for name in _NAME.findall(span):
        file, rest = ROOT / "hwq", name.split(".")[1:]
        while rest and ((file / rest[0]).is_dir() or (file / f"{rest[0]}.py").is_file()):
            file = file / rest.pop(0)
        source = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
        if rest and not re.search(rf"\b{rest[0]}\b", source.read_text(encoding="utf-8")):
            yield name


def imported(source: str) -> Iterator[str]:
    """Dotted names that `source` imports with `from`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("page", CURRENT)
def test_python_blocks_are_python_and_use_what_is_there(page: Path) -> None:
    sources = [block.text for block in blocks(page) if block.language == "python"]
    assert [fault for text in sources for span in (text, *imported(text)) for fault in absent(span)] == []


@pytest.mark.parametrize("page", CURRENT)
def test_paths_and_names_exist(page: Path) -> None:
    assert [fault for span in inline(page) for fault in absent(span)] == []


@pytest.mark.parametrize("span", ["hwq/attic/gone.py", "hwq.flow.gone", "hwq.Runn", "tests/nowhere/test_x.py"])
def test_a_path_or_name_that_is_gone_is_found(span: str) -> None:
    assert list(absent(span))


def test_an_import_that_is_gone_is_found() -> None:
    assert [fault for name in imported("from hwq.layers.model import Gone") for fault in absent(name)] == ["hwq.layers.model.Gone"]


def test_the_reference_lists_every_command_and_exit_code() -> None:
    page = read(ROOT / "docs" / "reference" / "commands.md")
    assert [name for name in COMMANDS if f"| `hwq {name}" not in page] == []
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.HwqError)]
    assert [kind.__name__ for kind in kinds if f"\n| {kind.exit_code} | " not in page] == []


def test_the_index_and_the_pages_use_one_title() -> None:
    """A link of the index has the title of its page."""
    faults = []
    for title, link in re.findall(r"\[([^\]]+)\]\(([^)#]+\.md)\)", read(INDEX)):
        first = read((INDEX.parent / link).resolve()).split("\n", 1)[0]
        if not first.startswith(f"# {title}"):
            faults.append(f"{link}: {title!r}, but the page says {first!r}")
    assert faults == []


@pytest.mark.parametrize("page", [pytest.param(page, id=page.stem) for page in (ROOT / "docs" / "how-to").glob("add-a*.md")])
def test_a_page_of_an_extension_is_done_by_a_test(page: Path) -> None:
    """CONTRIBUTING links it, and it names a test that names it."""
    assert page in [target_of(ROOT / "CONTRIBUTING.md", link)[0].resolve() for link in links(ROOT / "CONTRIBUTING.md")]
    tests = [ROOT / path for path in re.findall(r"tests/\w+/test_\w+\.py", read(page))]
    assert [test for test in tests if page.name in test.read_text()], (
        "no test that the page names says that it does what the page says"
    )


def test_contributing_is_read_in_minutes() -> None:
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) <= 40
