"""The kit's end of the link over the mobile network: ZeroMQ with CURVE, a DEALER here, a ROUTER in the core.

Invariant: a frame that `send` took was handed to a standing connection, and at most `IN_FLIGHT_FRAMES` wait in it; one
that cannot go now is refused at once instead of being queued for an hour. ZeroMQ still loses what is in flight when a
connection breaks (measured: 778 of 2,000 over two kills of the peer), so only the session's acknowledgement after
commit counts.

libzmq would reconnect by itself, all kits at nearly the same moments; here a socket lives for one connection, and
`sync.links.reconnect` says when the next one is tried. No thread is needed: libzmq has its own, and all methods are
called from one. Times given to libzmq are real seconds, because the network is real.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import zmq

from hardware.ports import Modem
from kit.clock import Clock
from sync.links.cellular_socket import (
    HANDSHAKE_REAL_S,
    HANDSHAKE_S,
    HEARTBEAT_MS,
    IN_FLIGHT_FRAMES,
    MTU_BYTES,
    Socket,
    close_both,
    tune,
)
from sync.links.data_budget import DataBudget
from sync.links.port import Arrival, FrameTooLarge, LinkError, LinkState
from sync.links.reconnect import wait_s
from sync.links.socket_events import EVENTS, Connections, read_events

if TYPE_CHECKING:
    from random import Random  # noqa: TID251 - the type of what is passed in; nothing is drawn from the module

RECONNECT_REAL_S = 0.25
"""The least real time between two attempts under a fast clock."""
CONNECT_S = 15.0
"""Real seconds for the TCP connection itself."""
REFUSED_S = 60.0
"""Kit seconds after which a kit that was turned away knocks again."""
SURE_FAILURES = 3
"""A handshake also fails when the network breaks in the middle of it; so often in a row, it is the wrong core."""
LOOK_EVERY_S = 0.1
"""Real seconds within which `receive` notices that the modem has gone."""

FRAME_COST_BYTES = 126
"""Beside a frame's own bytes: CURVE's and ZMTP's (35), two TCP/IP headers (the frame's and its acknowledgement's)."""
ATTEMPT_COST_BYTES = 120
"""A SYN and its answer."""
CONNECTION_COST_BYTES = 1_500
"""TCP and CURVE handshakes: the first message was measured at 1,094 bytes more than the next."""
SIGN_OF_LIFE_COST_BYTES = 160
"""A ping and its answer with their TCP/IP headers."""


