"""What a status tells of files that the city core has published: those that are here, and those that were refused."""

from __future__ import annotations

import sqlite3
from typing import Any

from kit.health.times import rfc3339
from kit.store.facts import get_fact

RECEIVED_FACT = "received-files"
"""{`kind/name`: {bytes, at_ms, by, origin, epoch, seq}}, written by whoever puts them below `content/`.

Of a file that was withdrawn: {withdrawn, at_ms, origin, epoch, seq}. It is here no more.
"""

REFUSED_FACT = "refused-files"
"""{files: [{kind, record, at_ms, why}, …]}: published files that cannot be kept, the newest last."""


def files_here(connection: sqlite3.Connection) -> list[tuple[str, dict[str, Any]]]:
    """The entries of `RECEIVED_FACT` whose files are here, the newest first."""
    told = get_fact(connection, RECEIVED_FACT)
    here = [] if told is None else [each for each in told[1].items() if not each[1].get("withdrawn")]
    return sorted(here, key=lambda each: (-each[1]["at_ms"], each[0]))


def content_rows(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    """`[{kind, name, bytes, received, by}]`, the newest first; each is `content/KIND/NAME` in the home."""
    return [
        {
            "kind": path.partition("/")[0],
            "name": path.partition("/")[2],
            "bytes": facts["bytes"],
            "received": rfc3339(facts["at_ms"]),
            "by": facts.get("by", ""),
        }
        for path, facts in files_here(connection)
    ]


def refused_rows(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    """`[{kind, record, why, received}]`, the newest first."""
    told = get_fact(connection, REFUSED_FACT)
    return [
        {"kind": each["kind"], "record": each["record"], "why": each["why"], "received": rfc3339(each["at_ms"])}
        for each in reversed(told[1]["files"] if told else [])
    ]
