"""Under which of its two pairs of keys a kit speaks while the core is silent. Pure.

A core that was restored from a backup, or a kit that was, may know other keys than the other side uses; who does not
know a key hears nothing at all. So a kit with two pairs tries each for a while until the core answers.
"""

from __future__ import annotations

from dataclasses import dataclass

RADIO_TURN_S = 6 * 3600.0
"""By radio: a core may be away for hours, and each turn asks in some forty bytes, up to four times."""

QUICK_TURN_S = 600.0
"""Where a connection stands: an answer takes a second."""

HINT_AFTER_S = 60.0
"""A frame for the other pair ends a turn at once, but not in its first minute: it may still have been on its way."""


@dataclass
class Turn:
    """One stretch of time under one of the two pairs (kit seconds).

    Attributes:
        began_at: when.
        radio_s: how long the core may be silent where only the radio carries.
        quick_s: how long where a connection stands.
        hint_after_s: from when on a frame for the other pair counts.
        heard_at: when the core last answered.
        quick: whether a connection has stood.
        hinted: a frame for the other pair came.
    """

    began_at: float
    radio_s: float = RADIO_TURN_S
    quick_s: float = QUICK_TURN_S
    hint_after_s: float = HINT_AFTER_S
    heard_at: float | None = None
    quick: bool = False
    hinted: bool = False

    def overheard(self, now: float) -> None:
        """A frame for the other pair came."""
        self.hinted = self.hinted or now - self.began_at >= self.hint_after_s

    def is_over(self, now: float) -> bool:
        """Whether the other pair is to be tried."""
        since = self.began_at if self.heard_at is None else self.heard_at
        return self.hinted or now - since >= (self.quick_s if self.quick else self.radio_s)
