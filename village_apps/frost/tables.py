"""The app's own tables: every forecast that was issued, and the warning of each night.

A night has at most one warning, whatever is killed when: its row and the alert are written in one transaction, and the
night is its key.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass

from kit.model.forecast import NightForecast
from kit.store.migrations import sql

MIGRATIONS = (
    sql(
        "frost",
        "0001_forecasts_and_warnings",
        """
        CREATE TABLE frost_forecasts (
            issued_ms INTEGER PRIMARY KEY, slot_ms INTEGER NOT NULL, night TEXT NOT NULL,
            forecast TEXT NOT NULL, descent TEXT NOT NULL
        );
        CREATE INDEX frost_forecasts_by_night ON frost_forecasts (night, slot_ms);
        CREATE TABLE frost_warnings (
            night TEXT PRIMARY KEY, identifier TEXT NOT NULL, latest TEXT NOT NULL, raised_ms INTEGER NOT NULL,
            told_tmin_c REAL NOT NULL, told_onset_ms INTEGER, updates INTEGER NOT NULL,
            sunrise_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, over_ms INTEGER
        ) WITHOUT ROWID
        """,
    ),
)


@dataclass(frozen=True, kw_only=True)
class StoredForecast:
    """An issued forecast with the shape of the fall.

    Attributes:
        forecast: what was said.
        descent: (Unix ms, part of the coming fall done by then).
    """

    forecast: NightForecast
    descent: tuple[tuple[int, float], ...]


@dataclass(frozen=True, kw_only=True)
class FrostWarning:
    """A night's warning.

    Attributes:
        night: local date of the sunrise.
        identifier: of the alert that raised it.
        latest: of the latest message about it.
        raised_ms: Unix ms.
        told_tmin_c, told_onset_ms: what the latest message said.
        updates: how many messages followed the first.
        sunrise_ms, expires_ms: Unix ms.
        over_ms: when it ended; None while it stands.
    """

    night: str
    identifier: str
    latest: str
    raised_ms: int
    told_tmin_c: float
    told_onset_ms: int | None
    updates: int
    sunrise_ms: int
    expires_ms: int
    over_ms: int | None


def keep_forecast(
    connection: sqlite3.Connection,
    forecast: NightForecast,
    *,
    slot_ms: int,
    descent: tuple[tuple[int, float], ...],
) -> None:
    """Store a forecast; `slot_ms` is the hour it was due at."""
    connection.execute(
        "INSERT OR REPLACE INTO frost_forecasts VALUES (?, ?, ?, ?, ?)",
        (forecast.issued_ms, slot_ms, forecast.night, json.dumps(forecast.as_fact()), json.dumps(descent)),
    )


def latest_forecast(connection: sqlite3.Connection) -> StoredForecast | None:
    """The forecast issued last."""
    row = connection.execute("SELECT forecast, descent FROM frost_forecasts ORDER BY issued_ms DESC LIMIT 1").fetchone()
    if row is None:
        return None
    descent = tuple((int(at), float(part)) for at, part in json.loads(row[1]))
    return StoredForecast(forecast=NightForecast.from_fact(json.loads(row[0])), descent=descent)


def latest_slot(connection: sqlite3.Connection, night: str) -> int | None:
    """The latest hour of that night for which a forecast was issued, Unix ms."""
    row = connection.execute("SELECT max(slot_ms) FROM frost_forecasts WHERE night = ?", (night,)).fetchone()
    return None if row[0] is None else int(row[0])


def find_warning(connection: sqlite3.Connection, night: str) -> FrostWarning | None:
    """The warning of that night, standing or over."""
    return _warning(connection.execute("SELECT * FROM frost_warnings WHERE night = ?", (night,)).fetchone())


def standing_warning(connection: sqlite3.Connection) -> FrostWarning | None:
    """The warning that stands now."""
    row = connection.execute(
        "SELECT * FROM frost_warnings WHERE over_ms IS NULL ORDER BY night DESC LIMIT 1"
    ).fetchone()
    return _warning(row)


def latest_warning(connection: sqlite3.Connection) -> FrostWarning | None:
    """The latest warning, standing or over."""
    return _warning(connection.execute("SELECT * FROM frost_warnings ORDER BY night DESC LIMIT 1").fetchone())


def keep_warning(connection: sqlite3.Connection, warning: FrostWarning) -> None:
    """Store the warning, replacing what was known of that night's."""
    connection.execute(
        "INSERT OR REPLACE INTO frost_warnings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            warning.night,
            warning.identifier,
            warning.latest,
            warning.raised_ms,
            warning.told_tmin_c,
            warning.told_onset_ms,
            warning.updates,
            warning.sunrise_ms,
            warning.expires_ms,
            warning.over_ms,
        ),
    )


def _warning(row: sqlite3.Row | None) -> FrostWarning | None:
    if row is None:
        return None
    return FrostWarning(
        night=str(row[0]),
        identifier=str(row[1]),
        latest=str(row[2]),
        raised_ms=int(row[3]),
        told_tmin_c=float(row[4]),
        told_onset_ms=None if row[5] is None else int(row[5]),
        updates=int(row[6]),
        sunrise_ms=int(row[7]),
        expires_ms=int(row[8]),
        over_ms=None if row[9] is None else int(row[9]),
    )
