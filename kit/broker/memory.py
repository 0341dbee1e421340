"""All that the broker remembers, and how to take the last batch back.

Invariant: between batches, memory equals what the journal holds (plus sessions and messages that are not meant to
survive). Every mutation records the change to be written and the way to undo it; after the transaction `commit`
forgets the undoing, after a failed one `roll_back` does it, newest first. So a full disk leaves no trace in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

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
from kit.broker.protocol.lifetimes import NEVER_S, START, Instant, Life
from kit.broker.protocol.limits import Limits
from kit.broker.protocol.packets import Message
from kit.broker.protocol.session import Grant, Outbox, Outgoing, Session, SessionKey, Stage, Subscription, Tally, Will
from kit.broker.protocol.topics import TopicTrie, matches, shared_filter
from kit.model.messages import Published

ROUTES = 4_096
"""Topics whose subscribers are remembered; devices publish on the same few topics for years."""


RouteKey = tuple[str, str, str]
"""(user name, client id, the `$share/…` filter or ""): a shared subscription is its user's, like a client id."""


@dataclass(slots=True)
class Route:
    """Who gets what is published on a topic.

    Attributes:
        each: gets a copy.
        groups: of shared subscriptions; one of each group gets a copy.
        turn: whose turn it is, counted.
    """

    each: list[tuple[Session, Grant]] = field(default_factory=list)
    groups: list[list[tuple[Session, Grant]]] = field(default_factory=list)
    turn: int = 0

    @property
    def has_receivers(self) -> bool:
        """Whether anybody does."""
        return bool(self.each or self.groups)

    def receivers(self) -> list[tuple[Session, Grant]]:
        """This message's: of a group one that is connected, if there is one, and each in turn."""
        if not self.groups:
            return self.each
        self.turn += 1
        chosen = []
        for group in self.groups:
            present = [member for member in group if member[0].link is not None] or group
            chosen.append(present[self.turn % len(present)])
        return [*self.each, *chosen]


@dataclass(frozen=True, slots=True)
class DueWill:
    """A will whose connection is gone; it is published when its delay, or the session, is over."""

    will: Will
    delay: Life


@dataclass(slots=True)
class _Account:
    """What one user's retained messages take."""

    messages: int = 0
    size_bytes: int = 0


