"""Our conversations with our peers, and the life in which we lead them: one salt and one ephemeral key for all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from kit.clock import Clock
from sync.engine.conversation import Conversation
from sync.engine.identity import HeldIdentity, random_key, random_salt
from sync.engine.watched import WatchedLink
from sync.protocol.peers import Peer
from sync.protocol.records import RecordStore
from sync.protocol.session import Session

if TYPE_CHECKING:
    from random import Random  # noqa: TID251 - the type of what is passed in; nothing is drawn from the module

LIFE_S = 3 * 86_400.0
"""Kit seconds after which a process draws a new salt and a new ephemeral key, as if it had been started anew: what was
sent by radio before cannot be opened any more, not even with both units in hand."""


SETTLED_S = 120.0
"""Kit seconds after the start: who comes by the mobile network has been heard by then (`sync.links.reconnect`)."""


class Talks:
    """One conversation with each peer.

    Args:
        identity: who we are.
        store: keeps what of a session must survive a restart.
        links: that a session is to know from its beginning.
        clock: kit time.
        rng: for the sessions' jitter.
        life_s: kit seconds between two lives of this process.
        heard_by: the link by which a peer was heard last, in this process or an earlier one; "" = by none.
    """

    def __init__(
        self,
        *,
        identity: HeldIdentity,
        store: RecordStore,
        links: Sequence[WatchedLink],
        clock: Clock,
        rng: Random,
        life_s: float = LIFE_S,
        heard_by: Callable[[str], str] = lambda _: "",
    ) -> None:
        self._identity, self._store, self._links, self._clock, self._rng = identity, store, links, clock, rng
        self._salt, self._life, self._life_s = random_salt(), random_key(), life_s
        self._renew_at = clock.monotonic() + life_s
        self._settled_at, self._heard_by = clock.monotonic() + SETTLED_S, heard_by
        self._talks: dict[str, Conversation] = {}

    def all(self) -> Collection[Conversation]:
        """Those there are."""
        return self._talks.values()

    @property
    def settling(self) -> bool:
        """Whether we have just started, so that those who were connected are only now connecting again."""
        return self._clock.monotonic() < self._settled_at

    def awaits_any(self, link: WatchedLink) -> bool:
        """Whether any peer was heard by another link than this one, before we started, and by none since."""
        return any(each.expected not in ("", link.name) and not each.heard_at for each in self._talks.values())

    def of(self, unit: str) -> Conversation | None:
        """The one with that unit, if there is one."""
        return self._talks.get(unit)

    def with_peer(self, peer: Peer) -> Conversation:
        """The one with that peer; begun anew if the peer is no longer what it was."""
        known = self._talks.get(peer.unit)
        if known is not None and known.session.peer == peer:
            return known
        expected = self._heard_by(peer.unit) if self.settling else ""
        self._talks[peer.unit] = Conversation(self._session(peer), expected=expected)
        return self._talks[peer.unit]

    def keep_only(self, peers: Iterable[Peer]) -> None:
        """Talk to these and nobody else."""
        peers = tuple(peers)
        for gone in self._talks.keys() - {peer.unit for peer in peers}:
            del self._talks[gone]
        for peer in peers:
            self.with_peer(peer)

    def renew_if_due(self) -> None:
        """Every few days: the next frames are full ones under a new salt, and tell a new ephemeral key."""
        if self._clock.monotonic() < self._renew_at:
            return
        self._renew_at = self._clock.monotonic() + self._life_s
        self._salt, self._life = random_salt(), random_key()
        for conversation in self._talks.values():
            conversation.session.renew(salt=self._salt, life=self._life)
            conversation.touch()

    def touch(self) -> None:
        """Something has changed for all of them: ask every session again for every link."""
        for conversation in self._talks.values():
            conversation.touch()

    def loss(self, unit: str, link: WatchedLink) -> float:
        """Of our frames to that unit by that link, the share that is lost."""
        conversation = self._talks.get(unit)
        return 0.0 if conversation is None else conversation.session.path(link.name, link.mtu_bytes).loss

    def was_heard(self, unit: str, link: WatchedLink) -> bool:
        """Whether that unit was heard by that link since we began to talk to it."""
        conversation = self._talks.get(unit)
        return conversation is not None and link.name in conversation.heard_at

    def hears_radio_only(self, unit: str) -> bool:
        """Whether we know no other way to that unit than a radio."""
        conversation = self._talks.get(unit)
        vias = () if conversation is None else conversation.vias
        return not any(link.name in vias and not link.reaches_everybody for link in self._links) and any(
            link.reaches_everybody for link in self._links
        )

    def _session(self, peer: Peer) -> Session:
        position = self._store.position()
        session = Session(
            unit=self._identity.unit,
            exchange_private=self._identity.exchange_private,
            peer=peer,
            salt=self._salt,
            life=self._life,
            rng=self._rng,
            state=self._store.load_session(peer.unit),
            epoch=position.epoch if position is not None else -1,
        )
        for link in self._links:
            session.path(link.name, link.mtu_bytes, frame_s=link.frame_s)
        return session
