"""What is to be sent to one peer: units, each a whole record or one chunk of a larger one, in flight on some paths.

Invariant: the store decides what is to be sent; this only remembers what was tried. Everything here may be lost in a
crash: the worst that follows is a frame sent again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sync.protocol.errors import RecordTooLarge
from sync.protocol.fragments import MAX_RECORD_BYTES, chunk, chunk_count, transfer_name
from sync.protocol.frames import LORA_FRAME_BYTES
from sync.protocol.items import Received, RecordPacker
from sync.protocol.path import Path
from sync.protocol.records import Record, RecordId
from sync.protocol.sealing import OVERHEAD_BYTES

WHOLE_BYTES = LORA_FRAME_BYTES - OVERHEAD_BYTES
"""An encoded record up to this (187 bytes) goes whole, a larger one in chunks: an alert is one frame."""


@dataclass
class Flight:
    """A unit's latest attempt on one path."""

    sent_at: float
    due_at: float
    silent: int = 0


@dataclass
class Unit:
    """Something that is sent, and sent again, as one. `index` is the chunk's, None for a whole record."""

    index: int | None
    bytes: int
    arrived: bool = False
    flights: dict[str, Flight] = field(default_factory=dict)


@dataclass
class Outgoing:
    """One record on its way."""

    record: Record
    order: int
    units: list[Unit]
    blob: bytes = b""
    transfer: bytes = b""
    heard_counter: int = 0
    left: set[str] = field(default_factory=set)

    def under_way(self, now: float) -> bool:
        """Whether forgetting it would waste what was already sent."""
        in_flight = any(flight.due_at > now for unit in self.units for flight in unit.flights.values())
        return in_flight or (self.record.lifetime_s is None and any(unit.arrived for unit in self.units))


Due = tuple[Outgoing, Unit]


class Ledger:
    """Every record offered and not yet accepted.

    Args:
        our_unit: the origin that is not spelled out.
    """

    def __init__(self, our_unit: str) -> None:
        self._us = our_unit
        self._all: dict[RecordId, Outgoing] = {}
        self._by_transfer: dict[bytes, Outgoing] = {}
        self._offers = 0

    def __len__(self) -> int:
        return len(self._all)

    def offer(self, records: Sequence[Record], *, now: float) -> None:
        """What the store would have sent now; replaces the earlier offer.

        What is tried is kept: it may only have been pushed off the end of the offer by something more urgent.

        Raises:
            RecordTooLarge: one of them fits no session; the others are offered.
        """
        wanted = {record.id for record in records}
        for name in [each for each, it in self._all.items() if each not in wanted and not it.under_way(now)]:
            self._forget(name)
        too_large: RecordTooLarge | None = None
        for record in records:
            if record.id not in self._all:
                try:
                    self._add(record)
                except RecordTooLarge as error:
                    too_large = error
        if too_large is not None:
            raise too_large

    def accept(self, ids: Iterable[RecordId]) -> list[RecordId]:
        """The peer has committed them; returns those that were still waiting."""
        known = [each for each in ids if each in self._all]
        for each in known:
            self._forget(each)
        return known

    def note_received(self, received: Received, *, counter: int, path: Path, now: float) -> None:
        """The peer says which chunks it has. It may have lost some again, so the newest word replaces earlier ones."""
        outgoing = self._by_transfer.get(received.transfer)
        if outgoing is None or counter <= outgoing.heard_counter:
            return
        outgoing.heard_counter = counter
        for unit in outgoing.units:
            has = received.has(unit.index or 0)
            unit.arrived = unit.arrived if has is None else has
        if all(unit.arrived for unit in outgoing.units):
            # complete but not yet committed; ask again with the last chunk if no acknowledgement follows
            last = outgoing.units[-1]
            last.arrived = False
            last.flights[path.name] = Flight(now, now + path.timeout_s)

    def due(self, path: Path, now: float, *, carries: Iterable[int]) -> list[Due]:
        """What may be sent by that path now, the most urgent first."""
        allowed = frozenset(carries)
        found = [
            (outgoing, unit)
            for outgoing in self._all.values()
            if outgoing.record.priority in allowed
            for unit in outgoing.units
            if not unit.arrived and _due_at(unit, path) <= now
        ]
        found.sort(key=lambda due: (due[0].record.priority, due[0].order))
        return found

    def next_due_at(self, path: Path, *, carries: Iterable[int]) -> float | None:
        """When something is due by that path, at the earliest."""
        allowed = frozenset(carries)
        return min(
            (
                _due_at(unit, path)
                for outgoing in self._all.values()
                if outgoing.record.priority in allowed
                for unit in outgoing.units
                if not unit.arrived
            ),
            default=None,
        )

    def in_flight_bytes(self, path: Path, now: float) -> int:
        """How much went by that path and is neither acknowledged nor given up."""
        return sum(
            unit.bytes
            for outgoing in self._all.values()
            for unit in outgoing.units
            if not unit.arrived and _due_at(unit, path) > now
        )

    def note_sent(self, due: Iterable[Due], path: Path, now: float, *, jitter: float) -> list[RecordId]:
        """They were handed to that path; returns the records that have now left by it as a whole."""
        left: list[RecordId] = []
        for outgoing, unit in due:
            before = unit.flights.get(path.name)
            silent = before.silent + 1 if before is not None and _silent_since(path, before.sent_at) else 0
            wait_s = path.retry_after_s(silent=silent, priority=outgoing.record.priority, now=now)
            unit.flights[path.name] = Flight(now, now + wait_s * jitter, silent)
            if before is not None and _silent_since(path, before.sent_at):
                path.silent_timeouts = max(path.silent_timeouts, silent)
            if path.name not in outgoing.left and all(path.name in each.flights for each in outgoing.units):
                outgoing.left.add(path.name)
                left.append(outgoing.record.id)
        return left

    def make_due(self, ids: Iterable[RecordId] | None = None) -> None:
        """Forget the back-off of these records, or of all."""
        for each in list(self._all) if ids is None else ids:
            if each in self._all:
                for unit in self._all[each].units:
                    for flight in unit.flights.values():
                        flight.due_at, flight.silent = float("-inf"), 0

    def make_backed_off_due(self, path: Path) -> None:
        """The peer is heard again after a silence: what waits in a long back-off need not wait."""
        for outgoing in self._all.values():
            for unit in outgoing.units:
                flight = unit.flights.get(path.name)
                if flight is not None and flight.silent > 0:
                    flight.due_at = min(flight.due_at, flight.sent_at + path.timeout_s)
                    flight.silent = 0

    def _add(self, record: Record) -> None:
        blob = RecordPacker(self._us).encode(record)
        if len(blob) > MAX_RECORD_BYTES:
            raise RecordTooLarge(len(blob), MAX_RECORD_BYTES)
        self._offers += 1
        if len(blob) <= WHOLE_BYTES:
            outgoing = Outgoing(record, self._offers, [Unit(None, len(blob))])
        else:
            units = [Unit(index, len(chunk(blob, index))) for index in range(chunk_count(len(blob)))]
            outgoing = Outgoing(record, self._offers, units, blob, transfer_name(blob))
            self._by_transfer[outgoing.transfer] = outgoing
        self._all[record.id] = outgoing

    def _forget(self, each: RecordId) -> None:
        outgoing = self._all.pop(each)
        self._by_transfer.pop(outgoing.transfer, None)


def _due_at(unit: Unit, path: Path) -> float:
    flight = unit.flights.get(path.name)
    return float("-inf") if flight is None else flight.due_at


def _silent_since(path: Path, at: float) -> bool:
    return path.heard_at is None or path.heard_at <= at
