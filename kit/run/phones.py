"""How many phones look at the pages now: the fact `clients`, for the status and the TUI."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from kit.clock import Clock
from kit.home import Home
from kit.run.schema import open_unit_store
from kit.store.facts import get_fact, put_fact

CLIENTS_FACT = "clients"

PRESENT_S = 900.0
"""A phone whose last page was a quarter of an hour ago has gone, or somebody reads a long lesson."""

EVERY_S = 60.0
EVERY_REAL_S = 5.0
"""The count is written only when it has changed, and not more often than the longer of the two."""

MOST = 10_000
"""Addresses remembered; no village network has more."""


@dataclass
class Phones:
    """Who asked for a page, and when. Called from the server's threads."""

    _seen: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, address: str, now: float) -> None:
        """This address asked for something."""
        with self._lock:
            if address in self._seen or len(self._seen) < MOST:
                self._seen[address] = now

    def count(self, now: float) -> int:
        """How many were here lately; the others are forgotten."""
        with self._lock:
            self._seen = {address: at for address, at in self._seen.items() if now - at < PRESENT_S}
            return len(self._seen)


def count_phones(home: Home, phones: Phones, clock: Clock, stop: threading.Event) -> None:
    """Keep the fact up to date until `stop`."""
    with open_unit_store(home) as database:
        while not stop.wait(max(EVERY_REAL_S, clock.real(EVERY_S))):
            value = {"count": phones.count(clock.monotonic())}
            told = get_fact(database.connection, CLIENTS_FACT)
            if told is None or told[1] != value:
                with database.atomic() as connection:
                    put_fact(connection, CLIENTS_FACT, value, at_ms=int(clock.now() * 1000))
