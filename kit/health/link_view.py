"""The links of a status (interim: filled when the links' tables are there)."""

from __future__ import annotations

import sqlite3
from typing import Any

from kit.settings import Settings


def link_rows(connection: sqlite3.Connection, settings: Settings, *, now_ms: int) -> list[dict[str, Any]]:
    """The links by name."""
    del connection, settings, now_ms
    return []


def core_row(connection: sqlite3.Connection) -> dict[str, Any] | None:
    """The city core."""
    del connection
    return None
