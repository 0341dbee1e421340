"""Bytes to packets (MQTT 3.1.1 and 5, chapters 2 and 3).

Invariant: the packets that come out, and the error that ends them, depend on the bytes alone and not on how the
network cut them into pieces. The CONNECT sets the version in which the rest is read.
"""

from __future__ import annotations

from collections.abc import Callable

from kit.broker.protocol import properties
from kit.broker.protocol.body import Body
from kit.broker.protocol.connect_reader import read_connect
from kit.broker.protocol.errors import LimitExceeded, MalformedPacket, UnexpectedPacket
from kit.broker.protocol.limits import Limits
from kit.broker.protocol.packets import (
    FAILURE,
    V3,
    V5,
    Connack,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Publishes,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Wish,
)
from kit.broker.protocol.properties import Prop, read_message_properties, read_properties
from kit.broker.protocol.reasons import Reason
from kit.broker.protocol.topics import is_topic_filter, is_topic_name, shared_filter

CONNECT = 0x10
PUBLISH = 3
AUTH = 0xF0
MAX_QOS = 2
MAX_LENGTH_BYTES = 4


AT_ONCE_BYTES = 16 * 1024
"""Looked at in one go: however much has come, a message that needs a closer look must not cost a copy of it all."""

_BEYOND = bytes(5)
"""Stands behind what has come, so that the head of a message can be looked at before it is known to be there: the first
byte, two of its length and two of its topic's. No message begins with a zero."""

TOPICS_REMEMBERED = 4_096
"""Of all clients together. A device publishes on one or two for years, a gateway on one for each device behind it."""

_IN_A_RUN = {
    PUBLISH << 4 | dup << 3 | qos << 1 | retain: (qos, bool(retain), bool(dup))
    for qos in range(MAX_QOS + 1)
    for retain in range(2)
    for dup in range(2 if qos else 1)
}
"""What the first byte of a message says: its QoS, RETAIN and DUP."""

Topics = dict[bytes, str]
"""Topics that were found good, by their bytes on the wire, the two of their length included."""


