"""SenML: any bytes in, a pack or a sentence out."""

from __future__ import annotations

import contextlib
import json
from decimal import Decimal
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.model.senml import MAX_BYTES, MAX_RECORDS, Record, SenMLError, parse_senml

EXAMPLE = (  # RFC 8428 §5.1.2, shortened
    b'[{"bn":"urn:dev:ow:10e2073a0108006:","bt":1.276020076001e+09,"bu":"A","bver":5,"n":"voltage","u":"V","v":120.1},'
    b'{"n":"current","t":-5,"v":1.2},{"n":"current","t":-4,"v":1.3}]'
)

_fields = st.sampled_from(["bn", "bt", "bu", "bv", "bs", "bver", "n", "u", "v", "vs", "vb", "vd", "s", "t", "ut", "x_"])
_values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.lists(st.integers(), max_size=2)
    | st.integers(-(10**400), 10**400)
)
_packs = st.lists(st.dictionaries(_fields, _values, max_size=6) | _values, max_size=5)


def test_the_example_of_the_standard_is_understood() -> None:
    pack = parse_senml(EXAMPLE)
    assert [(record.name[-7:], record.unit, record.value) for record in pack.records] == [
        ("voltage", "V", 120.1),
        ("current", "A", 1.2),
        ("current", "A", 1.3),
    ]
    assert [record.time_s for record in pack.records] == pytest.approx([1276020076.001, 1276020071.001, 1276020072.001])
    assert not any(record.relative for record in pack.records)


def test_cbor_says_the_same_as_json() -> None:
    labels = {"bn": -2, "bt": -3, "bu": -4, "bver": -1, "n": 0, "u": 1, "v": 2, "t": 6}
    as_cbor = cbor2.dumps([{labels[key]: value for key, value in entry.items()} for entry in json.loads(EXAMPLE)])
    assert parse_senml(as_cbor) == parse_senml(EXAMPLE)


def test_a_decimal_fraction_in_cbor_is_a_number() -> None:
    assert parse_senml(cbor2.dumps([{0: "t", 2: Decimal("-1.3")}])).records[0].value == -1.3


def test_a_small_time_is_relative_to_now() -> None:
    assert parse_senml(b'[{"n":"t","v":1,"t":-60}]').records == [Record("t", "", 1.0, -60.0, relative=True)]
    assert parse_senml(b'[{"n":"t","v":1}]').records == [Record("t", "", 1.0, 0.0, relative=True)]


def test_base_value_and_base_sum_are_added() -> None:
    pack = parse_senml(b'[{"bv":20,"bs":100,"bu":"W","n":"p","v":0.5,"s":7},{"n":"q","v":1}]')
    assert pack.records == [
        Record("p", "W", 20.5, 0.0, relative=True),
        Record("p_sum", "W.s", 107.0, 0.0, relative=True),
        Record("q", "W", 21.0, 0.0, relative=True),
    ]


def test_what_is_no_number_is_listed_and_the_rest_is_kept() -> None:
    pack = parse_senml(b'[{"n":"door","vb":true},{"n":"t","v":3},{"n":"label","vs":"x"},{"n":"nothing"}]')
    assert [record.name for record in pack.records] == ["t"]
    assert pack.ignored == [
        "'door' holds a truth value; only numbers are kept",
        "'label' holds text; only numbers are kept",
        "'nothing' has no value",
    ]


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        (b"", "the message is empty"),
        (b"3.5", "put the record between"),
        (b'{"n":"t","v":3}', "put the record between"),
        (b'[{"n":"t","v":3}', "not valid JSON"),
        (b'[{"n":"t","v":NaN}]', "NaN is not a number that SenML allows"),
        (b'[{"n":"t","v":1e999}]', "no finite number"),
        (b'[{"n":"t","v":"3.5"}]', "must be a number without quotes"),
        (b'[{"n":"t","v":true}]', "must be a number"),
        (b'[{"n":5,"v":1}]', "must be text in quotes"),
        (b'[{"n":"t","v":1,"x_":1}]', "must be understood"),
        (b'[{"n":"t","v":1,"bver":11}]', "version 11"),
        (b'[{"n":"t","v":1,"t":1460000000000}]', "after the year 2100"),
        (b'[{"n":"t","v":1,"t":-300000000}]', "eight years back"),
        (b"[1]", "record 1 is not an object"),
        (b"[" * 30_000, "nested too deeply"),
        (b"\xff\xfe\x00", "neither UTF-8 text nor CBOR"),
        (b"\x82\x01", "not valid CBOR"),
        (b" " * (MAX_BYTES + 1), "send smaller packs"),
        (json.dumps([{"v": 1}] * (MAX_RECORDS + 1)).encode(), "send smaller packs"),
        (json.dumps([{"n": "n" * 300, "v": 1}]).encode(), "longer than 256"),
        (b'[{"n":"t","v":' + b"9" * 5_000 + b"}]", "valid JSON"),
        (b'[{"n":"t","v":' + b"9" * 400 + b"}]", "too large"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_bad_message_says_what_is_wrong(payload: bytes, sentence: str) -> None:
    with pytest.raises(SenMLError, match=sentence):
        parse_senml(payload)


def test_a_huge_bigfloat_costs_no_time() -> None:
    with pytest.raises(SenMLError, match="not valid CBOR"):
        parse_senml(bytes.fromhex("81a102c5821a000fffff03"))


@given(payload=st.binary(max_size=200))
def test_any_bytes_are_a_pack_or_an_error(payload: bytes) -> None:
    for prefix in (b"", b"\x81\xa2", b'[{"n":"t","v":'):
        _pack_or_error(prefix + payload)


@given(told=_packs)
def test_any_json_or_cbor_is_a_pack_or_an_error(told: list[Any]) -> None:
    _pack_or_error(json.dumps(told).encode())
    _pack_or_error(cbor2.dumps(told))


def _pack_or_error(payload: bytes) -> None:
    with contextlib.suppress(SenMLError):
        pack = parse_senml(payload)
        assert all(abs(record.value) < float("inf") for record in pack.records)
