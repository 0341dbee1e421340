"""The journal on SQLite: one transaction with the readings, and everything comes back as it was written."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from kit.broker.changes import (
    ClientConnected,
    ClientGone,
    Dequeued,
    IdReceived,
    IdReleased,
    LoginRefused,
    PublishRefused,
    Queued,
    QueueSent,
    Released,
    Retained,
    RetainedCleared,
    Saved,
    SessionEnded,
    SessionLeft,
    SessionOpened,
    Subscribed,
    Unsubscribed,
    WillCleared,
    WillSet,
)
from kit.broker.ports import JournalError
from kit.broker.protocol.lifetimes import NEVER_S, Instant, Life
from kit.broker.protocol.packets import Message
from kit.broker.protocol.session import Stage, Subscription, Will
from kit.model.messages import Published
from kit.store.database import Database
from kit.store.migrations import sql
from kit.store.mqtt import (
    ADDRESSES,
    MIGRATIONS,
    OTHER_TOPICS,
    REFUSALS_PER_USER,
    MqttJournal,
)
from kit.store.mqtt_clients import list_clients, list_failed_logins, list_refusals

SEEN = sql("seen", "1", "CREATE TABLE seen (payload)")
READING = Published(
    username="roof",
    client_id="c",
    topic="sensors/roof",
    payload=b"1",
    qos=1,
    retain=False,
    duplicate=False,
    packet_id=1,
    received_ms=0,
)
STATE = Message("sensors/roof/state", b"on", 1, retain=True)


class Collector:
    """Keeps payloads; the disk can be full."""

    full = False

    def __call__(self, connection: sqlite3.Connection, publishes: Sequence[Published]) -> None:
        connection.executemany("INSERT INTO seen VALUES (?)", [(p.payload,) for p in publishes])
        if self.full:
            raise sqlite3.OperationalError("database or disk is full")


@pytest.fixture
def collector() -> Collector:
    return Collector()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "kit.db", migrations=(*MIGRATIONS, SEEN)) as opened:
        yield opened


@pytest.fixture
def journal(database: Database, collector: Collector) -> MqttJournal:
    return MqttJournal(database, ingest=collector)


def queued(position: int, stage: Stage = Stage.WAITING) -> Queued:
    return Queued("roof", "c", position, position, Message("commands/roof", b"%d" % position, 2), stage)


def test_what_was_written_comes_back_as_it_was(journal: MqttJournal) -> None:
    saved = Saved(
        sessions=[SessionOpened("roof", "c")],
        subscriptions=[Subscribed("roof", "c", "commands/roof/#", Subscription(2))],
        queue=[queued(1), queued(2, Stage.SENT), queued(3, Stage.RELEASED)],
        received=[IdReceived("roof", "c", 7)],
        retained=[Retained("roof", STATE)],
        wills=[WillSet("roof", "c", Will(Message("sensors/roof", b"gone", 2, retain=True)))],
    )
    journal.commit(
        [*saved.sessions, *saved.subscriptions, *saved.queue, *saved.received, *saved.retained, *saved.wills]
    )
    assert journal.load() == saved


def test_what_mqtt_5_adds_comes_back_as_it_was(journal: MqttJournal) -> None:
    dated, undated = Instant(1_700_000_000_123, 12.345678, "boot one"), Instant(0, 99.5, "b", trusted=False)
    message = Message("commands/roof", b"x", 1, True, b"\x26\x00\x01a\x00\x01b", Life(60, dated))
    saved = Saved(
        sessions=[SessionOpened("roof", "a", 600), SessionOpened("roof", "b", 0)],
        subscriptions=[Subscribed("roof", "a", "$share/g/x", Subscription(1, True, True, 7, "$share/g/x"))],
        queue=[Queued("roof", "a", 1, 1, message, Stage.WAITING)],
        retained=[Retained("roof", message)],
        wills=[WillSet("roof", "a", Will(replace(message, life=None), 30, 90))],
    )
    journal.commit([*saved.sessions, *saved.subscriptions, *saved.queue, *saved.retained, *saved.wills])
    assert journal.load() == saved
    journal.commit([SessionLeft("roof", "a", Life(600, undated))])
    assert journal.load().sessions[0] == SessionOpened("roof", "a", 600, Life(600, undated))
    journal.commit([SessionOpened("roof", "a", NEVER_S)])
    assert journal.load().sessions[0] == SessionOpened("roof", "a")


def test_a_journal_of_the_first_version_is_taken_over(tmp_path: Path, collector: Collector) -> None:
    file = tmp_path / "old.db"
    with Database(file, migrations=(MIGRATIONS[0], SEEN)) as old:
        old.connection.execute("INSERT INTO mqtt_sessions VALUES ('roof', 'c')")
        old.connection.execute("INSERT INTO mqtt_subscriptions VALUES ('roof', 'c', 'alerts/#', 1)")
        old.connection.execute("INSERT INTO mqtt_queue VALUES (1, 'roof', 'c', 1, 'alerts/x', x'01', 1, 0, 0)")
        old.connection.execute("INSERT INTO mqtt_retained VALUES ('alerts/x', 'kit-collect', x'02', 1)")
        old.connection.execute("INSERT INTO mqtt_wills VALUES ('roof', 'c', 'sensors/roof', x'03', 1, 0)")
    with Database(file, migrations=(*MIGRATIONS, SEEN)) as new:
        assert MqttJournal(new, ingest=collector).load() == Saved(
            sessions=[SessionOpened("roof", "c")],
            subscriptions=[Subscribed("roof", "c", "alerts/#", Subscription(1))],
            queue=[Queued("roof", "c", 1, 1, Message("alerts/x", b"\x01", 1), Stage.WAITING)],
            retained=[Retained("kit-collect", Message("alerts/x", b"\x02", 1, retain=True))],
            wills=[WillSet("roof", "c", Will(Message("sensors/roof", b"\x03", 1)))],
        )


def test_changes_apply_in_their_order(journal: MqttJournal) -> None:
    journal.commit(
        [
            SessionOpened("roof", "c"),
            Subscribed("roof", "c", "a", Subscription(0)),
            queued(1),
            IdReceived("roof", "c", 1),
        ]
    )
    journal.commit(
        [SessionEnded("roof", "c"), SessionOpened("roof", "c"), Subscribed("roof", "c", "b", Subscription(1))]
    )
    assert journal.load() == Saved(
        sessions=[SessionOpened("roof", "c")], subscriptions=[Subscribed("roof", "c", "b", Subscription(1))]
    )


def test_each_change_has_its_opposite(journal: MqttJournal) -> None:
    journal.commit(
        [SessionOpened("roof", "c"), Subscribed("roof", "c", "a", Subscription(0)), queued(1), queued(2), queued(3)]
    )
    journal.commit([IdReceived("roof", "c", 1), Retained("roof", STATE), WillSet("roof", "c", Will(STATE))])
    journal.commit([QueueSent("roof", "c"), Released(2), Dequeued(3)])
    assert [entry.stage for entry in journal.load().queue] == [Stage.SENT, Stage.RELEASED]
    journal.commit([QueueSent("roof", "c")])
    assert [entry.stage for entry in journal.load().queue] == [Stage.SENT, Stage.RELEASED]
    journal.commit([Unsubscribed("roof", "c", "a"), Dequeued(1), Dequeued(2), IdReleased("roof", "c", 1)])
    journal.commit([RetainedCleared(STATE.topic), WillCleared("roof", "c")])
    assert journal.load() == Saved(sessions=[SessionOpened("roof", "c")])


def test_readings_and_session_state_are_written_together_or_not_at_all(
    journal: MqttJournal, database: Database, collector: Collector
) -> None:
    collector.full = True
    with pytest.raises(JournalError, match="disk is full"):
        journal.commit([Retained("roof", STATE), READING])
    assert journal.load() == Saved()
    assert database.connection.execute("SELECT count(*) FROM seen").fetchone()[0] == 0
    collector.full = False
    journal.commit([Retained("roof", STATE), READING])
    assert journal.load() == Saved(retained=[Retained("roof", STATE)])
    assert database.connection.execute("SELECT payload FROM seen").fetchone()[0] == b"1"


def test_a_store_that_is_not_open_is_an_error_that_says_so(tmp_path: Path, collector: Collector) -> None:
    journal = MqttJournal(Database(tmp_path / "kit.db"), ingest=collector)
    with pytest.raises(JournalError, match="not open"):
        journal.load()
    with pytest.raises(JournalError, match="not open"):
        journal.commit([READING])


def test_a_restart_knows_that_nobody_is_connected_any_more(journal: MqttJournal, database: Database) -> None:
    journal.commit([ClientConnected("roof", "c", "10.0.0.7", 1000), ClientConnected("field", "d", "10.0.0.8", 1000)])
    journal.commit([ClientGone("field", "d", 2000)])
    clients = list_clients(database.connection)
    assert [(c.username, c.connected, c.since_ms) for c in clients] == [("field", False, 2000), ("roof", True, 1000)]
    journal.load()
    assert not any(client.connected for client in list_clients(database.connection))


def test_client_ids_that_are_made_up_anew_each_time_do_not_pile_up(journal: MqttJournal, database: Database) -> None:
    for n in range(10):
        journal.commit([ClientConnected("roof", f"random-{n}", "10.0.0.7", n), ClientGone("roof", f"random-{n}", n)])
    assert [client.client_id for client in list_clients(database.connection)] == ["random-9"]


def test_refusals_are_counted_in_bounded_space(journal: MqttJournal, database: Database) -> None:
    for n in range(REFUSALS_PER_USER + 10):
        journal.commit([PublishRefused("roof", f"t/{n}", "not below its own name", n)])
    journal.commit([PublishRefused("roof", "t/0", "not below its own name", 1000)])
    refusals = list_refusals(database.connection)
    assert (refusals[0].topic, refusals[0].count, refusals[0].last_ms) == ("t/0", 2, 1000)
    assert (refusals[1].topic, refusals[1].count) == (OTHER_TOPICS, 10)
    assert len(refusals) == REFUSALS_PER_USER + 1


def test_refused_sign_ins_are_counted_in_bounded_space(journal: MqttJournal, database: Database) -> None:
    for n in range(ADDRESSES + 5):
        journal.commit([LoginRefused(f"10.0.{n // 256}.{n % 256}", "x", 3, n)])
    journal.commit([LoginRefused("10.0.0.100", "y", 2, 1000)])
    logins = list_failed_logins(database.connection)
    assert (logins[0].address, logins[0].username, logins[0].count) == ("10.0.0.100", "y", 5)
    assert len(logins) == ADDRESSES


def test_a_file_that_really_cannot_grow_writes_nothing_and_recovers(journal: MqttJournal, database: Database) -> None:
    pages = database.connection.execute("PRAGMA page_count").fetchone()[0]
    database.connection.execute(f"PRAGMA max_page_count = {pages}")
    big = Message("sensors/roof/state", b"x" * 100_000, 1, retain=True)
    with pytest.raises(JournalError, match="full"):
        journal.commit([READING, Retained("roof", big)])
    assert journal.load() == Saved()
    database.connection.execute("PRAGMA max_page_count = 1073741823")
    journal.commit([READING, Retained("roof", big)])
    assert journal.load() == Saved(retained=[Retained("roof", big)])
