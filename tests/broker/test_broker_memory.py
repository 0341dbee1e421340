"""Memory and journal stay equal, whatever happens and whichever batches fail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kit.broker.changes import (
    Change,
    Dequeued,
    IdReceived,
    IdReleased,
    Queued,
    QueueSent,
    Released,
    Retained,
    RetainedCleared,
    Saved,
    SessionEnded,
    SessionLeft,
    SessionOpened,
    Subscribed,
    Unsubscribed,
    WillCleared,
    WillSet,
)
from kit.broker.hub import Hub
from kit.broker.memory import Memory
from kit.broker.protocol.errors import LocalProtocolError
from kit.broker.protocol.lifetimes import NEVER_S
from kit.broker.protocol.limits import Limits
from kit.broker.protocol.packets import (
    Connect,
    Disconnect,
    Message,
    Packet,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Subscribe,
    Unsubscribe,
)
from kit.broker.protocol.reasons import Reason
from kit.broker.protocol.session import Outbox, Outgoing, Stage, Subscription, Will

LIMITS = Limits(inflight=2, queued_messages=4, received_ids=3, sessions_per_user=2, retained_per_user=3)


class Paper:
    """A journal in the plainest form: dictionaries."""

    def __init__(self) -> None:
        self.sessions: dict[tuple[str, str], SessionOpened] = {}
        self.subscriptions: dict[tuple[str, str, str], Subscription] = {}
        self.queue: dict[int, Queued] = {}
        self.received: set[tuple[str, str, int]] = set()
        self.retained: dict[str, Retained] = {}
        self.wills: dict[tuple[str, str], Will] = {}

    def write(self, changes: list[Change]) -> None:  # noqa: C901, PLR0912 - one arm per kind of change
        for change in changes:
            match change:
                case SessionOpened(user, client):
                    self.sessions[user, client] = change
                case SessionLeft(user, client, left):
                    self.sessions[user, client] = replace(self.sessions[user, client], left=left)
                case SessionEnded(user, client):
                    self.sessions.pop((user, client), None)
                    self.subscriptions = {k: v for k, v in self.subscriptions.items() if k[:2] != (user, client)}
                    self.queue = {k: q for k, q in self.queue.items() if (q.username, q.client_id) != (user, client)}
                    self.received = {r for r in self.received if r[:2] != (user, client)}
                case Subscribed(user, client, topic_filter, subscription):
                    self.subscriptions[user, client, topic_filter] = subscription
                case Unsubscribed(user, client, topic_filter):
                    del self.subscriptions[user, client, topic_filter]
                case Queued():
                    assert change.position not in self.queue
                    self.queue[change.position] = change
                case Dequeued(position):
                    del self.queue[position]
                case Released(position):
                    old = self.queue[position]
                    self.queue[position] = Queued(
                        old.username, old.client_id, position, old.packet_id, old.message, Stage.RELEASED
                    )
                case QueueSent():
                    pass
                case IdReceived(user, client, packet_id):
                    self.received.add((user, client, packet_id))
                case IdReleased(user, client, packet_id):
                    self.received.remove((user, client, packet_id))
                case Retained():
                    self.retained[change.message.topic] = change
                case RetainedCleared(topic):
                    del self.retained[topic]
                case WillSet(user, client, will):
                    self.wills[user, client] = will
                case WillCleared(user, client):
                    del self.wills[user, client]

    def saved(self) -> Saved:
        return Saved(
            sessions=list(self.sessions.values()),
            subscriptions=[Subscribed(*key, subscription) for key, subscription in self.subscriptions.items()],
            queue=[self.queue[position] for position in sorted(self.queue)],
            received=[IdReceived(*key) for key in self.received],
            retained=list(self.retained.values()),
            wills=[WillSet(*key, will) for key, will in self.wills.items()],
        )


def portrait(hub: Hub) -> dict[str, Any]:
    """What a hub knows of the things that are written down."""
    memory = hub._memory
    kept = {key: session for key, session in memory.sessions.items() if session.kept_s}
    wills = {key for key, session in memory.sessions.items() if session.will}
    wills |= memory.wills_due.keys() | memory.wills_left
    return {
        "subscriptions": {key: session.subscriptions for key, session in kept.items()},
        "queue": {
            key: [(o.position, o.packet_id, o.message, o.stage is Stage.RELEASED) for o in s.outbox._entries.values()]
            for key, s in kept.items()
        },
        "received": {key: session.received for key, session in kept.items()},
        "retained": {topic: r.message for topic, r in memory._retained.items()},
        "wills": wills,
        "accounts": {u: (a.messages, a.size_bytes) for u, a in memory._accounts.items() if a.messages},
        "routes": {topic: routes(memory, topic) for topic in TOPICS},
        "bytes": {key: session.outbox.size_bytes for key, session in kept.items()},
    }


def routes(memory: Memory, topic: str) -> list[Any]:
    route = memory.subscribers(topic)
    everybody = [route.each, *route.groups]
    return sorted(sorted((s.key, g.qos, g.identifiers) for s, g in members if s.kept_s) for members in everybody)


TOPICS = ["sensors/roof", "sensors/roof/a", "alerts/village", "commands/roof/x"]
FILTERS = [
    "sensors/roof/#",
    "sensors/roof/+",
    "alerts/#",
    "commands/roof/x",
    "#",
    "sensors/field/#",
    "$share/g/sensors/#",
]
spans = st.sampled_from([(4, 0), (5, 0), (5, 600), (5, NEVER_S)])
links = st.integers(1, 4)
ids = st.integers(1, 5)
qos = st.integers(0, 2)
payloads = st.sampled_from([b"", b"x", b"yy"])


def publish(topic: str, payload: bytes, level: int, retain: bool, packet_id: int) -> Publish:
    return Publish(topic, payload, level, retain, packet_id=packet_id if level else None)


packets: st.SearchStrategy[Packet] = st.one_of(
    st.builds(publish, st.sampled_from(TOPICS), payloads, qos, st.booleans(), ids),
    st.builds(publish, st.sampled_from(TOPICS), payloads, qos, st.booleans(), ids),
    *[ids.map(kind) for kind in (Puback, Pubrec, Pubrel, Pubcomp)],
    st.builds(Subscribe, ids, st.lists(st.tuples(st.sampled_from(FILTERS), qos), min_size=1, max_size=3).map(tuple)),
    st.builds(Unsubscribe, ids, st.lists(st.sampled_from(FILTERS), min_size=1, max_size=2).map(tuple)),
    st.sampled_from([Disconnect(), Disconnect(session_expiry_s=0), Disconnect(Reason.DISCONNECT_WITH_WILL)]),
)


class AnyBatches(RuleBasedStateMachine):
    """Batches of anything, some of which fail."""

    @initialize()
    def start(self) -> None:
        self.hub, self.paper = Hub(LIMITS), Paper()
        self.alive: set[int] = set()
        self.number = 0

    @rule(
        events=st.lists(
            st.one_of(
                st.tuples(st.just("connect"), st.sampled_from("ab"), st.booleans(), st.booleans(), spans),
                st.tuples(st.just("packet"), links, packets),
                st.tuples(st.just("lost"), links),
                st.tuples(st.just("forget"), st.just("roof")),
            ),
            max_size=8,
        ),
        written=st.booleans() | st.just(value=True),
    )
    def batch(self, events: list[tuple[Any, ...]], written: bool) -> None:
        members = [member for event in events for member in self.happen(event)]
        self.hub.finish(now_ms=0)
        if written:
            self.paper.write(self.hub.changes)
            outcome = self.hub.settle()
        else:
            outcome = self.hub.roll_back()
            assert not outcome.packets
        closing = set(outcome.closing) | (set() if written else set(members))
        for number in sorted(closing & self.alive):
            self.lose(number)
        if written:
            self.settle()

    def happen(self, event: tuple[Any, ...]) -> list[int]:
        alive = sorted(self.alive)
        if event[0] == "connect":
            self.number += 1
            self.alive.add(self.number)
            will = Message("sensors/roof", b"will", 1, retain=True) if event[3] else None
            version, kept_s = event[4]
            connect = Connect(
                client_id=event[1], clean_session=event[2], will=will, version=version, session_expiry_s=kept_s
            )
            self.hub.connected(self.number, connect, username="roof", address="", now_ms=0)
            return [self.number]
        if event[0] == "forget":
            self.hub.forget_user(event[1], now_ms=0)
            return []
        number = alive[event[1] % len(alive)] if alive else 0
        if event[0] == "lost":
            self.lose(number)
            return []
        self.hub.received(number, event[2], now_ms=0)
        return [number]

    def lose(self, number: int) -> None:
        self.alive.discard(number)
        self.hub.lost(number, now_ms=0)

    def settle(self) -> None:
        """A last batch that goes well: what connections left behind is written, too."""
        while self.hub.changes or self.hub.has_something_due:
            self.hub.finish(now_ms=0)
            self.paper.write(self.hub.changes)
            for number in sorted(set(self.hub.settle().closing) & self.alive):
                self.lose(number)

    @invariant()
    def a_restart_would_know_the_same(self) -> None:
        if not hasattr(self, "hub") or self.hub.changes:
            return
        restarted = Hub(LIMITS)
        restarted.restore(self.paper.saved())
        assert portrait(restarted) == portrait(self.hub)

    @invariant()
    def queues_stay_within_their_limits(self) -> None:
        for session in self.hub._memory.sessions.values() if hasattr(self, "hub") else ():
            assert len(session.outbox) <= 2 * LIMITS.queued_messages
            assert len(session.outbox._inflight) <= LIMITS.inflight


AnyBatches.TestCase.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)
TestMemoryAndJournal = AnyBatches.TestCase


def test_packet_ids_in_use_are_not_given_twice() -> None:
    outbox = Outbox(window=1)
    for position in range(0xFFFF):
        outbox.add(Outgoing(position, outbox.free_packet_id(), Message("t", b"", 1)))
    with pytest.raises(LocalProtocolError, match="packet ids"):
        outbox.free_packet_id()
    outbox.remove(77)
    assert outbox.free_packet_id() == 77
