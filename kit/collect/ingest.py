"""Ingest: what devices published becomes readings, inside the transaction that the broker acknowledges.

Invariants: no payload, however bad, makes it raise: that would take the acknowledgements of everybody else's messages
with it. Nothing is dropped without being counted. Every database error does go up, because then nothing of the batch
may be acknowledged.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kit.clock import Clock
from kit.collect.actuation.speech import is_ack_topic
from kit.collect.dialects import dialects as installed_dialects
from kit.collect.dialects.port import Dialect, DialectError, Look, Observation, Parsed, Values
from kit.collect.joining import Waiters
from kit.collect.judgement import find_quantity, judge_known, judge_time
from kit.collect.neighbours import Member, Neighbours
from kit.collect.repeats import Repeats
from kit.collect.speakers import PARTS_PER_GATEWAY, VERSION, Room, Route, Speaker, Speakers
from kit.model.consistency import SAME_TIME_MS, can_contradict, contradictions, partners
from kit.model.messages import Published
from kit.model.quantities import Quantity, printable
from kit.model.readings import Quality, Raw
from kit.store.boots import boot_number
from kit.store.facts import count_change
from kit.store.ingest_state import (
    IGNORED,
    MALFORMED,
    Problem,
    count_problem,
)
from kit.store.learned import learn
from kit.store.reading_writer import MAX_SERIES_PER_DEVICE, STATE, Outcome, ReadingWriter, Series, Undated

log = logging.getLogger(__name__)

_BEGINNING = f"SELECT {STATE}, {VERSION}"
"""Everything that a transaction has to know at its beginning: each question by itself costs a tenth of its work."""


_CROWDED_OUT = Outcome.CROWDED_OUT
_INCONSISTENT, _UNIT_UNKNOWN = int(Quality.INCONSISTENT), int(Quality.UNIT_UNKNOWN)
_RANGE_OR_TIME = int(Quality.IMPOSSIBLE | Quality.TIME_DOUBTFUL | Quality.UNIT_UNKNOWN)
"""With one of these a value says nothing about others."""

LANES_REMEMBERED = 4_096
"""Devices and looks of their messages, with the series that they are about."""

JUMP_MS = 60_000
"""A message older than this when it is taken in either waited for a full disk, or the clock was set meanwhile."""


@dataclass(frozen=True, slots=True)
class Dating:
    """How the kit dates what has no time of its own.

    Attributes:
        trusted: whether anything vouches for the kit's time.
        jumped_ms: by how much the clock was set since the messages came in.
        undated: where the time may have to be corrected.
    """

    trusted: bool = False
    jumped_ms: int = 0
    undated: Undated | None = None


@dataclass(slots=True, eq=False)
class _Track:
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


_Told = tuple[_Track, int, float, bool, Raw | None, bool]
"""A value that a message holds: its series, its time (Unix ms), itself, whether the device said the time, what it
really said if that was converted, and whether its unit could not be."""


class Ingest:
    """Called with the messages of one transaction, by one thread. Also bumps the subject `readings`.

    Args:
        clock: says how far the kit's time can be trusted; times come with the messages.
        dialects: what is understood, by kind; None = whatever is installed.
    """

    def __init__(self, clock: Clock, *, dialects: Mapping[str, Dialect] | None = None) -> None:
        self._clock = clock
        self._speakers = Speakers(installed_dialects() if dialects is None else dialects)
        self._learning = False
        self._waiters = Waiters()
        self._writer = ReadingWriter()
        self._neighbours = Neighbours()
        self._tracks: dict[tuple[str, str, str], _Track] = {}
        self._lanes: dict[tuple[str, Look], list[tuple[_Track, int]]] = {}
        self._series_known = 0
        self._problems: dict[tuple[str, str], Problem] = {}
        self._repeats = Repeats()
        self._dating = Dating()
        self._offset_ms: int | None = None
        self._boot: tuple[str, int] | None = None

    def __call__(self, connection: sqlite3.Connection, publishes: Sequence[Published]) -> None:
        """Take the messages, inside the caller's transaction."""
        self._problems.clear()
        self._repeats.begin()
        token, horizon_ms, version = connection.execute(_BEGINNING).fetchone()
        anew = self._writer.begin(connection, (token, horizon_ms))
        self._neighbours.begin(connection, anew=anew)
        if anew:
            self._boot = None
        if anew or self._writer.series_known != self._series_known:
            self._tracks.clear()
            self._lanes.clear()
            self._series_known = self._writer.series_known
        self._speakers.begin(connection, version)
        self._waiters.begin()
        if self._learning:
            self._learning = False
            self._speakers.forget_changes()
        if publishes:
            self._dating = self._date(connection, publishes[-1].received_ms)
        routes = self._speakers.routes
        for published in publishes:
            route = routes.get((published.username, published.topic)) or self._find_route(published)
            if route is not None:
                self._take(connection, route, published)
        self._waiters.write(connection)
        stored = self._writer.flush(connection)
        self._neighbours.flush(connection)
        for problem in self._problems.values():
            count_problem(connection, problem)
        self._repeats.write(connection, publishes[-1].received_ms if publishes else 0)
        if stored:
            count_change(connection, "readings")
        if self._problems:
            count_change(connection, "sensor-problems")

    def _date(self, connection: sqlite3.Connection, latest_ms: int) -> Dating:
        """How this batch's undated readings are dated; a time that may be corrected is noted with the boot."""
        clock = self._clock
        now_ms, up_ms = round(clock.now() * 1000), round(clock.monotonic() * 1000)
        offset_ms = now_ms - up_ms
        jumped_ms = 0
        if self._offset_ms is not None and abs(now_ms - latest_ms) > JUMP_MS:
            # the time was set between the message's arrival and now
            jumped_ms = min((0, offset_ms - self._offset_ms), key=lambda by: abs(latest_ms + by - now_ms))
        self._offset_ms = offset_ms
        trusted, boot = clock.trusted, clock.boot
        if trusted and clock.firm:
            return Dating(trusted=True, jumped_ms=jumped_ms)
        if self._boot is None or self._boot[0] != boot:
            self._boot = boot, boot_number(connection, boot, mono_ms=up_ms, offset_ms=offset_ms)
        undated = Undated(self._boot[1], offset_ms, held=not trusted)
        return Dating(trusted=trusted, jumped_ms=jumped_ms, undated=undated)

    def _take(self, connection: sqlite3.Connection, route: Route, published: Published) -> None:
        parsed = self._parse(connection, route, published)
        if parsed is None:
            return
        speaker = route.speaker
        if self._dating.jumped_ms:
            published = published._replace(received_ms=published.received_ms + self._dating.jumped_ms)
        self._writer.saw(speaker.device, published.received_ms)
        observations, ignored, learned = parsed
        for reason in ignored:
            self._note(IGNORED, speaker.device, published, reason)
        if learned:
            self._learn(connection, speaker, learned, published)
        # QoS 0 is sent once, QoS 2 is the broker's to keep apart; of what is dated, series and time tell
        may_come_twice = (
            published.qos == 1
            and published.packet_id is not None
            and (type(observations) is Values or any(seen.relative for seen in observations))
        )
        if not (may_come_twice and self._repeats.came_before(connection, published)):
            self._keep(connection, speaker, observations, published)

    def _find_route(self, published: Published) -> Route | None:
        """Whose message it is, if its words may be readings."""
        if self._waiters.takes(published) or is_ack_topic(published.topic):
            return None  # an actuator's word is for kit.collect.actuation
        return self._speakers.find(published)

    def _parse(self, connection: sqlite3.Connection, route: Route, published: Published) -> Parsed | None:
        speaker, below = route
        device = speaker.device
        if not device:
            self._note(
                MALFORMED, published.username, published, "the topic names no device; publish to sensors/<device>"
            )
            return None
        heard = speaker.heard(connection, published.topic, published.payload, below)
        try:
            return speaker.dialect.parse(heard)
        except DialectError as error:
            self._note(MALFORMED, device, published, str(error))
        except Exception as error:
            # a bug in one dialect must not cost the other devices their acknowledgements
            log.exception("the %s dialect failed on a message from %s", speaker.dialect.name, device)
            self._note(MALFORMED, device, published, f"the kit itself failed to read it ({error!r}); tell its makers")
        return None

    def _learn(
        self, connection: sqlite3.Connection, speaker: Speaker, taught: Mapping[str, str], published: Published
    ) -> None:
        self._learning = True
        refused = learn(connection, speaker.device, speaker.known or {}, taught)
        speaker.known = None
        if refused:
            self._note(IGNORED, speaker.device, published, "it announces more sensors than the kit keeps in mind")

    def _keep(
        self,
        connection: sqlite3.Connection,
        speaker: Speaker,
        observations: Sequence[Observation],
        published: Published,
    ) -> None:
        arrived_ms = published.received_ms
        if type(observations) is Values:
            places = self._lanes.get((speaker.device, observations.look)) or self._find_lane(
                connection, speaker.device, observations.look
            )
            if places is not None:
                self._add(
                    connection,
                    [
                        (track, arrived_ms + since_ms, value, False, None, False)
                        for (track, since_ms), value in zip(places, observations.values)  # noqa: B905 - each place has its value
                    ],
                    published,
                )
                return
        told: list[_Told] = []
        for quantity, unit, value, time_s, relative, raw, unit_unknown, part in observations:
            device = speaker.device
            if part:
                if not self._admits(connection, speaker, part, published):
                    continue
                device = f"{device}/{part}"
            track = self._tracks.get((device, quantity, unit)) or self._find_track(connection, device, quantity, unit)
            if track is None:
                self._note(IGNORED, device, published, _too_many(quantity, unit))
                continue
            time_ms = round(time_s * 1000) + (arrived_ms if relative else 0)
            told.append((track, time_ms, value, not relative, raw, unit_unknown))
        self._add(connection, told, published)

    def _find_lane(self, connection: sqlite3.Connection, device: str, look: Look) -> list[tuple[_Track, int]] | None:
        """The series of messages that look alike, and by how much later than its message each value is."""
        found = []
        for quantity, unit, since_s in look.places:
            track = self._tracks.get((device, quantity, unit)) or self._find_track(connection, device, quantity, unit)
            if track is None:
                return None
            found.append((track, round(since_s * 1000)))
        if len(self._lanes) >= LANES_REMEMBERED:
            self._lanes.clear()
        self._lanes[device, look] = found
        return found

    def _add(self, connection: sqlite3.Connection, told: Sequence[_Told], published: Published) -> None:
        """Judge the values of a message, and keep them."""
        dating, add, arrived_ms = self._dating, self._writer.add, published.received_ms
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
                text = f"'{track.quantity}' has a thousand readings in one second"
                self._note(IGNORED, track.device, published, text)

    def _admits(self, connection: sqlite3.Connection, speaker: Speaker, part: str, published: Published) -> bool:
        room = speaker.admits(connection, part)
        if room is Room.NONE:
            many = f"{PARTS_PER_GATEWAY} devices behind it have been heard already; '{part}' is one too many"
            self._note(IGNORED, speaker.device, published, many)
            return False
        self._learning |= room is Room.NEW  # looked up again, in case this transaction fails
        self._writer.saw(f"{speaker.device}/{part}", published.received_ms)
        return True

    def _find_track(self, connection: sqlite3.Connection, device: str, quantity: str, unit: str) -> _Track | None:
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
        track = self._tracks[device, quantity, unit] = _Track(
            device, quantity, series, find_quantity(quantity), base, others, member
        )
        return track

    def _compare(self, track: _Track, time_ms: int, value: float) -> int:
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

    def _note(self, kind: str, device: str, published: Published, reason: str) -> None:
        before = self._problems.get((device, kind))
        self._problems[device, kind] = Problem(
            device=device,
            kind=kind,
            count=1 + (before.count if before else 0),
            last_ms=published.received_ms,
            last_topic=published.topic,
            last_payload=published.payload,
            last_reason=printable(reason),
        )


def _too_many(quantity: str, unit: str) -> str:
    return f"the device has {MAX_SERIES_PER_DEVICE} series already; '{quantity}' in '{unit}' is one too many"
