"""What a server owes one client: its subscriptions, and the QoS 1 and 2 messages it has not yet acknowledged (4.1).

Packet ids are given when a message is queued, not when it is sent, so that writing a queued message down once is
enough for it to be redelivered under its own id after a restart [MQTT-4.4.0-1].
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import IntEnum

from kit.broker.protocol.errors import LocalProtocolError
from kit.broker.protocol.lifetimes import NEVER_S, Instant, Life
from kit.broker.protocol.packets import V3, V5, Connect, Message, Packet, Publish, Pubrel, Wish
from kit.broker.protocol.properties import subscription_ids
from kit.broker.protocol.writer import encode

MAX_PACKET_ID = 0xFFFF

SessionKey = tuple[str, str]
"""(user name, client id): a client id belongs to its user, so nobody can take over somebody else's session."""


PORTION_BYTES = 262_144
"""What goes to a client at once; a client that does not read keeps no more than this waiting in its socket."""

ALIAS_BYTES = 3
"""What a topic alias adds to the first packet that carries it."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """How a session gets what a filter matches.

    Attributes:
        identifier: sent along with each message; 0 = none.
        shared: the whole `$share/…` filter, if it is a shared subscription.
    """

    qos: int
    no_local: bool = False
    as_published: bool = False
    identifier: int = 0
    shared: str = ""

    @classmethod
    def of(cls, wish: Wish, identifier: int | None, *, shared: str = "") -> Subscription:
        """As the client wished."""
        return cls(wish.qos, wish.no_local, wish.as_published, identifier or 0, shared)


@dataclass(frozen=True, slots=True)
class Grant:
    """A session's matching subscriptions taken together: it gets one copy [MQTT-3.3.4-2].

    Attributes:
        identifiers: their subscription ids as properties.
        for_itself: the same for a message that the session itself published; None = it gets none.
    """

    qos: int
    as_published: bool
    identifiers: bytes
    for_itself: Grant | None

    @classmethod
    def of(cls, subscriptions: list[Subscription]) -> Grant:
        """Merge them; there is at least one."""
        foreign = [subscription for subscription in subscriptions if not subscription.no_local]
        merged = cls._merge(subscriptions, None)
        if len(foreign) == len(subscriptions):
            return cls(merged.qos, merged.as_published, merged.identifiers, merged)
        return cls._merge(subscriptions, cls._merge(foreign, None) if foreign else None)

    @classmethod
    def _merge(cls, subscriptions: list[Subscription], for_itself: Grant | None) -> Grant:
        return cls(
            max(subscription.qos for subscription in subscriptions),
            any(subscription.as_published for subscription in subscriptions),
            subscription_ids(s.identifier for s in subscriptions if s.identifier),
            for_itself,
        )


@dataclass(frozen=True, slots=True)
class Will:
    """What to publish when a connection ends without goodbye (3.1.2.5).

    Attributes:
        delay_s: how long after that.
        expiry_s: the message expiry interval of the will message.
    """

    message: Message
    delay_s: int = 0
    expiry_s: int | None = None


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

    def as_packet(self, now: Instant) -> Packet:
        """What is sent next for it."""
        if self.stage is Stage.RELEASED:
            return Pubrel(self.packet_id)
        return as_publish(self.message, now, dup=self.stage is Stage.SENT, packet_id=self.packet_id)

    def is_stale(self, now: Instant) -> bool:
        """Whether it has expired before it was sent for the first time [MQTT-3.3.2-5]."""
        return self.stage is Stage.WAITING and self.message.life is not None and self.message.life.is_over(now)


def as_publish(message: Message, now: Instant, *, dup: bool = False, packet_id: int | None = None) -> Publish:
    """The packet that carries a message to a subscriber, with what is left of its life [MQTT-3.3.2-6]."""
    expiry_s = None if message.life is None else message.life.left_s(now)
    return Publish(
        message.topic, message.payload, message.qos, message.retain, dup, packet_id, message.properties, expiry_s
    )


class Tally:
    """Bytes queued for all sessions together."""

    __slots__ = ("size_bytes",)

    def __init__(self) -> None:
        self.size_bytes = 0


class Outbox:
    """The messages of one session that its client has not acknowledged, in order.

    Args:
        window: how many may be on their way at once.
        tally: counts what it holds, together with others.
    """

    def __init__(self, *, window: int, tally: Tally | None = None) -> None:
        self._window = window
        self._tally = tally or Tally()
        self._entries: dict[int, Outgoing] = {}
        self._unsent: deque[Outgoing] = deque()
        self._inflight: set[int] = set()
        self._last_id = 0
        self._mortal = 0
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
        self._count(outgoing.message.size)
        self._mortal += outgoing.message.life is not None

    def remove(self, packet_id: int) -> Outgoing | None:
        """Let go of a message: it was acknowledged or dropped."""
        outgoing = self._entries.pop(packet_id, None)
        if outgoing is None:
            return None
        self._count(-outgoing.message.size)
        self._mortal -= outgoing.message.life is not None
        if packet_id in self._inflight:
            self._inflight.discard(packet_id)
        else:
            self._unsent.remove(outgoing)
        return outgoing

    def put_back(self, outgoing: Outgoing) -> None:
        """Undo `remove`."""
        self._entries[outgoing.packet_id] = outgoing
        self._count(outgoing.message.size)
        self._mortal += outgoing.message.life is not None
        ordered = sorted(self._entries.values(), key=lambda entry: entry.position)
        self._entries = {entry.packet_id: entry for entry in ordered}
        self._unsent = deque(entry for entry in ordered if entry.packet_id not in self._inflight)

    def oldest_unsent(self) -> Outgoing | None:
        """The first message that has not been sent on this connection and may still be given up."""
        return next((entry for entry in self._unsent if entry.stage is not Stage.RELEASED), None)

    def let_go(self) -> None:
        """The session has ended: what it holds counts no longer."""
        self._tally.size_bytes -= self.size_bytes

    def taken_back(self) -> None:
        """Undo `let_go`."""
        self._tally.size_bytes += self.size_bytes

    def _count(self, size_bytes: int) -> None:
        self.size_bytes += size_bytes
        self._tally.size_bytes += size_bytes

    def stale(self, now: Instant) -> list[Outgoing]:
        """Messages that have expired before they were sent."""
        return [entry for entry in self._unsent if entry.is_stale(now)] if self._mortal else []

    def waiting(self) -> list[Outgoing]:
        """Messages that have not been sent on this connection, in order."""
        return list(self._unsent)

    def reconnected(self, *, window: int) -> None:
        """The client is back on a new connection: what it had not acknowledged is sent again, first."""
        self._window = window
        self._inflight.clear()
        self._unsent = deque(self._entries.values())

    def packets_to_send(self, now: Instant) -> list[Packet]:
        """The packets the window lets out now; each comes out once per connection.

        Large ones in small portions, of which each waits until the one before it is acknowledged.
        """
        packets: list[Packet] = []
        size_bytes = 0
        while self._unsent and len(self._inflight) < self._window and size_bytes < PORTION_BYTES:
            outgoing = self._unsent.popleft()
            size_bytes += outgoing.message.size
            packets.append(outgoing.as_packet(now))
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
        kept_s: how long it outlives its connection; see `Connect.kept_s`.
        left: that span, once the connection has ended.
        version: of the present client.
        packet_bytes: the largest packet the present client takes; None = any.
    """

    key: SessionKey
    clean: bool
    outbox: Outbox
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    received: set[int] = field(default_factory=set)
    passing: list[Message] = field(default_factory=list)
    passing_bytes: int = 0
    will: Will | None = None
    link: int | None = None
    kept_s: int = NEVER_S
    left: Life | None = None
    version: int = V3
    packet_bytes: int | None = None

    def connected(self, link: int, connect: Connect, *, inflight: int) -> None:
        """The client is here, on a new connection."""
        self.link = link
        self.left = None
        self.version = connect.version
        self.packet_bytes = connect.packet_bytes
        if self.packet_bytes is not None and connect.topic_alias_maximum:
            self.packet_bytes -= ALIAS_BYTES
        self.outbox.reconnected(window=min(inflight, connect.receive_maximum))

    def takes(self, message: Message, now: Instant) -> bool:
        """Whether the message fits into a packet that the client takes [MQTT-3.1.2-24 of MQTT 5]."""
        if self.packet_bytes is None:
            return True
        packet = as_publish(message, now, packet_id=1 if message.qos else None)
        return len(encode(packet, V5)) <= self.packet_bytes

    def packets_to_send(self, now: Instant) -> list[Packet]:
        """Everything that may go to the client now."""
        packets = self.outbox.packets_to_send(now)
        if self.passing:
            packets += [as_publish(message, now) for message in self.passing]
            self.forget_passing()
        return packets

    def forget_passing(self) -> None:
        """Let go of the QoS 0 messages: they were sent, or there is nobody to send them to."""
        self.passing.clear()
        self.passing_bytes = 0
