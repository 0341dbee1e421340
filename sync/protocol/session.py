"""The conversation with one peer: bytes and `now` come in, frames, events and a wake-up time go out. It never sends.

Invariants
- A record is acknowledged only after `acknowledge`, which the engine calls once its store has committed it.
- A frame whose counter is not on disk is not sent, nor is one that acknowledges anything before the replay window is:
  see `must_save`.
- One ledger for all paths: what is accepted over one is not sent over another.

Times are kit seconds of one monotonic clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sync.protocol.acks import Committed, Owed
from sync.protocol.beacons import Beacon, Holding, Position
from sync.protocol.conversation import Conversation
from sync.protocol.draft import Draft
from sync.protocol.errors import ForgedFrame, RemoteSyncError, ReplayedFrame
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
from sync.protocol.fragments import Reassembly
from sync.protocol.frames import FrameType, frame_type
from sync.protocol.items import (
    Accepted,
    Behind,
    Context,
    Heard,
    Item,
    Life,
    Piece,
    Received,
    Refused,
    To,
    Wait,
    Welcome,
    decode_items,
    decode_record,
)
from sync.protocol.keys import agree, public_of
from sync.protocol.outgoing import Ledger
from sync.protocol.path import Flight, Path, patience_for
from sync.protocol.peers import Peer, RefusalReason, Role
from sync.protocol.records import Record, RecordId
from sync.protocol.routing import ALL_PRIORITIES
from sync.protocol.sealing import Counters, Opened, Opener, Sealer
from sync.protocol.speech import Speech

if TYPE_CHECKING:
    from random import Random  # noqa: TID251 - the type of what is passed in; nothing is drawn from the module

URGENT_ONLY = frozenset({0})

ASK_EVERY = (64, 24, 16, 12, 8)
"""Frames that a long transfer sends by radio between two that ask for an acknowledgement; fewer after some in vain."""

JITTER = 0.3
"""Attempts are spread over this share of their wait, so that two radios do not collide for ever."""


@dataclass(frozen=True)
class OutFrame:
    """A frame to hand to a link; tell `Session.sent` if the link took it, else let it go.

    Attributes:
        frame: sealed.
        path: the link's name.
        priority: of the most urgent thing in it.
        counter: its.
        draft: what is in it.
        asks: the peer is to answer at once.
    """

    frame: bytes
    path: str
    priority: int
    counter: int
    draft: Draft
    asks: bool = True

    @property
    def ids(self) -> tuple[RecordId, ...]:
        """The records of which something is in it."""
        return tuple(dict.fromkeys(each.outgoing.record.id for each in self.draft.sendings))


@dataclass(frozen=True)
class BeaconFacts:
    """What a beacon tells of us; what must be looked up is asked for only when a beacon is due."""

    time_ms: int
    trusted: bool = False
    free_airtime_percent: int | None = None
    position: Callable[[], Position | None] = lambda: None
    holdings: Callable[[], tuple[Holding, ...]] = tuple


class Session:
    """Decides what to send next; never sends it.

    Attributes:
        withheld: records for this peer that are not offered, because they are broadcast; it may accept them.

    Args:
        unit: our own id, the origin of our records.
        exchange_private: our X25519 private key.
        peer: the other end.
        salt: 32 random bits, drawn when this process started.
        rng: for jitter.
        state: what `dump` last gave, or None.
        epoch: of our own records; -1 = there are none yet.
        life: 32 random bytes drawn with the salt, an X25519 private key that is never kept.
    """

    def __init__(
        self,
        *,
        unit: str,
        exchange_private: bytes,
        peer: Peer,
        salt: int,
        rng: Random,
        state: bytes | None = None,
        epoch: int = -1,
        life: bytes,
    ) -> None:
        self.peer, self._life_private = peer, life
        self._unit, self._rng = unit, rng
        self._shared = agree(exchange_private, peer.exchange_public)
        sealer, self._opener = self._locks(salt)
        self._lives = deque((salt,), maxlen=2)
        self._counters = Counters(state)
        self._ledger = Ledger(unit)
        self._reassembly = Reassembly()
        self._committed = Committed()
        self._talk = Conversation()
        self._paths: dict[str, Path] = {}
        self._owed: dict[str, Owed] = {}
        self._wait_until = float("-inf")
        self._last_wait_s = 0
        self.withheld: frozenset[RecordId] = frozenset()
        self._speech = Speech(
            unit=unit, peer=peer, sealer=sealer, counters=self._counters, ledger=self._ledger,
            reassembly=self._reassembly, talk=self._talk, life=public_of(life), epoch=epoch,
        )  # fmt: skip

    def renew(self, *, salt: int, life: bytes) -> None:
        """Begin a new life: what is known of records and transfers stays, the peer is shown the new salt and key.

        Args:
            salt: 32 random bits.
            life: 32 random bytes, an X25519 private key that is never kept.
        """
        self._speech.sealer, self._opener = self._locks(salt)
        self._lives.append(salt)  # what answers the one before may still be on its way
        self._life_private, self._speech.life = life, public_of(life)
        self._talk.begin_anew()
        self._forget_what_was_told()

    def _forget_what_was_told(self) -> None:
        """That a frame of before is named says nothing of what the two present lives know of each other."""
        for way in self._paths.values():
            for flight in way.flights.values():
                flight.life = flight.context = False

    def _locks(self, salt: int) -> tuple[Sealer, Opener]:
        ours, theirs = FrameType.UP, FrameType.DOWN
        if self.peer.role is Role.KIT:
            ours, theirs = theirs, ours
        link_id = self.peer.link_id
        sealer = Sealer(self._shared, kind=ours, link_id=link_id, salt=salt)
        return sealer, Opener(self._shared, kind=theirs, link_id=link_id, salt=salt)

    # --- state that survives ---

    def must_save(self, out: OutFrame) -> bool:
        """Whether `dump()` must be kept before that frame is handed to a link."""
        return self._counters.reserve_unsaved or (out.draft.acknowledges and self._counters.taken_unsaved)

    def dump(self) -> bytes:
        """The state to keep; call `saved` once it is on the disk."""
        return self._counters.dump()

    def saved(self) -> None:
        """It is on the disk."""
        self._counters.saved()

    # --- what comes in ---

    def receive(self, frame: bytes, *, path: str, mtu_bytes: int, now: float) -> list[Event]:
        """Open a frame and say what follows from it.

        Args:
            frame: as the link gave it.
            path: the link's name.
            mtu_bytes: the link's.
            now: kit seconds.

        Raises:
            RemoteSyncError: it is foreign, forged, a replay or malformed; nothing has changed.
        """
        opened = self._open(frame, now)
        self._check_replay(opened, now)
        items = decode_items(opened.plain, sender=self.peer.unit, epoch=self._talk.peer_epoch)
        refused = next((item for item in items if isinstance(item, Refused)), None)
        if refused is not None:
            # sealed outside any session: its counter says nothing about the core's
            return [EnrolmentRefused(refused.reason)] if self.peer.role is Role.CORE else []
        self._check_origins(items)
        twin = self._note_taken(opened)
        if self.peer.twin:
            self._speech.refusal = RefusalReason.TWIN if self._talk.may_tell(now) else self._speech.refusal
            return []
        if twin and self.peer.role is Role.KIT:
            return [TwinHeard()]
        way = self.path(path, mtu_bytes)
        if way.note_heard(now):
            for each in self._ledger.due_after_silence():
                each.silent.pop(way.name, None)
        return self._take_items(items, opened, way, now)

    def acknowledge(
        self, records: Iterable[tuple[RecordId, int]], *, path: str, now: float, late: bool = False
    ) -> None:
        """These (id, priority) are committed here: the peer may be told, by the path they came.

        Args:
            records: which.
            path: the link by which they came.
            now: kit seconds.
            late: it could not be done at once, and the peer was asked to wait.
        """
        told = dict(records)
        self._committed.add(told)
        ids = set(told)
        for name, owed in self._owed.items():
            owed.commit(ids)
            for each in ids & owed.by_name.keys():
                del owed.by_name[each]
                if name == path:
                    owed.ids[each] = told[each]
        if late:
            self._speech.wait_s = None
            self._owed.setdefault(path, Owed()).note(now, priority=min(told.values(), default=5), more=False)

    def came_otherwise(self, record: RecordId, *, priority: int, path: str, now: float) -> None:
        """It was heard in a broadcast by that link, and is to be acknowledged by name: `acknowledge` it next."""
        owed = self._owed.setdefault(path, Owed())
        owed.by_name[record] = priority
        owed.note(now, priority=priority, more=False)

    def cannot_store(self, *, seconds: int, gone: Iterable[RecordId] = ()) -> None:
        """What came could not be committed: the peer is told to wait.

        Args:
            seconds: how long.
            gone: records that are no longer kept in memory either: they are to be sent again.
        """
        self._speech.wait_s = self._last_wait_s = seconds
        for each in gone:
            for owed in self._owed.values():
                owed.by_name.pop(each, None)

    # --- what goes out ---

    def offer(self, records: Sequence[Record], *, replaces: bool = True) -> None:
        """What the store would have sent, by (priority, seq).

        Args:
            records: the most urgent ones.
            replaces: what was offered earlier and is not among them is no longer wanted; else they are added to it.

        Raises:
            RecordTooLarge: one of them fits no session; the others are offered.
        """
        self._speech.note_epoch(records)
        self._ledger.offer(records, replaces=replaces)

    @property
    def offered(self) -> int:
        """How many records are offered and not accepted."""
        return len(self._ledger)

    def no_longer_wanted(self, ids: Iterable[RecordId]) -> None:
        """They were accepted in another way, or are not true any more."""
        self._ledger.accept(ids)

    def welcome(self, name: str) -> None:
        """Say to the kit that it is enrolled."""
        self._speech.welcome = name

    def ask_for_beacon(self) -> None:
        """Ask the core for a sign of life by every link, and what it holds."""
        self._speech.ask = set(self._paths)

    def due_now(self, ids: Iterable[RecordId] | None = None) -> None:
        """Send these records, or all, without waiting for their back-off."""
        self._wait_until = float("-inf")
        self._ledger.make_due(ids)
        for way in self._paths.values():
            way.credits = max(way.credits, 2)

    def path(self, name: str, mtu_bytes: int, *, frame_s: float | None = None) -> Path:
        """What is known of that link to this peer.

        Args:
            name: the link's.
            mtu_bytes: its largest frame.
            frame_s: what a full frame takes, on a radio that can tell.
        """
        if name not in self._paths:
            self._paths[name] = Path(name, mtu_bytes, patience_for(mtu_bytes, frame_s))
        return self._paths[name]

    def frame_to_send(
        self,
        *,
        path: str,
        mtu_bytes: int,
        now: float,
        facts: BeaconFacts,
        carries: frozenset[int] = ALL_PRIORITIES,
        urgent_only: bool = False,
    ) -> OutFrame | None:
        """The most urgent frame for that path, or None if nothing is due.

        Args:
            path: the link's name.
            mtu_bytes: its largest frame.
            now: kit seconds.
            facts: what a beacon would tell.
            carries: the priorities it is to carry now; acknowledgements always go by the path they answer.
            urgent_only: only a frame of priority 0, because the link has no room for others.
        """
        way, owed = self.path(path, mtu_bytes), self._owed.setdefault(path, Owed())
        self._ledger.give_up_overdue(way, now)
        may = carries if now >= self._wait_until else carries & URGENT_ONLY
        if urgent_only and not self._urgent_due(way, owed, now, may):
            return None
        draft = self._speech.draft(way, owed, now=now, facts=facts, carries=may)
        if not draft.plain:
            return None
        return self._sealed(draft, way, now, may)

    def sent(self, out: OutFrame, *, now: float) -> list[RecordId]:
        """The link took it; returns the records that have now left by that link as a whole."""
        way, draft = self._paths[out.path], out.draft
        flight = Flight(
            out.counter,
            now,
            out.priority,
            len(out.frame),
            tuple(draft.sendings),
            context=draft.context,
            life=draft.life,
        )
        if draft.acknowledges:
            self._owed[out.path].told(draft.names, draft.transfers)
        self._speech.said(draft, way, now)
        if draft.sendings:
            way.unasked = 0 if out.asks else way.unasked + 1
            way.asked_in_vain += out.asks
        left = self._ledger.note_sent(flight, way, now)
        way.note_sent(flight, now, jitter=1.0 + JITTER * self._rng.random())
        return left

    def wake_at(
        self, *, path: str, mtu_bytes: int, now: float, carries: frozenset[int] = ALL_PRIORITIES
    ) -> float | None:
        """When that path should be asked for a frame again; None = not before something comes in or is offered."""
        way, owed = self.path(path, mtu_bytes), self._owed.setdefault(path, Owed())
        may = carries if now >= self._wait_until else carries & URGENT_ONLY
        times = [
            way.next_timeout_at(),
            owed.due_at(way.patience),
            self._speech.beacon_due_at(way),
            self._ledger.next_confirm_at(carries=may),
        ]
        if now < self._wait_until:
            times.append(self._wait_until)
        if self._speech.pressing(way) or any(self._due(way, now, may)):
            times.append(now)
        return min((each for each in times if each is not None), default=None)

    # --- inside ---

    def _open(self, frame: bytes, now: float) -> Opened:
        talk = self._talk
        try:
            return self._opener.open(
                frame, peer_salt=talk.peer_salt, highest=self._counters.highest, secret=talk.secret
            )
        except ForgedFrame:
            # the peer may be talking to an earlier life of ours: show it this one
            short = frame_type(frame) in (FrameType.UP_SHORT, FrameType.DOWN_SHORT)
            if short and not talk.opened_short and talk.may_tell(now):
                self._speech.show_salt = True
            raise

    def _check_replay(self, opened: Opened, now: float) -> None:
        try:
            self._counters.check(opened.counter)
        except ReplayedFrame as replayed:
            # under the salt of the newest frame it is a duplicate; else our peer may have been set back by a
            # restored backup and not know it. Telling it costs a recorded frame's replay little and gains it nothing
            set_back = replayed.too_old or opened.salt != self._talk.peer_salt
            if set_back and self._talk.may_tell(now):
                self._speech.behind = True
            raise

    def _check_origins(self, items: Iterable[Item]) -> None:
        if self.peer.role is Role.CORE:
            return  # the core hands on what others wrote
        for item in items:
            if isinstance(item, Record) and item.id.origin != self.peer.unit:
                raise ForgedFrame(f"{self.peer.unit} sends a record of {item.id.origin}")

    def _note_taken(self, opened: Opened) -> bool:
        """Count the frame; whether it shows that the peer has a twin."""
        known = self._talk.peer_salt
        twin = self._talk.note(opened, highest=self._counters.highest)
        self._counters.take(opened.counter)
        if known != self._talk.peer_salt:
            self._forget_what_was_told()
            self._committed.begin_anew()
        if known is not None and known != self._talk.peer_salt and self.peer.role is Role.CORE:
            self.ask_for_beacon()  # it was restarted, perhaps from a backup: what does it hold?
        return twin

    def _take_items(self, items: Sequence[Item], opened: Opened, way: Path, now: float) -> list[Event]:
        owed = self._owed.setdefault(way.name, Owed())
        # in a short frame the key already says to whom it is said
        for_us = opened.short or any(isinstance(item, To) and item.salt in self._lives for item in items)
        events: list[Event] = []
        records: dict[RecordId, Record] = {}
        whole: set[RecordId] = set()
        for item in items:
            match item:
                case Record():
                    whole |= self._take_record(item, owed, opened, now, records)
                case Piece():
                    self._take_piece(item, owed, opened, now, records)
                case Heard() | Received() | Accepted() if not for_us:
                    pass
                case _:
                    events += self._what_follows(item, opened, way, now)
        owed.take(opened.counter, uncommitted=whole)
        owed.riding = owed.riding or not opened.short
        if records:
            events.append(RecordsReceived(tuple(records.values())))
        return events

    def _what_follows(self, item: Item, opened: Opened, way: Path, now: float) -> list[Event]:
        match item:
            case Heard() | Received() | Accepted():
                return self._take_word(item, opened, way, now)
            case Behind():
                if self._counters.jump_past(item.highest):
                    self._ledger.make_due()
            case Context():
                self._talk.peer_epoch = item.epoch
            case Life() if opened.salt == self._talk.peer_salt:
                self._talk.secret = agree(self._life_private, item.public)
            case Wait():
                self._wait_until = now + item.seconds
                return [PeerMustWait(item.seconds)]
            case Beacon():
                if item.wants_answer:
                    self._speech.answer.add(way.name)
                newest = opened.counter == self._counters.highest
                return [BeaconHeard(item.time_ms, item.trusted, item, newest)]
            case Welcome() if self.peer.role is Role.CORE:
                return [Welcomed(item.name)]
        return []

    def _take_word(self, item: Heard | Received | Accepted, opened: Opened, way: Path, now: float) -> list[Event]:
        """The peer says what has come."""
        match item:
            case Heard():
                return self._take_heard(item, way, now)
            case Received():
                self._ledger.note_received(item, counter=opened.counter, path=way, now=now)
                return []
            case Accepted():
                ids = [RecordId(item.origin or self._unit, item.epoch, seq) for seq in item.seqs]
                accepted = self._ledger.accept(ids) + [each for each in ids if each in self.withheld]
                return [RecordsAccepted(tuple(accepted))] if accepted else []

    def _take_heard(self, item: Heard, way: Path, now: float) -> list[Event]:
        accepted, named = self._ledger.note_heard(item, way, newest=self._counters.newest, now=now)
        talk = self._talk
        talk.knows_us = talk.knows_us or bool(named)
        talk.knows_epoch = talk.knows_epoch or any(flight.context for flight in named)
        talk.knows_life = talk.knows_life or any(flight.life for flight in named)
        return [RecordsAccepted(tuple(accepted))] if accepted else []

    def _take_record(
        self, record: Record, owed: Owed, opened: Opened, now: float, records: dict[RecordId, Record]
    ) -> set[RecordId]:
        """Returns its name if it is to be committed first."""
        owed.note(now, priority=record.priority, more=opened.more)
        if record.id in self._committed and (opened.short or opened.salt == self._talk.peer_salt):
            return set()
        records[record.id] = record
        return {record.id}

    def _take_piece(self, item: Piece, owed: Owed, opened: Opened, now: float, records: dict[RecordId, Record]) -> None:
        owed.note(now, priority=4, more=opened.more)
        known = self._committed.of_transfer(item.transfer)
        if known is not None:
            owed.ids[known[0]] = known[1]
            return
        if any(self._committed.made_by(item.transfer) in each.by_name for each in self._owed.values()):
            self._speech.wait_s = self._last_wait_s  # it is here whole, and still cannot be stored
            return
        try:
            if not self._reassembly.knows(item):
                owed.transfers.add(item.transfer)
            blob = self._reassembly.add(item)
            if blob is None:
                return
            record = decode_record(blob, sender=self.peer.unit)
            self._check_origins((record,))
        except RemoteSyncError:
            return  # the transfer starts again; what else the frame holds stands
        owed.transfers.discard(item.transfer)
        owed.note(now, priority=record.priority, more=opened.more)
        self._committed.note_transfer(item.transfer, record.id, record.priority)
        if record.id in self._committed:
            owed.ids[record.id] = record.priority
        else:
            owed.by_name[record.id] = record.priority
            records[record.id] = record

    def _due(self, way: Path, now: float, carries: frozenset[int]) -> Iterable[object]:
        # an alert does not wait for what is in flight
        return self._ledger.due(way, now, carries=carries if way.has_room else carries & URGENT_ONLY)

    def _urgent_due(self, way: Path, owed: Owed, now: float, carries: frozenset[int]) -> bool:
        return any(self._ledger.due(way, now, carries=carries & URGENT_ONLY)) or (owed.anything and owed.priority == 0)

    def _sealed(self, draft: Draft, way: Path, now: float, carries: frozenset[int]) -> OutFrame:
        asks = not draft.sendings or draft.priority == 0 or self._is_to_ask(draft, way, now, carries)
        frame, counter = self._speech.seal(draft, way, more=not asks)
        return OutFrame(frame, way.name, draft.priority, counter, draft, asks)

    def _is_to_ask(self, draft: Draft, way: Path, now: float, carries: frozenset[int]) -> bool:
        """Whether the peer is to answer at once: when nothing follows, and often enough in between."""
        every = ASK_EVERY[min(way.asked_in_vain, len(ASK_EVERY) - 1)]
        if not way.slow or way.unasked + 1 >= every:
            return True
        if way.credits in (1, 2) or way.live_bytes + len(draft.plain) >= way.window * way.mtu_bytes - way.mtu_bytes:
            return True
        going = {id(each.outgoing) for each in draft.sendings}
        follows = (each for each in self._ledger.due(way, now, carries=carries) if id(each) not in going or each.blob)
        left = next(iter(follows), None)
        if left is None:
            return True
        last = draft.sendings[-1]
        return left is last.outgoing and last.end == len(left.blob) and not draft.full
