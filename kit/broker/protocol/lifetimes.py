"""How long a message, a session or a delay still lasts, on a machine whose clock may be wrong.

Spans are measured on the steady clock (seconds since boot). Across a restart of the machine nobody knows how long it
was off unless the wall clock could be trusted both before and after: time that cannot be known does not count, so
nothing ever ends too early.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

NEVER_S = 0xFFFFFFFF
"""A session expiry interval of this many seconds means that the session does not expire (3.1.2.11.2)."""


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment, as far as it is known.

    Attributes:
        ms: wall time, Unix ms.
        steady_s: seconds since boot.
        boot: names the boot.
        trusted: whether something vouches for `ms`.
    """

    ms: int
    steady_s: float
    boot: str = ""
    trusted: bool = True


START = Instant(0, 0.0)


@dataclass(frozen=True, slots=True)
class Life:
    """A span of whole seconds that began at an instant."""

    lasts_s: int
    since: Instant

    @property
    def ends_s(self) -> float:
        """On the steady clock of the instant's boot."""
        return self.since.steady_s + self.lasts_s

    def is_over(self, now: Instant) -> bool:
        """Whether it has ended."""
        return now.steady_s >= self.ends_s

    def left_s(self, now: Instant) -> int:
        """Seconds that remain, rounded up; what MQTT calls the expiry interval of a message that is passed on."""
        return max(0, math.ceil(self.ends_s - now.steady_s))

    def carried_over(self, now: Instant) -> Life:
        """The same life, after a restart, on the present boot's steady clock."""
        if self.since.boot == now.boot:
            return self
        known = self.since.trusted and now.trusted
        passed_s = max(0.0, (now.ms - self.since.ms) / 1000) if known else 0.0
        return replace(self, since=replace(now, steady_s=now.steady_s - passed_s))
