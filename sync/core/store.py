"""The port of a core's store, and the values it gives back.

Invariants every implementation keeps: what `take` was given is on the disk when it returns, the record and what
became of it in one transaction; taking it again changes nothing. Whatever comes in is kept: a body that nobody here
understands as it came, with the reason; a record that must not be believed beside the others, never among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from kit.model.alert import Alert
from kit.model.alert_state import AlertState
from kit.store.links import LinkRow
from sync.core.publications import PublicationStore
from sync.protocol.peers import PeerBook
from sync.protocol.records import Priority, RecordId, RecordStore


class Outcome(StrEnum):
    """What became of a record that was taken."""

    APPLIED = "applied"
    RAW = "raw"
    """Of a kind that this version has no tables for: kept as it came."""
    UNDECODABLE = "undecodable"


@dataclass(frozen=True, kw_only=True)
class Heard:
    """When a kit was last heard over one link, Unix ms."""

    link: str
    at_ms: int


@dataclass(frozen=True, kw_only=True)
class EnrolledKit:
    """A kit that has joined.

    Attributes:
        unit: its id.
        name: as the operator wrote it in the invite.
        link_id: the number in its frames' headers.
        enrolled_ms: when, Unix ms.
        heard: by link, the latest first; empty until its first sealed frame.
        records: how many records of it are here.
        twin_ms: since when it is known that two units have its keys, so that neither is believed; None = it is alone.
    """

    unit: str
    name: str
    link_id: int
    enrolled_ms: int
    heard: tuple[Heard, ...] = ()
    records: int = 0
    twin_ms: int | None = None

    @property
    def last_heard(self) -> Heard | None:
        """Over whichever link."""
        return self.heard[0] if self.heard else None


@dataclass(frozen=True, kw_only=True)
class InviteRow:
    """An invite as the core remembers it. The token is not in it: it is computed from the salt and the core's key.

    Attributes:
        name: of the kit that is invited.
        link_id: the one the kit will have.
        salt: 16 random bytes.
        knock_public: the CURVE public key with which the kit knocks until it is enrolled, 32 bytes.
        created_ms, expires_ms: Unix ms.
        used_by: the unit that used it, or "".
        welcomed_ms: when that unit's first sealed frame proved that it got the answer; None = not yet.
        unit: the only unit that may use it, whatever keys it shows; "" = any whose id is made of its key.
    """

    name: str
    link_id: int
    salt: bytes
    knock_public: bytes
    created_ms: int
    expires_ms: int
    used_by: str = ""
    welcomed_ms: int | None = None
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class TakenRecord:
    """A record that came from a kit.

    Attributes:
        id: its name.
        kind: what it is.
        priority: how urgent.
        created_ms: Unix ms at the kit.
        size_bytes: of its body.
        link: by which it came first.
        received_ms: when it was committed, Unix ms.
        outcome: what became of it.
        reason: why it could not be decoded, else "".
    """

    id: RecordId
    kind: str
    priority: Priority
    created_ms: int
    size_bytes: int
    link: str
    received_ms: int
    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class OwnRecord:
    """A record on its way to a kit: the core's own, or one kit's for another.

    Attributes:
        id: its name; the origin says whose it is.
        addressee: the kit it is for.
        link: by which it left last, or "".
        left_ms, accepted_ms, read_ms: when it left, was committed at that kit, was read by a person there; None = not.
        read_by: who has read it, as they named themselves.
        asks: whether it asks a person to say that they have read it, if records of its kind do.
        undeliverable: it was for a kit that is none of this core's; its author was told.
        opened_ms: of a published file, when somebody's browser at that kit was first given it; None = not known to.
        withdrawn, withdraws: a published file that was taken back; the record that takes one back.
    """

    id: RecordId
    kind: str
    priority: Priority
    created_ms: int
    lifetime_s: int | None
    size_bytes: int
    addressee: str
    link: str
    left_ms: int | None
    accepted_ms: int | None
    read_ms: int | None
    read_by: str
    asks: bool = True
    undeliverable: bool = False
    opened_ms: int | None = None
    withdrawn: bool = False
    withdraws: bool = False

    def expired(self, now_ms: int) -> bool:
        """Whether it ran out before it reached its kit: nobody will carry it any further."""
        return (
            self.accepted_ms is None
            and self.lifetime_s is not None
            and self.created_ms + self.lifetime_s * 1000 <= now_ms
        )


@dataclass(frozen=True, kw_only=True)
class LetterRow:
    """A message between people.

    Attributes:
        number: by which commands name it.
        sent: how far it has come; for a message to the core itself, `accepted_ms` is when it came.
        text, author: as they were written.
        for_core: whether somebody at the core is to read it.
    """

    number: int
    sent: OwnRecord
    text: str
    author: str
    for_core: bool


@dataclass(frozen=True, kw_only=True)
class RefusedRecord:
    """A record that came in but was not believed; its body is kept.

    Attributes:
        peer: who sent it.
        id: the name it claims.
        kind: what it claims to be.
        reason: a sentence.
        link: by which it came first.
        first_ms: when it came first, Unix ms.
        times: how often it came.
    """

    peer: str
    id: RecordId
    kind: str
    reason: str
    link: str
    first_ms: int
    times: int


@dataclass(frozen=True, kw_only=True)
class SeriesRow:
    """One quantity of one device, with its newest value.

    Attributes:
        unit_symbol: SenML symbol of the values.
        count: how many readings are here.
        latest_ms: when the newest was measured, Unix ms.
        quality: flags of the newest (`kit.model.readings.Quality`).
    """

    device: str
    quantity: str
    unit_symbol: str
    count: int
    latest_ms: int
    latest_value: float
    quality: int


class Fidelity(StrEnum):
    """What the core has of a series' day: all readings it knows of, some of them, or summaries of its hours only."""

    RAW = "raw"
    PARTLY = "partly"
    SUMMARY = "summary"


