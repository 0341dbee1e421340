"""What comes in by a link: opened, committed, and only then acknowledged.

Invariant: all that came at once is committed in one transaction per peer; what could not be committed is not
acknowledged, is kept in memory as far as there is room, and is tried again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence

from kit.clock import Clock
from kit.model.new_key import KIND as NEW_KEY
from sync.engine.conversation import HEARD_EVERY_S, Conversation
from sync.engine.identity import HeldIdentity, random_salt
from sync.engine.joining import PRIORITY as HELLO_PRIORITY
from sync.engine.keeping import Keeping
from sync.engine.multicasting import Broadcasting, Listening
from sync.engine.offering import OFFER_LOW, Offering
from sync.engine.rekeying import Rekeying, TwoPairs
from sync.engine.standing import Standing
from sync.engine.talks import Talks
from sync.engine.watched import WatchedLink, reason_of
from sync.links.port import Arrival
from sync.protocol.enrolment import Hello
from sync.protocol.errors import ForeignFrame, ForgedFrame, RemoteSyncError, ReplayedFrame
from sync.protocol.events import (
    BeaconHeard,
    EnrolmentRefused,
    Event,
    PeerMustWait,
    RecordsAccepted,
    RecordsKeptApart,
    RecordsReceived,
    TwinHeard,
    Welcomed,
)
from sync.protocol.frames import FrameType, frame_link_id, frame_type
from sync.protocol.keys import agree
from sync.protocol.peers import PeerBook, Refusal, RefusalReason, Role
from sync.protocol.records import CannotStoreNow, Held, Priority, Record, RecordId, dated, digest_of
from sync.protocol.refusal import sealed_refusal
from sync.protocol.session import Session

ASIDE_AGAIN_S = 20.0
"""What could not be committed is tried again after so long (kit seconds)."""

ASIDE_RECORDS, ASIDE_BYTES = 256, 512 * 1024
"""What is kept in memory meanwhile, per peer; the rest the peer sends again."""

WAIT_S = 60
"""What a peer is asked to wait when nothing can be stored here (kit seconds)."""

LOG = logging.getLogger("sync")


class Receiving:
    """Takes in what links bring.

    Attributes:
        rekeying: asked about frames that the keys in use do not open.

    Args:
        identity: who we are.
        name: of this unit, for people: in the welcome.
        talks: with whom.
        peers: who there may be.
        keeping: our store.
        standing: how we stand with the core.
        offering: told when more is to be looked up.
        broadcasting: at the core, what it says to all of its kits.
        listening: at a kit, what is made of that.
        pairs: at a kit that has two pairs of keys now.
        on_time: the core's time as heard in a beacon.
        clock: kit time.
    """

    def __init__(
        self,
        *,
        identity: HeldIdentity,
        name: str,
        talks: Talks,
        peers: PeerBook,
        keeping: Keeping,
        standing: Standing,
        offering: Offering,
        broadcasting: Broadcasting | None,
        listening: Listening | None,
        pairs: TwoPairs | None,
        on_time: Callable[[int, bool], None] | None,
        clock: Clock,
    ) -> None:
        self._identity, self._name, self._talks, self._peers = identity, name, talks, peers
        self._keeping, self._standing, self._offering = keeping, standing, offering
        self._broadcasting, self._listening, self._on_time, self._clock = broadcasting, listening, on_time, clock
        self._aside_at = float("inf")
        self.rekeying = Rekeying(identity=identity, talks=talks, peers=peers, keeping=keeping, pairs=pairs, clock=clock)

    def take_in(self, link: WatchedLink, arrivals: Iterable[Arrival]) -> None:
        """Everything that came in is committed in one transaction per peer, and acknowledged after it."""
        came: list[tuple[Conversation, list[Event]]] = []
        for arrival in arrivals:
            try:
                kind = frame_type(arrival.frame)
                if kind is FrameType.HELLO:
                    self._take_hello(link, arrival)
                    continue
                if kind is FrameType.MULTICAST:
                    self._hear_broadcast(link, arrival)
                    continue
                conversation, events = self._open(link, arrival)
            except RemoteSyncError as error:
                link.drop(reason_of(error))
                continue
            known = next((each for each in came if each[0] is conversation), None)
            if known is None:
                came.append((conversation, events))
            else:
                known[1].extend(events)
        for conversation, events in came:
            self._commit(conversation, events, link)

    def try_aside(self) -> None:
        """Once a round: try again to commit what could not be, and acknowledge it."""
        if self._clock.monotonic() < self._aside_at:
            return
        self._aside_at = self._clock.monotonic() + ASIDE_AGAIN_S
        for conversation in self._talks.all():
            records = [record for _, record in conversation.aside.values()]
            if not records:
                continue
            link = next(reversed(conversation.aside.values()))[0]
            session = conversation.session
            apart = self._keeping.take(records, peer=session.peer.unit, link=link, at_ms=self._now_ms())
            if apart is not None:
                conversation.aside.clear()
                self._acknowledge(session, self._committed_of(records, apart, session), link, late=True)
                conversation.touch()

    def acknowledge_broadcasts(self) -> None:
        """Once a round: what was heard in a broadcast is acknowledged by name in the ordinary session."""
        if self._listening is None:
            return
        for record, link in self._listening.due(self._clock.monotonic()):
            conversation, now = self._talks.with_peer(self._listening.core), self._clock.monotonic()
            session = conversation.session
            session.hearing.came_otherwise(record.id, priority=int(record.priority), path=link, now=now)
            self._acknowledge(session, [record], link)
            conversation.touch()

    # --- frames of a session ---

    def _open(self, link: WatchedLink, arrival: Arrival) -> tuple[Conversation, list[Event]]:
        peer = self._peers.by_link_id(frame_link_id(arrival.frame))
        if peer is None:
            raise ForeignFrame("no peer of ours has that link id")
        conversation = self._talks.with_peer(peer)
        now = self._clock.monotonic()
        try:
            events = self._hear_in(conversation, arrival.frame, link, now)
        except ForgedFrame:
            renewed = self.rekeying.conversation_for(peer, arrival.frame)
            if renewed is None:
                raise
            conversation, events = renewed, self._hear_in(renewed, arrival.frame, link, now)
        conversation.vias[link.name] = arrival.via
        conversation.heard_at[link.name] = now
        conversation.touch()
        link.last_heard_ms = self._now_ms()
        if now - conversation.heard_told.get(link.name, float("-inf")) >= HEARD_EVERY_S:
            conversation.heard_told[link.name] = now
            self._peers.heard(peer.unit, link=link.name, via=arrival.via, now_ms=self._now_ms())
        return conversation, events

    @staticmethod
    def _hear_in(conversation: Conversation, frame: bytes, link: WatchedLink, now: float) -> list[Event]:
        try:
            return conversation.session.hearing.receive(frame, path=link.name, mtu_bytes=link.mtu_bytes, now=now)
        except ReplayedFrame:
            conversation.touch()  # there may be something to say about it
            raise

    def _commit(self, conversation: Conversation, events: Sequence[Event], link: WatchedLink) -> None:
        session = conversation.session
        records: dict[tuple[RecordId, str, bytes], Record] = {}
        accepted: list[RecordId] = []
        apart: list[Held] = []
        for event in events:
            match event:
                case RecordsReceived():
                    records.update(((record.id, record.kind, record.body), record) for record in event.records)
                case RecordsAccepted():
                    accepted.extend(event.ids)
                case RecordsKeptApart():
                    apart.extend(event.records)
                case _:
                    self._hear(event, session)
        unit = session.peer.unit
        if session.peer.role is Role.CORE and not any(isinstance(event, EnrolmentRefused) for event in events):
            self._standing.heard_well()
            self.rekeying.heard(session)
        if records:
            self._take(conversation, list(records.values()), link)
        if apart:
            LOG.warning("%s holds other records under the names of %d of ours: they get new ones", unit, len(apart))
            self._keeping.rename(apart, peer=unit, at_ms=self._now_ms())
            self._offering.anew()
        if accepted:
            self._keeping.accepted(accepted, peer=unit, link=link.name, at_ms=self._now_ms())
            if self._broadcasting is not None:
                self._broadcasting.accepted(unit, accepted)
            conversation.offer_again = conversation.offer_again or session.offered < OFFER_LOW
            # whoever wrote what was passed on is told that it has arrived
            self._look_again({each.origin for each in accepted})

    def _take(self, conversation: Conversation, records: Sequence[Record], link: WatchedLink) -> None:
        session, now_ms = conversation.session, self._now_ms()
        # those held already, too: the store is where another body under the same name is noticed
        came = [dated(record, now_ms) for record in records]
        taken, apart = self._keep(came, peer=session.peer.unit, link=link.name, at_ms=now_ms)
        if len(taken) < len(came):
            gone = self._set_aside(conversation, link.name, [each for each in came if each not in taken])
            session.hearing.cannot_store(seconds=WAIT_S, gone=gone)
        if not taken:
            return
        self._acknowledge(session, self._committed_of(taken, apart, session), link.name)
        addressees = {each.addressee for each in taken if each.addressee}
        # passed on at once; where there is no such kit, its author is told; who tells new keys is answered
        answered = addressees or any(each.kind == NEW_KEY for each in taken)
        self._look_again(addressees | ({session.peer.unit} if answered else set()))

    def _keep(
        self, records: Sequence[Record], *, peer: str, link: str, at_ms: int
    ) -> tuple[Sequence[Record], Collection[Record]]:
        """Give them to the store; where there is no room for all, the alarms among them.

        Returns:
            Those that it has taken, and those of them that it has kept apart.
        """
        apart = self._keeping.take(records, peer=peer, link=link, at_ms=at_ms)
        if apart is not None:
            return records, apart
        alarms = [record for record in records if record.priority == Priority.DISTRESS]
        if 0 < len(alarms) < len(records):
            apart = self._keeping.take(alarms, peer=peer, link=link, at_ms=at_ms, what_has_room=True)
        return ([], ()) if apart is None else (alarms, apart)

    def _committed_of(self, taken: Sequence[Record], apart: Collection[Record], session: Session) -> list[Record]:
        """Those that may be acknowledged; of the others the peer is told that they were kept apart."""
        if not apart:
            return list(taken)
        LOG.warning("%s sent %d records under names that are held already", session.peer.unit, len(apart))
        session.hearing.keep_apart(apart)
        # nor is the one that came first, if both came at once: an acknowledgement tells only the name
        names = {record.id for record in apart}
        return [record for record in taken if record.id not in names]

    def _look_again(self, units: Iterable[str]) -> None:
        """The store has something new for these that no other process has written."""
        for unit in units:
            conversation = self._talks.of(unit)
            if conversation is not None:
                conversation.offer_again = True

    def _acknowledge(self, session: Session, records: Sequence[Record], link: str, *, late: bool = False) -> None:
        session.hearing.acknowledge(
            [(record.id, int(record.priority)) for record in records],
            path=link,
            now=self._clock.monotonic(),
            late=late,
        )

    def _set_aside(self, conversation: Conversation, link: str, records: Sequence[Record]) -> list[RecordId]:
        """Remember what could not be committed: a transfer of half an hour need not be made again.

        Returns:
            What there is no room for.
        """
        gone: list[RecordId] = []
        aside = conversation.aside
        for record in records:
            aside[Held(record.id, digest_of(record.kind, record.body))] = (link, record)
        while len(aside) > ASIDE_RECORDS or sum(len(record.body) for _, record in aside.values()) > ASIDE_BYTES:
            oldest = next(iter(aside))
            del aside[oldest]
            gone.append(oldest.id)
        self._aside_at = self._clock.monotonic() + ASIDE_AGAIN_S
        return gone

    def _hear(self, event: Event, session: Session) -> None:
        match event:
            case Welcomed():
                self._standing.welcomed(event)
            case EnrolmentRefused():
                self._standing.refuse(event, self._clock.monotonic())
            case BeaconHeard():
                self._hear_beacon(event, session)
            case PeerMustWait():
                LOG.info("%s cannot store anything and asks to wait for %d s", session.peer.unit, event.seconds)
            case TwinHeard():
                LOG.warning("two units with the keys of %s are alive: neither is believed", session.peer.unit)
                self._peers.twin_heard(session.peer.unit, now_ms=self._now_ms())
                self._offering.anew()
            case _:
                pass

    def _hear_beacon(self, event: BeaconHeard, session: Session) -> None:
        if self._on_time is not None:
            self._on_time(event.time_ms, event.trusted)
        if event.newest and event.beacon.holdings:
            lost = self._keeping.refill(session.peer.unit, event.beacon.holdings)
            if lost:
                LOG.info("%s has lost %d records that it had accepted; they are sent again", session.peer.unit, lost)
                self._offering.anew()

    # --- frames outside any session ---

    def _hear_broadcast(self, link: WatchedLink, arrival: Arrival) -> None:
        if self._listening is None or not self._standing.enrolled:
            raise ForeignFrame("a broadcast that is not for us")
        now = self._clock.monotonic()
        record = self._listening.hear(link, arrival.frame, now=now)
        if record is None:
            return
        now_ms = self._now_ms()
        apart = self._keeping.take([record], peer=self._listening.core.unit, link=link.name, at_ms=now_ms)
        if apart is None:
            self._listening.forget(record)
        elif apart:
            conversation = self._talks.with_peer(self._listening.core)
            self._committed_of([record], apart, conversation.session)
            self._listening.forget(record)
            conversation.touch()
        else:
            self._listening.owe(record, link, now=now)

    def _take_hello(self, link: WatchedLink, arrival: Arrival) -> None:
        hello = Hello.decode(arrival.frame)
        try:
            answer = self._peers.enrol(hello, now_ms=self._now_ms(), link=link.name)
        except CannotStoreNow as error:
            LOG.warning("%s is not answered yet, because nothing can be stored: %s", hello.unit, error)
            return
        if isinstance(answer, Refusal):
            LOG.warning("%s is not enrolled: %s", hello.unit, answer.reason)
            if answer.reason in (RefusalReason.FORGED, RefusalReason.UNKNOWN):
                raise ForgedFrame("a hello that is not answered")
            shared = agree(self._identity.exchange_private, hello.exchange_public)
            frame = sealed_refusal(shared, link_id=hello.link_id, salt=random_salt(), reason=answer.reason)
            link.send(frame, priority=HELLO_PRIORITY, to=arrival.via)
            return
        conversation = self._talks.with_peer(answer)
        # anybody may play a hello again that the air once carried: it must not turn the kit's frames away from it,
        # nor make us talk without end
        if link.reaches_everybody and link.name in conversation.heard_at:
            if conversation.vias.get(link.name) != arrival.via:
                conversation.vias.pop(link.name, None)  # said to everybody until the kit's own frames tell where it is
        else:
            conversation.vias[link.name] = arrival.via
        conversation.session.welcome(self._name, now=self._clock.monotonic())
        conversation.touch()
        self._offering.anew()  # what is for every kit is for this one, too
        link.last_heard_ms = self._now_ms()

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)
