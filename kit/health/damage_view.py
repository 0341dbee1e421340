"""Damage that the unit recovered from, as long as a person has not cleared the damaged file away."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import Any

from kit.health.times import rfc3339
from kit.home import Home
from kit.store.facts import get_fact

CHECK_FACT = "store-check"
"""Written by the care service after each look over the store."""

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


def damage_sentences(rows: list[dict[str, Any]]) -> list[str]:
    """What needs a person."""
    return [
        f"{row.get('sentence', 'the store was damaged')}; the unit went on by itself; when nothing is missed, "
        f"delete {row.get('set_aside')}, and think of a new SD card"
        for row in rows
    ]
