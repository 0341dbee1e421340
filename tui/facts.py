"""Where the screens get their facts: a port, and the unit on this machine behind it.

Methods are called from a worker thread, never from the screen's own. They return plain values or raise `KitError` (or
what SQLite and the system raise); the poller turns that into a sentence on the screen.
"""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from kit.clock import Clock
from kit.collect.joining import accept, suggest_name
from kit.errors import KitError, UsageError
from kit.health.alert_view import alert_rows
from kit.health.joining_view import broker_address, join_address, waiting_rows
from kit.health.logs import LogLine, last_lines, log_files
from kit.health.queue_view import queue_rows
from kit.health.status import open_store, unit_status
from kit.health.times import rfc3339
from kit.home import Home
from kit.model.join_code import shown
from kit.model.places import Place, PlaceError
from kit.settings import Settings
from kit.store.database import Database
from kit.store.devices import list_devices
from kit.store.joining import code_shown, current_code, turn_away
from kit.store.queue import retry

QUEUE_ROWS = 200
"""More than anybody reads; the counts on the home screen cover the rest."""

LOG_LINES = 200


@dataclass(frozen=True)
class Newcomer:
    """A device that waits to be let in.

    Attributes:
        number: by which it is accepted.
        suggested: a name that it could have.
    """

    number: int
    client_id: str
    kind: str
    reading: str
    suggested: str
    age_s: float | None = None
    open: bool = False


@dataclass(frozen=True)
class JoinCode:
    """The join code, what has to be typed with it, and its picture as rows of half blocks."""

    text: str
    until: str
    host: str
    port: int
    picture: tuple[str, ...]


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

    def newcomers(self) -> list[Newcomer]:
        """Who waits to be let in."""
        ...

    def join_code(self) -> JoinCode | None:
        """The code that is good now, if there is one."""
        ...

    def make_join_code(self) -> None:
        """Have one."""
        ...

    def let_in(self, number: int, name: str, place: str, position: str) -> None:
        """Accept a waiting device; `position` is "latitude, longitude" or empty.

        Raises:
            KitError: it cannot be; the sentence says why.
        """
        ...

    def turn_away(self, number: int) -> None:
        """Let a device wait no longer.

        Raises:
            KitError: there is none of that number.
        """
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
        with self._writing() as connection:
            return retry(connection, "all")

    def logs(self) -> list[LogLine]:
        """The last lines."""
        return last_lines(log_files(self.home), LOG_LINES)

    def newcomers(self) -> list[Newcomer]:
        """Who waits."""
        if not self.home.database.exists():
            return []
        with open_store(self.home) as connection:
            taken = [device.name for device in list_devices(connection)]
            return [
                Newcomer(
                    number=row["number"],
                    client_id=row["client_id"],
                    kind=row["kind"] or "",
                    reading=row["reading"] or "",
                    suggested=suggest_name(row["topic"], row["client_id"], taken),
                    age_s=row["age_s"],
                    open=row["open"],
                )
                for row in waiting_rows(connection, now_ms=self._now_ms())
            ]

    def join_code(self) -> JoinCode | None:
        """The code that is good now."""
        if not self.home.database.exists():
            return None
        with open_store(self.home) as connection:
            found = code_shown(connection, now_ms=self._now_ms())
        if found is None:
            return None
        host, port = broker_address(self.home, self.settings)
        drawn = io.StringIO()
        import segno

        segno.make(join_address(found[0], host, port), error="l", micro=False).terminal(
            out=drawn, compact=True, border=2
        )
        return JoinCode(shown(found[0]), rfc3339(found[1]) or "", host, port, tuple(drawn.getvalue().splitlines()))

    def make_join_code(self) -> None:
        """Have a code."""
        with self._writing() as connection:
            current_code(connection, now_ms=self._now_ms())

    def let_in(self, number: int, name: str, place: str, position: str) -> None:
        """Accept a waiting device."""
        try:
            where = Place.typed(place, position)
        except PlaceError as error:
            raise UsageError(str(error)) from None
        with self._writing() as connection:
            accept(connection, number, name, now_ms=self._now_ms(), place=where)

    def turn_away(self, number: int) -> None:
        """Let it wait no longer."""
        with self._writing() as connection:
            turn_away(connection, number)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction; a home in which nothing has run is not made by trying."""
        if not self.home.database.exists():
            raise KitError("this unit has never run; start it: kit run")
        with Database(self.home.database) as database, database.atomic() as connection:
            yield connection

    def _now_ms(self) -> int:
        return int(self.clock.now() * 1000)
