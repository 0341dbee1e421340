"""One store connection per thread of the web server, and the versions of what pages show, read at most once per change.

Opening SQLite costs more than answering from the page cache, so a thread keeps its connection. `PRAGMA data_version`
says, without reading a table, whether any other connection has committed since; only then are the versions read again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from kit.store.facts import change_versions

if TYPE_CHECKING:
    from kit.store.database import Database


class Connections:
    """The store as the threads of one process see it."""

    def __init__(self, open_database: Callable[[], Database]) -> None:
        self._open_database = open_database
        self._local = threading.local()
        self._opened: list[Database] = []
        self._lock = threading.Lock()

    def database(self) -> Database:
        """This thread's connection, opened on first use."""
        database: Database | None = getattr(self._local, "database", None)
        if database is None:
            database = self._open_database().__enter__()
            self._local.database = database
            self._local.stamp = None
            self._local.versions = {}
            with self._lock:
                self._opened.append(database)
        return database

    def versions(self, subjects: tuple[str, ...]) -> tuple[int, ...]:
        """The versions of these subjects (see `kit.store.facts.change_versions`) as of now."""
        database = self.database()
        # data_version is blind to this connection's own commits; total_changes sees exactly those
        stamp = (database.changed_elsewhere(), database.connection.total_changes)
        if stamp != self._local.stamp:
            self._local.stamp = stamp
            self._local.versions = {}
        known: dict[tuple[str, ...], tuple[int, ...]] = self._local.versions
        if subjects not in known:
            known[subjects] = change_versions(database.connection, subjects)
        return known[subjects]

    def close(self) -> None:
        """Close every thread's connection; only when no thread uses one any more."""
        with self._lock:
            for database in self._opened:
                database.close()
            self._opened.clear()
        self._local = threading.local()
