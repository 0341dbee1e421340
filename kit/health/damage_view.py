"""Damage that the unit recovered from, as long as a person has not cleared the damaged file away."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from kit.health.times import rfc3339
from kit.home import Home
from kit.store.facts import get_fact

CHECK_FACT = "store-check"
"""Written by the care service after each look over the store."""

MENDING_FACT = "mending"
"""As `kit.store.pouring` keeps it."""

REPORT = "report.json"
"""As `kit.backup.damage` leaves it beside the damaged file."""


def damage_rows(home: Home) -> list[dict[str, Any]]:
    """{at, sentence, problem, set_aside, backup, salvaged, incomplete, epoch}, the newest first."""
    found = []
    for file in home.set_aside.glob(f"*/{REPORT}"):
        with contextlib.suppress(OSError, ValueError, TypeError):
            told = dict(json.loads(file.read_text(encoding="utf-8")))
            found.append({"at": rfc3339(told.pop("at_ms", None)), **told})
    return sorted(found, key=lambda row: str(row["at"]), reverse=True)


def checks_row(connection: sqlite3.Connection) -> dict[str, Any] | None:
    """{quick, full}: when the store was last looked over, {at, seconds, problem}; None where it never was."""
    found = get_fact(connection, CHECK_FACT)
    if found is None:
        return None
    return {which: {"at": rfc3339(told.pop("at_ms", None)), **told} for which, told in found[1].items()}


def mending_row(connection: sqlite3.Connection) -> dict[str, Any] | None:
    """{table, rows, done, of, words}: how far bringing back the rest of a damaged store has come; None where all is."""
    found = get_fact(connection, MENDING_FACT)
    if found is None:
        return None
    told = found[1]
    return {name: told[name] for name in ("table", "rows", "done", "of")} | {"words": progress_words(told)}


def progress_words(told: Mapping[str, Any]) -> str:
    """For the technician: how far it has come."""
    tables = {"raw_readings": "readings as they came", "unsynced": "what waits for the core"}
    what = tables.get(told["table"], told["table"])
    part = f", series {told['done'] + 1} of {told['of']}" if told["of"] and told["done"] < told["of"] else ""
    source = " from the backup" if str(told["source"]).endswith("+backup") else ""
    return f"{told['rows']:,} rows so far; now {what}{source}{part}"


def damage_sentences(rows: list[dict[str, Any]], mending: Mapping[str, Any] | None = None) -> list[str]:
    """What needs a person."""
    so_far = f" ({mending['words']})" if mending else ""
    return [
        f"{row.get('sentence')}{so_far}; nothing is to be done; leave {row.get('set_aside')} alone until it is over"
        if row.get("unfinished")
        else f"{row.get('sentence', 'the store was damaged')}; the unit went on by itself; when nothing is missed, "
        f"delete {row.get('set_aside')}, and think of a new SD card"
        for row in rows
    ]
