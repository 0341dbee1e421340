"""Who is connected to the broker, and who was turned away at its door lately, as sentences that say what to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from kit.health.services import service_states
from kit.health.words import age_words

LATELY_MS = 24 * 3_600_000
"""A day: longer, and a mistake that was mended yesterday would still call for a technician."""

SHOWN = 5


def connected_from(connection: sqlite3.Connection, services_file: Path) -> dict[str, str] | None:
    """The user names that are connected to the kit's own broker, each with an address; None while it does not run.

    Raises:
        sqlite3.OperationalError: the broker has never run here.
    """
    states = service_states(services_file).services
    if not any(service["name"] == "broker" and service["state"] == "running" for service in states):
        return None
    from kit.store.mqtt_clients import list_clients

    return {client.username: client.address for client in list_clients(connection) if client.connected}


def turned_away(connection: sqlite3.Connection, *, now_ms: int) -> list[str]:
    """Wrong passwords by address, and publishes where the user may not publish; of the last day, the latest first.

    Raises:
        sqlite3.OperationalError: the broker has never run here.
    """
    since_ms = now_ms - LATELY_MS
    logins = connection.execute("SELECT max(last_ms) FROM broker_failed_logins").fetchone()[0] or 0
    refusals = connection.execute("SELECT max(last_ms) FROM broker_refusals").fetchone()[0] or 0
    if max(logins, refusals) < since_ms:
        return []
    from kit.store.mqtt_clients import list_failed_logins, list_refusals

    sentences = [
        f"the broker refused {_times(login.count)} a wrong user name or password from {login.address} (the last was "
        f"'{login.username}', {_ago(login.last_ms, now_ms)}); check them on that device, or make a new "
        f"password: kit device rotate NAME"
        for login in list_failed_logins(connection)[:SHOWN]
        if login.last_ms >= since_ms
    ]
    sentences += [
        f"'{refusal.username}' tried {_times(refusal.count)} to publish to {refusal.topic}, where it may not (last "
        f"{_ago(refusal.last_ms, now_ms)}); a device publishes below sensors/{refusal.username}: set that in the device"
        for refusal in list_refusals(connection)[:SHOWN]
        if refusal.last_ms >= since_ms
    ]
    return sentences


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _ago(at_ms: int, now_ms: int) -> str:
    return f"{age_words((now_ms - at_ms) / 1000)} ago"
