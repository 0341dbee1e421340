"""The properties of MQTT 5 packets (section 2.2.2): a table of what there is, reading and writing.

Those of an application message that concern only its readers (content type, response topic, correlation data, user
properties, payload format) are checked once and then passed on as the bytes they came in: in memory, in the journal
and on the way to the subscriber they are one opaque field.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Any

from kit.broker.protocol.body import Body
from kit.broker.protocol.errors import LimitExceeded, LocalProtocolError, MalformedPacket, UnexpectedPacket
from kit.broker.protocol.limits import Limits
from kit.broker.protocol.reasons import Reason
from kit.broker.protocol.topics import is_topic_name


class Prop(IntEnum):
    """Identifiers (table 2-4)."""

    PAYLOAD_FORMAT = 0x01
    MESSAGE_EXPIRY = 0x02
    CONTENT_TYPE = 0x03
    RESPONSE_TOPIC = 0x08
    CORRELATION_DATA = 0x09
    SUBSCRIPTION_ID = 0x0B
    SESSION_EXPIRY = 0x11
    ASSIGNED_CLIENT_ID = 0x12
    SERVER_KEEP_ALIVE = 0x13
    AUTH_METHOD = 0x15
    AUTH_DATA = 0x16
    REQUEST_PROBLEM = 0x17
    WILL_DELAY = 0x18
    REQUEST_RESPONSE = 0x19
    RESPONSE_INFORMATION = 0x1A
    SERVER_REFERENCE = 0x1C
    REASON_STRING = 0x1F
    RECEIVE_MAXIMUM = 0x21
    TOPIC_ALIAS_MAXIMUM = 0x22
    TOPIC_ALIAS = 0x23
    MAXIMUM_QOS = 0x24
    RETAIN_AVAILABLE = 0x25
    USER_PROPERTY = 0x26
    MAXIMUM_PACKET_SIZE = 0x27
    WILDCARDS_AVAILABLE = 0x28
    SUBSCRIPTION_IDS_AVAILABLE = 0x29
    SHARED_AVAILABLE = 0x2A


_NUMBERS: dict[int, int] = {
    Prop.PAYLOAD_FORMAT: 1,
    Prop.MESSAGE_EXPIRY: 4,
    Prop.SESSION_EXPIRY: 4,
    Prop.SERVER_KEEP_ALIVE: 2,
    Prop.REQUEST_PROBLEM: 1,
    Prop.WILL_DELAY: 4,
    Prop.REQUEST_RESPONSE: 1,
    Prop.RECEIVE_MAXIMUM: 2,
    Prop.TOPIC_ALIAS_MAXIMUM: 2,
    Prop.TOPIC_ALIAS: 2,
    Prop.MAXIMUM_QOS: 1,
    Prop.RETAIN_AVAILABLE: 1,
    Prop.MAXIMUM_PACKET_SIZE: 4,
    Prop.WILDCARDS_AVAILABLE: 1,
    Prop.SUBSCRIPTION_IDS_AVAILABLE: 1,
    Prop.SHARED_AVAILABLE: 1,
}
"""Integers, with their bytes on the wire."""

_BINARY = frozenset({Prop.CORRELATION_DATA, Prop.AUTH_DATA})
_FLAGS = frozenset(prop for prop, size in _NUMBERS.items() if size == 1)
_NOT_ZERO = frozenset({Prop.RECEIVE_MAXIMUM, Prop.MAXIMUM_PACKET_SIZE, Prop.SUBSCRIPTION_ID})

PASSED_ON = frozenset(
    {Prop.PAYLOAD_FORMAT, Prop.CONTENT_TYPE, Prop.RESPONSE_TOPIC, Prop.CORRELATION_DATA, Prop.USER_PROPERTY}
)
"""Properties of a message that go to its subscribers unaltered [MQTT-3.3.2-4, -15, -16, -17, -20]."""

IN_PUBLISH = PASSED_ON | {Prop.MESSAGE_EXPIRY, Prop.TOPIC_ALIAS, Prop.SUBSCRIPTION_ID}
IN_WILL = PASSED_ON | {Prop.MESSAGE_EXPIRY, Prop.WILL_DELAY}
IN_CONNECT = frozenset(
    {
        Prop.SESSION_EXPIRY,
        Prop.RECEIVE_MAXIMUM,
        Prop.MAXIMUM_PACKET_SIZE,
        Prop.TOPIC_ALIAS_MAXIMUM,
        Prop.REQUEST_RESPONSE,
        Prop.REQUEST_PROBLEM,
        Prop.USER_PROPERTY,
        Prop.AUTH_METHOD,
        Prop.AUTH_DATA,
    }
)
IN_CONNACK = frozenset(
    {
        Prop.SESSION_EXPIRY,
        Prop.RECEIVE_MAXIMUM,
        Prop.MAXIMUM_QOS,
        Prop.RETAIN_AVAILABLE,
        Prop.MAXIMUM_PACKET_SIZE,
        Prop.ASSIGNED_CLIENT_ID,
        Prop.TOPIC_ALIAS_MAXIMUM,
        Prop.REASON_STRING,
        Prop.USER_PROPERTY,
        Prop.WILDCARDS_AVAILABLE,
        Prop.SUBSCRIPTION_IDS_AVAILABLE,
        Prop.SHARED_AVAILABLE,
        Prop.SERVER_KEEP_ALIVE,
        Prop.RESPONSE_INFORMATION,
        Prop.SERVER_REFERENCE,
        Prop.AUTH_METHOD,
        Prop.AUTH_DATA,
    }
)
IN_ACK = frozenset({Prop.REASON_STRING, Prop.USER_PROPERTY})
IN_SUBSCRIBE = frozenset({Prop.SUBSCRIPTION_ID, Prop.USER_PROPERTY})
IN_UNSUBSCRIBE = frozenset({Prop.USER_PROPERTY})
IN_DISCONNECT = frozenset({Prop.SESSION_EXPIRY, Prop.REASON_STRING, Prop.USER_PROPERTY, Prop.SERVER_REFERENCE})

Found = dict[int, Any]
"""Property id to value; user properties and subscription ids as lists."""


def read_properties(body: Body, allowed: frozenset[int] | frozenset[Prop], limits: Limits) -> Found:
    """Take the properties from a packet.

    Raises:
        RemoteProtocolError: they are malformed, do not belong there, come twice, or are too many.
    """
    found: Found = {}
    for prop, value, _ in _each(body, allowed, limits):
        _put(found, prop, value, limits)
    return found


def read_message_properties(
    body: Body, allowed: frozenset[int] | frozenset[Prop], limits: Limits
) -> tuple[Found, bytes]:
    """Take a message's properties: as values, and those that are passed on as bytes."""
    found: Found = {}
    passed = b""
    for prop, value, raw in _each(body, allowed, limits):
        _put(found, prop, value, limits)
        if prop in PASSED_ON:
            passed += raw
    response_topic = found.get(Prop.RESPONSE_TOPIC)
    if response_topic is not None and not is_topic_name(response_topic):
        raise MalformedPacket(f"{response_topic!r} is no response topic [MQTT-3.3.2-14]", reason=Reason.PROTOCOL_ERROR)
    return found, passed


