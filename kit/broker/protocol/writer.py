"""Packets to bytes (MQTT 3.1.1 chapters 2 and 3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kit.broker.protocol.errors import LocalProtocolError
from kit.broker.protocol.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
)

MAX_STRING = 0xFFFF
MAX_REMAINING = 268_435_455
"""The largest remaining length that four bytes of seven bits hold (2.2.3)."""


def encode(packet: Packet) -> bytes:
    """The packet as it goes onto the wire.

    Raises:
        LocalProtocolError: a string or the packet is longer than MQTT can say, or a packet id is missing.
    """
    return _ENCODERS[type(packet)](packet)


def _frame(first: int, body: bytes) -> bytes:
    size = len(body)
    if size < 0x80:  # noqa: PLR2004 - the common case: one length byte of seven bits
        return bytes((first, size)) + body
    if size > MAX_REMAINING:
        raise LocalProtocolError(f"a packet of {size} bytes cannot be said in MQTT; at most {MAX_REMAINING}")
    length = bytearray()
    while size:
        size, low = divmod(size, 0x80)
        length.append(low | (0x80 if size else 0))
    return bytes((first,)) + bytes(length) + body


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


def _connect(packet: Connect) -> bytes:
    flags = 0x02 if packet.clean_session else 0
    tail = _text(packet.client_id)
    if packet.will is not None:
        flags |= 0x04 | packet.will.qos << 3 | (0x20 if packet.will.retain else 0)
        tail += _text(packet.will.topic) + _binary(packet.will.payload)
    if packet.username is not None:
        flags |= 0x80
        tail += _text(packet.username)
    if packet.password is not None:
        flags |= 0x40
        tail += _binary(packet.password)
    head = b"\x00\x04MQTT\x04" + bytes((flags,)) + packet.keep_alive_s.to_bytes(2, "big")
    return _frame(0x10, head + tail)


def _publish(packet: Publish) -> bytes:
    first = 0x30 | (0x08 if packet.dup else 0) | packet.qos << 1 | (0x01 if packet.retain else 0)
    packet_id = _id(packet.packet_id) if packet.qos else b""
    return _frame(first, _text(packet.topic) + packet_id + packet.payload)


def _subscribe(packet: Subscribe) -> bytes:
    filters = b"".join(_text(topic_filter) + bytes((qos,)) for topic_filter, qos in packet.filters)
    return _frame(0x82, _id(packet.packet_id) + filters)


_ENCODERS: dict[type, Callable[[Any], bytes]] = {
    Connect: _connect,
    Connack: lambda p: bytes((0x20, 2, int(p.session_present), p.code)),
    Publish: _publish,
    Puback: lambda p: b"\x40\x02" + _id(p.packet_id),
    Pubrec: lambda p: b"\x50\x02" + _id(p.packet_id),
    Pubrel: lambda p: b"\x62\x02" + _id(p.packet_id),
    Pubcomp: lambda p: b"\x70\x02" + _id(p.packet_id),
    Subscribe: _subscribe,
    Suback: lambda p: _frame(0x90, _id(p.packet_id) + bytes(p.codes)),
    Unsubscribe: lambda p: _frame(0xA2, _id(p.packet_id) + b"".join(map(_text, p.filters))),
    Unsuback: lambda p: b"\xb0\x02" + _id(p.packet_id),
    Pingreq: lambda _: b"\xc0\x00",
    Pingresp: lambda _: b"\xd0\x00",
    Disconnect: lambda _: b"\xe0\x00",
}
