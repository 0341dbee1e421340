"""How the kit dates readings that bring no time of their own, and how far that can be trusted."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from kit.clock import Clock
from kit.store.boots import boot_number
from kit.store.reading_writer import Undated

NOISE_MS = 1
"""Of reading two clocks one after the other; the keeper of the time overlooks as much."""

JUMP_MS = 60_000
"""A message older than this when it is taken in either waited for a full disk, or the clock was set meanwhile."""


@dataclass(frozen=True, slots=True)
class Dating:
    """Of the messages of one transaction.

    Attributes:
        trusted: whether anything vouches for the kit's time.
        jumped_ms: by how much the clock was set since the messages came in.
        undated: where the time may have to be corrected.
    """

    trusted: bool = False
    jumped_ms: int = 0
    undated: Undated | None = None


class Dates:
    """Asked once for each transaction.

    Args:
        clock: says how far the kit's time can be trusted; times come with the messages.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_ms: int | None = None
        self._boot: tuple[str, int] | None = None

    def forget(self) -> None:
        """The number of this boot may not be in the store."""
        self._boot = None

    def now(self, connection: sqlite3.Connection, latest_ms: int) -> Dating:
        """How undated readings are dated now; a time that may be corrected is noted with the boot.

        Args:
            connection: inside the transaction.
            latest_ms: when the last of the messages came, by the clock as it was then.
        """
        clock = self._clock
        now_s, up_s = clock.now(), clock.monotonic()
        now_ms, up_ms = round(now_s * 1000), round(up_s * 1000)
        # not the difference of these, which is a millisecond off now and then. It stays while it is about the same: of
        # two readings dated by different offsets the later one could be said to be taken no later
        offset_ms = round((now_s - up_s) * 1000)
        if self._offset_ms is not None and abs(offset_ms - self._offset_ms) <= NOISE_MS:
            offset_ms = self._offset_ms
        jumped_ms = 0
        if self._offset_ms is not None and abs(now_ms - latest_ms) > JUMP_MS:
            # the time was set between the message's arrival and now
            jumped_ms = min((0, offset_ms - self._offset_ms), key=lambda by: abs(latest_ms + by - now_ms))
        self._offset_ms = offset_ms
        trusted, boot = clock.trusted, clock.boot
        if trusted and clock.firm:
            return Dating(trusted=True, jumped_ms=jumped_ms)
        if self._boot is None or self._boot[0] != boot:
            self._boot = boot, boot_number(connection, boot, mono_ms=up_ms, offset_ms=offset_ms)
        undated = Undated(self._boot[1], offset_ms, held=not trusted)
        return Dating(trusted=trusted, jumped_ms=jumped_ms, undated=undated)
