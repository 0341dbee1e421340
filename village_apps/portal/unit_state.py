"""What the technician's page shows: the facts of `kit status`, and the last unreadable message of each sensor."""

from __future__ import annotations

import sqlite3
from typing import Any

from kit.store.ingest_state import malformed
from village_apps.app import AppContext, StatusLine

PAYLOAD_CHARACTERS = 400
"""Of a malformed payload; enough to see what it was meant to be."""


def read_unit_state(context: AppContext, connection: sqlite3.Connection, lines: list[StatusLine]) -> dict[str, Any]:
    """The status of the unit, with the apps' own lines and the malformed messages in it."""
    from kit.health.status import unit_status

    status = unit_status(
        context.home,
        context.settings,
        context.clock,
        apps=[{"label": line.label, "value": line.value, "ok": line.ok} for line in lines],
    )
    return status | {"malformed": read_malformed(connection)}


def read_malformed(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    """Per device: how many messages could not be read, why the last one could not, and its beginning."""
    return [
        {
            "device": problem.device,
            "count": problem.count,
            "reason": problem.last_reason,
            "topic": problem.last_topic,
            "at_ms": problem.last_ms,
            # backslashes instead of control characters and broken UTF-8: the page must show what came, and only show it
            "payload": problem.last_payload.decode("utf-8", "backslashreplace")[:PAYLOAD_CHARACTERS],
        }
        for problem in malformed(connection)
    ]
