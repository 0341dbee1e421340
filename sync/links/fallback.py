"""When a second way is taken because the first does not work, and when it is left again."""

from __future__ import annotations

from kit.clock import Clock
from sync.links.port import Link, LinkState

AFTER_S, AFTER_REAL_S = 60.0, 1.5
"""The first way has been tried in vain for so long (kit seconds; the least real time under a fast clock): several
attempts, so that a network that flaps is not taken for a blocked port."""
BACK_S, BACK_REAL_S = 30.0, 0.5
"""It has stood for so long: then the second way is let go."""


class Fallback:
    """Watches one link for another.

    Args:
        primary: the way that is preferred.
        clock: kit time.
    """

    def __init__(self, primary: Link, clock: Clock) -> None:
        self._primary, self._clock = primary, clock
        self._needed = False
        self._since_s: float | None = None

    def needed(self) -> bool:
        """Whether the second way is to be used now."""
        state, now_s = self._primary.state(), self._clock.monotonic()
        works = state in (LinkState.UP, LinkState.BUSY)
        if state is LinkState.DOWN:
            # there is no network at all, or the link is closed: a second way over the same network is none either
            self._needed, self._since_s = False, None
            return False
        if works is not self._needed:  # what is so is as it should be
            self._since_s = None
        elif self._since_s is None:
            self._since_s = now_s
        elif now_s - self._since_s >= self._patience_s():
            self._needed, self._since_s = not self._needed, None
        return self._needed

    def _patience_s(self) -> float:
        seconds, real_s = (BACK_S, BACK_REAL_S) if self._needed else (AFTER_S, AFTER_REAL_S)
        real_per_kit = self._clock.real(1.0)
        return max(seconds, real_s / real_per_kit) if real_per_kit > 0 else seconds