class PacketReader:
    """Takes bytes as they come, gives packets one at a time.

    Args:
        limits: on every length.
        packet_bytes: the largest packet taken; may be raised later (after the client has signed in).
        reads_server: it is a server that is read, whose messages may carry subscription ids.
        topics: what is remembered of topics, shared by all readers with the same limits; None = a memory of its own.
    """

    def __init__(
        self, limits: Limits, *, packet_bytes: int, reads_server: bool = False, topics: Topics | None = None
    ) -> None:
        self._limits = limits
        self._reads_server = reads_server
        self._buffer = bytearray()
        self._topics: Topics = {} if topics is None else topics
        self._in_runs = False
        self.packet_bytes = packet_bytes
        self.version = V3

    def receive_data(self, data: bytes | memoryview) -> None:
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
            return self._new_publish(first & 0x0F, body)
        return self._decode(first, Body(body))

    def take_known(self, *, room: int, overhead: int, most: int = AT_ONCE_BYTES) -> Publishes | None:
        """The messages that come next, as long as their flags are the same and their topics were found good before.

        What `next_packet` would give one by one, in one go: nearly everything that is ever read is such a message.

        Args:
            room: what they may count for; the message that goes beyond it is the last one.
            overhead: what a message counts for besides its payload, in bytes.
            most: how many they may be, in MQTT 5.

        Returns:
            None if the next packet is no such message, or not whole.
        """
        if not self._in_runs:
            return None
        data = b"".join((self._buffer[: min(AT_ONCE_BYTES, self.packet_bytes)], _BEYOND))
        if data[0] not in _IN_A_RUN:
            return None
        messages, size = self._read_run(data, room=room, overhead=overhead, most=most)
        if not size:
            return None
        del self._buffer[:size]
        return messages

    def _read_run(self, data: bytes, *, room: int, overhead: int, most: int) -> tuple[Publishes, int]:
        """The messages at the beginning of what has come, behind which is `_BEYOND`, and how many bytes they are."""
        flags, end_of_all, at = data[0], len(data) - len(_BEYOND), 0
        qos, retain, dup = _IN_A_RUN[flags]
        known, five = self._topics, self.version == V5
        between = (2 if qos else 0) + (1 if five else 0)  # packet id, no properties
        topics: list[str] = []
        payloads: list[bytes] = []
        packet_ids: list[int] = []
        prefix, topic, before = b"", None, 0
        while room >= 0 and data[at] == flags:
            # a length of one byte or two; what else there may be is left to `next_packet`
            length, start = data[at + 1], at + 2
            if length > 0x7F:  # noqa: PLR2004 - the continuation bit
                if data[start] > 0x7F:  # noqa: PLR2004
                    break
                length, start = length & 0x7F | data[start] << 7, at + 3
            end = start + length
            if topic is None or not data.startswith(prefix, start):
                prefix = data[start : start + 2 + (data[start] << 8 | data[start + 1])]
                topic = known.get(prefix)
                if topic is None:
                    break
                before = len(prefix) + between
            payload_at = start + before
            if payload_at > end or end > end_of_all:
                break
            if five and (data[payload_at - 1] or len(topics) >= most):
                break  # it has properties, or is one too many
            if qos:
                id_at = payload_at - between
                packet_id = data[id_at] << 8 | data[id_at + 1]
                if not packet_id:
                    break
                packet_ids.append(packet_id)
            topics.append(topic)
            payloads.append(data[payload_at:end])
            room -= overhead + end - payload_at
            at = end
        return Publishes(topics, payloads, packet_ids, qos, retain, dup), at

    def _decode(self, first: int, body: Body) -> Packet:
        if first == CONNECT:
            head = read_connect(body, self._limits, topic=_topic, version_found=self._set_version)
            body.end()
            return head
        decoder = (_DECODERS5 if self.version == V5 else _DECODERS).get(first)
        if decoder is None:
            if first == AUTH and self.version == V5:
                raise UnexpectedPacket("AUTH, but this broker has no enhanced authentication")
            raise MalformedPacket(f"0x{first:02x} begins no MQTT packet of this version")
        packet = decoder(body, self._limits)
        body.end()
        return packet

    def _new_publish(self, flags: int, data: bytes) -> Publish:
        body, raw_topic = Body(data), data[: 2 + int.from_bytes(data[:2], "big")]
        known = self._topics.get(raw_topic)
        if known is not None:
            body.at = len(raw_topic)
        if self.version == V5:
            packet = _publish5(flags, body, self._limits, topic=known, reads_server=self._reads_server)
        else:
            packet = _publish(flags, body, self._limits, topic=known)
        # who gives properties to one message gives them to the next one: no need to look whether it is known
        self._in_runs = packet.alias is None and packet.expiry_s is None and not packet.properties
        if known is None and packet.topic:
            if len(self._topics) >= TOPICS_REMEMBERED:
                self._topics.clear()
            self._topics[raw_topic] = packet.topic
        return packet

    def _set_version(self, version: int) -> None:
        self.version = version

    def _packet_size(self) -> tuple[int, int]:
        """The remaining length and where the body starts; (0, 0) while that is not known (2.2.3)."""
        buffer = self._buffer
        # nearly all packets have a length of one byte or two
        if len(buffer) > 1 and buffer[1] < 0x80:  # noqa: PLR2004 - the continuation bit
            return buffer[1], 2
        if len(buffer) > 2 and buffer[2] < 0x80:  # noqa: PLR2004
            return buffer[1] & 0x7F | buffer[2] << 7, 3
        size = 0
        for place, byte in enumerate(buffer[1 : 1 + MAX_LENGTH_BYTES]):
            size |= (byte & 0x7F) << (7 * place)
            if byte < 0x80:  # noqa: PLR2004 - the continuation bit
                return size, place + 2
        if len(self._buffer) > MAX_LENGTH_BYTES:
            raise MalformedPacket("the remaining length takes more than four bytes")
        return 0, 0


def _topic(body: Body, limits: Limits, what: str = "the topic") -> str:
    return _checked(body.text(what, limit=limits.topic_bytes, reason=Reason.TOPIC_NAME_INVALID), limits)


def _checked(topic: str, limits: Limits, *, is_filter: bool = False) -> str:
    if not (is_topic_filter(topic) if is_filter else is_topic_name(topic)):
        reason = Reason.TOPIC_FILTER_INVALID if is_filter else Reason.TOPIC_NAME_INVALID
        raise MalformedPacket(f"{topic!r} is no topic {'filter' if is_filter else 'name'} (section 4.7)", reason=reason)
    levels = topic.count("/") + 1
    if levels > limits.topic_levels:
        raise LimitExceeded(
            "the number of levels in a topic", size=levels, limit=limits.topic_levels, reason=Reason.TOPIC_NAME_INVALID
        )
    return topic


