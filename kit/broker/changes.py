"""What the broker writes down: values that the hub makes and a journal keeps.

*Changes* must be on disk before anybody is answered. *Facts* are for the technician; they ride along with the next
transaction and nobody waits for them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kit.broker.protocol.lifetimes import NEVER_S, Life
from kit.broker.protocol.packets import Message
from kit.broker.protocol.session import Stage, Subscription, Will
from kit.model.messages import Published


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """A session that outlives its connection by `kept_s`; or one that exists has its client back.

    Attributes:
        left: since when the client is away, if it is and the session will expire; only in what is loaded.
    """

    username: str
    client_id: str
    kept_s: int = NEVER_S
    left: Life | None = None


@dataclass(frozen=True, slots=True)
class SessionLeft:
    """The session's client is gone, and the session will expire."""

    username: str
    client_id: str
    left: Life


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """It goes, with its subscriptions, queue and received packet ids."""

    username: str
    client_id: str


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A filter of a session, and how it is granted."""

    username: str
    client_id: str
    topic_filter: str
    subscription: Subscription


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    """A filter less."""

    username: str
    client_id: str
    topic_filter: str


@dataclass(frozen=True, slots=True)
class Retained:
    """The retained message of a topic, and who published it."""

    username: str
    message: Message


@dataclass(frozen=True, slots=True)
class RetainedCleared:
    """A topic has no retained message any more."""

    topic: str


@dataclass(frozen=True, slots=True)
class WillSet:
    """To be published when the client vanishes, or at the next start if the broker does."""

    username: str
    client_id: str
    will: Will


@dataclass(frozen=True, slots=True)
class WillCleared:
    """The client left properly, or its will has been published."""

    username: str
    client_id: str


@dataclass(frozen=True, slots=True)
class Queued:
    """A message owed to a session."""

    username: str
    client_id: str
    position: int
    packet_id: int
    message: Message
    stage: Stage


@dataclass(frozen=True, slots=True)
class QueueSent:
    """The session's client is here: whatever waits may be sent from now on, so a restart must say DUP."""

    username: str
    client_id: str


@dataclass(frozen=True, slots=True)
class Released:
    """QoS 2: the client has the message; only PUBREL is owed."""

    position: int


@dataclass(frozen=True, slots=True)
class Dequeued:
    """The message was acknowledged, or dropped because its queue was full."""

    position: int


@dataclass(frozen=True, slots=True)
class IdReceived:
    """A QoS 2 message was taken under this packet id; a repetition must not be taken again."""

    username: str
    client_id: str
    packet_id: int


@dataclass(frozen=True, slots=True)
class IdReleased:
    """The client has released the packet id and may use it anew."""

    username: str
    client_id: str
    packet_id: int


@dataclass(frozen=True, slots=True)
class ClientConnected:
    """Fact: a client signed in."""

    username: str
    client_id: str
    address: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class ClientGone:
    """Fact: its connection ended."""

    username: str
    client_id: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class PublishRefused:
    """Fact: a user tried to publish where it may not."""

    username: str
    topic: str
    reason: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class LoginRefused:
    """Fact: so many more sign-ins from an address were refused; `username` is the last one tried."""

    address: str
    username: str
    count: int
    at_ms: int


Change = (
    Published
    | SessionOpened
    | SessionLeft
    | SessionEnded
    | Subscribed
    | Unsubscribed
    | Retained
    | RetainedCleared
    | WillSet
    | WillCleared
    | Queued
    | QueueSent
    | Released
    | Dequeued
    | IdReceived
    | IdReleased
)
Fact = ClientConnected | ClientGone | PublishRefused | LoginRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """Everything a journal holds, as the changes that made it; `queue` is ordered by position."""

    sessions: list[SessionOpened] = field(default_factory=list)
    subscriptions: list[Subscribed] = field(default_factory=list)
    queue: list[Queued] = field(default_factory=list)
    received: list[IdReceived] = field(default_factory=list)
    retained: list[Retained] = field(default_factory=list)
    wills: list[WillSet] = field(default_factory=list)
