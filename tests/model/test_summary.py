"""Hours of a village in few bytes."""

from __future__ import annotations

import contextlib
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.model.batch_error import BatchError
from kit.model.summary import (
    HOUR_MS,
    HourSummary,
    decode_summary,
    encode_summaries,
    encode_summary,
    is_summarised,
    summarise,
)
from sync.protocol.airtime import frame_airtime_ms
from sync.protocol.frames import LORA_FRAME_BYTES

PIECE_BYTES = 160
"""Of a body, in a full LoRa frame: 214 less the seal, the item's head and the record's."""

FIRST_MS = 1_460_462_400_000 // HOUR_MS * HOUR_MS

_values = st.lists(st.floats(-80, 60), min_size=1, max_size=12)
_hours = st.dictionaries(
    st.tuples(
        st.sampled_from(["field-1", "kitchen"]),
        st.sampled_from([("temperature", "Cel"), ("humidity", "%RH"), ("odd", "x")]),
        st.integers(0, 400).map(lambda at: FIRST_MS + at * HOUR_MS),
    ),
    _values,
    max_size=40,
)


@settings(deadline=None)
@given(told=_hours)
def test_every_hour_comes_back_to_what_is_worth_showing_of_it(
    told: dict[tuple[str, tuple[str, str], int], list[float]],
) -> None:
    hours = {key: summarise(*key, values) for key, values in told.items()}
    returned = decode_summary(encode_summary(list(hours.values())))
    assert len(returned) == len(hours)
    steps = {"temperature": 0.1, "humidity": 1.0, "odd": 0.1}
    for each in returned:
        sent = hours[each.device, (each.quantity, each.unit), each.hour_ms]
        assert each.count == sent.count
        for here, there in ((each.mean, sent.mean), (each.low, sent.low), (each.high, sent.high)):
            assert abs(here - there) <= steps[each.quantity] / 2 + 1e-9


@settings(deadline=None)
@given(body=st.binary(max_size=80))
def test_any_bytes_are_a_summary_or_a_batch_error(body: bytes) -> None:
    with contextlib.suppress(BatchError):
        decode_summary(b"\x01" + body)
    with contextlib.suppress(BatchError):
        decode_summary(body)


def night_of(days: int) -> list[HourSummary]:
    """Four sensors, temperature and humidity, four readings an hour."""
    chance = random.Random(4)
    hours = []
    for at in range(24 * days):
        base_c = 8 - 6 * math.cos((at - 14) / 24 * 2 * math.pi) + chance.gauss(0, 0.4)
        for sensor in range(4):
            for kind, middle, noise in (
                (("temperature", "Cel"), base_c + sensor, 0.3),
                (("humidity", "%RH"), 90 - 3 * base_c, 1.0),
            ):
                values = [middle + chance.gauss(0, noise) for _ in range(4)]
                hours.append(summarise(f"field-{sensor}", kind, FIRST_MS + at * HOUR_MS, values))
    return hours


def test_three_days_of_a_village_are_summarised_within_twenty_seconds_of_long_fast() -> None:
    hours = night_of(3)
    bodies = []
    for first in range(0, 72, 24):
        span = range(FIRST_MS + first * HOUR_MS, FIRST_MS + (first + 24) * HOUR_MS)
        bodies.append(encode_summary([each for each in hours if each.hour_ms in span]))
    # no two records share a frame in this count, so it is on the safe side
    frames = sum(math.ceil(len(body) / PIECE_BYTES) for body in bodies)
    assert frames * frame_airtime_ms(LORA_FRAME_BYTES, "LONG_FAST") <= 20_000


def test_directions_have_no_mean() -> None:
    assert not is_summarised("deg")
    assert is_summarised("Cel")


@pytest.mark.parametrize("body", [b"", b"\x02abc", b"\x85\x01"])
def test_another_form_is_said(body: bytes) -> None:
    with pytest.raises(BatchError, match="form"):
        decode_summary(body)


def test_a_region_of_many_sensors_is_told_in_several_records_each_of_which_is_read() -> None:
    hours = [
        summarise(f"sensor-{sensor}", (f"quantity-{sensor}", "x"), FIRST_MS + at * HOUR_MS, [1.0, 2.0])
        for sensor in range(60)
        for at in range(24)
    ]
    bodies = encode_summaries(hours)
    assert len(bodies) > 1
    assert sum(len(decode_summary(body)) for body in bodies) == len(hours)
