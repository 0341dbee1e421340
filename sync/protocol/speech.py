"""What a session has to say besides records, and how a frame is put together from both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sync.protocol.acks import Owed
from sync.protocol.beacons import Beacon, BeaconFacts
from sync.protocol.conversation import Conversation
from sync.protocol.draft import Draft
from sync.protocol.fragments import Reassembly
from sync.protocol.items import (
    Apart,
    encode_accepted,
    encode_apart,
    encode_beacon,
    encode_behind,
    encode_context,
    encode_heard,
    encode_life,
    encode_received,
    encode_refused,
    encode_to,
    encode_wait,
    encode_welcome,
)
from sync.protocol.outgoing import Ledger, aged
from sync.protocol.path import Path
from sync.protocol.peers import Peer, RefusalReason, Role
from sync.protocol.record_items import RecordPacker
from sync.protocol.records import Record, RecordId
from sync.protocol.sealing import OVERHEAD_BYTES, SHORT_OVERHEAD_BYTES, Counters, Sealer

BEACON_PRIORITY = 3
_SURE_TIMEOUTS = 1
"""Time-outs in silence after which a frame is still short: a peer that was restarted cannot open it, but answers with a
full one. A full frame is a fifth longer, and on a bad evening every second question stays without an answer."""

UNANSWERED_BEACON_MOST_S = 3600.0
"""A core that has gone is looked for every hour even if there is nothing to say."""


@dataclass
class Speech:
    """Puts frames together.

    Attributes:
        welcome: the kit is enrolled; our name.
        behind: the peer uses counters that were taken.
        show_salt: the peer talks to an earlier life of ours, or has not heard of the present one.
        life: the public half of this life's ephemeral key.
        wait_s: nothing can be stored here.
        refusal: the peer is not talked to.
        ask: when to ask for a beacon at the latest (kit seconds), by path; it is forgotten once the core has told.
        answer: the paths by which one was asked for.
        apart: records that came though others are held under their names, each with its digest and priority.
    """

    unit: str
    peer: Peer
    sealer: Sealer
    counters: Counters
    ledger: Ledger
    reassembly: Reassembly
    talk: Conversation
    life: bytes
    epoch: int = -1
    welcome: str | None = None
    behind: bool = False
    show_salt: bool = False
    wait_s: int | None = None
    refusal: RefusalReason | None = None
    ask: dict[str, float] = field(default_factory=dict)
    answer: set[str] = field(default_factory=set)
    apart: dict[RecordId, tuple[bytes, int]] = field(default_factory=dict)

    def note_epoch(self, records: Iterable[Record]) -> None:
        """The newest epoch of our own records is the one worth telling."""
        ours = max((record.id.epoch for record in records if record.id.origin == self.unit), default=-1)
        if ours > self.epoch:
            self.epoch = ours
            self.talk.knows_epoch = False

    def pressing(self, way: Path) -> bool:
        """Whether there is something to say at once."""
        said = (self.behind, self.show_salt, self.welcome is not None, self.wait_s is not None, bool(self.apart))
        return any(said) or self.refusal is not None or way.name in self.answer

    def beacon_due_at(self, way: Path) -> float | None:
        """When a kit asks for a sign of life; the core only answers, so that a hundred are not greeted by a hundred."""
        if self.peer.role is not Role.CORE:
            return None
        latest = max((at for at in (way.heard_at, way.beacon_at) if at is not None), default=None)
        if latest is None:
            return float("-inf")
        answered = way.beacon_at is None or (way.heard_at is not None and way.heard_at > way.beacon_at)
        growth, most_s = (4.0, way.patience.beacon_most_s) if answered else (2.0, UNANSWERED_BEACON_MOST_S)
        wait_s = way.patience.beacon_s * growth ** min(max(way.idle_beacons - 1, 0), 8)
        asked_at = self.ask.get(way.name, float("inf"))
        return min(latest + min(wait_s, max(most_s, way.patience.beacon_s)), asked_at)

    def draft(self, way: Path, owed: Owed, *, now: float, facts: BeaconFacts, carries: frozenset[int]) -> Draft:
        """The most urgent frame for that path; empty if nothing is due."""
        short = self._short(way)
        draft = Draft(way.mtu_bytes - (SHORT_OVERHEAD_BYTES if short else OVERHEAD_BYTES))
        if self.refusal is not None:
            draft.add(encode_refused(self.refusal), priority=BEACON_PRIORITY)
            draft.refusal = True
            return draft
        # a full frame may be read by a life of the peer that has just begun, and knows nothing of what was told before
        if self.epoch >= 0 and not (short and self.talk.knows_epoch):
            draft.context = draft.add(encode_context(self.epoch), priority=5)
        context = bytes(draft.plain)
        self._add_control(draft)
        self._add_records(draft, way, owed, now=now, facts=facts, carries=carries)
        self._add_beacon(draft, way, owed, now=now, facts=facts)
        if way.slow and not self.talk.knows_life and not draft.sendings and bytes(draft.plain) != context:
            draft.life = draft.add(encode_life(self.life), priority=5)
        if bytes(draft.plain) == context and not self.show_salt:
            return Draft(0)
        if not draft.plain:
            draft.life = draft.add(encode_life(self.life), priority=BEACON_PRIORITY)
        return draft

    def seal(self, draft: Draft, way: Path, *, more: bool) -> tuple[bytes, int]:
        """The frame, and its counter."""
        counter = self.counters.next()
        salt = self.talk.peer_salt
        if self._short(way) and salt is not None:
            return self.sealer.seal_short(
                bytes(draft.plain), counter=counter, peer_salt=salt, secret=self.talk.secret, more=more
            ), counter
        return self.sealer.seal(bytes(draft.plain), counter=counter, more=more), counter

    def said(self, draft: Draft, way: Path, now: float) -> None:
        """The link took it."""
        if draft.beacon:
            way.beacon_at = now
            way.idle_beacons += 1
            self.answer.discard(way.name)
            self.ask.pop(way.name, None)
        if draft.behind:
            self.behind = False
        if draft.welcome:
            self.welcome = None
        if draft.wait:
            self.wait_s = None
        if draft.refusal:
            self.refusal = None
        for each in draft.apart:
            self.apart.pop(each, None)
        self.show_salt = False

    def _short(self, way: Path) -> bool:
        talk = self.talk
        sure = talk.knows_life and bool(talk.secret) and way.silent_timeouts <= _SURE_TIMEOUTS
        return sure and way.slow and not self.show_salt and not self.behind  # an earlier life could not be told

    def _add_control(self, draft: Draft) -> None:
        if self.welcome is not None and draft.add(encode_welcome(self.welcome), priority=1):
            draft.welcome = True
        if self.behind and draft.add(encode_behind(self.counters.highest), priority=1):
            draft.behind = True
        if self.wait_s is not None and draft.add(encode_wait(self.wait_s), priority=1):
            draft.wait = True
        for record, (digest, priority) in self.apart.items():
            if draft.add(encode_apart(Apart(record, digest), peer=self.peer.unit), priority=priority):
                draft.apart.append(record)
        if self.show_salt:
            draft.priority = min(draft.priority, BEACON_PRIORITY)

    def _add_records(
        self, draft: Draft, way: Path, owed: Owed, *, now: float, facts: BeaconFacts, carries: frozenset[int]
    ) -> None:
        owed_at = owed.due_at(way.patience)
        urgent = next(iter(self.ledger.due(way, now, carries=carries & {0})), None)
        if urgent is not None:
            # an alert is not made longer, and so less likely to arrive, by what can wait
            self._pack(draft, way, now=now, facts=facts, carries=carries & {0, 1})
            self._add_owed(draft, way, owed)
            return
        if owed_at is not None and owed_at <= now:
            self._add_owed(draft, way, owed)
        if way.has_room and next(iter(self.ledger.due(way, now, carries=carries)), None) is not None:
            if owed.riding and not draft.acknowledges:
                self._add_owed(draft, way, owed)
            if way.slow and not self.talk.knows_life:
                # the ephemeral key first, for a piece may go to the frame's end; unless it keeps everything else out
                before = len(draft.plain)
                draft.life = draft.add(encode_life(self.life), priority=5)
                self._pack(draft, way, now=now, facts=facts, carries=carries)
                if draft.sendings:
                    return
                del draft.plain[before:]
                draft.life = draft.full = False
            self._pack(draft, way, now=now, facts=facts, carries=carries)

    def _pack(self, draft: Draft, way: Path, *, now: float, facts: BeaconFacts, carries: frozenset[int]) -> None:
        context = draft.context or self.talk.knows_epoch
        packer = RecordPacker(self.unit, epoch=self.epoch if context else -1, short=way.slow)
        due = self.ledger.due(way, now, carries=carries)
        draft.add_records(
            due, self.ledger, way, packer, lambda each: aged(each, now_ms=facts.time_ms, trusted=facts.trusted)
        )

    def _add_owed(self, draft: Draft, way: Path, owed: Owed) -> None:
        heard = owed.name()
        if heard is None and not owed.anything:
            return
        draft.acknowledges = True
        if self.talk.peer_salt is not None and not self._short(way):
            draft.add(encode_to(self.talk.peer_salt), priority=owed.priority)
        if heard is not None:
            draft.add(encode_heard(heard), priority=owed.priority)
        for item, covered in encode_accepted([*owed.ids, *owed.told_once], peer=self.peer.unit):
            if draft.add(item, priority=owed.priority):
                draft.names += covered
        for transfer in sorted(owed.transfers):
            received = self.reassembly.received(transfer)
            if received is None or draft.add(encode_received(received, room=draft.room), priority=owed.priority):
                draft.transfers.append(transfer)

    def _add_beacon(self, draft: Draft, way: Path, owed: Owed, *, now: float, facts: BeaconFacts) -> None:
        at = self.beacon_due_at(way)
        if way.name not in self.answer and (at is None or at > now):
            return
        item = encode_beacon(
            Beacon(
                facts.time_ms,
                trusted=facts.trusted,
                wants_answer=self.peer.role is Role.CORE and way.name not in self.answer,
                free_airtime_percent=facts.free_airtime_percent,
                position=facts.position(),
                holdings=facts.holdings(),
            )
        )
        draft.beacon = draft.add(item, priority=BEACON_PRIORITY)
        if draft.beacon and not draft.acknowledges:
            self._add_owed(draft, way, owed)
