"""The link over the mobile network: ZeroMQ with CURVE, a DEALER in each kit, a ROUTER in the core.

Invariant: a frame that `send` took was handed to a standing connection, and at most `IN_FLIGHT_FRAMES` wait in it; one
that cannot go now is refused at once instead of being queued for an hour. ZeroMQ still loses what is in flight when a
connection breaks (measured: 778 of 2,000 over two kills of the peer), so only the session's acknowledgement after
commit counts.

The kit's side needs no thread: libzmq has its own, and all methods are called from one. Times given to libzmq are real
seconds, because the network is real.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Sequence

import zmq

from hardware.ports import Modem
from kit.clock import Clock
from sync.links.port import Arrival, FrameTooLarge, LinkError, LinkState
from sync.links.socket_events import EVENTS, Connections, read_events
from sync.links.zap import ZapThread

MTU_BYTES = 60_000
"""Large enough that a frame's overhead vanishes, small enough to pass in ten seconds at 2G's 50 kbit/s."""

CURVE_OVERHEAD_BYTES = 64
"""libzmq measures a message as it comes in, sealed: 33 bytes more by CurveZMQ (RFC 26), rounded up."""

IN_FLIGHT_FRAMES = 8
HEARTBEAT_MS, HEARTBEAT_TIMEOUT_MS = 30_000, 20_000
"""A mobile network drops idle connections without a word after some minutes; a ping of some 80 bytes costs a kit
about 7 MB a month at this interval."""
RECONNECT_S, RECONNECT_MAX_S, RECONNECT_REAL_S = 1.0, 30.0, 0.25
"""Between two attempts to connect: kit seconds, doubling up to the second; the least real time under a fast clock."""
HANDSHAKE_S, HANDSHAKE_REAL_S = 20.0, 2.0
"""For CURVE's three round trips over bad 2G; after it a kit that the core could not look up tries again."""
REFUSED_S = 60.0
"""Kit seconds after which a kit that was turned away knocks again: libzmq by itself never does after a refusal."""
LOOK_EVERY_S = 0.1
"""Real seconds within which `receive` notices that the modem has gone."""

Socket = zmq.Socket[bytes]


