"""What can go wrong on the wire, and whose fault it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.broker.protocol.reasons import Reason

if TYPE_CHECKING:
    from kit.broker.protocol.packets import Packet


class ProtocolError(Exception):
    """Either side broke MQTT."""


class LocalProtocolError(ProtocolError):
    """This program tried to send or do something that MQTT does not allow: a bug here, not there."""


class RemoteProtocolError(ProtocolError):
    """The peer sent something that MQTT, or one of our limits, does not allow: close its connection [MQTT-4.8.0-1].

    Attributes:
        return_code: the CONNACK code of MQTT 3.1.1 to answer with before closing, where that standard has one.
        reason: the reason code of MQTT 5.
        answer: the packet to send before closing, if the client's version has one; set by `ServerConnection`.
    """

    return_code: int | None = None
    reason = Reason.PROTOCOL_ERROR

    def __init__(self, sentence: str, *, reason: Reason | None = None) -> None:
        super().__init__(sentence)
        self.answer: Packet | None = None
        if reason is not None:
            self.reason = reason


class MalformedPacket(RemoteProtocolError):  # noqa: N818 - says what happened, like an event
    """The bytes are no MQTT packet."""

    reason = Reason.MALFORMED_PACKET


class UnexpectedPacket(RemoteProtocolError):  # noqa: N818 - says what happened, like an event
    """A well-formed packet at the wrong moment, or one that only a server may send."""


class LimitExceeded(RemoteProtocolError):  # noqa: N818 - says what happened, like an event
    """Legal MQTT, but larger than this broker takes.

    Attributes:
        what: the thing that was too large.
        size: how large it was.
        limit: how large it may be.
    """

    def __init__(self, what: str, *, size: int, limit: int, reason: Reason = Reason.PACKET_TOO_LARGE) -> None:
        super().__init__(f"{what} is {size} but at most {limit} is taken", reason=reason)
        self.what, self.size, self.limit = what, size, limit


class UnacceptableVersion(RemoteProtocolError):  # noqa: N818 - says what happened, like an event
    """The client speaks another version of MQTT [MQTT-3.1.2-2]."""

    return_code = 1
    reason = Reason.UNSUPPORTED_VERSION


class IdentifierRejected(RemoteProtocolError):  # noqa: N818 - says what happened, like an event
    """A client identifier that cannot be used [MQTT-3.1.3-8]."""

    return_code = 2
    reason = Reason.CLIENT_ID_NOT_VALID


class TimedOut(RemoteProtocolError):  # noqa: N818 - says what happened, like an event
    """The client was silent for longer than it promised (1.5 × keep-alive, [MQTT-3.1.2-24]) or sent no CONNECT."""

    reason = Reason.KEEP_ALIVE_TIMEOUT
