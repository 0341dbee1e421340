"""`kit queue ls | retry`: what the kit wrote, and how far each record is known to have come."""

from __future__ import annotations

import argparse
from collections import Counter

from kit.cli.output import print_json, print_table
from kit.cli.unit import reading_store, unit_of, writing_store
from kit.health.words import PRIORITY_WORDS, custody_words
from kit.store.queue import queue, retry

ROWS = 200
"""Shown to a person without --all; the JSON has everything."""

NO_LIMIT = 2**62


def add_queue_commands(parser: argparse.ArgumentParser) -> None:
    """`kit queue ls [--all] | retry`."""
    words = parser.add_subparsers(metavar="ls|retry")
    listing = words.add_parser("ls", help="what has not reached the core, the most urgent first")
    listing.add_argument("--all", action="store_true", help="also what has (in JSON it is always there)")
    listing.set_defaults(run=list_queue)
    again = words.add_parser("retry", help="send again, now, whatever the core has not acknowledged")
    again.set_defaults(run=retry_queue)


def list_queue(arguments: argparse.Namespace) -> int:
    """One record per line, the most urgent first."""
    unit = unit_of(arguments)
    with reading_store(unit) as database:
        if arguments.json:
            print_json(queue(database.connection, limit=NO_LIMIT))
            return 0
        limit = NO_LIMIT if arguments.all else ROWS + 1
        rows = queue(database.connection, limit=limit, waiting_only=not arguments.all)
    shown = rows if arguments.all else rows[:ROWS]
    lines = [
        (
            PRIORITY_WORDS[row["priority"]],
            row["kind"],
            f"{row['epoch']}.{row['seq']}",
            row["bytes"],
            row["created"],
            custody_words(row),
        )
        for row in shown
    ]
    heads = ("priority", "kind", "record", "bytes", "written", "how far")
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
        count = retry(connection, "all")
    if arguments.json:
        print_json({"due": count})
    else:
        print(f"{count} records are due now." if count else "Nothing waits.")
    return 0
