"""What follows from a frame that came in."""

from __future__ import annotations

from dataclasses import dataclass

from sync.protocol.peers import RefusalReason
from sync.protocol.records import Record, RecordId


@dataclass(frozen=True)
class RecordsReceived:
    """Commit these, then `acknowledge` their ids. Some may be held already."""

    records: tuple[Record, ...]


@dataclass(frozen=True)
class RecordsAccepted:
    """The peer has committed these records of ours."""

    ids: tuple[RecordId, ...]


@dataclass(frozen=True)
class BeaconHeard:
    """A sign of life with the peer's time."""

    time_ms: int
    trusted: bool


@dataclass(frozen=True)
class Welcomed:
    """The core has enrolled us."""

    name: str


@dataclass(frozen=True)
class EnrolmentRefused:
    """The core does not enrol us."""

    reason: RefusalReason


Event = RecordsReceived | RecordsAccepted | BeaconHeard | Welcomed | EnrolmentRefused
