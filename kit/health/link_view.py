"""The links of a status: what the sync service last saw of each, and what waits for it by priority."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from kit.health.times import rfc3339
from kit.store.links import LinkRow, links
from kit.store.queue import queue_counts


def link_rows(connection: sqlite3.Connection, *, now_ms: int, serving: bool) -> list[dict[str, Any]]:
    """[{name, state, explain, queued: {"0": n, …}, last_heard, last_sent, airtime_left_s, fault, …}].

    Args:
        connection: the store.
        now_ms: what has expired by then no longer waits.
        serving: whether the sync service runs; what it saw before it stopped is no longer so.
    """
    waiting = queue_counts(connection, now_ms=now_ms)
    return [_row(link, waiting, serving=serving) for link in links(connection)]


def core_row(connection: sqlite3.Connection, *, now_ms: int) -> dict[str, Any] | None:
    """{last_heard, link, uncarried}: when and by which link the core was last heard; None where no link was set up.

    `uncarried` counts, by priority, what waits and is carried by none of the links now: readings where there is only a
    radio that leaves them out, or a mobile network whose bytes for today are used.
    """
    known = links(connection)
    if not known:
        return None
    latest = max(known, key=lambda link: link.last_heard_ms or 0)
    widest = max(link.lowest_priority for link in known)
    waiting = queue_counts(connection, now_ms=now_ms)
    return {
        "last_heard": rfc3339(latest.last_heard_ms),
        "link": latest.name if latest.last_heard_ms else None,
        "uncarried": {str(number): count for number, count in sorted(waiting.items()) if number > widest},
    }


def _row(link: LinkRow, waiting: Mapping[int, int], *, serving: bool) -> dict[str, Any]:
    from sync.links.port import LinkState  # a unit without links waits for neither
    from sync.protocol.records import Priority

    return {
        "name": link.name,
        "state": link.state if serving else LinkState.DOWN.value,
        "explain": link.explain if serving else "the sync service does not run",
        "queued": {str(int(number)): waiting.get(number, 0) for number in Priority if number <= link.lowest_priority},
        "last_heard": rfc3339(link.last_heard_ms),
        "last_sent": rfc3339(link.last_sent_ms),
        "airtime_left_s": None if link.airtime_left_ms is None else link.airtime_left_ms / 1000,
        "fault": link.fault if serving else "",
        "facts": dict(link.facts),
    }
