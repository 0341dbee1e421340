"""MQTT inside WebSocket frames (MQTT 5 chapter 6, RFC 6455), without I/O: bytes in, MQTT bytes and answers out.

The frames are wsproto's affair. What MQTT adds: the subprotocol is `mqtt` [MQTT-6.0.0-3], only binary frames count
[MQTT-6.0.0-1], and how packets are cut into frames means nothing [MQTT-6.0.0-2], so nothing is gathered here: what
comes in goes on at once, and no frame, however long it claims to be, is held in memory. Compression is not offered:
it would let a small frame become a large one.
"""

from __future__ import annotations

from dataclasses import dataclass

from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import ProtocolError

SUBPROTOCOL = "mqtt"
BAD_REQUEST = 400
WRONG_SUBPROTOCOL = b"This is an MQTT broker: connect with the WebSocket subprotocol mqtt.\n"


@dataclass(slots=True)
class Received:
    """What came of some bytes.

    Attributes:
        mqtt: bytes of the MQTT conversation.
        answer: to be sent back, as it is.
        ended: nothing more comes: close after sending the answer.
        why: in words, if it ended.
    """

    mqtt: bytes = b""
    answer: bytes = b""
    ended: bool = False
    why: str = ""


class WebSocketServer:
    """One client's WebSocket: the handshake, and then frames both ways."""

    def __init__(self) -> None:
        self._connection = WSConnection(ConnectionType.SERVER)
        self._ended = self._said_goodbye = False

    def receive_data(self, data: bytes) -> Received:
        """Take what the network brought."""
        received = Received()
        if self._ended:
            received.ended = True
            return received
        try:
            self._connection.receive_data(data)
            for event in self._connection.events():
                self._take(event, received)
                if received.ended:
                    break
        except (ProtocolError, ValueError) as error:
            # ValueError: wsproto decodes headers as ASCII without looking (found by the fuzzer)
            self._fail(error, received)
        self._ended = received.ended
        return received

    def wrap(self, mqtt: bytes) -> bytes:
        """The bytes of the MQTT conversation as they go onto the wire; nothing once the WebSocket is closing."""
        if self._connection.state is not ConnectionState.OPEN:
            return b""
        return self._connection.send(BytesMessage(mqtt))

    def goodbye(self) -> bytes:
        """The closing frame, if one may still be sent; the client's own is waited for then (RFC 6455, 7.1.1)."""
        if self._said_goodbye or self._connection.state is not ConnectionState.OPEN:
            return b""
        self._said_goodbye = True
        return self._connection.send(CloseConnection(CloseReason.NORMAL_CLOSURE))

    def _take(self, event: Event, received: Received) -> None:
        if self._said_goodbye and not isinstance(event, CloseConnection):
            return
        match event:
            case BytesMessage():
                received.mqtt += bytes(event.data)
            case Request():
                self._answer_request(event, received)
            case Ping():
                received.answer += self._connection.send(event.response())
            case TextMessage():
                received.answer += self._connection.send(CloseConnection(CloseReason.UNSUPPORTED_DATA))
                received.ended, received.why = True, "a text frame, where MQTT has only binary ones [MQTT-6.0.0-1]"
            case CloseConnection():
                if self._connection.state is ConnectionState.REMOTE_CLOSING:
                    received.answer += self._connection.send(event.response())
                received.ended, received.why = True, "the client closed the WebSocket"
            case _:
                pass

    def _answer_request(self, request: Request, received: Received) -> None:
        if SUBPROTOCOL in request.subprotocols:
            received.answer += self._connection.send(AcceptConnection(subprotocol=SUBPROTOCOL))
            return
        refusal = RejectConnection(status_code=BAD_REQUEST, headers=[(b"content-type", b"text/plain")], has_body=True)
        received.answer += self._connection.send(refusal) + self._connection.send(RejectData(WRONG_SUBPROTOCOL))
        received.ended, received.why = True, "the client does not ask for the subprotocol mqtt [MQTT-6.0.0-3]"

    def _fail(self, error: Exception, received: Received) -> None:
        hint = getattr(error, "event_hint", None)
        if hint is not None and self._connection.state is not ConnectionState.CLOSED:
            received.answer += self._connection.send(hint)
            if isinstance(hint, RejectConnection) and hint.has_body:
                received.answer += self._connection.send(RejectData(WRONG_SUBPROTOCOL))
        received.ended, received.why = True, f"no WebSocket: {error}"
