"""New devices that wait for a person, as `kit device waiting --json`, the TUI and the technician's page show them."""

from __future__ import annotations

import sqlite3
from typing import Any

from kit.health.services import service_states
from kit.health.times import rfc3339
from kit.home import Home
from kit.settings import Settings, listen_address
from kit.store.joining import list_waiting

JOIN_USER = "join"
"""What a device that has no user name of its own calls itself; any other will do."""


def waiting_rows(connection: sqlite3.Connection, *, now_ms: int) -> list[dict[str, Any]]:
    """Who waits, the latest first.

    Each is {number, client_id, kind, topic, reading, messages, address, open, since, last_seen, age_s}.
    """
    return [
        {
            "number": one.id,
            "client_id": one.client_id,
            "kind": one.kind or None,
            "topic": one.topic,
            "reading": one.reading or None,
            "messages": one.messages,
            "address": one.address,
            "open": one.open,
            "since": rfc3339(one.since_ms),
            "last_seen": None if one.last_ms is None else rfc3339(one.last_ms),
            "age_s": None if one.last_ms is None or one.last_ms > now_ms else round((now_ms - one.last_ms) / 1000, 1),
        }
        for one in list_waiting(connection)
    ]


def join_address(code: str, host: str, port: int) -> str:
    """What the picture of a code says: everything that has to be typed, on one line of a phone."""
    return f"mqtt://{JOIN_USER}:{code}@{host}:{port}"


def broker_address(home: Home, settings: Settings) -> tuple[str, int]:
    """Where devices reach the broker: as the running broker says, else as set."""
    from kit.addresses import reachable_host

    broker = settings.broker
    if broker.kind != "own":
        return listen_address(broker.external, key="[broker] external")
    told = {service["name"]: service.get("address") for service in service_states(home.services_file).services}
    host, port = listen_address(broker.listen, key="[broker] listen")
    if told.get("broker"):
        # where the port was left to the system, the running broker knows which one it got
        _, port = listen_address(str(told["broker"]), key="the broker's address")
    return reachable_host(host), port
