"""`kit messages send UNIT TEXT`: from the terminal, to the city or to another village."""

from __future__ import annotations

import argparse
import json
import re
import secrets
import sys

from kit.errors import UsageError
from kit.model.letters import LetterError, make_letter

CITY = "city"
DAY_S = 24 * 3600
MOST_DAYS = 365

_KIT = re.compile(r"kit-[a-z2-7]{8}")
"""A unit id is derived from its key (`kit.identity.unit_id`): a name of two villages would be no address."""


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands of `kit messages`."""
    words = parser.add_subparsers(dest="messages_command", required=True, metavar="send")
    words_send = words.add_parser("send", help="write to another village, or to the city")
    words_send.add_argument("to", metavar="TO", help="the other kit's unit id (its kit status shows it), or 'city'")
    words_send.add_argument("text", metavar="TEXT", help="at most 500 characters")
    words_send.add_argument("--by", default="", metavar="NAME", help="who writes")
    words_send.add_argument("--days", type=float, default=7.0, metavar="N", help="worth carrying for so long (7)")
    words_send.set_defaults(run=send_message)


def send_message(arguments: argparse.Namespace) -> int:
    """Write a message; how far it has come is shown by `kit queue ls --all` and on its own page.

    Raises:
        KitError: too many wait already.
        UsageError: the text, the addressee or the days cannot be used.
    """
    from kit.home import find_home
    from kit.identity import load_or_create_identity
    from kit.store.database import Database
    from kit.unit_clock import open_unit_clock
    from village_apps.messages.letters import send

    try:
        letter = make_letter(arguments.text, arguments.by)
    except LetterError as error:
        raise UsageError(str(error)) from error
    if not 0 < arguments.days <= MOST_DAYS:
        raise UsageError(f"--days {arguments.days:g}: write a number above 0, at most {MOST_DAYS}")
    home = find_home(arguments.home)
    to = _addressee(arguments.to)
    if not home.database.exists():
        raise UsageError(f"{home.path} holds no store yet: this unit has never run; start it with `kit run`")
    if to == load_or_create_identity(home).unit:
        raise UsageError(f"{to} is this kit; name the other one")
    token = secrets.token_urlsafe(16)
    now_ms = int(open_unit_clock(home).now() * 1000)
    with Database(home.database) as database, database.atomic() as connection:
        send(connection, letter, token=token, now_ms=now_ms, lifetime_s=int(arguments.days * DAY_S), to=to)
    page = f"/messages/sent/{token}"
    told = f"Kept for {to or 'the city'}. How far it has come: kit queue ls --all, or the page {page}"
    sys.stdout.write((json.dumps({"to": to or CITY, "page": page}) if arguments.json else told) + "\n")
    return 0


def _addressee(told: str) -> str:
    word = told.strip().lower()
    if word == CITY:
        return ""
    if not _KIT.fullmatch(word):
        raise UsageError(f"'{told}' is no kit; write its unit id, like kit-7gq2mzk4 (its kit status shows it), or city")
    return word
