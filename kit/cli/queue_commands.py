"""`kit queue ls | retry`: what the kit wrote, and how far each record is known to have come."""

from __future__ import annotations

import argparse
import sqlite3
from collections import Counter

from kit.cli.output import print_json, print_table
from kit.cli.parser import LARGEST
from kit.cli.unit import reading_store, unit_of, writing_store
from kit.errors import KitError
from kit.health.queue_view import queue_rows
from kit.health.words import PRIORITY_WORDS, custody_words
from kit.store.queue import retry
from sync.protocol.records import RecordId

ROWS = 200
"""Shown to a person without --all; the JSON has everything."""

NO_LIMIT = 2**62


def add_queue_commands(parser: argparse.ArgumentParser) -> None:
    """`kit queue ls [--all] [--priority N] [--kind K] | retry [RECORD …]`."""
    words = parser.add_subparsers(metavar="ls|retry")
    listing = words.add_parser("ls", help="what has not reached the core, the most urgent first")
    listing.add_argument("--all", action="store_true", help="also what has (in JSON it is always there)")
    listing.add_argument(
        "--priority", type=_priority, metavar="N", help=f"only these: {', '.join(PRIORITY_WORDS)}, or 0 to 5"
    )
    listing.add_argument("--kind", metavar="KIND", help="only these, for example alert, receipt, message, readings")
    listing.set_defaults(run=list_queue)
    again = words.add_parser("retry", help="send again, now, whatever the core has not acknowledged")
    again.add_argument("records", nargs="*", type=_record, metavar="RECORD", help="as in ls: 123456.7; none = all")
    again.set_defaults(run=retry_queue)


def list_queue(arguments: argparse.Namespace) -> int:
    """One record per line with whom it is for, the most urgent first."""
    unit = unit_of(arguments)
    with reading_store(unit) as database:
        rows = queue_rows(
            database.connection,
            unit.home,
            now_ms=unit.now_ms(),
            limit=NO_LIMIT if arguments.all or arguments.json else ROWS + 1,
            waiting_only=not (arguments.all or arguments.json),
            priority=arguments.priority,
            kind=arguments.kind,
        )
    if arguments.json:
        print_json(rows)
        return 0
    shown = rows if arguments.all else rows[:ROWS]
    lines = [
        (
            PRIORITY_WORDS[row["priority"]],
            row["kind"],
            row["to"],
            f"{row['epoch']}.{row['seq']}",
            row["bytes"],
            row["created"],
            custody_words(row),
            row["why"],
        )
        for row in shown
    ]
    heads = ("priority", "kind", "to", "record", "bytes", "written", "how far", "why it waits")
    print_table(heads, lines, empty="Nothing waits: everything the kit wrote is at the core, or nothing was written.")
    if len(rows) > len(shown):
        print(f"… only the first {ROWS}; --all shows every one")
    elif shown:
        counts = Counter(row["state"] for row in shown)
        print(f"{len(shown)} records: {', '.join(f'{count} {state}' for state, count in counts.items())}")
    return 0


def retry_queue(arguments: argparse.Namespace) -> int:
    """Ask the sync service to send everything that waits at once, whatever its back-off."""
    unit = unit_of(arguments)
    with reading_store(unit):
        pass  # a home that has never run must not be made by asking
    with writing_store(unit) as database, database.atomic() as connection:
        count = retry(connection, [_named(connection, each) for each in arguments.records] or "all")
    if arguments.json:
        print_json({"due": count})
    else:
        print(f"{count} records are due now." if count else "Nothing of that waits.")
    return 0


def _priority(text: str) -> int:
    if text in PRIORITY_WORDS:
        return PRIORITY_WORDS.index(text)
    if text in map(str, range(len(PRIORITY_WORDS))):
        return int(text)
    raise argparse.ArgumentTypeError(f"'{text}' is no priority; say {', '.join(PRIORITY_WORDS)}, or 0 to 5")


def _record(text: str) -> tuple[int, int]:
    epoch, _, seq = text.partition(".")
    if not (epoch.isdecimal() and seq.isdecimal() and max(len(epoch), len(seq)) < len(str(LARGEST))):
        raise argparse.ArgumentTypeError(f"'{text}' names no record; `kit queue ls` names them, like 123456.7")
    return int(epoch), int(seq)


def _named(connection: sqlite3.Connection, name: tuple[int, int]) -> RecordId:
    row = connection.execute(
        "SELECT origin FROM records WHERE epoch = ? AND seq = ? AND taken_ms IS NULL", name
    ).fetchone()
    if row is None:
        raise KitError(f"there is no record {name[0]}.{name[1]} here; `kit queue ls --all` lists them")
    return RecordId(row["origin"], *name)