@dataclass(frozen=True, kw_only=True)
class DayRow:
    """A day (UTC) of a series.

    Attributes:
        day_ms: its beginning, Unix ms.
        readings: how many are here.
        told: how many usable ones the kit's summaries told of; they are no readings more.
    """

    device: str
    quantity: str
    unit_symbol: str
    day_ms: int
    readings: int
    told: int
    fidelity: Fidelity


@dataclass(frozen=True, kw_only=True)
class HourRow:
    """An hour of a series as its summary tells it, whose readings are not here yet."""

    device: str
    quantity: str
    unit_symbol: str
    hour_ms: int
    count: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class ForecastRow:
    """The newest forecast of a kit, as its record told it: degrees Celsius, probability 0 to 1, ISO date."""

    night: str
    device: str
    tmin_c: float
    tmin_p10_c: float
    tmin_p90_c: float
    p_frost: float
    warning: bool
    issued_ms: int


@dataclass(frozen=True, kw_only=True)
class QuizRow:
    """All digests of one version of a lesson of one kit, added up.

    Attributes:
        attempts: finished quizzes.
        questions: how many a quiz has.
        mean_score: right answers per attempt.
        until_ms: when the last of them was finished, Unix ms.
    """

    lesson: str
    version: int
    attempts: int
    questions: int
    mean_score: float
    until_ms: int


@dataclass(frozen=True, kw_only=True)
class RecordCounts:
    """How many records came, by what became of them; `refused` counts distinct ones."""

    applied: int = 0
    raw: int = 0
    undecodable: int = 0
    refused: int = 0

    @property
    def taken(self) -> int:
        """All that are here as records."""
        return self.applied + self.raw + self.undecodable


@dataclass(frozen=True, kw_only=True)
class WarningRow:
    """A warning of the core's own, or what followed one.

    Attributes:
        number: by which people name it.
        alert: what it says.
        everybody: whether it is for all kits, those that join later included.
        kits: how many it is for.
        accepted: how many of them have it.
        read: at how many a person has said that they saw it.
    """

    number: int
    alert: Alert
    everybody: bool
    kits: int
    accepted: int
    read: int


