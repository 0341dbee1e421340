"""What the commands by which the core speaks to many kits share: whom they mean, and text that is safe to send."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kit.cli.core_messages import unit_called
from kit.errors import UsageError
from kit.model.letters import LetterError, make_letter

if TYPE_CHECKING:
    from sync.core.store import CoreStore


def add_kits(parser: argparse.ArgumentParser) -> None:
    """The option that says whom it is for."""
    parser.add_argument("--kits", nargs="+", default=["all"], metavar="KIT", help="unit ids or names (default: all)")


def units_named(store: CoreStore, told: Sequence[str]) -> tuple[str, ...] | None:
    """The kits named; None = all, those that join later included.

    Raises:
        UsageError: no kit is called so; the nearest name is told.
    """
    if list(told) == ["all"]:
        return None
    return tuple(dict.fromkeys(unit_called(store, name) for name in told))


def kit_count(units: Sequence[str] | None, known: int) -> str:
    """How many it is for, in words."""
    return "all kits" if units is None else f"{known} kit{'' if known == 1 else 's'}"


def line(text: str, what: str, longest: int) -> str:
    """One line that may be shown anywhere.

    Raises:
        UsageError: it is empty or too long.
    """
    kept = prose(text, what).replace("\n", " ")
    if len(kept) > longest:
        raise UsageError(f"{what} has {len(kept)} characters; at most {longest} can be sent")
    return kept


def prose(text: str, what: str) -> str:
    """Without what a terminal or a page could obey, as in messages.

    Raises:
        UsageError: it is empty or too long.
    """
    try:
        return make_letter(text).text
    except LetterError as error:
        raise UsageError(f"{what}: {str(error).replace('the message', 'it')}") from error
