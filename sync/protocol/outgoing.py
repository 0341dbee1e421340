"""What is to be sent to one peer: records, whole or in pieces, in flight on some paths.

Invariant: the store decides what is to be sent; this only remembers what was tried. Everything here may be lost in a
crash: the worst that follows is a frame sent again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile

from sync.protocol.errors import RecordTooLarge
from sync.protocol.fragments import MAX_RECORD_BYTES, transfer_name
from sync.protocol.frames import LORA_FRAME_BYTES
from sync.protocol.items import Heard, Received, RecordPacker
from sync.protocol.path import Flight, Path, Sending
from sync.protocol.ranges import Ranges
from sync.protocol.records import Record, RecordId, digest_of
from sync.protocol.sealing import OVERHEAD_BYTES, whole_counter

CONTEXT_BYTES = 6
"""What the first frames of a conversation spend on telling the epoch."""

WHOLE_BYTES = LORA_FRAME_BYTES - OVERHEAD_BYTES - CONTEXT_BYTES
"""An encoded record up to this (181 bytes) goes whole, a larger one in pieces: an alert is one frame."""

SPLIT_FROM_PRIORITY = 3
"""What nobody waits for is cut wherever a frame ends; a message is in one frame, so that one frame brings it."""

PROBE_BYTES = 16
"""Sent to ask after a transfer that has come whole but was not acknowledged."""

NEVER = float("inf")

_LARGEST_HEAD_BYTES = 44
"""Head, code, three lengths, and varints of at most nine bytes for epoch, seq, time and lifetime."""


@dataclass(slots=True, eq=False)
class Outgoing:
    """One record on its way.

    Attributes:
        size: of its encoding, about.
        blob: its encoding, once it is sent in pieces.
        arrived: which bytes of that the peer has.
        todo: by path, which bytes are neither there nor in flight.
        flying: by path, the frame that holds the whole record.
        silent: by path, how often it was sent since the peer was last heard.
        left: the paths by which all of it has left.
        confirm_at: all has arrived; when to ask whether it is committed.
        gone: accepted, or no longer wanted.
    """

    record: Record
    order: int
    size: int
    blob: bytes = b""
    transfer: bytes = b""
    arrived: Ranges = field(default_factory=Ranges)
    todo: dict[str, Ranges] = field(default_factory=dict)
    flying: dict[str, int] = field(default_factory=dict)
    silent: dict[str, int] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)
    confirm_at: float = NEVER
    heard_counter: int = 0
    gone: bool = False

    @property
    def under_way(self) -> bool:
        """Whether forgetting it would waste what was already sent."""
        flying = bool(self.flying) or bool(self.todo and any(len(each) != 1 for each in self.todo.values()))
        return flying or (self.record.lifetime_s is None and bool(self.arrived))

    def cut(self, blob: bytes) -> None:
        """Send it in pieces from now on."""
        self.blob, self.transfer = blob, transfer_name(blob)

    def missing(self, path: Path) -> Ranges:
        """What is still to go by that path."""
        if path.name not in self.todo:
            self.todo[path.name] = Ranges((0, len(self.blob))).without(self.arrived)
        return self.todo[path.name]

    def is_due(self, path: Path, now: float) -> bool:
        """Whether some of it may go by that path now."""
        if self.blob:
            return now >= self.confirm_at if self.confirm_at != NEVER else bool(self.missing(path))
        return path.name not in self.flying

    def next_piece(self, path: Path, room: int) -> Sending:
        """The first bytes that are still to go, at most so many."""
        for start, end in self.missing(path):
            return Sending(self, start, min(end, start + room))
        return Sending(self, max(len(self.blob) - min(PROBE_BYTES, room), 0), len(self.blob))

    def note_sent(self, sending: Sending, path: Path, counter: int, now: float) -> bool:
        """That part went by that path; whether now all of it has, for the first time."""
        if not self.blob:
            self.flying[path.name] = counter
        else:
            self.missing(path).remove(sending.start, sending.end)
            if self.confirm_at != NEVER:
                self.confirm_at = now + 2.0 * path.timeout_s
            if self.missing(path):
                return False
        if path.name in self.left:
            return False
        self.left.add(path.name)
        return True

    def note_lost(self, sending: Sending, path: Path, counter: int) -> None:
        """That frame did not arrive."""
        if not sending.end:
            if self.flying.get(path.name) == counter:
                del self.flying[path.name]
            return
        lost = Ranges((sending.start, sending.end)).without(self.arrived)
        for start, end in lost:
            self.missing(path).add(start, end)

    def note_arrived(self, sending: Sending, path: Path, now: float) -> bool:
        """The peer has that part; whether that accepts the whole record."""
        if not sending.end:
            return True
        self.arrived.add(sending.start, sending.end)
        for todo in self.todo.values():
            todo.remove(sending.start, sending.end)
        if self.confirm_at == NEVER and self.arrived.covers(0, len(self.blob)):
            self.confirm_at = now + path.timeout_s
        return False

    def note_received(self, received: Received, path: Path, now: float) -> None:
        """The peer says what it has; it may have lost some again."""
        self.arrived = Ranges(*received.ranges)
        complete = self.arrived.covers(0, len(self.blob))
        self.confirm_at = now + path.timeout_s if complete else NEVER
        todo = Ranges((0, len(self.blob))).without(self.arrived)
        for flight in path.live.values():
            for each in flight.sendings:
                if each.outgoing is self:
                    todo.remove(each.start, each.end)
        self.todo = {path.name: todo}


class Ledger:
    """Every record offered and not yet accepted.

    Args:
        our_unit: the origin that is not spelled out.
    """

    def __init__(self, our_unit: str) -> None:
        self._us = our_unit
        self._all: dict[RecordId, Outgoing] = {}
        self._queue: list[Outgoing] = []
        self._by_transfer: dict[bytes, Outgoing] = {}
        self._offers = 0

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, each: RecordId) -> bool:
        return each in self._all

    def offer(self, records: Sequence[Record], *, replaces: bool = True, complete: bool = False) -> None:
        """What the store would have sent now; replaces the earlier offer, or adds to it.

        What is tried is kept: it may only have been pushed off the end of the offer by something more urgent; unless
        the offer is complete: then it went another way, or its time is over.

        Raises:
            RecordTooLarge: one of them fits no session; the others are offered.
        """
        if replaces:
            wanted = {record.id for record in records}
            self._forget(
                [each for each, it in self._all.items() if each not in wanted and (complete or not it.under_way)]
            )
        too_large: RecordTooLarge | None = None
        before = len(self._all)
        for record in records:
            if record.id not in self._all:
                try:
                    self._add(record)
                except RecordTooLarge as error:
                    too_large = error
        if len(self._all) != before:
            self._queue.sort(key=lambda each: (each.record.priority, each.order))
        if too_large is not None:
            raise too_large

    def accept(self, ids: Iterable[RecordId]) -> list[RecordId]:
        """The peer has committed them; returns those that were still waiting."""
        known = [each for each in dict.fromkeys(ids) if each in self._all]
        self._forget(known)
        return known

    def alarms(self) -> set[RecordId]:
        """Those of priority 0: they are taken where nothing else is."""
        return {each.record.id for each in takewhile(lambda one: not one.record.priority, self._queue)}

    @property
    def has_ordinary(self) -> bool:
        """Whether there are others."""
        return bool(self._queue) and bool(self._queue[-1].record.priority)

    def kept_apart(self, record: RecordId, digest: bytes) -> bool:
        """The peer holds another record under that name; whether it is ours that it means, which is then given up."""
        ours = self._all.get(record)
        if ours is None or digest_of(ours.record.kind, ours.record.body) != digest:
            return False
        self._forget([record])
        return True

    def note_heard(self, heard: Heard, path: Path, *, newest: int, now: float) -> tuple[list[RecordId], list[Flight]]:
        """The peer names frames that it has: returns the records thereby accepted, and the frames not named before.

        A frame that was sent before one that is named, and is not itself, is lost; unless it was less urgent, for then
        it may wait in the radio behind the other.
        """
        last = whole_counter(heard.counter_low, near=newest)
        bits = int.from_bytes(heard.bitmap, "little")
        named = [each for each in path.flights.values() if _is_named(each.counter, last, bits)]
        if last in path.flights:
            path.note_round_trip(path.flights[last], now)
        accepted: list[RecordId] = []
        fresh = 0
        for flight in named:
            del path.flights[flight.counter]
            path.ended(flight)
            fresh += bool(flight.sendings)
            path.note_fate(lost=False)
            for each in flight.sendings:
                each.outgoing.silent.pop(path.name, None)
                if not each.outgoing.gone and each.outgoing.note_arrived(each, path, now):
                    accepted.append(each.outgoing.record.id)
        if named:
            path.window = min(path.window + 2 * fresh, float(path.patience.window_frames))
            path.asked_in_vain = 0
            self._find_lost(named, path)
        return self.accept(accepted), named

    def note_received(self, received: Received, *, counter: int, path: Path, now: float) -> None:
        """The peer says which bytes it has. It may have lost some again, so the newest word replaces earlier ones."""
        outgoing = self._by_transfer.get(received.transfer)
        if outgoing is not None and counter > outgoing.heard_counter:
            outgoing.heard_counter = counter
            outgoing.note_received(received, path, now)

    def give_up_overdue(self, path: Path, now: float) -> None:
        """Time-outs: what was in those frames is due again."""
        for flight in list(path.overdue(now)):
            self._lose(flight, path)

    def due(self, path: Path, now: float, *, carries: Iterable[int]) -> Iterator[Outgoing]:
        """What may be sent by that path now, the most urgent first."""
        allowed = frozenset(carries)
        return (each for each in self._queue if each.record.priority in allowed and each.is_due(path, now))

    def next_confirm_at(self, *, carries: Iterable[int]) -> float | None:
        """When to ask after a transfer, at the earliest."""
        allowed = frozenset(carries)
        times = (each.confirm_at for each in self._by_transfer.values() if each.record.priority in allowed)
        return min((each for each in times if each != NEVER), default=None)

    def note_sent(self, flight: Flight, path: Path, now: float) -> list[RecordId]:
        """They were handed to that path; returns the records that have now left by it as a whole."""
        return [
            each.outgoing.record.id
            for each in flight.sendings
            if each.outgoing.note_sent(each, path, flight.counter, now)
        ]

    def due_after_silence(self) -> Sequence[Outgoing]:
        """Every record: the peer is heard again, so that none needs to wait in a back-off."""
        return self._queue

    def make_due(self, ids: Iterable[RecordId] | None = None) -> None:
        """Forget the back-off of these records, or of all: they may go at once, in flight or not."""
        for each in list(self._all) if ids is None else ids:
            outgoing = self._all.get(each)
            if outgoing is not None:
                outgoing.flying.clear()
                outgoing.silent.clear()
                outgoing.todo.clear()
                outgoing.confirm_at = min(outgoing.confirm_at, 0.0) if outgoing.confirm_at != NEVER else NEVER

    def cut(self, outgoing: Outgoing, record: Record) -> None:
        """Send it in pieces from now on."""
        outgoing.cut(RecordPacker(self._us, short=True).encode(record))
        self._by_transfer[outgoing.transfer] = outgoing

    def _find_lost(self, named: Sequence[Flight], path: Path) -> None:
        latest = {flight.priority: flight.counter for flight in sorted(named, key=lambda each: each.counter)}
        for flight in list(path.live.values()):
            if any(flight.counter < counter for priority, counter in latest.items() if priority >= flight.priority):
                path.note_fate(lost=True)
                self._lose(flight, path)

    def _lose(self, flight: Flight, path: Path) -> None:
        flight.lost = True
        path.ended(flight)
        for each in flight.sendings:
            if not each.outgoing.gone:
                each.outgoing.note_lost(each, path, flight.counter)

    def _add(self, record: Record) -> None:
        size = _about(record)
        if size > WHOLE_BYTES:
            size = len(RecordPacker(self._us, short=True).encode(record))
        if size > MAX_RECORD_BYTES:
            raise RecordTooLarge(size, MAX_RECORD_BYTES)
        self._offers += 1
        outgoing = Outgoing(record, self._offers, size)
        if size > WHOLE_BYTES:
            self.cut(outgoing, record)
        self._all[record.id] = outgoing
        self._queue.append(outgoing)

    def _forget(self, ids: Sequence[RecordId]) -> None:
        if not ids:
            return
        for each in ids:
            outgoing = self._all.pop(each)
            outgoing.gone = True
            self._by_transfer.pop(outgoing.transfer, None)
        self._queue = [each for each in self._queue if not each.gone]


def _about(record: Record) -> int:
    """Never less than the size of its encoding, without the work of encoding it."""
    texts = len(record.kind) + len(record.id.origin.encode()) + len(record.addressee.encode())
    return _LARGEST_HEAD_BYTES + texts + len(record.body)


def aged(record: Record, *, now_ms: int, trusted: bool) -> Record:
    """The record as it is to be sent: with its age, if our clock does not know what time it is."""
    return record if trusted else replace(record, age_s=max(now_ms - record.created_ms, 0) // 1000)


def _is_named(counter: int, last: int, bits: int) -> bool:
    return counter == last or (counter < last and bool(bits >> (last - 1 - counter) & 1))
