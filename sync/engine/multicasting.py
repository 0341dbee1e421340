"""Broadcasts in the engine: what the core says to all of its kits by radio, and what a kit makes of it.

The core withholds such a record from the sessions of kits that can hear it for as long as its broadcast lasts; a kit
that has another way, or does not know the core's signing key yet, gets it by its session at once. A kit commits what it
has heard like any record, and acknowledges it by name in its ordinary session, at a moment of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from kit.model.core_key import core_key_body
from sync.engine.watched import WatchedLink
from sync.protocol.broadcast import LISTEN_FRAMES, URGENT_LOSS, Broadcast, PlannedBroadcast
from sync.protocol.multicast import EVERYBODY, Gathering, Sign, make_object
from sync.protocol.peers import Peer
from sync.protocol.records import Priority, Record, RecordId

if TYPE_CHECKING:
    from random import Random  # noqa: TID251 - the type of what is passed in; nothing is drawn from the module

FRAME_S = 2.0
"""Where a link does not say how long its frames take: LongFast's."""

AGAIN_S = 12.0
"""A kit that hears more of what it has acknowledged says so again after this (kit seconds), then after twice as long
each time: the next round comes later, and one of bulk may last an hour."""


class BroadcastStore(Protocol):
    """What the core's store keeps of broadcasts. Every method commits before it returns."""

    def give_keys(self, body: bytes, *, now_ms: int) -> int:
        """Write a `core-key` record of that body for each kit that has none; returns for how many."""
        ...

    def tell_villages(self, *, now_ms: int) -> None:
        """Write a `villages` record for all kits, if they have changed since the last one."""
        ...

    def knows_key(self, unit: str, body: bytes) -> bool:
        """Whether that kit has accepted such a record."""
        ...

    def broadcasts(self, *, now_ms: int) -> Sequence[PlannedBroadcast]:
        """Those that are not over and that some kit has not acknowledged, the most urgent first."""
        ...

    def no_longer_true(self, *, now_ms: int) -> Sequence[RecordId]:
        """Those whose time ended lately, by itself or because something else was said in their place."""
        ...

    def note_broadcast(self, record: RecordId, *, packets: int, over: bool, left: bool, link: str, at_ms: int) -> None:
        """So many frames have been sent; whether no more follow, and whether the whole has left."""
        ...


