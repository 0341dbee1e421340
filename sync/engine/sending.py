"""What goes out by a link: for each peer in turn the most urgent frame, and what the core says to all of its kits.

Invariant: what of a session must survive a restart is on the disk before the frame that depends on it is handed over.
"""

from __future__ import annotations

from collections.abc import Sequence

from kit.clock import Clock
from sync.engine.conversation import Conversation, carries, reaches
from sync.engine.keeping import Keeping
from sync.engine.multicasting import Broadcasting
from sync.engine.offering import Offering
from sync.engine.standing import Standing
from sync.engine.talks import Talks
from sync.engine.watched import WatchedLink
from sync.links.port import LinkState
from sync.protocol.beacons import BeaconFacts
from sync.protocol.peers import Role
from sync.protocol.records import RecordStore
from sync.protocol.session import OutFrame

REFUSED_PAUSE_S = 2.0
"""After a link had no room for a frame though it said that it had (kit seconds), or as long as a frame takes on a radio
that can tell; a frame of priority 0 is tried again at once."""

LOOK_AGAIN_S = 0.1
"""A session that has nothing for a link is not asked again at once (kit seconds)."""

FRAMES_PER_ROUND = 16
"""Per link, before looking again at what came in."""


class Sending:
    """Hands frames to links.

    Args:
        talks: with whom.
        store: tells beacons what we have and hold.
        keeping: the same store, for writing.
        standing: whether records may go.
        offering: told when sessions take over from a broadcast.
        broadcasting: at the core, what it says to all of its kits.
        clock: kit time.
    """

    def __init__(
        self,
        *,
        talks: Talks,
        store: RecordStore,
        keeping: Keeping,
        standing: Standing,
        offering: Offering,
        broadcasting: Broadcasting | None,
        clock: Clock,
    ) -> None:
        self._talks, self._store, self._keeping, self._standing = talks, store, keeping, standing
        self._offering, self._broadcasting, self._clock = offering, broadcasting, clock
        self._refused_until: dict[tuple[str, str], float] = {}
        self._up: dict[str, int] = {}
        self._settling = True

    def note_up(self, up: Sequence[WatchedLink]) -> None:
        """Once a round: which links there are decides what each of them carries.

        Args:
            up: those that are up, the preferred one first.
        """
        before, self._up = self._up, {link.name: link.lowest_priority for link in up}
        if self._settling and not self._talks.settling:
            self._settling = False
            self._talks.touch()  # whoever has not come by the wider link gets what waits by the others
        if self._up == before:
            return
        for conversation in self._talks.all():
            for link in up:
                if link.name not in before:
                    conversation.session.came_up(link.name, now=self._clock.monotonic())
            conversation.touch()

    def send_by(self, link: WatchedLink, up: Sequence[WatchedLink]) -> None:
        """Send what is due by that link.

        Args:
            link: one of those that are up.
            up: all of them, the preferred one first.
        """
        self._broadcast(link, urgent=True)
        if self._standing.enrolled:
            self._send_frames(link, up)
        else:
            self._standing.say_hello(link, self._clock.monotonic())
        self._broadcast(link, urgent=False)

    def _send_frames(self, link: WatchedLink, up: Sequence[WatchedLink]) -> None:
        for _ in range(FRAMES_PER_ROUND):
            urgent_only = link.state() is LinkState.BUSY
            now = self._clock.monotonic()
            due = [each for each in self._talks.all() if each.is_due(link.name, now) and reaches(each, link)]
            # each peer gets one frame in turn, so that one kit's backlog does not keep another waiting
            sent = [self._send_one(each, link, up, urgent_only=urgent_only) for each in due]
            if not any(sent):
                return

    def _send_one(
        self, conversation: Conversation, link: WatchedLink, up: Sequence[WatchedLink], *, urgent_only: bool
    ) -> bool:
        """Send the most urgent frame for that peer by that link; whether one went."""
        now, session = self._clock.monotonic(), conversation.session
        way = session.path(link.name, link.mtu_bytes)
        doubtful = way.doubtful
        refused = now < self._refused_until.get((session.peer.unit, link.name), float("-inf"))
        carried_here = (
            carries(conversation, link, up, settling=self._settling) if self._standing.may_send_records else frozenset()
        )
        out = session.frame_to_send(
            path=link.name,
            mtu_bytes=link.mtu_bytes,
            now=now,
            facts=self._beacon_facts(session.peer.unit, link),
            carries=carried_here,
            urgent_only=urgent_only or refused,
        )
        if way.doubtful is not doubtful:
            conversation.touch()  # the next link is to carry as well
        if out is None:
            at = session.wake_at(path=link.name, mtu_bytes=link.mtu_bytes, now=now, carries=carried_here)
            conversation.wake_at[link.name] = float("inf") if at is None else max(at, now + LOOK_AGAIN_S)
            return False
        return self._hand_over(conversation, link, out)

    def _beacon_facts(self, unit: str, link: WatchedLink) -> BeaconFacts:
        return BeaconFacts(
            self._now_ms(),
            trusted=self._clock.trusted,
            free_airtime_percent=link.free_airtime_percent(),
            position=self._store.position,
            holdings=lambda: self._store.holdings(unit),
        )

    def _hand_over(self, conversation: Conversation, link: WatchedLink, out: OutFrame) -> bool:
        session, unit = conversation.session, conversation.session.peer.unit
        if session.must_save(out):
            if not self._keeping.save_session(unit, session.dump()):
                return False
            session.saved()
        to = conversation.vias.get(link.name) if session.peer.role is Role.KIT else None
        now = self._clock.monotonic()
        if not link.send(out.frame, priority=out.priority, to=to):
            self._refused_until[unit, link.name] = now + (link.frame_s or REFUSED_PAUSE_S)
            if session.peer.role is Role.KIT and not link.reaches_everybody:
                conversation.vias.pop(link.name, None)  # its connection has gone; it is known again when it is heard
            return False
        left = session.sent(out, now=now)
        if left:
            self._keeping.left(left, peer=unit, link=link.name, at_ms=self._now_ms())
        return True

    def _broadcast(self, link: WatchedLink, *, urgent: bool) -> None:
        """Say what is for all kits: a warning before anything else, the rest when the sessions had their turn."""
        if self._broadcasting is None or not link.reaches_everybody:
            return
        if not urgent and (link.state() is LinkState.BUSY or (self._settling and self._talks.awaits_any(link))):
            return
        ended = self._broadcasting.send(
            link,
            urgent=urgent,
            now=self._clock.monotonic(),
            now_ms=self._now_ms(),
            loss=lambda unit: self._talks.loss(unit, link),
            by_session=lambda unit: not self._talks.hears_radio_only(unit),
            heard=lambda unit: self._talks.was_heard(unit, link),
        )
        if ended:
            self._offering.anew()

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)
