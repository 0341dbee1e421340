"""The core's end of the link over HTTPS, for kits whose network lets nothing else through.

It carries the same frames as the cellular link. A kit's waiting request is its way down; `send` takes a frame only for
a kit that asked within the last minute and a half, and holds at most eight for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hmac
import queue
import secrets
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kit.clock import Clock
from sync.links.certificate import server_context
from sync.links.https_server import HttpsServer, Request, Response
from sync.links.https_wire import (
    FRAMES_PATH,
    MOST_BODY_BYTES,
    MOST_FRAMES,
    MOST_WAIT_S,
    MTU_BYTES,
    NONCE_BYTES,
    OPEN_PATH,
    WAIT_HEADER,
    Opening,
    Pass,
    pack_frames,
    unpack_frames,
)
from sync.links.port import Arrival, FrameTooLarge, LinkError, LinkState
from sync.protocol.errors import MalformedFrame

ALIVE_S = 90.0
"""Real seconds after a kit's last request for which it counts as there."""

MOST_KITS = 5_000
"""Passes that are remembered; the one not used for longest is forgotten, and its kit opens again."""

INBOX_FRAMES = 256


@dataclass
class _Kit:
    """A kit that was let in."""

    via: str
    authorization: str
    seen_s: float
    outbox: deque[bytes] = field(default_factory=deque)
    waiting: asyncio.Event = field(default_factory=asyncio.Event)


