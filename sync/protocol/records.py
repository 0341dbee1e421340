"""Records: the immutable things that sync, and the ports through which a session reaches their store.

A record is named by (origin, epoch, seq). `seq` counts from 1 without gaps per origin and epoch; a restored backup
starts a new epoch. Whoever receives one may receive it again: committing is idempotent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from sync.protocol.errors import LocalSyncError

if TYPE_CHECKING:
    from sync.protocol.beacons import Holding, Position


class Priority(IntEnum):
    """Who goes first; smaller is more urgent."""

    DISTRESS = 0
    RECEIPT = 1
    MESSAGE = 2
    SUMMARY = 3
    READING = 4
    BULK = 5


class Custody(StrEnum):
    """How far a record is known to have come. `ACCEPTED` means committed at the other side, `READ` by a person."""

    WRITTEN = "written"
    LEFT = "left"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    READ = "read"


class RecordId(NamedTuple):
    """The name of a record."""

    origin: str
    epoch: int
    seq: int


@dataclass(frozen=True, kw_only=True)
class Record:
    """One thing to be synced.

    Attributes:
        id: its name.
        kind: what it is, for example "alert", "receipt", "readings"; at most 32 ASCII characters.
        priority: who goes first.
        created_ms: Unix time in milliseconds at the origin.
        lifetime_s: after this it need not be carried any further; None = for ever.
        addressee: the unit it is for; "" = the city core.
        body: CBOR (RFC 8949).
        age_s: how old it was when it was sent, in seconds, by an origin that did not trust its clock; then `created_ms`
            is 0 until whoever takes it has counted back. None = `created_ms` is what the origin says.
    """

    id: RecordId
    kind: str
    priority: Priority
    created_ms: int
    lifetime_s: int | None = None
    addressee: str = ""
    body: bytes
    age_s: int | None = None


DIGEST_BYTES = 4
"""Enough to tell apart two records of one name, which only a unit whose card was copied writes."""


class Held(NamedTuple):
    """A record that is committed somewhere, and what it holds there."""

    id: RecordId
    digest: bytes


def digest_of(kind: str, body: bytes) -> bytes:
    """By which a record is known from another one of the same name: the first bytes of a SHA-256."""
    import hashlib

    return hashlib.sha256(kind.encode() + b"\0" + body).digest()[:DIGEST_BYTES]


class CannotStoreNow(LocalSyncError):  # noqa: N818 - the project's style
    """The disk is full or fails: nothing was committed, and nothing may be acknowledged. It may pass by itself."""


class RecordStore(Protocol):
    """What a sync engine needs of a store, on either side.

    Every method that changes something commits before it returns, or raises `CannotStoreNow` and has changed nothing.

    `peer` is the unit id of the other side.
    """

    def outgoing(self, peer: str, *, now_ms: int, limit: int) -> list[Record]:
        """Records for that peer which it has not accepted and which have not expired, by (priority, seq)."""
        ...

    def waited_for_by(self, *, now_ms: int) -> Collection[str] | None:
        """The peers for which `outgoing` has anything, where that is quicker to tell than to ask for each; or None."""
        ...

    def left(self, ids: Sequence[RecordId], *, peer: str, link: str, at_ms: int) -> None:
        """They were handed whole to that link."""
        ...

    def accepted(self, ids: Sequence[RecordId], *, peer: str, link: str, at_ms: int) -> None:
        """The peer says that it has committed them."""
        ...

    def held(self, ids: Iterable[RecordId]) -> set[RecordId]:
        """Those of the named records that are already committed here."""
        ...

    def take(self, records: Sequence[Record], *, peer: str, link: str, at_ms: int) -> Collection[Record]:
        """Commit received records in one transaction. A record already held changes nothing.

        Returns:
            Those that were not committed, because another record is held under their name: they are not acknowledged.
        """
        ...

    def rename(self, kept_apart: Collection[Held], *, peer: str, at_ms: int) -> None:
        """That peer has not taken these, for it holds other records under their names: give those new ones.

        Our own get names of a new epoch, in which we go on: our store was set back, or its card copied. What another
        unit wrote cannot be delivered. One that is not as told is passed over.
        """
        ...

    def position(self) -> Position | None:
        """How far our own records go; None before the first epoch has begun."""
        ...

    def holdings(self, peer: str) -> tuple[Holding, ...]:
        """What is held of the peer's own records, of its newest epochs."""
        ...

    def refill(self, peer: str, told: Sequence[Holding]) -> int:
        """The peer tells what it holds: offer what it once accepted and has lost; returns how many that are.

        Only epochs that it names are judged, in each only what lies below `Holding.told_up_to`, or, in its newest, all.
        """
        ...

    def load_session(self, peer: str) -> bytes | None:
        """What `save_session` last kept for that peer (counters, replay window)."""
        ...

    def save_session(self, peer: str, state: bytes) -> None:
        """Keep the session's state; it must survive a power cut before any frame that depends on it is sent."""
        ...


def dated(record: Record, now_ms: int) -> Record:
    """With the time counted back, if its origin did not know it."""
    return record if record.age_s is None else replace(record, created_ms=now_ms - record.age_s * 1000, age_s=None)
