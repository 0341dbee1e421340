"""Warnings as the status, `kit alerts` and the TUI tell them."""

from __future__ import annotations

import sqlite3
from typing import Any

from kit.model.alert_state import AlertState, Standing
from kit.store.alerts import active_alerts, find_alert, list_alerts

LANGUAGE = "en"
"""The technician's tools speak English; the pages speak the villagers' languages."""

NAMELESS = "somebody"
"""Who confirmed without giving a name."""


def standing_alerts(connection: sqlite3.Connection, *, now_ms: int) -> list[dict[str, Any]]:
    """What holds now, the worst first."""
    return [alert_row(state, now_ms=now_ms) for state in active_alerts(connection, now_ms)]


def alert_rows(connection: sqlite3.Connection, *, now_ms: int) -> list[dict[str, Any]]:
    """Every warning, those that hold first, then the newest first."""
    rows = [alert_row(state, now_ms=now_ms) for state in list_alerts(connection)]
    return sorted(rows, key=lambda row: bool(row["state"] == Standing.ENDED))


def one_alert(connection: sqlite3.Connection, identifier: str, *, now_ms: int) -> dict[str, Any] | None:
    """The warning of that identifier."""
    state = find_alert(connection, identifier)
    return None if state is None else alert_row(state, now_ms=now_ms)


def alert_row(state: AlertState, *, now_ms: int) -> dict[str, Any]:
    """CAP's fields, how it stands, and the words for people: {headline, confirmed, seen_by, …}."""
    text = state.alert.text(LANGUAGE)
    words = (
        {"headline": text.headline, "description": text.description, "instruction": text.instruction} if text else {}
    )
    seen = dict.fromkeys(receipt.person or NAMELESS for receipt in state.receipts)
    return state.as_json(now_ms) | words | {"confirmed": bool(state.receipts), "seen_by": list(seen)}
