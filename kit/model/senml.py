"""SenML (RFC 8428), JSON and CBOR: bytes in, resolved records or a sentence saying what is wrong out.

Invariant: any bytes whatsoever end in a `Pack` or a `SenMLError`. A pack is taken whole or refused whole, because a
device gets one acknowledgement for it; what is well formed but no number (strings, booleans, data) is listed in
`Pack.ignored`, so that nothing vanishes without being counted.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple, NoReturn

MAX_BYTES = 65_536
"""A day of minutely readings of one sensor fits; what is larger is no sensor."""

MAX_RECORDS = 2_048
MAX_TEXT = 256
"""Of a name or unit after joining with its base; a `urn:dev:` name has at most about 100."""

VERSION = 10
"""RFC 8428 §4.4: the version this is; newer ones may mean anything."""

RELATIVE_BELOW_S = 2.0**28
"""RFC 8428 §4.5.3: a smaller time is relative to now."""

LATEST_S = 4_102_444_800.0
"""2100-01-01: a later time is a mistake, usually milliseconds where SenML has seconds."""

_CBOR_LABELS = {
    -1: "bver",
    -2: "bn",
    -3: "bt",
    -4: "bu",
    -5: "bv",
    -6: "bs",
    0: "n",
    1: "u",
    2: "v",
    3: "vs",
    4: "vb",
    5: "s",
    6: "t",
    7: "ut",
    8: "vd",
}
"""RFC 8428 §6, table 4."""

_OTHER_VALUES = {"vs": "text", "vb": "a truth value", "vd": "raw data"}


class SenMLError(ValueError):
    """The payload is no SenML pack; the sentence says what is wrong with it and how to mend it."""


class Record(NamedTuple):
    """A resolved record (RFC 8428 §4.6) that holds a number.

    Attributes:
        name: base name and name joined.
        unit: as written; "" if none was given.
        value: finite.
        time_s: absolute Unix seconds, or seconds relative to now where `relative`.
        relative: also true where no time was given (then 0).
    """

    name: str
    unit: str
    value: float
    time_s: float
    relative: bool


class Pack(NamedTuple):
    """What a payload held. `ignored` has a sentence for each record without a number."""

    records: list[Record]
    ignored: list[str]


def parse_senml(payload: bytes) -> Pack:
    """Parse a pack, telling JSON from CBOR by its first byte.

    Raises:
        SenMLError: it is neither, or breaks RFC 8428, or is larger than `MAX_BYTES` or `MAX_RECORDS`.
    """
    if len(payload) > MAX_BYTES:
        raise SenMLError(f"the message has {len(payload)} bytes; at most {MAX_BYTES} are read, so send smaller packs")
    if not payload:
        raise SenMLError('the message is empty; send for example [{"n":"temperature","u":"Cel","v":3.5}]')
    first = payload[0]
    # 0x5b and 0x7b ("[", "{") would be giant strings in CBOR; an array of records starts with 0x80–0x9b or 0x9f
    entries = _read_cbor(payload) if 0x80 <= first <= 0x9F else _read_json(payload)  # noqa: PLR2004 - RFC 8949 §3.1
    if len(entries) > MAX_RECORDS:
        raise SenMLError(f"the pack has {len(entries)} records; at most {MAX_RECORDS} are read, so send smaller packs")
    return _resolve(entries)


def _read_json(payload: bytes) -> list[Any]:
    try:
        told = _DECODER.decode(payload.decode("utf-8"))
    except SenMLError:
        raise
    except UnicodeDecodeError:
        raise SenMLError("the message is neither UTF-8 text nor CBOR; send SenML as RFC 8428 describes") from None
    except RecursionError:
        raise SenMLError("the JSON is nested too deeply; a SenML pack is a flat list of records") from None
    except ValueError as error:
        raise SenMLError(f"the message is not valid JSON ({error}); check quotes, commas and brackets") from None
    if not isinstance(told, list):
        raise SenMLError("a SenML pack is a list of records; put the record between [ and ]")
    return told


def _refuse_constant(word: str) -> NoReturn:
    raise SenMLError(f"{word} is not a number that SenML allows; leave the record out when there is no value")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _read_cbor(payload: bytes) -> list[Any]:
    import cbor2

    try:
        told = cbor2.loads(payload, max_depth=8, semantic_decoders={5: _refuse_bigfloat})
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise SenMLError(f"the message is not valid CBOR ({error}); send SenML as RFC 8428 §6 describes") from None
    if not isinstance(told, list):
        raise SenMLError("a SenML pack is an array of maps; wrap the map in an array")
    return [_with_words(entry) if isinstance(entry, Mapping) else entry for entry in told]


def _refuse_bigfloat(value: Any, immutable: bool) -> NoReturn:  # noqa: FBT001 - cbor2's signature
    # 2**exponent of a hostile exponent keeps a processor busy for minutes, and no sensor sends one
    del value, immutable
    raise ValueError("bigfloats are not read")


def _with_words(entry: Mapping[Any, Any]) -> dict[Any, Any]:
    return {
        (_CBOR_LABELS.get(key, key) if isinstance(key, int) and not isinstance(key, bool) else key): value
        for key, value in entry.items()
    }


def _resolve(entries: list[Any]) -> Pack:
    records: list[Record] = []
    ignored: list[str] = []
    base_name, base_unit, base_time, base_value, base_sum = "", "", 0.0, 0.0, 0.0
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict):
            raise SenMLError(f"record {number} is not an object with fields such as n, u and v")
        _check_fields(entry, number)
        if entry.keys() & _BASE_FIELDS:
            base_name = _text(entry, "bn", number, base_name)
            base_unit = _text(entry, "bu", number, base_unit)
            base_time = _number(entry, "bt", number, base_time)
            base_value = _number(entry, "bv", number, base_value)
            base_sum = _number(entry, "bs", number, base_sum)
        name = base_name + _text(entry, "n", number, "")
        unit = _text(entry, "u", number, base_unit)
        if len(name) > MAX_TEXT or len(unit) > MAX_TEXT:
            raise SenMLError(f"record {number} has a name or unit longer than {MAX_TEXT} characters; shorten it")
        time_s, relative = _time(base_time + _number(entry, "t", number, 0.0), number)
        if "v" in entry:
            value = _finite(base_value + _number(entry, "v", number, 0.0), number)
            records.append(Record(name, unit, value, time_s, relative))
        if "s" in entry:
            value = _finite(base_sum + _number(entry, "s", number, 0.0), number)
            # the integral over time of the value (§4.3): another quantity in another unit, beside the value
            records.append(Record(f"{name}_sum", f"{unit}.s" if unit else "", value, time_s, relative))
        if "v" not in entry and "s" not in entry:
            reason = _why_no_number(entry, name or f"record {number}")
            if reason:
                ignored.append(reason)
    return Pack(records, ignored)


_BASE_FIELDS = frozenset({"bn", "bu", "bt", "bv", "bs"})
_KNOWN = frozenset(_CBOR_LABELS.values())


def _check_fields(entry: dict[Any, Any], number: int) -> None:
    if entry.keys() <= _KNOWN and "bver" not in entry:
        return
    for key in entry:
        if isinstance(key, str) and key.endswith("_"):
            # §4.4: such a field changes the meaning of the pack for whoever does not know it
            raise SenMLError(f"record {number} has the field '{key[:40]}', which must be understood and is not known")
    version = _number(entry, "bver", number, VERSION)
    if version > VERSION:
        raise SenMLError(f"the pack says SenML version {version:g}; this kit reads version {VERSION}")


def _why_no_number(entry: dict[Any, Any], name: str) -> str:
    for field, what in _OTHER_VALUES.items():
        if field in entry:
            return f"'{name}' holds {what}; only numbers are kept"
    if entry.keys() <= _BASE_FIELDS | {"bver"}:
        return ""  # a record that only sets base values has nothing to lose
    return f"'{name}' has no value"


def _text(entry: dict[Any, Any], field: str, number: int, default: str) -> str:
    text = entry.get(field, default)
    if not isinstance(text, str):
        raise SenMLError(f"the field '{field}' of record {number} must be text in quotes")
    return text


def _number(entry: dict[Any, Any], field: str, number: int, default: float) -> float:
    told = entry.get(field, default)
    kind = type(told)
    if kind is float:
        return _finite(told, number)
    if kind is int or kind is Decimal:
        try:
            return _finite(float(told), number)
        except (OverflowError, ValueError):
            raise SenMLError(f"the field '{field}' of record {number} is too large for a number") from None
    raise SenMLError(f"the field '{field}' of record {number} must be a number without quotes")


def _finite(value: float, number: int) -> float:
    if math.isfinite(value):
        return value
    raise SenMLError(f"record {number} holds no finite number; leave a record out when there is no value")


def _time(time_s: float, number: int) -> tuple[float, bool]:
    if time_s < RELATIVE_BELOW_S:
        if time_s < -RELATIVE_BELOW_S:
            raise SenMLError(f"record {number} lies more than eight years back from now; give its time since 1970")
        return time_s, True
    if time_s >= LATEST_S:
        raise SenMLError(f"the time of record {number} lies after the year 2100; SenML times are seconds since 1970")
    return time_s, False
