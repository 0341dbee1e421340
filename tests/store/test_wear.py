"""Bytes that reach the card for a reading are bounded."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from kit.clock import ManualClock
from kit.collect.ingest import Ingest
from kit.model.messages import Published
from kit.store import schema
from kit.store.database import CHECKPOINT_PAGES, MOST_LOG_BYTES, Database
from kit.store.ledger import Ledger
from kit.store.mqtt import MqttJournal

READINGS = 400
MOST_BYTES_PER_READING = 20_000
"""Each reading a commit of its own, each entry of the ledger flushed; 16,000 were measured. At one a minute from each
of 50 sensors this is 1.4 GB a day; cards are rated for tens of terabytes."""


def written() -> int:
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["write_bytes"])


def message(number: int, clock: ManualClock) -> Published:
    device = f"field-{number % 50}"
    payload = json.dumps([{"n": "temperature", "u": "Cel", "v": number % 40}]).encode()
    return Published(
        username=device,
        client_id=device,
        topic=f"sensors/{device}",
        payload=payload,
        qos=1,
        retain=False,
        duplicate=False,
        packet_id=number + 1,
        received_ms=int(clock.now() * 1000),
    )


def test_a_reading_that_is_a_commit_of_its_own_writes_few_bytes(tmp_path: Path) -> None:
    before = written()
    (tmp_path / "probe").write_bytes(bytes(65_536))
    if written() == before:
        pytest.skip("what is written here goes to no disk that the kernel counts")
    clock = ManualClock(at_s=1_790_000_000.0)
    ledger = Ledger(tmp_path / "ledger", "broker", clock=clock, real_s=clock.monotonic)
    with Database(tmp_path / "kit.db", migrations=schema.MIGRATIONS, ledger=ledger) as database:
        journal = MqttJournal(database, ingest=Ingest(clock=clock))
        journal.commit([message(number, clock) for number in range(50)])
        before = written()
        for number in range(READINGS):
            clock.advance(1.2)
            journal.commit([message(number, clock)])
        database.connection.execute("PRAGMA wal_checkpoint(RESTART)")
        per_reading = (written() - before) / READINGS
    assert 500 < per_reading < MOST_BYTES_PER_READING


def test_every_connection_that_writes_has_the_policy_for_flash(tmp_path: Path) -> None:
    with Database(tmp_path / "kit.db", migrations=schema.MIGRATIONS) as database:
        told = [database.connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "synchronous")]
        assert told == [1024, 2]
        assert database.connection.execute("PRAGMA wal_autocheckpoint").fetchone()[0] == CHECKPOINT_PAGES
        assert database.connection.execute("PRAGMA journal_size_limit").fetchone()[0] == MOST_LOG_BYTES


def test_a_store_from_before_keeps_its_page_size(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / "kit.db")
    old.execute("CREATE TABLE t (a)")
    old.close()
    with Database(tmp_path / "kit.db", migrations=schema.MIGRATIONS) as database:
        assert database.connection.execute("PRAGMA page_size").fetchone()[0] == 4096
