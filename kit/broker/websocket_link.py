"""A link inside a WebSocket: to the link it is a transport like any other."""

from __future__ import annotations

import asyncio
from typing import Any

from kit.broker.link import LINGER_S, Link
from kit.broker.protocol.websocket import WebSocketServer


class WebSocketTransport(asyncio.Transport):
    """What the link writes into, and what closes it."""

    def __init__(self, below: asyncio.Transport, frames: WebSocketServer) -> None:
        super().__init__()
        self._below, self._frames = below, frames
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """In a frame of its own."""
        framed = self._frames.wrap(bytes(data))
        if framed:
            self._below.write(framed)

    def close(self) -> None:
        """With a closing frame; a browser calls the end clean if its own was taken, too."""
        if self.is_closing():
            return
        self._closing = True
        goodbye = self._frames.goodbye()
        if not goodbye:
            self._below.close()
            return
        self._below.write(goodbye)
        self._below.resume_reading()
        asyncio.get_running_loop().call_later(LINGER_S, self._below.close)

    def abort(self) -> None:
        """At once."""
        self._below.abort()

    def can_write_eof(self) -> bool:
        """No: the end is said by a frame."""
        return False

    def is_closing(self) -> bool:
        """Whether it is closing or closed."""
        return self._closing or self._below.is_closing()

    def pause_reading(self) -> None:
        """Let the client's bytes wait in the network."""
        self._below.pause_reading()

    def resume_reading(self) -> None:
        """Take them again."""
        self._below.resume_reading()

    def get_write_buffer_size(self) -> int:
        """Bytes not yet sent."""
        return self._below.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """When the link is told that its client reads too slowly."""
        self._below.set_write_buffer_limits(high=high, low=low)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As of the connection below."""
        return self._below.get_extra_info(name, default)


class WebSocketLink(asyncio.Protocol):
    """Takes the frames apart for a link.

    Args:
        link: of the client; its time limit for a CONNECT covers the WebSocket's handshake, too.
        unsent_bytes: answers that may wait for a client that does not read them.
    """

    def __init__(self, link: Link, *, unsent_bytes: int) -> None:
        self._link, self._unsent_bytes = link, unsent_bytes
        self._frames = WebSocketServer()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._link.connection_made(WebSocketTransport(transport, self._frames))

    def data_received(self, data: bytes) -> None:
        """The client has sent something."""
        received = self._frames.receive_data(data)
        transport = self._transport
        if received.answer and transport is not None and not transport.is_closing():
            transport.write(received.answer)
            if transport.get_write_buffer_size() > self._unsent_bytes:
                transport.abort()  # pings, and nobody who reads the pongs
                return
        if received.mqtt:
            self._link.data_received(received.mqtt)
        if received.ended:
            self._link.close(received.why)
            if transport is not None:
                transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._transport = None
        self._link.connection_lost(exc)

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        self._link.pause_writing()

    def resume_writing(self) -> None:
        """It reads again."""
        self._link.resume_writing()
