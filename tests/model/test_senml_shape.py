"""A message that fits a known shape is read as the long way would read it, or not at all."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.model.senml import Record, SenMLError, parse_senml
from kit.model.senml_shape import Shape, learn_shape

NUMBERS = st.integers(-(10**6), 10**6) | st.floats(-1e9, 1e9, allow_nan=False) | st.sampled_from([1e300, 2**60, -0.0])
TIMES = st.integers(1_500_000_000, 1_700_000_000) | st.floats(1e9, 2e9) | st.sampled_from([0, -60, 5e9, 2**28])
TEXTS = st.sampled_from(["temperature", "rh", "", 'x","v":7,"n":"y', "°", '"v":3', "v", "bt"])


def read(shape: Shape, payload: bytes) -> list[Record] | None:
    found = shape.read(payload)
    if found is None:
        return None
    return [Record(place.name, place.unit, *one) for place, one in zip(shape.places, found, strict=True)]


def long_way(payload: bytes) -> tuple[list[Record], list[str]] | None:
    try:
        return tuple(parse_senml(payload))  # type: ignore[return-value]  # a Pack is such a pair
    except SenMLError:
        return None


entries = st.lists(
    st.fixed_dictionaries(
        {"v": NUMBERS}, optional={"bn": TEXTS, "n": TEXTS, "u": TEXTS, "bu": TEXTS, "bt": TIMES, "t": TIMES}
    ),
    min_size=1,
    max_size=3,
)


@given(pack=entries, data=st.data())
def test_whatever_a_shape_reads_the_long_way_reads_too(pack: list[dict[str, object]], data: st.DataObject) -> None:
    shape = learn_shape(json.dumps(pack).encode())
    if shape is None:
        return
    for entry in pack:
        for field, numbers in (("v", NUMBERS), ("t", TIMES), ("bt", TIMES)):
            if field in entry:
                entry[field] = data.draw(numbers)
    payload = json.dumps(pack).encode()
    found = read(shape, payload)
    if found is not None:
        assert long_way(payload) == (found, [])
    if shape.undated:
        assert shape.values(payload) == (None if found is None else [record.value for record in found])


@pytest.mark.parametrize(
    "payload",
    [
        b'[{"bn":"urn:dev:mac:0024befffe804ff1:","n":"temperature","u":"Cel","v":-1.25},{"n":"rh","v":91.5}]',
        b'[{"bn":"a","bt":1700000000,"n":"t","u":"Cel","v":1},{"n":"rh","v":2,"t":-5}]',
        b'[ {"n":"t", "t": 1700000000.25 , "v" : 1e1 } ]',
    ],
)
def test_what_sensors_really_send_has_a_shape_that_fits(payload: bytes) -> None:
    shape = learn_shape(payload)
    assert shape is not None
    assert read(shape, payload) == parse_senml(payload).records


@pytest.mark.parametrize(
    "payload",
    [
        b'[{"n":"x\\",\\"v\\":7","v":1,"vs":"a"}]',
        b'[{"n":"x","v":1,"bv":3}]',
        b'[{"n":"x","v":1,"v":2}]',
        b'[{"n":"x","v":1},{"n":"y","vs":"open"}]',
        b'[{"n":"x","v":1,"s":4}]',
        b'[{"bt":1700000000,"t":1600000000,"v":1}]',
        b"no json",
        b"[]",
    ],
)
def test_what_is_unusual_has_no_shape(payload: bytes) -> None:
    assert learn_shape(payload) is None


@pytest.mark.parametrize(
    "number", [b"01", b"+1", b".5", b"1.", b"NaN", b"1e999", b"9007199254740993", b"true", b'"1"', b""]
)
def test_what_is_no_plain_number_is_left_to_the_long_way(number: bytes) -> None:
    shape = learn_shape(b'[{"n":"x","v":1}]')
    assert shape is not None
    assert shape.read(b'[{"n":"x","v":' + number + b"}]") is None
