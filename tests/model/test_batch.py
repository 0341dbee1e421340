"""Readings packed for the thin link."""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Sequence

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.model.batch import BatchError, decode_batch, encode_batch, encode_batches, rounded_for_sending
from kit.model.batch_names import KNOWN
from kit.model.quantities import QUANTITIES
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
    # minus zero, which a sensor shows when it rounds, comes back as zero
    return sorted((r.device, r.quantity, r.unit, r.time_ms, repr(r.value or 0.0), int(r.quality)) for r in readings)


@settings(deadline=None)
@given(readings=st.lists(_readings, max_size=60))
def test_every_reading_comes_back_exactly(readings: list[Reading]) -> None:
    assert _sorted(decode_batch(encode_batch(readings))) == _sorted(readings)


@settings(deadline=None)
@given(body=st.binary(max_size=120))
def test_any_bytes_are_a_batch_or_a_batch_error(body: bytes) -> None:
    with contextlib.suppress(BatchError):
        decode_batch(body)


@settings(deadline=None)
@given(position=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_damaged_batch_is_a_batch_or_a_batch_error(position: int, byte: int) -> None:
    body = bytearray(encode_batch(_evening()))
    body[position % len(body)] = byte
    with contextlib.suppress(BatchError):
        decode_batch(bytes(body), max_cells=2000)


def test_a_hundred_readings_fit_in_one_radio_frame() -> None:
    assert len(encode_batch(_evening())) <= 190


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
    assert len(encode_batch(readings)) <= 340


def test_a_batch_decodes_by_itself() -> None:
    told = {(each.device, each.quantity, each.unit) for each in decode_batch(encode_batch(_evening()))}
    assert told == {(f"field-{at}", *kind) for at in (0, 1) for kind in (("temperature", "Cel"), ("humidity", "%RH"))}


def test_a_batch_of_the_first_form_is_still_read() -> None:
    readings = decode_batch(FIRST_FORM)
    assert len(readings) == 17
    assert readings[0] == Reading(
        device="field-1", quantity="temperature", unit="Cel", time_ms=1_460_430_000_000, value=3.5
    )
    assert readings[-1] == Reading(device="kitchen", quantity="odd", unit="x", time_ms=1_460_430_000_123, value=1 / 3)
    assert sum(each.quality == Quality.STEP for each in readings) == 4


FIRST_FORM = bytes.fromhex(
    "85011b0000015408694f800188676669656c642d316b74656d70657261747572656343656c6868756d696469747963255248676b69746368656e"
    "636f64646178858800010204470000c0ee6d00010245bc0532323244000004008800030404000245807d32323244000004008805010204460eb2"
    "ee6d00010245bc0532323244000004008805030404020245807d3232324400000400880506070142f60118ff48555555555555d53f00"
)


def test_a_batch_of_a_newer_form_says_so() -> None:
    with pytest.raises(BatchError, match="form 3"):
        decode_batch(b"\x03\x00")


@pytest.mark.parametrize("body", [b"", b"\x85", cbor2.dumps([2, 0, 1, [], []])])
def test_what_is_no_batch_is_refused(body: bytes) -> None:
    with pytest.raises(BatchError):
        decode_batch(body)


def test_a_batch_cannot_claim_more_readings_than_it_has() -> None:
    with pytest.raises(BatchError):
        decode_batch(cbor2.dumps([1, 0, 1, ["a"], [[0, 0, 0, 10**9, b"\x00\xff\xff\xff\xff\x0f", 0, b"", 0]]]))
    still = [Reading(device="a", quantity="t", unit="", time_ms=at * 60_000, value=5) for at in range(3000)]
    with pytest.raises(BatchError, match="claim"):
        decode_batch(encode_batch(still), max_cells=1000)


def test_readings_that_have_nothing_in_common_leave_in_several_records_each_of_which_is_read() -> None:
    odd = [
        Reading(device=f"device-{at}", quantity=f"quantity-{at}", unit="x", time_ms=at * 60_000, value=at / 7)
        for at in range(400)
    ]
    bodies = encode_batches(odd)
    assert len(bodies) > 1
    assert _sorted([each for body in bodies for each in decode_batch(body)]) == _sorted(odd)


def test_devices_of_another_resolution_do_not_make_the_others_longer() -> None:
    plain = _evening()
    odd = [
        Reading(device="old", quantity="temperature", unit="Cel", time_ms=1_460_430_000_000, value=value)
        for value in (1 / 3,)
    ]
    assert len(encode_batch([*plain, *odd])) <= len(encode_batch(plain)) + 24


def test_what_is_sent_is_cut_to_the_second_and_to_what_the_value_is_worth() -> None:
    told = Reading(device="a", quantity="temperature", unit="Cel", time_ms=1_460_430_000_987, value=3.388888)
    (sent,) = rounded_for_sending([told], crowded=lambda _: False)
    assert (sent.time_ms, sent.value) == (1_460_430_000_000, 3.39)


def test_a_reading_with_another_in_its_second_keeps_its_milliseconds() -> None:
    told = Reading(device="a", quantity="temperature", unit="Cel", time_ms=1_460_430_000_987, value=3.125)
    assert rounded_for_sending([told], crowded=lambda _: True) == [told]


@pytest.mark.parametrize(("quantity", "unit"), [("odd", "x"), ("temperature", "K")])
def test_what_the_kit_does_not_know_is_never_rounded(quantity: str, unit: str) -> None:
    told = Reading(device="a", quantity=quantity, unit=unit, time_ms=1_460_430_000_000, value=1 / 3)
    assert rounded_for_sending([told], crowded=lambda _: False) == [told]


def test_the_quantities_on_the_wire_are_those_the_kit_stores() -> None:
    assert [(name, unit) for name, unit in KNOWN if QUANTITIES[name].unit != unit] == []


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
