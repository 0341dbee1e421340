"""The broker without its sockets: packets of all clients in, changes to write down and packets to send out.

Used in batches. The shell calls `connected`, `received` and `lost` for everything that has come in, takes `changes`
and `facts`, has them written, and then calls `settle`, which gives what may now be sent. If the writing failed it
calls `roll_back`, and everything is as before the batch. So nobody is told anything that is not on disk, and nothing
here has to think about disks.

Links are numbers by which the shell knows its connections. Each packet type has one function.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kit.broker.access import Hearing, hearing, may_subscribe
from kit.broker.changes import Change, ClientConnected, ClientGone, Fact, PublishRefused, Saved
from kit.broker.memory import Memory
from kit.broker.protocol.limits import Limits
from kit.broker.protocol.packets import (
    FAILURE,
    Connack,
    Connect,
    ConnectCode,
    Disconnect,
    Message,
    Packet,
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
from kit.broker.protocol.session import Session, Stage
from kit.model.grants import Grants
from kit.model.messages import Published


@dataclass(slots=True)
class Outcome:
    """What the shell has to do after a batch.

    Attributes:
        packets: to send, by link.
        closing: links to close after that, with the reason.
    """

    packets: dict[int, list[Packet]] = field(default_factory=dict)
    closing: dict[int, str] = field(default_factory=dict)


class Hub:
    """Decides what every packet means for everybody.

    Args:
        limits: of sessions, queues and retained messages.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._memory = Memory(limits)
        self._links: dict[int, Session] = {}
        self._grants: dict[str, Grants | None] = {}
        self._touched: dict[Session, None] = {}
        self._outcome = Outcome()
        self.facts: list[Fact] = []
        self.blocked: set[int] = set()
        """Links whose client reads too slowly; set by the shell, which calls `writable` when it is over."""
        self._handlers: dict[type, Callable[[Session, int, Any, int], None]] = {
            Publish: self._publish,
            Puback: self._puback,
            Pubrec: self._pubrec,
            Pubrel: self._pubrel,
            Pubcomp: self._puback,
            Subscribe: self._subscribe,
            Unsubscribe: self._unsubscribe,
            Disconnect: self._disconnect,
        }
        self.dropped = 0
        """Messages given up because a client's queue was full, since the start."""

    # --- the batch

    def restore(self, saved: Saved) -> None:
        """Begin with what a journal kept."""
        self._memory.restore(saved)

    @property
    def changes(self) -> list[Change]:
        """To be on disk before `settle`."""
        return self._memory.changes

    @property
    def has_wills_due(self) -> bool:
        """Whether `publish_wills` has something to do."""
        return bool(self._memory.wills_due or self._memory.wills_left)

    def settle(self) -> Outcome:
        """The changes are on disk: what may be said now."""
        self._memory.commit()
        outcome = self._end_batch()
        for session in self._touched:
            if session.link is not None and session.link not in self.blocked:
                packets = session.packets_to_send()
                if packets:
                    outcome.packets.setdefault(session.link, []).extend(packets)
        self._touched = {}
        return outcome

    def roll_back(self) -> Outcome:
        """The changes are not on disk: nothing of the batch has happened, and nothing is said."""
        self._memory.roll_back()
        for session in self._touched:
            session.forget_passing()
        self._touched = {}
        outcome = self._end_batch()
        outcome.packets.clear()
        return outcome

    def _end_batch(self) -> Outcome:
        outcome, self._outcome = self._outcome, Outcome()
        return outcome

    def _reply(self, link: int, packet: Packet) -> None:
        self._outcome.packets.setdefault(link, []).append(packet)

    def _close(self, link: int, reason: str) -> None:
        self._outcome.closing.setdefault(link, reason)

    # --- a client comes and goes

    def connected(
        self,
        link: int,
        connect: Connect,
        *,
        username: str,
        address: str,
        now_ms: int,
        grants: Grants | None = None,
    ) -> None:
        """A client has signed in as `username`; give it its session (3.1.4).

        Args:
            link: its connection.
            connect: its CONNECT.
            username: who it is.
            address: where it connects from.
            now_ms: Unix ms.
            grants: what it may do; None = what a native device may.
        """
        memory, key = self._memory, (username, connect.client_id or f"unnamed-{link}")
        self._grants[username] = grants
        will = Hearing.HEARD if connect.will is None else hearing(username, connect.will.topic, grants)
        if connect.will is not None and will is Hearing.REFUSED:
            self._refuse(link, username, connect.will.topic, now_ms)
            self._reply(link, Connack(session_present=False, code=ConnectCode.NOT_AUTHORISED))
            return
        # one that an earlier batch could not publish must not be taken for this connection's
        self.publish_wills(now_ms=now_ms)
        old = memory.sessions.get(key)
        if old is not None and old.link is not None:
            self._close(old.link, "another connection has taken over the session [MQTT-3.1.4-2]")
            self._detach(old, now_ms)
        if old is None and not self._make_room(username):
            self._reply(link, Connack(session_present=False, code=ConnectCode.SERVER_UNAVAILABLE))
            self._close(link, f"{username} has {self._limits.sessions_per_user} sessions, all connected")
            return
        if old is not None and (connect.clean_session or old.clean):
            memory.end_session(old)
            old = None
        session = old or memory.open_session(key, clean=connect.clean_session)
        for topic_filter in list(session.subscriptions):
            # what it may read may have changed while it, or the broker, was away
            if not may_subscribe(username, topic_filter, grants):
                memory.unsubscribe(session, topic_filter)
        session.link = link
        self._links[link] = session
        session.outbox.reconnected()
        memory.mark_queue_sent(session)
        if connect.will is not None and will is Hearing.OWN:
            memory.set_will(session, connect.will)
        self._touched[session] = None
        self._reply(link, Connack(session_present=old is not None, code=ConnectCode.ACCEPTED))
        self.facts.append(ClientConnected(*key, address, now_ms))

    def lost(self, link: int, *, now_ms: int) -> None:
        """A connection is gone, for whatever reason."""
        session = self._links.get(link)
        if session is None:
            return
        if session.link == link:
            self._detach(session, now_ms)
        else:
            del self._links[link]

    def forget_user(self, username: str, *, now_ms: int) -> None:
        """The user was removed: close its connections and end its sessions."""
        self.publish_wills(now_ms=now_ms)
        for session in [s for s in self._memory.sessions.values() if s.key[0] == username]:
            if session.link is not None:
                self._close(session.link, f"the user {username} was removed")
                self._detach(session, now_ms)
            self._memory.end_session(session)
        self._grants.pop(username, None)

    def writable(self, link: int) -> None:
        """The client reads again: what waited for it may go out with this batch."""
        session = self._links.get(link)
        if session is not None:
            self._touched[session] = None

    def usernames(self) -> set[str]:
        """Everybody who has a session."""
        return {username for username, _ in self._memory.sessions}

    def publish_wills(self, *, now_ms: int) -> None:
        """Publish the wills of connections that ended without DISCONNECT [MQTT-3.1.2-8]."""
        self._memory.clear_left_wills()
        for key, will in list(self._memory.wills_due.items()):
            self._memory.will_is_published(key)
            retain = will.retain and (not will.payload or self._memory.may_retain(key[0], will))
            self._take(key, Publish(will.topic, will.payload, will.qos, retain), now_ms)

    def everybody_gone(self, *, now_ms: int) -> list[ClientGone]:
        """What to write down about the clients when the broker stops."""
        return [ClientGone(*session.key, now_ms) for session in self._links.values()]

    def _detach(self, session: Session, now_ms: int) -> None:
        if session.link is not None:
            self._links.pop(session.link, None)
        session.link = None
        session.forget_passing()
        self.facts.append(ClientGone(*session.key, now_ms))
        self._memory.will_is_due(session)
        if session.clean:
            self._memory.end_session(session)
        self.publish_wills(now_ms=now_ms)

    def _make_room(self, username: str) -> bool:
        mine = [session for key, session in self._memory.sessions.items() if key[0] == username]
        if len(mine) < self._limits.sessions_per_user:
            return True
        away = next((session for session in mine if session.link is None), None)
        if away is not None:
            self._memory.end_session(away)
        return away is not None

    # --- packets

    def received(self, link: int, packet: Packet, *, now_ms: int) -> None:
        """A packet of a client that is connected; of any other it is ignored."""
        session = self._links.get(link)
        if session is None or link in self._outcome.closing:
            return
        self._handlers[type(packet)](session, link, packet, now_ms)

    def _publish(self, session: Session, link: int, packet: Publish, now_ms: int) -> None:
        username = session.key[0]
        heard = hearing(username, packet.topic, self._grants.get(username))
        if heard is Hearing.REFUSED:
            self._refuse(link, username, packet.topic, now_ms)
            return
        message = Message(packet.topic, packet.payload, packet.qos, retain=True)
        keeps = packet.retain and heard is Hearing.OWN
        if keeps and packet.payload and not self._memory.may_retain(username, message):
            self._refuse(link, username, packet.topic, now_ms, reason="its retained messages are full")
            return
        packet_id = packet.packet_id
        if packet_id is None:
            self._take(session.key, packet, now_ms, heard)
        elif packet.qos == 1:
            self._take(session.key, packet, now_ms, heard)
            self._reply(link, Puback(packet_id))
        elif packet_id in session.received:
            self._reply(link, Pubrec(packet_id))
        elif len(session.received) >= self._limits.received_ids:
            self._close(link, f"{len(session.received)} QoS 2 messages were begun and not finished")
        else:
            self._take(session.key, packet, now_ms, heard)
            self._memory.remember_id(session, packet_id)
            self._reply(link, Pubrec(packet_id))

    def _take(self, key: tuple[str, str], packet: Publish, now_ms: int, heard: Hearing = Hearing.OWN) -> None:
        self._memory.ingest(
            Published(
                username=key[0],
                client_id=key[1],
                topic=packet.topic,
                payload=packet.payload,
                qos=packet.qos,
                retain=packet.retain,
                duplicate=packet.dup,
                packet_id=packet.packet_id,
                received_ms=now_ms,
            )
        )
        if heard is not Hearing.OWN:
            return
        if packet.retain:
            self._memory.retain(key[0], Message(packet.topic, packet.payload, packet.qos, retain=True))
        for session, granted in self._memory.subscribers(packet.topic):
            self._owe(session, Message(packet.topic, packet.payload, min(granted, packet.qos)), extra=0)

    def _owe(self, session: Session, message: Message, *, extra: int) -> None:
        if not message.qos:
            self._pass_on(session, message)
        elif self._make_queue_room(session, message, extra):
            self._memory.enqueue(session, message)
        else:
            self.dropped += 1
        self._touched[session] = None

    def _pass_on(self, session: Session, message: Message) -> None:
        if session.link is None:
            return
        if session.link in self.blocked or session.passing_bytes + message.size > self._limits.queued_bytes:
            self.dropped += 1
            return
        session.passing.append(message)
        session.passing_bytes += message.size

    def _make_queue_room(self, session: Session, message: Message, extra: int) -> bool:
        outbox, limits = session.outbox, self._limits
        while len(outbox) and (
            len(outbox) >= limits.queued_messages + extra or outbox.size_bytes + message.size > limits.queued_bytes
        ):
            # what is newest matters most to somebody who comes back; what was sent is only waiting for its answer
            oldest = outbox.oldest_unsent()
            if oldest is None:
                return False
            self._memory.dequeue(session, oldest.packet_id)
            self.dropped += 1
        return True

    def _refuse(
        self, link: int, username: str, topic: str, now_ms: int, *, reason: str = "not below its own name"
    ) -> None:
        # MQTT 3.1.1 has no way to refuse a PUBLISH other than to close [MQTT-3.3.5-2]
        self.facts.append(PublishRefused(username, topic, reason, now_ms))
        self._close(link, f"{username} may not publish on {topic}: {reason}")

    def _puback(self, session: Session, _link: int, packet: Puback | Pubcomp, _now_ms: int) -> None:
        self._memory.dequeue(session, packet.packet_id)
        self._touched[session] = None

    def _pubrec(self, session: Session, link: int, packet: Pubrec, _now_ms: int) -> None:
        outgoing = session.outbox.get(packet.packet_id)
        if outgoing is not None and outgoing.message.qos == 2 and outgoing.stage is Stage.SENT:  # noqa: PLR2004 - QoS 2
            self._memory.release(session, outgoing)
        # also for an id that is not known: the client can only forget it when it gets this
        self._reply(link, Pubrel(packet.packet_id))

    def _pubrel(self, session: Session, link: int, packet: Pubrel, _now_ms: int) -> None:
        # answered after the commit: else a crash could take the next message under this id for a repetition
        self._memory.forget_id(session, packet.packet_id)
        self._reply(link, Pubcomp(packet.packet_id))

    def _subscribe(self, session: Session, link: int, packet: Subscribe, _now_ms: int) -> None:
        codes = [self._grant(session, topic_filter, qos) for topic_filter, qos in packet.filters]
        self._reply(link, Suback(packet.packet_id, tuple(codes)))
        for (topic_filter, _), granted in zip(packet.filters, codes, strict=True):
            if granted == FAILURE:
                continue
            for message in list(self._memory.retained(topic_filter)):
                owed = Message(message.topic, message.payload, min(granted, message.qos), retain=True)
                self._owe(session, owed, extra=self._limits.queued_messages)

    def _grant(self, session: Session, topic_filter: str, qos: int) -> int:
        known = topic_filter in session.subscriptions
        full = len(session.subscriptions) >= self._limits.subscriptions_per_session
        if not self._may_read(session, topic_filter) or (full and not known):
            return FAILURE
        self._memory.subscribe(session, topic_filter, qos)
        return qos

    def _may_read(self, session: Session, topic_filter: str) -> bool:
        username = session.key[0]
        return may_subscribe(username, topic_filter, self._grants.get(username))

    def _unsubscribe(self, session: Session, link: int, packet: Unsubscribe, _now_ms: int) -> None:
        for topic_filter in packet.filters:
            self._memory.unsubscribe(session, topic_filter)
        self._reply(link, Unsuback(packet.packet_id))

    def _disconnect(self, session: Session, link: int, _packet: Disconnect, _now_ms: int) -> None:
        self._memory.clear_will(session)
        self._close(link, "the client disconnected")
