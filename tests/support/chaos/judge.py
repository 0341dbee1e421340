"""Afterwards: what was acknowledged, and what of it the kit and the core hold."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.model.readings import Reading
from kit.store.database import Database
from kit.store.readings import StoredReading, find_readings, unsynced


@dataclass(frozen=True)
class Line:
    """One kind of thing.

    Attributes:
        kind: what it is.
        acknowledged: how many somebody was told are safe.
        found: how many of these are held.
        lost: how many of these are not.
        doubled: how many are held more than once.
    """

    kind: str
    acknowledged: int
    found: int
    lost: int
    doubled: int


def compare(kind: str, acknowledged: Iterable[Any], held: Iterable[Any]) -> Line:
    """`held` may hold more than was acknowledged (the thanks got lost), but nothing twice."""
    promised, holds = set(acknowledged), Counter(held)
    found = sum(1 for each in promised if each in holds)
    doubled = sum(times - 1 for times in holds.values())
    return Line(kind, len(promised), found, len(promised) - found, doubled)


def rows(file: Path, question: str, *values: object) -> list[tuple[Any, ...]]:
    """Ask a store that its own processes may be using."""
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)
    try:
        return connection.execute(question, values).fetchall()
    finally:
        connection.close()


CORE_READINGS = (
    "SELECT s.device, r.time_ms / 1000, round(r.value, 1) FROM core_readings r JOIN core_series s ON s.id = r.series "
    "WHERE s.quantity = 'temperature'"
)


def measured(store: Path) -> list[tuple[str, int, float]]:
    """Every temperature in the kit's store: device, Unix s, °C."""
    with Database(store, read_only=True) as database:
        return [_key(reading) for reading in find_readings(database.connection, quantity="temperature")]


def not_batched(store: Path) -> list[tuple[str, int, float]]:
    """The temperatures that no batch for the core holds yet."""
    with Database(store, read_only=True) as database:
        waiting = unsynced(database.connection, limit=10_000)
    return [_key(reading) for reading in waiting.readings if reading.quantity == "temperature"]


def _key(reading: StoredReading | Reading) -> tuple[str, int, float]:
    return reading.device, reading.time_ms // 1000, round(reading.value, 1)


@dataclass(frozen=True)
class Promises:
    """What was acknowledged: readings (device, Unix s, value), receipts (alert, person), quiz sheets, alerts."""

    readings: set[tuple[str, int, float]]
    receipts: set[tuple[str, str]]
    quizzes: set[str]
    alerts: set[str]


def at_the_kit(store: Path, promises: Promises) -> list[Line]:
    """The kit's own store against its word."""
    return [
        compare("readings", promises.readings, measured(store)),
        compare("receipts", promises.receipts, rows(store, "SELECT alert, person FROM alert_receipts")),
        compare("quizzes", promises.quizzes, _single(rows(store, "SELECT sheet FROM learning_attempts"))),
        compare("alerts", promises.alerts, _single(rows(store, "SELECT identifier FROM alerts"))),
    ]


def at_the_core(kit_store: Path, core_store: Path, promises: Promises) -> list[Line]:
    """The core's store against the kit's word, and record by record against the kit's queue.

    Readings that the kit has not put into a batch yet are still the kit's to send; they are counted as found there.
    """
    records = "SELECT origin, epoch, seq, kind FROM"
    waiting = set(not_batched(kit_store))
    held = rows(core_store, CORE_READINGS)
    counted = sum(
        count for (count,) in rows(core_store, "SELECT count FROM core_series WHERE quantity = 'temperature'")
    )
    readings = compare("readings", promises.readings, [*held, *(waiting - set(held))])
    sent_again = counted - len(held)  # a reading that two batches brought
    return [
        compare("records", rows(kit_store, f"{records} records"), rows(core_store, f"{records} core_records")),
        Line(readings.kind, readings.acknowledged, readings.found, readings.lost, readings.doubled + sent_again),
        compare("receipts", promises.receipts, rows(core_store, "SELECT alert, person FROM core_receipts")),
        compare("alerts", promises.alerts, _single(rows(core_store, "SELECT identifier FROM core_alerts"))),
        _quizzes(kit_store, core_store),
    ]


def _quizzes(kit_store: Path, core_store: Path) -> Line:
    """Digests name no sheet: what the kit has counted into digests must be what the core has counted."""
    told = int(rows(kit_store, "SELECT count(*) FROM learning_attempts WHERE digest_ms IS NOT NULL")[0][0])
    held = int(rows(core_store, "SELECT coalesce(sum(attempts), 0) FROM core_quizzes")[0][0])
    return Line("quizzes", told, min(told, held), max(0, told - held), max(0, held - told))


def _single(found: Iterable[tuple[Any, ...]]) -> list[Any]:
    return [row[0] for row in found]


def table(place: str, lines: list[Line]) -> str:
    """As the terminal shows it."""
    head = f"{place:<14}{'acknowledged':>14}{'found':>9}{'lost':>7}{'doubled':>9}"
    return "\n".join(
        [
            head,
            *(
                f"  {line.kind:<12}{line.acknowledged:>14,}{line.found:>9,}{line.lost:>7}{line.doubled:>9}"
                for line in lines
            ),
        ]
    )
