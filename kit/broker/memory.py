"""All that the broker remembers, and how to take the last batch back.

Invariant: between batches, memory equals what the journal holds (plus sessions and messages that are not meant to
survive). Every mutation records the change to be written and the way to undo it; after the transaction `commit`
forgets the undoing, after a failed one `roll_back` does it, newest first. So a full disk leaves no trace in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

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
    SessionOpened,
    Subscribed,
    Unsubscribed,
    WillCleared,
    WillSet,
)
from kit.broker.protocol.limits import Limits
from kit.broker.protocol.packets import Message
from kit.broker.protocol.session import Outbox, Outgoing, Session, SessionKey, Stage
from kit.broker.protocol.topics import TopicTrie, matches
from kit.model.messages import Published

ROUTES = 4_096
"""Topics whose subscribers are remembered; devices publish on the same few topics for years."""


@dataclass(slots=True)
class _Account:
    """What one user's retained messages take."""

    messages: int = 0
    size_bytes: int = 0


class Memory:
    """Sessions, subscriptions, retained messages, wills; reading is open, changing goes through the methods."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._trie: TopicTrie[SessionKey] = TopicTrie()
        self._routes: dict[str, list[tuple[Session, int]]] = {}
        self._retained: dict[str, Retained] = {}
        self._accounts: dict[str, _Account] = {}
        self._undo: list[Callable[[], object]] = []
        self._position = 0
        self.sessions: dict[SessionKey, Session] = {}
        self.wills_due: dict[SessionKey, Message] = {}
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

    def open_session(self, key: SessionKey, *, clean: bool) -> Session:
        """A new session, without a connection yet."""
        session = Session(key, clean, Outbox(window=self._limits.inflight))
        self.sessions[key] = session
        if not clean:
            self._did(lambda: self._forget(session), SessionOpened(*key))
        return session

    def end_session(self, session: Session) -> None:
        """Let go of everything that belongs to it, except its will."""
        if self.sessions.get(session.key) is not session:
            return
        self._forget(session)
        # a clean session ends because its connection did, which no failed transaction brings back
        if not session.clean:
            self._did(lambda: self._adopt(session), SessionEnded(*session.key))

    def subscribe(self, session: Session, topic_filter: str, qos: int) -> None:
        """Add a filter, or change its QoS."""
        before = session.subscriptions.get(topic_filter)
        self._set_subscription(session, topic_filter, qos)
        change = () if session.clean else (Subscribed(*session.key, topic_filter, qos),)
        self._did(lambda: self._set_subscription(session, topic_filter, before), *change)

    def unsubscribe(self, session: Session, topic_filter: str) -> None:
        """Take a filter away; nothing happens if it was not there."""
        before = session.subscriptions.get(topic_filter)
        if before is None:
            return
        self._set_subscription(session, topic_filter, None)
        change = () if session.clean else (Unsubscribed(*session.key, topic_filter),)
        self._did(lambda: self._set_subscription(session, topic_filter, before), *change)

    def subscribers(self, topic: str) -> list[tuple[Session, int]]:
        """Everybody who gets a message on `topic`, once each, with the greatest QoS granted."""
        route = self._routes.get(topic)
        if route is None:
            if len(self._routes) >= ROUTES:
                self._routes.clear()
            route = [(self.sessions[key], qos) for key, qos in self._trie.match(topic).items()]
            self._routes[topic] = route
        return route

    def _set_subscription(self, session: Session, topic_filter: str, qos: int | None) -> None:
        self._routes.clear()
        if qos is None:
            session.subscriptions.pop(topic_filter, None)
            self._trie.remove(topic_filter, session.key)
            return
        session.subscriptions[topic_filter] = qos
        # a session that has ended meanwhile keeps its list for its undoing but is no longer routed to
        if self.sessions.get(session.key) is session:
            self._trie.put(topic_filter, session.key, qos)

    def _forget(self, session: Session) -> None:
        self._routes.clear()
        if self.sessions.get(session.key) is session:
            del self.sessions[session.key]
            for topic_filter in session.subscriptions:
                self._trie.remove(topic_filter, session.key)

    def _adopt(self, session: Session) -> None:
        self._routes.clear()
        self.sessions[session.key] = session
        for topic_filter, qos in session.subscriptions.items():
            self._trie.put(topic_filter, session.key, qos)

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
            if found is not None:
                yield found.message
            return
        for topic, retained in self._retained.items():
            if matches(topic_filter, topic):
                yield retained.message

    def _set_retained(self, topic: str, value: Retained | None) -> None:
        before = self._retained.pop(topic, None)
        for retained, sign in ((before, -1), (value, 1)):
            if retained is not None:
                account = self._accounts.setdefault(retained.username, _Account())
                account.messages += sign
                account.size_bytes += sign * retained.message.size
        if value is not None:
            self._retained[topic] = value

    # --- wills

    def set_will(self, session: Session, will: Message) -> None:
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

    def _unset_will(self, session: Session, will: Message) -> None:
        session.will = None
        # the connection came and went in one failed batch: its will was never written, so there is nothing to do
        if self.wills_due.get(session.key) is will:
            del self.wills_due[session.key]
        self.wills_left.discard(session.key)

    def will_is_due(self, session: Session) -> None:
        """The connection is gone; its will has to be published, by this batch or by a later one."""
        if session.will is not None:
            self.wills_due[session.key] = session.will
            session.will = None

    def will_is_published(self, key: SessionKey) -> None:
        """This batch does it."""
        will = self.wills_due.pop(key)
        self._did(lambda: self.wills_due.setdefault(key, will), WillCleared(*key))

    # --- start

    def restore(self, saved: Saved) -> None:
        """Begin with what a journal kept. The connections are gone, so their wills are due."""
        for opened in saved.sessions:
            self.open_session((opened.username, opened.client_id), clean=False)
        for sub in saved.subscriptions:
            self._set_subscription(self.sessions[sub.username, sub.client_id], sub.topic_filter, sub.qos)
        for queued in saved.queue:
            session = self.sessions[queued.username, queued.client_id]
            session.outbox.add(Outgoing(queued.position, queued.packet_id, queued.message, queued.stage))
            self._position = max(self._position, queued.position)
        for received in saved.received:
            self.sessions[received.username, received.client_id].received.add(received.packet_id)
        for retained in saved.retained:
            self._set_retained(retained.message.topic, retained)
        for will in saved.wills:
            self.wills_due[will.username, will.client_id] = will.message
        self.commit()