class HttpsCoreLink:
    """The core's side.

    Args:
        host: to listen at.
        port: to listen at; 0 = any.
        keys: the folder in which the certificate is kept.
        exchange_private: the core's X25519 key.
        allowed: whether a kit with that link id and X25519 key may come in; called on a thread of its own.
        clock: kit time.
        lowest_priority: the largest priority number carried.
    """

    name = "https"
    mtu_bytes = MTU_BYTES

    def __init__(
        self,
        *,
        host: str,
        port: int,
        keys: Path,
        exchange_private: bytes,
        allowed: Callable[[int, bytes], bool],
        clock: Clock,
        lowest_priority: int = 5,
    ) -> None:
        self._host, self._port, self._keys = host, port, keys
        self._private, self._allowed, self._clock = exchange_private, allowed, clock
        self.lowest_priority = lowest_priority
        self._server: HttpsServer | None = None
        self._digest = b""
        self._lock = threading.Lock()
        self._by_nonces: OrderedDict[str, _Kit] = OrderedDict()
        self._by_via: dict[str, _Kit] = {}
        self._inbox: queue.Queue[Arrival] = queue.Queue(INBOX_FRAMES)
        self._turned_away = 0

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port if self._server is None else self._server.port

    def open(self) -> None:
        """Listen.

        Raises:
            LinkError: the address is in use or is not one of this machine's.
        """
        if self._server is not None:
            return
        context, self._digest = server_context(self._keys)
        server = HttpsServer(
            self._host, self._port, context=context, handle=self._handle, most_body_bytes=MOST_BODY_BYTES
        )
        try:
            server.start()
        except OSError as error:
            raise LinkError(_explain_listen(self._host, self._port, error)) from error
        self._server = server

    def close(self) -> None:
        """Let go of everything."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        with self._lock:
            self._by_nonces.clear()
            self._by_via.clear()

    def state(self) -> LinkState:
        """Up while it listens."""
        return LinkState.DOWN if self._server is None else LinkState.UP

    def explain(self) -> str:
        """One sentence for the technician."""
        if self._server is None:
            return "the HTTPS link is closed"
        kits = self._kits_there()
        refused = "; a kit that is not invited was turned away" if self._turned_away else ""
        come = "1 kit comes" if kits == 1 else f"{kits} kits come"
        return f"listening at https://{self._host}:{self.port}, {come} this way{refused}"

    def facts(self) -> Mapping[str, Any]:
        """For `kit core status --json`."""
        return {"port": self.port, "certificate_sha256": self._digest.hex(), "kits": self._kits_there()}

    def fault(self) -> str:
        """Nothing a person could mend from here."""
        return ""

    def send(self, frame: bytes, *, priority: int, to: str | None = None) -> bool:
        """Keep the frame for that kit's waiting request; False when it has none or enough waits."""
        del priority
        if len(frame) > self.mtu_bytes:
            raise FrameTooLarge(len(frame), self.mtu_bytes, self.name)
        server = self._server
        with self._lock:
            kit = self._by_via.get(to or "")
            gone = kit is None or self._silent_s(kit) > ALIVE_S
            if server is None or kit is None or gone or len(kit.outbox) >= MOST_FRAMES:
                return False
            kit.outbox.append(frame)
        server.loop.call_soon_threadsafe(kit.waiting.set)
        return True

    def receive(self, timeout_s: float) -> Sequence[Arrival]:
        """What has come in; waits for it only while kits come this way: the core has other links to look at."""
        arrivals: list[Arrival] = []
        try:
            if self._kits_there():
                arrivals.append(self._inbox.get(timeout=max(timeout_s, 0.0)))
            while True:
                arrivals.append(self._inbox.get_nowait())
        except queue.Empty:
            return arrivals

    # --- on the server's event loop ---

    async def _handle(self, request: Request) -> Response:
        if request.path.endswith(OPEN_PATH):
            return await self._let_in(request)
        if request.path.endswith(FRAMES_PATH):
            return await self._exchange(request)
        return Response(404)

    async def _let_in(self, request: Request) -> Response:
        try:
            opening = Opening.decode(request.body)
            nonces = opening.nonce + secrets.token_bytes(NONCE_BYTES)
            shown = Pass(self._private, opening.public, nonces)
        except (MalformedFrame, ValueError):
            return Response(400)
        # the store is asked on a thread: the loop must not wait for a disk
        if not await asyncio.to_thread(self._allowed, opening.link_id, opening.public):
            self._turned_away += 1
            return Response(401)
        kit = _Kit(opening.public.hex(), shown.authorization, self._clock.monotonic())
        with self._lock:
            self._by_nonces[nonces.hex()] = self._by_via[kit.via] = kit
            while len(self._by_nonces) > MOST_KITS:
                _, old = self._by_nonces.popitem(last=False)
                if self._by_via.get(old.via) is old:
                    del self._by_via[old.via]
        return Response(200, nonces[NONCE_BYTES:] + self._digest + shown.proof(self._digest))

    async def _exchange(self, request: Request) -> Response:
        kit = self._known(request.headers.get("authorization", ""))
        if kit is None:
            return Response(401)
        try:
            frames = unpack_frames(request.body)
            wait_s = min(max(float(request.headers.get(WAIT_HEADER.lower(), "0")), 0.0), MOST_WAIT_S)
        except (ValueError, MalformedFrame):
            return Response(400)
        for frame in frames:
            try:
                self._inbox.put_nowait(Arrival(frame, kit.via))
            except queue.Full:
                break  # the engine is behind; the session sends it again
        return Response(200, pack_frames(await self._frames_for(kit, wait_s)))

    async def _frames_for(self, kit: _Kit, wait_s: float) -> list[bytes]:
        kit.waiting.clear()
        if wait_s and not kit.outbox:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(kit.waiting.wait(), wait_s)
        with self._lock:
            kit.seen_s = self._clock.monotonic()
            frames = list(kit.outbox)
            kit.outbox.clear()
        return frames

    def _known(self, authorization: str) -> _Kit | None:
        nonces = authorization.removeprefix("Kit ").partition(".")[0]
        with self._lock:
            kit = self._by_nonces.get(nonces)
            if kit is None or not hmac.compare_digest(kit.authorization.encode(), authorization.encode()):
                return None
            self._by_nonces.move_to_end(nonces)
            kit.seen_s = self._clock.monotonic()
            return kit

    def _kits_there(self) -> int:
        with self._lock:
            return sum(self._silent_s(kit) <= ALIVE_S for kit in self._by_via.values())

    def _silent_s(self, kit: _Kit) -> float:
        return self._clock.real(self._clock.monotonic() - kit.seen_s)


def _explain_listen(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"{host}:{port} is already used by another program; stop it, or choose another port with [core] https"
    if error.errno == errno.EACCES:
        return f"port {port} may not be listened at by this user; choose one above 1023 with [core] https"
    return f'cannot listen at {host}:{port} ({error.strerror}); [core] https is written "HOST:PORT", or "" for none'
