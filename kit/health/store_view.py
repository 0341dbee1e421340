"""What the store contributes to a status: one reader per field.

Each reader stands alone. If its tables are not there yet (a store from before an update, say), its field stays empty,
its name is reported, and the others are read all the same.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any

from kit.health.actuator_view import actuator_rows
from kit.health.backup_view import backup_row
from kit.health.content_view import content_rows, refused_rows
from kit.health.damage_view import checks_row, mending_row
from kit.health.door_view import turned_away
from kit.health.joining_view import waiting_rows
from kit.health.link_view import core_row, link_rows
from kit.health.sensor_view import sensor_rows
from kit.health.times import rfc3339
from kit.model.forecast import FROST_FACT
from kit.store.facts import get_fact

POWER_FACT = "power"
"""Written by the collector whenever the battery's gauge tells something new."""

CLIENTS_FACT = "clients"
"""{count}: the phones on the pages, written by whoever counts them; none where nobody does."""

MORNING_MS = 3 * 3_600_000
"""So long after sunrise the night's forecast is still shown; then it is about a night that is over."""


def nothing() -> dict[str, Any]:
    """The fields as they are where there is no store."""
    return {
        "links": [],
        "sensors": [],
        "alerts": [],
        "actuators": [],
        "forecast": None,
        "power": None,
        "clients": None,
        "backup": None,
        "checks": None,
        "mending": None,
        "core": None,
        "problems": [],
        "waiting": [],
        "content": [],
        "content_refused": [],
    }


def read_all(connection: sqlite3.Connection, *, now_ms: int, serving: bool, into: dict[str, Any]) -> list[str]:
    """Fill in every field; returns the names of those whose tables are missing.

    Args:
        connection: the store.
        now_ms: kit time.
        serving: whether the sync service runs.
        into: the status.

    Raises:
        sqlite3.Error: the store itself cannot be read.
    """
    readers: dict[str, Callable[[], Any]] = {
        "sensors": lambda: sensor_rows(connection, now_ms=now_ms),
        "actuators": lambda: actuator_rows(connection, now_ms=now_ms),
        "alerts": lambda: _alerts(connection, now_ms=now_ms),
        "forecast": lambda: forecast_row(connection, now_ms=now_ms),
        "power": lambda: _fact(connection, POWER_FACT),
        "clients": lambda: (_fact(connection, CLIENTS_FACT) or {}).get("count"),
        "checks": lambda: checks_row(connection),
        "mending": lambda: mending_row(connection),
        "backup": lambda: backup_row(connection),
        "links": lambda: link_rows(connection, now_ms=now_ms, serving=serving),
        "core": lambda: core_row(connection, now_ms=now_ms),
        "content": lambda: content_rows(connection),
        "content_refused": lambda: refused_rows(connection),
        "waiting": lambda: waiting_rows(connection, now_ms=now_ms),
        "problems": lambda: [*problem_rows(connection), *turned_away(connection, now_ms=now_ms)],
    }
    missing = []
    for field, read in readers.items():
        try:
            into[field] = read()
        except sqlite3.OperationalError as error:
            if "no such" not in str(error):
                raise
            missing.append(field)
    return missing


def forecast_row(connection: sqlite3.Connection, *, now_ms: int) -> dict[str, Any] | None:
    """The forecast of the coming or present night, times as RFC 3339; None once the night is over."""
    found = get_fact(connection, FROST_FACT)
    if found is None:
        return None
    told = dict(found[1])
    if now_ms > int(told["sunrise_ms"]) + MORNING_MS:
        return None
    for name in ("issued_ms", "sunset_ms", "sunrise_ms", "expected_below_ms"):
        told[name.removesuffix("_ms")] = rfc3339(told.pop(name, None))
    return told


def problem_rows(connection: sqlite3.Connection) -> list[str]:
    """What parts of the kit say is wrong (facts `problem/…`), a sentence each; one that is over says nothing."""
    rows = connection.execute("SELECT value FROM facts WHERE name LIKE 'problem/%' ORDER BY name").fetchall()
    told = [json.loads(row[0]) for row in rows]
    return [str(one.get("problem") or one.get("sentence")) for one in told if one.get("problem") or one.get("sentence")]


def _alerts(connection: sqlite3.Connection, *, now_ms: int) -> list[dict[str, Any]]:
    if connection.execute("SELECT 1 FROM alerts WHERE expires_ms > ? LIMIT 1", (now_ms,)).fetchone() is None:
        return []  # on a quiet day the status need not load CAP
    from kit.health.alert_view import standing_alerts

    return standing_alerts(connection, now_ms=now_ms)


def _fact(connection: sqlite3.Connection, name: str) -> dict[str, Any] | None:
    found = get_fact(connection, name)
    return None if found is None else found[1]
