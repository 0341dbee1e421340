"""A city core on a real SQLite file and a clock that moves when told, and kits that talk to it as the engine would."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from kit.clock import ManualClock
from kit.home import Home
from kit.identity import Identity, unit_id
from kit.model.alert import Alert, Area, Receipt, Severity, receipt_body, to_record_body
from kit.model.batch import encode_batch
from kit.model.readings import Reading
from sync.core.invites import make_invite
from sync.core.setup import Core, prepare_core
from sync.core.sqlite_store import SqliteCoreStore
from sync.protocol import keys
from sync.protocol.enrolment import Hello, Invite, make_hello
from sync.protocol.peers import Peer, Refusal
from sync.protocol.records import Priority, Record, RecordId

EVENING_S = 1_461_434_400.0
"""2016-04-23T18:00:00Z"""


@dataclass
class TrialKit:
    """A kit's keys and its next record."""

    identity: Identity
    curve_public: bytes
    epoch: int = 7
    seq: int = 0
    sent: list[Record] = field(default_factory=list)

    @property
    def unit(self) -> str:
        return self.identity.unit

    def record(self, kind: str, body: bytes, *, priority: int = 4, created_ms: int = 0) -> Record:
        self.seq += 1
        record = Record(
            id=RecordId(self.unit, self.epoch, self.seq),
            kind=kind,
            priority=Priority(priority),
            created_ms=created_ms,
            body=body,
        )
        self.sent.append(record)
        return record


class City:
    """The core with its store, and helpers to play kits."""

    def __init__(self, core: Core, store: SqliteCoreStore, clock: ManualClock) -> None:
        self.core, self.store, self.clock = core, store, clock
        self._numbers = iter(range(1, 1000))

    @property
    def now_ms(self) -> int:
        return int(self.clock.now() * 1000)

    def kit(self) -> TrialKit:
        rng = random.Random(next(self._numbers))
        private = rng.randbytes(32)
        public = keys.public_of(private)
        return TrialKit(Identity(unit_id(public), private, public), rng.randbytes(32))

    def invite(self, name: str = "Orchard village", *, days: float = 7.0) -> Invite:
        return Invite.decode(make_invite(self.core, name, days=days))

    def hello(self, kit: TrialKit, invite: Invite) -> Hello:
        return make_hello(
            invite,
            unit=kit.unit,
            exchange_private=kit.identity.exchange_private,
            exchange_public=kit.identity.exchange_public,
            curve_public=kit.curve_public,
        )

    def enrol(self, hello: Hello) -> Peer | Refusal:
        return self.store.enrol(hello, now_ms=self.now_ms, link="lora")

    def joined(self, name: str = "Orchard village") -> TrialKit:
        kit = self.kit()
        assert isinstance(self.enrol(self.hello(kit, self.invite(name))), Peer)
        self.store.heard(kit.unit, link="lora", via="!1", now_ms=self.now_ms)
        return kit

    def take(self, *records: Record, peer: str = "", link: str = "lora") -> None:
        self.store.take(records, peer=peer or records[0].id.origin, link=link, at_ms=self.now_ms)

    def alert(self, kit: TrialKit, identifier: str = "frost-1", **more: Any) -> Record:
        told: dict[str, Any] = {
            "sender": f"{kit.unit}@village-kit",
            "sent_ms": self.now_ms,
            "event": "frost",
            "severity": Severity.SEVERE,
            "onset_ms": self.now_ms + 8 * 3_600_000,
            "expires_ms": self.now_ms + 12 * 3_600_000,
            "area": Area("orchard"),
            "parameters": {"tmin_c": -2.1, "tmin_p10_c": -3.4, "tmin_p90_c": -0.8},
        }
        return kit.record("alert", to_record_body(Alert(identifier=identifier, **(told | more))), priority=0)

    def receipt(self, kit: TrialKit, person: str = "Amina", identifier: str = "frost-1") -> Record:
        told = Receipt(alert=identifier, person=person, channel="web", at_ms=self.now_ms)
        return kit.record("receipt", receipt_body(told), priority=1)

    def readings(self, kit: TrialKit, values: dict[int, float], device: str = "station-1") -> Record:
        rows = [
            Reading(device=device, quantity="temperature", unit="Cel", time_ms=at_ms, value=value)
            for at_ms, value in values.items()
        ]
        return kit.record("readings", encode_batch(rows))


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    clock = ManualClock(at_s=EVENING_S)
    core = replace(prepare_core(Home(tmp_path / "core")), clock=clock)
    core = replace(
        core, settings=replace(core.settings, core=replace(core.settings.core, public="tcp://10.0.0.1:7450"))
    )
    with core.open_store() as store:
        yield City(core, store, clock)
