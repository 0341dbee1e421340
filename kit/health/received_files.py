"""Files that the city core has published and that are here, for the pages that show them."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from kit.health.content_view import files_here
from sync.protocol.records import RecordId


@dataclass(frozen=True, kw_only=True)
class ReceivedFile:
    """A file that is here as `content/KIND/NAME`.

    Attributes:
        size_bytes: of the file.
        at_ms: when it was written here, Unix ms.
        by: who sent it, as they call themselves; "" = not told.
        record: in which it came; None = not told.
    """

    kind: str
    name: str
    size_bytes: int
    at_ms: int
    by: str
    record: RecordId | None = None


def received_files(connection: sqlite3.Connection) -> list[ReceivedFile]:
    """The newest first."""
    return [
        ReceivedFile(
            kind=path.partition("/")[0],
            name=path.partition("/")[2],
            size_bytes=facts["bytes"],
            at_ms=facts["at_ms"],
            by=facts.get("by", ""),
            record=RecordId(facts["origin"], facts["epoch"], facts["seq"]) if "origin" in facts else None,
        )
        for path, facts in files_here(connection)
    ]