class CellularKitLink:
    """The kit's side.

    Args:
        core: `tcp://HOST:PORT`.
        server_public: the core's CURVE public key in Z85, as the invite said.
        public: the kit's own CURVE public key in Z85.
        secret: the kit's own CURVE secret key in Z85.
        modem: the socket exists only while it is online, so that an outage is an outage.
        lowest_priority: the largest priority number carried; 5 = everything.
        clock: paces the attempts to reconnect.
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
        lowest_priority: int = 5,
    ) -> None:
        self._core, self._modem, self._clock = core, modem, clock
        self._keys = (server_public, public, secret)
        self.lowest_priority = lowest_priority
        self._context: zmq.Context[Socket] | None = None
        self._socket: Socket | None = None
        self._monitor: Socket | None = None
        self._connections = Connections()
        self._knock_again_s = 0.0

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
            return f"connected to the city core at {self._core}"
        if self._context is None:
            return "the cellular link is closed"
        if state is LinkState.DOWN:
            return "the mobile network is not there; records wait until the modem is online"
        if self._connections.trouble == "refused":
            return (
                f"the city core at {self._core} does not know this kit; ask for a new invite, "
                f"then type: kit join INVITE"
            )
        if self._connections.trouble == "handshake":
            return (
                f"something answers at {self._core} but not as the city core of the invite; "
                f"check [links.cellular] core, or join again with a new invite"
            )
        return f"trying to reach the city core at {self._core}; it does not answer yet"

    def send(self, frame: bytes, *, priority: int, to: str | None = None) -> bool:
        """Hand the frame to the standing connection; False when there is none or it is full."""
        del priority, to  # one connection, to the core, first come first served: frames are made urgent-first
        if len(frame) > self.mtu_bytes:
            raise FrameTooLarge(len(frame), self.mtu_bytes, self.name)
        if not self._follow_modem() or self._socket is None:
            return False
        try:
            self._socket.send(frame, zmq.NOBLOCK)
        except zmq.Again:
            return False
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
        return arrivals

    def _follow_modem(self) -> bool:
        """Connect or disconnect as the modem says; whether there is a socket now."""
        if self._context is None:
            return False
        if not self._modem.online():
            self._disconnect()
            return False
        if self._monitor is not None:
            read_events(self._monitor, self._connections)
        turned_away = self._connections.trouble in {"refused", "handshake"} and not self._connections.standing
        if turned_away and self._clock.monotonic() >= self._knock_again_s:
            _close(self._socket, self._monitor)
            self._socket = self._monitor = None
        if self._socket is None:
            self._connect(self._context)
        return True

    def _connect(self, context: zmq.Context[Socket]) -> None:
        socket = context.socket(zmq.DEALER)
        monitor = None
        try:
            _tune(socket)
            socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = self._keys
            socket.reconnect_ivl = self._real_ms(RECONNECT_S)
            socket.reconnect_ivl_max = self._real_ms(RECONNECT_MAX_S) * 2
            socket.handshake_ivl = int(1000 * max(self._clock.real(HANDSHAKE_S), HANDSHAKE_REAL_S))
            socket.immediate = True  # no queue for a connection that does not stand
            monitor = socket.get_monitor_socket(EVENTS)
            socket.connect(self._core)
        except zmq.ZMQError as error:
            _close(socket, monitor)
            raise LinkError(
                f'"{self._core}" is not an address of a city core, or a key in the invite is damaged ({error}); '
                f'[links.cellular] core is written "tcp://HOST:PORT"'
            ) from error
        self._socket, self._monitor = socket, monitor
        # why the last attempt failed is told until one succeeds
        self._connections = Connections(trouble=self._connections.trouble)
        real_per_kit = self._clock.real(1.0)
        pause_s = max(REFUSED_S, RECONNECT_REAL_S / real_per_kit) if real_per_kit > 0 else REFUSED_S
        self._knock_again_s = self._clock.monotonic() + pause_s

    def _disconnect(self) -> None:
        _close(self._socket, self._monitor)
        self._socket = self._monitor = None
        self._connections = Connections()

    def _real_ms(self, seconds: float) -> int:
        return int(1000 * max(self._clock.real(seconds), RECONNECT_REAL_S))


class CellularCoreLink:
    """The core's side: every invited kit may connect.

    Args:
        listen: `tcp://0.0.0.0:PORT`.
        public: the core's CURVE public key in Z85.
        secret: the core's CURVE secret key in Z85.
        allowed: is asked with a kit's CURVE public key in Z85 at each handshake, on a thread of its own.
        lowest_priority: the largest priority number carried; 5 = everything.
    """

    name = "cellular"
    mtu_bytes = MTU_BYTES

    def __init__(
        self, *, listen: str, public: bytes, secret: bytes, allowed: Callable[[bytes], bool], lowest_priority: int = 5
    ) -> None:
        self._listen, self._keys, self._allowed = listen, (public, secret), allowed
        self.lowest_priority = lowest_priority
        self._context: zmq.Context[Socket] | None = None
        self._socket: Socket | None = None
        self._monitor: Socket | None = None
        self._zap: ZapThread | None = None
        self._connections = Connections()
        self._routes: dict[str, bytes] = {}

    @property
    def address(self) -> str:
        """Where it listens, with the port that was chosen for port 0; "" while closed."""
        return "" if self._socket is None else bytes(self._socket.getsockopt(zmq.LAST_ENDPOINT)).rstrip(b"\0").decode()

    def open(self) -> None:
        """Listen.

        Raises:
            LinkError: the address is in use or is not one of this machine's.
        """
        if self._socket is not None:
            return
        context: zmq.Context[Socket] = zmq.Context()
        zap = ZapThread(context, self._allowed)
        zap.start()
        socket = context.socket(zmq.ROUTER)
        try:
            _tune(socket)
            socket.curve_server = True
            socket.curve_publickey, socket.curve_secretkey = self._keys
            socket.router_mandatory = True  # a frame for a kit that has gone is refused, not dropped
            self._monitor = socket.get_monitor_socket(EVENTS)
            socket.bind(self._listen.removesuffix(":0") + ":*" if self._listen.endswith(":0") else self._listen)
        except zmq.ZMQError as error:
            _close(socket, self._monitor)
            self._monitor = None
            zap.stop()
            context.term()
            raise LinkError(_explain_bind(self._listen, error)) from error
        self._context, self._zap, self._socket = context, zap, socket

    def close(self) -> None:
        """Let go of everything."""
        _close(self._socket, self._monitor)
        if self._zap is not None:
            self._zap.stop()
        if self._context is not None:
            self._context.term()
        self._socket = self._monitor = self._zap = self._context = None
        self._connections, self._routes = Connections(), {}

    def state(self) -> LinkState:
        """Up while it listens."""
        if self._monitor is not None:
            read_events(self._monitor, self._connections)
        return LinkState.DOWN if self._socket is None else LinkState.UP

    def explain(self) -> str:
        """One sentence for the technician."""
        if self.state() is LinkState.DOWN:
            return "the cellular link is closed"
        kits = self._connections.standing
        refused = "; a kit that is not invited was turned away" if self._connections.trouble == "refused" else ""
        return f"listening at {self.address}, {kits} kit{'' if kits == 1 else 's'} connected{refused}"

    def send(self, frame: bytes, *, priority: int, to: str | None = None) -> bool:
        """Hand the frame to that kit's connection; False when it has none or it is full."""
        del priority
        if len(frame) > self.mtu_bytes:
            raise FrameTooLarge(len(frame), self.mtu_bytes, self.name)
        route = self._routes.get(to or "")
        if self._socket is None or route is None:
            return False
        try:
            self._socket.send_multipart([route, frame], zmq.NOBLOCK)
        except zmq.ZMQError as error:
            if error.errno == zmq.EHOSTUNREACH:
                self._routes.pop(to or "", None)
            elif error.errno != zmq.EAGAIN:
                raise LinkError(f"the cellular link broke while sending ({error}); restart the core's sync") from error
            return False
        return True

    def receive(self, timeout_s: float) -> Sequence[Arrival]:
        """What has come in; waits up to that many real seconds for the first."""
        if self._socket is None:
            time.sleep(timeout_s)
            return []
        self.state()  # keeps the monitor's queue short
        if not self._socket.poll(int(timeout_s * 1000)):
            return []
        arrivals: list[Arrival] = []
        while len(arrivals) < IN_FLIGHT_FRAMES * 4:
            try:
                parts = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                break
            if len(parts) == 2:  # noqa: PLR2004 - route and frame
                arrivals.append(self._arrived(parts[0], parts[1]))
        return arrivals

    def _arrived(self, route: zmq.Frame, frame: zmq.Frame) -> Arrival:
        via = str(frame.get("User-Id"))  # the CURVE key the handshake proved; set by the ZAP thread
        self._routes[via] = route.bytes
        return Arrival(frame.bytes, via)


