"""A small HTTPS server for frames: POST with a body of known length, kept-alive connections, nothing else.

It runs on an event loop in a thread of its own, because a thousand kits that each wait for an answer must not need a
thousand threads. What comes in is hostile: heads, bodies, their number and the time they may take are bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
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
PAUSE_S = 0.1
BACKLOG = 256

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
        self._open: set[asyncio.Task[None]] = set()
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
        with socket.create_server((self._host, self.port), family=_family(self._host), backlog=BACKLOG) as listener:
            listener.setblocking(False)  # noqa: FBT003 - the standard library's signature
            self.port = int(listener.getsockname()[1])
            self._started.set()
            accepting = asyncio.create_task(self._accept(listener))
            await self._end.wait()
            accepting.cancel()
        while self._open:
            # again and again: before Python 3.12 `wait_for` swallows a cancellation that comes with its result
            for task in list(self._open):
                task.cancel()
            await asyncio.wait(self._open, timeout=PAUSE_S)
        await asyncio.gather(accepting, return_exceptions=True)

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = await self.loop.sock_accept(listener)
            except OSError:  # out of file descriptors, or the peer has gone already
                await asyncio.sleep(PAUSE_S)
                continue
            if len(self._open) >= MOST_CONNECTIONS:
                connection.close()
                continue
            task = asyncio.create_task(self._connected(connection))
            self._open.add(task)
            task.add_done_callback(self._open.discard)

    async def _connected(self, connection: socket.socket) -> None:
        reader = asyncio.StreamReader(limit=MOST_HEAD_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await self.loop.connect_accepted_socket(
                lambda: protocol,
                connection,
                ssl=self._context,
                ssl_handshake_timeout=HANDSHAKE_S,
                ssl_shutdown_timeout=SHUTDOWN_S,
            )
        except (OSError, TimeoutError):
            return  # whoever does not speak TLS is let go
        writer = asyncio.StreamWriter(transport, protocol, reader, self.loop)
        try:
            while await self._one(reader, writer):
                pass
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever speaks something else, or stops in the middle, is let go
        finally:
            transport.abort()

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


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


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