def _publish_flags(flags: int) -> tuple[int, bool, bool]:
    qos, dup = flags >> 1 & 3, bool(flags & 8)
    if qos > MAX_QOS or (dup and not qos):
        raise MalformedPacket(f"PUBLISH with QoS {qos}, DUP {int(dup)} [MQTT-3.3.1-2, -4]")
    return qos, bool(flags & 1), dup


def _publish(flags: int, body: Body, limits: Limits, *, topic: str | None) -> Publish:
    """Read a message; `topic` is given, and the body stands behind it, if its bytes were known."""
    qos, retain, dup = _publish_flags(flags)
    if topic is None:
        topic = _topic(body, limits)
    packet_id = body.packet_id() if qos else None
    return Publish(topic, body.rest(), qos, retain, dup, packet_id)


def _publish5(flags: int, body: Body, limits: Limits, *, topic: str | None, reads_server: bool) -> Publish:
    """Read a message of MQTT 5; `topic` as in `_publish`."""
    qos, retain, dup = _publish_flags(flags)
    known = topic is not None
    if topic is None:
        topic = body.text("the topic", limit=limits.topic_bytes, reason=Reason.TOPIC_NAME_INVALID)
    packet_id = body.packet_id() if qos else None
    found, passed = read_message_properties(body, properties.IN_PUBLISH, limits)
    alias = found.get(Prop.TOPIC_ALIAS)
    if not known and (topic or alias is None):
        topic = _checked(topic, limits)
    if Prop.SUBSCRIPTION_ID in found:
        if not reads_server:
            raise UnexpectedPacket("a client's PUBLISH with a subscription id [MQTT-3.3.4-6]")
        passed += properties.subscription_ids(found[Prop.SUBSCRIPTION_ID])
    return Publish(topic, body.rest(), qos, retain, dup, packet_id, passed, found.get(Prop.MESSAGE_EXPIRY), alias)


def _connack(body: Body, limits: Limits) -> Connack:
    del limits
    present, code = body.number(1, "the acknowledge flags"), body.number(1, "the return code")
    if present > 1:
        raise MalformedPacket("a reserved CONNACK flag is set")
    return Connack(bool(present), code)


def _connack5(body: Body, limits: Limits) -> Connack:
    head = _connack(body, limits)
    found = read_properties(body, properties.IN_CONNACK, limits)
    return Connack(
        head.session_present,
        head.code,
        found.get(Prop.REASON_STRING, ""),
        found.get(Prop.ASSIGNED_CLIENT_ID),
        found.get(Prop.SERVER_KEEP_ALIVE),
        found.get(Prop.RECEIVE_MAXIMUM),
        found.get(Prop.MAXIMUM_PACKET_SIZE),
        found.get(Prop.TOPIC_ALIAS_MAXIMUM),
    )


def _subscribe(body: Body, limits: Limits) -> Subscribe:
    packet_id = body.packet_id()
    filters: list[tuple[str, int | Wish]] = []
    while body.more:
        topic_filter = _filter(body, limits, so_far=len(filters))
        qos = body.number(1, "the requested QoS")
        if qos > MAX_QOS:
            raise MalformedPacket(f"requested QoS byte {qos} [MQTT-3.8.3-4]")
        filters.append((topic_filter, qos))
    if not filters:
        raise MalformedPacket("SUBSCRIBE without a filter [MQTT-3.8.3-3]")
    return Subscribe(packet_id, tuple(filters))


def _subscribe5(body: Body, limits: Limits) -> Subscribe:
    packet_id = body.packet_id()
    found = read_properties(body, properties.IN_SUBSCRIBE, limits)
    identifiers = found.get(Prop.SUBSCRIPTION_ID, [None])
    if len(identifiers) > 1:
        raise UnexpectedPacket("SUBSCRIBE with two subscription ids (3.8.2.1.2)")
    filters: list[tuple[str, int | Wish]] = []
    while body.more:
        topic_filter = _filter(body, limits, so_far=len(filters))
        filters.append((topic_filter, _wish(body.number(1, "the subscription options"), topic_filter)))
    if not filters:
        raise UnexpectedPacket("SUBSCRIBE without a filter [MQTT-3.8.3-2]")
    return Subscribe(packet_id, tuple(filters), identifiers[0])


