"""The queue (interim: filled when the records' tables are there)."""

from __future__ import annotations

import sqlite3
from typing import Any


def queue_rows(connection: sqlite3.Connection, *, limit: int) -> list[dict[str, Any]]:
    """What waits."""
    del connection, limit
    return []
