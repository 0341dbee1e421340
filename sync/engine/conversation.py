"""A session with one peer, and which of the links that are up carries what to that peer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sync.engine.watched import WatchedLink
from sync.protocol.peers import Role
from sync.protocol.records import Held, Record
from sync.protocol.routing import carried
from sync.protocol.session import Session

HEARD_EVERY_S = 30.0
"""How often the peer book is told that a peer was heard (kit seconds)."""


@dataclass
class Conversation:
    """A session with where, and when (kit seconds), its peer was last heard on each link.

    Attributes:
        expected: the link by which an earlier life of ours heard the peer last; "" = none.
    """

    session: Session
    vias: dict[str, str] = field(default_factory=dict)
    heard_at: dict[str, float] = field(default_factory=dict)
    heard_told: dict[str, float] = field(default_factory=dict)
    wake_at: dict[str, float] = field(default_factory=dict)
    offer_again: bool = True
    expected: str = ""
    aside: dict[Held, tuple[str, Record]] = field(default_factory=dict)

    def is_due(self, link: str, now: float) -> bool:
        """Whether to ask the session for a frame by that link."""
        return now >= self.wake_at.get(link, float("-inf"))

    def touch(self) -> None:
        """Something has changed: ask the session again for every link."""
        self.wake_at.clear()


def reaches(conversation: Conversation, link: WatchedLink) -> bool:
    """Whether a frame by that link can get to the peer: a radio reaches everybody, a connection must be known."""
    peer = conversation.session.peer
    return peer.role is Role.CORE or link.reaches_everybody or link.name in conversation.vias


def carries(
    conversation: Conversation, link: WatchedLink, up: Sequence[WatchedLink], *, settling: bool = False
) -> frozenset[int]:
    """The priorities which that link is to carry to that peer now.

    Args:
        conversation: with the peer.
        link: which.
        up: those that are up, the preferred one first.
        settling: we have just started: whoever was connected before connects again at this moment.
    """
    awaited = conversation.expected if settling and not conversation.heard_at else ""
    better = [
        each
        for each in up
        if _comes_before(conversation, each, link, up)
        and (reaches(conversation, each) or each.name == awaited)
        and not conversation.session.path(each.name, each.mtu_bytes).doubtful
    ]
    return carried(link.lowest_priority, [each.lowest_priority for each in better])


def _comes_before(conversation: Conversation, one: WatchedLink, other: WatchedLink, up: Sequence[WatchedLink]) -> bool:
    """Whether the peer is better sought by the one: its frames are larger, or as large, and there it was heard last.

    A kit behind a hill is not first called in vain on the core's own radio while another kit carries for it.
    """
    if one is other or one.mtu_bytes != other.mtu_bytes:
        return one.mtu_bytes > other.mtu_bytes
    never = float("-inf")
    heard, heard_there = (conversation.heard_at.get(each.name, never) for each in (one, other))
    if abs(heard - heard_there) > HEARD_EVERY_S:
        return heard > heard_there
    return up.index(one) < up.index(other)


def core_is_full(conversations: Iterable[Conversation], now: float) -> bool:
    """Whether the core of this kit has said that it cannot store anything now; never at the core."""
    one = next(iter(conversations), None)  # a kit has no other, and a core a thousand, none of them with a core
    return one is not None and one.session.peer.role is Role.CORE and one.session.hearing.peer_is_full(now)