def _wish(options: int, topic_filter: str) -> Wish:
    qos, handling = options & 3, options >> 4 & 3
    if options & 0xC0 or qos > MAX_QOS or handling > 2:  # noqa: PLR2004 - retain handling is 0, 1 or 2
        raise MalformedPacket(f"subscription options 0x{options:02x} [MQTT-3.8.3-5]")
    no_local = bool(options & 4)
    if no_local and shared_filter(topic_filter) is not None:
        raise UnexpectedPacket("a shared subscription with No Local [MQTT-3.8.3-4]")
    return Wish(qos, no_local, bool(options & 8), handling)


def _unsubscribe(body: Body, limits: Limits) -> Unsubscribe:
    return _unsubscribe_filters(body.packet_id(), body, limits)


def _unsubscribe5(body: Body, limits: Limits) -> Unsubscribe:
    packet_id = body.packet_id()
    read_properties(body, properties.IN_UNSUBSCRIBE, limits)
    return _unsubscribe_filters(packet_id, body, limits)


def _unsubscribe_filters(packet_id: int, body: Body, limits: Limits) -> Unsubscribe:
    filters: list[str] = []
    while body.more:
        filters.append(_filter(body, limits, so_far=len(filters)))
    if not filters:
        raise MalformedPacket("UNSUBSCRIBE without a filter [MQTT-3.10.3-2]")
    return Unsubscribe(packet_id, tuple(filters))


def _filter(body: Body, limits: Limits, *, so_far: int) -> str:
    if so_far >= limits.subscriptions_per_packet:
        raise LimitExceeded(
            "the number of filters in one packet",
            size=so_far + 1,
            limit=limits.subscriptions_per_packet,
            reason=Reason.QUOTA_EXCEEDED,
        )
    text = body.text("the topic filter", limit=limits.topic_bytes, reason=Reason.TOPIC_FILTER_INVALID)
    return _checked(text, limits, is_filter=True)


def _suback(body: Body, limits: Limits) -> Suback:
    del limits
    packet_id = body.packet_id()
    codes = tuple(body.rest())
    if not codes or any(code > MAX_QOS and code != FAILURE for code in codes):
        raise MalformedPacket(f"SUBACK with the codes {codes} [MQTT-3.9.3-2]")
    return Suback(packet_id, codes)


def _codes5(kind: Callable[[int, tuple[int, ...]], Packet]) -> Callable[[Body, Limits], Packet]:
    def decode(body: Body, limits: Limits) -> Packet:
        packet_id = body.packet_id()
        read_properties(body, properties.IN_ACK, limits)
        return kind(packet_id, tuple(body.rest()))

    return decode


def _with_id(kind: Callable[[int], Packet]) -> Callable[[Body, Limits], Packet]:
    return lambda body, _: kind(body.packet_id())


def _ack5(kind: Callable[[int, int, str], Packet]) -> Callable[[Body, Limits], Packet]:
    """PUBACK, PUBREC, PUBREL, PUBCOMP: the reason may be left out if it is 0, the properties if there are none."""

    def decode(body: Body, limits: Limits) -> Packet:
        packet_id = body.packet_id()
        reason = body.number(1, "the reason code") if body.more else 0
        found = read_properties(body, properties.IN_ACK, limits) if body.more else {}
        return kind(packet_id, reason, found.get(Prop.REASON_STRING, ""))

    return decode


def _disconnect5(body: Body, limits: Limits) -> Disconnect:
    reason = body.number(1, "the reason code") if body.more else 0
    found = read_properties(body, properties.IN_DISCONNECT, limits) if body.more else {}
    return Disconnect(reason, found.get(Prop.REASON_STRING, ""), found.get(Prop.SESSION_EXPIRY))


def _empty(kind: Callable[[], Packet]) -> Callable[[Body, Limits], Packet]:
    return lambda _body, _limits: kind()


_DECODERS: dict[int, Callable[[Body, Limits], Packet]] = {
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

_DECODERS5 = _DECODERS | {
    0x20: _connack5,
    0x40: _ack5(Puback),
    0x50: _ack5(Pubrec),
    0x62: _ack5(Pubrel),
    0x70: _ack5(Pubcomp),
    0x82: _subscribe5,
    0x90: _codes5(Suback),
    0xA2: _unsubscribe5,
    0xB0: _codes5(Unsuback),
    0xE0: _disconnect5,
}
