"""Who may connect: the ZeroMQ authentication protocol (ZAP, RFC 27) for CURVE, asked at each handshake.

libzmq asks over `inproc://zeromq.zap.01` within one context and stalls the handshake until it is answered, so the
answers come from a thread of their own: a core that is busy committing must not turn kits away. The user id given back
is the client's public key, which libzmq then attaches to every message of that connection; it cannot be forged by the
client.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import zmq
from zmq.utils import z85

ADDRESS = "inproc://zeromq.zap.01"
VERSION = b"1.0"
ADMITTED, TRY_AGAIN, REFUSED = b"200", b"300", b"400"
"""Whoever cannot be looked up (a locked database, a full disk) is no stranger: at 300 libzmq says nothing, and
the client tries again when its handshake has timed out."""
POLL_MS = 100  # how soon the thread notices that it is to end

log = logging.getLogger(__name__)


class ZapThread:
    """Answers the handshakes of one context.

    Args:
        context: the one whose sockets are to be guarded; start this before binding them.
        allowed: is given a client's public key in Z85 and says whether it may connect. Called on this thread.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], allowed: Callable[[bytes], bool]) -> None:
        self._context, self._allowed = context, allowed
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="zap", daemon=True)

    def start(self) -> None:
        """Begin; returns when handshakes can be answered."""
        self._thread.start()
        self._ready.wait(timeout=1.0)

    def stop(self) -> None:
        """End the thread and close its socket."""
        self._stop.set()
        self._thread.join(timeout=1.0)

    def _run(self) -> None:
        with self._context.socket(zmq.REP) as socket:
            socket.linger = 0
            socket.bind(ADDRESS)
            self._ready.set()
            while not self._stop.is_set():
                if socket.poll(POLL_MS):
                    socket.send_multipart(self._answer(socket.recv_multipart()))

    def _answer(self, request: list[bytes]) -> list[bytes]:
        # version, request id, domain, address, identity, mechanism, credentials…
        match request:
            case [_, request_id, _, _, _, b"CURVE", key]:
                public = z85.encode(key)
                status = self._judge(public)
                user = public if status == ADMITTED else b""
                return [VERSION, request_id, status, b"", user, b""]
            case [_, request_id, *_]:
                return [VERSION, request_id, REFUSED, b"only CURVE", b"", b""]
        return [VERSION, b"", b"500", b"malformed", b"", b""]

    def _judge(self, public: bytes) -> bytes:
        try:
            return ADMITTED if self._allowed(public) else REFUSED
        except Exception:
            log.exception("cannot look up whether a kit may connect; it will try again")
            return TRY_AGAIN
