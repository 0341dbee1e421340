"""Ingest: what devices published becomes readings, inside the transaction that the broker acknowledges.

Invariants: no payload, however bad, makes it raise: that would take the acknowledgements of everybody else's messages
with it. Nothing is dropped without being counted. Every database error does go up, because then nothing of the batch
may be acknowledged.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter

from kit.clock import Clock
from kit.collect.actuation.speech import is_ack_topic
from kit.collect.dating import Dates, Dating
from kit.collect.dialects import dialects as installed_dialects
from kit.collect.dialects.port import Dialect, DialectError, Observation, Parsed, Values
from kit.collect.joining import Waiters
from kit.collect.keeping import Keeper, Told
from kit.collect.repeats import Repeats
from kit.collect.speakers import PARTS_PER_GATEWAY, VERSION, Room, Route, Speaker, Speakers
from kit.model.messages import Published
from kit.model.quantities import printable
from kit.store.facts import count_change
from kit.store.ingest_state import (
    IGNORED,
    MALFORMED,
    Problem,
    count_problem,
)
from kit.store.learned import learn
from kit.store.reading_writer import MAX_SERIES_PER_DEVICE, STATE, ReadingWriter

log = logging.getLogger(__name__)

_BEGINNING = f"SELECT {STATE}, {VERSION}"
"""Everything that a transaction has to know at its beginning: each question by itself costs a tenth of its work."""

_ALIKE = itemgetter(0, 1, 2, 4, 6, 8)
"""Of `Published`: user, client, topic, QoS, DUP and time. What is alike in all of them may be taken in one go."""

FEW = 4
"""Fewer messages cost as much one by one."""


class Ingest:
    """Called with the messages of one transaction, by one thread. Also bumps the subject `readings`.

    Args:
        clock: says how far the kit's time can be trusted; times come with the messages.
        dialects: what is understood, by kind; None = whatever is installed.
    """

    def __init__(self, clock: Clock, *, dialects: Mapping[str, Dialect] | None = None) -> None:
        self._speakers = Speakers(installed_dialects() if dialects is None else dialects)
        self._learning = False
        self._waiters = Waiters()
        self._writer = ReadingWriter()
        self._keeper = Keeper(self._writer)
        self._dates = Dates(clock)
        self._dating = Dating()
        self._problems: dict[tuple[str, str], Problem] = {}
        self._repeats = Repeats()

    def __call__(self, connection: sqlite3.Connection, publishes: Sequence[Published]) -> None:
        """Take the messages, inside the caller's transaction."""
        self._problems.clear()
        self._repeats.begin()
        token, horizon_ms, version = connection.execute(_BEGINNING).fetchone()
        anew = self._writer.begin(connection, (token, horizon_ms))
        self._keeper.begin(connection, anew=anew)
        if anew:
            self._dates.forget()
        self._speakers.begin(connection, version)
        self._waiters.begin()
        if self._learning:
            self._learning = False
            self._speakers.forget_changes()
        if publishes:
            self._dating = self._dates.now(connection, publishes[-1].received_ms)
        routes = self._speakers.routes
        for (username, _, topic, *_), run in groupby(publishes, key=_ALIKE):
            messages = list(run)
            route = None if len(messages) < FEW else routes.get((username, topic))
            if route is None:
                for published in messages:
                    self._take(connection, published)
            else:
                self._take_run(connection, route, messages)
        self._waiters.write(connection)
        stored = self._writer.flush(connection)
        self._keeper.flush(connection)
        for problem in self._problems.values():
            count_problem(connection, problem)
        self._repeats.write(connection, publishes[-1].received_ms if publishes else 0)
        if stored:
            count_change(connection, "readings")
        if self._problems:
            count_change(connection, "sensor-problems")

    def _take_run(self, connection: sqlite3.Connection, route: Route, messages: Sequence[Published]) -> None:
        """Take messages that are `_ALIKE`: what `_take` would do one by one, wherever they say nothing but values."""
        speaker, first = route.speaker, messages[0]
        dialect = speaker.reads_runs
        at = 0
        if dialect is not None and speaker.device and first.qos == 1 and not first.duplicate:
            payloads = [published.payload for published in messages]
            while at < len(messages):
                read = dialect.read_run(first.topic, payloads, at)
                lane = None if read is None else self._keeper.lane(connection, speaker.device, read.look)
                if read is None or lane is None:
                    self._take(connection, messages[at])
                    at += 1
                    continue
                arrived_ms = first.received_ms + self._dating.jumped_ms
                self._writer.saw(speaker.device, arrived_ms)
                self._repeats.are_new(messages[at : at + read.length])
                self._keeper.keep_run(connection, lane, read.columns, arrived_ms, self._dating)
                at += read.length
        for published in messages[at:]:
            self._take(connection, published)

    def _take(self, connection: sqlite3.Connection, published: Published) -> None:
        route = self._speakers.routes.get((published.username, published.topic)) or self._find_route(published)
        if route is None:
            return
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
            lane = self._keeper.lane(connection, speaker.device, observations.look)
            if lane is not None:
                self._keeper.keep_values(connection, lane, observations.values, arrived_ms, self._dating)
                return
        told: list[Told] = []
        for quantity, unit, value, time_s, relative, raw, unit_unknown, part in observations:
            device = speaker.device
            if part:
                if not self._admits(connection, speaker, part, published):
                    continue
                device = f"{device}/{part}"
            track = self._keeper.track(connection, device, quantity, unit)
            if track is None:
                self._note(IGNORED, device, published, _too_many(quantity, unit))
                continue
            time_ms = round(time_s * 1000) + (arrived_ms if relative else 0)
            told.append((track, time_ms, value, not relative, raw, unit_unknown))
        for track in self._keeper.keep(connection, told, arrived_ms, self._dating):
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
