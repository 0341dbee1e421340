"""Between two pairs of keys: what opens under the other one, and what follows from it at either end.

At the core, the first full frame of a kit that opens under the keys it has told makes them its keys: that is committed,
and only then is there a session under them. At a kit, a frame under the pair that is not in use is a hint that the core
knows the other one; only an answer to this very life of the kit is believed, which nobody can have recorded.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Protocol

from kit.clock import Clock
from sync.engine.conversation import Conversation
from sync.engine.identity import HeldIdentity
from sync.engine.keeping import Keeping
from sync.engine.talks import Talks
from sync.protocol.other_keys import opened_under
from sync.protocol.peers import Peer, PeerBook, Role
from sync.protocol.session import Session

ASK_AGAIN_S = (60.0, 180.0, 540.0)
"""Kit seconds after the start in which a core that has not answered is asked again: until it has heard the kit under
the keys in use, it talks past it. Four frames of some forty bytes; later the usual beacons go on."""

LOG = logging.getLogger("sync")


class TwoPairs(Protocol):
    """A kit's keys while it has two pairs of them (`kit.run.rotating`)."""

    @property
    def other_private(self) -> bytes:
        """The X25519 private key of the pair that is not in use."""
        ...

    def heard(self) -> None:
        """The core has answered this life of ours under the pair in use. Told with every frame."""
        ...

    def overheard(self) -> None:
        """Somebody who knows the core's or our keys has sealed a frame for the other pair."""
        ...


class Rekeying:
    """Looks after frames that the keys in use do not open.

    Args:
        identity: who we are.
        talks: with whom.
        peers: who there may be.
        keeping: our store.
        pairs: at a kit that has two pairs of keys now.
        clock: kit time.
    """

    def __init__(
        self,
        *,
        identity: HeldIdentity,
        talks: Talks,
        peers: PeerBook,
        keeping: Keeping,
        pairs: TwoPairs | None,
        clock: Clock,
    ) -> None:
        self._identity, self._talks, self._peers = identity, talks, peers
        self._keeping, self._pairs, self._clock = keeping, pairs, clock
        self._began_at, self._asked = clock.monotonic(), 0

    def conversation_for(self, peer: Peer, frame: bytes) -> Conversation | None:
        """The conversation with that peer in which this frame, which could not be opened, can be; or None.

        Args:
            peer: as the book knows it now.
            frame: a full one or a short one.
        """
        if peer.role is Role.CORE:
            self._overhear(peer, frame)
            return None
        if not peer.next_public or not self._opens(peer, frame):
            return None
        before = self._talks.of(peer.unit)
        # what the session has taken stays taken under the new keys
        if before is not None and not self._keeping.save_session(peer.unit, before.session.dump()):
            return None
        if not self._peers.speaks_under_next_key(peer.unit):
            return None
        LOG.info("%s speaks under its new keys; the ones before are forgotten", peer.unit)
        return self._talks.with_peer(self._peers.by_link_id(peer.link_id) or _renewed(peer))

    def heard(self, session: Session) -> None:
        """A frame of that session came in."""
        if self._pairs is not None and session.answered:
            self._pairs.heard()

    def ask_again(self) -> None:
        """Once a round: a core that has not answered us under the keys in use is asked again."""
        if self._pairs is None or self._asked == len(ASK_AGAIN_S):
            return
        if self._clock.monotonic() - self._began_at < ASK_AGAIN_S[self._asked]:
            return
        self._asked += 1
        for conversation in self._talks.all():
            if not conversation.session.answered:
                conversation.session.ask_again()
                conversation.touch()

    def _overhear(self, core: Peer, frame: bytes) -> None:
        if self._pairs is None:
            return
        opened = opened_under(
            frame,
            exchange_private=self._pairs.other_private,
            exchange_public=core.exchange_public,
            link_id=core.link_id,
            sender=Role.CORE,
        )
        conversation = self._talks.of(core.unit)
        # one window over counters, whatever the key: a frame that somebody plays again says nothing
        if opened is not None and conversation is not None and conversation.session.hearing.would_take(opened.counter):
            self._pairs.overheard()

    def _opens(self, peer: Peer, frame: bytes) -> bool:
        opened = opened_under(
            frame,
            exchange_private=self._identity.exchange_private,
            exchange_public=peer.next_public,
            link_id=peer.link_id,
            sender=Role.KIT,
        )
        return opened is not None


def _renewed(peer: Peer) -> Peer:
    return replace(peer, exchange_public=peer.next_public, next_public=b"")
