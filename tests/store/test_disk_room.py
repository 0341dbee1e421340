"""When the disk runs full: the oldest raw readings go first, then readings wait, and warnings never do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from stored import measure

from kit.broker.ports import JournalError
from kit.clock import ManualClock
from kit.errors import KitError
from kit.health.store_view import problem_rows
from kit.home import Home
from kit.model.local_days import LocalDays
from kit.model.messages import Published
from kit.run.disk import KEPT_MS, DiskWatch
from kit.run.schema import open_unit_store
from kit.store.database import Database
from kit.store.disk_room import ReadingsGate, Reserve, Room, free_inside
from kit.store.mqtt import MqttJournal
from kit.store.rollups import HOUR_MS, advance, roll

BEGIN_MS = 1_800_000_000_000 // HOUR_MS * HOUR_MS
ROWS = 20_000
STEP_MS = 60_000
END_MS = BEGIN_MS + ROWS * STEP_MS


@dataclass
class Disk:
    """A disk of which the test says how full it is."""

    total: int = 8_000_000
    free: int = 8_000_000

    def look(self, _folder: Path) -> Room:
        return Room(total_bytes=self.total, free_bytes=self.free)


@dataclass
class Kit:
    home: Home
    disk: Disk
    watch: DiskWatch
    reserve: Reserve
    store: Database

    def has_reserve(self) -> bool:
        return (self.home.path / "reserve").exists()

    def count(self) -> int:
        return int(self.store.connection.execute("SELECT count(*) FROM readings").fetchone()[0])


@pytest.fixture
def days() -> LocalDays:
    from kit.health.words import zone_of

    return LocalDays(zone_of("UTC"))


@pytest.fixture
def kit(tmp_path: Path, days: LocalDays) -> Iterator[Kit]:
    home = Home(tmp_path / "kit")
    home.prepare()
    disk = Disk()
    reserve = Reserve(home.database, look=disk.look)
    with open_unit_store(home) as store:
        measure(home, "roof", *(float(n % 40) for n in range(ROWS)), begin_ms=BEGIN_MS, step_ms=STEP_MS)
        done = False
        while not done:
            with store.atomic() as connection:
                done = advance(connection, to_ms=END_MS) and roll(connection, days)
        clock = ManualClock(at_s=END_MS / 1000)
        watch = DiskWatch(lambda: open_unit_store(home), reserve=reserve, clock=clock, days=days)
        yield Kit(home, disk, watch, reserve, store)


def test_with_room_the_reserve_is_kept_and_nothing_is_shed(kit: Kit) -> None:
    kit.watch.look()
    assert kit.has_reserve()
    assert (kit.home.path / "reserve").stat().st_size == 1_000_000
    assert kit.count() == ROWS
    assert problem_rows(kit.store.connection) == []


def test_a_disk_that_is_nearly_full_sheds_the_oldest_raw_readings_and_keeps_their_hours(kit: Kit) -> None:
    kit.watch.look()
    hours = kit.store.connection.execute("SELECT count(*) FROM hourly").fetchone()[0]
    kit.disk.free = 900_000
    kit.watch.look()
    left = kit.count()
    assert left < ROWS
    oldest = kit.store.connection.execute("SELECT min(time_ms) FROM readings").fetchone()[0]
    assert BEGIN_MS < oldest <= END_MS - KEPT_MS + 6 * HOUR_MS
    assert left == (END_MS - oldest) // STEP_MS
    assert kit.store.connection.execute("SELECT count(*) FROM hourly").fetchone()[0] == hours
    assert "oldest raw readings are shed" in problem_rows(kit.store.connection)[0]
    assert kit.has_reserve()


def test_the_last_two_days_are_never_shed(kit: Kit) -> None:
    kit.disk.free = 0
    for _ in range(3):
        kit.watch.look()
    assert kit.count() >= KEPT_MS // STEP_MS


def test_a_full_disk_gives_up_the_reserve_and_recovers_by_itself(kit: Kit) -> None:
    kit.watch.look()
    kit.disk.free = 100_000
    kit.watch.look()
    assert not kit.has_reserve()
    kit.disk.free = 1_500_000
    kit.watch.look()
    assert not kit.has_reserve()  # not before there is room for it and more
    kit.disk.free = 3_000_000
    kit.watch.look()
    assert kit.has_reserve()
    assert problem_rows(kit.store.connection) == []


def publish(topic: str) -> Published:
    return Published(
        username="roof",
        client_id="roof",
        topic=topic,
        payload=b"x",
        qos=1,
        retain=False,
        duplicate=False,
        packet_id=1,
        received_ms=0,
    )


def test_readings_wait_only_while_the_reserve_is_given_up_and_the_store_has_no_free_pages(kit: Kit) -> None:
    kit.watch.look()
    journal = MqttJournal(kit.store, ingest=lambda _connection, _published: None, gate=ReadingsGate(kit.reserve))
    journal.commit([publish("sensors/roof")])
    kit.disk.free = 0
    kit.reserve.give_up()
    assert free_inside(kit.store.connection) < kit.disk.look(kit.home.path).floor_bytes
    with pytest.raises(JournalError, match="the disk is full"):
        journal.commit([publish("sensors/roof")])
    journal.commit([publish("alerts/village")])
    kit.watch.look()  # sheds: free pages
    journal.commit([publish("sensors/roof")])


def test_a_unit_whose_reserve_was_never_made_takes_readings_unless_the_disk_is_full(kit: Kit) -> None:
    gate = ReadingsGate(kit.reserve)
    assert not gate.closed(kit.store.connection)
    kit.disk.free = 0
    assert gate.closed(kit.store.connection)


def test_a_unit_that_starts_on_a_full_disk_gives_its_reserve_up_first(tmp_path: Path) -> None:
    home = Home(tmp_path / "unit")
    home.prepare()
    home.reserve.write_bytes(b"0" * 1000)
    (home.run / ".writable").symlink_to("/dev/full")  # a device on which no write finds room
    with pytest.raises(KitError, match="is full; free some space"):
        home.prepare()
    assert not home.reserve.exists()
