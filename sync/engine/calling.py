"""The core's first word by radio: a core that was started anew says so to the kits that have not been heard since.

By the mobile network a kit notices that its connection broke, and asks. By radio nothing breaks: an idle village would
learn of the core's new life hours later, and with it that a core rebuilt from its backup lacks what it had accepted. So
each kit is shown the new life once, in a frame of some 30 bytes, one kit after the other, slowly.
"""

from __future__ import annotations

from collections.abc import Sequence

from kit.clock import Clock
from sync.engine.talks import Talks
from sync.engine.watched import WatchedLink
from sync.protocol.path import LONG_FAST_FRAME_S
from sync.protocol.peers import Role

FIRST_S = 120.0
"""Kit seconds after the start: who comes by the mobile network has been heard by then, and a core that is killed again
and again says nothing."""

SHARE = 0.01
"""Of the air."""


class Calling:
    """Shows the core's new life to kits that only the radio reaches.

    Args:
        talks: with whom.
        clock: kit time.
    """

    def __init__(self, talks: Talks, clock: Clock) -> None:
        self._talks, self._clock = talks, clock
        self._next_at = clock.monotonic() + FIRST_S
        self._called: set[str] = set()

    def call(self, up: Sequence[WatchedLink]) -> None:
        """Once a round.

        Args:
            up: the links that are up.
        """
        now = self._clock.monotonic()
        radio = next((link for link in up if link.reaches_everybody), None)
        if now < self._next_at or radio is None:
            return
        for conversation in self._talks.all():
            peer = conversation.session.peer
            if peer.role is Role.KIT and not (conversation.heard_at or peer.twin or peer.unit in self._called):
                self._called.add(peer.unit)
                conversation.session.show_life()
                conversation.touch()
                self._next_at = now + (radio.frame_s or LONG_FAST_FRAME_S) / SHARE
                return
