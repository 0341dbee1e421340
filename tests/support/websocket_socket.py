"""A socket whose bytes travel in WebSocket frames, as a browser's would."""

from __future__ import annotations

import socket

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Event, RejectConnection, Request


class WebSocketSocket:
    """As much of `socket.socket` as a test's client uses.

    Args:
        plain: connected.
        frame_bytes: what is sent is cut into frames of at most this many bytes.
    """

    def __init__(
        self, plain: socket.socket, *, subprotocols: tuple[str, ...] = ("mqtt",), frame_bytes: int = 65_536
    ) -> None:
        self.plain, self.frame_bytes = plain, frame_bytes
        self.connection = WSConnection(ConnectionType.CLIENT)
        self.events: list[Event] = []
        request = Request(host="kit", target="/mqtt", subprotocols=list(subprotocols))
        plain.sendall(self.connection.send(request))
        self.answer = self.next_event()
        if isinstance(self.answer, RejectConnection):
            raise ConnectionRefusedError(self.answer.status_code)
        assert isinstance(self.answer, AcceptConnection)
        assert self.answer.subprotocol == "mqtt"

    def next_event(self) -> Event | None:
        """The next thing the server says; None at the end of the connection."""
        while not self.events:
            data = self.plain.recv(65_536)
            self.connection.receive_data(data or None)
            self.events += self.connection.events()
            if not data and not self.events:
                return None
        return self.events.pop(0)

    def sendall(self, data: bytes) -> None:
        """In binary frames."""
        for start in range(0, len(data), self.frame_bytes):
            self.plain.sendall(self.connection.send(BytesMessage(data[start : start + self.frame_bytes])))

    def recv(self, size: int) -> bytes:
        """What came in binary frames; nothing at the end."""
        del size
        while (event := self.next_event()) is not None and not isinstance(event, CloseConnection):
            if isinstance(event, BytesMessage) and event.data:
                return bytes(event.data)
        return b""

    def settimeout(self, seconds: float) -> None:
        """Of the socket."""
        self.plain.settimeout(seconds)

    def close(self) -> None:
        """Without a closing frame."""
        self.plain.close()
