"""`kit messages send TO TEXT | villages`: from the terminal, to the city or to another village."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from typing import TYPE_CHECKING

from kit.errors import UsageError
from kit.model.letters import LetterError, make_letter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kit.home import Home
    from kit.model.villages import Village
    from kit.store.database import Database

CITY = "city"
DAY_S = 24 * 3600
MOST_DAYS = 365


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands of `kit messages`."""
    words = parser.add_subparsers(dest="messages_command", required=True, metavar="send|villages")
    words_send = words.add_parser("send", help="write to another village, or to the city")
    words_send.add_argument(
        "to", metavar="TO", help="the other village's name (kit messages villages lists them) or unit id, or 'city'"
    )
    words_send.add_argument("text", metavar="TEXT", help="at most 500 characters")
    words_send.add_argument("--by", default="", metavar="NAME", help="who writes")
    words_send.add_argument("--days", type=float, default=7.0, metavar="N", help="worth carrying for so long (7)")
    words_send.set_defaults(run=send_message)
    listing = words.add_parser("villages", help="the other villages, as the city core names them")
    listing.set_defaults(run=list_villages)


def send_message(arguments: argparse.Namespace) -> int:
    """Write a message; how far it has come is shown by `kit queue ls --all` and on its own page.

    Raises:
        KitError: too many wait already.
        UsageError: the text, the addressee or the days cannot be used.
    """
    from kit.unit_clock import open_unit_clock
    from village_apps.messages.letters import send

    try:
        letter = make_letter(arguments.text, arguments.by)
    except LetterError as error:
        raise UsageError(str(error)) from error
    if not 0 < arguments.days <= MOST_DAYS:
        raise UsageError(f"--days {arguments.days:g}: write a number above 0, at most {MOST_DAYS}")
    home = _home(arguments)
    token = secrets.token_urlsafe(16)
    now_ms = int(open_unit_clock(home).now() * 1000)
    with _store(home) as database:
        village = _addressee(database, home, arguments.to)
        with database.atomic() as connection:
            send(
                connection,
                letter,
                token=token,
                now_ms=now_ms,
                lifetime_s=int(arguments.days * DAY_S),
                to=village.unit if village else "",
                to_name=village.name if village else "",
            )
    page = f"/messages/sent/{token}"
    if arguments.json:
        told = json.dumps({"to": village.unit if village else CITY, "page": page})
    else:
        whom = "the city" if village is None else " ".join(filter(None, (village.name, f"({village.unit})")))
        told = f"Kept for {whom}. How far it has come: kit queue ls --all, or the page {page}"
    sys.stdout.write(told + "\n")
    return 0


def list_villages(arguments: argparse.Namespace) -> int:
    """Whom this village can write to."""
    home = _home(arguments)
    with _store(home) as database:
        others, joined = _others(database, home)
    if arguments.json:
        sys.stdout.write(json.dumps([{"unit": each.unit, "name": each.name} for each in others]) + "\n")
    elif others:
        sys.stdout.writelines(f"{each.unit}  {each.name}\n" for each in others)
    else:
        sys.stdout.write(_NO_LIST if joined else _NOT_JOINED)
    return 0


_NO_LIST = "The city core has told of no other village yet; a unit id (kit-…) can be written to all the same.\n"
_NOT_JOINED = "This kit has joined no city core yet (kit join INVITE), so it knows no other village.\n"


def _home(arguments: argparse.Namespace) -> Home:
    from kit.home import find_home

    home = find_home(arguments.home)
    if not home.database.exists():
        raise UsageError(f"{home.path} holds no store yet: this unit has never run; start it with `kit run`")
    return home


def _store(home: Home) -> Database:
    from kit.store.database import Database

    return Database(home.database)


def _others(database: Database, home: Home) -> tuple[Sequence[Village], bool]:
    """The other villages, and whether this kit has joined a core."""
    from kit.health.addressees import read_directory
    from kit.identity import load_or_create_identity

    directory = read_directory(database.connection, home, unit=load_or_create_identity(home).unit)
    return directory.others, bool(directory.core)


def _addressee(database: Database, home: Home, told: str) -> Village | None:
    """The village of that name or id; None = the city.

    Raises:
        UsageError: it is this one, or there is none of that name, or more than one.
    """
    from kit.identity import load_or_create_identity
    from kit.model.villages import UNIT, Village, called

    word = told.strip().casefold()
    if word == CITY:
        return None
    if word == load_or_create_identity(home).unit:
        raise UsageError(f"{word} is this kit; name the other one")
    others, _ = _others(database, home)
    found = called(others, told)
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(each.unit for each in found)
        raise UsageError(f"{len(found)} villages are called '{told}'; write the unit id of the one you mean: {ids}")
    if UNIT.fullmatch(word):
        return Village(word, "")  # the core may have it and not have told of it yet; if it has not, it says so
    raise UsageError(f"no village is called '{told}'{_nearest(told, others)}; write a name, a unit id, or city")


def _nearest(told: str, others: Sequence[Village]) -> str:
    import difflib

    names = {each.name.casefold(): each.name for each in others}
    near = difflib.get_close_matches(told.casefold(), names, n=1)
    return f" (did you mean '{names[near[0]]}'?)" if near else " (kit messages villages lists them)"