def _close(socket: Socket | None, monitor: Socket | None) -> None:
    """Both at once and the monitor too: a context waits for ever for a socket that was left open."""
    if socket is not None:
        socket.disable_monitor()
        socket.close(linger=0)
    if monitor is not None:
        monitor.close(linger=0)


def _tune(socket: Socket) -> None:
    socket.linger = 0
    socket.sndhwm = IN_FLIGHT_FRAMES
    socket.rcvhwm = IN_FLIGHT_FRAMES * 4
    socket.maxmsgsize = MTU_BYTES + CURVE_OVERHEAD_BYTES  # whoever sends more is disconnected before it is read
    socket.heartbeat_ivl, socket.heartbeat_timeout = HEARTBEAT_MS, HEARTBEAT_TIMEOUT_MS
    socket.handshake_ivl = int(HANDSHAKE_S * 1000)


def _explain_bind(listen: str, error: zmq.ZMQError) -> str:
    if error.errno == zmq.EADDRINUSE:
        return f"{listen} is already used by another program; stop it, or choose another port with [core] listen"
    if error.errno in (zmq.EADDRNOTAVAIL, errno.ENODEV):
        return f'{listen} is not an address of this machine; [core] listen = "0.0.0.0:7450" listens at all of them'
    return f'cannot listen at {listen} ({error}); [core] listen is written "HOST:PORT"'
