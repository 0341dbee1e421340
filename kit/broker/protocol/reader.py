"""Bytes to packets (MQTT 3.1.1 chapters 2 and 3).

Invariant: the packets that come out, and the error that ends them, depend on the bytes alone and not on how the
network cut them into pieces.
"""

from __future__ import annotations

from collections.abc import Callable

from kit.broker.protocol.errors import LimitExceeded, MalformedPacket, UnacceptableVersion
from kit.broker.protocol.limits import Limits
from kit.broker.protocol.packets import (
    FAILURE,
    Connack,
    Connect,
    Disconnect,
    Message,
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
from kit.broker.protocol.topics import is_topic_filter, is_topic_name

PUBLISH = 3
MAX_QOS = 2
MAX_LENGTH_BYTES = 4


class PacketReader:
    """Takes bytes as they come, gives packets one at a time.

    Args:
        limits: on every length.
        packet_bytes: the largest packet taken; may be raised later (after the client has signed in).
    """

    def __init__(self, limits: Limits, *, packet_bytes: int) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self.packet_bytes = packet_bytes

    def receive_data(self, data: bytes) -> None:
        """Append what the network brought."""
        self._buffer += data

    @property
    def unread_bytes(self) -> int:
        """Bytes not yet turned into packets."""
        return len(self._buffer)

    def next_packet(self) -> Packet | None:
        """The next packet, or None until more bytes have come.

        Raises:
            RemoteProtocolError: the bytes cannot become a packet; nothing after them means anything.
        """
        buffer = self._buffer
        size, start = self._packet_size()
        if start == 0:
            return None
        if start + size > self.packet_bytes:
            raise LimitExceeded("a packet's size in bytes", size=start + size, limit=self.packet_bytes)
        if len(buffer) < start + size:
            return None
        first = buffer[0]
        body = bytes(buffer[start : start + size])
        del buffer[: start + size]
        if first >> 4 == PUBLISH:
            return _publish(first & 0x0F, body, self._limits)
        return _decode(first, body, self._limits)

    def _packet_size(self) -> tuple[int, int]:
        """The remaining length and where the body starts; (0, 0) while that is not known (2.2.3)."""
        size = 0
        for place, byte in enumerate(self._buffer[1 : 1 + MAX_LENGTH_BYTES]):
            size |= (byte & 0x7F) << (7 * place)
            if byte < 0x80:  # noqa: PLR2004 - the continuation bit
                return size, place + 2
        if len(self._buffer) > MAX_LENGTH_BYTES:
            raise MalformedPacket("the remaining length takes more than four bytes")
        return 0, 0


class _Body:
    """A cursor over a packet's variable header and payload."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int, what: str) -> bytes:
        end = self.at + size
        if end > len(self.data):
            raise MalformedPacket(f"the packet ends inside {what}")
        taken = self.data[self.at : end]
        self.at = end
        return taken

    def number(self, size: int, what: str) -> int:
        return int.from_bytes(self.take(size, what), "big")

    def binary(self, what: str, *, limit: int) -> bytes:
        size = self.number(2, what)
        if size > limit:
            raise LimitExceeded(f"the length of {what} in bytes", size=size, limit=limit)
        return self.take(size, what)

    def text(self, what: str, *, limit: int) -> str:
        return _text(self.binary(what, limit=limit), what)

    def packet_id(self) -> int:
        packet_id = self.number(2, "the packet id")
        if packet_id == 0:
            raise MalformedPacket("packet id 0 is not allowed [MQTT-2.3.1-1]")
        return packet_id

    def end(self) -> None:
        if self.at != len(self.data):
            raise MalformedPacket(f"{len(self.data) - self.at} bytes are left over at the end of the packet")

    @property
    def more(self) -> bool:
        return self.at < len(self.data)


def _text(raw: bytes, what: str) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise MalformedPacket(f"{what} is not UTF-8 [MQTT-1.5.3-1]") from None
    if "\0" in text:
        raise MalformedPacket(f"{what} contains U+0000 [MQTT-1.5.3-2]")
    return text


def _topic(topic: str, limits: Limits, *, is_filter: bool) -> str:
    if not (is_topic_filter(topic) if is_filter else is_topic_name(topic)):
        raise MalformedPacket(f"{topic!r} is no topic {'filter' if is_filter else 'name'} (section 4.7)")
    levels = topic.count("/") + 1
    if levels > limits.topic_levels:
        raise LimitExceeded("the number of levels in a topic", size=levels, limit=limits.topic_levels)
    return topic


def _publish(flags: int, data: bytes, limits: Limits) -> Publish:
    body = _Body(data)
    qos = flags >> 1 & 3
    dup = bool(flags & 8)
    if qos > MAX_QOS or (dup and not qos):
        raise MalformedPacket(f"PUBLISH with QoS {qos}, DUP {int(dup)} [MQTT-3.3.1-2, -4]")
    topic = _topic(body.text("the topic", limit=limits.topic_bytes), limits, is_filter=False)
    packet_id = body.packet_id() if qos else None
    return Publish(topic, data[body.at :], qos, bool(flags & 1), dup, packet_id)


def _connect(body: _Body, limits: Limits) -> Connect:
    name = body.binary("the protocol name", limit=6)
    level = body.number(1, "the protocol level")
    if name != b"MQTT":
        if name == b"MQIsdp":
            raise UnacceptableVersion("the client speaks MQTT 3.1; this broker speaks 3.1.1 (protocol level 4)")
        raise MalformedPacket(f"{name!r} is not the protocol name MQTT [MQTT-3.1.2-1]")
    if level != 4:  # noqa: PLR2004 - MQTT 3.1.1 is level 4
        raise UnacceptableVersion(f"the client speaks protocol level {level}; this broker speaks 3.1.1 (level 4)")
    flags = body.number(1, "the connect flags")
    _check_connect_flags(flags)
    keep_alive_s = body.number(2, "the keep-alive")
    client_id = body.text("the client id", limit=limits.client_id_bytes)
    will = _will(body, flags, limits) if flags & 0x04 else None
    username = body.text("the user name", limit=limits.credential_bytes) if flags & 0x80 else None
    password = body.binary("the password", limit=limits.credential_bytes) if flags & 0x40 else None
    return Connect(
        client_id=client_id,
        clean_session=bool(flags & 0x02),
        keep_alive_s=keep_alive_s,
        username=username,
        password=password,
        will=will,
    )


def _check_connect_flags(flags: int) -> None:
    if flags & 0x01:
        raise MalformedPacket("the reserved connect flag is set [MQTT-3.1.2-3]")
    if flags & 0x40 and not flags & 0x80:
        raise MalformedPacket("a password without a user name [MQTT-3.1.2-22]")
    if not flags & 0x04 and flags & 0x38:
        raise MalformedPacket("will QoS or will retain without a will [MQTT-3.1.2-13, -15]")
    if flags >> 3 & 3 > MAX_QOS:
        raise MalformedPacket("will QoS 3 [MQTT-3.1.2-14]")


def _will(body: _Body, flags: int, limits: Limits) -> Message:
    topic = _topic(body.text("the will topic", limit=limits.topic_bytes), limits, is_filter=False)
    payload = body.binary("the will message", limit=limits.connect_bytes)
    return Message(topic, payload, flags >> 3 & 3, bool(flags & 0x20))


def _connack(body: _Body, limits: Limits) -> Connack:
    del limits
    present, code = body.number(1, "the acknowledge flags"), body.number(1, "the return code")
    if present > 1:
        raise MalformedPacket("a reserved CONNACK flag is set")
    return Connack(bool(present), code)


def _subscribe(body: _Body, limits: Limits) -> Subscribe:
    packet_id = body.packet_id()
    filters: list[tuple[str, int]] = []
    while body.more:
        topic_filter = _filter(body, limits, so_far=len(filters))
        qos = body.number(1, "the requested QoS")
        if qos > MAX_QOS:
            raise MalformedPacket(f"requested QoS byte {qos} [MQTT-3.8.3-4]")
        filters.append((topic_filter, qos))
    if not filters:
        raise MalformedPacket("SUBSCRIBE without a filter [MQTT-3.8.3-3]")
    return Subscribe(packet_id, tuple(filters))


def _unsubscribe(body: _Body, limits: Limits) -> Unsubscribe:
    packet_id = body.packet_id()
    filters: list[str] = []
    while body.more:
        filters.append(_filter(body, limits, so_far=len(filters)))
    if not filters:
        raise MalformedPacket("UNSUBSCRIBE without a filter [MQTT-3.10.3-2]")
    return Unsubscribe(packet_id, tuple(filters))


def _filter(body: _Body, limits: Limits, *, so_far: int) -> str:
    if so_far >= limits.subscriptions_per_packet:
        raise LimitExceeded(
            "the number of filters in one packet", size=so_far + 1, limit=limits.subscriptions_per_packet
        )
    return _topic(body.text("the topic filter", limit=limits.topic_bytes), limits, is_filter=True)


def _suback(body: _Body, limits: Limits) -> Suback:
    del limits
    packet_id = body.packet_id()
    codes = tuple(body.take(len(body.data) - body.at, "the return codes"))
    if not codes or any(code > MAX_QOS and code != FAILURE for code in codes):
        raise MalformedPacket(f"SUBACK with the codes {codes} [MQTT-3.9.3-2]")
    return Suback(packet_id, codes)


def _with_id(kind: Callable[[int], Packet]) -> Callable[[_Body, Limits], Packet]:
    return lambda body, _: kind(body.packet_id())


def _empty(kind: Callable[[], Packet]) -> Callable[[_Body, Limits], Packet]:
    return lambda _body, _limits: kind()


_DECODERS: dict[int, Callable[[_Body, Limits], Packet]] = {
    0x10: _connect,
    0x20: _connack,
    0x40: _with_id(Puback),
    0x50: _with_id(Pubrec),
    0x62: _with_id(Pubrel),
    0x70: _with_id(Pubcomp),
    0x82: _subscribe,
    0x90: _suback,
    0xA2: _unsubscribe,
    0xB0: _with_id(Unsuback),
    0xC0: _empty(Pingreq),
    0xD0: _empty(Pingresp),
    0xE0: _empty(Disconnect),
}
"""By the whole first byte: a packet type with other flags than these is malformed [MQTT-2.2.2-2]."""


def _decode(first: int, data: bytes, limits: Limits) -> Packet:
    decoder = _DECODERS.get(first)
    if decoder is None:
        raise MalformedPacket(f"0x{first:02x} begins no MQTT 3.1.1 packet")
    body = _Body(data)
    packet = decoder(body, limits)
    body.end()
    return packet
