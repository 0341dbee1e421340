"""Hours become summaries, which go ahead of the readings they are of while only a radio is up.

A summary (priority 3) tells of all hours since the one before it: minimum, mean, maximum and count of each series. The
readings themselves (priority 4) follow when the air allows or a wider link comes; the core counts them once.

- While a wide link carries the readings, nothing needs summarising: the hours are passed over once all readings of them
  are at the core.
- While the core is not heard, hours gather for `GATHER_H`, as one record of a day is a quarter of twenty-four small
  ones; when it is heard again, what has gathered goes at once.
- How far it has come is a fact in the store, written in the transaction that writes the record: whatever instant the
  process is killed at, each hour is told once.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable

from kit.clock import Clock
from kit.collect.uplink import Uplink, uplink
from kit.model.summary import HOUR_MS, HourSummary, encode_summaries, is_summarised, summarise
from kit.store.database import Database
from kit.store.facts import get_fact, put_fact
from kit.store.readings import StoredReading, count_unsynced, find_readings
from kit.store.records import readings_wait, write_record
from sync.protocol.records import Priority

FACT = "summaries"
GRACE_MS = 180_000
"""After an hour's end, for readings still on their way from the sensors (kit time)."""

GATHER_H = 24
"""Also the most that one record holds."""

LOOK_BACK_H = 7 * 24
"""A kit whose clock jumps ahead by years has not measured for years; older hours are not looked for."""

POLL_S = 60.0
AT_ONCE_S = 1.0
"""While a backlog of days is told."""


class Summarizer:
    """Makes records of hours. Belongs to one thread.

    Args:
        database: the kit's open store.
        clock: says which hours have passed.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def step(self) -> float:
        """Write what is due, at most one record's worth; returns after how many kit seconds to call it again."""
        connection = self._database.connection
        now_ms = int(self._clock.now() * 1000)
        due_ms = (now_ms - GRACE_MS) // HOUR_MS * HOUR_MS
        since_ms = _told_until(connection)
        if since_ms is None or since_ms > due_ms:
            # new, or the clock was set back: hours that were told already are told again, and counted once
            self._tell([], due_ms, now_ms)
            return POLL_S
        if since_ms == due_ms:
            return POLL_S
        return self._advance(max(since_ms, due_ms - LOOK_BACK_H * HOUR_MS), due_ms, now_ms)

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set."""
        while not stop.is_set():
            stop.wait(max(0.005, self._clock.real(self.step())))

    def _advance(self, since_ms: int, due_ms: int, now_ms: int) -> float:
        """Tell the hours, pass them over or wait."""
        connection = self._database.connection
        _, oldest_ms = count_unsynced(connection, at_most=1)
        if not readings_wait(connection) and (oldest_ms is None or oldest_ms >= due_ms):
            self._tell([], due_ms, now_ms)
            return POLL_S
        gathered = due_ms - since_ms >= GATHER_H * HOUR_MS
        if not gathered and uplink(connection, now_ms=now_ms) is not Uplink.NARROW:
            return POLL_S
        until_ms = min(due_ms, since_ms + GATHER_H * HOUR_MS)
        # packed before the transaction: on a small computer that takes longer than others should wait for the store
        hours = hours_between(connection, since_ms, until_ms)
        self._tell(encode_summaries(hours) if hours else [], until_ms, now_ms)
        return AT_ONCE_S if until_ms < due_ms else POLL_S

    def _tell(self, bodies: list[bytes], until_ms: int, now_ms: int) -> None:
        with self._database.atomic() as connection:
            for body in bodies:
                write_record(connection, kind="summary", priority=Priority.SUMMARY, body=body, created_ms=now_ms)
            put_fact(connection, FACT, {"until_ms": until_ms}, at_ms=now_ms)


def hours_between(connection: sqlite3.Connection, since_ms: int, until_ms: int) -> list[HourSummary]:
    """Every series' hours of that time that hold a usable reading."""
    values: dict[tuple[str, str, str, int], list[float]] = {}
    for each in _usable(connection, since_ms, until_ms):
        hour_ms = each.time_ms // HOUR_MS * HOUR_MS
        values.setdefault((each.device, each.quantity, each.unit, hour_ms), []).append(each.value)
    return [
        summarise(device, (quantity, unit), hour_ms, told) for (device, quantity, unit, hour_ms), told in values.items()
    ]


def _usable(connection: sqlite3.Connection, since_ms: int, until_ms: int) -> Iterable[StoredReading]:
    found = find_readings(connection, since_ms=since_ms, until_ms=until_ms, usable_only=True)
    return (each for each in found if is_summarised(each.unit))


def _told_until(connection: sqlite3.Connection) -> int | None:
    fact = get_fact(connection, FACT)
    return None if fact is None else int(fact[1]["until_ms"])
