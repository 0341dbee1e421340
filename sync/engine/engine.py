"""Which record leaves by which link, and when: the loop around the sans-IO sessions.

One engine serves a kit (one peer, the core) or the core (every kit). Its order in each round is what keeps the
promises: take what came in, commit it, keep the sessions' state, and only then send what depends on either.

Cellular is preferred while it is up; over LoRa go only the priorities it may carry; an alert (priority 0) goes over
every link that is up, at once. A link that takes frames while nothing comes back is doubted: the next one carries, too.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from kit.clock import Clock
from sync.engine.conversation import HEARD_EVERY_S, Conversation, carries, reaches
from sync.engine.identity import HeldIdentity, random_key, random_salt
from sync.engine.joining import PRIORITY as HELLO_PRIORITY
from sync.engine.joining import Joining
from sync.engine.keeping import Keeping
from sync.engine.multicasting import Broadcasting, Listening
from sync.engine.watched import LinkReport, WatchedLink, reason_of
from sync.links.port import Arrival, Link, LinkState
from sync.protocol.enrolment import Hello, Invite, make_hello
from sync.protocol.errors import ForeignFrame, ForgedFrame, RecordTooLarge, RemoteSyncError, ReplayedFrame
from sync.protocol.events import (
    BeaconHeard,
    EnrolmentRefused,
    Event,
    PeerMustWait,
    RecordsAccepted,
    RecordsReceived,
    TwinHeard,
    Welcomed,
)
from sync.protocol.frames import FrameType, frame_link_id, frame_type
from sync.protocol.keys import agree
from sync.protocol.peers import Peer, PeerBook, Refusal, RefusalReason, Role
from sync.protocol.records import Record, RecordId, RecordStore, dated
from sync.protocol.refusal import sealed_refusal
from sync.protocol.session import BeaconFacts, OutFrame, Session

if TYPE_CHECKING:
    from random import Random  # noqa: TID251 - the type of what is passed in; nothing is drawn from the module

OFFER_RECORDS = 2048
"""What a session knows of a backlog at once: enough to fill what is in flight on the fastest link."""

OFFER_LOW = OFFER_RECORDS // 2
"""More are looked up when fewer are left."""

NEWS_RECORDS = 64
"""So many of the most urgent are looked up whenever somebody has written: an alert is among them."""

ASIDE_AGAIN_S = 20.0
"""What could not be committed is tried again after so long (kit seconds)."""

ASIDE_RECORDS, ASIDE_BYTES = 256, 512 * 1024
"""What is kept in memory meanwhile, per peer; the rest the peer sends again."""

LIFE_S = 3 * 86_400.0
"""Kit seconds after which a process draws a new salt and a new ephemeral key, as if it had been started anew: what was
sent by radio before cannot be opened any more, not even with both units in hand."""

WAIT_S = 60
"""What a peer is asked to wait when nothing can be stored here (kit seconds)."""

REFRESH_S = 60.0
"""The store is asked anew at least this often (kit seconds): lifetimes end without anybody writing."""

REPORT_EVERY_S = 60.0
REPORT_EVERY_REAL_S = 1.0
"""Reports are written to a disk that wears out: at most this often, unless a link's state has changed."""

REFUSED_PAUSE_S = 2.0
"""After a link had no room for a frame though it said that it had (kit seconds), or as long as a frame takes on a radio
that can tell; a frame of priority 0 is tried again at once."""

SLICE_LEAST_S, SLICE_MOST_S = 0.005, 0.05
"""Real seconds that a round waits for a frame, per link: short under a fast clock, easy on the battery otherwise."""

LOOK_AGAIN_S = 0.1
"""A session that has nothing for a link is not asked again at once (kit seconds)."""

FRAMES_PER_ROUND = 16
"""Per link, before looking again at what came in."""

LOG = logging.getLogger("sync")


