"""What goes onto a stick and what is taken from it, on a kit and on the core alike.

Invariants
- A record put on a stick has left the village; only the other side's acknowledgement, sealed and carried back, makes it
  accepted, and only if what is held there is what was written here. Nothing is forgotten because it was copied.
- What is taken is committed before it is acknowledged, in one transaction per bundle.
- Whatever is done twice changes nothing the second time: a stick that was pulled out, carried twice or carried half is
  simply carried again. A unit opens its own bundles to see what is on the stick already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from sync.bundles.passing import Passing
from sync.bundles.shelf import Found, ShelfError, Stick
from sync.protocol.bundle import Bundle, encode_payload, read_payload
from sync.protocol.carried import SALT_BYTES, CarriedFrames, accepted_frames, plain_frames
from sync.protocol.enrolment import Hello
from sync.protocol.errors import ForgedFrame, RemoteSyncError
from sync.protocol.frames import FrameType, frame_link_id, frame_type
from sync.protocol.items import encode_welcome
from sync.protocol.peers import Peer, Role
from sync.protocol.records import Held, Record, RecordId

Opened = TypeVar("Opened")

LINK = "stick"
"""The name under which custody is shown."""

BUNDLE_BYTES = 512 * 1024
"""A bundle is closed once it holds this much; the next one begins."""

LIFETIME_MS = 90 * 86_400_000
"""A stick that is carried later than this carries nothing: its records went another way, or are sealed anew."""

ACKNOWLEDGED_MS = LIFETIME_MS
"""How far back what was received is acknowledged again on every stick."""

SILENT_MS = 86_400_000
"""A kit that a link heard since then is told there what has come; after a longer silence a stick says it, too."""

ENDPOINT = "dtn://{unit}/sync"


class CarriedStore(Protocol):
    """What an exchange needs of a store, on either side; every change is committed before the method returns."""

    def backlog(self, peer: str, *, now_ms: int) -> Iterator[Record]:
        """Everything that waits for that peer and has not expired, the most urgent first."""
        ...

    def held_from(self, peer: str, *, since_ms: int) -> Iterable[Held]:
        """What was received from that peer since then and is committed here."""
        ...

    def waiting_among(self, ids: Sequence[RecordId], *, peer: str) -> list[Held]:
        """Those of our own records that the peer has not accepted yet, with what we hold."""
        ...

    def left(self, ids: Sequence[RecordId], *, peer: str, link: str, at_ms: int) -> None:
        """They were handed whole to that link."""
        ...

    def accepted(self, ids: Sequence[RecordId], *, peer: str, link: str, at_ms: int) -> None:
        """The peer says that it has committed them."""
        ...

    def take(self, records: Sequence[Record], *, peer: str, link: str, at_ms: int) -> object:
        """Commit received records in one transaction. A record already held changes nothing."""
        ...


class Target(Protocol):
    """Where bundles are put (`Stick`, `BundleFile`)."""

    def add(self, bundle: Bundle) -> str:
        """Put it there; gives its name."""
        ...


class Source(Protocol):
    """Where bundles are found (`Stick`, `BundleFile`)."""

    def read(self) -> Iterator[Found]:
        """Everything that lies there."""
        ...


@dataclass
class Exported:
    """What was put on a stick.

    Attributes:
        records: newly.
        already: were on it before and still wait.
        acknowledged: records of the other side of which it now says that they are held here.
        bundles: newly written.
        removed: bundles taken away because everything in them has arrived.
        passed_on: other kits' bundles that were kept here and are on it now.
        trouble: "" or why it stopped before the end.
    """

    records: int = 0
    already: int = 0
    acknowledged: int = 0
    bundles: int = 0
    removed: int = 0
    passed_on: int = 0
    trouble: str = ""


@dataclass
class Imported:
    """What was taken from a stick.

    Attributes:
        bundles: that were for us.
        records: in them, those held already included.
        accepted: own records that the other side says it has committed, newly.
        unlike: own records that it says it holds, but with other contents: another unit has our keys and our names.
        foreign: bundles for somebody else, left where they are.
        kept: of those, how many were copied to go on with another stick.
        damaged: names of files that are no whole bundle, or hold something that nobody we know has sealed; each with
            the reason.
        expired: bundles for us whose lifetime has ended; taken all the same.
        welcomed: the name of the core that has enrolled us, if it says so.
        enrolled: kits that joined by what was on the stick.
    """

    bundles: int = 0
    records: int = 0
    accepted: int = 0
    unlike: int = 0
    foreign: int = 0
    expired: int = 0
    welcomed: str | None = None
    enrolled: list[str] = field(default_factory=list)
    damaged: list[tuple[str, str]] = field(default_factory=list)
    kept: int = 0


class Exchange:
    """A unit's dealings with sticks.

    Args:
        unit: our own id.
        exchange_private: our X25519 private key.
        store: ours.
        peers: a kit's one core, or the core's kits.
        now_ms: Unix ms by our clock.
        trusted: whether that clock knows the time.
        random: gives so many random bytes that never repeat.
        hello: a kit that the core has not welcomed yet says this, and nothing else.
        enrol: the core's: a hello has come; the peer it is now, or None.
        name: the core's, for its welcome.
        heard: told of each peer whose seal was found on something, and whether that was the other pair of keys (a kit's
            next ones, or those that we do not use at present).
        other_private: a kit's X25519 private key that is not in use, while it has two pairs.
        passing: what is kept of others, to go on with the next stick; None = nothing is.
        by_hand: whether a peer may be waiting for answers that are carried; the others are answered by a link.
    """

    def __init__(
        self,
        *,
        unit: str,
        exchange_private: bytes,
        store: CarriedStore,
        peers: Sequence[Peer],
        now_ms: int,
        trusted: bool,
        random: Callable[[int], bytes],
        hello: bytes = b"",
        enrol: Callable[[Hello], Peer | None] | None = None,
        name: str = "",
        heard: Callable[[str, bool], object] | None = None,
        other_private: bytes = b"",
        passing: Passing | None = None,
        by_hand: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._unit, self._store, self._now_ms, self._trusted, self._random = unit, store, now_ms, trusted, random
        self._hello, self._enrol, self._name, self._private = hello, enrol, name, exchange_private
        self._heard, self._passing, self._by_hand = heard, passing, by_hand
        self._other_private = other_private
        self._sealed: dict[int, CarriedFrames] = {}
        self._others: dict[int, CarriedFrames] = {}
        for peer in peers:
            self._know(peer)

    def _know(self, peer: Peer) -> None:
        self._sealed[peer.link_id] = CarriedFrames(unit=self._unit, exchange_private=self._private, peer=peer)
        self._others.pop(peer.link_id, None)
        private = self._other_private or (self._private if peer.next_public else b"")
        if private:
            other = replace(peer, exchange_public=peer.next_public or peer.exchange_public, next_public=b"")
            self._others[peer.link_id] = CarriedFrames(unit=self._unit, exchange_private=private, peer=other)

    # --- taking ---

    def take_from(self, source: Source) -> Imported:
        """Take everything that is for us. Every bundle is committed for itself.

        Raises:
            ShelfError: the stick cannot be read.
        """
        told = Imported()
        us = ENDPOINT.format(unit=self._unit)
        for found in source.read():
            if found.bundle is None:
                told.damaged.append((found.name, found.trouble))
            elif found.bundle.destination == us:
                self._take(found.name, found.bundle, told)
            elif found.bundle.source != us:
                told.foreign += 1
                told.kept += self._passing is not None and self._passing.keep(found.bundle)
        return told

    def _take(self, name: str, bundle: Bundle, told: Imported) -> None:
        records: dict[Peer, list[Record]] = {}
        accepted: dict[Peer, list[Held]] = {}
        under_other: set[int] = set()
        try:
            for frame in read_payload(bundle.payload):
                if self._open(frame, records, accepted, told):
                    under_other.add(frame_link_id(frame))
        except RemoteSyncError as error:
            told.damaged.append((name, str(error)))
            return
        for peer, theirs in records.items():
            self._store.take(theirs, peer=peer.unit, link=LINK, at_ms=self._now_ms)
            told.records += len(theirs)
        for peer, theirs_of_ours in accepted.items():
            self._note_accepted(peer, theirs_of_ours, told)
        for peer in {peer.link_id: peer for peer in (*records, *accepted)}.values():
            self._note_heard(peer, other=peer.link_id in under_other)
        told.bundles += 1
        told.expired += self._trusted and bundle.expired(self._now_ms)

    def _open(
        self,
        frame: bytes,
        records: dict[Peer, list[Record]],
        accepted: dict[Peer, list[Held]],
        told: Imported,
    ) -> bool:
        """Whether it was sealed with the other pair of keys."""
        if frame_type(frame) is FrameType.HELLO:
            self._greet(frame, told)
            return False
        sealed = self._sealed.get(frame_link_id(frame))
        if sealed is None:
            raise RemoteSyncError("sealed by somebody whom nobody here knows")
        items, is_other = self._opened(frame, CarriedFrames.open)
        if items.welcome is not None:
            told.welcomed = items.welcome
        if items.records:
            records.setdefault(sealed.peer, []).extend(items.records)
        if items.accepted:
            accepted.setdefault(sealed.peer, []).extend(items.accepted)
        return is_other

    def _opened(self, frame: bytes, opens: Callable[[CarriedFrames, bytes], Opened]) -> tuple[Opened, bool]:
        """With the keys in use or, where there are two pairs, with the others; and with which.

        Raises:
            RemoteSyncError: with neither.
        """
        link_id = frame_link_id(frame)
        try:
            return opens(self._sealed[link_id], frame), False
        except ForgedFrame:
            other = self._others.get(link_id)
            if other is None:
                raise
            return opens(other, frame), True

    def _note_heard(self, peer: Peer, *, other: bool) -> None:
        if self._heard is not None:
            self._heard(peer.unit, other)
        if other and peer.next_public:  # those are its keys now, and the answer is sealed for them
            before = self._sealed[peer.link_id]
            self._know(replace(peer, exchange_public=peer.next_public, next_public=b""))
            self._others[peer.link_id] = before  # a bundle of before may lie on the same stick

    def _note_accepted(self, peer: Peer, held: Sequence[Held], told: Imported) -> None:
        """What they hold as we have written it is accepted; the rest under our names was written by another."""
        waiting = self._store.waiting_among([each.id for each in held], peer=peer.unit)
        same = {each.id for each in set(waiting) & set(held)}
        if same:
            self._store.accepted(sorted(same), peer=peer.unit, link=LINK, at_ms=self._now_ms)
        told.accepted += len(same)
        told.unlike += len(waiting) - len(same)

    def _greet(self, frame: bytes, told: Imported) -> None:
        """A kit joins by stick: only who holds the invite's token gets in, as by any other way."""
        peer = self._enrol(Hello.decode(frame)) if self._enrol is not None else None
        if peer is None:
            raise ForgedFrame("a kit says hello whose invite is unknown, used or expired")
        if peer.link_id not in self._sealed:
            told.enrolled.append(peer.unit)
        self._know(peer)

    # --- putting ---

    def put_on(self, stick: Stick) -> Exported:
        """Put on the stick what waits and is not on it yet, and what is to be acknowledged; tidy up what has arrived.

        A stick that fills up on the way keeps what fits, the most urgent first.
        """
        told = Exported()
        stick.tidy()
        there: dict[int, set[RecordId]] = {}
        acknowledgements: list[str] = []
        for found in stick.read():  # one at a time: a stick may hold more than this machine's memory
            if found.bundle is not None and found.bundle.source == ENDPOINT.format(unit=self._unit):
                self._look_at_own(stick, found.name, found.bundle, told, there=there, stale=acknowledgements)
        try:
            for link_id in self._sealed:
                self._put(stick, link_id, told, already=there.get(link_id, set()))
            if self._passing is not None:
                told.passed_on = self._passing.put_on(stick, now_ms=self._now_ms, trusted=self._trusted)
        except ShelfError as error:
            told.trouble = str(error)
            return told
        for name in acknowledgements:
            stick.remove(name)  # only now: the new ones, which say more, are on the stick
        return told

    def put_into(self, target: Target) -> Exported:
        """Put everything that waits into a new file."""
        told = Exported()
        for link_id in self._sealed:
            self._put(target, link_id, told, already=set())
        return told

    def _look_at_own(
        self,
        stick: Stick,
        name: str,
        bundle: Bundle,
        told: Exported,
        *,
        there: dict[int, set[RecordId]],
        stale: list[str],
    ) -> None:
        """What a bundle of our own holds; one that is of no more use goes."""
        held: dict[int, list[RecordId]] = {}
        try:
            for frame in read_payload(bundle.payload):
                known = frame_link_id(frame) in self._sealed
                records = self._opened(frame, CarriedFrames.open_own)[0] if known else ()
                if records:
                    held.setdefault(frame_link_id(frame), []).extend(each.id for each in records)
        except RemoteSyncError:
            stick.remove(name)  # an unreadable bundle of ours carries nothing
            return
        if not held:
            stale.append(name)
            return
        waiting = 0
        for link_id, ids in held.items():
            still = self._store.waiting_among(ids, peer=self._sealed[link_id].peer.unit)
            there.setdefault(link_id, set()).update(each.id for each in still)
            waiting += len(still)
        told.already += waiting
        if not waiting:
            stick.remove(name)
            told.removed += 1

    def _put(self, target: Target, link_id: int, told: Exported, *, already: set[RecordId]) -> None:
        sealed = self._sealed[link_id]
        peer = sealed.peer.unit
        if self._hello:
            self._ship(target, sealed, [self._hello], told)
            return
        if self._by_hand(peer):
            self._answer(target, sealed, told)
        fresh = (each for each in self._store.backlog(peer, now_ms=self._now_ms) if each.id not in already)
        self._write_all(target, sealed, plain_frames(self._unit, fresh), told)

    def _answer(self, target: Target, sealed: CarriedFrames, told: Exported) -> None:
        """Say everything that is held of that peer, so that a lost stick loses no answer."""
        peer = sealed.peer.unit
        held = list(self._store.held_from(peer, since_ms=self._now_ms - ACKNOWLEDGED_MS))
        told.acknowledged += len(held)
        answers: list[tuple[bytes, list[RecordId]]] = [(each, []) for each in accepted_frames(held, peer=peer)]
        if sealed.peer.role is Role.KIT:
            answers.insert(0, (encode_welcome(self._name), []))
        self._write_all(target, sealed, answers, told)

    def _write_all(
        self, target: Target, sealed: CarriedFrames, frames: Iterable[tuple[bytes, list[RecordId]]], told: Exported
    ) -> None:
        """As many bundles as it takes."""
        some: list[tuple[bytes, list[RecordId]]] = []
        for plain, ids in frames:
            some.append((plain, ids))
            if sum(len(each) for each, _ in some) >= BUNDLE_BYTES:
                self._write(target, sealed, some, told)
                some = []
        if some:
            self._write(target, sealed, some, told)

    def _write(
        self, target: Target, sealed: CarriedFrames, some: list[tuple[bytes, list[RecordId]]], told: Exported
    ) -> None:
        salt = self._random(SALT_BYTES)
        frames = [sealed.seal(plain, salt=salt, number=number) for number, (plain, _) in enumerate(some)]
        self._ship(target, sealed, frames, told)
        left = [each for _, ids in some for each in ids]
        if left:
            self._store.left(left, peer=sealed.peer.unit, link=LINK, at_ms=self._now_ms)
            told.records += len(left)

    def _ship(self, target: Target, sealed: CarriedFrames, frames: list[bytes], told: Exported) -> None:
        bundle = Bundle(
            source=ENDPOINT.format(unit=self._unit),
            destination=ENDPOINT.format(unit=sealed.peer.unit),
            created_ms=self._now_ms if self._trusted else None,
            sequence=int.from_bytes(self._random(4), "big"),
            lifetime_ms=LIFETIME_MS,
            payload=encode_payload(frames),
        )
        target.add(bundle)
        told.bundles += 1
