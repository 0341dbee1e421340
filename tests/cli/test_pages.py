"""The pages say what is true: their links lead somewhere, their commands are commands, and the map has every room."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.cli.__main__ import parser_for
from kit.settings import describe_settings

ROOT = Path(__file__).parents[2]
ROOMS = ("kit", "sync", "village_apps", "hardware", "tui")
PAGES = [*sorted((ROOT / "docs").glob("*.md")), *(ROOT / f"{name}.md" for name in ("README", "ARCHITECTURE"))]

COMMAND = re.compile(r"(?:\$ )?(?:\.venv/bin/)?kit (.*)")
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")
PATH = re.compile(rf"`((?:{'|'.join((*ROOMS, 'tests', 'benchmarks', 'script', 'docs', 'requirements'))})/[\w./-]*)")


def code_of(page: Path) -> Iterator[tuple[bool, str]]:
    """Each piece of code on a page, and whether it stands in a block (there it is complete) or in a sentence."""
    fenced = False
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            yield True, line.strip()
        else:
            for code in re.findall(r"`([^`]+)`", line):
                yield False, code


def commands_of(page: Path) -> list[tuple[bool, str]]:
    """What follows `kit` in each command that the page shows."""
    found = [(block, match[1]) for block, code in code_of(page) if (match := COMMAND.fullmatch(code))]
    return [(block, words) for block, words in found if re.match(r"[a-z]", words)]


def words_of(command: str) -> list[str]:
    """The words of a command as a page writes it: `[--optional X]`, `one|other`, `…`, an explanation behind it."""
    command = re.sub(r"\s{3,}.*", "", command.replace("\\|", "|"))
    plain = re.sub(r"[\[\]…]", " ", re.sub(r"\s+\|\s+", "|", command))
    return shlex.split(plain, comments=True)


def unknown_words(parser: argparse.ArgumentParser, words: list[str]) -> list[str]:
    """Options and subcommands that are none; what may be any word is passed over."""
    options = {name: action for action in parser._actions for name in action.option_strings}
    inner = next((action for action in parser._actions if isinstance(action, argparse._SubParsersAction)), None)
    while words:
        word, *words = words
        if word.startswith("--"):
            if word not in options:
                return [word]
            if options[word].nargs != 0:
                words = words[1:]
        elif inner is not None:
            wrong = [each for each in word.split("|") if each not in inner.choices]
            return wrong or unknown_words(inner.choices[word.split("|")[0]], words)
    return []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_on_a_page_is_one(page: Path) -> None:
    shown = [words_of(command) for _, command in commands_of(page)]
    wrong = {" ".join(words): found for words in shown if (found := unknown_words(parser_for(words[0]), words[1:]))}
    assert wrong == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_example_on_a_page_could_be_typed_as_it_stands(page: Path) -> None:
    for words in (words_of(command) for block, command in commands_of(page) if block):
        parser_for(words[0]).parse_args(words[1:])


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: page.stem)
def test_every_setting_that_a_page_names_is_one(page: Path) -> None:
    known = [(section, name) for section, name, *_ in describe_settings()]
    named = re.findall(r"`\[([a-z.]+)\] ([a-z_]+)", page.read_text(encoding="utf-8"))
    assert [each for each in named if each not in known] == []


def anchors_of(page: Path) -> set[str]:
    """As GitHub makes them of headings, and those that are written out."""
    text = page.read_text(encoding="utf-8")
    headings = (
        re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    )
    return {*headings, *re.findall(r'<a id="([^"]+)"', text)}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page: Path) -> None:
    for file, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        target = page.parent / file if file else page
        assert target.exists(), file
        assert not anchor or anchor in anchors_of(target), f"{file}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    named = {path.rstrip(".") for path in PATH.findall(page.read_text(encoding="utf-8"))}
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_room_and_every_module_on_the_map_are_those_of_the_tree() -> None:
    rows = re.findall(r"^\| (.*?) \| (.*) \|$", (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"), re.MULTILINE)
    told, wrong = set(), []
    for rooms, lives_there in rows:
        here = [ROOT / room for room in re.findall(r"`([\w./]+)`", rooms) if (ROOT / room).is_dir()]
        told.update(here)
        for name in re.findall(r"`([\w/]+(?:/|\.py))`", lives_there):
            found = [room / name for room in (*here, ROOT) if (room / name).exists()]
            told.update(found)
            wrong += [] if found else [name]
    rooms = {folder for room in ROOMS for folder in (ROOT / room).rglob("*") if any(folder.glob("*.py"))}
    assert wrong == []
    assert [str(room.relative_to(ROOT)) for room in rooms - told] == []
