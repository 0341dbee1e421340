"""Writes the digest of attempts that came within an hour of the last one, and notes which files are no lessons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.store.facts import get_fact, put_fact
from village_apps.learning import PROBLEMS_FACT
from village_apps.learning.library import KIND, library
from village_apps.learning.results import write_due_digests

if TYPE_CHECKING:
    import threading

    from kit.store.database import Database
    from village_apps.app import AppContext

LOOK_EVERY_S = 600.0
"""Kit time; a digest is at most this much later than its hour."""

SHORTEST_WAIT_S = 0.05
"""Real seconds; however fast the clock runs, the store is left alone for this long."""


LESSONS_LOOK_S = 30.0
"""Kit time; a file that came, or was put there by hand, is judged within it."""


class LessonWatch:
    """Notes for the technician what is wrong with files of lessons, so that a status need not read them all."""

    def __init__(self, context: AppContext) -> None:
        self._context = context

    def run(self, stop: threading.Event) -> None:
        """Look every half minute of kit time until `stop` is set."""
        clock = self._context.clock
        with self._context.open_database() as database:
            while True:
                self.look(database)
                if stop.wait(max(SHORTEST_WAIT_S, clock.real(LESSONS_LOOK_S))):
                    return

    def look(self, database: Database) -> None:
        """Write what is wrong now, if that has changed."""
        here = library(self._context.home.content / KIND)
        problems = {} if here.empty else dict(here.shelf(database.connection).problems)
        told = get_fact(database.connection, PROBLEMS_FACT)
        if problems != ({} if told is None else told[1]):
            with database.atomic() as connection:
                put_fact(connection, PROBLEMS_FACT, problems, at_ms=int(self._context.clock.now() * 1000))


class DigestService:
    """A thread of the collect process."""

    def __init__(self, context: AppContext) -> None:
        self._context = context

    def run(self, stop: threading.Event) -> None:
        """Look every ten minutes of kit time until `stop` is set."""
        clock = self._context.clock
        with self._context.open_database() as database:
            while not stop.wait(max(SHORTEST_WAIT_S, clock.real(LOOK_EVERY_S))):
                with database.atomic() as connection:
                    write_due_digests(connection, now_ms=int(clock.now() * 1000))
