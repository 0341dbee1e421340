"""Every command and every setting is documented."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from kit.cli.__main__ import parser_for
from kit.cli.commands import COMMANDS
from kit.cli.settings_page import settings_page
from kit.settings import describe_settings
from tui.detail_view import KEYS

DOCS = Path(__file__).parents[2] / "docs"

ELSEWHERE = ("core", "replay", "join")
"""Their options are documented with what they belong to."""


def words_of(parser: argparse.ArgumentParser) -> list[str]:
    """Subcommands and options, at any depth."""
    words: list[str] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                words += [name, *words_of(inner)]
        else:
            words += [option for option in action.option_strings if option.startswith("--") and option != "--help"]
    return words


def test_the_page_of_settings_is_the_one_the_settings_write() -> None:
    assert (DOCS / "settings.md").read_text(encoding="utf-8") == settings_page(), (
        "write it anew: python -m kit.cli.settings_page > docs/settings.md"
    )


def test_every_setting_has_a_sentence() -> None:
    assert all(sentence.endswith((".", ")")) for *_, sentence in describe_settings())


@pytest.mark.parametrize("word", sorted(COMMANDS))
def test_every_command_is_in_the_page_of_commands(word: str) -> None:
    assert f"kit {word}" in (DOCS / "cli.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("word", sorted(set(COMMANDS) - set(ELSEWHERE)))
def test_every_option_is_in_the_page_of_commands(word: str) -> None:
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    assert [option for option in words_of(parser_for(word)) if option not in page] == []


def test_every_key_of_the_screen_is_documented() -> None:
    page = (DOCS / "tui.md").read_text(encoding="utf-8")
    assert [key for key, _ in KEYS if f"`{key}`" not in page] == []