def write_properties(values: Iterable[tuple[int, Any]], raw: bytes = b"") -> bytes:
    """Properties with their length; those whose value is None are left out, `raw` is already encoded."""
    data = b"".join(encode_property(prop, value) for prop, value in values if value is not None) + raw
    return varint(len(data)) + data


def encode_property(prop: int, value: Any) -> bytes:
    """One property.

    Raises:
        LocalProtocolError: the value is too large for its field.
    """
    head = bytes((prop,))
    if prop == Prop.USER_PROPERTY:
        name, text = value
        return head + _binary(name.encode()) + _binary(text.encode())
    if prop == Prop.SUBSCRIPTION_ID:
        return head + varint(value)
    if prop in _NUMBERS:
        return head + int(value).to_bytes(_NUMBERS[prop], "big")
    return head + _binary(value if prop in _BINARY else value.encode())


def subscription_ids(identifiers: Iterable[int]) -> bytes:
    """The subscription ids that a message to a subscriber carries, encoded."""
    return b"".join(encode_property(Prop.SUBSCRIPTION_ID, identifier) for identifier in identifiers)


def varint(value: int) -> bytes:
    """A variable byte integer (1.5.5)."""
    if value < 0x80:  # noqa: PLR2004 - one byte of seven bits
        return bytes((value,))
    out = bytearray()
    while value:
        value, low = divmod(value, 0x80)
        out.append(low | (0x80 if value else 0))
    return bytes(out)


def _each(body: Body, allowed: frozenset[int] | frozenset[Prop], limits: Limits) -> Iterator[tuple[int, Any, bytes]]:
    size = body.varint("the length of the properties")
    if size > limits.property_bytes:
        raise LimitExceeded(
            "the length of the properties in bytes",
            size=size,
            limit=limits.property_bytes,
            reason=Reason.QUOTA_EXCEEDED,
        )
    inner = Body(body.take(size, "the properties"))
    while inner.more:
        start = inner.at
        prop = inner.varint("a property's id")
        if prop not in allowed:
            raise MalformedPacket(f"property 0x{prop:02x} does not belong into this packet [MQTT-2.2.2]")
        value = _value(inner, prop)
        yield prop, value, inner.data[start : inner.at]


def _value(body: Body, prop: int) -> Any:
    what = f"property 0x{prop:02x}"
    if prop == Prop.USER_PROPERTY:
        return (body.text(what, limit=0xFFFF), body.text(what, limit=0xFFFF))
    value: Any
    if prop == Prop.SUBSCRIPTION_ID:
        value = body.varint(what)
    elif prop in _NUMBERS:
        value = body.number(_NUMBERS[prop], what)
    elif prop in _BINARY:
        return body.binary(what, limit=0xFFFF)
    else:
        return body.text(what, limit=0xFFFF)
    if (prop in _FLAGS and value > 1) or (prop in _NOT_ZERO and not value):
        raise UnexpectedPacket(f"{what} has the value {value}")
    return value


def _put(found: Found, prop: int, value: Any, limits: Limits) -> None:
    if prop in {Prop.USER_PROPERTY, Prop.SUBSCRIPTION_ID}:
        values = found.setdefault(prop, [])
        values.append(value)
        if len(values) > limits.user_properties:
            raise LimitExceeded(
                "the number of user properties",
                size=len(values),
                limit=limits.user_properties,
                reason=Reason.QUOTA_EXCEEDED,
            )
    elif prop in found:
        raise UnexpectedPacket(f"property 0x{prop:02x} comes twice in one packet")
    else:
        found[prop] = value


def _binary(value: bytes) -> bytes:
    if len(value) > 0xFFFF:  # noqa: PLR2004 - what a length of two bytes can say
        raise LocalProtocolError(f"a field of {len(value)} bytes cannot be said in MQTT; at most {0xFFFF}")
    return len(value).to_bytes(2, "big") + value