class SyncEngine:
    """Store-and-forward between a store and its peers. Belongs to one thread.

    Args:
        identity: who we are.
        store: ours; used only on the engine's thread.
        peers: a kit's `SinglePeerBook`, or the core's book.
        links: the ways there; the one with the largest frames that is up is preferred.
        clock: kit time.
        rng: for jitter.
        on_links: told what to show of the links.
        invite: a kit that is not enrolled yet says hello with it.
        changed: a number that changes when somebody else wrote to the store (`SqliteRecordStore.changed`); without it
            the store is asked every `REFRESH_S`.
        due_now: records that a technician wants sent at once (`SqliteRecordStore.take_retries`).
        name: of this unit, for people: in the hello, and in the welcome.
        curve_public: our CurveZMQ public key (32 bytes), for the hello.
        on_enrolled: a kit was welcomed by the core; told once.
        on_time: the core's time (Unix ms, and whether it is trusted) as heard in a beacon.
        broadcasting: at the core, what it says to all of its kits.
        listening: at a kit, what is made of that.
    """

    def __init__(
        self,
        *,
        identity: HeldIdentity,
        store: RecordStore,
        peers: PeerBook,
        links: Sequence[Link],
        clock: Clock,
        rng: Random,
        on_links: Callable[[Sequence[LinkReport]], None],
        invite: Invite | None = None,
        changed: Callable[[], int] | None = None,
        due_now: Callable[[], Sequence[RecordId]] | None = None,
        name: str = "",
        curve_public: bytes = b"",
        on_enrolled: Callable[[Welcomed], None] | None = None,
        on_time: Callable[[int, bool], None] | None = None,
        broadcasting: Broadcasting | None = None,
        listening: Listening | None = None,
    ) -> None:
        self._broadcasting, self._listening = broadcasting, listening
        self._identity, self._store, self._peers, self._clock, self._rng = identity, store, peers, clock, rng
        self._keeping = Keeping(store)
        self._links = sorted((WatchedLink(link, clock) for link in links), key=lambda link: -link.mtu_bytes)
        self._on_links, self._on_enrolled, self._on_time = on_links, on_enrolled, on_time
        self._changed, self._due_now, self._name = changed, due_now, name
        self._salt, self._life = random_salt(), random_key()
        self._renew_at = self._clock.monotonic() + LIFE_S
        self._conversations: dict[str, Conversation] = {}
        self._refused_until: dict[tuple[str, str], float] = {}
        self._seen_change: int | None = None
        self._refresh_at = float("-inf")
        self._aside_at = float("inf")
        self._core_refuses: RefusalReason | None = None
        self._told: tuple[LinkReport, ...] = ()
        self._told_at, self._noted = float("-inf"), ""
        self._joining = self._join(invite, curve_public) if invite is not None else None

    # --- the loop ---

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set."""
        try:
            while not stop.is_set():
                slice_s = min(max(self._clock.real(1.0), SLICE_LEAST_S), SLICE_MOST_S)
                if self.step(slice_s) == 0:
                    stop.wait(slice_s)  # no link is open: nothing paces the loop
        finally:
            for link in self._links:
                link.close()

    def step(self, slice_s: float = 0.0) -> int:
        """One round; returns how many links were up.

        Args:
            slice_s: real seconds to wait for a frame, per link.
        """
        for link in self._links:
            link.open_if_due()
            arrivals = link.receive(slice_s)
            if arrivals:
                self._take_in(link, arrivals)
        self._try_aside()
        self._acknowledge_broadcasts()
        self._renew_keys()
        self._refresh()
        up = [link for link in self._links if link.state() in (LinkState.UP, LinkState.BUSY)]
        for link in up:
            self._broadcast(link, urgent=True)
            self._send_by(link, up)
            self._broadcast(link, urgent=False)
        self._report()
        return len(up)

    @property
    def enrolled(self) -> bool:
        """Whether we may send records (the core always may)."""
        return self._joining is None

    @property
    def refused(self) -> RefusalReason | None:
        """Why the core does not enrol us, if it has said so."""
        return self._joining.refused if self._joining is not None else None

    # --- what comes in ---

    def _take_in(self, link: WatchedLink, arrivals: Iterable[Arrival]) -> None:
        """Everything that came in is committed in one transaction per peer, and acknowledged after it."""
        came: dict[str, list[Event]] = {}
        for arrival in arrivals:
            try:
                if frame_type(arrival.frame) is FrameType.HELLO:
                    self._take_hello(link, arrival)
                    continue
                if frame_type(arrival.frame) is FrameType.MULTICAST:
                    self._hear_broadcast(link, arrival)
                    continue
                unit, events = self._open(link, arrival)
            except RemoteSyncError as error:
                link.drop(reason_of(error))
                continue
            came.setdefault(unit, []).extend(events)
        for unit, events in came.items():
            self._commit(self._conversations[unit], events, link)

    def _open(self, link: WatchedLink, arrival: Arrival) -> tuple[str, list[Event]]:
        peer = self._peers.by_link_id(frame_link_id(arrival.frame))
        if peer is None:
            raise ForeignFrame("no peer of ours has that link id")
        conversation = self._conversation(peer)
        now = self._clock.monotonic()
        try:
            events = conversation.session.receive(arrival.frame, path=link.name, mtu_bytes=link.mtu_bytes, now=now)
        except ReplayedFrame:
            conversation.touch()  # there may be something to say about it
            raise
        conversation.vias[link.name] = arrival.via
        conversation.heard_at[link.name] = now
        conversation.touch()
        link.last_heard_ms = self._now_ms()
        if now - conversation.heard_told.get(link.name, float("-inf")) >= HEARD_EVERY_S:
            conversation.heard_told[link.name] = now
            self._peers.heard(peer.unit, link=link.name, via=arrival.via, now_ms=self._now_ms())
        return peer.unit, events

    def _commit(self, conversation: Conversation, events: Sequence[Event], link: WatchedLink) -> None:
        session = conversation.session
        records: dict[RecordId, Record] = {}
        accepted: list[RecordId] = []
        for event in events:
            match event:
                case RecordsReceived():
                    records.update((record.id, record) for record in event.records)
                case RecordsAccepted():
                    accepted.extend(event.ids)
                case _:
                    self._hear(event, session)
        unit = session.peer.unit
        if session.peer.role is Role.CORE and not any(isinstance(event, EnrolmentRefused) for event in events):
            self._core_refuses = None
        if records:
            self._take(session, records, link)
        if accepted:
            self._keeping.accepted(accepted, peer=unit, link=link.name, at_ms=self._now_ms())
            if self._broadcasting is not None:
                self._broadcasting.accepted(unit, accepted)
            conversation.offer_again = conversation.offer_again or session.offered < OFFER_LOW

    def _take(self, session: Session, records: dict[RecordId, Record], link: WatchedLink) -> None:
        now_ms = self._now_ms()
        # those held already, too: the store is where another body under the same name is noticed
        taken = [dated(record, now_ms) for record in records.values()]
        if not self._keeping.take(taken, peer=session.peer.unit, link=link.name, at_ms=now_ms):
            gone = self._set_aside(session.peer.unit, link.name, taken)
            session.cannot_store(seconds=WAIT_S, gone=gone)
            return
        self._acknowledge(session, taken, link.name)

    def _acknowledge(self, session: Session, records: Sequence[Record], link: str, *, late: bool = False) -> None:
        session.acknowledge(
            [(record.id, int(record.priority)) for record in records],
            path=link,
            now=self._clock.monotonic(),
            late=late,
        )

    def _hear_broadcast(self, link: WatchedLink, arrival: Arrival) -> None:
        if self._listening is None or not self.enrolled:
            raise ForeignFrame("a broadcast that is not for us")
        now = self._clock.monotonic()
        record = self._listening.hear(link, arrival.frame, now=now)
        if record is None:
            return
        now_ms = self._now_ms()
        if self._keeping.take([record], peer=self._listening.core.unit, link=link.name, at_ms=now_ms):
            self._listening.owe(record, link, now=now)
        else:
            self._listening.forget(record)

    def _acknowledge_broadcasts(self) -> None:
        """What was heard in a broadcast is acknowledged by name in the ordinary session."""
        if self._listening is None:
            return
        for record, link in self._listening.due(self._clock.monotonic()):
            conversation, now = self._conversation(self._listening.core), self._clock.monotonic()
            session = conversation.session
            session.came_otherwise(record.id, priority=int(record.priority), path=link, now=now)
            self._acknowledge(session, [record], link)
            conversation.touch()

    def _set_aside(self, unit: str, link: str, records: Sequence[Record]) -> list[RecordId]:
        """Remember what could not be committed: a transfer of half an hour need not be made again.

        Returns:
            What there is no room for.
        """
        gone: list[RecordId] = []
        aside = self._conversations[unit].aside
        for record in records:
            aside[record.id] = (link, record)
        while len(aside) > ASIDE_RECORDS or sum(len(record.body) for _, record in aside.values()) > ASIDE_BYTES:
            gone.append(next(iter(aside)))
            del aside[gone[-1]]
        self._aside_at = self._clock.monotonic() + ASIDE_AGAIN_S
        return gone

    def _renew_keys(self) -> None:
        """Every few days: the next frames are full ones under a new salt, and tell a new ephemeral key."""
        if self._clock.monotonic() < self._renew_at:
            return
        self._renew_at = self._clock.monotonic() + LIFE_S
        self._salt, self._life = random_salt(), random_key()
        for conversation in self._conversations.values():
            conversation.session.renew(salt=self._salt, life=self._life)
            conversation.touch()

    def _try_aside(self) -> None:
        if self._clock.monotonic() < self._aside_at:
            return
        self._aside_at = self._clock.monotonic() + ASIDE_AGAIN_S
        for unit, conversation in self._conversations.items():
            records = [record for _, record in conversation.aside.values()]
            if not records:
                continue
            link = next(reversed(conversation.aside.values()))[0]
            if self._keeping.take(records, peer=unit, link=link, at_ms=self._now_ms()):
                conversation.aside.clear()
                self._acknowledge(conversation.session, records, link, late=True)
                conversation.touch()

    def _hear(self, event: Event, session: Session) -> None:
        match event:
            case Welcomed() if self._joining is not None:
                self._joining = None
                LOG.info("enrolled at %s", event.name or "the city core")
                if self._on_enrolled is not None:
                    self._on_enrolled(event)
            case EnrolmentRefused() if self._joining is not None:
                if self._joining.refused is not event.reason:
                    LOG.warning("not enrolled: %s", event.reason.sentence)
                self._joining.was_refused(event.reason, self._clock.monotonic())
            case EnrolmentRefused():
                if self._core_refuses is not event.reason:
                    LOG.warning("refused: %s", event.reason.sentence)
                self._core_refuses = event.reason
            case BeaconHeard():
                self._hear_beacon(event, session)
            case PeerMustWait():
                LOG.info("%s cannot store anything and asks to wait for %d s", session.peer.unit, event.seconds)
            case TwinHeard():
                LOG.warning("two units with the keys of %s are alive: neither is believed", session.peer.unit)
                self._peers.twin_heard(session.peer.unit, now_ms=self._now_ms())
                self._refresh_at = float("-inf")
            case _:
                pass

    def _hear_beacon(self, event: BeaconHeard, session: Session) -> None:
        if self._on_time is not None:
            self._on_time(event.time_ms, event.trusted)
        if event.newest and event.beacon.holdings:
            lost = self._keeping.refill(session.peer.unit, event.beacon.holdings)
            if lost:
                LOG.info("%s has lost %d records that it had accepted; they are sent again", session.peer.unit, lost)
                self._refresh_at = float("-inf")

    def _take_hello(self, link: WatchedLink, arrival: Arrival) -> None:
        hello = Hello.decode(arrival.frame)
        answer = self._peers.enrol(hello, now_ms=self._now_ms(), link=link.name)
        if isinstance(answer, Refusal):
            LOG.warning("%s is not enrolled: %s", hello.unit, answer.reason)
            if answer.reason in (RefusalReason.FORGED, RefusalReason.UNKNOWN):
                raise ForgedFrame("a hello that is not answered")
            shared = agree(self._identity.exchange_private, hello.exchange_public)
            frame = sealed_refusal(shared, link_id=hello.link_id, salt=random_salt(), reason=answer.reason)
            link.send(frame, priority=HELLO_PRIORITY, to=arrival.via)
            return
        conversation = self._conversation(answer)
        conversation.vias[link.name] = arrival.via
        conversation.session.welcome(self._name)
        conversation.touch()
        self._refresh_at = float("-inf")  # what is for every kit is for this one, too
        link.last_heard_ms = self._now_ms()

    # --- what goes out ---

    def _refresh(self) -> None:
        """Offer the sessions what the store would have sent, when that may have changed."""
        now = self._clock.monotonic()
        change = self._changed() if self._changed is not None else None
        news, all_anew = change != self._seen_change, now >= self._refresh_at
        if all_anew:
            self._refresh_at = now + REFRESH_S
        if all_anew or news:
            self._meet_peers()
            if self._broadcasting is not None:
                self._broadcasting.refresh(now_ms=self._now_ms())
        self._seen_change = change
        retries = list(self._due_now()) if self._due_now is not None and (news or all_anew) else []
        for conversation in self._conversations.values():
            if not (news or all_anew or conversation.offer_again):
                continue
            self._offer(conversation, news_only=not (all_anew or conversation.offer_again or retries))
            if retries:
                conversation.session.due_now(retries)
            conversation.touch()

    def _meet_peers(self) -> None:
        peers = self._peers.all() if self.enrolled else ()
        for gone in self._conversations.keys() - {peer.unit for peer in peers}:
            del self._conversations[gone]  # removed at the core, or we are not enrolled
        for peer in peers:
            self._conversation(peer)

    def _offer(self, conversation: Conversation, *, news_only: bool) -> None:
        session = conversation.session
        if session.peer.twin:
            return
        limit = NEWS_RECORDS if news_only else OFFER_RECORDS
        records = self._store.outgoing(session.peer.unit, now_ms=self._now_ms(), limit=limit)
        conversation.offer_again = False
        session.withheld = frozenset()
        if self._broadcasting is not None:
            session.no_longer_wanted(self._broadcasting.no_longer_true)
        if self._broadcasting is not None and self._hears_radio_only(session.peer.unit):
            records, session.withheld = self._broadcasting.split(session.peer.unit, records)
        try:
            session.offer(records, replaces=not news_only)
        except RecordTooLarge as error:
            LOG.warning("%s", error)

    def _send_by(self, link: WatchedLink, up: Sequence[WatchedLink]) -> None:
        if self._joining is not None:
            self._say_hello(link, self._joining)
            return
        for _ in range(FRAMES_PER_ROUND):
            urgent_only = link.state() is LinkState.BUSY
            # each peer gets one frame in turn, so that one kit's backlog does not keep another waiting
            talks = self._conversations.values()
            sent = [self._send_one(each, link, up, urgent_only=urgent_only) for each in talks]
            if not any(sent):
                return

    def _send_one(
        self, conversation: Conversation, link: WatchedLink, up: Sequence[WatchedLink], *, urgent_only: bool
    ) -> bool:
        """Send the most urgent frame for that peer by that link; whether one went."""
        now, session = self._clock.monotonic(), conversation.session
        if now < conversation.wake_at.get(link.name, float("-inf")) or not reaches(conversation, link):
            return False
        refused = now < self._refused_until.get((session.peer.unit, link.name), float("-inf"))
        carried_here = carries(conversation, link, up) if self._core_refuses is None else frozenset()
        out = session.frame_to_send(
            path=link.name,
            mtu_bytes=link.mtu_bytes,
            now=now,
            facts=BeaconFacts(
                self._now_ms(),
                trusted=self._clock.trusted,
                free_airtime_percent=link.free_airtime_percent(),
                position=self._store.position,
                holdings=lambda: self._store.holdings(session.peer.unit),
            ),
            carries=carried_here,
            urgent_only=urgent_only or refused,
        )
        if out is None:
            at = session.wake_at(path=link.name, mtu_bytes=link.mtu_bytes, now=now, carries=carried_here)
            conversation.wake_at[link.name] = float("inf") if at is None else max(at, now + LOOK_AGAIN_S)
            return False
        return self._hand_over(conversation, link, out)

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
        if not urgent and link.state() is LinkState.BUSY:
            return
        ended = self._broadcasting.send(
            link,
            urgent=urgent,
            now=self._clock.monotonic(),
            now_ms=self._now_ms(),
            loss=lambda unit: self._loss(unit, link),
            by_session=lambda unit: not self._hears_radio_only(unit),
            heard=lambda unit: unit in self._conversations and link.name in self._conversations[unit].heard_at,
        )
        if ended:
            self._refresh_at = float("-inf")

    def _loss(self, unit: str, link: WatchedLink) -> float:
        conversation = self._conversations.get(unit)
        return 0.0 if conversation is None else conversation.session.path(link.name, link.mtu_bytes).loss

    def _hears_radio_only(self, unit: str) -> bool:
        conversation = self._conversations.get(unit)
        vias = () if conversation is None else conversation.vias
        return not any(link.name in vias and not link.reaches_everybody for link in self._links) and any(
            link.reaches_everybody for link in self._links
        )

    def _say_hello(self, link: WatchedLink, joining: Joining) -> None:
        now = self._clock.monotonic()
        if joining.due(link.name, now) and link.send(joining.frame, priority=HELLO_PRIORITY, to=None):
            joining.said(link.name, now, mtu_bytes=link.mtu_bytes)

    # --- the rest ---

    def _report(self) -> None:
        note = self._note()
        now, real_s = self._clock.monotonic(), self._clock.real(1.0)
        every_s = max(REPORT_EVERY_S, REPORT_EVERY_REAL_S / real_s if real_s > 0 else 0.0)
        # what was not told yet and a technician waits for is told at once: a state, the first word from the other side
        shown = [(each.state(), each.last_heard_ms is not None) for each in self._links]
        told = [(each.state, each.last_heard_ms is not None) for each in self._told]
        if now < self._told_at + every_s and shown == told and note == self._noted:
            return
        self._noted = note
        refused = self._core_refuses or self.refused
        why = "" if refused is None else refused.sentence
        reports = tuple(link.report(note, refused=why) for link in self._links)
        self._told, self._told_at = reports, now
        self._on_links(reports)

    def _note(self) -> str:
        if self._joining is not None:
            return self._joining.sentence
        if self._core_refuses is not None:
            return self._core_refuses.sentence
        return self._keeping.trouble

    def _conversation(self, peer: Peer) -> Conversation:
        known = self._conversations.get(peer.unit)
        if known is not None and known.session.peer == peer:
            return known
        self._conversations[peer.unit] = Conversation(self._session(peer))
        return self._conversations[peer.unit]

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

    def _join(self, invite: Invite, curve_public: bytes) -> Joining:
        hello = make_hello(
            invite,
            unit=self._identity.unit,
            exchange_private=self._identity.exchange_private,
            exchange_public=self._identity.exchange_public,
            curve_public=curve_public,
            name=self._name,
        )
        return Joining(hello, self._rng)

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)
