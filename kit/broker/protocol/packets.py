"""The fourteen packets of MQTT 3.1.1 as plain values (chapter 3)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

FAILURE = 0x80
"""The SUBACK code of a refused filter [MQTT-3.9.3-2]."""


class ConnectCode(IntEnum):
    """CONNACK return codes (table 3.1)."""

    ACCEPTED = 0
    UNACCEPTABLE_VERSION = 1
    IDENTIFIER_REJECTED = 2
    SERVER_UNAVAILABLE = 3
    BAD_CREDENTIALS = 4
    NOT_AUTHORISED = 5


@dataclass(frozen=True, slots=True)
class Message:
    """An application message: what is published, apart from how it travels."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False

    @property
    def size(self) -> int:
        """Bytes it counts for in a queue."""
        return len(self.topic) + len(self.payload)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """A client introduces itself (3.1)."""

    client_id: str
    clean_session: bool = True
    keep_alive_s: int = 0
    username: str | None = None
    password: bytes | None = None
    will: Message | None = None


@dataclass(frozen=True, slots=True)
class Connack:
    """The answer to CONNECT (3.2)."""

    session_present: bool
    code: int


@dataclass(frozen=True, slots=True)
class Publish:
    """A message on its way (3.3); `packet_id` is None at QoS 0."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    dup: bool = False
    packet_id: int | None = None


@dataclass(frozen=True, slots=True)
class Puback:
    """QoS 1 done (3.4)."""

    packet_id: int


@dataclass(frozen=True, slots=True)
class Pubrec:
    """QoS 2, first answer: the message is kept (3.5)."""

    packet_id: int


@dataclass(frozen=True, slots=True)
class Pubrel:
    """QoS 2, the sender lets go of the packet id (3.6)."""

    packet_id: int


@dataclass(frozen=True, slots=True)
class Pubcomp:
    """QoS 2 done (3.7)."""

    packet_id: int


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Filters and the greatest QoS wanted for each (3.8)."""

    packet_id: int
    filters: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Suback:
    """The QoS granted for each filter, or `FAILURE` (3.9)."""

    packet_id: int
    codes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Filters no longer wanted (3.10)."""

    packet_id: int
    filters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unsuback:
    """The answer to UNSUBSCRIBE (3.11)."""

    packet_id: int


@dataclass(frozen=True, slots=True)
class Pingreq:
    """The client is still there (3.12)."""


@dataclass(frozen=True, slots=True)
class Pingresp:
    """So is the server (3.13)."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """The client leaves on purpose: no will (3.14)."""


Packet = (
    Connect
    | Connack
    | Publish
    | Puback
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
