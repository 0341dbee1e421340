"""The packets of MQTT 3.1.1 and 5 as plain values (chapter 3 of either).

One value serves both versions; what only MQTT 5 can say has a default that means "not said".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import repeat
from typing import NamedTuple

from kit.broker.protocol.lifetimes import NEVER_S, Life
from kit.broker.protocol.reasons import Reason

V3, V5 = 4, 5
"""Protocol levels: MQTT 3.1.1 is level 4."""

MAX_PACKETS = 0xFFFF
"""The receive maximum of who names none (3.1.2.11.3)."""

FAILURE = 0x80
"""The SUBACK code of a refused filter in MQTT 3.1.1 [MQTT-3.9.3-2]."""


class ConnectCode(IntEnum):
    """CONNACK return codes of MQTT 3.1.1 (table 3.1)."""

    ACCEPTED = 0
    UNACCEPTABLE_VERSION = 1
    IDENTIFIER_REJECTED = 2
    SERVER_UNAVAILABLE = 3
    BAD_CREDENTIALS = 4
    NOT_AUTHORISED = 5


@dataclass(frozen=True, slots=True)
class Message:
    """An application message: what is published, apart from how it travels.

    Attributes:
        properties: those that concern only its readers, encoded; see `kit.broker.protocol.properties`.
        life: how long it may wait for its readers; None = for ever.
    """

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: bytes = b""
    life: Life | None = None

    @property
    def size(self) -> int:
        """Bytes it counts for in a queue."""
        return len(self.topic) + len(self.payload) + len(self.properties)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """A client introduces itself (3.1).

    Attributes:
        session_expiry_s: as said by MQTT 5; see `kept_s`.
        receive_maximum: QoS 1 and 2 messages the client takes before it acknowledges.
        packet_bytes: the largest packet the client takes.
        topic_alias_maximum: topic aliases the client takes.
        problem_information: whether the client wants reason strings everywhere.
        auth_method: of enhanced authentication.
        will_delay_s: between the end of the connection and the publishing of the will.
        will_expiry_s: the will's message expiry interval.
        assigned: whether the broker made up the client id.
    """

    client_id: str
    clean_session: bool = True
    keep_alive_s: int = 0
    username: str | None = None
    password: bytes | None = None
    will: Message | None = None
    version: int = V3
    session_expiry_s: int = 0
    receive_maximum: int = MAX_PACKETS
    packet_bytes: int | None = None
    topic_alias_maximum: int = 0
    problem_information: bool = True
    auth_method: str | None = None
    will_delay_s: int = 0
    will_expiry_s: int | None = None
    assigned: bool = False

    @property
    def kept_s(self) -> int:
        """How long its session outlives the connection, in the terms of MQTT 5."""
        if self.version == V5:
            return self.session_expiry_s
        return 0 if self.clean_session else NEVER_S


@dataclass(frozen=True, slots=True)
class Connack:
    """The answer to CONNECT (3.2).

    Attributes:
        code: a `ConnectCode` of MQTT 3.1.1 or a `Reason`; the writer translates for the client's version.
    """

    session_present: bool
    code: int
    text: str = ""
    assigned_client_id: str | None = None
    keep_alive_s: int | None = None
    receive_maximum: int | None = None
    packet_bytes: int | None = None
    topic_alias_maximum: int | None = None


class Publish(NamedTuple):
    """A message on its way (3.3); `packet_id` is None at QoS 0. A tuple, because one is made for every message.

    Attributes:
        properties: those that are passed on, encoded.
        expiry_s: how long the message may still wait.
        alias: stands for the topic, or is to stand for it from now on.
    """

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    dup: bool = False
    packet_id: int | None = None
    properties: bytes = b""
    expiry_s: int | None = None
    alias: int | None = None


class Publishes(NamedTuple):
    """PUBLISH packets that came one behind another, with the same flags and without properties.

    They stay one value on their way through the broker: nearly all that is ever published is a device's readings.

    Attributes:
        topics, payloads, packet_ids: of each, in their order; no packet ids at QoS 0.
    """

    topics: list[str]
    payloads: list[bytes]
    packet_ids: list[int]
    qos: int
    retain: bool
    dup: bool

    @property
    def number(self) -> int:
        """How many they are."""
        return len(self.payloads)

    def apart(self) -> Iterator[Publish]:
        """One by one."""
        ids: Sequence[int] | repeat[None] = self.packet_ids or repeat(None)
        for topic, payload, packet_id in zip(self.topics, self.payloads, ids):  # noqa: B905 - without ids there are Nones
            yield Publish(topic, payload, self.qos, self.retain, self.dup, packet_id)

    def cut(self, place: int) -> tuple[Publishes, Publishes]:
        """The first so many, and the rest."""
        first, rest = (
            self._replace(topics=self.topics[some], payloads=self.payloads[some], packet_ids=self.packet_ids[some])
            for some in (slice(place), slice(place, None))
        )
        return first, rest


class Puback(NamedTuple):
    """QoS 1 done (3.4), or refused."""

    packet_id: int
    reason: int = Reason.SUCCESS
    text: str = ""


class Pubacks(NamedTuple):
    """QoS 1 done, for as many messages as there are ids: as many PUBACK packets, one behind another."""

    packet_ids: list[int]


@dataclass(frozen=True, slots=True)
class Pubrec:
    """QoS 2, first answer: the message is kept (3.5), or refused."""

    packet_id: int
    reason: int = Reason.SUCCESS
    text: str = ""


@dataclass(frozen=True, slots=True)
class Pubrel:
    """QoS 2, the sender lets go of the packet id (3.6)."""

    packet_id: int
    reason: int = Reason.SUCCESS
    text: str = ""


@dataclass(frozen=True, slots=True)
class Pubcomp:
    """QoS 2 done (3.7)."""

    packet_id: int
    reason: int = Reason.SUCCESS
    text: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """How a filter is wanted (the subscription options of MQTT 5, 3.8.3.1).

    Attributes:
        qos: the greatest wanted.
        no_local: not the client's own messages.
        as_published: the RETAIN flag as the publisher set it.
        retain_handling: retained messages now: 0 = yes, 1 = if the subscription is new, 2 = no.
    """

    qos: int
    no_local: bool = False
    as_published: bool = False
    retain_handling: int = 0


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Filters and how each is wanted (3.8); a plain number is a QoS without further wishes."""

    packet_id: int
    filters: tuple[tuple[str, int | Wish], ...]
    identifier: int | None = None


@dataclass(frozen=True, slots=True)
class Suback:
    """The QoS granted for each filter, or why not (3.9)."""

    packet_id: int
    codes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Filters no longer wanted (3.10)."""

    packet_id: int
    filters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unsuback:
    """The answer to UNSUBSCRIBE (3.11); MQTT 3.1.1 has no codes in it."""

    packet_id: int
    codes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Pingreq:
    """The client is still there (3.12)."""


@dataclass(frozen=True, slots=True)
class Pingresp:
    """So is the server (3.13)."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """One side leaves on purpose (3.14); only in MQTT 5 may it be the server, and only there with a reason."""

    reason: int = Reason.SUCCESS
    text: str = ""
    session_expiry_s: int | None = None


Packet = (
    Connect
    | Connack
    | Publish
    | Publishes
    | Puback
    | Pubacks
    | Pubrec
    | Pubrel
    | Pubcomp
    | Subscribe
    | Suback
    | Unsubscribe
    | Unsuback
    | Pingreq
    | Pingresp
    | Disconnect
)