class CellularKitLink:
    """The kit's side.

    Args:
        core: `tcp://HOST:PORT`.
        server_public: the core's CURVE public key in Z85, as the invite said.
        public: the kit's own CURVE public key in Z85.
        secret: the kit's own CURVE secret key in Z85.
        modem: the socket exists only while it is online, so that an outage is an outage.
        clock: paces the attempts to reconnect.
        rng: spreads them.
        lowest_priority: the largest priority number carried; 5 = everything.
        budget: what the network may cost in a day; None = whatever it takes.
    """

    name = "cellular"
    mtu_bytes = MTU_BYTES

    def __init__(
        self,
        *,
        core: str,
        server_public: bytes,
        public: bytes,
        secret: bytes,
        modem: Modem,
        clock: Clock,
        rng: Random,
        lowest_priority: int = 5,
        budget: DataBudget | None = None,
    ) -> None:
        self._core, self._modem, self._clock, self._rng = core, modem, clock, rng
        self._keys = (server_public, public, secret)
        self._lowest_priority, self._budget = lowest_priority, budget
        self._context: zmq.Context[Socket] | None = None
        self._socket: Socket | None = None
        self._monitor: Socket | None = None
        self._connections = Connections()
        self._failures = 0
        self._tried_s = self._try_again_s = self._sign_of_life_s = 0.0

    @property
    def lowest_priority(self) -> int:
        """The largest priority number that may go now: less when the day's bytes run out."""
        return (
            self._lowest_priority
            if self._budget is None
            else min(self._lowest_priority, self._budget.lowest_priority())
        )

    def open(self) -> None:
        """Start connecting; returns at once.

        Raises:
            LinkError: the address or a key is not usable.
        """
        if self._context is None:
            self._context = zmq.Context()
        self._follow_modem()

    def close(self) -> None:
        """Let go of everything."""
        self._disconnect()
        if self._budget is not None:
            self._budget.save()
        if self._context is not None:
            self._context.term()
            self._context = None

    def state(self) -> LinkState:
        """Whether the core can be reached now."""
        if not self._follow_modem():
            return LinkState.DOWN
        return LinkState.UP if self._connections.standing else LinkState.CONNECTING

    def explain(self) -> str:
        """One sentence for the technician."""
        state = self.state()
        if state is LinkState.UP:
            return f"connected to the city core at {self._core}{self._meter()}"
        if self._context is None:
            return "the cellular link is closed"
        if state is LinkState.DOWN:
            return "the mobile network is not there; records wait until the modem is online"
        return self.fault() or f"trying to reach the city core at {self._core}; it does not answer yet"

    def fault(self) -> str:
        """What a person has to do about it; "" where nothing is to be done."""
        trouble = self._connections.trouble
        if self._context is None or self._connections.standing:
            return ""
        if trouble == "refused":
            return f"the city core at {self._core} does not know this kit; ask for a new invite: kit join INVITE"
        if trouble == "handshake" and self._failures >= SURE_FAILURES:
            return (
                f"something answers at {self._core} but not as the city core of the invite; "
                f"check [links.cellular] core, or join again with a new invite"
            )
        return ""

    def facts(self) -> Mapping[str, Any]:
        """Where the core is and what of the day's bytes is used."""
        return {"core": self._core} | ({} if self._budget is None else {"data": self._budget.facts()})

    def send(self, frame: bytes, *, priority: int, to: str | None = None) -> bool:
        """Hand the frame to the standing connection; False when there is none, it is full, or the day's bytes are."""
        del to  # one connection, to the core
        if len(frame) > self.mtu_bytes:
            raise FrameTooLarge(len(frame), self.mtu_bytes, self.name)
        cost = len(frame) + FRAME_COST_BYTES
        if not self._follow_modem() or self._socket is None or not self._connections.standing:
            return False
        if self._budget is not None and not self._budget.allows(cost, priority=priority):
            return False
        try:
            self._socket.send(frame, zmq.NOBLOCK)
        except zmq.Again:
            return False
        self._count(cost, priority)
        return True

    def receive(self, timeout_s: float) -> Sequence[Arrival]:
        """What has come in; waits up to that many real seconds for the first."""
        waited_s = 0.0
        while True:
            slice_s = min(LOOK_EVERY_S, max(timeout_s - waited_s, 0.0))
            if not self._follow_modem() or self._socket is None:
                # nothing can come; wait as told, for the caller's loop is paced by this
                time.sleep(slice_s)
            elif self._socket.poll(int(slice_s * 1000)):
                return self._drain(self._socket)
            waited_s += slice_s
            if waited_s >= timeout_s:
                return []

    def _drain(self, socket: Socket) -> list[Arrival]:
        arrivals: list[Arrival] = []
        while len(arrivals) < IN_FLIGHT_FRAMES * 4:
            try:
                parts = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            if len(parts) == 1:
                arrivals.append(Arrival(parts[0], "core"))
                self._count(len(parts[0]) + FRAME_COST_BYTES, "received")
        return arrivals

    def _follow_modem(self) -> bool:
        """Connect or disconnect as the modem says; whether the network is there now."""
        if self._context is None:
            return False
        now_s = self._clock.monotonic()
        if not self._modem.online():
            self._disconnect()
            self._failures, self._try_again_s = 0, now_s  # whatever failed before, the network is a new one then
            return False
        if self._monitor is not None:
            self._look_at_connection(self._monitor, now_s)
        if self._socket is None and now_s >= self._try_again_s:
            self._connect(self._context, now_s)
        return True

    def _look_at_connection(self, monitor: Socket, now_s: float) -> None:
        stood = self._connections.standing > 0
        read_events(monitor, self._connections)
        if self._connections.standing:
            if not stood:
                self._failures, self._sign_of_life_s = 0, now_s
                self._count(CONNECTION_COST_BYTES, "connection")
            elif now_s - self._sign_of_life_s >= HEARTBEAT_MS / 1000.0:
                self._sign_of_life_s = now_s
                self._count(SIGN_OF_LIFE_COST_BYTES, "signs of life")
            return
        gave_up = now_s - self._tried_s > self._kit_s(CONNECT_S + HANDSHAKE_S, CONNECT_S + HANDSHAKE_REAL_S)
        if stood or self._connections.ended or gave_up:
            self._end_attempt(now_s, broke=stood)

    def _end_attempt(self, now_s: float, *, broke: bool) -> None:
        close_both(self._socket, self._monitor)
        self._socket = self._monitor = None
        turned_away = self._connections.trouble == "refused"
        pause_s = REFUSED_S if turned_away else wait_s(self._failures, self._rng.random())
        self._failures = 0 if broke else self._failures + 1
        self._try_again_s = now_s + self._kit_s(pause_s, RECONNECT_REAL_S)

    def _connect(self, context: zmq.Context[Socket], now_s: float) -> None:
        socket = context.socket(zmq.DEALER)
        monitor = None
        try:
            tune(socket)
            socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = self._keys
            socket.reconnect_ivl = -1  # never by itself
            socket.connect_timeout = int(1000 * CONNECT_S)
            socket.handshake_ivl = int(1000 * max(self._clock.real(HANDSHAKE_S), HANDSHAKE_REAL_S))
            socket.immediate = True  # no queue for a connection that does not stand
            monitor = socket.get_monitor_socket(EVENTS)
            socket.connect(self._core)
        except zmq.ZMQError as error:
            close_both(socket, monitor)
            raise LinkError(
                f'"{self._core}" is not an address of a city core, or a key in the invite is damaged ({error}); '
                f'[links.cellular] core is written "tcp://HOST:PORT"'
            ) from error
        self._socket, self._monitor, self._tried_s = socket, monitor, now_s
        # why the last attempt failed is told until one succeeds
        self._connections = Connections(trouble=self._connections.trouble)
        self._count(ATTEMPT_COST_BYTES, "connection")

    def _disconnect(self) -> None:
        close_both(self._socket, self._monitor)
        self._socket = self._monitor = None
        self._connections = Connections()

    def _kit_s(self, seconds: float, real_s: float) -> float:
        """That many kit seconds, but at least so many real ones."""
        real_per_kit = self._clock.real(1.0)
        return max(seconds, real_s / real_per_kit) if real_per_kit > 0 else seconds

    def _count(self, size: int, what: int | str) -> None:
        if self._budget is not None:
            self._budget.count(size, what)

    def _meter(self) -> str:
        told = "" if self._budget is None else self._budget.explain()
        return f"; {told}" if told else ""
