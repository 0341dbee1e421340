"""The status of a unit: one dict, the same for `kit status --json`, the TUI and the doctor (DESIGN §5).

Gathering it never changes anything: no home is made, no key, no table. What is not there yet (a store before the first
run, an app's tables) leaves its field empty and is named under `store`; a status is most wanted when something is
broken. Fields may be added, never renamed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from kit.clock import AcceleratedClock, Clock
from kit.errors import KitError
from kit.health import store_view
from kit.health.damage_view import damage_rows
from kit.health.power_view import power_cut_summary
from kit.health.rotation_view import rotation_row
from kit.health.services import service_states
from kit.health.times import rfc3339
from kit.home import Home
from kit.settings import Settings
from kit.store.database import Database
from kit.unit_clock import describe_clock

PATIENCE_MS = 2_000
"""How long a status waits for a store that somebody else holds; a person waits in front of it."""


def unit_status(
    home: Home, settings: Settings, clock: Clock, *, apps: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """What the unit does now.

    Args:
        home: the unit.
        settings: its settings.
        clock: the one it runs on.
        apps: lines of the apps, {label, value, ok}; handed in, because health knows no apps.
    """
    now_ms = int(clock.now() * 1000)
    states = service_states(home.services_file)
    status: dict[str, Any] = {
        "unit": unit_name(home),
        "name": settings.unit.name,
        "home": str(home.path),
        "time": rfc3339(now_ms),
        "timezone": settings.unit.timezone,
        "clock": describe_clock(clock),
        "running": states.running,
        "services": states.services,
        **store_view.nothing(),
        "power_cuts": power_cut_summary(home),
        "damage": damage_rows(home),
        "rotation": rotation_row(home),
        "apps": [dict(line) for line in apps],
    }
    if isinstance(clock, AcceleratedClock):
        status["clock"]["speed"] = clock.speed
    status["store"] = _read_store(home, now_ms=now_ms, into=status)
    return status


@contextmanager
def open_store(home: Home) -> Iterator[sqlite3.Connection]:
    """The store for a quick look: read-only, with little patience."""
    with Database(home.database, read_only=True) as database:
        database.connection.execute(f"PRAGMA busy_timeout={PATIENCE_MS}")
        yield database.connection


def unit_name(home: Home) -> str | None:
    """The unit's id, where this user may read it and it has one yet."""
    try:
        return str(json.loads((home.keys / "unit.json").read_text())["unit"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _read_store(home: Home, *, now_ms: int, into: dict[str, Any]) -> dict[str, Any]:
    """Fill in what the store knows; returns what is to be said of the store itself."""
    if not _exists(home):
        return {"state": "missing", "problem": f"this unit has never run (no store in {home.path}); start it: kit run"}
    try:
        with open_store(home) as connection:
            serving = any(row["name"] == "sync" and row["state"] == "running" for row in into["services"])
            missing = store_view.read_all(connection, now_ms=now_ms, serving=serving, into=into)
    except (sqlite3.Error, KitError) as error:
        return _explain(error)
    if missing:
        tables = ", ".join(sorted(missing))
        return {"state": "incomplete", "problem": f"the store has no {tables} yet; start the unit once: kit run"}
    return {"state": "ok", "problem": None}


def _exists(home: Home) -> bool:
    try:
        return home.database.exists()
    except OSError:
        return False


def _explain(error: Exception) -> dict[str, Any]:
    text = str(error)
    if "locked" in text or "busy" in text:
        return {"state": "locked", "problem": "the store is busy (another process is writing); try again in a minute"}
    if "malformed" in text or "not a database" in text:
        return {"state": "damaged", "problem": "the store is damaged; see `kit doctor`"}
    return {"state": "unreadable", "problem": f"the store cannot be read: {text}; see `kit doctor`"}
