"""The server's side of one connection: which packet may come when, and when the client has been silent too long.

What the packets mean for sessions and subscribers is `kit.broker.hub`'s; this knows one byte stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum

from kit.broker.protocol.errors import (
    IdentifierRejected,
    LocalProtocolError,
    RemoteProtocolError,
    TimedOut,
    UnexpectedPacket,
)
from kit.broker.protocol.limits import Limits
from kit.broker.protocol.packets import (
    MAX_PACKETS,
    V5,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Puback,
    Pubacks,
    Pubcomp,
    Publish,
    Publishes,
    Pubrec,
    Pubrel,
    Subscribe,
    Unsubscribe,
)
from kit.broker.protocol.reader import PacketReader, Topics
from kit.broker.protocol.reasons import FAILURES_FROM, Reason
from kit.broker.protocol.writer import encode

KEEP_ALIVE_GRACE = 1.5
"""A client may be silent for one and a half times its keep-alive [MQTT-3.1.2-24]."""


class State(Enum):
    """Where a connection stands."""

    NEW = "new"  # only a CONNECT may come [MQTT-3.1.0-1]
    SIGNING_IN = "signing in"  # the CONNECT is being judged; what follows waits in the buffer
    OPEN = "open"
    ENDING = "ending"  # nothing more is taken, but what was taken is still answered
    CLOSED = "closed"


EXPECTED: dict[State, tuple[type, ...]] = {
    State.NEW: (Connect,),
    State.OPEN: (Publish, Puback, Pubrec, Pubrel, Pubcomp, Subscribe, Unsubscribe, Pingreq, Disconnect),
}
"""What a client may send in each state; a second CONNECT is a violation [MQTT-3.1.0-2]."""


WITH_TEXT = (Connack, Puback, Pubrec, Pubrel, Pubcomp, Disconnect)
"""Packets that may carry a reason in words."""


class ServerConnection:
    """One client's byte stream, as packets.

    Args:
        limits: on every length.
        now: any monotonic seconds; the same clock is given to every method.
        topics: remembered for all connections; see `PacketReader`.
    """

    def __init__(self, limits: Limits, *, now: float, topics: Topics | None = None) -> None:
        self._limits = limits
        self._reader = PacketReader(limits, packet_bytes=limits.connect_bytes, topics=topics)
        self._deadline: float | None = now + limits.connect_timeout_s
        self._patience_s: float | None = None
        self._connect = Connect(client_id="")
        self._unanswered: set[int] = set()
        self._topics: dict[int, str] = {}
        self._aliases: dict[str, int] = {}
        self.state = State.NEW

    @property
    def unread_bytes(self) -> int:
        """Bytes received and not yet given out as packets."""
        return self._reader.unread_bytes

    def receive_data(self, data: bytes | memoryview, *, now: float) -> None:
        """Take what the network brought; after the end of the conversation it is ignored."""
        if self.state is State.CLOSED or self.state is State.ENDING:
            return
        self._reader.receive_data(data)
        if self._patience_s is not None:
            self._deadline = now + self._patience_s

    def next_packet(self) -> Packet | None:
        """The client's next packet; None until more bytes have come, or while it is signing in.

        Raises:
            RemoteProtocolError: answer `return_code` if it has one and close.
        """
        if self.state is not State.OPEN and self.state is not State.NEW:
            return None
        try:
            packet = self._reader.next_packet()
            if packet is None:
                return None
            if type(packet) is not Publish or self.state is not State.OPEN:
                self._check(packet)
            if type(packet) is Publish and self._reader.version == V5:
                packet = self._take_publish(packet)
        except RemoteProtocolError as error:
            error.answer = self._answer(error)
            self.close()
            raise
        return packet

    def take_known(self, *, room: int, overhead: int) -> Publishes | None:
        """The messages that come next, if they need no further look; see `PacketReader.take_known`."""
        if self.state is not State.OPEN:
            return None
        may_begin = self._limits.receive_maximum - len(self._unanswered)
        found = self._reader.take_known(room=room, overhead=overhead, most=may_begin)
        if found is not None and self._reader.version == V5:
            self._unanswered.update(found.packet_ids)
        return found

    def farewell(self, reason: int, text: str) -> Packet | None:
        """What to send to the client before this side closes the connection; MQTT 3.1.1 knows nothing to say."""
        if self.state not in {State.OPEN, State.ENDING} or self._reader.version != V5:
            return None
        return Disconnect(reason, text)

    def encode(self, packets: Sequence[Packet]) -> bytes:
        """The packets as this client is to get them, in this order."""
        encode_one = self._encode_version_5 if self._reader.version == V5 else encode
        return encode_one(packets[0]) if len(packets) == 1 else b"".join(map(encode_one, packets))

    def accept(self, connect: Connect, *, now: float) -> None:
        """The CONNECT was found good: from now on anything may come, and the keep-alive runs."""
        if self.state is not State.SIGNING_IN:
            raise LocalProtocolError(f"a connection that is {self.state.value} has no CONNECT to accept")
        self.state = State.OPEN
        self._reader.packet_bytes = self._limits.packet_bytes
        self._connect = connect
        # a keep-alive of zero turns the mechanism off (3.1.2.10)
        keep_alive_s = connect.keep_alive_s
        if connect.version == V5:
            keep_alive_s = min(keep_alive_s, self._limits.keep_alive_s)
        self._patience_s = keep_alive_s * KEEP_ALIVE_GRACE or None
        self.heard(now=now)

    def heard(self, *, now: float) -> None:
        """Let the keep-alive start anew: it was this side that did not read."""
        self._deadline = None if self._patience_s is None else now + self._patience_s

    def end(self) -> None:
        """Nothing further is taken, but there may be something left to say."""
        self.state = State.ENDING if self.state is State.OPEN else State.CLOSED
        self._deadline = None

    def close(self) -> None:
        """Nothing further is taken or said."""
        self.state = State.CLOSED
        self._deadline = None

    def wake_at(self) -> float | None:
        """When `check_time` has to be called, if nothing comes before."""
        return self._deadline

    def check_time(self, *, now: float) -> None:
        """See whether the client has been silent too long.

        Raises:
            TimedOut: it has; close the connection.
        """
        if self._deadline is None or now < self._deadline:
            return
        if self.state is State.OPEN:
            error = TimedOut("the client was silent for 1.5 × its keep-alive")
            error.answer = self.farewell(error.reason, str(error))
            self.close()
            raise error
        self.close()
        raise TimedOut(f"no CONNECT was completed in {self._limits.connect_timeout_s:g} s")

    def _check(self, packet: Packet) -> None:
        if not isinstance(packet, EXPECTED[self.state]):
            raise UnexpectedPacket(
                f"{type(packet).__name__.upper()} from a client whose connection is {self.state.value}"
            )
        if isinstance(packet, Connect):
            if not packet.client_id and not packet.clean_session and packet.version != V5:
                raise IdentifierRejected("an empty client id needs clean session 1 [MQTT-3.1.3-8]")
            self.state = State.SIGNING_IN
        elif isinstance(packet, Disconnect):
            if packet.session_expiry_s and not self._connect.kept_s:
                raise UnexpectedPacket(
                    "a session that was to end with its connection cannot be kept after all [MQTT-3.14.2-2 of MQTT 5]"
                )
            self.close()

    def _answer(self, error: RemoteProtocolError) -> Packet | None:
        if self.state is State.OPEN:
            return self.farewell(error.reason, str(error))
        if self._reader.version == V5:
            return Connack(session_present=False, code=error.reason, text=str(error))
        return None if error.return_code is None else Connack(session_present=False, code=error.return_code)

    def _take_publish(self, packet: Publish) -> Publish:
        if packet.packet_id is not None:
            self._unanswered.add(packet.packet_id)
            if len(self._unanswered) > self._limits.receive_maximum:
                raise UnexpectedPacket(
                    f"more than {self._limits.receive_maximum} messages were begun and not acknowledged",
                    reason=Reason.RECEIVE_MAXIMUM_EXCEEDED,
                )
        if packet.alias is None:
            return packet
        if not 0 < packet.alias <= self._limits.topic_aliases:
            raise UnexpectedPacket(
                f"topic alias {packet.alias}; they go from 1 to {self._limits.topic_aliases}",
                reason=Reason.TOPIC_ALIAS_INVALID,
            )
        if packet.topic:
            self._topics[packet.alias] = packet.topic
        elif packet.alias not in self._topics:
            raise UnexpectedPacket(f"topic alias {packet.alias} stands for nothing yet (3.3.2.3.4)")
        return packet._replace(topic=self._topics[packet.alias], alias=None)

    def _encode_version_5(self, packet: Packet) -> bytes:
        packet = self._for_version_5(packet)
        data = encode(packet, V5)
        limit = self._connect.packet_bytes
        if limit is not None and len(data) > limit and isinstance(packet, WITH_TEXT):
            # a reason in words is left out where it would make the packet too large [MQTT-3.14.2-3 and others]
            data = encode(_without_text(packet), V5)
        return data

    def _for_version_5(self, packet: Packet) -> Packet:
        match packet:
            case Publish():
                return self._abbreviated(packet)
            case Puback() | Pubrec() | Pubcomp() | Pubrel():
                # a PUBREC that is no refusal leaves the message open until its PUBCOMP (4.9)
                if type(packet) is not Pubrel and (type(packet) is not Pubrec or packet.reason >= FAILURES_FROM):
                    self._unanswered.discard(packet.packet_id)
                if packet.text and not self._connect.problem_information:
                    return _without_text(packet)
            case Pubacks():
                self._unanswered.difference_update(packet.packet_ids)
            case Connack(code=Reason.SUCCESS):
                return self._introduced(packet)
            case Connack():
                self.close()  # after a refusal there is nothing more to say, not even DISCONNECT
            case _:
                pass
        return packet

    def _introduced(self, packet: Connack) -> Connack:
        limits = self._limits
        return replace(
            packet,
            receive_maximum=limits.receive_maximum if limits.receive_maximum < MAX_PACKETS else None,
            packet_bytes=limits.packet_bytes,
            topic_alias_maximum=limits.topic_aliases or None,
            keep_alive_s=limits.keep_alive_s if self._connect.keep_alive_s > limits.keep_alive_s else None,
        )

    def _abbreviated(self, packet: Publish) -> Publish:
        known = self._aliases.get(packet.topic)
        if known is not None:
            return packet._replace(topic="", alias=known)
        alias = len(self._aliases) + 1
        if alias > min(self._connect.topic_alias_maximum, self._limits.topic_aliases):
            return packet
        self._aliases[packet.topic] = alias
        return packet._replace(alias=alias)


def _without_text(packet: Connack | Puback | Pubrec | Pubrel | Pubcomp | Disconnect) -> Packet:
    return packet._replace(text="") if isinstance(packet, Puback) else replace(packet, text="")
