"""The sensors of a status: which there are, when each was last heard, and whether that is too long ago.

How long is too long depends on the sensor: a battery probe that speaks once an hour is not silent after forty minutes.
So its own rhythm is measured from its latest readings.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from kit.health.times import rfc3339
from kit.model.places import NOWHERE
from kit.model.readings import explain_quality
from kit.store.devices import NATIVE, Device, list_devices, places
from kit.store.ingest_state import malformed
from kit.store.readings import SensorAge, StoredReading, latest_readings, sensors

SHORTEST_SILENCE_S = 15 * 60.0
"""Below this nothing is called silent: a sensor may be carried about, or its battery changed."""

LONGEST_SILENCE_S = 48 * 3600.0
"""Beyond this everything is: nothing in a village has less than a reading in two days to say."""

UNKNOWN_SILENCE_S = 3600.0
"""For a sensor that has spoken too few times to have a rhythm."""

MISSED_ROUNDS = 3
"""So many missed readings make a silence; one or two are lost on any radio."""

LONG_GAPS = 2
"""A sensor that speaks when something changes has long gaps; twice the longest usual one is silence."""

RHYTHM_ROUNDS = 60
"""The latest readings from which a sensor's rhythm is learned; they are in the store, so a restart forgets nothing."""

SAME_ROUND_S = 1.0
"""Readings closer together belong to one round."""


class Rhythm(NamedTuple):
    """How often a sensor speaks, seconds: usually, and at the latest in 19 of 20 rounds."""

    usual_s: float
    late_s: float


MESH_PREFIX = "mesh/"
"""Of what the radio heard in the open; see `kit.collect.speakers`."""


def sensor_rows(connection: sqlite3.Connection, *, now_ms: int) -> list[dict[str, Any]]:
    """The sensors by name.

    Each is {device, last_seen, age_s, silent, latest: [{quantity, unit, value, quality}], kind, open, place, latitude,
    longitude}; one whose messages could not all be read has {malformed, malformed_reason} besides. A device behind a
    gateway is `gateway/device`; where nobody has said its place, it has the gateway's.
    """
    registered = {device.name: device for device in list_devices(connection)}
    heard = {sensor.device: sensor for sensor in sensors(connection, now_ms)}
    latest: dict[str, list[StoredReading]] = {}
    for reading in latest_readings(connection):
        latest.setdefault(reading.device, []).append(reading)
    placed = places(connection)
    told = {str(row[0]) for row in connection.execute("SELECT DISTINCT device FROM commands")}
    unread = {problem.device: problem for problem in malformed(connection)}
    rows = []
    for name in sorted(registered.keys() | heard.keys()):
        row = _row(name, heard.get(name), registered.get(name), now_ms=now_ms, rhythm=_rhythm(connection, name))
        if name in told and name not in latest:
            row["silent"] = False  # an actuator speaks when it is told something
        owner = registered.get(name.partition("/")[0])
        if row["silent"] and registered and owner is None and name not in placed:
            continue  # removed by the technician; its readings stay, its silence is nobody's worry
        # the air's temperature first: where there is room for one value, it is the one that frost is about
        first = sorted(latest.get(name, ()), key=lambda reading: reading.quantity != "temperature")
        row["latest"] = [_value(reading) for reading in first]
        row |= {
            "kind": owner.kind if owner else NATIVE,
            "open": name.startswith(MESH_PREFIX) if owner is None else owner.open,
        }
        place = placed.get(name) or placed.get(name.partition("/")[0], NOWHERE)
        row |= {"place": place.name, "latitude": place.latitude, "longitude": place.longitude}
        if name in unread:
            row |= {"malformed": unread[name].count, "malformed_reason": unread[name].last_reason}
        rows.append(row)
    return rows


def silent_after_s(rhythm: Rhythm | None) -> float:
    """How long a sensor of that rhythm may say nothing."""
    if rhythm is None:
        return UNKNOWN_SILENCE_S
    expected = max(MISSED_ROUNDS * rhythm.usual_s, LONG_GAPS * rhythm.late_s)
    return min(LONGEST_SILENCE_S, max(SHORTEST_SILENCE_S, expected))


def rhythm_of(times_ms: Sequence[int]) -> Rhythm | None:
    """The median and the 95th percentile of the gaps; None below three rounds."""
    gaps = sorted(gap for a, b in pairwise(times_ms) if (gap := abs(a - b) / 1000) >= SAME_ROUND_S)
    # not statistics.quantiles: importing that costs a third of what `kit status` may cost at all
    return Rhythm(gaps[len(gaps) // 2], gaps[len(gaps) * 19 // 20]) if len(gaps) > 1 else None


def _row(
    name: str, heard: SensorAge | None, device: Device | None, *, now_ms: int, rhythm: Rhythm | None
) -> dict[str, Any]:
    if heard is None:
        waited_s = (now_ms - device.added_ms) / 1000 if device is not None else 0.0
        return {"device": name, "last_seen": None, "age_s": None, "silent": waited_s > UNKNOWN_SILENCE_S}
    # an age of None means that the clock was set back since: nothing can be said about a silence
    silent = heard.age_s is not None and heard.age_s > silent_after_s(rhythm)
    return {
        "device": name,
        "last_seen": rfc3339(heard.last_seen_ms),
        "age_s": None if heard.age_s is None else round(heard.age_s, 1),
        "silent": silent,
        "every_s": None if rhythm is None else round(rhythm.usual_s, 1),
        "silent_after_s": round(silent_after_s(rhythm)),
    }


def _rhythm(connection: sqlite3.Connection, device: str) -> Rhythm | None:
    series = connection.execute(
        "SELECT s.id FROM series s JOIN latest_readings l ON l.series = s.id WHERE s.device = ? "
        "ORDER BY l.time_ms DESC LIMIT 1",
        (device,),
    ).fetchone()
    if series is None:
        return None
    rows = connection.execute(
        "SELECT time_ms FROM readings WHERE series = ? ORDER BY time_ms DESC LIMIT ?", (series[0], RHYTHM_ROUNDS)
    )
    return rhythm_of([int(row[0]) for row in rows])


def _value(reading: StoredReading) -> dict[str, Any]:
    return {
        "quantity": reading.quantity,
        "unit": reading.unit,
        "value": reading.value,
        "quality": reading.quality_word,
        "quality_words": explain_quality(reading.quality),
    }
