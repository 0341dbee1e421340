"""What a device's values become: each is judged, and kept as a reading of its series.

Everything that a series' next value is judged by is found once and kept in memory (`Track`), like the writer's own
memory (`kit.store.reading_writer`), with which it is dropped.

A device that was away, a gateway and a fast sensor send many messages at once that differ in their numbers only. Such a
run is judged and kept series by series instead of value by value, wherever that comes to the same.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kit.collect.dating import Dating
from kit.collect.dialects.port import Look
from kit.collect.judgement import find_quantity, judge_known, judge_time
from kit.collect.neighbours import Member, Neighbours
from kit.model.consistency import SAME_TIME_MS, can_contradict, contradictions, partners
from kit.model.quantities import Quantity
from kit.model.readings import UNFIT, Quality, Raw
from kit.store.reading_writer import Outcome, ReadingWriter, Series

_CROWDED_OUT = Outcome.CROWDED_OUT
_INCONSISTENT, _UNIT_UNKNOWN, _UNFIT = int(Quality.INCONSISTENT), int(Quality.UNIT_UNKNOWN), int(UNFIT)
_RANGE_OR_TIME = int(Quality.IMPOSSIBLE | Quality.TIME_DOUBTFUL | Quality.UNIT_UNKNOWN)
"""With one of these a value says nothing about others."""

LANES_REMEMBERED = 4_096
"""Devices and looks of their messages, with the series that they are about."""


@dataclass(slots=True, eq=False)
class Track:
    """A series, and all that its next value is judged by; found once, and anew whenever a series is new.

    Attributes:
        known: what it measures, if the kit knows that quantity.
        others: what the same device measures that a value has to fit: the quantity without its label, the series.
        member: the series among its neighbours.
    """

    device: str
    quantity: str
    series: Series
    known: Quantity | None
    base: str
    others: list[tuple[str, Series]]
    member: Member | None


class Lane(NamedTuple):
    """What messages that look alike are about.

    Attributes:
        places: for each value its series, and by how many ms it is later than its message (zero or less).
        apart: no value has to fit another one of the message.
    """

    places: list[tuple[Track, int]]
    apart: bool


Told = tuple[Track, int, float, bool, Raw | None, bool]
"""A value that a message holds: its series, its time (Unix ms), itself, whether the device said the time, what it
really said if that was converted, and whether its unit could not be."""


class Keeper:
    """Judges and keeps what the messages of one transaction say. Call `begin`, then the others, then `flush`.

    Args:
        writer: of the readings; begun and flushed by the caller.
    """

    def __init__(self, writer: ReadingWriter) -> None:
        self._writer = writer
        self._neighbours = Neighbours()
        self._tracks: dict[tuple[str, str, str], Track] = {}
        self._lanes: dict[tuple[str, Look], Lane] = {}
        self._series_known = 0

    def begin(self, connection: sqlite3.Connection, *, anew: bool) -> None:
        """Start a transaction's worth; `anew` when memory may not be what the store holds."""
        self._neighbours.begin(connection, anew=anew)
        if anew or self._writer.series_known != self._series_known:
            self._tracks.clear()
            self._lanes.clear()
            self._series_known = self._writer.series_known

    def flush(self, connection: sqlite3.Connection) -> None:
        """Write what was learned of neighbours."""
        self._neighbours.flush(connection)

    def track(self, connection: sqlite3.Connection, device: str, quantity: str, unit: str) -> Track | None:
        """The series and what its values are judged by; None if the device has too many."""
        return self._tracks.get((device, quantity, unit)) or self._find_track(connection, device, quantity, unit)

    def lane(self, connection: sqlite3.Connection, device: str, look: Look) -> Lane | None:
        """The series of messages that look alike; None if the device has too many."""
        return self._lanes.get((device, look)) or self._find_lane(connection, device, look)

    def keep(
        self, connection: sqlite3.Connection, told: Sequence[Told], arrived_ms: int, dating: Dating
    ) -> list[Track]:
        """Judge the values of a message, and keep them; returns the series in which there was no room for one."""
        crowded: list[Track] = []
        add = self._writer.add
        undated, trusted = dating.undated, dating.trusted
        by_kit = judge_time(arrived_ms, arrived_ms, own_time=False, clock_trusted=trusted)
        for track, time_ms, value, own_time, raw, unit_unknown in told:
            series, known = track.series, track.known
            quality = judge_time(time_ms, arrived_ms, own_time=True, clock_trusted=trusted) if own_time else by_kit
            if known is not None:
                quality |= judge_known(known, value, time_ms, series)
            if unit_unknown:
                quality |= _UNIT_UNKNOWN
            elif not quality & _RANGE_OR_TIME:
                if track.others:
                    quality |= self._compare(track, time_ms, value)
                if track.member is not None:
                    quality |= self._neighbours.judge(track.member, time_ms, value, quality)
            # positional: this line is run for every reading there is
            outcome = add(
                connection, series, time_ms, value, quality, raw, arrived_ms, own_time, None if own_time else undated
            )
            if outcome is _CROWDED_OUT:
                crowded.append(track)
        return crowded

    def keep_values(
        self, connection: sqlite3.Connection, lane: Lane, values: Sequence[float], arrived_ms: int, dating: Dating
    ) -> None:
        """`keep` what a message says that holds nothing but values."""
        told: list[Told] = [
            (track, arrived_ms + since_ms, value, False, None, False)
            for (track, since_ms), value in zip(lane.places, values)  # noqa: B905 - each place has its value
        ]
        self.keep(connection, told, arrived_ms, dating)

    def keep_run(
        self,
        connection: sqlite3.Connection,
        lane: Lane,
        columns: Sequence[Sequence[float]],
        arrived_ms: int,
        dating: Dating,
    ) -> None:
        """`keep_values` of one message after the other that came at the same time.

        Args:
            connection: inside the transaction.
            lane: what they are about.
            columns: for each place the values of all messages.
            arrived_ms: when they came, Unix ms.
            dating: how they are dated.
        """
        if not lane.apart:
            for values in zip(*columns, strict=True):
                self.keep_values(connection, lane, values, arrived_ms, dating)
            return
        for (track, since_ms), column in zip(lane.places, columns, strict=True):
            time_ms = arrived_ms + since_ms
            if not self._keep_column(track, time_ms, column, arrived_ms, dating):
                told: list[Told] = [(track, time_ms, value, False, None, False) for value in column]
                self.keep(connection, told, arrived_ms, dating)

    def _keep_column(
        self, track: Track, time_ms: int, values: Sequence[float], arrived_ms: int, dating: Dating
    ) -> bool:
        """Values of one series at one time, in one go; False (and nothing done) if each has to be looked at.

        Of values at one time only the first is compared with what was before (`judge_known`, `Neighbours.judge`).
        """
        known, member = track.known, track.member
        first = others = judge_time(arrived_ms, arrived_ms, own_time=False, clock_trusted=dating.trusted)
        if known is not None:
            if min(values) < known.low or max(values) > known.high:
                return False
            first |= judge_known(known, values[0], time_ms, track.series)
        run = None if first & _UNFIT else self._writer.run(track.series, time_ms, values)
        if run is None:
            return False
        if member is not None:
            first |= self._neighbours.judge(member, time_ms, values[0], first)
            others |= self._neighbours.judge(member, time_ms, values[-1], others)
        self._writer.add_run(track.series, run, (first, others), arrived_ms, dating.undated)
        return True

    def _find_lane(self, connection: sqlite3.Connection, device: str, look: Look) -> Lane | None:
        found = []
        for quantity, unit, since_s in look.places:
            track = self.track(connection, device, quantity, unit)
            if track is None:
                return None
            found.append((track, round(since_s * 1000)))
        if len(self._lanes) >= LANES_REMEMBERED:
            self._lanes.clear()
        apart = len({track for track, _ in found}) == len(found) and not any(track.others for track, _ in found)
        lane = self._lanes[device, look] = Lane(found, apart)
        return lane

    def _find_track(self, connection: sqlite3.Connection, device: str, quantity: str, unit: str) -> Track | None:
        series = self._writer.series(connection, device, quantity, unit)
        if series is None:
            return None
        base = quantity.partition(":")[0]
        others = [
            (partner.base, other)
            for partner in partners(quantity)
            if (other := self._writer.known(connection, device, partner.name, partner.unit)) is not None
        ]
        if not can_contradict({base, *(name for name, _ in others)}):
            others = []
        member = self._neighbours.member(series.id, device=device, quantity=quantity, unit=unit)
        track = self._tracks[device, quantity, unit] = Track(
            device, quantity, series, find_quantity(quantity), base, others, member
        )
        return track

    def _compare(self, track: Track, time_ms: int, value: float) -> int:
        """The flag for contradicting what the same device says at the same time; the other one may be to blame."""
        values: dict[str, float] = {}
        for base, other in track.others:
            if (
                other.latest_ms is not None
                and -SAME_TIME_MS <= other.latest_ms - time_ms <= SAME_TIME_MS
                and not other.quality & _RANGE_OR_TIME
            ):
                values[base] = other.value
        if not values:
            return 0
        values[track.base] = value
        blamed = contradictions(values)
        for base, other in track.others if blamed else ():
            if base in blamed:
                self._writer.doubt(other, _INCONSISTENT)
        return _INCONSISTENT if track.base in blamed else 0
