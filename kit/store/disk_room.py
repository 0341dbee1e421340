"""Room on the disk, and what gives way when there is none.

A file of zeros, `reserve` beside the store, keeps space that nobody else on the machine can take. When the disk runs
full the care service deletes it: from then on only what must not stop (alerts, receipts, registrations, messages) uses
that space, and readings are taken only as long as the store has free pages inside, which shedding the oldest raw
readings makes. When there is room again the file is written anew, and all is as before. A
little room is held inside the store as well (`HeldRoom`).

Every size is a share of the disk, with an upper bound: the same rules hold on a card of 32 GB and in a test of 16 MB.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kit.store.database import Database

MOST_RESERVE_BYTES = 32_000_000
"""Alerts of years: an alert with its receipts and records takes some kilobytes. Half of it is for the log's growth."""

MOST_LOW_BYTES = 256_000_000
"""Below this, readings are shed: room for the log, a checkpoint and a night of uploads."""

SHARE = 8
"""Neither is more than the eighth part of the disk."""

FLOOR_SHARE = 4
"""Part of `low_bytes` below which the reserve is given up."""

RESERVE = "reserve"


@dataclass(frozen=True)
class Room:
    """The disk that holds a store.

    Attributes:
        total_bytes: its size.
        free_bytes: what an ordinary user may still write.
    """

    total_bytes: int
    free_bytes: int

    @property
    def reserve_bytes(self) -> int:
        """How large the reserve is to be."""
        return min(MOST_RESERVE_BYTES, self.total_bytes // SHARE)

    @property
    def low_bytes(self) -> int:
        """Below this, readings are shed."""
        return min(MOST_LOW_BYTES, self.total_bytes // SHARE)

    @property
    def floor_bytes(self) -> int:
        """Below this, the reserve is given up."""
        return self.low_bytes // FLOOR_SHARE


def look(folder: Path) -> Room:
    """The disk as it is now."""
    told = os.statvfs(folder)
    return Room(total_bytes=told.f_blocks * told.f_frsize, free_bytes=told.f_bavail * told.f_frsize)


class Reserve:
    """The file that keeps space.

    Args:
        store: the SQLite file it stands beside.
        look: how the disk is looked at.
    """

    def __init__(self, store: Path, *, look: Callable[[Path], Room] = look) -> None:
        self._file = store.with_name(RESERVE)
        self._look = look

    @property
    def given_up(self) -> bool:
        """Whether it is not there: the disk is, or was a moment ago, full. One look at a directory entry."""
        return not self._file.exists()

    def room(self) -> Room:
        """The disk as it is now."""
        return self._look(self._file.parent)

    def give_up(self) -> None:
        """Delete it."""
        self._file.unlink(missing_ok=True)

    def make(self) -> bool:
        """Write it, if there is room for it and more; whether it is there now."""
        if not self.given_up:
            return True
        room = self.room()
        if room.free_bytes < room.low_bytes + room.reserve_bytes:
            return False
        temporary = self._file.with_suffix(".new")
        try:
            with temporary.open("wb") as stream:
                # blocks, not a hole: some file systems (FAT, some overlays) know no fallocate, glibc then writes zeros
                os.posix_fallocate(stream.fileno(), 0, room.reserve_bytes)
                os.fsync(stream.fileno())
            temporary.rename(self._file)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            return False
        return True


def free_inside(connection: sqlite3.Connection) -> int:
    """Bytes of the store's own pages that are free: what can be written without the file growing."""
    (pages,) = connection.execute("PRAGMA freelist_count").fetchone()
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    return int(pages) * int(page_bytes)


MOST_HELD_BYTES = 1_000_000
"""Held inside the store: some hundred alerts with their receipts and records."""


class HeldRoom:
    """Room inside the store itself, for a disk on which somebody takes the reserve's room as well.

    A table of zeros holds pages of the file, and writing it made the log long. When the disk runs full the table is
    dropped: alerts go into its pages, and the log is written over from its beginning instead of growing.

    Args:
        reserve: of the store.
    """

    TABLE = "room_held"

    def __init__(self, reserve: Reserve) -> None:
        self._reserve = reserve

    def hold(self, database: Database) -> None:
        """Hold it, or hold it again after a start, which began a new log.

        Raises:
            sqlite3.Error: it could not be written now.
        """
        wanted = self._wanted()
        log = database.file.with_name(f"{database.file.name}-wal")
        if self._is_there(database) and log.exists() and log.stat().st_size >= wanted:
            return
        with database.atomic() as connection:
            connection.execute(f"DROP TABLE IF EXISTS {self.TABLE}")
            connection.execute(f"CREATE TABLE {self.TABLE} AS SELECT zeroblob({wanted}) AS filler")
        self._begin_log_anew(database)

    def use(self, database: Database) -> None:
        """The disk is full: to be called every second while it is.

        Raises:
            sqlite3.Error: it could not be written now.
        """
        self._begin_log_anew(database)
        if self._is_there(database):
            with database.atomic() as connection:
                connection.execute(f"DROP TABLE {self.TABLE}")
            self._begin_log_anew(database)

    def _wanted(self) -> int:
        # half of what readings leave alone: they must not take it
        return min(MOST_HELD_BYTES, self._reserve.room().floor_bytes // 2)

    def _is_there(self, database: Database) -> bool:
        statement = "SELECT 1 FROM sqlite_schema WHERE name = ?"
        return database.connection.execute(statement, (self.TABLE,)).fetchone() is not None

    def _begin_log_anew(self, database: Database) -> None:
        """What is in the log is copied into the file; who writes next begins at its beginning, if nobody reads."""
        database.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()


class ReadingsGate:
    """Whether readings may still be taken.

    Args:
        reserve: of this store.
    """

    def __init__(self, reserve: Reserve) -> None:
        self._reserve = reserve
        self._was_there = not reserve.given_up

    def closed(self, connection: sqlite3.Connection) -> bool:
        """True when the disk is full and shedding has made no room yet: what is left is for alerts and messages."""
        if not self._reserve.given_up:
            self._was_there = True
            return False
        if not self._was_there:
            # the care service has not made it yet (a first start): the disk itself is asked
            room = self._reserve.room()
            return room.free_bytes < room.floor_bytes and free_inside(connection) < room.floor_bytes
        return free_inside(connection) < self._reserve.room().floor_bytes
