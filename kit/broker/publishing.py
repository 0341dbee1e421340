"""What a client publishes: whether it may, who gets it, and what it is answered.

Decides for the hub (`kit.broker.hub`), on the same memory and in the same batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any, Protocol

from kit.broker.access import Hearing, Rights
from kit.broker.changes import Fact, PublishRefused
from kit.broker.delivery import Delivery
from kit.broker.memory import Memory
from kit.broker.protocol.limits import Limits
from kit.broker.protocol.packets import V5, Message, Packet, Puback, Publish, Publishes, Pubrec
from kit.broker.protocol.reasons import Reason
from kit.broker.protocol.session import Session
from kit.model.messages import Published

NOT_ITS_NAME = "not below its own name"

_new: Callable[..., Any] = tuple.__new__
"""Makes a named tuple of a tuple, at half the price."""


class Answers(Protocol):
    """Where it goes what a client is to be told, and what is noted about it."""

    facts: list[Fact]

    def reply(self, link: int, *packets: Packet) -> None:
        """Say this to a client once the batch is on disk."""
        ...

    def acknowledge(self, link: int, packet_ids: Sequence[int]) -> None:
        """Say to a client that these messages of QoS 1 are taken, once the batch is on disk."""
        ...

    def close(self, link: int, text: str, reason: Reason) -> None:
        """End a client's connection after this batch."""
        ...


class Publishing:
    """See the module.

    Args:
        memory: of the broker.
        delivery: hands messages on.
        rights: who may publish what.
        limits: of QoS 2 messages that were begun.
        answers: the hub.
    """

    def __init__(self, memory: Memory, delivery: Delivery, rights: Rights, limits: Limits, *, answers: Answers) -> None:
        self._memory, self._delivery, self._rights, self._limits = memory, delivery, rights, limits
        self._answers = answers

    def take_run(self, session: Session, link: int, run: Publishes, now_ms: int) -> bool:
        """Take messages that only the kit gets, all or none; whether it did.

        What `take` would do one by one, with what is the same for many of them looked up once.
        """
        if run.retain or run.qos > 1:
            return False
        username, client_id = session.key
        for topic in set(run.topics):
            heard = self._rights.hearing(username, topic)
            if heard is Hearing.REFUSED or (heard is Hearing.OWN and self._memory.subscribers(topic).has_receivers):
                return False
        qos, retain, dup = run.qos, run.retain, run.dup
        each = zip(run.topics, run.payloads, run.packet_ids or repeat(None))  # noqa: B905 - without ids there are Nones
        self._memory.changes += [
            _new(Published, (username, client_id, topic, payload, qos, retain, dup, packet_id, now_ms))
            for topic, payload, packet_id in each
        ]
        if run.qos:
            self._answers.acknowledge(link, run.packet_ids)
        return True

    def take(self, session: Session, link: int, packet: Publish, now_ms: int) -> None:
        """Take one message, or refuse it."""
        username = session.key[0]
        heard = self._rights.hearing(username, packet.topic)
        if heard is Hearing.REFUSED:
            self._refuse(session, link, packet, now_ms, why=(NOT_ITS_NAME, Reason.NOT_AUTHORIZED))
            return
        passes_on = heard is Hearing.OWN
        if passes_on and packet.retain and packet.payload:
            message = Message(packet.topic, packet.payload, packet.qos, retain=True, properties=packet.properties)
            if not self._memory.may_retain(username, message):
                why = ("its retained messages are full", Reason.QUOTA_EXCEEDED)
                self._refuse(session, link, packet, now_ms, why=why)
                return
        packet_id = packet.packet_id
        if packet_id is None:
            self._delivery.take(session.key, packet, now_ms, passes_on=passes_on)
        elif packet.qos == 1:
            self._delivery.take(session.key, packet, now_ms, passes_on=passes_on)
            self._answers.acknowledge(link, (packet_id,))
        elif packet_id in session.received:
            self._answers.reply(link, Pubrec(packet_id))
        elif len(session.received) >= self._limits.received_ids:
            text = f"{len(session.received)} QoS 2 messages were begun and not finished"
            self._answers.close(link, text, Reason.RECEIVE_MAXIMUM_EXCEEDED)
        else:
            self._delivery.take(session.key, packet, now_ms, passes_on=passes_on)
            self._memory.remember_id(session, packet_id)
            self._answers.reply(link, Pubrec(packet_id))

    def _refuse(self, session: Session, link: int, packet: Publish, now_ms: int, *, why: tuple[str, Reason]) -> None:
        text, reason = why
        username = session.key[0]
        self._answers.facts.append(PublishRefused(username, packet.topic, text, now_ms))
        sentence = f"{username} may not publish on {packet.topic}: {text}"
        if session.version != V5 or packet.packet_id is None:
            # MQTT 3.1.1 has no way to refuse a PUBLISH other than to close [MQTT-3.3.5-2], nor has anybody at QoS 0
            self._answers.close(link, sentence, reason)
        elif packet.qos == 1:
            self._answers.reply(link, Puback(packet.packet_id, reason, sentence))
        else:
            self._answers.reply(link, Pubrec(packet.packet_id, reason, sentence))
