"""The actuators of a status: the last command of each output, and how it stands."""

from __future__ import annotations

import sqlite3
from typing import Any

from kit.health.times import rfc3339
from kit.store.commands import LedgerRow, ledger

LOOKED_AT = 200
RECENT_MS = 3_600_000
"""A command that failed longer ago than this is history, not a worry."""


def actuator_rows(connection: sqlite3.Connection, *, now_ms: int) -> list[dict[str, Any]]:
    """The newest command of each output, by device."""
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for row in ledger(connection, limit=LOOKED_AT):
        newest.setdefault((row.command.device, row.command.output), command_row(row, now_ms=now_ms))
    return [newest[key] for key in sorted(newest)]


def command_row(row: LedgerRow, *, now_ms: int) -> dict[str, Any]:
    """A command as `kit actuator ls --json` shows it."""
    command = row.command
    until_ms = None if row.acked_ms is None or not command.on else row.acked_ms + round(command.for_s * 1000)
    return {
        "id": command.id,
        "device": command.device,
        "output": command.output,
        "wanted": "on" if command.on else "off",
        "for_s": command.for_s,
        "by": row.asked_by,
        "state": command.state.value,
        "why": command.why,
        "asked": rfc3339(row.asked_ms),
        "acknowledged": rfc3339(row.acked_ms),
        "ended": rfc3339(row.ended_ms),
        "until": rfc3339(until_ms),
        "failed_lately": command.state.value in ("failed", "expired") and now_ms - (row.ended_ms or 0) < RECENT_MS,
    }
