"""What follows from a frame that came in."""

from __future__ import annotations

from dataclasses import dataclass

from sync.protocol.beacons import Beacon
from sync.protocol.peers import RefusalReason
from sync.protocol.records import Held, Record, RecordId


@dataclass(frozen=True)
class RecordsReceived:
    """Commit these, then `acknowledge` their ids. Some may be held already."""

    records: tuple[Record, ...]


@dataclass(frozen=True)
class RecordsAccepted:
    """The peer has committed these records of ours."""

    ids: tuple[RecordId, ...]


@dataclass(frozen=True)
class RecordsKeptApart:
    """The peer has not committed these records of ours: it holds other ones under their names."""

    records: tuple[Held, ...]


@dataclass(frozen=True)
class BeaconHeard:
    """A sign of life with the peer's time, and what else it tells of itself.

    Attributes:
        newest: nothing that the peer sent later was heard before it, so that what it holds can be believed.
    """

    time_ms: int
    trusted: bool
    beacon: Beacon
    newest: bool = True


@dataclass(frozen=True)
class PeerMustWait:
    """The peer cannot store anything for so many seconds."""

    seconds: int


@dataclass(frozen=True)
class TwinHeard:
    """Two units with the same keys are alive at the same time."""


@dataclass(frozen=True)
class Welcomed:
    """The core has enrolled us."""

    name: str


@dataclass(frozen=True)
class EnrolmentRefused:
    """The core does not enrol us, or no longer talks to us."""

    reason: RefusalReason


Event = (
    RecordsReceived
    | RecordsAccepted
    | RecordsKeptApart
    | BeaconHeard
    | PeerMustWait
    | TwinHeard
    | Welcomed
    | EnrolmentRefused
)