class Memory:
    """Sessions, subscriptions, retained messages, wills; reading is open, changing goes through the methods."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._trie: TopicTrie[RouteKey, Subscription] = TopicTrie()
        self._routes: dict[str, Route] = {}
        self._retained: dict[str, Retained] = {}
        self._mortal: set[str] = set()
        self._leaving: dict[SessionKey, Session] = {}
        self._accounts: dict[str, _Account] = {}
        self._undo: list[Callable[[], object]] = []
        self._position = 0
        self.queued = Tally()
        self.sessions: dict[SessionKey, Session] = {}
        self.now = START
        """The moment of the batch; set by the shell."""
        self.wills_due: dict[SessionKey, DueWill] = {}
        self.wills_left: set[SessionKey] = set()
        self.changes: list[Change] = []

    # --- the batch

    def commit(self) -> None:
        """The changes are on disk."""
        self.changes = []
        self._undo = []

    def roll_back(self) -> None:
        """The changes are not on disk: be as before them."""
        self.changes = []
        while self._undo:
            self._undo.pop()()
        self._routes.clear()

    def _did(self, undo: Callable[[], object], *changes: Change) -> None:
        self._undo.append(undo)
        self.changes += changes

    # --- sessions and subscriptions

    def open_session(self, key: SessionKey, *, kept_s: int) -> Session:
        """A new session, without a connection yet; it will outlive that by `kept_s` seconds."""
        session = Session(key, not kept_s, Outbox(window=self._limits.inflight, tally=self.queued), kept_s=kept_s)
        self.sessions[key] = session
        if kept_s:
            self._did(lambda: self._forget(session), SessionOpened(*key, kept_s))
        return session

    def keep_for(self, session: Session, kept_s: int) -> None:
        """The session's client is back, or wants it to be kept for another span."""
        before, was_away = session.kept_s, session.left is not None
        if session.clean or (before == kept_s and not was_away):
            return
        session.kept_s, session.left = kept_s, None
        self._did(lambda: setattr(session, "kept_s", before), SessionOpened(*session.key, kept_s))

    def leave_session(self, session: Session) -> None:
        """The session's connection is gone, which no failed transaction brings back."""
        if self.sessions.get(session.key) is not session:
            return  # it was opened in a transaction that failed
        if session.kept_s == 0:
            self.end_session(session)
        elif session.kept_s != NEVER_S:
            session.left = Life(session.kept_s, self.now)
            self._leaving[session.key] = session
            # if this is not written, the span begins anew at the next start: later than it should, never earlier
            self._did(lambda: None, SessionLeft(*session.key, session.left))

    def expired_sessions(self) -> list[Session]:
        """Sessions whose span is over."""
        for key, session in list(self._leaving.items()):
            if session.left is None or self.sessions.get(key) is not session:
                del self._leaving[key]
        return [s for s in self._leaving.values() if s.left is not None and s.left.is_over(self.now)]

    def end_session(self, session: Session) -> None:
        """Let go of everything that belongs to it, except its will."""
        if self.sessions.get(session.key) is not session:
            return
        self._forget(session)
        # a clean session ends because its connection did, which no failed transaction brings back
        if not session.clean:
            self._did(lambda: self._adopt(session), SessionEnded(*session.key))

    def subscribe(self, session: Session, topic_filter: str, subscription: Subscription) -> None:
        """Add a filter, or change how it is granted."""
        before = session.subscriptions.get(topic_filter)
        self._set_subscription(session, topic_filter, subscription)
        change = () if session.clean else (Subscribed(*session.key, topic_filter, subscription),)
        self._did(lambda: self._set_subscription(session, topic_filter, before), *change)

    def unsubscribe(self, session: Session, topic_filter: str) -> None:
        """Take a filter away; nothing happens if it was not there."""
        before = session.subscriptions.get(topic_filter)
        if before is None:
            return
        self._set_subscription(session, topic_filter, None)
        change = () if session.clean else (Unsubscribed(*session.key, topic_filter),)
        self._did(lambda: self._set_subscription(session, topic_filter, before), *change)

    def subscribers(self, topic: str) -> Route:
        """Everybody who gets a message on `topic`."""
        route = self._routes.get(topic)
        if route is None:
            if len(self._routes) >= ROUTES:
                self._routes.clear()
            route = self._routes[topic] = self._find_route(topic)
        return route

    def _find_route(self, topic: str) -> Route:
        route = Route()
        groups: dict[tuple[str, str], list[tuple[Session, Grant]]] = {}
        for (username, client_id, shared), subscriptions in self._trie.match(topic).items():
            member = (self.sessions[username, client_id], Grant.of(subscriptions))
            if shared:
                groups.setdefault((username, shared), []).append(member)
            else:
                route.each.append(member)
        route.groups = list(groups.values())
        return route

    def _set_subscription(self, session: Session, topic_filter: str, subscription: Subscription | None) -> None:
        self._routes.clear()
        if subscription is None:
            session.subscriptions.pop(topic_filter, None)
            self._unroute(session, topic_filter)
            return
        session.subscriptions[topic_filter] = subscription
        # a session that has ended meanwhile keeps its list for its undoing but is no longer routed to
        if self.sessions.get(session.key) is session:
            self._put_route(session, topic_filter, subscription)

    def _put_route(self, session: Session, topic_filter: str, subscription: Subscription) -> None:
        self._trie.put(shared_filter(topic_filter) or topic_filter, (*session.key, subscription.shared), subscription)

    def _unroute(self, session: Session, topic_filter: str) -> None:
        shared = shared_filter(topic_filter)
        self._trie.remove(shared or topic_filter, (*session.key, topic_filter if shared else ""))

    def _forget(self, session: Session) -> None:
        self._routes.clear()
        if self.sessions.get(session.key) is session:
            del self.sessions[session.key]
            session.outbox.let_go()
            for topic_filter in session.subscriptions:
                self._unroute(session, topic_filter)

    def _adopt(self, session: Session) -> None:
        self._routes.clear()
        self.sessions[session.key] = session
        session.outbox.taken_back()
        for topic_filter, subscription in session.subscriptions.items():
            self._put_route(session, topic_filter, subscription)

    # --- messages owed to a session

    def enqueue(self, session: Session, message: Message) -> Outgoing:
        """Owe the session a message of QoS 1 or 2."""
        self._position += 1
        outgoing = Outgoing(self._position, session.outbox.free_packet_id(), message)
        session.outbox.add(outgoing)
        stage = Stage.WAITING if session.link is None else Stage.SENT
        change = () if session.clean else (Queued(*session.key, outgoing.position, outgoing.packet_id, message, stage),)
        self._did(lambda: session.outbox.remove(outgoing.packet_id), *change)
        return outgoing

    def dequeue(self, session: Session, packet_id: int) -> None:
        """The message is acknowledged or given up."""
        outgoing = session.outbox.remove(packet_id)
        if outgoing is not None:
            change = () if session.clean else (Dequeued(outgoing.position),)
            self._did(lambda: session.outbox.put_back(outgoing), *change)

    def release(self, session: Session, outgoing: Outgoing) -> None:
        """QoS 2: the client has the message."""
        before = outgoing.stage
        outgoing.stage = Stage.RELEASED
        change = () if session.clean else (Released(outgoing.position),)
        self._did(lambda: setattr(outgoing, "stage", before), *change)

    def mark_queue_sent(self, session: Session) -> None:
        """The session's client is connected; see `QueueSent`."""
        if len(session.outbox) and not session.clean:
            self.changes.append(QueueSent(*session.key))

    # --- QoS 2 messages taken from a client

    def remember_id(self, session: Session, packet_id: int) -> None:
        """A repetition of this packet id is not a new message."""
        session.received.add(packet_id)
        change = () if session.clean else (IdReceived(*session.key, packet_id),)
        self._did(lambda: session.received.discard(packet_id), *change)

    def forget_id(self, session: Session, packet_id: int) -> None:
        """From now on it is."""
        if packet_id in session.received:
            session.received.discard(packet_id)
            change = () if session.clean else (IdReleased(*session.key, packet_id),)
            self._did(lambda: session.received.add(packet_id), *change)

    # --- publishing

    def ingest(self, published: Published) -> None:
        """Hand a message to the collector in the same transaction."""
        self.changes.append(published)

    def may_retain(self, username: str, message: Message) -> bool:
        """Whether the user's retained messages would stay within the limits."""
        account = self._accounts.get(username, _Account())
        old = self._retained.get(message.topic)
        mine = old if old is not None and old.username == username else None
        size = account.size_bytes + message.size - (mine.message.size if mine else 0)
        count = account.messages + (0 if mine else 1)
        return count <= self._limits.retained_per_user and size <= self._limits.retained_bytes_per_user

    def retain(self, username: str, message: Message) -> None:
        """Replace the retained message of the topic; an empty payload clears it [MQTT-3.3.1-10, -11]."""
        topic = message.topic
        before = self._retained.get(topic)
        after = Retained(username, message) if message.payload else None
        if before is None and after is None:
            return
        self._set_retained(topic, after)
        self._did(lambda: self._set_retained(topic, before), after or RetainedCleared(topic))

    def retained(self, topic_filter: str) -> Iterator[Message]:
        """The retained messages a new subscription gets."""
        if "+" not in topic_filter and "#" not in topic_filter:
            found = self._retained.get(topic_filter)
            if found is not None and not self._is_over(found):
                yield found.message
            return
        for topic, retained in self._retained.items():
            if matches(topic_filter, topic) and not self._is_over(retained):
                yield retained.message

    def drop_expired_retained(self) -> None:
        """Let go of retained messages whose life is over."""
        for topic in [topic for topic in self._mortal if self._is_over(self._retained[topic])]:
            before = self._retained[topic]
            self._set_retained(topic, None)
            self._did(partial(self._set_retained, topic, before), RetainedCleared(topic))

    def _is_over(self, retained: Retained) -> bool:
        life = retained.message.life
        return life is not None and life.is_over(self.now)

    def _set_retained(self, topic: str, value: Retained | None) -> None:
        before = self._retained.pop(topic, None)
        for retained, sign in ((before, -1), (value, 1)):
            if retained is not None:
                account = self._accounts.setdefault(retained.username, _Account())
                account.messages += sign
                account.size_bytes += sign * retained.message.size
        self._mortal.discard(topic)
        if value is not None:
            self._retained[topic] = value
            if value.message.life is not None:
                self._mortal.add(topic)

    # --- wills

    def set_will(self, session: Session, will: Will) -> None:
        """Keep the will of the session's new connection."""
        session.will = will
        self._did(lambda: self._unset_will(session, will), WillSet(*session.key, will))

    def clear_will(self, session: Session) -> None:
        """The connection ended properly: its will is never published, even if this batch fails."""
        if session.will is not None:
            session.will = None
            self._clear_will(session.key)

    def clear_left_wills(self) -> None:
        """Clear the wills that a failed batch could not."""
        left, self.wills_left = self.wills_left, set()
        for key in left:
            self._clear_will(key)

    def _clear_will(self, key: SessionKey) -> None:
        self._did(lambda: self.wills_left.add(key), WillCleared(*key))

    def _unset_will(self, session: Session, will: Will) -> None:
        session.will = None
        # the connection came and went in one failed batch: its will was never written, so there is nothing to do
        due = self.wills_due.get(session.key)
        if due is not None and due.will is will:
            del self.wills_due[session.key]
        self.wills_left.discard(session.key)

    def will_is_due(self, session: Session) -> None:
        """The connection is gone; its will has to be published, by this batch or by a later one."""
        if session.will is not None:
            # it is published when its delay or the session ends, whichever is first [MQTT-3.1.3-9]
            delay = Life(min(session.will.delay_s, session.kept_s), self.now)
            self.wills_due[session.key] = DueWill(session.will, delay)
            session.will = None

    def hasten_will(self, key: SessionKey) -> None:
        """The session has ended: its will waits no longer."""
        due = self.wills_due.get(key)
        if due is not None:
            self.wills_due[key] = DueWill(due.will, Life(0, self.now))

    def ripe_wills(self) -> list[tuple[SessionKey, Will]]:
        """Wills to be published now."""
        return [(key, due.will) for key, due in self.wills_due.items() if due.delay.is_over(self.now)]

    def withdraw_will(self, key: SessionKey) -> None:
        """The client is back in time: its delayed will is not published [MQTT-3.1.3-9]."""
        due = self.wills_due.pop(key, None)
        if due is not None:
            self._did(lambda: self.wills_due.setdefault(key, due), WillCleared(*key))

    def will_is_published(self, key: SessionKey) -> None:
        """This batch does it."""
        due = self.wills_due.pop(key)
        self._did(lambda: self.wills_due.setdefault(key, due), WillCleared(*key))

    # --- start

    def restore(self, saved: Saved, now: Instant) -> None:
        """Begin with what a journal kept. The connections are gone, so their wills are due."""
        self.now = now
        for opened in saved.sessions:
            session = self.open_session((opened.username, opened.client_id), kept_s=opened.kept_s)
            session.clean = False
            if opened.left is not None:
                session.left = opened.left.carried_over(now)
                self._leaving[session.key] = session
        for sub in saved.subscriptions:
            self._set_subscription(self.sessions[sub.username, sub.client_id], sub.topic_filter, sub.subscription)
        for queued in saved.queue:
            session = self.sessions[queued.username, queued.client_id]
            message = _carried_over(queued.message, now)
            session.outbox.add(Outgoing(queued.position, queued.packet_id, message, queued.stage))
            self._position = max(self._position, queued.position)
        for received in saved.received:
            self.sessions[received.username, received.client_id].received.add(received.packet_id)
        for retained in saved.retained:
            message = _carried_over(retained.message, now)
            self._set_retained(message.topic, Retained(retained.username, message))
        for left in saved.wills:
            self.wills_due[left.username, left.client_id] = DueWill(left.will, Life(left.will.delay_s, now))
        self.commit()
        # a session that was to end with its connection, or whose connection this start has cut, goes on its way
        for session in list(self.sessions.values()):
            if session.left is None:
                self.leave_session(session)


def _carried_over(message: Message, now: Instant) -> Message:
    return message if message.life is None else replace(message, life=message.life.carried_over(now))
