"""A kit that is not enrolled yet: it says hello by every link until the core welcomes it. Sans-IO."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sync.protocol.enrolment import Hello
from sync.protocol.path import patience_for
from sync.protocol.peers import RefusalReason

if TYPE_CHECKING:
    from random import Random  # noqa: TID251 - the type of what is passed in; nothing is drawn from the module

MOST_S = 900.0
"""Between two hellos by one link, while nobody answers."""

REFUSED_S = 3600.0
"""After a refusal: somebody at the core may extend the invite."""

PRIORITY = 1


class Joining:
    """When to say hello, by link.

    Args:
        hello: as made from the invite.
        rng: spreads the hellos of kits that were switched on together.
    """

    def __init__(self, hello: Hello, rng: Random) -> None:
        self.frame = hello.encode()
        self.refused: RefusalReason | None = None
        self._rng = rng
        self._due_at: dict[str, float] = {}
        self._wait_s: dict[str, float] = {}

    def due(self, link: str, now: float) -> bool:
        """Whether to say it by that link now."""
        return now >= self._due_at.get(link, now)

    def said(self, link: str, now: float, *, mtu_bytes: int) -> None:
        """The link took it."""
        wait_s = self._wait_s.get(link, patience_for(mtu_bytes).first_s)
        self._wait_s[link] = min(2.0 * wait_s, MOST_S)
        self._due_at[link] = now + (REFUSED_S if self.refused else wait_s) * (1.0 + 0.3 * self._rng.random())

    def was_refused(self, reason: RefusalReason, now: float) -> None:
        """The core says no."""
        self.refused = reason
        for link in self._due_at:
            self._due_at[link] = now + REFUSED_S

    @property
    def sentence(self) -> str:
        """For the technician."""
        return self.refused.sentence if self.refused else "waiting for the city core to welcome this kit"
