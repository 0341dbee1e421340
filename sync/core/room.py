"""The room on the disk of a city core, and what gives way when there is none.

A file of zeros, `reserve`, stands beside the store as on a kit. When the disk runs full it is deleted: in its room the
core goes on talking, keeps its sessions, and takes alarms. Everything else stays with the kits, which are asked to
wait. When there is room, all goes on by itself.

Whoever filled the disk may fill the reserve's room as well. A core without one free byte still asks its kits to wait,
for which it writes down the counters of its sessions: room is held inside the store, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from kit.disk import GO_ON_BYTES, mount_of
from kit.store.database import Database
from kit.store.disk_room import HeldRoom, Reserve, Room, look
from sync.protocol.records import Priority, Record


class CoreRoom:
    """How much room a core has. Every answer is about now; nothing is remembered but the file.

    Args:
        store: the core's SQLite file.
        look: how the disk is looked at.
    """

    def __init__(self, store: Path, *, look: Callable[[Path], Room] = look) -> None:
        self._store, self._reserve = store, Reserve(store, look=look)
        self._held = HeldRoom(self._reserve)

    def keep(self, database: Database) -> None:
        """Give the reserve up where the disk is full, make it again where there is room. To be called every second.

        Args:
            database: the store, for the room inside it.

        Raises:
            sqlite3.Error: it could not be written now.
        """
        room = self._reserve.room()
        if room.free_bytes < room.floor_bytes:
            self._reserve.give_up()
        elif self._reserve.make():
            self._held.hold(database)
        if self.lacks_bytes():
            self._held.use(database)

    def make_way(self) -> None:
        """At a start: SQLite must have room to open the store."""
        if self._reserve.room().free_bytes < GO_ON_BYTES:
            self._reserve.give_up()

    def lacks_bytes(self) -> int:
        """What has to be freed until records are taken; 0 = they are."""
        room = self._reserve.room()
        # with the reserve or in its place: giving it up makes no room for more records
        needed = room.floor_bytes + (room.reserve_bytes if self._reserve.given_up else 0)
        return max(0, needed - room.free_bytes)

    def refuses(self, records: Sequence[Record]) -> str:
        """Why these are not taken; "" = they are."""
        if all(record.priority == Priority.DISTRESS for record in records) or not self.lacks_bytes():
            return ""
        return "the disk is full"

    def problem(self) -> str:
        """For whoever looks after the core; "" = there is room."""
        lacks = self.lacks_bytes()
        if not lacks:
            return ""
        free = f"{self._reserve.room().free_bytes / 1e6:,.1f} MB are free"
        return (
            f"The disk that holds {self._store} (file system {mount_of(self._store)}) is full, {free}: "
            f"nothing but alarms is taken from the kits, which keep what they have and are asked to wait. "
            f"Free {lacks / 1e6:,.1f} MB or more; then it goes on by itself."
        )
