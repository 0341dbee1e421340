"""One simulated air, shared by the simulated radios of a process.

Sans-IO: time comes in as numbers, and what is to happen later stands in a `Timetable` that a shell runs when it is due
(`wake_at`). An event happens at its own time even when the shell wakes up late, so that airtimes and back-offs stay
exact at a thousand times real speed.

Physics kept: time on air, half duplex, collisions without capture, the blind moment in which a carrier that has only
just begun is not yet detectable, radios tuned differently do not hear each other. Left out: distance (all hear all,
with the same signal strength), and repeating by other nodes.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from hardware.simulated.radio_phy import PRESETS, Preset

if TYPE_CHECKING:
    from random import Random  # noqa: TID251 - the type of what is passed in; nothing is drawn from the module

UTILISATION_WINDOW_S = 60.0
"""The firmware judges how busy the channel is by the last minute."""


@dataclass(frozen=True)
class Tuning:
    """Only radios tuned alike hear each other."""

    region: str
    preset_name: str

    @property
    def preset(self) -> Preset:
        """The modem settings behind the name."""
        return PRESETS[self.preset_name]


@dataclass
class AirFaults:
    """How the air misbehaves; may be changed at any time.

    Attributes:
        loss: probability that a receiver misses a packet it could have heard.
        duplicate: probability that a packet arrives twice, as by two paths through a mesh.
        reorder: probability that a packet is held back so long that later ones pass it.
        unplugged: numbers of the radios whose antenna is off: they neither hear nor are heard.
    """

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    unplugged: frozenset[int] = frozenset()


class Timetable:
    """What is to happen when. Times are seconds of whatever clock the shell uses."""

    def __init__(self) -> None:
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = itertools.count()

    def at(self, when_s: float, event: Callable[[float], None]) -> None:
        """Let it happen then; it is given the time for which it was planned."""
        heapq.heappush(self._events, (when_s, next(self._order), event))

    def wake_at(self) -> float | None:
        """When the next event is due."""
        return self._events[0][0] if self._events else None

    def run_until(self, now_s: float) -> None:
        """Let everything happen that is due by now, in order, including what these events themselves plan."""
        while self._events and self._events[0][0] <= now_s:
            when_s, _, event = heapq.heappop(self._events)
            event(when_s)


class Station(Protocol):
    """A radio, as the air sees it."""

    @property
    def number(self) -> int:
        """Its place on this air, from 0."""
        ...

    @property
    def tuning(self) -> Tuning:
        """What it is tuned to now."""
        ...

    def hear(self, packet: Any, now_s: float) -> None:
        """A packet was received."""
        ...

    def sent(self, packet: Any, now_s: float, *, heard_by: int) -> None:
        """Its transmission has ended; that many others received it."""
        ...


@dataclass
class Transmission:
    """A packet on the air."""

    sender: Station
    tuning: Tuning
    packet: Any
    starts_s: float
    ends_s: float

    def overlaps(self, other: Transmission) -> bool:
        """Whether they are on the air at the same moment."""
        return self.starts_s < other.ends_s and other.starts_s < self.ends_s


@dataclass
class Air:
    """Who hears what."""

    timetable: Timetable
    rng: Random
    faults: AirFaults = field(default_factory=AirFaults)
    stations: list[Station] = field(default_factory=list)
    collisions: int = 0
    _recent: deque[Transmission] = field(default_factory=deque)

    def join(self, station: Station) -> None:
        """A radio comes on the air."""
        self.stations.append(station)

    def busy_for(self, station: Station, now_s: float) -> bool:
        """Whether listen-before-talk finds the channel busy: a carrier younger than a slot is not yet detectable."""
        if station.number in self.faults.unplugged:
            return False
        blind_s = station.tuning.preset.slot_ms / 1000.0
        return any(
            heard.sender is not station
            and heard.tuning == station.tuning
            and heard.sender.number not in self.faults.unplugged
            and heard.starts_s + blind_s <= now_s < heard.ends_s
            for heard in self._recent
        )

    def utilisation(self, tuning: Tuning, now_s: float) -> float:
        """The share of the last minute in which somebody was sending."""
        since_s = now_s - UTILISATION_WINDOW_S
        busy_s = sum(
            min(heard.ends_s, now_s) - max(heard.starts_s, since_s)
            for heard in self._recent
            if heard.tuning == tuning and heard.ends_s > since_s
        )
        return min(busy_s / UTILISATION_WINDOW_S, 1.0)

    def transmit(self, sender: Station, packet: Any, *, phy_bytes: int, now_s: float) -> float:
        """Put a packet on the air; returns how long it takes, in seconds."""
        airtime_s = sender.tuning.preset.airtime_ms(phy_bytes) / 1000.0
        going = Transmission(sender, sender.tuning, packet, now_s, now_s + airtime_s)
        self._recent.append(going)
        while self._recent and self._recent[0].ends_s < now_s - UTILISATION_WINDOW_S:
            self._recent.popleft()
        self.timetable.at(going.ends_s, lambda then_s: self._end(going, then_s))
        return airtime_s

    def _end(self, going: Transmission, now_s: float) -> None:
        hearers = [station for station in self.stations if self._received(station, going)]
        for station in hearers:
            self._deliver(station, going, now_s)
        going.sender.sent(going.packet, now_s, heard_by=len(hearers))

    def _received(self, station: Station, going: Transmission) -> bool:
        if station is going.sender or station.tuning != going.tuning:
            return False
        if {station.number, going.sender.number} & self.faults.unplugged:
            return False
        others = [each for each in self._recent if each is not going and each.overlaps(going)]
        if any(each.sender is station for each in others):
            return False  # half duplex: it was talking itself
        if any(each.tuning == going.tuning and each.sender.number not in self.faults.unplugged for each in others):
            self.collisions += 1
            return False
        return self.rng.random() >= self.faults.loss

    def _deliver(self, station: Station, going: Transmission, now_s: float) -> None:
        airtime_s = going.ends_s - going.starts_s
        if self.rng.random() < self.faults.reorder:
            late_s = now_s + airtime_s * (1.0 + 2.0 * self.rng.random())
            self.timetable.at(late_s, lambda then_s: station.hear(going.packet, then_s))
        else:
            station.hear(going.packet, now_s)
        if self.rng.random() < self.faults.duplicate:
            self.timetable.at(now_s + airtime_s, lambda then_s: station.hear(going.packet, then_s))
