"""What became of the backups, as the status, the doctor and the technician page tell it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from kit.health.times import rfc3339
from kit.health.words import ago_words, seconds_between
from kit.store.facts import get_fact

BACKUP_FACT = "backup"
"""Written by the care service after each attempt."""

TOO_OLD_S = 3 * 86_400.0
"""A unit that was off for a weekend is not to be blamed."""


def backup_row(connection: sqlite3.Connection) -> dict[str, Any] | None:
    """{nightly, stick}: the last attempt of each, {at, ok, file, bytes, sentence}; None before the first."""
    found = get_fact(connection, BACKUP_FACT)
    if found is None:
        return None
    return {which: {"at": rfc3339(told.pop("at_ms", None)), **told} for which, told in found[1].items()}


def backup_words(backup: Mapping[str, Any] | None, now: str | None) -> list[str]:
    """A line per kind of backup."""
    if not backup:
        return ["none yet; the first is made a minute after the start, or: kit backup"]
    return [
        f"{which}, {ago_words(told['at'], now)}: {'' if told['ok'] else 'FAILED: '}{told['sentence']}"
        for which, told in backup.items()
    ]


def backup_problems(backup: Mapping[str, Any] | None, now: str | None) -> list[str]:
    """What needs a person: an attempt that failed, or a backup that is old."""
    found = []
    for which, told in (backup or {}).items():
        age_s = seconds_between(told["at"], now) or 0.0
        if not told["ok"]:
            found.append(f"the last backup ({which}) failed: {told['sentence']}")
        elif which == "nightly" and age_s > TOO_OLD_S:
            found.append(f"the last nightly backup was made {ago_words(told['at'], now)}; see `kit log care`")
    return found
