"""Packets to bytes (MQTT 3.1.1 and 5, chapters 2 and 3)."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Sequence
from typing import Any

from kit.broker.protocol.errors import LocalProtocolError
from kit.broker.protocol.packets import (
    FAILURE,
    MAX_PACKETS,
    V3,
    V5,
    Connack,
    Connect,
    ConnectCode,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubacks,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Wish,
)
from kit.broker.protocol.properties import Prop, varint, write_properties
from kit.broker.protocol.reasons import Reason

MAX_STRING = 0xFFFF
MAX_REMAINING = 268_435_455
"""The largest remaining length that four bytes of seven bits hold (2.2.3)."""

NO_PROPERTIES = b"\x00"
_PUBACK_HEAD = array("H", [0x4002])
"""The first two bytes of a PUBACK that gives no reason; the packet id is the other two."""


OLD_CODES = {
    Reason.UNSUPPORTED_VERSION: ConnectCode.UNACCEPTABLE_VERSION,
    Reason.CLIENT_ID_NOT_VALID: ConnectCode.IDENTIFIER_REJECTED,
    # MQTT 3.1.1 tells "bad user name or password" from "not authorized"; whoever guesses need not know which it was
    Reason.BAD_CREDENTIALS: ConnectCode.NOT_AUTHORISED,
    Reason.BAD_AUTHENTICATION_METHOD: ConnectCode.NOT_AUTHORISED,
    Reason.NOT_AUTHORIZED: ConnectCode.NOT_AUTHORISED,
}
"""What MQTT 3.1.1 says for a reason in a CONNACK; for every other failure, that the server is unavailable."""


def encode(packet: Packet, version: int = V3) -> bytes:
    """The packet as it goes onto the wire to or from a client of that version.

    Raises:
        LocalProtocolError: a string or the packet is longer than MQTT can say, or a packet id is missing.
    """
    return (_ENCODERS5 if version == V5 else _ENCODERS)[type(packet)](packet)


def _frame(first: int, body: bytes) -> bytes:
    size = len(body)
    if size < 0x80:  # noqa: PLR2004 - the common case: one length byte of seven bits
        return bytes((first, size)) + body
    if size > MAX_REMAINING:
        raise LocalProtocolError(f"a packet of {size} bytes cannot be said in MQTT; at most {MAX_REMAINING}")
    return bytes((first,)) + varint(size) + body


def _binary(value: bytes) -> bytes:
    if len(value) > MAX_STRING:
        raise LocalProtocolError(f"a field of {len(value)} bytes cannot be said in MQTT; at most {MAX_STRING}")
    return len(value).to_bytes(2, "big") + value


def _text(value: str) -> bytes:
    return _binary(value.encode())


def _id(packet_id: int | None) -> bytes:
    if packet_id is None or not 0 < packet_id <= MAX_STRING:
        raise LocalProtocolError(f"{packet_id} is no packet id; they go from 1 to {MAX_STRING}")
    return packet_id.to_bytes(2, "big")


def encode_pubacks(packet_ids: Sequence[int]) -> bytes:
    """PUBACKs of success, the answer to nearly everything that is said to this broker; the same in both versions.

    Raises:
        LocalProtocolError: a packet id is none.
    """
    try:
        ids = array("H", packet_ids)
    except OverflowError:
        ids = array("H", [0])
    if 0 in ids:
        raise LocalProtocolError(f"no packet ids are among {packet_ids}; they go from 1 to {MAX_STRING}")
    words = _PUBACK_HEAD * (2 * len(ids))
    words[1::2] = ids
    if sys.byteorder == "little":
        words.byteswap()
    return words.tobytes()


def _connect(packet: Connect) -> bytes:
    flags = 0x02 if packet.clean_session else 0
    five = packet.version == V5
    tail = _connect_properties(packet) if five else b""
    tail += _text(packet.client_id)
    if packet.will is not None:
        flags |= 0x04 | packet.will.qos << 3 | (0x20 if packet.will.retain else 0)
        if five:
            delay = (Prop.WILL_DELAY, packet.will_delay_s or None)
            tail += write_properties((delay, (Prop.MESSAGE_EXPIRY, packet.will_expiry_s)), packet.will.properties)
        tail += _text(packet.will.topic) + _binary(packet.will.payload)
    if packet.username is not None:
        flags |= 0x80
        tail += _text(packet.username)
    if packet.password is not None:
        flags |= 0x40
        tail += _binary(packet.password)
    head = b"\x00\x04MQTT" + bytes((packet.version, flags)) + packet.keep_alive_s.to_bytes(2, "big")
    return _frame(0x10, head + tail)


def _connect_properties(packet: Connect) -> bytes:
    return write_properties(
        (
            (Prop.SESSION_EXPIRY, packet.session_expiry_s or None),
            (Prop.RECEIVE_MAXIMUM, None if packet.receive_maximum == MAX_PACKETS else packet.receive_maximum),
            (Prop.MAXIMUM_PACKET_SIZE, packet.packet_bytes),
            (Prop.TOPIC_ALIAS_MAXIMUM, packet.topic_alias_maximum or None),
            (Prop.REQUEST_PROBLEM, None if packet.problem_information else 0),
            (Prop.AUTH_METHOD, packet.auth_method),
        )
    )


def _connack(packet: Connack) -> bytes:
    code = packet.code if packet.code < FAILURE else OLD_CODES.get(Reason(packet.code), ConnectCode.SERVER_UNAVAILABLE)
    return bytes((0x20, 2, int(packet.session_present), code))


def _connack5(packet: Connack) -> bytes:
    head = bytes((int(packet.session_present), packet.code))
    said = (
        (Prop.RECEIVE_MAXIMUM, packet.receive_maximum),
        (Prop.MAXIMUM_PACKET_SIZE, packet.packet_bytes),
        (Prop.ASSIGNED_CLIENT_ID, packet.assigned_client_id),
        (Prop.TOPIC_ALIAS_MAXIMUM, packet.topic_alias_maximum),
        (Prop.REASON_STRING, packet.text or None),
        (Prop.SERVER_KEEP_ALIVE, packet.keep_alive_s),
    )
    return _frame(0x20, head + write_properties(said))


def _publish_head(packet: Publish) -> int:
    return 0x30 | (0x08 if packet.dup else 0) | packet.qos << 1 | (0x01 if packet.retain else 0)


def _publish(packet: Publish) -> bytes:
    packet_id = _id(packet.packet_id) if packet.qos else b""
    return _frame(_publish_head(packet), _text(packet.topic) + packet_id + packet.payload)


def _publish5(packet: Publish) -> bytes:
    packet_id = _id(packet.packet_id) if packet.qos else b""
    said = ((Prop.MESSAGE_EXPIRY, packet.expiry_s), (Prop.TOPIC_ALIAS, packet.alias))
    properties = write_properties(said, packet.properties)
    return _frame(_publish_head(packet), _text(packet.topic) + packet_id + properties + packet.payload)


def _ack5(first: int) -> Callable[[Any], bytes]:
    def write(packet: Puback | Pubrec | Pubrel | Pubcomp) -> bytes:
        body = _id(packet.packet_id)
        if packet.reason or packet.text:
            body += bytes((packet.reason,))
        if packet.text:
            body += write_properties(((Prop.REASON_STRING, packet.text),))
        return _frame(first, body)

    return write


def _subscribe(packet: Subscribe) -> bytes:
    filters = b"".join(_text(name) + bytes((wish_of(wanted).qos,)) for name, wanted in packet.filters)
    return _frame(0x82, _id(packet.packet_id) + filters)


def _subscribe5(packet: Subscribe) -> bytes:
    filters = b"".join(_text(name) + bytes((_options(wish_of(wanted)),)) for name, wanted in packet.filters)
    said = write_properties(((Prop.SUBSCRIPTION_ID, packet.identifier),))
    return _frame(0x82, _id(packet.packet_id) + said + filters)


def wish_of(wanted: int | Wish) -> Wish:
    """A plain QoS is a wish without options."""
    return wanted if isinstance(wanted, Wish) else Wish(wanted)


def _options(wish: Wish) -> int:
    return wish.qos | int(wish.no_local) << 2 | int(wish.as_published) << 3 | wish.retain_handling << 4


def _suback(packet: Suback) -> bytes:
    return _frame(0x90, _id(packet.packet_id) + bytes(min(code, FAILURE) for code in packet.codes))


def _codes5(first: int) -> Callable[[Any], bytes]:
    return lambda p: _frame(first, _id(p.packet_id) + NO_PROPERTIES + bytes(p.codes))


def _disconnect5(packet: Disconnect) -> bytes:
    said = ((Prop.SESSION_EXPIRY, packet.session_expiry_s), (Prop.REASON_STRING, packet.text or None))
    if packet.session_expiry_s is None and not packet.text:
        return _frame(0xE0, bytes((packet.reason,)) if packet.reason else b"")
    return _frame(0xE0, bytes((packet.reason,)) + write_properties(said))


_ENCODERS: dict[type, Callable[[Any], bytes]] = {
    Connect: _connect,
    Connack: _connack,
    Publish: _publish,
    Puback: lambda p: b"\x40\x02" + _id(p.packet_id),
    Pubacks: lambda p: encode_pubacks(p.packet_ids),
    Pubrec: lambda p: b"\x50\x02" + _id(p.packet_id),
    Pubrel: lambda p: b"\x62\x02" + _id(p.packet_id),
    Pubcomp: lambda p: b"\x70\x02" + _id(p.packet_id),
    Subscribe: _subscribe,
    Suback: _suback,
    Unsubscribe: lambda p: _frame(0xA2, _id(p.packet_id) + b"".join(map(_text, p.filters))),
    Unsuback: lambda p: b"\xb0\x02" + _id(p.packet_id),
    Pingreq: lambda _: b"\xc0\x00",
    Pingresp: lambda _: b"\xd0\x00",
    Disconnect: lambda _: b"\xe0\x00",
}

_ENCODERS5 = _ENCODERS | {
    Connack: _connack5,
    Publish: _publish5,
    Puback: _ack5(0x40),
    Pubrec: _ack5(0x50),
    Pubrel: _ack5(0x62),
    Pubcomp: _ack5(0x70),
    Subscribe: _subscribe5,
    Suback: _codes5(0x90),
    Unsubscribe: lambda p: _frame(0xA2, _id(p.packet_id) + NO_PROPERTIES + b"".join(map(_text, p.filters))),
    Unsuback: _codes5(0xB0),
    Disconnect: _disconnect5,
}
