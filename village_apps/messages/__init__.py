"""Messages to the city and other villages and from them, and how far each has come.

Nobody is told that something was read before it was. No account: what somebody writes is shown again only under an
address that nobody can guess, which their phone keeps. What comes from elsewhere is for the whole village.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from village_apps.app import AppContext, Card, StatusLine, VillageApp

if TYPE_CHECKING:
    import argparse

    from flask import Blueprint

    from kit.store.migrations import Migration

PHRASES = Path(__file__).parent / "phrases"


def _blueprint(context: AppContext) -> Blueprint:
    from village_apps.messages.views import make_blueprint

    return make_blueprint(context)


def _card(context: AppContext, language: str) -> Card:
    from village_apps.messages.counts import unread
    from village_apps.phrases import phrases_in

    phrases = phrases_in(PHRASES)
    with context.open_database() as database:
        new = unread(database.connection)
    if new:
        text = phrases.ngettext(
            language,
            "A message has come. Nobody has read it yet.",
            "%(num)s messages have come. Nobody has read them yet.",
            new,
        )
    else:
        text = phrases.gettext(language, "Write to the city or another village, and see whether it was read.")
    return Card(
        title=phrases.gettext(language, "Messages"),
        text=text,
        href="/messages/",
        picture="letter",
        urgency=1 if new else 2,
    )


def _migrations() -> Sequence[Migration]:
    from village_apps.messages.letters import MIGRATIONS

    return MIGRATIONS


def _status_lines(context: AppContext) -> Sequence[StatusLine]:
    from village_apps.messages.counts import expired_count, unread

    with context.open_database() as database:
        new = unread(database.connection)
        lost = expired_count(database.connection, now_ms=int(context.clock.now() * 1000))
    lines = (
        [
            StatusLine(
                "messages",
                f"{new} came and nobody has read them" if new > 1 else "1 came and nobody has read it",
                ok=False,
            )
        ]
        if new
        else []
    )
    if lost:
        lines.append(StatusLine("messages", f"{lost} ran out of time before the city had them", ok=False))
    return lines


def _commands(parser: argparse.ArgumentParser) -> None:
    from village_apps.messages.command import add_commands

    add_commands(parser)


APP = VillageApp(
    name="messages",
    blueprint=_blueprint,
    card=_card,
    card_subjects=("records",),
    record_kinds={
        "message": "Words between people: [1, text of at most 500 characters, author].",
        "custody": (
            "How far the addressee's records came: [1, 1 delivered 2 read 3 never 4 opened on a page, ms, "
            "[[epoch, seq]…], by]."
        ),
        "villages": "The core's villages: a byte 1, then in packed bits how many, and of each its id and name.",
    },
    migrations=_migrations,
    status_lines=_status_lines,
    commands=_commands,
    phrases=PHRASES,
)
