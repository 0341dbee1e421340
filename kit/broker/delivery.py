"""Who gets a message, and what waits for whom: routing, queues with an end, and messages that grow stale."""

from __future__ import annotations

from dataclasses import replace

from kit.broker.memory import Memory
from kit.broker.protocol.lifetimes import Life
from kit.broker.protocol.limits import Limits
from kit.broker.protocol.packets import Message, Publish, Wish
from kit.broker.protocol.session import Session, SessionKey
from kit.broker.protocol.topics import shared_filter
from kit.model.messages import Published


class Delivery:
    """Hands messages to the collector and to subscribers.

    Args:
        memory: of the broker.
        limits: of queues.
    """

    def __init__(self, memory: Memory, limits: Limits) -> None:
        self._memory, self._limits = memory, limits
        self.touched: dict[Session, None] = {}
        """Sessions that may have something to send after this batch."""
        self.blocked: set[int] = set()
        """Links whose client reads too slowly."""
        self.dropped = 0
        """Messages given up because a client's queue was full, since the start."""

    def take(self, key: SessionKey, packet: Publish, now_ms: int, *, passes_on: bool) -> None:
        """A message is published by the session `key`, which may do so; the kit reads it, and others if `passes_on`."""
        # positional and unpacked: these lines are run for many messages
        topic, payload, qos, retain, dup, packet_id, *_ = packet
        self._memory.ingest(Published(*key, topic, payload, qos, retain, dup, packet_id, now_ms))
        route = self._memory.subscribers(topic)
        if not passes_on or not (retain or route.has_receivers):
            return
        life = None if packet.expiry_s is None else Life(packet.expiry_s, self._memory.now)
        if packet.retain:
            kept = Message(packet.topic, packet.payload, packet.qos, True, packet.properties, life)  # noqa: FBT003 - RETAIN
            self._memory.retain(key[0], kept)
        for session, grant in route.receivers():
            granted = grant.for_itself if session.key == key else grant
            if granted is not None:
                properties = packet.properties + granted.identifiers
                retain = packet.retain and granted.as_published
                qos = min(granted.qos, packet.qos)
                self._owe(session, Message(packet.topic, packet.payload, qos, retain, properties, life), extra=0)

    def give_retained(self, session: Session, topic_filter: str, wish: Wish, identifier: bytes, *, new: bool) -> None:
        """What a subscription that was just granted gets at once."""
        if shared_filter(topic_filter) is not None or wish.retain_handling > (1 if new else 0):
            return  # shared subscriptions get none (MQTT 5, 4.8.2)
        for message in list(self._memory.retained(topic_filter)):
            properties = message.properties + identifier
            owed = replace(message, qos=min(wish.qos, message.qos), retain=True, properties=properties)
            self._owe(session, owed, extra=self._limits.queued_messages)

    def drop_stale(self) -> None:
        """Let go of what has expired, or is too large for its client, before it is sent."""
        now = self._memory.now
        for session in self.touched:
            for outgoing in session.outbox.stale(now):
                self._memory.dequeue(session, outgoing.packet_id)

    def drop_oversized(self, session: Session) -> None:
        """The client is back and takes only packets of a certain size."""
        if session.packet_bytes is None:
            return
        for outgoing in session.outbox.waiting():
            if not session.takes(outgoing.message, self._memory.now):
                self._memory.dequeue(session, outgoing.packet_id)

    def _owe(self, session: Session, message: Message, *, extra: int) -> None:
        if session.link is not None and not session.takes(message, self._memory.now):
            return  # as if it had been delivered [MQTT-3.1.2-25 of MQTT 5]
        if not message.qos:
            self._pass_on(session, message)
        elif self._make_queue_room(session, message, extra):
            self._memory.enqueue(session, message)
        else:
            self.dropped += 1
        self.touched[session] = None

    def _pass_on(self, session: Session, message: Message) -> None:
        if session.link is None:
            return
        if session.link in self.blocked or self._passes_too_much(session, message):
            self.dropped += 1
            return
        session.passing.append(message)
        session.passing_bytes += message.size

    def _passes_too_much(self, session: Session, message: Message) -> bool:
        return bool(session.passing) and session.passing_bytes + message.size > self._limits.unsent_bytes

    def _make_queue_room(self, session: Session, message: Message, extra: int) -> bool:
        outbox, limits = session.outbox, self._limits
        while len(outbox) and (
            len(outbox) >= limits.queued_messages + extra or outbox.size_bytes + message.size > limits.queued_bytes
        ):
            if not self._drop_oldest(session):
                return False
        queued = self._memory.queued
        while queued.size_bytes + message.size > limits.queued_bytes_in_all:
            largest = max(self._memory.sessions.values(), key=lambda other: other.outbox.size_bytes)
            if not self._drop_oldest(largest):
                return False
        return True

    def _drop_oldest(self, session: Session) -> bool:
        # what is newest matters most to somebody who comes back; what was sent is only waiting for its answer
        oldest = session.outbox.oldest_unsent()
        if oldest is None:
            return False
        self._memory.dequeue(session, oldest.packet_id)
        self.dropped += 1
        return True
