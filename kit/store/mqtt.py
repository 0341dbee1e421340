"""What the broker must not forget, and what the technician wants to know about its clients.

`MqttJournal.commit` is one transaction for the collector's readings, the retained messages and the session states
together: a PUBACK means that all of it is on disk, and after a crash either all of it is there or none.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any

from kit.broker.changes import (
    Change,
    ClientConnected,
    ClientGone,
    Dequeued,
    Fact,
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
from kit.broker.ports import JournalBusyError, JournalError
from kit.broker.protocol.lifetimes import Instant, Life
from kit.broker.protocol.packets import Message
from kit.broker.protocol.session import Stage, Subscription, Will
from kit.errors import KitError
from kit.model.messages import Published
from kit.store.database import Database, StoreBusyError
from kit.store.disk_room import ReadingsGate
from kit.store.migrations import sql

DISK_FULL = (
    "the disk is full, and what is left is kept for warnings and messages; devices send again when there is room"
)
NEVER_WAITS = ("alerts/", "status/", "commands/")
"""Topics that are written as long as anything can be."""

Ingest = Callable[[sqlite3.Connection, Sequence[Published]], None]
"""The collector: takes what was published, in the transaction that acknowledges it; never raises on bad payloads."""

REFUSALS_PER_USER = 50
"""Topics counted one by one; a device that tries more has them counted under `OTHER_TOPICS`."""

OTHER_TOPICS = "…"
ADDRESSES = 200
"""Addresses with refused sign-ins that are kept; the oldest make room."""

MIGRATIONS = (
    sql(
        "mqtt",
        "0001_sessions_queue_retained_clients",
        """
        CREATE TABLE mqtt_sessions (username TEXT, client_id TEXT, PRIMARY KEY (username, client_id)) WITHOUT ROWID;
        CREATE TABLE mqtt_subscriptions (
            username TEXT, client_id TEXT, filter TEXT, qos INTEGER NOT NULL,
            PRIMARY KEY (username, client_id, filter)) WITHOUT ROWID;
        CREATE TABLE mqtt_queue (
            position INTEGER PRIMARY KEY, username TEXT NOT NULL, client_id TEXT NOT NULL, packet_id INTEGER NOT NULL,
            topic TEXT NOT NULL, payload BLOB NOT NULL, qos INTEGER NOT NULL, retain INTEGER NOT NULL,
            stage INTEGER NOT NULL);
        CREATE TABLE mqtt_received (
            username TEXT, client_id TEXT, packet_id INTEGER, PRIMARY KEY (username, client_id, packet_id)
        ) WITHOUT ROWID;
        CREATE TABLE mqtt_retained (
            topic TEXT PRIMARY KEY, username TEXT NOT NULL, payload BLOB NOT NULL, qos INTEGER NOT NULL);
        CREATE TABLE mqtt_wills (
            username TEXT, client_id TEXT, topic TEXT NOT NULL, payload BLOB NOT NULL, qos INTEGER NOT NULL,
            retain INTEGER NOT NULL, PRIMARY KEY (username, client_id));
        CREATE TABLE mqtt_clients (
            username TEXT, client_id TEXT, address TEXT NOT NULL, connected INTEGER NOT NULL, since_ms INTEGER NOT NULL,
            PRIMARY KEY (username, client_id)) WITHOUT ROWID;
        CREATE TABLE broker_refusals (
            username TEXT, topic TEXT, reason TEXT NOT NULL, count INTEGER NOT NULL, last_ms INTEGER NOT NULL,
            PRIMARY KEY (username, topic)) WITHOUT ROWID;
        CREATE TABLE broker_failed_logins (
            address TEXT PRIMARY KEY, username TEXT NOT NULL, count INTEGER NOT NULL, last_ms INTEGER NOT NULL
        ) WITHOUT ROWID
        """,
    ),
    # what MQTT 5 adds; a life is "<seconds> <seconds since boot when it began> <Unix ms, or -> <boot>"
    sql(
        "mqtt",
        "0002_mqtt_5",
        """
        ALTER TABLE mqtt_sessions ADD COLUMN kept_s INTEGER NOT NULL DEFAULT 4294967295;
        ALTER TABLE mqtt_sessions ADD COLUMN life TEXT;
        ALTER TABLE mqtt_subscriptions ADD COLUMN no_local INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE mqtt_subscriptions ADD COLUMN as_published INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE mqtt_subscriptions ADD COLUMN identifier INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE mqtt_subscriptions ADD COLUMN shared TEXT NOT NULL DEFAULT '';
        ALTER TABLE mqtt_queue ADD COLUMN properties BLOB NOT NULL DEFAULT x'';
        ALTER TABLE mqtt_queue ADD COLUMN life TEXT;
        ALTER TABLE mqtt_retained ADD COLUMN properties BLOB NOT NULL DEFAULT x'';
        ALTER TABLE mqtt_retained ADD COLUMN life TEXT;
        ALTER TABLE mqtt_wills ADD COLUMN properties BLOB NOT NULL DEFAULT x'';
        ALTER TABLE mqtt_wills ADD COLUMN delay_s INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE mqtt_wills ADD COLUMN expiry_s INTEGER
        """,
    ),
)


class MqttJournal:
    """Implements `kit.broker.ports.Journal` on the kit's store.

    Args:
        database: open, and used by nobody else while the broker serves.
        ingest: the collector's function.
        gate: says when readings have to wait because the disk is full; None = never.
    """

    def __init__(self, database: Database, *, ingest: Ingest, gate: ReadingsGate | None = None) -> None:
        self._database = database
        self._ingest = ingest
        self._gate = gate

    def commit(
        self,
        changes: Sequence[Change | Fact],
        *,
        patient: bool = True,
        at_disk: Callable[[], object] | None = None,
    ) -> None:
        """Write all of it in one transaction; on disk when this returns.

        Args:
            changes: to be written, in their order.
            patient: wait for whoever else is writing to the store.
            at_disk: called when only the disk is waited for.

        Raises:
            JournalBusyError: somebody else is writing, and `patient` is false.
            JournalError: none of it was written.
        """
        published = [change for change in changes if type(change) is Published]
        try:
            with self._database.atomic(patient=patient, at_disk=at_disk) as connection:
                if self._gate is not None and any(map(_may_wait, published)) and self._gate.closed(connection):
                    raise JournalError(DISK_FULL)
                if published:
                    self._ingest(connection, published)
                if len(published) < len(changes):
                    _write(connection, changes)
        except StoreBusyError as error:
            raise JournalBusyError(str(error)) from error
        except (sqlite3.Error, OSError, KitError) as error:
            raise JournalError(str(error)) from error

    def load(self) -> Saved:
        """Everything written so far; clients that were connected are so no longer.

        Raises:
            JournalError: it cannot be read.
        """
        try:
            connection = self._database.connection
            connection.execute("UPDATE mqtt_clients SET connected = 0 WHERE connected")
            return _load(connection)
        except (sqlite3.Error, OSError, KitError) as error:
            raise JournalError(str(error)) from error


def _may_wait(published: Published) -> bool:
    return not published.topic.startswith(NEVER_WAITS)


def _load(connection: sqlite3.Connection) -> Saved:
    def rows(statement: str) -> Iterable[Any]:
        return connection.execute(statement).fetchall()

    # a session without its row (it ended) owns nothing; the joins keep a half-copied file from stopping the broker
    return Saved(
        sessions=[
            SessionOpened(user, client, kept_s, _life(life))
            for user, client, kept_s, life in rows("SELECT username, client_id, kept_s, life FROM mqtt_sessions")
        ],
        subscriptions=[
            Subscribed(user, client, name, Subscription(qos, bool(no_local), bool(as_published), identifier, shared))
            for user, client, name, qos, no_local, as_published, identifier, shared in rows(
                "SELECT username, client_id, filter, qos, no_local, as_published, identifier, shared "
                "FROM mqtt_subscriptions JOIN mqtt_sessions USING (username, client_id)"
            )
        ],
        queue=[
            Queued(user, client, position, packet_id, _message(*message), Stage(stage))
            for user, client, position, packet_id, stage, *message in rows(
                "SELECT username, client_id, position, packet_id, stage, topic, payload, qos, retain, properties, "
                "mqtt_queue.life FROM mqtt_queue JOIN mqtt_sessions USING (username, client_id) ORDER BY position"
            )
        ],
        received=[
            IdReceived(*row)
            for row in rows(
                "SELECT username, client_id, packet_id FROM mqtt_received "
                "JOIN mqtt_sessions USING (username, client_id)"
            )
        ],
        retained=[
            Retained(user, _message(*message))
            for user, *message in rows("SELECT username, topic, payload, qos, 1, properties, life FROM mqtt_retained")
        ],
        wills=[
            WillSet(user, client, Will(_message(*message), delay_s, expiry_s))
            for user, client, delay_s, expiry_s, *message in rows(
                "SELECT username, client_id, delay_s, expiry_s, topic, payload, qos, retain, properties, NULL "
                "FROM mqtt_wills"
            )
        ],
    )


def _message(topic: str, payload: bytes, qos: int, retain: int, properties: bytes, life: str | None) -> Message:
    return Message(topic, payload, qos, bool(retain), properties, _life(life))


def _life(text: str | None) -> Life | None:
    if text is None:
        return None
    lasts_s, steady_s, ms, boot = text.split(" ", 3)
    return Life(int(lasts_s), Instant(0 if ms == "-" else int(ms), float(steady_s), boot, ms != "-"))


def _life_text(life: Life | None) -> str | None:
    if life is None:
        return None
    since = life.since
    return f"{life.lasts_s} {since.steady_s!r} {since.ms if since.trusted else '-'} {since.boot}"


def _write(connection: sqlite3.Connection, changes: Sequence[Change | Fact]) -> None:
    # neighbours of one kind go together; between kinds the order counts (a session ends, then is opened anew)
    for kind, group in groupby(changes, key=type):
        if kind in _STATEMENTS:
            statement, parameters = _STATEMENTS[kind]
            connection.executemany(statement, map(parameters, group))
        elif kind in _WRITERS:
            for change in group:
                _WRITERS[kind](connection, change)


def _end_session(connection: sqlite3.Connection, ended: SessionEnded) -> None:
    for table in ("mqtt_sessions", "mqtt_subscriptions", "mqtt_queue", "mqtt_received"):
        connection.execute(
            f"DELETE FROM {table} WHERE username = ? AND client_id = ?",  # noqa: S608 - table names from the line above
            (ended.username, ended.client_id),
        )


def _connect_client(connection: sqlite3.Connection, fact: ClientConnected) -> None:
    # client ids may be made up anew for every connection: a user's former ones go when it is back
    connection.execute("DELETE FROM mqtt_clients WHERE username = ? AND NOT connected", (fact.username,))
    connection.execute(
        "REPLACE INTO mqtt_clients VALUES (?, ?, ?, 1, ?)", (fact.username, fact.client_id, fact.address, fact.at_ms)
    )


def _refuse_publish(connection: sqlite3.Connection, fact: PublishRefused) -> None:
    (count,) = connection.execute(
        "SELECT count(*) FROM broker_refusals WHERE username = ? AND topic NOT IN (?, ?)",
        (fact.username, fact.topic, OTHER_TOPICS),
    ).fetchone()
    topic = fact.topic if count < REFUSALS_PER_USER else OTHER_TOPICS
    connection.execute(
        "INSERT INTO broker_refusals VALUES (?, ?, ?, 1, ?) ON CONFLICT (username, topic) DO UPDATE "
        "SET count = count + 1, last_ms = excluded.last_ms, reason = excluded.reason",
        (fact.username, topic, fact.reason, fact.at_ms),
    )


def _refuse_login(connection: sqlite3.Connection, fact: LoginRefused) -> None:
    connection.execute(
        "INSERT INTO broker_failed_logins VALUES (?, ?, ?, ?) ON CONFLICT (address) DO UPDATE "
        "SET count = count + excluded.count, last_ms = excluded.last_ms, username = excluded.username",
        (fact.address, fact.username, fact.count, fact.at_ms),
    )
    connection.execute(
        "DELETE FROM broker_failed_logins WHERE address IN "
        "(SELECT address FROM broker_failed_logins ORDER BY last_ms DESC LIMIT -1 OFFSET ?)",
        (ADDRESSES,),
    )


_WRITERS: dict[type, Callable[[sqlite3.Connection, Any], None]] = {
    SessionEnded: _end_session,
    ClientConnected: _connect_client,
    PublishRefused: _refuse_publish,
    LoginRefused: _refuse_login,
}

_STATEMENTS: dict[type, tuple[str, Callable[[Any], tuple[Any, ...]]]] = {
    SessionOpened: (
        "REPLACE INTO mqtt_sessions VALUES (?, ?, ?, ?)",
        lambda c: (c.username, c.client_id, c.kept_s, _life_text(c.left)),
    ),
    SessionLeft: (
        "UPDATE mqtt_sessions SET life = ? WHERE username = ? AND client_id = ?",
        lambda c: (_life_text(c.left), c.username, c.client_id),
    ),
    Subscribed: (
        "REPLACE INTO mqtt_subscriptions VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        lambda c: (
            c.username,
            c.client_id,
            c.topic_filter,
            c.subscription.qos,
            c.subscription.no_local,
            c.subscription.as_published,
            c.subscription.identifier,
            c.subscription.shared,
        ),
    ),
    Unsubscribed: (
        "DELETE FROM mqtt_subscriptions WHERE username = ? AND client_id = ? AND filter = ?",
        lambda c: (c.username, c.client_id, c.topic_filter),
    ),
    Retained: (
        "REPLACE INTO mqtt_retained VALUES (?, ?, ?, ?, ?, ?)",
        lambda c: (
            c.message.topic,
            c.username,
            c.message.payload,
            c.message.qos,
            c.message.properties,
            _life_text(c.message.life),
        ),
    ),
    RetainedCleared: ("DELETE FROM mqtt_retained WHERE topic = ?", lambda c: (c.topic,)),
    WillSet: (
        "REPLACE INTO mqtt_wills VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        lambda c: (
            c.username,
            c.client_id,
            c.will.message.topic,
            c.will.message.payload,
            c.will.message.qos,
            c.will.message.retain,
            c.will.message.properties,
            c.will.delay_s,
            c.will.expiry_s,
        ),
    ),
    WillCleared: (
        "DELETE FROM mqtt_wills WHERE username = ? AND client_id = ?",
        lambda c: (c.username, c.client_id),
    ),
    Queued: (
        "INSERT INTO mqtt_queue VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        lambda c: (
            c.position,
            c.username,
            c.client_id,
            c.packet_id,
            c.message.topic,
            c.message.payload,
            c.message.qos,
            c.message.retain,
            c.stage,
            c.message.properties,
            _life_text(c.message.life),
        ),
    ),
    QueueSent: (
        "UPDATE mqtt_queue SET stage = ? WHERE username = ? AND client_id = ? AND stage = ?",
        lambda c: (Stage.SENT, c.username, c.client_id, Stage.WAITING),
    ),
    Released: (
        "UPDATE mqtt_queue SET stage = ? WHERE position = ?",
        lambda c: (Stage.RELEASED, c.position),
    ),
    Dequeued: ("DELETE FROM mqtt_queue WHERE position = ?", lambda c: (c.position,)),
    IdReceived: (
        "REPLACE INTO mqtt_received VALUES (?, ?, ?)",
        lambda c: (c.username, c.client_id, c.packet_id),
    ),
    IdReleased: (
        "DELETE FROM mqtt_received WHERE username = ? AND client_id = ? AND packet_id = ?",
        lambda c: (c.username, c.client_id, c.packet_id),
    ),
    ClientGone: (
        "UPDATE mqtt_clients SET connected = 0, since_ms = ? WHERE username = ? AND client_id = ?",
        lambda c: (c.at_ms, c.username, c.client_id),
    ),
}
