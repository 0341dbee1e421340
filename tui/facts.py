"""Where the screens get their facts: a port, and the unit on this machine behind it.

Methods are called from a worker thread, never from the screen's own. They return plain values or raise `KitError` (or
what SQLite and the system raise); the poller turns that into a sentence on the screen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from kit.clock import Clock
from kit.health.alert_view import alert_rows
from kit.health.logs import LogLine, last_lines, log_files
from kit.health.queue_view import queue_rows
from kit.health.status import open_store, unit_status
from kit.home import Home
from kit.settings import Settings
from kit.store.database import Database
from kit.store.queue import retry

QUEUE_ROWS = 200
"""More than anybody reads; the counts on the home screen cover the rest."""

LOG_LINES = 200


class Facts(Protocol):
    """What a screen can ask."""

    def status(self) -> dict[str, Any]:
        """The status, as `kit status --json` prints it."""
        ...

    def alerts(self) -> list[dict[str, Any]]:
        """Every warning, as `kit alerts ls --json` prints them."""
        ...

    def queue(self, *, priority: int | None, waiting_only: bool) -> list[dict[str, Any]]:
        """What waits to leave (or also what has), as `kit queue ls --json` prints it."""
        ...

    def retry(self) -> int:
        """Ask for everything that waits to be sent again now; returns how much that is."""
        ...

    def logs(self) -> list[LogLine]:
        """The last lines of the services' logs."""
        ...


@dataclass(frozen=True)
class UnitFacts:
    """The unit whose home this is.

    Attributes:
        app_lines: what the apps add to the status; given by the CLI, because screens know no apps.
    """

    home: Home
    settings: Settings
    clock: Clock
    app_lines: Callable[[], list[dict[str, Any]]] | None = None

    def status(self) -> dict[str, Any]:
        """The status now."""
        lines = self.app_lines() if self.app_lines is not None else []
        return unit_status(self.home, self.settings, self.clock, apps=lines)

    def alerts(self) -> list[dict[str, Any]]:
        """Every warning."""
        if not self.home.database.exists():
            return []
        with open_store(self.home) as connection:
            return alert_rows(connection, now_ms=int(self.clock.now() * 1000))

    def queue(self, *, priority: int | None, waiting_only: bool) -> list[dict[str, Any]]:
        """What waits, and what has come further."""
        if not self.home.database.exists():
            return []
        with open_store(self.home) as connection:
            return queue_rows(
                connection,
                self.home,
                now_ms=int(self.clock.now() * 1000),
                limit=QUEUE_ROWS,
                waiting_only=waiting_only,
                priority=priority,
            )

    def retry(self) -> int:
        """Send again now."""
        with Database(self.home.database) as database, database.atomic() as connection:
            return retry(connection, "all")

    def logs(self) -> list[LogLine]:
        """The last lines."""
        return last_lines(log_files(self.home), LOG_LINES)
