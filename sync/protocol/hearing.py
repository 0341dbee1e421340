"""The receiving half of a session: what follows from a frame that came in, and what is owed for it.

Invariant: what the peer is to be told, or the sending half is to do, is left in `Speech`, `Ledger` and `Owed`; nothing
is sent from here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from sync.protocol.acks import Committed, Owed
from sync.protocol.beacons import Beacon
from sync.protocol.conversation import Conversation
from sync.protocol.errors import ForgedFrame, RemoteSyncError, ReplayedFrame
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
from sync.protocol.fragments import Reassembly
from sync.protocol.frames import FrameType, frame_type
from sync.protocol.items import (
    Accepted,
    Apart,
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
from sync.protocol.keys import agree
from sync.protocol.outgoing import Ledger
from sync.protocol.path import Path
from sync.protocol.peers import Peer, RefusalReason, Role
from sync.protocol.records import Held, Record, RecordId, digest_of
from sync.protocol.sealing import Counters, Opened, Opener
from sync.protocol.speech import Speech
from sync.protocol.ways import Ways

APART_REMEMBERED = 256
"""A record that came in pieces and was kept apart is not gathered anew because its sender did not hear of it."""

ANSWER_S = 120.0
ANSWERS_MOST_S = 3600.0
"""A peer that had no room is asked again, and says what holds now: mostly within the one, at the latest within the
other, for a radio that hears nothing is tried every half an hour (kit seconds)."""

OUTSIDE = 0
"""The counter of what is sealed outside any session (`sync.protocol.refusal`)."""


class Hearing:
    """Takes what the peer says.

    Attributes:
        wait_until: the peer cannot store anything before (kit seconds).
        withheld: records for the peer that it is not offered, because they are broadcast; it may accept them.

    Args:
        unit: our own id, the origin of our records.
        peer: the other end.
        opener: for frames to our present life.
        salt: of that life.
        life: its ephemeral private key.
        counters: which frames were taken.
        ledger: what was sent.
        reassembly: of records that come in pieces.
        talk: which lives talk to each other.
        ways: the links to the peer.
        speech: what is to be said.
    """

    def __init__(
        self,
        *,
        unit: str,
        peer: Peer,
        opener: Opener,
        salt: int,
        life: bytes,
        counters: Counters,
        ledger: Ledger,
        reassembly: Reassembly,
        talk: Conversation,
        ways: Ways,
        speech: Speech,
    ) -> None:
        self._unit, self._peer, self._opener, self._life_private = unit, peer, opener, life
        self._counters, self._ledger, self._reassembly, self._talk = counters, ledger, reassembly, talk
        self._ways, self._speech = ways, speech
        self._lives = deque((salt,), maxlen=2)
        self._committed = Committed()
        self._last_wait_s = 0
        self._apart: dict[RecordId, tuple[bytes, int]] = {}
        self.wait_until = self._full_until = self._full_at_most = float("-inf")
        self._full_said_in = 0
        self.withheld: frozenset[RecordId] = frozenset()

    def renew(self, *, opener: Opener, salt: int, life: bytes) -> None:
        """We begin a new life; what answers the one before may still be on its way.

        Args:
            opener: for frames to it.
            salt: its.
            life: its ephemeral private key.
        """
        self._opener, self._life_private = opener, life
        self._lives.append(salt)

    def peer_is_full(self, now: float) -> bool:
        """Whether it cannot store anything: it has said so, and has taken nothing but alarms since.

        Where nothing is left to ask it with, or no answer comes any more, nobody knows.
        """
        if now >= self._full_until and not self._ledger.has_ordinary:
            self._full_until = self._full_at_most = float("-inf")
        return now < self._full_at_most

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
        if opened.counter == OUTSIDE and not opened.short:
            return self._take_refusal(opened)
        self._check_replay(opened, path, now)
        items = decode_items(opened.plain, sender=self._peer.unit, epoch=self._talk.peer_epoch)
        refused = next((item for item in items if isinstance(item, Refused)), None)
        if refused is not None:
            self._counters.take(opened.counter)  # so that it is believed once
            return [EnrolmentRefused(refused.reason)] if self._peer.role is Role.CORE else []
        self._check_origins(items)
        twin = self._note_taken(opened)
        if self._peer.twin:
            self._speech.refusal = RefusalReason.TWIN if self._talk.may_tell(now) else self._speech.refusal
            return []
        if twin and self._peer.role is Role.KIT:
            return [TwinHeard()]
        way = self._ways.path(path, mtu_bytes)
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
        for name, owed in self._ways.owed.items():
            owed.commit(ids)
            for each in ids & owed.by_name.keys():
                del owed.by_name[each]
                if name == path:
                    owed.ids[each] = told[each]
        if late:
            self._speech.wait_s = None
            self._ways.owed_by(path).note(now, priority=min(told.values(), default=5), more=False)

    def keep_apart(self, records: Iterable[Record]) -> None:
        """These came and were not committed, because other ones are held under their names: say so, not that they are.

        Acknowledge the others that came with them after this.
        """
        told = {record.id: (digest_of(record.kind, record.body), int(record.priority)) for record in records}
        for owed in self._ways.owed.values():
            owed.keep_apart(set(told))
        self._speech.apart.update(told)
        self._apart.update(told)
        while len(self._apart) > APART_REMEMBERED:
            del self._apart[next(iter(self._apart))]

    def came_otherwise(self, record: RecordId, *, priority: int, path: str, now: float) -> None:
        """It was heard in a broadcast by that link, and is to be acknowledged by name: `acknowledge` it next."""
        owed = self._ways.owed_by(path)
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
            for owed in self._ways.owed.values():
                owed.by_name.pop(each, None)

    def ask_at_once(self, paths: Iterable[str]) -> None:
        """Ask the core what it holds, by these links."""
        if self._peer.role is Role.CORE:
            self._speech.ask.update(dict.fromkeys(paths, float("-inf")))

    def would_take(self, counter: int) -> bool:
        """Whether a frame with that counter is no replay."""
        try:
            self._counters.check(counter)
        except ReplayedFrame:
            return False
        return True

    def _take_refusal(self, opened: Opened) -> list[Event]:
        """A word from outside any session: its counter says nothing, and nothing but a refusal is taken from it."""
        items = decode_items(opened.plain, sender=self._peer.unit)
        refused = next((item for item in items if isinstance(item, Refused)), None)
        if refused is None or self._peer.role is not Role.CORE:
            raise ForgedFrame("a counter that no session uses")
        return [EnrolmentRefused(refused.reason)]

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

    def _check_replay(self, opened: Opened, path: str, now: float) -> None:
        try:
            self._counters.check(opened.counter)
        except ReplayedFrame as replayed:
            # under the salt of the newest frame it is a duplicate; else our peer may have been set back by a
            # restored backup and not know it. Telling it costs a recorded frame's replay little and gains it nothing
            set_back = replayed.too_old or opened.salt != self._talk.peer_salt
            if set_back and self._talk.may_tell(now):
                self._speech.behind = True
                self.ask_at_once((path,))  # a core that was set back does not hold what it did
            raise

    def _check_origins(self, items: Iterable[Item]) -> None:
        if self._peer.role is Role.CORE:
            return  # the core hands on what others wrote
        for item in items:
            if isinstance(item, Record) and item.id.origin != self._peer.unit:
                raise ForgedFrame(f"{self._peer.unit} sends a record of {item.id.origin}")

    def _note_taken(self, opened: Opened) -> bool:
        """Count the frame; whether it shows that the peer has a twin."""
        known = self._talk.peer_salt
        twin = self._talk.note(opened, highest=self._counters.highest)
        self._counters.take(opened.counter)
        if known != self._talk.peer_salt:
            self._ways.forget_what_was_told()
            self._ways.forget_what_is_owed()
            self._committed.begin_anew()
        if known is not None and known != self._talk.peer_salt:
            self.ask_at_once(self._ways.paths)  # it was restarted, perhaps from a backup: what does it hold?
        return twin

    def _take_items(self, items: Sequence[Item], opened: Opened, way: Path, now: float) -> list[Event]:
        owed = self._ways.owed_by(way.name)
        # in a short frame the key already says to whom it is said
        for_us = opened.short or any(isinstance(item, To) and item.salt in self._lives for item in items)
        alarms = self._ledger.alarms()
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
        taken = {each for event in events if isinstance(event, RecordsAccepted) for each in event.ids}
        if taken - alarms and opened.counter > self._full_said_in:
            # it takes ordinary records, so it has room again
            self.wait_until = self._full_until = self._full_at_most = float("-inf")
        owed.take(opened.counter, uncommitted=whole)
        owed.riding = owed.riding or not opened.short
        owed.doubted = owed.doubted and way.slow  # elsewhere nothing is lost on the way
        if records:
            events.append(RecordsReceived(tuple(records.values())))
        return events

    def _what_follows(self, item: Item, opened: Opened, way: Path, now: float) -> list[Event]:
        match item:
            case Heard() | Received() | Accepted():
                return self._take_word(item, opened, way, now)
            case Apart():
                named = RecordId(item.record.origin or self._unit, *item.record[1:])
                ours = self._ledger.kept_apart(named, item.digest) or named in self.withheld
                return [RecordsKeptApart((Held(named, item.digest),))] if ours else []
            case Behind():
                self._jump_past(item, way)
            case Context():
                self._talk.peer_epoch = item.epoch
            case Life() if opened.salt == self._talk.peer_salt:
                self._talk.secret = agree(self._life_private, item.public)
            case Wait():
                self.wait_until = now + item.seconds
                self._full_until, self._full_at_most = self.wait_until + ANSWER_S, self.wait_until + ANSWERS_MOST_S
                self._full_said_in = opened.counter
                return [PeerMustWait(item.seconds)]
            case Beacon():
                return [self._take_beacon(item, opened, way)]
            case Welcome() if self._peer.role is Role.CORE:
                return [Welcomed(item.name)]
        return []

    def _jump_past(self, item: Behind, way: Path) -> None:
        """We were set back ourselves: what was said since then was thrown away over there."""
        if self._counters.jump_past(item.highest):
            self._ledger.make_due()
            self.ask_at_once((way.name,))

    def _take_beacon(self, item: Beacon, opened: Opened, way: Path) -> BeaconHeard:
        if item.wants_answer:
            self._speech.answer.add(way.name)
        newest = opened.counter == self._counters.highest
        if newest and item.holdings:
            self._speech.ask.clear()  # it has told what it holds
        return BeaconHeard(item.time_ms, item.trusted, item, newest)

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
                return self._accepted(accepted)

    def _take_heard(self, item: Heard, way: Path, now: float) -> list[Event]:
        accepted, named = self._ledger.note_heard(item, way, newest=self._counters.newest, now=now)
        talk = self._talk
        talk.knows_us = talk.knows_us or bool(named)
        talk.knows_epoch = talk.knows_epoch or any(flight.context for flight in named)
        talk.knows_life = talk.knows_life or any(flight.life for flight in named)
        return self._accepted(accepted)

    def _accepted(self, ids: Sequence[RecordId]) -> list[Event]:
        return [RecordsAccepted(tuple(ids))] if ids else []

    def _take_record(
        self, record: Record, owed: Owed, opened: Opened, now: float, records: dict[RecordId, Record]
    ) -> set[RecordId]:
        """Returns its name if it is to be committed first."""
        owed.note(now, priority=record.priority, more=opened.more)
        if record.id in self._committed and (opened.short or opened.salt == self._talk.peer_salt):
            owed.doubted = True
            return set()
        records[record.id] = record
        return {record.id}

    def _take_piece(self, item: Piece, owed: Owed, opened: Opened, now: float, records: dict[RecordId, Record]) -> None:
        owed.note(now, priority=4, more=opened.more)
        known = self._committed.of_transfer(item.transfer)
        if known is not None:
            owed.ids[known[0]], owed.doubted = known[1], True
            return
        made = self._committed.made_by(item.transfer)
        if made is not None and made in self._apart:
            self._speech.apart[made] = self._apart[made]  # its sender has not heard it
            return
        if any(made in each.by_name for each in self._ways.owed.values()):
            self._speech.wait_s = self._last_wait_s  # it is here whole, and still cannot be stored
            return
        try:
            if not self._reassembly.knows(item):
                owed.transfers.add(item.transfer)
            blob = self._reassembly.add(item)
            if blob is None:
                return
            record = decode_record(blob, sender=self._peer.unit)
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
