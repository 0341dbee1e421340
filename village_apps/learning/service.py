"""Writes the digest of attempts that came within an hour of the last one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from village_apps.learning.results import write_due_digests

if TYPE_CHECKING:
    import threading

    from village_apps.app import AppContext

LOOK_EVERY_S = 600.0
"""Kit time; a digest is at most this much later than its hour."""

SHORTEST_WAIT_S = 0.05
"""Real seconds; however fast the clock runs, the store is left alone for this long."""


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
