"""The conversation with one peer: bytes and `now` come in, frames, events and a wake-up time go out. It never sends.

Invariants
- A record is acknowledged only after `acknowledge`, which the engine calls once its store has committed it.
- A frame whose counter or whose replay window is not on disk is not sent: while `unsaved` is true, keep `dump()` first.
- One ledger for all paths: what is accepted over one is not sent over another.

Times are kit seconds of one monotonic clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sync.protocol.acks import Committed, Owed
from sync.protocol.draft import Draft
from sync.protocol.errors import ForgedFrame, RemoteSyncError, ReplayedFrame
from sync.protocol.events import BeaconHeard, EnrolmentRefused, Event, RecordsAccepted, RecordsReceived, Welcomed
from sync.protocol.fragments import Reassembly
from sync.protocol.frames import FrameType
from sync.protocol.items import (
    Accepted,
    Beacon,
    Behind,
    Chunks,
    Echo,
    Item,
    Received,
    Refused,
    Welcome,
    decode_items,
    decode_record,
    encode_accepted,
    encode_beacon,
    encode_behind,
    encode_echo,
    encode_received,
    encode_welcome,
)
from sync.protocol.keys import agree
from sync.protocol.outgoing import Due, Ledger
from sync.protocol.path import Path, patience_for
from sync.protocol.peers import Peer, Role
from sync.protocol.records import Record, RecordId
from sync.protocol.routing import ALL_PRIORITIES
from sync.protocol.sealing import OVERHEAD_BYTES, Counters, Opened, Opener, Sealer

if TYPE_CHECKING:
    from random import Random  # noqa: TID251 - the type of what is passed in; nothing is drawn from the module


BEHIND_EVERY_S = 60.0
"""A recorded old frame, played again and again, makes us answer at most this often."""

BEACON_PRIORITY = 3
JITTER = 0.3
"""Attempts are spread over this share of their wait, so that two radios do not collide for ever."""


@dataclass(frozen=True)
class OutFrame:
    """A frame to hand to a link; tell `Session.sent` if the link took it, else let it go.

    Attributes:
        frame: sealed.
        path: the link's name.
        priority: of the most urgent thing in it.
        ids: the records wholly contained in it, or whose last missing chunk it is.
    """

    frame: bytes
    path: str
    priority: int
    counter: int
    ids: tuple[RecordId, ...] = ()
    due: tuple[Due, ...] = field(default=(), repr=False)
    acknowledges: tuple[RecordId, ...] = ()
    transfers: tuple[bytes, ...] = ()
    beacon: bool = False
    behind: bool = False
    welcome: bool = False


@dataclass(frozen=True)
class BeaconFacts:
    """What a beacon tells of us."""

    time_ms: int
    trusted: bool = False
    free_airtime_percent: int | None = None


class Session:
    """Decides what to send next; never sends it.

    Args:
        unit: our own id, the origin of our records.
        exchange_private: our X25519 private key.
        peer: the other end.
        salt: 32 random bits, drawn when this process started.
        rng: for jitter.
        state: what `dump` last gave, or None.
    """

    def __init__(
        self, *, unit: str, exchange_private: bytes, peer: Peer, salt: int, rng: Random, state: bytes | None = None
    ) -> None:
        self.peer = peer
        self._unit, self._rng = unit, rng
        ours, theirs = (FrameType.UP, FrameType.DOWN) if peer.role is Role.CORE else (FrameType.DOWN, FrameType.UP)
        shared = agree(exchange_private, peer.exchange_public)
        self._sealer = Sealer(shared, kind=ours, link_id=peer.link_id, salt=salt)
        self._opener = Opener(shared, kind=theirs, link_id=peer.link_id)
        self._counters = Counters(state)
        self._ledger = Ledger(unit)
        self._reassembly = Reassembly()
        self._committed = Committed()
        self._paths: dict[str, Path] = {}
        self._owed: dict[str, Owed] = {}
        self._peer_salt: int | None = None
        self._behind_said_at: float | None = None
        self._say_behind = False
        self._welcome: str | None = None
        self._beacon_wanted: set[str] = set()

    # --- state that survives ---

    @property
    def unsaved(self) -> bool:
        """Whether `dump()` must be kept before the next frame is handed to a link."""
        return self._counters.unsaved

    def dump(self) -> bytes:
        """The state to keep; call `saved` once it is on the disk."""
        return self._counters.dump()

    def saved(self) -> None:
        """It is on the disk."""
        self._counters.unsaved = False

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
        opened = self._opener.open(frame)
        self._check_replay(opened, now)
        items = decode_items(opened.plain, sender=self.peer.unit)
        refused = next((item for item in items if isinstance(item, Refused)), None)
        if refused is not None:
            # sealed outside any session: its counter says nothing about the core's
            return [EnrolmentRefused(refused.reason)] if self.peer.role is Role.CORE else []
        self._check_origins(items)
        if opened.counter > self._counters.highest:
            self._peer_salt = opened.salt
        self._counters.take(opened.counter)
        way = self.path(path, mtu_bytes)
        was_silent = way.silent_timeouts > 0
        way.note_heard(now)
        if was_silent:
            self._ledger.make_backed_off_due(way)
        events: list[Event] = []
        records: list[Record] = []
        for item in items:
            self._take(item, opened, way, now, events=events, records=records)
        if records:
            events.append(RecordsReceived(tuple({record.id: record for record in records}.values())))
        return events

    def acknowledge(self, records: Iterable[tuple[RecordId, int]], *, path: str, now: float) -> None:
        """These (id, priority) are committed here: the peer may be told, by the path they came."""
        owed = self._owed.setdefault(path, Owed())
        for each, priority in records:
            owed.note(now)
            owed.ids[each] = priority
            owed.urgent = owed.urgent or priority == 0
            self._committed.add((each,))

    # --- what goes out ---

    def offer(self, records: Sequence[Record], *, now: float) -> None:
        """What the store would have sent, by (priority, seq); replaces the earlier offer.

        Raises:
            RecordTooLarge: one of them fits no session; the others are offered.
        """
        self._ledger.offer(records, now=now)

    def welcome(self, name: str) -> None:
        """Say to the kit that it is enrolled."""
        self._welcome = name

    def due_now(self, ids: Iterable[RecordId] | None = None) -> None:
        """Send these records, or all, without waiting for their back-off."""
        self._ledger.make_due(ids)

    def path(self, name: str, mtu_bytes: int) -> Path:
        """What is known of that link to this peer."""
        if name not in self._paths:
            self._paths[name] = Path(name, mtu_bytes, patience_for(mtu_bytes))
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
        way = self.path(path, mtu_bytes)
        if urgent_only and not self._urgent_due(way, now, carries):
            return None
        draft = Draft(mtu_bytes - OVERHEAD_BYTES)
        self._add_control(draft)
        due = self._may_go(way, now, carries)
        if due and due[0][0].record.priority == 0:
            # an alert is not made longer, and so less likely to arrive, by what can wait
            draft.add_records(self._unit, [each for each in due if each[0].record.priority <= 1])
            self._add_owed(draft, way)
        elif self._owed_is_due(way, now):
            self._add_owed(draft, way)
            draft.add_records(self._unit, due)
        else:
            draft.add_records(self._unit, due)
            if draft.plain:
                self._add_owed(draft, way)
        self._add_beacon(draft, way, now, facts)
        return self._seal(draft, way) if draft.plain else None

    def sent(self, out: OutFrame, *, now: float) -> list[RecordId]:
        """The link took it; returns the records that have now left by that link as a whole."""
        way = self._paths[out.path]
        way.note_sent(out.counter, now)
        owed = self._owed.setdefault(out.path, Owed())
        for each in out.acknowledges:
            owed.ids.pop(each, None)
        owed.transfers -= set(out.transfers)
        owed.urgent = owed.urgent and bool(owed.ids)
        if out.beacon:
            way.beacon_at = now
            self._beacon_wanted.discard(out.path)
        if out.behind:
            self._say_behind, self._behind_said_at = False, now
        if out.welcome:
            self._welcome = None
        return self._ledger.note_sent(out.due, way, now, jitter=1.0 + JITTER * self._rng.random())

    def wake_at(self, *, path: str, mtu_bytes: int, carries: frozenset[int] = ALL_PRIORITIES) -> float | None:
        """When that path should be asked for a frame again; None = not before something comes in or is offered."""
        way = self.path(path, mtu_bytes)
        if self._say_behind or self._welcome is not None or path in self._beacon_wanted:
            return float("-inf")
        times = (
            self._ledger.next_due_at(way, carries=carries),
            self._owed.get(path, Owed()).due_at(way.patience),
            self._beacon_due_at(way),
        )
        return min((each for each in times if each is not None), default=None)

    # --- inside ---

    def _check_replay(self, opened: Opened, now: float) -> None:
        try:
            self._counters.check(opened.counter)
        except ReplayedFrame as replayed:
            # under the salt of the newest frame it is a duplicate; else our peer may have been set back by a
            # restored backup and not know it. Telling it costs a recorded frame's replay little and gains it nothing
            said = self._behind_said_at
            set_back = replayed.too_old or opened.salt != self._peer_salt
            if set_back and (said is None or now - said >= BEHIND_EVERY_S):
                self._say_behind = True
            raise

    def _check_origins(self, items: Iterable[Item]) -> None:
        if self.peer.role is Role.CORE:
            return  # the core hands on what others wrote
        for item in items:
            if isinstance(item, Record) and item.id.origin != self.peer.unit:
                raise ForgedFrame(f"{self.peer.unit} sends a record of {item.id.origin}")

    def _take(
        self, item: Item, opened: Opened, way: Path, now: float, *, events: list[Event], records: list[Record]
    ) -> None:
        match item:
            case Record():
                self._take_record(item, opened, way, now, records)
            case Chunks():
                self._take_chunks(item, opened, way, now, records)
            case Received():
                self._ledger.note_received(item, counter=opened.counter, path=way, now=now)
            case Echo():
                way.note_echo(item.counter_low, now)
            case Behind():
                if self._counters.jump_past(item.highest):
                    self._ledger.make_due()
            case _:
                events.extend(self._what_follows(item, opened, way))

    def _what_follows(self, item: Item, opened: Opened, way: Path) -> list[Event]:
        match item:
            case Accepted():
                ids = [RecordId(item.origin or self._unit, item.epoch, seq) for seq in item.seqs]
                accepted = self._ledger.accept(ids)
                return [RecordsAccepted(tuple(accepted))] if accepted else []
            case Beacon():
                if item.wants_answer:
                    self._beacon_wanted.add(way.name)
                    self._owed.setdefault(way.name, Owed()).echo = opened.counter
                return [BeaconHeard(item.time_ms, item.trusted)]
            case Welcome() if self.peer.role is Role.CORE:
                return [Welcomed(item.name)]
            case _:
                return []

    def _take_record(self, record: Record, opened: Opened, way: Path, now: float, records: list[Record]) -> None:
        owed = self._owed.setdefault(way.name, Owed())
        owed.echo = opened.counter
        if record.id in self._committed:
            owed.note(now)
            owed.ids[record.id] = record.priority
            owed.urgent = owed.urgent or record.priority == 0
        else:
            records.append(record)

    def _take_chunks(self, item: Chunks, opened: Opened, way: Path, now: float, records: list[Record]) -> None:
        owed = self._owed.setdefault(way.name, Owed())
        owed.echo = opened.counter
        known = self._committed.of_transfer(item.transfer)
        if known is not None:
            owed.note(now)
            owed.ids[known[0]] = known[1]
            return
        try:
            blob = self._reassembly.add(item)
            if blob is None:
                owed.note(now)
                owed.transfers.add(item.transfer)
                return
            record = decode_record(blob, sender=self.peer.unit)
            self._check_origins((record,))
        except RemoteSyncError:
            return  # the transfer starts again; what else the frame holds stands
        self._committed.note_transfer(item.transfer, record.id, record.priority)
        owed.transfers.discard(item.transfer)
        self._take_record(record, opened, way, now, records)

    def _may_go(self, way: Path, now: float, carries: frozenset[int]) -> list[Due]:
        due = self._ledger.due(way, now, carries=carries)
        room = way.patience.window_frames * way.mtu_bytes - self._ledger.in_flight_bytes(way, now)
        # an alert does not wait for what is in flight
        return due if room > 0 else [each for each in due if each[0].record.priority == 0]

    def _urgent_due(self, way: Path, now: float, carries: frozenset[int]) -> bool:
        owed = self._owed.get(way.name)
        return bool(self._ledger.due(way, now, carries=carries & {0})) or (
            owed is not None and owed.anything and owed.urgent
        )

    def _owed_is_due(self, way: Path, now: float) -> bool:
        at = self._owed.get(way.name, Owed()).due_at(way.patience)
        return at is not None and at <= now

    def _beacon_due_at(self, way: Path) -> float | None:
        if self.peer.role is not Role.CORE:
            return None  # the core answers, so that a hundred kits are not greeted by a hundred beacons
        latest = max((at for at in (way.heard_at, way.beacon_at) if at is not None), default=None)
        return float("-inf") if latest is None else latest + way.patience.beacon_s

    def _add_control(self, draft: Draft) -> None:
        if self._welcome is not None and draft.add(encode_welcome(self._welcome), priority=1):
            draft.welcome = True
        if self._say_behind and draft.add(encode_behind(self._counters.highest), priority=1):
            draft.behind = True

    def _add_owed(self, draft: Draft, way: Path) -> None:
        owed = self._owed.get(way.name)
        if owed is None or not owed.anything:
            return
        self._add_echo(draft, owed)
        for item, covered in encode_accepted(owed.ids, peer=self.peer.unit):
            if draft.add(item, priority=min(owed.ids[each] for each in covered)):
                draft.acknowledges += covered
        for transfer in sorted(owed.transfers):
            received = self._reassembly.received(transfer)
            if received is None or draft.add(encode_received(received), priority=owed.priority):
                draft.transfers.append(transfer)

    def _add_echo(self, draft: Draft, owed: Owed) -> None:
        if owed.echo is not None and draft.add(encode_echo(owed.echo), priority=5):
            owed.echo = None

    def _add_beacon(self, draft: Draft, way: Path, now: float, facts: BeaconFacts) -> None:
        at = self._beacon_due_at(way)
        asked = way.name in self._beacon_wanted
        if not asked and (at is None or at > now):
            return
        item = encode_beacon(
            Beacon(
                facts.time_ms,
                trusted=facts.trusted,
                wants_answer=self.peer.role is Role.CORE,
                free_airtime_percent=facts.free_airtime_percent,
            )
        )
        if draft.add(item, priority=BEACON_PRIORITY):
            draft.beacon = True
            self._add_echo(draft, self._owed.setdefault(way.name, Owed()))

    def _seal(self, draft: Draft, way: Path) -> OutFrame:
        counter = self._counters.next()
        whole = tuple(outgoing.record.id for outgoing, unit in draft.due if unit.index is None)
        return OutFrame(
            frame=self._sealer.seal(draft.plain, counter=counter),
            path=way.name,
            priority=draft.priority,
            counter=counter,
            ids=whole,
            due=tuple(draft.due),
            acknowledges=tuple(draft.acknowledges),
            transfers=tuple(draft.transfers),
            beacon=draft.beacon,
            behind=draft.behind,
            welcome=draft.welcome,
        )
