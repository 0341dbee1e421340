"""The core's store as one SQLite file. Every method that changes something commits before it returns.

A store belongs to one thread; the sync loop, the door and each request of the page open their own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from kit.errors import UsageError
from kit.home import Home
from kit.identity import Identity
from kit.model.alert_state import AlertState
from kit.model.record_kinds import MESSAGE
from kit.settings import CoreSettings
from kit.store.database import Database
from kit.store.holdings import holdings as holdings_of
from kit.store.links import LinkRow, links
from kit.store.records import storing
from sync.core import (
    broadcast_custody,
    broadcast_rows,
    digest_rows,
    holdings,
    key_rows,
    kit_rows,
    letters,
    own_rows,
    publication_rows,
    queries,
    reading_rows,
    record_rows,
    renaming,
    village_rows,
    warning_rows,
)
from sync.core.publications import Publication
from sync.core.room import CoreRoom
from sync.core.schema import MIGRATIONS
from sync.core.store import (
    DayRow,
    EnrolledKit,
    ForecastRow,
    HourRow,
    InviteRow,
    LetterRow,
    OwnRecord,
    QuizRow,
    RecordCounts,
    RefusedRecord,
    SeriesRow,
    TakenRecord,
    WarningRow,
)
from sync.protocol.beacons import Holding, Position
from sync.protocol.broadcast import PlannedBroadcast
from sync.protocol.enrolment import Hello
from sync.protocol.peers import Peer, Refusal
from sync.protocol.records import CannotStoreNow, Held, Record, RecordId


def store_file(home: Home, settings: CoreSettings) -> Path:
    """Where `[core] store` says that the SQLite file is; a relative path is below the home.

    Raises:
        UsageError: the setting names something else than SQLite.
    """
    told = settings.store
    if not told:
        return home.core_database
    kind, _, path = told.partition(":")
    if kind == "sqlite" and path and not path.startswith("//"):
        return home.path / Path(path).expanduser()
    if kind in {"postgresql", "postgres"}:
        raise UsageError(
            f'[core] store = "{kind}://…": this version keeps the core\'s data in SQLite only; '
            f'write store = "sqlite:PATH", or leave it empty for core.db in the core\'s home'
        )
    raise UsageError(f'[core] store = "{told}" is unknown; write "sqlite:PATH", or leave it empty')


CORE_PAGE_BYTES = 4096
"""SQLite's default. A core takes many readings in each commit and stands on a real disk: the kits' small pages, which
spare an SD card, would only cost it time."""


class SqliteCoreStore:
    """See `sync.core.store.CoreStore`. Use it as a context manager.

    Args:
        file: the SQLite file; made if it is missing.
        identity: the core's own: its unit is the origin of its records, its key makes and checks invites.
        refused_kept: how many refused records of one peer are kept.
        room: on the disk; what it refuses is not taken.
    """

    def __init__(
        self,
        file: Path,
        identity: Identity,
        *,
        refused_kept: int = record_rows.REFUSED_KEPT_PER_PEER,
        room: CoreRoom | None = None,
    ) -> None:
        self._refused_kept, self._room = refused_kept, room or CoreRoom(file)
        self._database = Database(file, migrations=MIGRATIONS, page_bytes=CORE_PAGE_BYTES)
        self._identity = identity

    def __enter__(self) -> Self:
        self._database.open()
        if self._database.connection.execute("SELECT origin FROM core_own").fetchone() != (self._identity.unit,):
            with self._database.atomic() as connection:
                record_rows.set_origin(connection, self._identity.unit)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    # -- records, for the engine (`sync.protocol.records.RecordStore`)

    def outgoing(self, peer: str, *, now_ms: int, limit: int) -> list[Record]:
        """The core's own records for that kit."""
        own = record_rows.outgoing(self._database.connection, peer, now_ms=now_ms, limit=limit)
        shared = broadcast_rows.outgoing(self._database.connection, peer, now_ms=now_ms, limit=limit)
        if not shared:
            return own
        return sorted((*own, *shared), key=lambda each: each.priority)[:limit]

    def waited_for_by(self, *, now_ms: int) -> set[str]:
        """The kits for which something waits."""
        connection = self._database.connection
        own = record_rows.waited_for_by(connection, now_ms=now_ms)
        return own | broadcast_rows.waited_for_by(connection, now_ms=now_ms)

    def backlog(self, peer: str, *, now_ms: int) -> Iterator[Record]:
        """Everything for that kit, for a stick."""
        yield from broadcast_rows.backlog(self._database.connection, peer, now_ms=now_ms)
        yield from record_rows.backlog(self._database.connection, peer, now_ms=now_ms)

    def held_from(self, peer: str, *, since_ms: int) -> list[Held]:
        """What came from that kit since then."""
        return digest_rows.held_from(self._database.connection, peer, since_ms=since_ms)

    def waiting_among(self, ids: Sequence[RecordId], *, peer: str) -> list[Held]:
        """The core's own records that the kit has not accepted."""
        connection = self._database.connection
        shared = [each for each in ids if broadcast_custody.waits(connection, each, peer=peer)]
        return record_rows.as_held(connection, record_rows.waiting_among(connection, ids, peer=peer) + shared)

    def left(self, ids: Sequence[RecordId], *, peer: str, link: str, at_ms: int) -> None:
        """They were handed whole to that link."""
        with storing(), self._database.atomic() as connection:
            record_rows.note_left(connection, ids, peer=peer, link=link, at_ms=at_ms)
            broadcast_custody.note_left(connection, ids, peer=peer, link=link, at_ms=at_ms)

    def accepted(self, ids: Sequence[RecordId], *, peer: str, link: str, at_ms: int) -> None:
        """The kit has committed them; the authors of what was another kit's are told in the same transaction."""
        with storing(), self._database.atomic() as connection:
            delivered = record_rows.note_accepted(connection, ids, peer=peer, link=link, at_ms=at_ms)
            broadcast_custody.note_accepted(connection, ids, peer=peer, link=link, at_ms=at_ms)
            for origin, records in delivered.items():
                letters.tell_author(connection, origin, records, read=False, person="", now_ms=at_ms)

    def held(self, ids: Iterable[RecordId]) -> set[RecordId]:
        """Those that are committed here."""
        return record_rows.held(self._database.connection, ids)

    def take(self, records: Sequence[Record], *, peer: str, link: str, at_ms: int) -> list[Record]:
        """Commit and apply what a kit sent, in one transaction; returns what was kept apart."""
        if refused := self._room.refuses(records):
            raise CannotStoreNow(refused)
        with storing(), self._database.atomic() as connection:
            apart = record_rows.take(
                self._database, records, peer=peer, link=link, at_ms=at_ms, refused_kept=self._refused_kept
            )
            to_kits = {each.addressee for each in records if each.kind == MESSAGE and each.addressee}
            letters.say_undeliverable(connection, to_kits, now_ms=at_ms)
        return apart

    def rename(self, kept_apart: Collection[Held], *, peer: str, at_ms: int) -> None:
        """That kit holds other records under these names."""
        with storing(), self._database.atomic() as connection:
            renaming.rename(connection, kept_apart, peer=peer, now_ms=at_ms)

    def position(self) -> Position | None:
        """How far the core's own records go."""
        return holdings.position(self._database.connection)

    def holdings(self, peer: str) -> tuple[Holding, ...]:
        """What is held of that kit's records."""
        return holdings_of(self._database.connection, "core_records", peer)

    def refill(self, peer: str, told: Sequence[Holding]) -> int:
        """The kit was rebuilt from a backup: offer it again what it had accepted since."""
        with storing(), self._database.atomic() as connection:
            return holdings.refill(connection, peer, told)

    def load_session(self, peer: str) -> bytes | None:
        """What `save_session` last kept for that kit."""
        row = self._database.connection.execute("SELECT state FROM core_sessions WHERE peer = ?", (peer,)).fetchone()
        return None if row is None else bytes(row[0])

    def save_session(self, peer: str, state: bytes) -> None:
        """Keep a session's state."""
        with storing(), self._database.atomic() as connection:
            connection.execute(
                "INSERT INTO core_sessions VALUES (?, ?) ON CONFLICT (peer) DO UPDATE SET state = excluded.state",
                (peer, state),
            )

    def changed(self) -> int:
        """A number that changes whenever another process or thread has written to the store; cheap."""
        return self._database.changed_elsewhere()

    # -- kits and invites (`sync.protocol.peers.PeerBook` and more)

    def by_link_id(self, link_id: int) -> Peer | None:
        """The enrolled kit with that link id."""
        return kit_rows.by_link_id(self._database.connection, link_id)

    def enrol(self, hello: Hello, *, now_ms: int, link: str) -> Peer | Refusal:
        """Enrol the kit that says hello, once."""
        with storing(), self._database.atomic() as connection:
            answer = kit_rows.enrol(
                connection, hello, exchange_private=self._identity.exchange_private, now_ms=now_ms, link=link
            )
            if isinstance(answer, Peer):
                broadcast_rows.include(connection, answer.unit, now_ms=now_ms)
            return answer

    def heard(self, unit: str, *, link: str, via: str, now_ms: int) -> None:
        """A sealed frame of that kit came in."""
        with suppress(CannotStoreNow), storing(), self._database.atomic() as connection:
            kit_rows.heard(connection, unit, link=link, via=via, now_ms=now_ms)

    def heard_by(self, unit: str) -> str:
        """The link by which that kit was heard last; "" = by none."""
        return kit_rows.heard_by(self._database.connection, unit)

    def answers_by_hand(self, unit: str, *, stick: str, since_ms: int, silent_ms: int) -> bool:
        """Whether that kit may be waiting for answers on a stick."""
        connection = self._database.connection
        return kit_rows.answers_by_hand(connection, unit, stick=stick, since_ms=since_ms, silent_ms=silent_ms)

    def twin_heard(self, unit: str, *, now_ms: int) -> None:
        """Two units with that kit's keys are alive."""
        with suppress(CannotStoreNow), storing(), self._database.atomic() as connection:
            kit_rows.twin_heard(connection, unit, now_ms=now_ms)

    def speaks_under_next_key(self, unit: str) -> bool:
        """A frame of that kit came in under the keys that it had told."""
        with suppress(CannotStoreNow), storing(), self._database.atomic() as connection:
            return key_rows.promote(connection, unit)
        return False

    def all(self) -> Sequence[Peer]:
        """Every enrolled kit."""
        return kit_rows.peers(self._database.connection)

    def add_invite(self, invite: InviteRow) -> bool:
        """Keep an invite."""
        with self._database.atomic() as connection:
            return kit_rows.add_invite(connection, invite)

    def open_invites(self, *, now_ms: int) -> list[InviteRow]:
        """Those still waiting for a kit."""
        return kit_rows.open_invites(self._database.connection, now_ms=now_ms)

    def may_connect(self, curve_public: bytes, *, now_ms: int) -> bool:
        """Whether that CURVE key may open a connection."""
        return kit_rows.may_connect(self._database.connection, curve_public, now_ms=now_ms)

    def remove_kit(self, unit: str, *, now_ms: int) -> bool:
        """Forget an enrolment; what waits for it cannot be delivered any more."""
        with self._database.atomic() as connection:
            removed = kit_rows.remove_kit(connection, unit)
            if removed:
                letters.say_undeliverable(connection, [unit], now_ms=now_ms)
            return removed

    def withdraw_invites(self, name: str, *, now_ms: int) -> int:
        """Make open invites worthless."""
        with self._database.atomic() as connection:
            return kit_rows.withdraw_invites(connection, name, now_ms=now_ms)

    def write(
        self, *, addressee: str, kind: str, priority: int, body: bytes, now_ms: int, lifetime_s: int | None = None
    ) -> RecordId:
        """Write a record for a kit."""
        with self._database.atomic() as connection:
            return own_rows.write(
                connection,
                addressee=addressee,
                kind=kind,
                priority=priority,
                body=body,
                now_ms=now_ms,
                lifetime_s=lifetime_s,
            )

    def publish(
        self,
        *,
        kind: str,
        priority: int,
        body: bytes,
        now_ms: int,
        lifetime_s: int | None = None,
        units: Sequence[str] | None = None,
        alert: str = "",
    ) -> RecordId:
        """Write a record for many kits."""
        with self._database.atomic() as connection:
            return broadcast_rows.publish(
                connection,
                kind=kind,
                priority=priority,
                body=body,
                now_ms=now_ms,
                lifetime_s=lifetime_s,
                units=units,
                alert=alert,
            )

    def published(self, kind: str) -> list[bytes]:
        """Bodies of what was published."""
        return broadcast_rows.published(self._database.connection, kind)

    def publications(self, *, limit: int) -> list[Publication]:
        """The files among it."""
        return publication_rows.publications(self._database.connection, limit=limit)

    def withdraw(self, number: int, *, now_ms: int) -> RecordId:
        """Take one of them back."""
        with self._database.atomic() as connection:
            return publication_rows.withdraw(connection, number, now_ms=now_ms)

    def warnings(self) -> list[WarningRow]:
        """The core's own."""
        return warning_rows.warnings(self._database.connection)

    def follow(self, earlier: Sequence[int], *, body: bytes, now_ms: int, lifetime_s: int, alert: str = "") -> RecordId:
        """Say what follows them."""
        with self._database.atomic() as connection:
            return warning_rows.follow(
                connection, earlier, body=body, now_ms=now_ms, lifetime_s=lifetime_s, alert=alert
            )

    # -- broadcasts, for the engine (`sync.engine.multicasting.BroadcastStore`)

    def give_keys(self, body: bytes, *, now_ms: int) -> int:
        """Tell each kit that was not told yet with what key the core signs."""
        if not broadcast_rows.lack_key(self._database.connection, body):
            return 0
        with suppress(CannotStoreNow), storing(), self._database.atomic() as connection:
            return broadcast_rows.give_keys(connection, body, now_ms=now_ms)
        return 0

    def tell_villages(self, *, now_ms: int) -> None:
        """Tell all kits which villages there are, if that has changed."""
        if village_rows.is_told(self._database.connection, now_ms=now_ms):
            return
        with suppress(CannotStoreNow), storing(), self._database.atomic() as connection:
            village_rows.tell(connection, now_ms=now_ms)

    def knows_key(self, unit: str, body: bytes) -> bool:
        """Whether that kit has accepted the key."""
        return broadcast_rows.knows_key(self._database.connection, unit, body)

    def broadcasts(self, *, now_ms: int) -> list[PlannedBroadcast]:
        """What is still to be said to many kits."""
        return broadcast_rows.broadcasts(self._database.connection, now_ms=now_ms)

    def no_longer_true(self, *, now_ms: int) -> list[RecordId]:
        """What is not to be said any more."""
        return broadcast_rows.no_longer_true(self._database.connection, now_ms=now_ms)

    def note_broadcast(self, record: RecordId, *, packets: int, over: bool, left: bool, link: str, at_ms: int) -> None:
        """How far a broadcast has come."""
        with suppress(CannotStoreNow), storing(), self._database.atomic() as connection:
            broadcast_rows.note_broadcast(
                connection, record, packets=packets, over=over, left=left, link=link, at_ms=at_ms
            )

    def messages(self, *, limit: int) -> list[LetterRow]:
        """Messages between people, both ways."""
        return letters.messages(self._database.connection, limit=limit)

    def own_records(self, *, limit: int) -> list[OwnRecord]:
        """What is on its way to kits."""
        return letters.own_records(self._database.connection, limit=limit)

    def mark_read(self, number: int, *, person: str, now_ms: int) -> bool:
        """A person at the core has read a kit's message."""
        with self._database.atomic() as connection:
            return letters.mark_read(connection, number, person=person, now_ms=now_ms)

    def apply_what_was_not(self, *, at_ms: int) -> int:
        """Apply what an earlier version could only keep; returns how many. On a full disk that waits for a start."""
        with suppress(CannotStoreNow), storing():
            return record_rows.apply_what_was_not(self._database, at_ms=at_ms)
        return 0

    # -- what the page and the commands show

    def kits(self) -> list[EnrolledKit]:
        """Every enrolled kit."""
        return kit_rows.kits(self._database.connection)

    def alerts(self, unit: str, *, until_after_ms: int) -> list[AlertState]:
        """How its incidents stand."""
        return queries.alerts(self._database.connection, unit, until_after_ms=until_after_ms)

    def early_receipts(self, unit: str) -> int:
        """Receipts that came before their warning."""
        return queries.early_receipts(self._database.connection, unit)

    def series(self, unit: str) -> list[SeriesRow]:
        """What its devices measure."""
        return queries.series(self._database.connection, unit)

    def days(self, unit: str, *, now_ms: int) -> list[DayRow]:
        """Which fidelity the core has of each day."""
        return reading_rows.days(self._database.connection, unit, now_ms=now_ms)

    def hours(self, unit: str) -> list[HourRow]:
        """Summaries that are newer than the readings."""
        return reading_rows.hours(self._database.connection, unit)

    def forecast(self, unit: str) -> ForecastRow | None:
        """Its newest forecast."""
        return queries.forecast(self._database.connection, unit)

    def quizzes(self, unit: str) -> list[QuizRow]:
        """Its lessons' results."""
        return queries.quizzes(self._database.connection, unit)

    def taken(
        self, *, unit: str | None = None, kind: str | None = None, limit: int | None = None
    ) -> Iterator[TakenRecord]:
        """Records as they came."""
        return queries.taken(self._database.connection, unit=unit, kind=kind, limit=limit)

    def refused(self, *, limit: int) -> list[RefusedRecord]:
        """Records that were not believed."""
        return queries.refused(self._database.connection, limit=limit)

    def undecodable(self, *, limit: int) -> list[TakenRecord]:
        """Records that could not be read."""
        return queries.undecodable(self._database.connection, limit=limit)

    def counts(self) -> RecordCounts:
        """How many came."""
        return queries.counts(self._database.connection)

    def links(self) -> list[LinkRow]:
        """The core's own links."""
        return links(self._database.connection)
