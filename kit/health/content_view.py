"""What a status tells of files that the city core has published and that are here."""

from __future__ import annotations

import sqlite3
from typing import Any

from kit.health.times import rfc3339
from kit.store.facts import get_fact

RECEIVED_FACT = "received-files"
"""{`kind/name`: {bytes, at_ms}}, written by whoever puts them below `content/`."""


def content_rows(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    """`[{kind, name, bytes, received}]`, the newest first; each is `content/KIND/NAME` in the home."""
    told = get_fact(connection, RECEIVED_FACT)
    files = [] if told is None else sorted(told[1].items(), key=lambda each: (-each[1]["at_ms"], each[0]))
    return [
        {
            "kind": path.partition("/")[0],
            "name": path.partition("/")[2],
            "bytes": facts["bytes"],
            "received": rfc3339(facts["at_ms"]),
        }
        for path, facts in files
    ]
