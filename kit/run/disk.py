"""The care service's watch over the disk: sheds the oldest raw readings before anything else stops.

Deleting makes free pages inside the store, and new readings fill these: a full kit goes on with a shorter past. Hours
and days that were computed stay. The last two days are never shed; when not even that helps, readings wait in the
devices (they are not acknowledged), and alerts, receipts, registrations and messages go on in the reserve.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable

from kit.clock import Clock
from kit.model.local_days import LocalDays
from kit.store.database import Database
from kit.store.disk_room import HeldRoom, Reserve, Room, free_inside
from kit.store.facts import get_fact, put_fact
from kit.store.rollups import HOUR_MS, thin

FACT = "problem/disk"
KEPT_MS = 48 * HOUR_MS
STEP_HOURS = 6
REST_S = 0.02
"""Real seconds between two transactions."""

_log = logging.getLogger(__name__)


class DiskWatch:
    """Looks at the disk now and then. Belongs to one thread.

    Args:
        open_store: a new connection to the store.
        reserve: of the store.
        clock: dates what is told.
        days: of the village.
    """

    def __init__(self, open_store: Callable[[], Database], *, reserve: Reserve, clock: Clock, days: LocalDays) -> None:
        self._open_store, self._reserve, self._clock, self._days = open_store, reserve, clock, days
        self._told: str | None = None
        self._held, self._holds = HeldRoom(reserve), False

    def look(self) -> None:
        """Give the reserve up, shed, or make the reserve again; say what is so.

        Raises:
            sqlite3.Error: the store could not be written; the next look tries again.
        """
        room = self._reserve.room()
        if room.free_bytes < room.floor_bytes and not self._reserve.given_up:
            self._reserve.give_up()
            self._use_held()  # at once: somebody else may take the reserve's room, too
            _log.warning("the disk is full (%.1f MB free); the reserve was given up", room.free_bytes / 1e6)
        elif room.free_bytes < room.floor_bytes:
            self._use_held()
        if room.free_bytes < room.low_bytes:
            shed = self._shed(room)
            self._tell(_explain(room, shed=shed, given_up=self._reserve.given_up))
        elif self._reserve.make():
            self._tell("")
            if not self._holds:
                with self._open_store() as database:
                    self._held.hold(database)
                self._holds = True

    def _use_held(self) -> None:
        self._holds = False
        with self._open_store() as database:
            self._held.use(database)

    def _shed(self, room: Room) -> int:
        """Delete raw readings, the oldest first, until the store has free pages; returns how many are gone."""
        gone = 0
        with self._open_store() as database:
            before_ms = self._oldest_ms(database.connection)
            last_ms = self._newest_ms(database.connection) - KEPT_MS
            while before_ms is not None and free_inside(database.connection) < room.low_bytes:
                if before_ms > last_ms:
                    break
                with database.atomic() as connection:
                    deleted = thin(connection, before_ms=before_ms, days=self._days)
                gone += deleted
                before_ms += 0 if deleted else STEP_HOURS * HOUR_MS
                threading.Event().wait(REST_S if deleted else 0)
        if gone:
            _log.warning("the disk is nearly full: %d of the oldest raw readings were shed", gone)
        return gone

    def _oldest_ms(self, connection: sqlite3.Connection) -> int | None:
        row = connection.execute(
            "SELECT min((SELECT min(time_ms) FROM readings WHERE series = s.id)) FROM series s"
        ).fetchone()
        return None if row[0] is None else (int(row[0]) // HOUR_MS + 1) * HOUR_MS

    def _newest_ms(self, connection: sqlite3.Connection) -> int:
        # by the readings' own times: oldest first needs no clock
        row = connection.execute("SELECT max(time_ms) FROM latest_readings").fetchone()
        return int(row[0] or 0)

    def _tell(self, sentence: str) -> None:
        if sentence == self._told:
            return
        with self._open_store() as database, database.atomic() as connection:
            before = get_fact(connection, FACT)
            if sentence or (before is not None and before[1].get("problem")):
                put_fact(connection, FACT, {"problem": sentence or None}, at_ms=int(self._clock.now() * 1000))
        self._told = sentence


def _explain(room: Room, *, shed: int, given_up: bool) -> str:
    free = f"only {room.low_bytes / 1e6:,.0f} MB or less are free on the disk"
    if given_up and not shed:
        return (
            f"the disk is full: readings wait in their devices when the store has no free pages, warnings and messages "
            f"go on in the reserve; free some space: delete uploads, old backups, or set-aside/ ({free})"
        )
    return f"{free}: the oldest raw readings are shed, their hours and days stay; delete uploads or old backups"
