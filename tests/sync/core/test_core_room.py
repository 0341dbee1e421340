"""How much a core takes while its disk runs full."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.store.disk_room import Room
from sync.core.room import CoreRoom
from sync.core.sqlite_store import SqliteCoreStore
from sync.protocol.records import Priority, Record, RecordId


@dataclass
class Disk:
    """A disk of which the test says how full it is."""

    free: int = 8_000_000

    def look(self, _folder: Path) -> Room:
        return Room(total_bytes=8_000_000, free_bytes=self.free)


def record(seq: int, priority: Priority) -> Record:
    return Record(id=RecordId("kit-1", 1, seq), kind="x", priority=priority, created_ms=0, body=b"x")


def test_a_full_core_takes_alarms_and_nothing_else_until_there_is_room_for_its_reserve(city: Any) -> None:
    disk = Disk()
    room = CoreRoom(city.store._database.file, look=disk.look)
    database = city.store._database
    folder = database.file.parent
    room.keep(database)
    assert (folder / "reserve").stat().st_size == 1_000_000
    assert room.problem() == ""
    disk.free = 200_000
    room.keep(database)
    assert not (folder / "reserve").exists()
    disk.free += 1_000_000  # what the reserve held is not for records
    assert room.refuses([record(1, Priority.READING)])
    assert room.refuses([record(1, Priority.READING), record(2, Priority.DISTRESS)])
    assert not room.refuses([record(1, Priority.DISTRESS)])
    assert f"{database.file} (file system /" in room.problem()
    assert "Free 0.1 MB or more" in room.problem()
    disk.free = 1_500_000
    assert room.refuses([record(1, Priority.READING)]) == room.problem() == ""
    disk.free = 8_000_000
    room.keep(database)
    assert (folder / "reserve").exists()


def test_room_is_held_inside_the_store_and_written_over_while_the_disk_is_full(city: Any) -> None:
    store: SqliteCoreStore = city.store
    database, disk = store._database, Disk()
    room, log = CoreRoom(database.file, look=disk.look), database.file.with_name("core.db-wal")
    room.keep(database)
    size = log.stat().st_size
    assert size >= 120_000
    disk.free = 0
    room.keep(database)
    (free,) = database.connection.execute("PRAGMA freelist_count").fetchone()
    assert free * 4096 >= 120_000
    for number in range(200):
        store.save_session(f"kit-{number % 5}", bytes(500))
        room.keep(database)
    assert log.stat().st_size == size
