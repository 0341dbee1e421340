"""What was learned of how each sensor differs from its neighbours (`kit.model.neighbourhood`)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from kit.model.neighbourhood import Usual
from kit.model.places import NOWHERE
from kit.store.devices import places
from kit.store.migrations import sql

MIGRATIONS = (
    sql(
        "neighbours",
        "0001_usual_differences",
        """
        CREATE TABLE usual_differences (
            series INTEGER PRIMARY KEY, difference REAL NOT NULL, deviation REAL NOT NULL, count INTEGER NOT NULL
        )
        """,
    ),
)


class Placed(NamedTuple):
    """A series and where its device stands; None where that is not known."""

    series: int
    device: str
    quantity: str
    unit: str
    latitude: float | None = None
    longitude: float | None = None


def load_placed(
    connection: sqlite3.Connection, quantities: Sequence[str]
) -> Iterator[tuple[Placed, Usual, int, float, int]]:
    """Every series of these quantities: where, its usual difference, and its newest reading (time, value, quality)."""
    rows = connection.execute(
        "SELECT s.id, s.device, s.quantity, s.unit, u.difference, u.deviation, u.count, "
        "l.time_ms, l.value, l.quality FROM series s JOIN latest_readings l ON l.series = s.id "
        "LEFT JOIN usual_differences u ON u.series = s.id "
        "WHERE s.quantity IN (SELECT value FROM json_each(?))",
        (json.dumps(list(quantities)),),
    ).fetchall()
    placed = places(connection)
    for row in rows:
        device = str(row[1])
        place = placed.get(device) or placed.get(device.partition("/")[0], NOWHERE)
        usual = Usual() if row[4] is None else Usual(float(row[4]), float(row[5]), int(row[6]))
        where = Placed(int(row[0]), device, str(row[2]), str(row[3]), place.latitude, place.longitude)
        yield where, usual, int(row[7]), float(row[8]), int(row[9])


def save_usual(connection: sqlite3.Connection, learned: Iterable[tuple[int, Usual]]) -> None:
    """Keep what was learned, by series."""
    connection.executemany(
        "INSERT OR REPLACE INTO usual_differences VALUES (?, ?, ?, ?)",
        [(series, usual.difference, usual.deviation, usual.count) for series, usual in learned],
    )
