"""Who is at the broker's door, as its journal (`kit.store.mqtt`) left it: connected, or refused a topic or to enter."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRow:
    """A client as the technician sees it.

    Attributes:
        since_ms: when it connected, or when its connection ended; Unix ms.
    """

    username: str
    client_id: str
    address: str
    connected: bool
    since_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A user who published where it may not: how often, and when last (Unix ms)."""

    username: str
    topic: str
    reason: str
    count: int
    last_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedLogins:
    """Refused sign-ins from one address; `username` is the last one tried."""

    address: str
    username: str
    count: int
    last_ms: int


def list_clients(connection: sqlite3.Connection) -> list[ClientRow]:
    """The clients that are connected, and those that were when last heard of."""
    rows = connection.execute("SELECT * FROM mqtt_clients ORDER BY username, client_id")
    return [
        ClientRow(username=user, client_id=client, address=address, connected=bool(connected), since_ms=since_ms)
        for user, client, address, connected, since_ms in rows
    ]


def list_refusals(connection: sqlite3.Connection) -> list[Refusal]:
    """What was published where it may not be, the latest first."""
    rows = connection.execute("SELECT * FROM broker_refusals ORDER BY last_ms DESC")
    return [
        Refusal(username=user, topic=topic, reason=reason, count=count, last_ms=last_ms)
        for user, topic, reason, count, last_ms in rows
    ]


def list_failed_logins(connection: sqlite3.Connection) -> list[FailedLogins]:
    """Refused sign-ins by address, the latest first."""
    rows = connection.execute("SELECT * FROM broker_failed_logins ORDER BY last_ms DESC")
    return [
        FailedLogins(address=address, username=user, count=count, last_ms=last_ms)
        for address, user, count, last_ms in rows
    ]
