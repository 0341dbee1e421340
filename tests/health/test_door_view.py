"""Who was turned away at the broker's door is told to the technician, with what to do."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.health.attention import attention
from kit.health.door_view import LATELY_MS, connected_from, turned_away
from kit.store.database import Database
from kit.store.schema import MIGRATIONS

NOW_MS = 1_790_000_000_000
MINUTE_MS = 60_000


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with Database(tmp_path / "kit.db", migrations=MIGRATIONS) as database:
        yield database.connection


def test_a_quiet_door_says_nothing(connection: sqlite3.Connection) -> None:
    assert turned_away(connection, now_ms=NOW_MS) == []


def test_a_wrong_password_names_the_address_and_the_way_to_mend_it(connection: sqlite3.Connection) -> None:
    connection.execute(
        "INSERT INTO broker_failed_logins VALUES ('10.0.0.9', 'orchard', 3, ?)", (NOW_MS - 2 * MINUTE_MS,)
    )
    (sentence,) = turned_away(connection, now_ms=NOW_MS)
    assert sentence == (
        "the broker refused 3 times a wrong user name or password from 10.0.0.9 (the last was 'orchard', 2 min ago); "
        "check them on that device, or make a new password: kit device rotate NAME"
    )


def test_a_device_that_publishes_under_anothers_name_is_named_with_its_own_place(
    connection: sqlite3.Connection,
) -> None:
    connection.execute(
        "INSERT INTO broker_refusals (username, topic, reason, count, last_ms) VALUES (?, ?, ?, ?, ?)",
        ("school", "sensors/orchard", "not its own", 1, NOW_MS - MINUTE_MS),
    )
    (sentence,) = turned_away(connection, now_ms=NOW_MS)
    assert "'school' tried once to publish to sensors/orchard" in sentence
    assert "a device publishes below sensors/school" in sentence


def test_what_was_a_day_ago_is_no_longer_told(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO broker_failed_logins VALUES ('10.0.0.9', 'x', 1, ?)", (NOW_MS - LATELY_MS - 1,))
    assert turned_away(connection, now_ms=NOW_MS) == []


def test_a_problem_needs_a_person() -> None:
    status = {"running": True, "problems": ["the siren on pin 17 does not answer; check its lead"]}
    assert attention(status) == ["the siren on pin 17 does not answer; check its lead"]


def test_who_is_connected_is_known_only_while_the_broker_runs(connection: sqlite3.Connection, tmp_path: Path) -> None:
    connection.execute("INSERT INTO mqtt_clients VALUES ('roof', 'a', '10.0.0.9', 1, ?)", (NOW_MS,))
    connection.execute("INSERT INTO mqtt_clients VALUES ('gate', 'b', '10.0.0.8', 0, ?)", (NOW_MS,))
    services = tmp_path / "services.json"
    assert connected_from(connection, services) is None
    running = {"supervisor_pid": os.getpid(), "services": [{"name": "broker", "state": "running"}]}
    services.write_text(json.dumps(running))
    assert connected_from(connection, services) == {"roof": "10.0.0.9"}