class CoreStore(RecordStore, PeerBook, PublicationStore, Protocol):
    """All that the core needs of its store. Belongs to one thread."""

    def add_invite(self, invite: InviteRow) -> bool:
        """Keep an invite; False if its link id is taken."""
        ...

    def open_invites(self, *, now_ms: int) -> Sequence[InviteRow]:
        """Those that nobody has used and that have not expired, the first to expire first."""
        ...

    def may_connect(self, curve_public: bytes, *, now_ms: int) -> bool:
        """Whether a CURVE public key (32 bytes) is an enrolled kit's, or that of an invite still good to knock with."""
        ...

    def remove_kit(self, unit: str, *, now_ms: int) -> bool:
        """Forget the enrolment; what the kit has sent stays. False if there is no such kit.

        Whoever wrote to it and was not heard there yet is told that it cannot be delivered.
        """
        ...

    def withdraw_invites(self, name: str, *, now_ms: int) -> int:
        """Make the open invites of that name worthless; returns how many."""
        ...

    def write(
        self, *, addressee: str, kind: str, priority: int, body: bytes, now_ms: int, lifetime_s: int | None = None
    ) -> RecordId:
        """Write a record of the core's own for a kit; it leaves when that kit is heard."""
        ...

    def warnings(self) -> Sequence[WarningRow]:
        """The core's own warnings and what followed them, in the order in which they were said."""
        ...

    def follow(self, earlier: Sequence[int], *, body: bytes, now_ms: int, lifetime_s: int, alert: str = "") -> RecordId:
        """Say what follows these warnings of one incident, to the kits that they were for; they go no further.

        `alert` is as for `publish`.
        """
        ...

    def messages(self, *, limit: int) -> Sequence[LetterRow]:
        """Messages between people, both ways, the newest first."""
        ...

    def own_records(self, *, limit: int) -> Sequence[OwnRecord]:
        """What is on its way to kits, or has reached them: what waits first, then the newest."""
        ...

    def mark_read(self, number: int, *, person: str, now_ms: int) -> bool:
        """A person at the core has read a message for the core; its author is told. False if that is no news."""
        ...

    def kits(self) -> Sequence[EnrolledKit]:
        """Every enrolled kit, by name."""
        ...

    def alerts(self, unit: str, *, until_after_ms: int) -> Sequence[AlertState]:
        """How the incidents of that kit stand that hold until then or longer, the newest first."""
        ...

    def early_receipts(self, unit: str) -> int:
        """Receipts for a warning that has not come itself yet."""
        ...

    def series(self, unit: str) -> Sequence[SeriesRow]:
        """What its devices measure, by device and quantity."""
        ...

    def days(self, unit: str, *, now_ms: int) -> Sequence[DayRow]:
        """Which fidelity the core has of each series' last days, the newest first."""
        ...

    def hours(self, unit: str) -> Sequence[HourRow]:
        """Per series, the newest summarised hour that is newer than its newest reading."""
        ...

    def forecast(self, unit: str) -> ForecastRow | None:
        """The forecast it issued last."""
        ...

    def quizzes(self, unit: str) -> Sequence[QuizRow]:
        """Its lessons' results."""
        ...

    def taken(
        self, *, unit: str | None = None, kind: str | None = None, limit: int | None = None
    ) -> Iterator[TakenRecord]:
        """Records in the order in which they came; with a limit, the last so many."""
        ...

    def refused(self, *, limit: int) -> Sequence[RefusedRecord]:
        """Records that were not believed, the newest first."""
        ...

    def undecodable(self, *, limit: int) -> Sequence[TakenRecord]:
        """Records that nobody here could read, the newest first."""
        ...

    def counts(self) -> RecordCounts:
        """How many records came."""
        ...

    def links(self) -> Sequence[LinkRow]:
        """What the sync service last said of the core's own links."""
        ...
