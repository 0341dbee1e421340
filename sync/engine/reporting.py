"""What the technician is told of the links: at once what he waits for, the rest seldom enough for the disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kit.clock import Clock
from sync.engine.conversation import core_is_full
from sync.engine.keeping import Keeping
from sync.engine.standing import Standing
from sync.engine.talks import Talks
from sync.engine.watched import LinkReport, WatchedLink
from sync.protocol.routing import CORE_IS_FULL

REPORT_EVERY_S = 60.0
REPORT_EVERY_REAL_S = 1.0
"""Reports are written to a disk that wears out: at most this often, unless a link's state has changed."""

AGAIN_SHARE = 12
"""What could not be written down is told again after this part of the usual time."""


class Reporting:
    """Says how the links stand.

    Args:
        links: which.
        standing: how we stand with the core.
        talks: whether the core has room for what we say.
        keeping: whether anything can be stored.
        on_links: whom to tell; may raise `CannotStoreNow`.
        clock: kit time.
    """

    def __init__(
        self,
        *,
        links: Sequence[WatchedLink],
        standing: Standing,
        talks: Talks,
        keeping: Keeping,
        on_links: Callable[[Sequence[LinkReport]], None],
        clock: Clock,
    ) -> None:
        self._links, self._standing, self._talks, self._keeping = links, standing, talks, keeping
        self._on_links, self._clock = on_links, clock
        self._told: tuple[LinkReport, ...] = ()
        self._told_at, self._noted, self._not_before = float("-inf"), "", float("-inf")

    def report(self) -> None:
        """Tell it if it is time to, or if something has changed."""
        now, real_s = self._clock.monotonic(), self._clock.real(1.0)
        full = core_is_full(self._talks.all(), now)
        note = self._standing.sentence or self._keeping.trouble or (CORE_IS_FULL if full else "")
        every_s = max(REPORT_EVERY_S, REPORT_EVERY_REAL_S / real_s if real_s > 0 else 0.0)
        # what was not told yet and a technician waits for is told at once: a state, the first word from the other side
        shown = [(each.state(), each.last_heard_ms is not None) for each in self._links]
        told = [(each.state, each.last_heard_ms is not None) for each in self._told]
        if now < self._not_before or (now < self._told_at + every_s and shown == told and note == self._noted):
            return
        self._noted = note
        refused = self._standing.refused
        why = "" if refused is None else refused.sentence
        held_up = {"not_welcome": self._standing.sentence, "core_full": full}
        reports = tuple(link.report(note, refused=why, held_up=held_up) for link in self._links)
        if self._keeping.tell(lambda: self._on_links(reports)):
            self._told, self._told_at = reports, now
        else:
            self._not_before = now + every_s / AGAIN_SHARE