class Broadcasting:
    """The core's side.

    Args:
        store: the core's.
        core_public: its X25519 public key.
        signing_public: its Ed25519 public key.
        sign: makes its signatures.

    Attributes:
        no_longer_true: what sessions must not finish saying: a warning that has ended meanwhile.
    """

    def __init__(self, store: BroadcastStore, *, core_public: bytes, signing_public: bytes, sign: Sign) -> None:
        self._store, self._core_public, self._sign = store, core_public, sign
        self._key = core_key_body(signing_public)
        self._running: dict[RecordId, Broadcast] = {}
        self.no_longer_true: Sequence[RecordId] = ()

    def refresh(self, *, now_ms: int) -> None:
        """Look what is to be said, and to whom."""
        self._store.give_keys(self._key, now_ms=now_ms)
        self._store.tell_villages(now_ms=now_ms)
        self.no_longer_true = self._store.no_longer_true(now_ms=now_ms)
        planned = {each.record.id: each for each in self._store.broadcasts(now_ms=now_ms)}
        for name in self._running.keys() - planned.keys():
            del self._running[name]
        for name, each in planned.items():
            if name not in self._running:
                told = make_object(each.record, link_ids=each.link_ids, core_public=self._core_public, sign=self._sign)
                self._running[name] = Broadcast(each.record, told, core_public=self._core_public, sent=each.packets)
            self._running[name].units = each.units

    def split(self, unit: str, records: Sequence[Record]) -> tuple[list[Record], frozenset[RecordId]]:
        """What a kit that only hears the radio is offered by its session, and what it is to hear in a broadcast."""
        waiting = {each.id for each in records if each.addressee == EVERYBODY and self._is_said(each.id)}
        if waiting and not self._store.knows_key(unit, self._key):
            waiting = set()
        return [each for each in records if each.id not in waiting], frozenset(waiting)

    def _is_said(self, record: RecordId) -> bool:
        running = self._running.get(record)
        return running is not None and not running.by_session

    def accepted(self, unit: str, ids: Sequence[RecordId]) -> None:
        """A kit has it: no need to repeat it for that one."""
        for each in ids:
            running = self._running.get(each)
            if running is not None:
                running.units = tuple(other for other in running.units if other != unit)

    def send(
        self,
        link: WatchedLink,
        *,
        urgent: bool,
        now: float,
        now_ms: int,
        loss: Callable[[str], float],
        by_session: Callable[[str], bool],
        heard: Callable[[str], bool],
    ) -> bool:
        """Send one frame of the most urgent broadcast by a radio; whether one ended, so that sessions take over.

        Args:
            link: a radio.
            urgent: only of priority 0, else only of the others.
            now: kit seconds.
            now_ms: Unix ms.
            loss: of frames to a kit.
            by_session: whether a kit has another way than the radio.
            heard: whether a kit was heard by that radio since we started.
        """
        for each in sorted(self._running.values(), key=lambda one: (one.record.priority, one.record.id)):
            if (each.record.priority == Priority.DISTRESS) is not urgent:
                continue
            units = [unit for unit in each.units if not by_session(unit)]
            carried = each.record.priority <= link.lowest_priority  # a session could not send bulk by radio
            answers = all(heard(unit) and loss(unit) < URGENT_LOSS for unit in units)
            if carried and each.leave_to_session(len(units), now, answers=answers):
                return True
            frame = each.next_frame(now) if units else None
            if frame is None:
                continue
            if not link.send(frame, priority=int(each.record.priority), to=None):
                return False
            each.note_sent(now, frame_s=link.frame_s or FRAME_S, loss=max(map(loss, units), default=0.0))
            self._store.note_broadcast(
                each.record.id, packets=each.sent, over=each.over, left=each.has_left, link=link.name, at_ms=now_ms
            )
            return each.over
        return False


@dataclass
class _Owed:
    record: Record
    link: str
    due_at: float


class Listening:
    """A kit's side.

    Args:
        core: its core.
        signing_key: the core's Ed25519 public key, as far as it is known.
        rng: spreads the acknowledgements of kits that heard the same.
    """

    def __init__(self, core: Peer, *, signing_key: Callable[[], bytes | None], rng: Random) -> None:
        self.core = core
        self._gathering = Gathering(core=core.unit, core_public=core.exchange_public, link_id=core.link_id)
        self._signing_key, self._rng = signing_key, rng
        self._owed: dict[RecordId, _Owed] = {}
        self._again: dict[RecordId, tuple[float, float]] = {}

    def hear(self, link: WatchedLink, frame: bytes, *, now: float) -> Record | None:
        """A frame of a broadcast came; the record that it makes whole, to be committed.

        Raises:
            RemoteSyncError: as `Gathering.take`.
        """
        record, again = self._gathering.take(frame, signing_public=self._signing_key())
        if record is None or not again:
            return record
        if record.id not in self._owed and now >= self._again.get(record.id, (now, 0.0))[0]:
            self.owe(record, link, now=now)
        return None

    def owe(self, record: Record, link: WatchedLink, *, now: float) -> None:
        """It is committed: acknowledge it soon."""
        wait_s = self._rng.random() * LISTEN_FRAMES / 2.0 * (link.frame_s or FRAME_S)
        self._owed[record.id] = _Owed(record, link.name, now + wait_s)
        again_s = 2.0 * self._again.get(record.id, (0.0, AGAIN_S / 2.0))[1]
        self._again[record.id] = (now + wait_s + again_s, again_s)

    def forget(self, record: Record) -> None:
        """It could not be committed."""
        self._gathering.forget(record)

    def due(self, now: float) -> list[tuple[Record, str]]:
        """What to acknowledge now, each with the link by which it came; told once."""
        due = [each for each in self._owed.values() if each.due_at <= now]
        for each in due:
            del self._owed[each.record.id]
        return [(each.record, each.link) for each in due]
