"""The kit's end of the link over HTTPS: used while the direct connection is blocked, and let go when it works again.

Two threads of its own: one posts frames, the other keeps a request waiting at the core, which is the way down. Both
use plain `http.client`; times are real seconds, because the network is real. As with every link, what breaks is
dropped: the session sends it again.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import queue
import secrets
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kit.clock import Clock
from sync.links.data_budget import DataBudget
from sync.links.https_wire import (
    DIGEST_BYTES,
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
from sync.links.inbox import taken
from sync.links.port import Arrival, FrameTooLarge, LinkError, LinkState
from sync.links.reconnect import wait_s
from sync.protocol.errors import MalformedFrame

if TYPE_CHECKING:
    from random import Random  # noqa: TID251 - the type of what is passed in; nothing is drawn from the module

CONNECT_S = 20.0
LOOK_S = 0.1
RETRY_REAL_S = 0.25
REFUSED_S = 300.0
"""Kit seconds after which a kit that the core does not know knocks again."""
OK, UNAUTHORIZED = 200, 401

REQUEST_COST_BYTES = 650
"""Beside the frames: heads both ways (about 350), TLS records, TCP/IP headers and acknowledgements."""
CONNECTION_COST_BYTES = 4_000
"""TCP and TLS 1.3 with one certificate, measured at 3.9 kB with a client certificate."""


class _Failed(Exception):  # noqa: N818 - private; carries the sentence for the technician
    """This attempt came to nothing."""


@dataclass
class _Session:
    """An opened way: where, and what to show there."""

    url: str
    context: ssl.SSLContext
    shown: Pass
    over: threading.Event = field(default_factory=threading.Event)
    connections: list[http.client.HTTPSConnection] = field(default_factory=list)

    def end(self) -> None:
        """Nobody waits in a request any more."""
        self.over.set()
        for connection in self.connections:
            if connection.sock is not None:
                with contextlib.suppress(OSError):
                    connection.sock.shutdown(2)


class HttpsKitLink:
    """The kit's side.

    Args:
        urls: `https://HOST[:PORT][/path]` of the core, tried in turn.
        link_id: the kit's at that core.
        core_public: the core's X25519 key, as the invite said.
        exchange_private: the kit's.
        exchange_public: the kit's.
        needed: whether the way is to be used now (`sync.links.fallback.Fallback`).
        clock: paces the attempts.
        rng: spreads them.
        lowest_priority: the largest priority number carried.
        budget: the same as the cellular link's: it is the same network.
    """

    name = "https"
    mtu_bytes = MTU_BYTES

    def __init__(
        self,
        *,
        urls: Sequence[str],
        link_id: int,
        core_public: bytes,
        exchange_private: bytes,
        exchange_public: bytes,
        needed: Callable[[], bool],
        clock: Clock,
        rng: Random,
        lowest_priority: int = 5,
        budget: DataBudget | None = None,
    ) -> None:
        self._urls = [checked_url(url) for url in urls]
        self._link_id, self._core_public = link_id, core_public
        self._private, self._public = exchange_private, exchange_public
        self._needed, self._clock, self._rng = needed, clock, rng
        self._lowest_priority, self._budget = lowest_priority, budget
        self._session: _Session | None = None
        self._threads: list[threading.Thread] = []
        self._closing = threading.Event()
        self._wanted = threading.Event()
        self._outbox: queue.Queue[tuple[bytes, int]] = queue.Queue(MOST_FRAMES)
        self._inbox: queue.Queue[Arrival] = queue.Queue(MOST_FRAMES * 8)
        self._trouble = ""
        self._unknown = False
        self._failures = 0

    @property
    def lowest_priority(self) -> int:
        """The largest priority number that may go now."""
        return (
            self._lowest_priority
            if self._budget is None
            else min(self._lowest_priority, self._budget.lowest_priority())
        )

    def open(self) -> None:
        """Begin to look whether it is needed; returns at once."""
        if not self._threads:
            self._closing = threading.Event()
            thread = threading.Thread(target=self._run, name="https", daemon=True)
            self._threads = [thread]
            thread.start()

    def close(self) -> None:
        """Let go of everything, within a second."""
        self._closing.set()
        self._wanted.set()
        if self._session is not None:
            self._session.end()
        threads, self._threads = self._threads, []
        for thread in threads:
            thread.join(0.4)

    def state(self) -> LinkState:
        """Whether frames go this way now."""
        if not self._follow():
            return LinkState.DOWN
        return LinkState.UP if self._session is not None else LinkState.CONNECTING

    def explain(self) -> str:
        """One sentence for the technician."""
        state = self.state()
        if not self._threads:
            return "the HTTPS link is closed"
        session = self._session
        if state is LinkState.UP and session is not None:
            return f"connected to the city core at {session.url}, because the direct connection is blocked"
        if state is LinkState.DOWN:
            return "standing by; it is used when the direct connection to the city core is blocked"
        return self._trouble or f"trying to reach the city core at {self._urls[0]}"

    def fault(self) -> str:
        """What a person has to do about it; "" where nothing is to be done."""
        return self._trouble if self._unknown and self._wanted.is_set() else ""

    def facts(self) -> Mapping[str, Any]:
        """Where it goes."""
        return {"urls": self._urls, "in_use": self._wanted.is_set()}

    def send(self, frame: bytes, *, priority: int, to: str | None = None) -> bool:
        """Hand the frame to the posting thread; False when there is no way or enough waits."""
        del to
        if len(frame) > self.mtu_bytes:
            raise FrameTooLarge(len(frame), self.mtu_bytes, self.name)
        if not self._follow() or self._session is None:
            return False
        if self._budget is not None and not self._budget.allows(len(frame) + REQUEST_COST_BYTES, priority=priority):
            return False
        try:
            self._outbox.put_nowait((frame, priority))
        except queue.Full:
            return False
        return True

    def receive(self, timeout_s: float) -> Sequence[Arrival]:
        """What has come in; waits only while the way is used."""
        if not self._follow():
            return []
        return taken(self._inbox, timeout_s)

    def _follow(self) -> bool:
        """Use or leave the way as needed; called on the owner's thread, on which the other link may be asked."""
        if not self._threads:
            return False
        needed = self._needed()
        if needed and not self._wanted.is_set():
            self._failures = 0
            self._wanted.set()
        elif not needed and self._wanted.is_set():
            self._wanted.clear()
            if self._session is not None:
                self._session.end()
        return needed

    # --- the posting thread ---

    def _run(self) -> None:
        while not self._closing.is_set():
            if not self._wanted.wait(LOOK_S):
                continue
            try:
                session = self._open_session(self._urls[self._failures % len(self._urls)])
            except _Failed as error:
                self._trouble = str(error)
                self._failures += 1
                self._pause()
                continue
            self._trouble, self._unknown, self._failures = "", False, 0
            self._session = session
            waiting = threading.Thread(target=self._wait_for_frames, args=(session,), name="https-down", daemon=True)
            waiting.start()
            self._post(session)
            session.end()
            self._session = None
            self._empty_outbox()
            waiting.join(0.5)

    def _pause(self) -> None:
        kit_s = REFUSED_S if self._unknown else wait_s(self._failures, self._rng.random())
        self._closing.wait(max(self._clock.real(kit_s), RETRY_REAL_S))

    def _post(self, session: _Session) -> None:
        connection = _connection(session.url, session.context)
        session.connections.append(connection)
        while not (self._closing.is_set() or session.over.is_set()):
            try:
                frames = [self._outbox.get(timeout=LOOK_S)]
            except queue.Empty:
                continue
            with contextlib.suppress(queue.Empty):
                while len(frames) < MOST_FRAMES:
                    frames.append(self._outbox.get_nowait())
            for frame, priority in frames:
                self._count(len(frame), priority)
            if not self._exchange(session, connection, [frame for frame, _ in frames], wait_s=0.0):
                return

    def _wait_for_frames(self, session: _Session) -> None:
        connection = _connection(session.url, session.context)
        session.connections.append(connection)
        while not (self._closing.is_set() or session.over.is_set()):
            if not self._exchange(session, connection, [], wait_s=MOST_WAIT_S):
                break
        session.end()

    def _exchange(
        self, session: _Session, connection: http.client.HTTPSConnection, frames: list[bytes], *, wait_s: float
    ) -> bool:
        """One request; False when the way is broken."""
        headers = {"Authorization": session.shown.authorization, WAIT_HEADER: f"{wait_s:g}"}
        try:
            if connection.sock is None:
                self._count(CONNECTION_COST_BYTES, "connection")
            path = urlsplit(session.url).path.rstrip("/") + FRAMES_PATH
            connection.request("POST", path, body=pack_frames(frames), headers=headers)
            answer = connection.getresponse()
            body = answer.read(MOST_BODY_BYTES + 1)
            if answer.status != OK:
                return False
            came = unpack_frames(body)
        except (OSError, http.client.HTTPException, MalformedFrame):
            return False
        self._count(REQUEST_COST_BYTES, "requests")
        for frame in came:
            self._count(len(frame), "received")
            with contextlib.suppress(queue.Full):  # nobody takes them; the session asks again
                self._inbox.put_nowait(Arrival(frame, "core"))
        return True

    def _open_session(self, url: str) -> _Session:
        """Find the core at that address and know it by its key.

        Raises:
            _Failed: it is not there, is somebody else, or does not know us.
        """
        nonce = secrets.token_bytes(NONCE_BYTES)
        opening = Opening(self._link_id, self._public, nonce).encode()
        context = ssl.create_default_context()
        checked = True
        connection = _connection(url, context, timeout_s=CONNECT_S)
        self._count(CONNECTION_COST_BYTES, "connection")
        try:
            try:
                connection.connect()
            except ssl.SSLCertVerificationError:
                # not a public certificate: then the core must prove that it is its own
                context, checked = _unchecked_context(), False
                connection = _connection(url, context, timeout_s=CONNECT_S)
                connection.connect()
            seen = hashlib.sha256(connection.sock.getpeercert(binary_form=True) or b"").digest()
            connection.request("POST", urlsplit(url).path.rstrip("/") + OPEN_PATH, body=opening)
            answer = connection.getresponse()
            status, body = answer.status, answer.read(1024)
        except (OSError, http.client.HTTPException) as error:
            raise _Failed(f"the city core does not answer at {url} ({_short(error)})") from error
        finally:
            connection.close()
        self._unknown = status == UNAUTHORIZED
        if self._unknown:
            raise _Failed(f"the city core at {url} does not know this kit; ask for a new invite: kit join INVITE")
        return _Session(url, context, self._prove(url, nonce, status, body, seen=None if checked else seen))

    def _prove(self, url: str, nonce: bytes, status: int, body: bytes, *, seen: bytes | None) -> Pass:
        theirs, digest, proof = body[:NONCE_BYTES], body[NONCE_BYTES:-DIGEST_BYTES], body[-DIGEST_BYTES:]
        shown = Pass(self._private, self._core_public, nonce + theirs)
        right = (
            status == OK
            and len(body) == NONCE_BYTES + 2 * DIGEST_BYTES
            and hmac.compare_digest(proof, shown.proof(digest))
            and seen in (None, digest)
        )
        if not right:
            raise _Failed(
                f"something answers at {url} but not as the city core of the invite; check [links.cellular] https"
            )
        return shown

    def _empty_outbox(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._outbox.get_nowait()

    def _count(self, size: int, what: int | str) -> None:
        if self._budget is not None:
            self._budget.count(size, what)


def checked_url(url: str) -> str:
    """The address as it will be used.

    Raises:
        LinkError: it is none.
    """
    parts = urlsplit(url)
    try:
        usable = parts.scheme == "https" and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise LinkError(
            f'"{url}" is not the address of a city core; write [links.cellular] https = "https://HOST:PORT"'
        )
    return url


def _connection(
    url: str, context: ssl.SSLContext, *, timeout_s: float = MOST_WAIT_S + CONNECT_S
) -> http.client.HTTPSConnection:
    parts = urlsplit(url)
    return http.client.HTTPSConnection(parts.hostname or "", parts.port or 443, context=context, timeout=timeout_s)


def _unchecked_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # `_prove` compares the certificate that was shown
    return context


def _short(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0][:80]
