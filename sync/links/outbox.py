"""Frames that wait for the radio: few, and the urgent ones first. Pure.

Few, because what waits here can no longer be overtaken by the session's second thoughts: it asks again when there is
room. An urgent frame always finds room; it is never what makes the queue long.
"""

from __future__ import annotations

from dataclasses import dataclass, field

URGENT = 0
ORDINARY_FRAMES, URGENT_FRAMES = 2, 12


@dataclass(frozen=True)
class Outgoing:
    """A frame on its way to the radio.

    Attributes:
        to: "!nodeid", or None for everybody.
        airtime_ms: what it costs, for pacing.
    """

    frame: bytes
    priority: int
    to: str | None
    airtime_ms: float


@dataclass
class Outbox:
    """At most two ordinary frames and a dozen urgent ones."""

    _urgent: list[Outgoing] = field(default_factory=list)
    _ordinary: list[Outgoing] = field(default_factory=list)

    def has_room(self, priority: int) -> bool:
        """Whether `put` would take a frame of that priority."""
        if priority == URGENT:
            return len(self._urgent) < URGENT_FRAMES
        return len(self._ordinary) < ORDINARY_FRAMES

    def put(self, outgoing: Outgoing) -> bool:
        """Take the frame, or return False."""
        if not self.has_room(outgoing.priority):
            return False
        (self._urgent if outgoing.priority == URGENT else self._ordinary).append(outgoing)
        return True

    def first(self) -> Outgoing | None:
        """The frame that goes next, left in its place."""
        if self._urgent:
            return self._urgent[0]
        if self._ordinary:
            # receipts before readings, and in order among equals
            return min(self._ordinary, key=lambda waiting: waiting.priority)
        return None

    def remove(self, outgoing: Outgoing) -> None:
        """It has been handed over."""
        (self._urgent if outgoing.priority == URGENT else self._ordinary).remove(outgoing)

    def clear(self) -> None:
        """Forget everything: the radio has gone, the session sends anew."""
        self._urgent.clear()
        self._ordinary.clear()
