"""Files that the city core has published, from their records to `content/lesson`, `content/advice` and `content/file`.

Invariant: the record is the truth, and it is on the disk before it was acknowledged. A file is written whole under its
name or not at all, and only then noted as written; whoever was killed in between writes it again. A newer file of the
same name takes the older one's place: that is how a lesson is updated. Newer is what the core said later, in whatever
order it came. A file that the core takes back goes; that it did is remembered, so that the file does not come back by
another way. What cannot be kept is noted with the reason, for the technician.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from pathlib import Path
from typing import Any

from kit.clock import Clock
from kit.health.content_view import RECEIVED_FACT, REFUSED_FACT
from kit.home import Home
from kit.model.published import KINDS, PublishedError, PublishedFile, Withdrawal, read_published
from kit.store.database import Database
from kit.store.facts import get_fact, put_fact
from kit.store.inbox import received
from sync.protocol.records import Record, RecordId

AT_ONCE = 16
"""Records loaded together: 4 MiB at most."""

MOST_REFUSED = 20
"""So many of those that cannot be kept are shown."""

_log = logging.getLogger(__name__)


class ReceivedFiles:
    """Writes what has come since the last look.

    Args:
        home: the unit; its `content` is written to.
        database: the unit's open store, for this thread alone.
        clock: dates what was written.
    """

    def __init__(self, home: Home, database: Database, clock: Clock) -> None:
        self._home, self._database, self._clock = home, database, clock

    def look(self) -> int:
        """Write the new ones, and take away what was withdrawn; returns how many."""
        return sum(self._look_for(kind) for kind in KINDS)

    def _look_for(self, kind: str) -> int:
        fact = f"received/{kind}"
        told = get_fact(self._database.connection, fact)
        after, written = (0 if told is None else int(told[1]["after"])), 0
        while found := received(self._database.connection, kind, after=after, limit=AT_ONCE):
            for number, record in found:
                after = number
                written += self._keep(kind, record, fact=fact, after=after)
        return written

    def _keep(self, kind: str, record: Record, *, fact: str, after: int) -> bool:
        """Do as that record says, if it is one of the core's and the newest about its file."""
        told, why = _read(record)
        known = get_fact(self._database.connection, RECEIVED_FACT)
        files: dict[str, Any] = {} if known is None else known[1]
        path = "" if told is None else f"{kind}/{told.name}"
        if _overtaken(files.get(path), record.id):
            told = None
        if isinstance(told, PublishedFile):
            _write(self._home.content / path, told.content)
        elif isinstance(told, Withdrawal) and path in files:  # what somebody put there by hand is none of the core's
            (self._home.content / path).unlink(missing_ok=True)
        at_ms = int(self._clock.now() * 1000)
        with self._database.atomic() as connection:
            put_fact(connection, fact, {"after": after}, at_ms=at_ms)
            if told is not None:
                files[path] = _entry(told, record.id, before=files.get(path, {}), at_ms=at_ms)
                put_fact(connection, RECEIVED_FACT, files, at_ms=at_ms)
            if why:
                _note_refused(connection, kind, record.id, why, at_ms=at_ms)
        return told is not None


def _read(record: Record) -> tuple[PublishedFile | Withdrawal | None, str]:
    """What it says, or why that cannot be known."""
    # the core passes on what other kits write, too: files are believed of the core alone
    if not record.id.origin.startswith("core-"):
        return None, ""
    try:
        return read_published(record.body), ""
    except PublishedError as error:
        _log.warning("a %s of %s cannot be read: %s", record.kind, record.id.origin, error)
        return None, str(error)


def _entry(told: PublishedFile | Withdrawal, record: RecordId, *, before: dict[str, Any], at_ms: int) -> dict[str, Any]:
    """What is noted of a file that is here, or is no more."""
    if isinstance(told, Withdrawal):
        return {"withdrawn": True, "at_ms": at_ms, **record._asdict()}
    again = all(before.get(part) == told for part, told in record._asdict().items())
    return {
        "bytes": len(told.content),
        "at_ms": before["at_ms"] if again else at_ms,  # written again is no news
        "by": told.by,
        **record._asdict(),
    }


def _overtaken(before: dict[str, Any] | None, record: RecordId) -> bool:
    """Whether what is here under that name is what the core said later: by radio, an older file may come after it."""
    if before is None or before.get("origin") != record.origin:
        return False
    return (before["epoch"], before["seq"]) > (record.epoch, record.seq)


def _note_refused(connection: sqlite3.Connection, kind: str, record: RecordId, why: str, *, at_ms: int) -> None:
    told = get_fact(connection, REFUSED_FACT)
    rows = [] if told is None else told[1]["files"]
    rows.append({"kind": kind, "record": f"{record.epoch}.{record.seq}", "why": why, "at_ms": at_ms})
    put_fact(connection, REFUSED_FACT, {"files": rows[-MOST_REFUSED:]}, at_ms=at_ms)


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name[:40]}.new")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    directory = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
