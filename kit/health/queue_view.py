"""The queue as a technician sees it: each record, how far it has come, and why it waits."""

from __future__ import annotations

import sqlite3
from typing import Any

from kit.errors import KitError
from kit.health.addressees import Directory, read_directory
from kit.health.services import service_states
from kit.health.words import size_words
from kit.home import Home
from kit.store.links import LinkRow, links
from kit.store.queue import queue
from sync.join import has_joined
from sync.protocol.records import Priority
from sync.protocol.routing import LinkFacts, Waiting, why_waiting


def queue_rows(
    connection: sqlite3.Connection,
    home: Home,
    *,
    now_ms: int,
    limit: int,
    waiting_only: bool = False,
    priority: int | None = None,
    kind: str | None = None,
) -> list[dict[str, Any]]:
    """As `kit queue ls --json` prints them: rows of `kit.store.queue.queue`, with whom each is for and why it waits.

    To these it adds `to` (in words) and `why` ("" = it does not wait).

    Args:
        connection: to the kit's store.
        home: the unit's: whether it has joined, and whether the sync service runs.
        now_ms: kit time.
        limit: at most so many rows.
        waiting_only: leave out what the core has.
        priority: only these.
        kind: only these.
    """
    rows = queue(connection, limit=limit, waiting_only=waiting_only, priority=priority, kind=kind, now_ms=now_ms)
    known = [_facts(link) for link in links(connection)]
    states = service_states(home.services_file)
    serving = any(service["name"] == "sync" and service["state"] == "running" for service in states.services)
    joined = has_joined(home)
    people = _directory(connection, home)
    for row in rows:
        row["to"] = people.whom(str(row["addressee"]))
        row["why"] = "" if row["accepted"] else _why(row, known, serving=serving, joined=joined)
    return rows


def _directory(connection: sqlite3.Connection, home: Home) -> Directory:
    try:
        return read_directory(connection, home, unit="")
    except KitError:  # a damaged membership: what waits is still worth seeing
        return Directory("", ())


def _facts(link: LinkRow) -> LinkFacts:
    data = link.facts.get("data") or {}
    daily, used = int(data.get("daily_bytes", 0)), int(data.get("used_bytes", 0))
    return LinkFacts(
        name=link.name,
        state=link.state,
        explain=link.explain,
        lowest_priority=link.lowest_priority,
        width=int(link.facts.get("mtu_bytes", 0)),
        not_welcome=str(link.facts.get("not_welcome", "")),
        core_full=bool(link.facts.get("core_full")),
        budget=f"{size_words(used)} of {size_words(daily)} are used" if daily else "",
        budget_lowest=int(data.get("lowest_priority", Priority.BULK)) if daily else int(Priority.BULK),
    )


def _why(row: dict[str, Any], known: list[LinkFacts], *, serving: bool, joined: bool) -> str:
    return why_waiting(
        Waiting(
            priority=int(row["priority"]),
            left=[link["link"] for link in row["links"] if link["left"] and not link["accepted"]],
            ahead=int(row["ahead"]),
            expired=bool(row["expired"]),
        ),
        known,
        serving=serving,
        joined=joined,
    )
