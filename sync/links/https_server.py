"""A small HTTPS server for frames: POST with a body of known length, kept-alive connections, nothing else.

It runs on an event loop in a thread of its own, because a thousand kits that each wait for an answer must not need a
thousand threads. What comes in is hostile: heads, bodies, their number and the time they may take are bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

MOST_CONNECTIONS = 3_000
MOST_HEAD_BYTES = 8_192
READ_S = 30.0
"""Real seconds for a head once it began, and for a body."""
IDLE_S = 75.0
"""Real seconds for which a connection may stand idle between two requests."""
HANDSHAKE_S = 20.0
SHUTDOWN_S = 1.0
LET_GO_S = 0.01

_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 413: "Content Too Large"}


@dataclass(frozen=True)
class Request:
    """What came in."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Response:
    """What goes out."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Awaitable[Response]]


class HttpsServer:
    """Serves until it is closed.

    Args:
        host: to listen at.
        port: to listen at; 0 = any.
        context: with the certificate.
        handle: makes the answers, on the server's event loop.
        most_body_bytes: of a request.
    """

    def __init__(self, host: str, port: int, *, context: ssl.SSLContext, handle: Handler, most_body_bytes: int) -> None:
        self._host, self.port, self._context = host, port, context
        self._handle, self._most_body_bytes = handle, most_body_bytes
        self.loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._error: OSError | None = None
        self._end = asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._run, name="https", daemon=True)

    def start(self) -> None:
        """Listen; returns when it does.

        Raises:
            OSError: the address cannot be listened at.
        """
        self._thread.start()
        self._started.wait()
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Let go of every connection, within a second."""
        if self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # it has just ended by itself
                self.loop.call_soon_threadsafe(self._end.set)
            self._thread.join(SHUTDOWN_S)

    def _run(self) -> None:
        try:
            self.loop.run_until_complete(self._serve())
        except OSError as error:
            self._error = error
        finally:
            self._started.set()
            self.loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(
            self._connected,
            self._host,
            self.port,
            ssl=self._context,
            limit=MOST_HEAD_BYTES,
            ssl_handshake_timeout=HANDSHAKE_S,
            ssl_shutdown_timeout=SHUTDOWN_S,
        )
        self.port = int(server.sockets[0].getsockname()[1])
        self._started.set()
        await self._end.wait()
        server.close()
        for writer in list(self._open):
            writer.transport.abort()  # its reader then ends; a cancelled task would make asyncio log a traceback
        while self._open:
            await asyncio.sleep(LET_GO_S)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= MOST_CONNECTIONS:
            writer.transport.abort()
            return
        self._open.add(writer)
        try:
            while await self._one(reader, writer):
                pass
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever speaks something else, or stops in the middle, is let go
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether another may follow."""
        first = await asyncio.wait_for(reader.read(1), IDLE_S)
        if not first:
            return False
        head = (first + await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), READ_S)).decode("latin-1")
        line, *rest = head.split("\r\n")
        method, path, _ = line.split(" ", 2)
        headers = {name.strip().lower(): value.strip() for name, _, value in (each.partition(":") for each in rest)}
        size = int(headers.get("content-length") or 0)
        if method != "POST" or "transfer-encoding" in headers:
            await _write(writer, Response(404), keep=False)
            return False
        if not 0 <= size <= self._most_body_bytes:
            await _write(writer, Response(413), keep=False)
            return False
        body = await asyncio.wait_for(reader.readexactly(size), READ_S)
        keep = headers.get("connection", "").lower() != "close"
        await _write(writer, await self._handle(Request(path, headers, body)), keep=keep)
        return keep


async def _write(writer: asyncio.StreamWriter, response: Response, *, keep: bool) -> None:
    lines = [
        f"HTTP/1.1 {response.status} {_REASONS.get(response.status, 'Other')}",
        "Content-Type: application/octet-stream",
        "Cache-Control: no-store",
        f"Content-Length: {len(response.body)}",
        *(f"{name}: {value}" for name, value in response.headers.items()),
        *([] if keep else ["Connection: close"]),
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + response.body)
    await asyncio.wait_for(writer.drain(), READ_S)
