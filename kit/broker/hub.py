"""The broker without its sockets: packets of all clients in, changes to write down and packets to send out.

Used in batches. The shell sets `now`, calls `connected`, `received` and `lost` for everything that has come in, then
`finish`, takes `changes` and `facts`, has them written, and then calls `settle`, which gives what may now be sent. If
the writing failed it calls `roll_back`, and everything is as before the batch. So nobody is told anything that is not
on disk, and nothing here has to think about disks.

Links are numbers by which the shell knows its connections. Each packet type has one function. The hub answers every
client in the terms of MQTT 5; where MQTT 3.1.1 has no words for a refusal, the connection is closed instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kit.broker.access import Access, ByGrants, Hearing, Rights
from kit.broker.changes import Change, ClientConnected, ClientGone, Fact, PublishRefused, Saved
from kit.broker.delivery import Delivery
from kit.broker.memory import Memory
from kit.broker.outcome import Farewell, Outcome
from kit.broker.protocol.lifetimes import START, Instant
from kit.broker.protocol.limits import Limits
from kit.broker.protocol.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Puback,
    Pubacks,
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
from kit.broker.protocol.properties import subscription_ids
from kit.broker.protocol.reasons import FAILURES_FROM, Reason
from kit.broker.protocol.session import Session, Stage, Subscription, Will
from kit.broker.protocol.topics import shared_filter
from kit.broker.protocol.writer import wish_of
from kit.broker.publishing import NOT_ITS_NAME, Publishing
from kit.model.grants import Grants


class Hub:
    """Decides what every packet means for everybody.

    Args:
        limits: of sessions, queues and retained messages.
        access: who may publish and read what.
    """

    def __init__(self, limits: Limits, *, access: Access | None = None) -> None:
        self._limits = limits
        self._memory = Memory(limits)
        self._delivery = Delivery(self._memory, limits)
        self._links: dict[int, Session] = {}
        self._rights = Rights(access or ByGrants())
        self._outcome = Outcome()
        self._publishing = Publishing(self._memory, self._delivery, self._rights, limits, answers=self)
        self.facts: list[Fact] = []
        self._handlers: dict[type, Callable[[Session, int, Any, int], None]] = {
            Publish: self._publishing.take,
            Puback: self._puback,
            Pubrec: self._pubrec,
            Pubrel: self._pubrel,
            Pubcomp: self._puback,
            Subscribe: self._subscribe,
            Unsubscribe: self._unsubscribe,
            Disconnect: self._disconnect,
        }

    # --- the batch

    def restore(self, saved: Saved, now: Instant = START) -> None:
        """Begin with what a journal kept."""
        self._memory.restore(saved, now)

    @property
    def now(self) -> Instant:
        """The moment of the batch, by which things expire; the shell moves it on."""
        return self._memory.now

    @now.setter
    def now(self, now: Instant) -> None:
        self._memory.now = now

    @property
    def changes(self) -> list[Change]:
        """To be on disk before `settle`."""
        return self._memory.changes

    @property
    def blocked(self) -> set[int]:
        """Links whose client reads too slowly; set by the shell, which calls `writable` when it is over."""
        return self._delivery.blocked

    @property
    def dropped(self) -> int:
        """Messages given up because a client's queue was full, since the start."""
        return self._delivery.dropped

    @property
    def has_something_due(self) -> bool:
        """Whether `finish` has something to do although no packet came: a will, or the end of a session."""
        memory = self._memory
        return bool(memory.wills_left or memory.ripe_wills() or memory.expired_sessions())

    def finish(self, *, now_ms: int) -> None:
        """The last thing in a batch: end what has expired, publish the wills that are due."""
        for session in self._memory.expired_sessions():
            self._end(session)
        self._publish_wills(now_ms)
        self._delivery.drop_stale()
        self._memory.drop_expired_retained()

    def settle(self) -> Outcome:
        """The changes are on disk: what may be said now."""
        self._memory.commit()
        outcome = self._end_batch()
        touched, self._delivery.touched = self._delivery.touched, {}
        for session in touched:
            if session.link is not None and session.link not in self.blocked:
                packets = session.packets_to_send(self.now)
                if packets:
                    outcome.packets.setdefault(session.link, []).extend(packets)
        return outcome

    def roll_back(self) -> Outcome:
        """The changes are not on disk: nothing of the batch has happened, and nothing is said."""
        self._memory.roll_back()
        for session in self._delivery.touched:
            session.forget_passing()
        self._delivery.touched = {}
        outcome = self._end_batch()
        outcome.packets.clear()
        return outcome

    def _end_batch(self) -> Outcome:
        outcome, self._outcome = self._outcome, Outcome()
        return outcome

    def reply(self, link: int, *packets: Packet) -> None:
        """Say this to a client once the batch is on disk."""
        said = self._outcome.packets.get(link)
        if said is None:
            said = self._outcome.packets[link] = []
        said += packets

    def acknowledge(self, link: int, packet_ids: Sequence[int]) -> None:
        """Say to a client that these messages of QoS 1 are taken, once the batch is on disk."""
        said = self._outcome.packets.get(link)
        if said and type(said[-1]) is Pubacks:
            said[-1].packet_ids.extend(packet_ids)
        else:
            self.reply(link, Pubacks([*packet_ids]))

    def close(self, link: int, text: str, reason: Reason) -> None:
        """End a client's connection after this batch."""
        self._outcome.closing.setdefault(link, Farewell(text, reason))

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
        self._rights.grant(username, grants)
        if connect.will is not None and self._rights.hearing(username, connect.will.topic) is Hearing.REFUSED:
            self.facts.append(PublishRefused(username, connect.will.topic, NOT_ITS_NAME, now_ms))
            text = f"{username} may not have a will on {connect.will.topic}: {NOT_ITS_NAME}"
            self._turn_away(link, text, Reason.NOT_AUTHORIZED)
            return
        old = memory.sessions.get(key)
        if old is not None and old.link is not None:
            self.close(
                old.link, "another connection has taken over the session [MQTT-3.1.4-2]", Reason.SESSION_TAKEN_OVER
            )
            self._detach(old, now_ms)
            old = memory.sessions.get(key)
        # a will that an earlier batch could not publish must not be taken for this connection's
        self._publish_wills(now_ms)
        if old is None and not self._make_room(username):
            text = f"{username} has {self._limits.sessions_per_user} sessions, all connected"
            self._turn_away(link, text, Reason.QUOTA_EXCEEDED)
            return
        if old is not None and connect.clean_session:
            self._end(old)
            old = None
        if old is None:
            memory.hasten_will(key)
            self._publish_wills(now_ms)
            session = memory.open_session(key, kept_s=connect.kept_s)
        else:
            session = old
            memory.withdraw_will(key)
            memory.keep_for(session, connect.kept_s)
        self._withdraw_lost_rights(session)
        self._attach(session, link, connect)
        assigned = key[1] if connect.assigned else None
        self.reply(link, Connack(old is not None, Reason.SUCCESS, assigned_client_id=assigned))
        self.facts.append(ClientConnected(*key, address, now_ms))

    def _attach(self, session: Session, link: int, connect: Connect) -> None:
        session.connected(link, connect, inflight=self._limits.inflight)
        self._links[link] = session
        self._delivery.touched[session] = None
        self._delivery.drop_oversized(session)
        self._memory.mark_queue_sent(session)
        if connect.will is not None and self._rights.hearing(session.key[0], connect.will.topic) is Hearing.OWN:
            self._memory.set_will(session, Will(connect.will, connect.will_delay_s, connect.will_expiry_s))

    def _withdraw_lost_rights(self, session: Session) -> None:
        """What it may read may have changed while it, or the broker, was away."""
        for topic_filter in list(session.subscriptions):
            if not self._rights.may_read(session.key[0], topic_filter):
                self._memory.unsubscribe(session, topic_filter)

    def _turn_away(self, link: int, text: str, reason: Reason) -> None:
        self.reply(link, Connack(session_present=False, code=reason, text=text))
        self.close(link, text, reason)

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
        self._publish_wills(now_ms)
        for session in [s for s in self._memory.sessions.values() if s.key[0] == username]:
            if session.link is not None:
                self.close(session.link, f"the user {username} was removed", Reason.ADMINISTRATIVE_ACTION)
                self._detach(session, now_ms)
            self._end(session)
        self._publish_wills(now_ms)
        self._rights.forget(username)

    def writable(self, link: int) -> None:
        """The client reads again: what waited for it may go out with this batch."""
        session = self._links.get(link)
        if session is not None:
            self._delivery.touched[session] = None

    def usernames(self) -> set[str]:
        """Everybody who has a session."""
        return {username for username, _ in self._memory.sessions}

    def everybody_gone(self, *, now_ms: int) -> list[ClientGone]:
        """What to write down about the clients when the broker stops."""
        return [ClientGone(*session.key, now_ms) for session in self._links.values()]

    def _publish_wills(self, now_ms: int) -> None:
        """Publish the wills of connections that ended without DISCONNECT, once they are due [MQTT-3.1.2-8]."""
        self._memory.clear_left_wills()
        for key, will in self._memory.ripe_wills():
            self._memory.will_is_published(key)
            message = will.message
            retain = message.retain and (not message.payload or self._memory.may_retain(key[0], message))
            packet = Publish(
                message.topic,
                message.payload,
                message.qos,
                retain,
                properties=message.properties,
                expiry_s=will.expiry_s,
            )
            self._delivery.take(key, packet, now_ms, passes_on=True)

    def _detach(self, session: Session, now_ms: int) -> None:
        if session.link is not None:
            self._links.pop(session.link, None)
        session.link = None
        session.forget_passing()
        self.facts.append(ClientGone(*session.key, now_ms))
        self._memory.will_is_due(session)
        self._memory.leave_session(session)
        self._publish_wills(now_ms)

    def _end(self, session: Session) -> None:
        self._memory.end_session(session)
        self._memory.hasten_will(session.key)

    def _make_room(self, username: str) -> bool:
        mine = [session for key, session in self._memory.sessions.items() if key[0] == username]
        if len(mine) < self._limits.sessions_per_user:
            return True
        away = next((session for session in mine if session.link is None), None)
        if away is not None:
            self._end(away)
        return away is not None

    # --- packets

    def received(self, link: int, packet: Packet, *, now_ms: int) -> None:
        """A packet of a client that is connected; of any other it is ignored."""
        self.received_all(link, (packet,), now_ms=now_ms)

    def received_all(self, link: int, packets: Iterable[Packet], *, now_ms: int) -> None:
        """Packets of one client, in their order; see `received`."""
        for packet in packets:
            session = self._links.get(link)
            if session is None or link in self._outcome.closing:
                return
            if type(packet) is not Publishes:
                self._handlers[type(packet)](session, link, packet, now_ms)
            elif not self._publishing.take_run(session, link, packet, now_ms):
                self.received_all(link, packet.apart(), now_ms=now_ms)

    def _puback(self, session: Session, _link: int, packet: Puback | Pubcomp, _now_ms: int) -> None:
        self._memory.dequeue(session, packet.packet_id)
        self._delivery.touched[session] = None

    def _pubrec(self, session: Session, link: int, packet: Pubrec, _now_ms: int) -> None:
        if packet.reason >= FAILURES_FROM:  # the client does not want it: the exchange is over [MQTT-4.3.3-4 of MQTT 5]
            self._memory.dequeue(session, packet.packet_id)
            self._delivery.touched[session] = None
            return
        outgoing = session.outbox.get(packet.packet_id)
        if outgoing is not None and outgoing.message.qos == 2 and outgoing.stage is Stage.SENT:  # noqa: PLR2004 - QoS 2
            self._memory.release(session, outgoing)
        # also for an id that is not known: the client can only forget it when it gets this
        self.reply(link, Pubrel(packet.packet_id, Reason.SUCCESS if outgoing else Reason.PACKET_ID_NOT_FOUND))

    def _pubrel(self, session: Session, link: int, packet: Pubrel, _now_ms: int) -> None:
        # answered after the commit: else a crash could take the next message under this id for a repetition
        known = packet.packet_id in session.received
        self._memory.forget_id(session, packet.packet_id)
        self.reply(link, Pubcomp(packet.packet_id, Reason.SUCCESS if known else Reason.PACKET_ID_NOT_FOUND))

    def _subscribe(self, session: Session, link: int, packet: Subscribe, _now_ms: int) -> None:
        wishes = [(topic_filter, wish_of(wanted)) for topic_filter, wanted in packet.filters]
        known = [topic_filter in session.subscriptions for topic_filter, _ in wishes]
        codes = [self._grant(session, topic_filter, wish, packet.identifier) for topic_filter, wish in wishes]
        self.reply(link, Suback(packet.packet_id, tuple(codes)))
        identifier = subscription_ids((packet.identifier,) if packet.identifier else ())
        for (topic_filter, wish), code, old in zip(wishes, codes, known, strict=True):
            if code < FAILURES_FROM:
                self._delivery.give_retained(session, topic_filter, wish, identifier, new=not old)

    def _grant(self, session: Session, topic_filter: str, wish: Wish, identifier: int | None) -> int:
        if not self._rights.may_read(session.key[0], topic_filter):
            return Reason.NOT_AUTHORIZED
        full = len(session.subscriptions) >= self._limits.subscriptions_per_session
        if full and topic_filter not in session.subscriptions:
            return Reason.QUOTA_EXCEEDED
        shared = topic_filter if shared_filter(topic_filter) else ""
        subscription = Subscription.of(wish, identifier, shared=shared)
        self._memory.subscribe(session, topic_filter, subscription)
        return wish.qos

    def _unsubscribe(self, session: Session, link: int, packet: Unsubscribe, _now_ms: int) -> None:
        codes = []
        for topic_filter in packet.filters:
            known = topic_filter in session.subscriptions
            codes.append(Reason.SUCCESS if known else Reason.NO_SUBSCRIPTION_EXISTED)
            self._memory.unsubscribe(session, topic_filter)
        self.reply(link, Unsuback(packet.packet_id, tuple(codes)))

    def _disconnect(self, session: Session, link: int, packet: Disconnect, _now_ms: int) -> None:
        wanted = packet.session_expiry_s
        if wanted is not None and wanted != session.kept_s:
            if session.kept_s == 0:
                text = (
                    "a session that was to end with its connection cannot be kept after all [MQTT-3.1.2-23 of MQTT 5]"
                )
                self.close(link, text, Reason.PROTOCOL_ERROR)
                return
            self._memory.keep_for(session, wanted)
        if packet.reason == Reason.SUCCESS:
            self._memory.clear_will(session)
        self.close(link, "the client disconnected", Reason.SUCCESS)
