"""What a server owes one client: its subscriptions, and the QoS 1 and 2 messages it has not yet acknowledged (4.1).

Packet ids are given when a message is queued, not when it is sent, so that writing a queued message down once is
enough for it to be redelivered under its own id after a restart [MQTT-4.4.0-1].
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import IntEnum

from kit.broker.protocol.errors import LocalProtocolError
from kit.broker.protocol.packets import Message, Packet, Publish, Pubrel

MAX_PACKET_ID = 0xFFFF

SessionKey = tuple[str, str]
"""(user name, client id): a client id belongs to its user, so nobody can take over somebody else's session."""


class Stage(IntEnum):
    """How far an outgoing message has come; the numbers are stored."""

    WAITING = 0
    SENT = 1  # or it may have been: after a reconnection it goes out with DUP
    RELEASED = 2  # QoS 2: PUBREC has come, only PUBREL is left to say


@dataclass(eq=False, slots=True)
class Outgoing:
    """A message on its way to one client.

    Attributes:
        position: orders the messages of all sessions; never reused.
    """

    position: int
    packet_id: int
    message: Message
    stage: Stage = Stage.WAITING

    def as_packet(self) -> Packet:
        """What is sent next for it."""
        if self.stage is Stage.RELEASED:
            return Pubrel(self.packet_id)
        message = self.message
        return Publish(
            message.topic, message.payload, message.qos, message.retain, self.stage is Stage.SENT, self.packet_id
        )


class Outbox:
    """The messages of one session that its client has not acknowledged, in order.

    Args:
        window: how many may be on their way at once.
    """

    def __init__(self, *, window: int) -> None:
        self._window = window
        self._entries: dict[int, Outgoing] = {}
        self._unsent: deque[Outgoing] = deque()
        self._inflight: set[int] = set()
        self._last_id = 0
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, packet_id: int) -> Outgoing | None:
        """The message under that packet id."""
        return self._entries.get(packet_id)

    def free_packet_id(self) -> int:
        """A packet id that no message of this session uses."""
        for _ in range(MAX_PACKET_ID):
            self._last_id = self._last_id % MAX_PACKET_ID + 1
            if self._last_id not in self._entries:
                return self._last_id
        raise LocalProtocolError("all packet ids of the session are in use; its queue limit is too high")

    def add(self, outgoing: Outgoing) -> None:
        """Queue a message behind all others."""
        self._entries[outgoing.packet_id] = outgoing
        self._unsent.append(outgoing)
        self.size_bytes += outgoing.message.size

    def remove(self, packet_id: int) -> Outgoing | None:
        """Let go of a message: it was acknowledged or dropped."""
        outgoing = self._entries.pop(packet_id, None)
        if outgoing is None:
            return None
        self.size_bytes -= outgoing.message.size
        if packet_id in self._inflight:
            self._inflight.discard(packet_id)
        else:
            self._unsent.remove(outgoing)
        return outgoing

    def put_back(self, outgoing: Outgoing) -> None:
        """Undo `remove`."""
        self._entries[outgoing.packet_id] = outgoing
        self.size_bytes += outgoing.message.size
        ordered = sorted(self._entries.values(), key=lambda entry: entry.position)
        self._entries = {entry.packet_id: entry for entry in ordered}
        self._unsent = deque(entry for entry in ordered if entry.packet_id not in self._inflight)

    def oldest_unsent(self) -> Outgoing | None:
        """The first message that has not been sent on this connection and may still be given up."""
        return next((entry for entry in self._unsent if entry.stage is not Stage.RELEASED), None)

    def reconnected(self) -> None:
        """The client is back on a new connection: what it had not acknowledged is sent again, first."""
        self._inflight.clear()
        self._unsent = deque(self._entries.values())

    def packets_to_send(self) -> list[Packet]:
        """The packets the window lets out now; each comes out once per connection."""
        packets: list[Packet] = []
        while self._unsent and len(self._inflight) < self._window:
            outgoing = self._unsent.popleft()
            packets.append(outgoing.as_packet())
            self._inflight.add(outgoing.packet_id)
            if outgoing.stage is Stage.WAITING:
                outgoing.stage = Stage.SENT
        return packets


@dataclass(eq=False, slots=True)
class Session:
    """The server's half of the session state (4.1).

    Attributes:
        clean: it ends with its connection and nothing of it is written down.
        received: packet ids of QoS 2 messages that were taken and not yet released by the client.
        passing: QoS 0 messages for the present connection; never stored.
        link: the present connection, None while the client is away.
    """

    key: SessionKey
    clean: bool
    outbox: Outbox
    subscriptions: dict[str, int] = field(default_factory=dict)
    received: set[int] = field(default_factory=set)
    passing: list[Message] = field(default_factory=list)
    passing_bytes: int = 0
    will: Message | None = None
    link: int | None = None

    def packets_to_send(self) -> list[Packet]:
        """Everything that may go to the client now."""
        packets = self.outbox.packets_to_send()
        if self.passing:
            packets += [Publish(m.topic, m.payload, 0, m.retain) for m in self.passing]
            self.forget_passing()
        return packets

    def forget_passing(self) -> None:
        """Let go of the QoS 0 messages: they were sent, or there is nobody to send them to."""
        self.passing.clear()
        self.passing_bytes = 0
