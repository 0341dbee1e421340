"""Readings packed for the thin link."""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Sequence

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.model.batch import BatchError, decode_batch, encode_batch
from kit.model.readings import Quality, Reading

_readings = st.builds(
    Reading,
    device=st.sampled_from(["field-1", "field-2", "kitchen"]),
    quantity=st.sampled_from(["temperature", "humidity", "temperature:probe2", "value"]),
    unit=st.sampled_from(["Cel", "%RH", ""]),
    time_ms=st.integers(-(2**40), 2**43) | st.integers(0, 50).map(lambda step: 1_460_000_000_000 + step * 60_000),
    value=st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-500, 500).map(lambda tenths: tenths / 10)
    | st.just(-0.0),
    quality=st.sampled_from([Quality.GOOD, Quality.IMPOSSIBLE, Quality.STUCK | Quality.TIME_GUESSED]),
)


def _sorted(readings: Sequence[Reading]) -> list[tuple[str, str, str, int, str, int]]:
    return sorted((r.device, r.quantity, r.unit, r.time_ms, repr(r.value), int(r.quality)) for r in readings)


@given(readings=st.lists(_readings, max_size=60))
def test_every_reading_comes_back_exactly(readings: list[Reading]) -> None:
    assert _sorted(decode_batch(encode_batch(readings))) == _sorted(readings)


@given(body=st.binary(max_size=120))
def test_any_bytes_are_a_batch_or_a_batch_error(body: bytes) -> None:
    with contextlib.suppress(BatchError):
        decode_batch(body)


@given(position=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_damaged_batch_is_a_batch_or_a_batch_error(position: int, byte: int) -> None:
    body = bytearray(encode_batch(_evening()))
    body[position % len(body)] = byte
    with contextlib.suppress(BatchError):
        decode_batch(bytes(body))


def test_a_hundred_readings_fit_in_two_radio_frames() -> None:
    assert len(encode_batch(_evening())) <= 2 * 190


def test_fifty_readings_of_each_of_two_quantities_with_irregular_times_stay_small() -> None:
    jitter = random.Random(2)
    readings = [
        Reading(
            device="field-1",
            quantity=quantity,
            unit=unit,
            time_ms=1_460_430_000_000 + step * 60_000 + jitter.randint(0, 900),
            value=round(value + jitter.gauss(0, 0.2), 2),
        )
        for step in range(50)
        for quantity, unit, value in (("temperature", "Cel", 3.0), ("humidity", "%RH", 80.0))
    ]
    assert len(encode_batch(readings)) <= 450


def test_a_batch_names_what_it_holds() -> None:
    names = cbor2.loads(encode_batch(_evening()))[3]
    assert {"field-0", "temperature", "Cel", "humidity", "%RH"} <= set(names)


def test_a_batch_of_a_newer_version_says_so() -> None:
    with pytest.raises(BatchError, match="version 2"):
        decode_batch(cbor2.dumps([2, 0, 1, [], []]))


def test_a_batch_cannot_claim_more_readings_than_it_has() -> None:
    with pytest.raises(BatchError):
        decode_batch(cbor2.dumps([1, 0, 1, ["a"], [[0, 0, 0, 10**9, b"\x00\xff\xff\xff\xff\x0f", 0, b"", 0]]]))


def _evening() -> list[Reading]:
    """Four sensors, temperature and humidity, one evening: a hundred readings."""
    chance = random.Random(1)
    readings = []
    for sensor in range(2):
        for step in range(25):
            at_ms = 1_460_430_000_000 + step * 900_000 + sensor * 1000
            temperature = round(8 - 6 * math.sqrt(step / 25) + chance.gauss(0, 0.1), 1)
            humidity = round(70 + step + chance.gauss(0, 0.5), 1)
            for quantity, unit, value in (("temperature", "Cel", temperature), ("humidity", "%RH", humidity)):
                readings.append(
                    Reading(device=f"field-{sensor}", quantity=quantity, unit=unit, time_ms=at_ms, value=value)
                )
    return readings
