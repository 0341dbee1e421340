"""A link inside TLS: counted, and its time limit running, from the first byte of the connection.

asyncio would tell of an encrypted connection only when its handshake is over, so that any number of half-made ones
could be held open; this takes the connection itself and has it encrypted then.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from kit.broker.link import Link

if TYPE_CHECKING:
    import ssl


class TlsLink(asyncio.Protocol):
    """Has a connection encrypted and hands it to its link.

    Args:
        link: of the client; its time limit for a CONNECT covers the handshake, too.
        context: the broker's certificate and key.
        patience_s: for the handshake, real seconds.
    """

    def __init__(
        self, link: Link, *, context: ssl.SSLContext, patience_s: float, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._link, self._context, self._patience_s, self._loop = link, context, patience_s, loop
        self._early = bytearray()
        self._handshake: asyncio.Task[None] | None = None
        self._gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected; nothing of what it says is read before the encryption begins."""
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        self._link.connection_made(transport)
        if not transport.is_closing():
            self._handshake = self._loop.create_task(self._encrypt(transport))

    def data_received(self, data: bytes) -> None:
        """What came with the end of the handshake."""
        self._early += data

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone before it was the link's."""
        if not self._gone:
            self._gone = True
            self._link.connection_lost(exc)

    async def _encrypt(self, transport: asyncio.Transport) -> None:
        try:
            inner = await self._loop.start_tls(
                transport,
                self,
                self._context,
                server_side=True,
                ssl_handshake_timeout=self._patience_s,
                ssl_shutdown_timeout=self._patience_s,
            )
        except OSError as error:  # also ssl.SSLError, and ConnectionAbortedError when it takes too long
            transport.abort()
            self.connection_lost(error)
            return
        if inner is None or self._gone or inner.is_closing():
            self.connection_lost(None)
            return
        self._link.encrypted(inner)
        inner.set_protocol(self._link)
        if self._early:
            self._link.data_received(bytes(self._early))
