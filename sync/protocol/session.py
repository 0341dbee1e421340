"""The conversation with one peer: bytes and `now` come in, frames, events and a wake-up time go out. It never sends.

Invariants
- A record is acknowledged only after `acknowledge`, which the engine calls once its store has committed it.
- A frame whose counter is not on disk is not sent, nor is one that acknowledges anything before the replay window is:
  see `must_save`.
- One ledger for all paths: what is accepted over one is not sent over another.

Times are kit seconds of one monotonic clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sync.protocol.acks import Owed
from sync.protocol.beacons import BeaconFacts
from sync.protocol.conversation import Conversation
from sync.protocol.draft import Draft
from sync.protocol.fragments import Reassembly
from sync.protocol.frames import FrameType
from sync.protocol.hearing import Hearing
from sync.protocol.keys import agree, public_of
from sync.protocol.outgoing import Ledger
from sync.protocol.path import Flight, Path
from sync.protocol.peers import Peer, Role
from sync.protocol.records import Record, RecordId
from sync.protocol.routing import ALL_PRIORITIES
from sync.protocol.sealing import Counters, Opener, Sealer
from sync.protocol.speech import Speech
from sync.protocol.ways import Ways

if TYPE_CHECKING:
    from random import Random  # noqa: TID251 - the type of what is passed in; nothing is drawn from the module

URGENT_ONLY = frozenset({0})

ASK_EVERY = (64, 24, 16, 12, 8)
"""Frames that a long transfer sends by radio between two that ask for an acknowledgement; fewer after some in vain."""

ASK_WITHIN_S = 8.0
"""After a connection has come up a kit asks the core what it holds: a thousand kits whose connections all broke when
the core restarted are spread by `sync.links.reconnect`, and by this once more."""

ASK_AGAIN_S = 20.0
"""On a network that comes and goes, a kit asks no more often than this."""

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


class Session:
    """Decides what to send next; never sends it.

    Attributes:
        hearing: the receiving half.

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
        self.peer, self._rng = peer, rng
        self._shared = agree(exchange_private, peer.exchange_public)
        sealer, opener = self._locks(salt)
        self._counters = Counters(state)
        self._ledger = Ledger(unit)
        self._talk = Conversation()
        self._ways = Ways()
        reassembly = Reassembly()
        self._speech = Speech(
            unit=unit, peer=peer, sealer=sealer, counters=self._counters, ledger=self._ledger,
            reassembly=reassembly, talk=self._talk, life=public_of(life), epoch=epoch,
        )  # fmt: skip
        self.hearing = Hearing(
            unit=unit, peer=peer, opener=opener, salt=salt, life=life, counters=self._counters, ledger=self._ledger,
            reassembly=reassembly, talk=self._talk, ways=self._ways, speech=self._speech,
        )  # fmt: skip

    def renew(self, *, salt: int, life: bytes) -> None:
        """Begin a new life: what is known of records and transfers stays, the peer is shown the new salt and key.

        Args:
            salt: 32 random bits.
            life: 32 random bytes, an X25519 private key that is never kept.
        """
        self._speech.sealer, opener = self._locks(salt)
        self._speech.life = public_of(life)
        self.hearing.renew(opener=opener, salt=salt, life=life)
        self._talk.begin_anew()
        self._ways.forget_what_was_told()

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

    # --- what goes out ---

    def offer(self, records: Sequence[Record], *, replaces: bool = True, complete: bool = False) -> None:
        """What the store would have sent, by (priority, seq).

        Args:
            records: the most urgent ones.
            replaces: what was offered earlier and is not among them is no longer wanted; else they are added to it.
            complete: that holds for what is tried already, too, for there is nothing beside them.

        Raises:
            RecordTooLarge: one of them fits no session; the others are offered.
        """
        self._speech.note_epoch(records)
        self._ledger.offer(records, replaces=replaces, complete=complete)

    @property
    def offered(self) -> int:
        """How many records are offered and not accepted."""
        return len(self._ledger)

    def no_longer_wanted(self, ids: Iterable[RecordId]) -> None:
        """They were accepted in another way, or are not true any more."""
        self._ledger.accept(ids)

    def welcome(self, name: str, *, now: float) -> None:
        """Say to the kit that it is enrolled; to one that has already answered, at most once a minute."""
        if self._talk.peer_salt is None or self._talk.may_tell(now):
            self._speech.welcome = name

    def show_life(self) -> None:
        """Show the peer our present life, though nothing is to be said."""
        self._speech.show_salt = True

    @property
    def answered(self) -> bool:
        """Whether the peer has answered our present life: nobody can have recorded that before."""
        return self._talk.knows_us or self._talk.opened_short

    def ask_again(self) -> None:
        """Ask the core for a sign of life, by every link, at once."""
        self.hearing.ask_at_once(self._ways.paths)

    def came_up(self, path: str, *, now: float) -> None:
        """That link's connection stands: a kit soon asks the core what it holds, which may have been rebuilt meanwhile.

        A radio that is back says nothing of the core.
        """
        way = self._ways.paths.get(path)
        if self.peer.role is not Role.CORE or way is None or way.slow:
            return
        due_at = now + ASK_WITHIN_S * self._rng.random()
        self._speech.ask[path] = due_at if way.beacon_at is None else max(due_at, way.beacon_at + ASK_AGAIN_S)

    def due_now(self, ids: Iterable[RecordId] | None = None) -> None:
        """Send these records, or all, without waiting for their back-off."""
        self.hearing.wait_until = float("-inf")
        self._ledger.make_due(ids)
        for way in self._ways.paths.values():
            way.credits = max(way.credits, 2)

    def path(self, name: str, mtu_bytes: int, *, frame_s: float | None = None) -> Path:
        """What is known of that link to this peer.

        Args:
            name: the link's.
            mtu_bytes: its largest frame.
            frame_s: what a full frame takes, on a radio that can tell.
        """
        return self._ways.path(name, mtu_bytes, frame_s=frame_s)

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
        way, owed = self.path(path, mtu_bytes), self._ways.owed_by(path)
        self._ledger.give_up_overdue(way, now)
        may = carries if now >= self.hearing.wait_until else carries & URGENT_ONLY
        if urgent_only and not self._urgent_due(way, owed, now, may):
            return None
        draft = self._speech.draft(way, owed, now=now, facts=facts, carries=may)
        if not draft.plain:
            return None
        return self._sealed(draft, way, now, may)

    def sent(self, out: OutFrame, *, now: float) -> list[RecordId]:
        """The link took it; returns the records that have now left by that link as a whole."""
        way, draft = self._ways.paths[out.path], out.draft
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
            self._ways.owed[out.path].told(draft.names, draft.transfers)
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
        way, owed = self.path(path, mtu_bytes), self._ways.owed_by(path)
        may = carries if now >= self.hearing.wait_until else carries & URGENT_ONLY
        times = [
            way.next_timeout_at(),
            owed.due_at(way.patience),
            self._speech.beacon_due_at(way),
            self._ledger.next_confirm_at(carries=may),
        ]
        if now < self.hearing.wait_until:
            times.append(self.hearing.wait_until)
        if self._speech.pressing(way) or any(self._due(way, now, may)):
            times.append(now)
        return min((each for each in times if each is not None), default=None)

    # --- inside ---

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
