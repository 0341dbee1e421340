"""What a status tells of files that the city core has published: those that are here, and those that were refused."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from kit.health.times import rfc3339
from kit.store.facts import get_fact

RECEIVED_FACT = "received-files"
"""{`kind/name`: {bytes, at_ms, by, origin, epoch, seq}}, written by whoever puts them below `content/`."""

REFUSED_FACT = "refused-files"
"""{files: [{kind, record, at_ms, why}, …]}: published files that cannot be kept, the newest last."""


@dataclass(frozen=True, kw_only=True)
class ReceivedFile:
    """A file that is here as `content/KIND/NAME`.

    Attributes:
        size_bytes: of the file.
        at_ms: when it was written here, Unix ms.
        by: who sent it, as they call themselves; "" = not told.
    """

    kind: str
    name: str
    size_bytes: int
    at_ms: int
    by: str


def received_files(connection: sqlite3.Connection) -> list[ReceivedFile]:
    """The newest first."""
    told = get_fact(connection, RECEIVED_FACT)
    files = [] if told is None else sorted(told[1].items(), key=lambda each: (-each[1]["at_ms"], each[0]))
    return [
        ReceivedFile(
            kind=path.partition("/")[0],
            name=path.partition("/")[2],
            size_bytes=facts["bytes"],
            at_ms=facts["at_ms"],
            by=facts.get("by", ""),
        )
        for path, facts in files
    ]


def content_rows(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    """`[{kind, name, bytes, received, by}]`, the newest first; each is `content/KIND/NAME` in the home."""
    return [
        {
            "kind": file.kind,
            "name": file.name,
            "bytes": file.size_bytes,
            "received": rfc3339(file.at_ms),
            "by": file.by,
        }
        for file in received_files(connection)
    ]


def refused_rows(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    """`[{kind, record, why, received}]`, the newest first."""
    told = get_fact(connection, REFUSED_FACT)
    return [
        {"kind": each["kind"], "record": each["record"], "why": each["why"], "received": rfc3339(each["at_ms"])}
        for each in reversed(told[1]["files"] if told else [])
    ]
